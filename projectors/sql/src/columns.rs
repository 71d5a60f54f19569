//! The columns of `batch`: what an event's Avro type is in Postgres.

use apache_avro::Schema;
use millrace_schemas::RecordSchema;

/// The columns that every event has, beside its fields.
pub(crate) const OF_EVERY_EVENT: [(&str, Kind); 12] = [
    ("_stream_id", Kind::Text),
    ("_version", Kind::Bigint),
    ("_position", Kind::Bigint),
    ("_partition", Kind::Integer),
    ("_recorded_at", Kind::Timestamptz),
    ("_event_id", Kind::Uuid),
    ("_user_id", Kind::Text),
    ("_correlation_id", Kind::Text),
    ("_causation_id", Kind::Text),
    ("_source", Kind::Text),
    ("_client_address", Kind::Text),
    ("_traceparent", Kind::Text),
];

/// A column's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Boolean,
    Integer,
    Bigint,
    Real,
    Double,
    Text,
    Bytea,
    Numeric,
    Uuid,
    Date,
    Time,
    Timestamp,
    Timestamptz,
    Jsonb,
}

/// A field of an event, as a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

impl Kind {
    /// The type of a field; records, arrays, maps and unions of several types are jsonb.
    pub(crate) fn from_avro(schema: &Schema) -> Self {
        match schema {
            Schema::Boolean => Self::Boolean,
            Schema::Int => Self::Integer,
            Schema::Long => Self::Bigint,
            Schema::Float => Self::Real,
            Schema::Double => Self::Double,
            Schema::String | Schema::Enum(_) => Self::Text,
            Schema::Bytes | Schema::Fixed(_) => Self::Bytea,
            Schema::Decimal(_) => Self::Numeric,
            Schema::Uuid(_) => Self::Uuid,
            Schema::Date => Self::Date,
            Schema::TimeMillis | Schema::TimeMicros => Self::Time,
            Schema::TimestampMillis | Schema::TimestampMicros | Schema::TimestampNanos => Self::Timestamptz,
            Schema::LocalTimestampMillis | Schema::LocalTimestampMicros | Schema::LocalTimestampNanos => {
                Self::Timestamp
            }
            Schema::Union(union) => {
                let mut variants = union.variants().iter().filter(|variant| !matches!(variant, Schema::Null));
                match (variants.next(), variants.next()) {
                    (Some(only), None) => Self::from_avro(only),
                    _ => Self::Jsonb,
                }
            }
            _ => Self::Jsonb,
        }
    }

    /// The type's name in SQL.
    pub(crate) fn sql(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Bigint => "bigint",
            Self::Real => "real",
            Self::Double => "double precision",
            Self::Text => "text",
            Self::Bytea => "bytea",
            Self::Numeric => "numeric",
            Self::Uuid => "uuid",
            Self::Date => "date",
            Self::Time => "time",
            Self::Timestamp => "timestamp",
            Self::Timestamptz => "timestamptz",
            Self::Jsonb => "jsonb",
        }
    }
}

/// The columns of an event's fields, in the schema's order.
pub(crate) fn of_fields(schema: &RecordSchema) -> Vec<Column> {
    let Schema::Record(record) = schema.avro() else { return Vec::new() };
    let column = |field: &apache_avro::schema::RecordField| Column {
        name: field.name.clone(),
        kind: Kind::from_avro(&field.schema),
    };
    record.fields.iter().map(column).collect()
}

/// The columns of events of any type, in place of their fields: the type, and all fields as JSON.
pub(crate) fn of_any_event() -> Vec<Column> {
    [("_type", Kind::Text), ("_data", Kind::Jsonb)].map(|(name, kind)| Column { name: name.to_owned(), kind }).into()
}

/// A field whose name is a column that every event has.
pub(crate) fn taken_name(columns: &[Column]) -> Option<&str> {
    let taken = |column: &&Column| OF_EVERY_EVENT.iter().any(|(name, _)| *name == column.name);
    columns.iter().find(taken).map(|column| column.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fields_type_is_its_natural_one_in_postgres() {
        for (avro, expected) in [
            (r#""int""#, "integer"),
            (r#"["null", "long"]"#, "bigint"),
            (r#"["long", "string"]"#, "jsonb"),
            (r#"{"type": "array", "items": "long"}"#, "jsonb"),
            (r#"{"type": "map", "values": "long"}"#, "jsonb"),
            (r#"{"type": "enum", "name": "E", "symbols": ["A"]}"#, "text"),
            (r#"{"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}"#, "numeric"),
            (r#"{"type": "string", "logicalType": "uuid"}"#, "uuid"),
            (r#"{"type": "int", "logicalType": "date"}"#, "date"),
            (r#"{"type": "int", "logicalType": "time-millis"}"#, "time"),
            (r#"{"type": "long", "logicalType": "timestamp-nanos"}"#, "timestamptz"),
            (r#"["null", {"type": "long", "logicalType": "local-timestamp-micros"}]"#, "timestamp"),
        ] {
            assert_eq!(Kind::from_avro(&Schema::parse_str(avro).unwrap()).sql(), expected, "{avro}");
        }
    }
}
