//! One registered version of a record's schema, which encodes and decodes data.

use std::fmt;
use std::marker::PhantomData;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use serde::Serialize;
use serde::de::{DeserializeOwned, DeserializeSeed};
use serde_avro_fast::de::DeserializerState;
use serde_avro_fast::ser::SerializerConfig;
use serde_json::Value as Json;

use crate::avro_json::{Mismatch, avro_from_json, json_from_avro};
use crate::codec::{DecodeError, EncodeError};
use crate::definition::{SchemaError, Topic, parse_record};
use crate::logical::DecimalType;
use crate::{datum, framing};

/// A version of a record's schema that the registry has.
///
/// A log has few of them and every event refers to one, so each is parsed once and stays for the life of the process.
pub struct RecordSchema {
    /// The topic that carries the record.
    pub topic: Topic,
    /// The name without its namespace, such as `OrderPlaced`: the header `ce_type`.
    pub name: String,
    /// The registry's id, which precedes the datum on the topic.
    pub registry_id: u32,
    /// The `.avsc` text.
    pub text: String,
    avro: &'static Schema,
    reader: GenericDatumReader<'static>,
    writer: GenericDatumWriter<'static>,
    /// The same schema, for Rust types: serde_avro_fast builds no tree of values in between.
    typed: serde_avro_fast::Schema,
}

impl fmt::Debug for RecordSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (schema id {})", self.name, self.registry_id)
    }
}

