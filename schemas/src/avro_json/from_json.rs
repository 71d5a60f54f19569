//! From JSON to Avro.

use std::cell::Cell;

use apache_avro::Schema;
use apache_avro::schema::{DecimalSchema, InnerDecimalSchema, RecordSchema, UnionSchema, UuidSchema};
use apache_avro::types::Value;
use serde_json::Value as Json;
use uuid::Uuid;

use super::{Mismatch, check_text};
use crate::logical::{Decimal, DecimalType, TimeUnit, parse_date, parse_uuid};

/// Who has written JSON.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Form {
    /// A person, or a program that sends a command.
    People,
    /// The author of a schema's default: as every reader of Avro takes it, a decimal is the text of its bytes there, and
    /// a time its number.
    Default,
    /// serde, from a Rust value: bytes are an array of numbers there.
    Serialized,
}

/// How JSON is read.
#[derive(Debug, Clone, Copy)]
struct Reading<'r> {
    form: Form,
    /// Bytes of memory that defaults may still take.
    left: &'r Cell<usize>,
}

impl Reading<'_> {
    /// Counts a value, where it is a default.
    fn spend(self, json: &Json) -> Result<(), Mismatch> {
        if self.form == Form::Default {
            let cost = size_of::<Value>() + json.as_str().map_or(0, str::len);
            let left = self.left.get().checked_sub(cost);
            self.left.set(left.ok_or_else(|| Mismatch::new(TOO_MANY_DEFAULTS.to_owned()))?);
        }
        Ok(())
    }
}

/// Bytes of memory that all defaults in one record may take: a few bytes of JSON, such as `{},{},{}`, may stand for
/// many.
const DEFAULTS: usize = 16 * 1024 * 1024;
const TOO_MANY_DEFAULTS: &str = "the fields that it leaves out have more defaults than 16 MiB hold";

/// Converts `json` to an Avro value of `schema`.
///
/// # Errors
/// When the JSON does not fit, or would take too much memory with its defaults; the error names the first place.
pub fn avro_from_json(schema: &Schema, json: &Json) -> Result<Value, Mismatch> {
    read(schema, json, Reading { form: Form::People, left: &Cell::new(DEFAULTS) })
}

/// Converts a default in a schema to an Avro value.
///
/// # Errors
/// When the default does not fit; the error names the first place that does not.
pub(crate) fn avro_from_default(schema: &Schema, default: &Json) -> Result<Value, Mismatch> {
    read(schema, default, Reading { form: Form::Default, left: &Cell::new(DEFAULTS) })
}

/// The first place where the JSON of a Rust value does not fit the schema; `None` when none is found.
pub(crate) fn misfit_of_serialized(schema: &Schema, json: &Json) -> Option<Mismatch> {
    read(schema, json, Reading { form: Form::Serialized, left: &Cell::new(DEFAULTS) }).err()
}

