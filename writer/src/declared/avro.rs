//! Reads values from Avro data and writes them back, by their type and through serde.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;

use super::types::{RecordType, Type};
use super::value::Value;

/// Reads one value of the type. A part that rules can't use is skipped, and read as [`Value::Absent`].
pub(super) struct Reader<'t>(pub &'t Type);

/// Reads a record: a map of its fields in the order of its type.
pub(super) struct RecordReader<'t>(pub &'t RecordType);

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        match self.0 {
            Type::Unusable(_) => IgnoredAny::deserialize(deserializer).map(|_| Value::Absent),
            Type::Nullable(_) => deserializer.deserialize_option(self),
            Type::Bytes => deserializer.deserialize_bytes(self),
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> DeserializeSeed<'de> for RecordReader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Reader(self.0.present()).deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Int(number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Double(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::text(text))
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Value, E> {
        Ok(match self.0 {
            Type::Uuid { .. } => Value::text(&Uuid::from_slice(bytes).map_err(E::custom)?.to_string()),
            _ => Value::Bytes(bytes.into()),
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let Type::List(inner) = self.0 else { return Err(A::Error::custom("a list where none belongs")) };
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(Reader(inner))? {
            items.push(item);
        }
        Ok(Value::list(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        match self.0 {
            Type::Record(record) => RecordReader(record).visit_map(map),
            Type::Map(inner) => {
                let mut entries = std::collections::BTreeMap::new();
                while let Some(key) = map.next_key::<String>()? {
                    entries.insert(key, map.next_value_seed(Reader(inner))?);
                }
                Ok(Value::Map(entries.into()))
            }
            _ => Err(A::Error::custom("a map where none belongs")),
        }
    }
}

impl<'de> Visitor<'de> for RecordReader<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.name)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Vec::with_capacity(self.0.fields.len());
        for field in &self.0.fields {
            map.next_key::<IgnoredAny>()?.ok_or_else(|| A::Error::missing_field("of a record"))?;
            fields.push(map.next_value_seed(Reader(&field.type_))?);
        }
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::record(fields))
    }
}

/// A value of a type, to be written.
pub(super) struct Typed<'v>(pub &'v Type, pub &'v Value);

impl Serialize for Typed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.0, self.1) {
            (_, Value::Null | Value::Absent) => serializer.serialize_unit(),
            (Type::Nullable(inner), value) => Typed(inner, value).serialize(serializer),
            (_, Value::Bool(value)) => serializer.serialize_bool(*value),
            (_, Value::Int(number)) => serializer.serialize_i64(*number),
            (_, Value::Double(number)) => serializer.serialize_f64(*number),
            (Type::Uuid { in_bytes: true }, Value::Text(text)) => {
                let uuid: Uuid = text.parse().map_err(serde::ser::Error::custom)?;
                serializer.serialize_bytes(uuid.as_bytes())
            }
            (_, Value::Text(text)) => serializer.serialize_str(text),
            (_, Value::Bytes(bytes)) => serializer.serialize_bytes(bytes),
            (Type::List(inner), Value::List(items)) => {
                let mut seq = serializer.serialize_seq(Some(items.len()))?;
                for item in items.iter() {
                    seq.serialize_element(&Typed(inner, item))?;
                }
                seq.end()
            }
            (Type::Map(inner), Value::Map(entries)) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries.iter() {
                    map.serialize_entry(key, &Typed(inner, value))?;
                }
                map.end()
            }
            (Type::Record(record), Value::Record(fields)) => serialize_record(record, fields, serializer),
            (type_, _) => Err(serde::ser::Error::custom(format!("a value is not {type_}"))),
        }
    }
}

/// Writes a record as a map of its fields.
pub(super) fn serialize_record<S: Serializer>(
    record: &RecordType,
    fields: &[Value],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(fields.len()))?;
    for (field, value) in record.fields.iter().zip(fields) {
        map.serialize_entry(&field.name, &Typed(&field.type_, value))?;
    }
    map.end()
}

#[cfg(test)]
mod tests {
    use millrace_schemas::{RecordSchema, Topic};
    use proptest::prelude::*;

    use super::*;
    use crate::declared::event::DeclaredEvent;