impl RecordSchema {
    /// Parses a schema that the registry has under `registry_id`.
    ///
    /// # Errors
    /// When the text can't be a record's schema.
    pub fn parse(topic: Topic, registry_id: u32, text: &str) -> Result<&'static Self, SchemaError> {
        let avro: &'static Schema = Box::leak(Box::new(parse_record(text)?));
        let name = avro.name().ok_or(SchemaError::NotARecord)?.name().to_owned();
        let unresolved = |error: apache_avro::Error| SchemaError::NotAvro(error.to_string());
        let reader = GenericDatumReader::builder(avro).build().map_err(unresolved)?;
        let writer = GenericDatumWriter::builder(avro).build().map_err(unresolved)?;
        let typed = text
            .parse()
            .map_err(|error: serde_avro_fast::schema::SchemaError| SchemaError::NotAvro(error.to_string()))?;
        let text = text.to_owned();
        Ok(Box::leak(Box::new(Self { topic, name, registry_id, text, avro, reader, writer, typed })))
    }

    /// The name with its namespace.
    pub fn full_name(&self) -> String {
        self.avro.name().map(ToString::to_string).unwrap_or_default()
    }

    /// The parsed schema, for code that derives types of its own from it.
    pub fn avro(&self) -> &'static Schema {
        self.avro
    }

    /// Encodes a Rust value: the datum, without a frame.
    ///
    /// # Errors
    /// When the value does not fit the schema.
    pub fn encode<T: Serialize>(&self, value: &T) -> Result<Vec<u8>, EncodeError> {
        self.write(value, Vec::with_capacity(128))
    }

    /// Encodes a Rust value, framed.
    ///
    /// # Errors
    /// When the value does not fit the schema.
    pub fn encode_framed<T: Serialize>(&self, value: &T) -> Result<Vec<u8>, EncodeError> {
        self.write(value, framing::frame(self.registry_id, &[]))
    }

    fn write<T: Serialize>(&self, value: &T, begun: Vec<u8>) -> Result<Vec<u8>, EncodeError> {
        let written = serde_avro_fast::to_datum(value, begun, &mut SerializerConfig::new(&self.typed));
        written.map_err(|error| EncodeError::Type { record: self.name.clone(), reason: error.to_string() })
    }

    /// Encodes JSON in the form that people write: the datum, without a frame.
    ///
    /// # Errors
    /// When the JSON does not fit the schema; the error names the place.
    pub fn encode_json(&self, json: &Json) -> Result<Vec<u8>, EncodeError> {
        let record = || self.name.clone();
        let value =
            avro_from_json(self.avro, json).map_err(|mismatch| EncodeError::Mismatch { record: record(), mismatch })?;
        let written = self.writer.write_value_to_vec(value);
        written.map_err(|source| EncodeError::Avro { record: record(), source: source.into() })
    }

    /// Decodes a datum into a type whose fields have the names of the record's; the type's own name does not matter.
    /// Fields that the type lacks are skipped; an optional field that the datum lacks becomes `None`.
    ///
    /// # Errors
    /// Unreadable, when the bytes are not a datum of this schema, or do not fit the type.
    pub fn decode<T: DeserializeOwned>(&self, datum: &[u8]) -> Result<T, DecodeError> {
        self.decode_with(datum, PhantomData)
    }

    /// Decodes a datum with a seed that knows the record's shape. The seed gets a record as a map of its fields, in the
    /// schema's order.
    ///
    /// # Errors
    /// Unreadable, when the bytes are not a datum of this schema, or do not fit the seed.
    pub fn decode_with<S: for<'de> DeserializeSeed<'de, Value = T>, T>(
        &self,
        datum: &[u8],
        seed: S,
    ) -> Result<T, DecodeError> {
        let mut rest = datum;
        let mut state = DeserializerState::from_reader(&mut rest, &self.typed);
        let decoded = seed.deserialize(state.deserializer()).map_err(|e| self.no_datum(&e))?;
        if rest.is_empty() { Ok(decoded) } else { Err(self.trailing_bytes(rest.len())) }
    }

    /// Rewrites a datum as one of another version of the same record.
    ///
    /// # Errors
    /// Unreadable, when the bytes are not a datum of this schema, or the two versions are incompatible.
    pub fn convert(&self, datum: &[u8], reader: &RecordSchema) -> Result<Vec<u8>, DecodeError> {
        let written = reader.writer.write_value_to_vec(self.resolve(datum, reader)?);
        written.map_err(|e| DecodeError::unreadable("schema_mismatch", format!("{}: {e}", self.name)))
    }

    /// Decodes a datum into a tree of values.
    ///
    /// # Errors
    /// Unreadable, when the bytes are not a datum of this schema.
    pub fn value(&self, datum: &[u8]) -> Result<Value, DecodeError> {
        self.whole(datum, |datum| self.reader.read_value(datum))
    }

    /// Decodes a datum and resolves it to another version of the same record.
    ///
    /// # Errors
    /// Unreadable, when the bytes are not a datum of this schema, or the two versions are incompatible.
    pub fn resolve(&self, datum: &[u8], reader: &RecordSchema) -> Result<Value, DecodeError> {
        let value = with_wide_decimals(self.value(datum)?);
        let resolved = value.resolve(reader.avro);
        resolved.map_err(|e| DecodeError::unreadable("schema_mismatch", format!("{}: {e}", self.name)))
    }

    /// Decodes a datum into JSON, for people.
    ///
    /// # Errors
    /// Unreadable, when the bytes are not a datum of this schema, or have no JSON form.
    pub fn json(&self, datum: &[u8]) -> Result<Json, DecodeError> {
        let mismatch = |m: Mismatch| DecodeError::unreadable("schema_mismatch", format!("{}: {m}", self.name));
        json_from_avro(self.avro, &self.value(datum)?).map_err(mismatch)
    }

    /// Checks bytes from outside before anybody decodes them. They must be exactly one datum of this schema, must not
    /// cost more to decode than their length allows, and must hold no text that Postgres can't store.
    ///
    /// # Errors
    /// Unreadable; the error names the place in the record.
    pub fn check(&self, datum: &[u8]) -> Result<(), DecodeError> {
        datum::check(self.avro, datum).map_err(|flaw| flaw.unreadable(&self.name))
    }

    /// A hash of the record's content. The same content has the same hash in every compatible version of the schema.
    /// The bytes must have passed [`RecordSchema::check`].
    pub fn content_hash(&self, datum: &[u8]) -> [u8; 16] {
        datum::content_hash(self.avro, &self.name, datum)
    }

    /// Reads exactly one datum. apache-avro 0.22 takes the end of input for a null where a boolean, a text or a union's
    /// branch should begin, so it would read a truncated datum as another one.
    fn whole<T>(
        &self,
        datum: &[u8],
        read: impl FnOnce(&mut Datum<'_>) -> Result<T, apache_avro::Error>,
    ) -> Result<T, DecodeError> {
        let mut datum = Datum { rest: datum, overrun: false };
        let read = read(&mut datum).map_err(|error| self.no_datum(&error))?;
        if datum.overrun {
            return Err(self.no_datum(&"it ends inside"));
        }
        if datum.rest.is_empty() { Ok(read) } else { Err(self.trailing_bytes(datum.rest.len())) }
    }

    fn no_datum(&self, problem: &dyn fmt::Display) -> DecodeError {
        let id = self.registry_id;
        DecodeError::unreadable("no_datum", format!("the value is no datum of schema {id} ({}): {problem}", self.name))
    }

    fn trailing_bytes(&self, bytes: usize) -> DecodeError {
        DecodeError::unreadable("trailing_bytes", format!("{bytes} bytes are left over after the {}", self.name))
    }
}