fn read(schema: &Schema, json: &Json, reading: Reading<'_>) -> Result<Value, Mismatch> {
    use TimeUnit::{Micros, Millis, Nanos};
    reading.spend(json)?;
    let form = reading.form;
    let value = match schema {
        Schema::Bytes | Schema::Fixed(_) | Schema::Decimal(_) | Schema::Uuid(_)
            if form == Form::Serialized && json.is_array() =>
        {
            // only places are asked for, and nothing is wrong here
            Value::Null
        }
        Schema::Null if json.is_null() => Value::Null,
        Schema::Null => return Err(Mismatch::expected("null", json)),
        Schema::Boolean => Value::Boolean(json.as_bool().ok_or_else(|| Mismatch::expected("a boolean", json))?),
        Schema::Int => Value::Int(int(json)?),
        Schema::Long => Value::Long(long(json)?),
        Schema::Float => Value::Float(double(json)? as f32),
        Schema::Double => Value::Double(double(json)?),
        Schema::String => Value::String(text(json)?.to_owned()),
        Schema::Bytes => Value::Bytes(bytes(json)?),
        Schema::Decimal(decimal) => Value::Decimal(decimal_bytes(decimal, json, form)?.into()),
        Schema::Uuid(inner) => Value::Uuid(uuid(inner, json, form)?),
        Schema::Date => Value::Date(time(json, form, parse_date, int)?),
        Schema::TimeMillis => Value::TimeMillis(time_of_day(json, form, Millis)? as i32),
        Schema::TimeMicros => Value::TimeMicros(time_of_day(json, form, Micros)?),
        Schema::TimestampMillis => Value::TimestampMillis(time(json, form, |text| Millis.instant(text), long)?),
        Schema::TimestampMicros => Value::TimestampMicros(time(json, form, |text| Micros.instant(text), long)?),
        Schema::TimestampNanos => Value::TimestampNanos(time(json, form, |text| Nanos.instant(text), long)?),
        Schema::LocalTimestampMillis => Value::LocalTimestampMillis(time(json, form, |text| Millis.local(text), long)?),
        Schema::LocalTimestampMicros => Value::LocalTimestampMicros(time(json, form, |text| Micros.local(text), long)?),
        Schema::LocalTimestampNanos => Value::LocalTimestampNanos(time(json, form, |text| Nanos.local(text), long)?),
        Schema::Enum(symbols) => {
            let symbol = text(json)?;
            let index = symbols.symbols.iter().position(|s| s == symbol);
            let index =
                index.ok_or_else(|| Mismatch::new(format!("{symbol:?} is not one of {:?}", symbols.symbols)))?;
            Value::Enum(index as u32, symbol.to_owned())
        }
        Schema::Fixed(fixed) => {
            let bytes = bytes(json)?;
            check_size(&bytes, fixed.size)?;
            Value::Fixed(fixed.size, bytes)
        }
        Schema::Array(array) => {
            let items = json.as_array().ok_or_else(|| Mismatch::expected("an array", json))?;
            let items = items.iter().enumerate();
            let items =
                items.map(|(i, item)| read(&array.items, item, reading).map_err(|m| m.inside(&format!("[{i}]"))));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        Schema::Map(map) => {
            let entries = json.as_object().ok_or_else(|| Mismatch::expected("an object", json))?;
            let entries = entries.iter().map(|(key, item)| {
                check_text(key)?;
                Ok((key.clone(), read(&map.types, item, reading).map_err(|m| m.inside(key))?))
            });
            Value::Map(entries.collect::<Result<_, Mismatch>>()?)
        }
        Schema::Union(union) => union_value(union, json, reading)?,
        Schema::Record(record) => record_value(record, json, reading)?,
        other => {
            return Err(Mismatch::new(format!("JSON for the Avro type {other:?} is not supported")));
        }
    };
    Ok(value)
}

fn record_value(record: &RecordSchema, json: &Json, reading: Reading<'_>) -> Result<Value, Mismatch> {
    let object = json.as_object().ok_or_else(|| Mismatch::expected("an object", json))?;
    if let Some(unknown) = object.keys().find(|key| !record.lookup.contains_key(*key)) {
        let known: Vec<&str> = record.fields.iter().map(|field| field.name.as_str()).collect();
        let (name, known) = (record.name.name(), known.join(", "));
        return Err(Mismatch::new(format!("{name} has no field {unknown:?}; it has: {known}")));
    }
    let fields = record.fields.iter().map(|field| {
        let given = object.get(&field.name).map(|json| (json, reading));
        let default = Reading { form: Form::Default, ..reading };
        let given = given.or_else(|| field.default.as_ref().map(|json| (json, default)));
        let (json, reading) = given.ok_or_else(|| Mismatch::new("the field is missing").inside(&field.name))?;
        Ok((field.name.clone(), read(&field.schema, json, reading).map_err(|m| m.inside(&field.name))?))
    });
    Ok(Value::Record(fields.collect::<Result<_, Mismatch>>()?))
}

fn union_value(union: &UnionSchema, json: &Json, reading: Reading<'_>) -> Result<Value, Mismatch> {
    let json = unwrapped(union, json);
    let mut first_mismatch = None;
    for (index, variant) in union.variants().iter().enumerate() {
        match read(variant, json, reading) {
            Ok(value) => return Ok(Value::Union(index as u32, Box::new(value))),
            // "expected null" helps a person less than the complaint of another branch
            Err(mismatch) if !matches!(variant, Schema::Null) => {
                first_mismatch.get_or_insert(mismatch);
            }
            Err(_) => {}
        }
    }
    Err(first_mismatch.unwrap_or_else(|| Mismatch::expected("null", json)))
}

/// The value inside the Avro specification's `{"type name": value}`, where `json` has that form.
fn unwrapped<'j>(union: &UnionSchema, json: &'j Json) -> &'j Json {
    let Some((key, inner)) = json.as_object().filter(|object| object.len() == 1).and_then(|o| o.iter().next()) else {
        return json;
    };
    let named = |variant: &Schema| match (variant, key.as_str()) {
        (Schema::Boolean, "boolean") | (Schema::Int | Schema::Date | Schema::TimeMillis, "int") => true,
        (Schema::Long | Schema::TimeMicros, "long") => true,
        (Schema::TimestampMillis | Schema::TimestampMicros | Schema::TimestampNanos, "long") => true,
        (Schema::LocalTimestampMillis | Schema::LocalTimestampMicros | Schema::LocalTimestampNanos, "long") => true,
        (Schema::Float, "float") | (Schema::Double, "double") => true,
        (Schema::Bytes, "bytes") | (Schema::String | Schema::Uuid(UuidSchema::String), "string") => true,
        (Schema::Decimal(DecimalSchema { inner: InnerDecimalSchema::Bytes, .. }), "bytes") => true,
        (variant, key) => variant.name().is_some_and(|name| name.to_string() == key),
    };
    if union.variants().iter().any(named) { inner } else { json }
}