    const EVENT: &str = r#"{"type": "record", "name": "OrderPlaced", "fields": [
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 2}},
        {"name": "rate", "type": {"type": "fixed", "name": "Rate", "size": 12, "logicalType": "decimal", "precision": 28, "scale": 9}},
        {"name": "id", "type": {"type": "string", "logicalType": "uuid"}},
        {"name": "token", "type": ["null", {"type": "fixed", "name": "Token", "size": 16, "logicalType": "uuid"}]},
        {"name": "opens", "type": {"type": "int", "logicalType": "time-millis"}},
        {"name": "local", "type": {"type": "long", "logicalType": "local-timestamp-micros"}},
        {"name": "nanos", "type": ["null", {"type": "long", "logicalType": "timestamp-nanos"}]},
        {"name": "hash", "type": ["null", {"type": "fixed", "name": "Hash", "size": 2}]},
        {"name": "kind", "type": ["null", {"type": "enum", "name": "Kind", "symbols": ["web", "shop"]}]},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "day", "type": ["null", {"type": "int", "logicalType": "date"}]},
        {"name": "ratio", "type": "double"},
        {"name": "rounded", "type": "float"},
        {"name": "raw", "type": "bytes"},
        {"name": "labels", "type": {"type": "map", "values": ["null", "string"]}},
        {"name": "items", "type": {"type": "array", "items": {"type": "record", "name": "Item", "fields": [
            {"name": "sku", "type": "string"}, {"name": "gift", "type": "boolean"}]}}}]}"#;

    proptest! {
        #[test]
        fn what_rules_only_carry_is_written_as_it_was_read(
            price: i64, rate in -(10_i128.pow(28) - 1)..10_i128.pow(28), id: u128, token: Option<u128>, opens in 0..86_400_000, local: i64, nanos: Option<i64>,
            hash: Option<[u8; 2]>, kind in proptest::option::of(0..2_i32), at: i64, day: Option<i32>,
            ratio: f64, rounded: f32, raw: Vec<u8>, labels: std::collections::BTreeMap<String, Option<String>>,
            items: Vec<(String, bool)>,
        ) {
            use apache_avro::types::Value as Avro;
            let maybe = |value: Option<Avro>| match value {
                Some(value) => Avro::Union(1, Box::new(value)),
                None => Avro::Union(0, Box::new(Avro::Null)),
            };
            let kind = kind.map(|kind| Avro::Enum(kind as u32, ["web", "shop"][kind as usize].into()));
            let labels = labels.into_iter().map(|(key, label)| (key, maybe(label.map(Avro::String))));
            let items = items.into_iter().map(|(sku, gift)| {
                Avro::Record(vec![("sku".into(), Avro::String(sku)), ("gift".into(), Avro::Boolean(gift))])
            });
            let value = Avro::Record(vec![
                ("price".into(), Avro::Decimal(apache_avro::Decimal::from(price.to_be_bytes()))),
                ("rate".into(), Avro::Decimal(apache_avro::Decimal::from(rate.to_be_bytes()))),
                ("id".into(), Avro::Uuid(Uuid::from_u128(id))),
                ("token".into(), maybe(token.map(|token| Avro::Uuid(Uuid::from_u128(token))))),
                ("opens".into(), Avro::TimeMillis(opens)),
                ("local".into(), Avro::LocalTimestampMicros(local)),
                ("nanos".into(), maybe(nanos.map(Avro::TimestampNanos))),
                ("hash".into(), maybe(hash.map(|hash| Avro::Fixed(2, hash.to_vec())))),
                ("kind".into(), maybe(kind)),
                ("at".into(), Avro::TimestampMicros(at)),
                ("day".into(), maybe(day.map(Avro::Date))),
                ("ratio".into(), Avro::Double(ratio)),
                ("rounded".into(), Avro::Float(rounded)),
                ("raw".into(), Avro::Bytes(raw)),
                ("labels".into(), Avro::Map(labels.collect())),
                ("items".into(), Avro::Array(items.collect())),
            ]);
            let schema = RecordSchema::parse(Topic::Events, 0, EVENT).unwrap();
            let writer = apache_avro::writer::datum::GenericDatumWriter::builder(schema.avro()).build().unwrap();
            let datum = writer.write_value_to_vec(value).unwrap();
            let type_ = RecordType::from_avro("event", schema.avro());
            let fields = schema.decode_with(&datum, RecordReader(&type_)).unwrap();
            let again = schema.encode(&DeclaredEvent { event: 0, type_, fields }).unwrap();
            // an encoder may write a decimal with fewer bytes, and a map's entries in another order
            prop_assert_eq!(schema.value(&again).unwrap(), schema.value(&datum).unwrap());
        }
    }
}