/// apache-avro 0.22 resolves a decimal only if it has as many bytes as the largest of its type.
fn with_wide_decimals(value: Value) -> Value {
    let wide = |value: Box<Value>| Box::new(with_wide_decimals(*value));
    match value {
        Value::Decimal(decimal) => match Vec::try_from(&decimal) {
            Ok(bytes) => Value::Decimal(sign_extended(&bytes).into()),
            Err(_) => Value::Decimal(decimal),
        },
        Value::Union(branch, inner) => Value::Union(branch, wide(inner)),
        Value::Array(items) => Value::Array(items.into_iter().map(with_wide_decimals).collect()),
        Value::Map(entries) => {
            Value::Map(entries.into_iter().map(|(key, value)| (key, with_wide_decimals(value))).collect())
        }
        Value::Record(fields) => {
            Value::Record(fields.into_iter().map(|(name, value)| (name, with_wide_decimals(value))).collect())
        }
        other => other,
    }
}

fn sign_extended(bytes: &[u8]) -> Vec<u8> {
    let sign = if bytes.first().is_some_and(|first| first & 0x80 != 0) { 0xff } else { 0 };
    let missing = DecimalType::MAX_BYTES.saturating_sub(bytes.len());
    std::iter::repeat_n(sign, missing).chain(bytes.iter().copied()).collect()
}

/// A datum being read; notes when its reader asks for more bytes than it has.
struct Datum<'a> {
    rest: &'a [u8],
    overrun: bool,
}

