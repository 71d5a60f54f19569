//! The types that rules see, made from Avro schemas.
//!
//! Whole numbers of every Avro type, dates and times are `int`; a union with null is nullable. Decimals, uuids and maps
//! are carried from a command to an event as they are. Other unions can't be used in rules.

use std::fmt;
use std::sync::Arc;

use apache_avro::Schema;
use apache_avro::schema::UuidSchema;
use millrace_schemas::DecimalType;

use super::value::Value;

/// The type of an expression, or of a field.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Type {
    /// Of a state's field whose type is not found yet, and of the items of `[]`.
    Unknown,
    Null,
    Bool,
    Int,
    Double,
    Text,
    Bytes,
    /// A text that is one of these.
    Enum(Arc<[String]>),
    /// As a text with all digits of its scale.
    Decimal(DecimalType),
    /// As a text; the datum may have its 16 bytes instead.
    Uuid {
        in_bytes: bool,
    },
    List(Arc<Type>),
    Map(Arc<Type>),
    Record(Arc<RecordType>),
    /// Null or a value of the type.
    Nullable(Arc<Type>),
    /// Present in the schema but of no use in rules; the text says why.
    Unusable(&'static str),
}

/// The fields of a record, or of a stream's state, in the order of a [`Value::Record`].
#[derive(Debug, PartialEq)]
pub(super) struct RecordType {
    /// For messages: `command PlaceOrder`.
    pub name: String,
    pub fields: Vec<Field>,
    /// Whether it is a stream's state, whose fields may be absent.
    pub is_state: bool,
}

/// A field of a record.
#[derive(Debug, PartialEq)]
pub(super) struct Field {
    pub name: String,
    pub type_: Type,
    /// What an event's field is when the rules do not set it.
    pub default: Option<Value>,
}

impl RecordType {
    /// The type of a record of a log; `kind` is `command` or `event`.
    pub fn from_avro(kind: &str, schema: &Schema) -> Arc<Self> {
        match schema {
            Schema::Record(record) => {
                let fields = record.fields.iter().map(|field| {
                    let type_ = Type::from_avro(&field.schema);
                    let default = field.default.as_ref().and_then(|json| Value::from_json(&type_, json));
                    Field { name: field.name.clone(), type_, default }
                });
                let name = format!("{kind} {}", record.name.name());
                Arc::new(Self { name, fields: fields.collect(), is_state: false })
            }
            _ => Arc::new(Self { name: kind.to_owned(), fields: Vec::new(), is_state: false }),
        }
    }

    /// The place and type of a field.
    pub fn field(&self, name: &str) -> Option<(u16, &Type)> {
        let place = self.fields.iter().position(|field| field.name == name)?;
        Some((u16::try_from(place).ok()?, &self.fields[place].type_))
    }

    /// The fields' names, for messages.
    pub fn names(&self) -> String {
        list(self.fields.iter().map(|field| &*field.name))
    }

    /// Whether a value of `self` is also one of `other`: the same fields in the same order.
    fn fits(&self, other: &Self) -> bool {
        let same = |(from, to): (&Field, &Field)| from.name == to.name && from.type_.fits(&to.type_);
        self.fields.len() == other.fields.len() && self.fields.iter().zip(&other.fields).all(same)
    }
}

impl Type {
    fn from_avro(schema: &Schema) -> Self {
        match schema {
            Schema::Null => Self::Null,
            Schema::Boolean => Self::Bool,
            Schema::Int | Schema::Date | Schema::TimeMillis | Schema::Long | Schema::TimeMicros => Self::Int,
            Schema::TimestampMillis | Schema::TimestampMicros | Schema::TimestampNanos => Self::Int,
            Schema::LocalTimestampMillis | Schema::LocalTimestampMicros | Schema::LocalTimestampNanos => Self::Int,
            Schema::Float | Schema::Double => Self::Double,
            Schema::String => Self::Text,
            Schema::Uuid(UuidSchema::String) => Self::Uuid { in_bytes: false },
            Schema::Uuid(UuidSchema::Fixed(_)) => Self::Uuid { in_bytes: true },
            Schema::Bytes | Schema::Fixed(_) => Self::Bytes,
            Schema::Enum(symbols) => Self::Enum(symbols.symbols.clone().into()),
            Schema::Decimal(decimal) if decimal.precision <= DecimalType::MAX_DIGITS => Self::Decimal(decimal.into()),
            Schema::Decimal(_) => Self::Unusable("a decimal of more than 28 digits"),
            Schema::Array(array) => Self::List(Arc::new(Self::from_avro(&array.items))),
            Schema::Map(map) => Self::Map(Arc::new(Self::from_avro(&map.types))),
            Schema::Record(_) => Self::Record(RecordType::from_avro("record", schema)),
            Schema::Union(union) => match union.variants() {
                [Schema::Null, other] | [other, Schema::Null] => Self::from_avro(other).or_null(),
                _ => Self::Unusable("a union of other types than null and one more"),
            },
            _ => Self::Unusable("of an Avro type that rules can't read"),
        }
    }