fn long(json: &Json) -> Result<i64, Mismatch> {
    json.as_i64().ok_or_else(|| Mismatch::expected("a whole number of 64 bits", json))
}

fn int(json: &Json) -> Result<i32, Mismatch> {
    let expected = "a whole number of 32 bits";
    let number = json.as_i64().ok_or_else(|| Mismatch::expected(expected, json))?;
    i32::try_from(number).map_err(|_| Mismatch::new(format!("expected {expected}, found {number}")))
}

fn double(json: &Json) -> Result<f64, Mismatch> {
    json.as_f64().ok_or_else(|| Mismatch::expected("a number", json))
}

/// A date or time: its number, or a text.
fn time<N>(
    json: &Json,
    form: Form,
    parse: impl Fn(&str) -> Result<N, String>,
    number: fn(&Json) -> Result<N, Mismatch>,
) -> Result<N, Mismatch> {
    match json {
        Json::String(text) if form != Form::Default => parse(text).map_err(Mismatch::new),
        Json::Number(_) => number(json),
        _ => Err(Mismatch::expected("a date or time (its number, or outside of a default a text)", json)),
    }
}

fn time_of_day(json: &Json, form: Form, unit: TimeUnit) -> Result<i64, Mismatch> {
    let number = time(json, form, |text| unit.time_of_day(text), long)?;
    unit.check_time_of_day(number).map_err(Mismatch::new)?;
    Ok(number)
}

fn decimal_bytes(schema: &DecimalSchema, json: &Json, form: Form) -> Result<Vec<u8>, Mismatch> {
    if form == Form::Default {
        return default_decimal_bytes(schema, json);
    }
    let text = json.as_str().ok_or_else(|| Mismatch::expected("a decimal as a text, such as \"12.50\"", json))?;
    DecimalType::from(schema).parse(text).map(Decimal::bytes).map_err(Mismatch::new)
}

fn default_decimal_bytes(schema: &DecimalSchema, json: &Json) -> Result<Vec<u8>, Mismatch> {
    let bytes = bytes(json)?;
    // Every reader would take it for the bytes 0x30, 0x2e and so on: another number than its author means.
    if bytes.iter().all(|byte| byte.is_ascii_digit() || b"-+.".contains(byte)) {
        let problem = "a decimal's default is the text of its bytes, such as \"\\u0000\" for 0, not its digits";
        return Err(Mismatch::new(problem));
    }
    if let InnerDecimalSchema::Fixed(fixed) = &schema.inner {
        check_size(&bytes, fixed.size)?;
    }
    DecimalType::from(schema).from_bytes(&bytes).map(Decimal::bytes).map_err(Mismatch::new)
}

fn uuid(schema: &UuidSchema, json: &Json, form: Form) -> Result<Uuid, Mismatch> {
    match (schema, form) {
        (UuidSchema::Fixed(_), Form::Default) => {
            Uuid::from_slice(&bytes(json)?).map_err(|error| Mismatch::new(error.to_string()))
        }
        _ => parse_uuid(text(json)?).map_err(Mismatch::new),
    }
}

fn check_size(bytes: &[u8], size: usize) -> Result<(), Mismatch> {
    if bytes.len() == size {
        return Ok(());
    }
    Err(Mismatch::new(format!("expected {size} bytes, found {}", bytes.len())))
}

fn text(json: &Json) -> Result<&str, Mismatch> {
    let text = json.as_str().ok_or_else(|| Mismatch::expected("a text", json))?;
    check_text(text)?;
    Ok(text)
}

fn bytes(json: &Json) -> Result<Vec<u8>, Mismatch> {
    let text = json.as_str().ok_or_else(|| Mismatch::expected("bytes, as a text of code points 0 to 255", json))?;
    let bytes = text.chars().map(|c| u8::try_from(u32::from(c)));
    bytes.collect::<Result<_, _>>().map_err(|_| Mismatch::new("bytes: a code point is above 255"))
}