impl std::io::Read for Datum<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.overrun |= buffer.len() > self.rest.len();
        self.rest.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    const ENTRY: &str = r#"{"type": "record", "name": "OrderPlaced", "fields": [
        {"name": "account_id", "type": "string"}, {"name": "amount_minor", "type": "long"},
        {"name": "reporting_at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "limit", "type": ["null", "long"], "default": null}]}"#;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct OrderPlaced {
        account_id: String,
        amount_minor: i64,
        reporting_at: i64,
        limit: Option<i64>,
    }

    /// What a reader may want of it: fewer fields, and one that came later.
    #[derive(Debug, PartialEq, Deserialize)]
    struct View {
        amount_minor: i64,
        added_later: Option<String>,
    }

    proptest! {
        #[test]
        fn an_event_has_one_datum_whichever_way_it_is_written_and_is_read_back(
            account_id in "[^\0]*", amount_minor: i64, reporting_at: i64, limit: Option<i64>,
        ) {
            let schema = RecordSchema::parse(Topic::Events, 7, ENTRY).unwrap();
            let entry = OrderPlaced { account_id, amount_minor, reporting_at, limit };
            let datum = schema.encode(&entry).unwrap();
            prop_assert_eq!(&schema.encode_json(&serde_json::to_value(&entry).unwrap()).unwrap(), &datum);
            prop_assert_eq!(schema.encode_framed(&entry).unwrap(), framing::frame(7, &datum));
            prop_assert_eq!(schema.decode::<OrderPlaced>(&datum).unwrap(), entry);
            prop_assert!(schema.check(&datum).is_ok());
            let view = View { amount_minor, added_later: None };
            prop_assert_eq!(schema.decode::<View>(&datum).unwrap(), view);
            for end in 0..datum.len() {
                prop_assert!(schema.decode::<OrderPlaced>(&datum[..end]).is_err(), "cut at {}", end);
                prop_assert!(schema.check(&datum[..end]).is_err(), "cut at {}", end);
            }
        }
    }

    const LOGICAL: &str = r#"{"type": "record", "name": "Logical", "fields": [
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}},
        {"name": "rate", "type": {"type": "fixed", "name": "Rate", "size": 8, "logicalType": "decimal", "precision": 12, "scale": 4}},
        {"name": "fee", "type": {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}, "default": "\u0000"},
        {"name": "discount", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 1}], "default": null},
        {"name": "id", "type": {"type": "string", "logicalType": "uuid"}},
        {"name": "token", "type": {"type": "fixed", "name": "Token", "size": 16, "logicalType": "uuid"}},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "opens", "type": {"type": "int", "logicalType": "time-millis"}},
        {"name": "closes", "type": ["null", {"type": "long", "logicalType": "time-micros"}], "default": null},
        {"name": "local", "type": {"type": "long", "logicalType": "local-timestamp-millis"}},
        {"name": "local_micros", "type": {"type": "long", "logicalType": "local-timestamp-micros"}},
        {"name": "local_nanos", "type": {"type": "long", "logicalType": "local-timestamp-nanos"}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-nanos"}}]}"#;

    fn logical() -> Json {
        serde_json::json!({
            "price": "12.5", "rate": "-0.0001", "discount": "99.9",
            "id": "0b5c24a1-9d2e-4f4a-8a53-6d0b7c1e2f30", "token": "ffffffff-0000-4000-8000-000000000000",
            "day": "1970-01-02", "opens": "09:30:00", "closes": "17:00:00.000001",
            "local": "1970-01-01T00:00:01", "local_micros": 5, "local_nanos": "1970-01-01T00:00:00.000000007",
            "at": "1970-01-01T00:00:00.000000001Z",
        })
    }

    #[test]
    fn logical_types_are_read_from_what_people_write_and_shown_the_same() {
        let schema = RecordSchema::parse(Topic::Events, 7, LOGICAL).unwrap();
        let datum = schema.encode_json(&logical()).unwrap();
        schema.check(&datum).unwrap();
        let shown = schema.json(&datum).unwrap();
        let expected = serde_json::json!({
            "price": "12.50", "rate": "-0.0001", "fee": "0.00", "discount": "99.9",
            "id": "0b5c24a1-9d2e-4f4a-8a53-6d0b7c1e2f30", "token": "ffffffff-0000-4000-8000-000000000000",
            "day": 1, "opens": 34_200_000, "closes": 61_200_000_001_i64, "local": 1000, "local_micros": 5,
            "local_nanos": 7, "at": 1,
        });
        assert_eq!(shown, expected);
        assert_eq!(schema.encode_json(&shown).unwrap(), datum);
        // a typed reader sees a decimal and a uuid as texts
        let typed: std::collections::BTreeMap<String, serde::de::IgnoredAny> = schema.decode(&datum).unwrap();
        assert_eq!(typed.len(), 13);
    }

    #[test]
    fn a_decimal_in_more_bytes_than_it_needs_has_the_same_content() {
        let text = r#"{"type": "record", "name": "Paid", "fields": [
            {"name": "a", "type": {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}},
            {"name": "b", "type": {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}, "default": "\u0000"}]}"#;
        let schema = RecordSchema::parse(Topic::Commands, 7, text).unwrap();
        let few = schema.encode_json(&serde_json::json!({"a": "0.05"})).unwrap();
        assert_eq!(few, [2, 5, 2, 0]);
        let more = [6, 0, 0, 5, 4, 0, 0];
        schema.check(&more).unwrap();
        assert_eq!(schema.content_hash(&few), schema.content_hash(&more));
        assert_ne!(schema.content_hash(&few), schema.content_hash(&[2, 6, 2, 0]));
        assert_ne!(schema.content_hash(&few), schema.content_hash(&[2, 5, 2, 1]));
    }

    #[test]
    fn a_datum_of_an_earlier_version_keeps_its_decimals_uuids_and_times() {
        let older = RecordSchema::parse(Topic::Events, 7, LOGICAL).unwrap();
        let mut newer: Json = serde_json::from_str(LOGICAL).unwrap();
        let note = serde_json::json!({"name": "note", "type": "string", "default": ""});
        newer["fields"].as_array_mut().unwrap().push(note);
        let newer = RecordSchema::parse(Topic::Events, 8, &newer.to_string()).unwrap();
        let datum = older.encode_json(&logical()).unwrap();
        let converted = newer.json(&older.convert(&datum, newer).unwrap()).unwrap();
        let mut expected = older.json(&datum).unwrap();
        expected["note"] = "".into();
        assert_eq!(converted, expected);
    }

    #[test]
    fn what_no_reader_of_a_logical_type_would_take_is_refused() {
        let schema = RecordSchema::parse(Topic::Events, 7, LOGICAL).unwrap();
        for (field, value, expected) in [
            (
                "price",
                serde_json::json!("12.505"),
                "price: \"12.505\" has more digits after the point than a decimal(10, 2)",
            ),
            ("price", serde_json::json!("100000000"), "price: \"100000000\" has more digits than a decimal(10, 2)"),
            (
                "price",
                serde_json::json!(12.5),
                "price: expected a decimal as a text, such as \"12.50\", found a fraction",
            ),
            ("id", serde_json::json!("42"), "id: \"42\" is not a uuid"),
            ("opens", serde_json::json!(86_400_000), "opens: 86400000 is not a time of day"),
            ("opens", serde_json::json!("9:30"), "opens: not a time of day"),
            ("local", serde_json::json!("1970-01-01T00:00:00Z"), "local: not a local time"),
        ] {
            let mut json = logical();
            json[field] = value;
            let refused = schema.encode_json(&json).unwrap_err().to_string();
            assert!(refused.contains(expected), "{refused}");
        }
        let one = |type_: &str, datum: &[u8]| {
            let text = format!(r#"{{"type": "record", "name": "R", "fields": [{{"name": "x", "type": {type_}}}]}}"#);
            RecordSchema::parse(Topic::Events, 7, &text).unwrap().check(datum).unwrap_err().to_string()
        };
        let decimal = r#"{"type": "bytes", "logicalType": "decimal", "precision": 2, "scale": 0}"#;
        assert!(one(decimal, &[2, 100]).contains("x: the number has more digits than a decimal(2, 0)"));
        assert!(one(decimal, &[0]).contains("x: a decimal has no bytes"));
        let uuid = r#"{"type": "string", "logicalType": "uuid"}"#;
        assert!(one(uuid, &[4, b'4', b'2']).contains("x: \"42\" is not a uuid"));
        let time = r#"{"type": "int", "logicalType": "time-millis"}"#;
        assert!(one(time, &[1]).contains("x: -1 is not a time of day"));
    }
}