    /// The type, or null.
    pub fn or_null(self) -> Self {
        match self {
            Self::Null | Self::Nullable(_) | Self::Unusable(_) | Self::Unknown => self,
            other => Self::Nullable(Arc::new(other)),
        }
    }

    /// The type without null.
    pub fn present(&self) -> &Self {
        match self {
            Self::Nullable(inner) => inner,
            other => other,
        }
    }

    /// Whether rules can do no more with a value than copy, compare and show it.
    pub fn is_carried(&self) -> bool {
        matches!(self.present(), Self::Decimal(_) | Self::Uuid { .. })
    }

    /// Whether a value of the type holds the whole state of a stream.
    pub fn holds_state(&self) -> bool {
        match self {
            Self::List(inner) | Self::Map(inner) | Self::Nullable(inner) => inner.holds_state(),
            Self::Record(record) => record.is_state,
            _ => false,
        }
    }

    /// How deep lists, maps and records nest in a value of the type.
    pub fn depth(&self) -> usize {
        match self {
            Self::List(inner) | Self::Map(inner) => 1 + inner.depth(),
            Self::Nullable(inner) => inner.depth(),
            Self::Record(record) => 1 + record.fields.iter().map(|field| field.type_.depth()).max().unwrap_or_default(),
            _ => 0,
        }
    }

    /// Whether a value of `self` may stand where one of `other` is wanted. That it is not null is checked at run time.
    pub fn fits(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Unusable(_), _) | (_, Self::Unusable(_)) => false,
            (Self::Unknown, _) | (_, Self::Unknown) | (Self::Null, Self::Nullable(_)) => true,
            (from, Self::Nullable(to)) => from.present().fits(to),
            (Self::Nullable(from), to) => from.fits(to),
            (Self::Enum(_), Self::Text) | (Self::Uuid { .. }, Self::Uuid { .. }) => true,
            (Self::List(from), Self::List(to)) | (Self::Map(from), Self::Map(to)) => from.fits(to),
            (Self::Record(from), Self::Record(to)) => from.fits(to),
            (from, to) => from == to,
        }
    }

    /// The type of a value that is of one of the two types; `None` when there is no such type.
    pub fn join(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Unknown, known) | (known, Self::Unknown) => Some(known.clone()),
            (Self::Null, other) | (other, Self::Null) => Some(other.clone().or_null()),
            (Self::Nullable(a), b) | (b, Self::Nullable(a)) => a.join(b.present()).map(Self::or_null),
            (Self::List(a), Self::List(b)) => a.join(b).map(|items| Self::List(Arc::new(items))),
            (Self::Enum(a), Self::Enum(b)) if a != b => Some(Self::Text),
            (a, b) if a.fits(b) => Some(b.clone()),
            (a, b) if b.fits(a) => Some(a.clone()),
            _ => None,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("a value of unknown type"),
            Self::Null => f.write_str("null"),
            Self::Bool => f.write_str("a bool"),
            Self::Int => f.write_str("an int"),
            Self::Double => f.write_str("a double"),
            Self::Text => f.write_str("a text"),
            Self::Bytes => f.write_str("bytes"),
            Self::Enum(symbols) => write!(f, "an enum ({})", list(symbols.iter().map(|symbol| &**symbol))),
            Self::Decimal(decimal) => write!(f, "{decimal}"),
            Self::Uuid { .. } => f.write_str("a uuid"),
            Self::List(items) => {
                let items = items.to_string();
                write!(f, "a list of {}", items.trim_start_matches("an ").trim_start_matches("a "))
            }
            Self::Map(values) => write!(f, "a map to {values}"),
            Self::Record(record) if record.is_state => f.write_str(&record.name),
            Self::Record(record) => write!(f, "a record ({})", record.names()),
            Self::Nullable(inner) => write!(f, "{inner} or null"),
            Self::Unusable(why) => f.write_str(why),
        }
    }
}

/// Names for a message: `a, b, c`, or `none`.
pub(super) fn list<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
