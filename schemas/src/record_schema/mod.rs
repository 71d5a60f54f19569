//! One registered version of a record's schema, which encodes and decodes data.

#[cfg(test)]
mod tests;

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

use crate::avro_json::{Mismatch, avro_from_json, json_from_avro, misfit_of_serialized, with_texts_of_times};
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
    /// When the value does not fit the schema; the error names the place, if it can be found.
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
        written.map_err(|error| self.misfit(value, &error))
    }

    /// Why a value can't be encoded. serde_avro_fast names no place, so this looks for it in the value's JSON.
    fn misfit<T: Serialize>(&self, value: &T, error: &dyn fmt::Display) -> EncodeError {
        let record = self.name.clone();
        let json = serde_json::to_value(value).ok();
        match json.and_then(|json| misfit_of_serialized(self.avro, &json)) {
            Some(mismatch) => EncodeError::Mismatch { record, mismatch },
            None => EncodeError::Type { record, reason: error.to_string() },
        }
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

    /// The same, with dates and times as texts: for messages, not for programs.
    ///
    /// # Errors
    /// As [`RecordSchema::json`].
    pub fn readable_json(&self, datum: &[u8]) -> Result<Json, DecodeError> {
        let mismatch = |m: Mismatch| DecodeError::unreadable("schema_mismatch", format!("{}: {m}", self.name));
        json_from_avro(self.avro, &with_texts_of_times(self.value(datum)?)).map_err(mismatch)
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
