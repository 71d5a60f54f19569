//! From Avro to JSON.

use apache_avro::Schema;
use apache_avro::types::Value;
use serde_json::Value as Json;

use super::{Mismatch, check_text};
use crate::logical::DecimalType;

/// Converts a value of `schema` to JSON in the form that [`avro_from_json`] reads.
///
/// # Errors
/// When a text holds U+0000, or the value is of a type without JSON form here.
pub fn json_from_avro(schema: &Schema, value: &Value) -> Result<Json, Mismatch> {
    Ok(match (schema, value) {
        (_, Value::Null) => Json::Null,
        (_, Value::Boolean(b)) => Json::Bool(*b),
        (_, Value::Int(n) | Value::Date(n) | Value::TimeMillis(n)) => (*n).into(),
        (_, Value::Long(n) | Value::TimeMicros(n)) => (*n).into(),
        (_, Value::TimestampMillis(n) | Value::TimestampMicros(n) | Value::TimestampNanos(n)) => (*n).into(),
        (_, Value::LocalTimestampMillis(n) | Value::LocalTimestampMicros(n) | Value::LocalTimestampNanos(n)) => {
            (*n).into()
        }
        (_, Value::Float(x)) => finite(f64::from(*x))?,
        (_, Value::Double(x)) => finite(*x)?,
        (_, Value::String(text) | Value::Enum(_, text)) => {
            check_text(text)?;
            Json::String(text.clone())
        }
        (_, Value::Uuid(uuid)) => Json::String(uuid.to_string()),
        (_, Value::Bytes(bytes) | Value::Fixed(_, bytes)) => {
            Json::String(bytes.iter().map(|byte| char::from(*byte)).collect())
        }
        (Schema::Decimal(schema), Value::Decimal(decimal)) => {
            let bytes = Vec::try_from(decimal).map_err(|error| Mismatch::new(error.to_string()))?;
            let decimal = DecimalType::from(schema).from_bytes(&bytes).map_err(Mismatch::new)?;
            Json::String(decimal.to_string())
        }
        (Schema::Union(union), Value::Union(branch, inner)) => {
            json_from_avro(union.variants().get(*branch as usize).unwrap_or(&Schema::Null), inner)?
        }
        (Schema::Array(array), Value::Array(items)) => {
            Json::Array(items.iter().map(|item| json_from_avro(&array.items, item)).collect::<Result<_, _>>()?)
        }
        (Schema::Map(map), Value::Map(entries)) => {
            object(entries.iter().map(|(key, value)| (key, &*map.types, value)))?
        }
        (Schema::Record(record), Value::Record(fields)) => {
            object(record.fields.iter().zip(fields).map(|(field, (name, value))| (name, &field.schema, value)))?
        }
        (_, other) => return Err(Mismatch::new(format!("the Avro value {other:?} has no JSON form here"))),
    })
}

fn object<'v>(entries: impl Iterator<Item = (&'v String, &'v Schema, &'v Value)>) -> Result<Json, Mismatch> {
    let entries = entries.map(|(name, schema, value)| {
        check_text(name)?;
        Ok((name.clone(), json_from_avro(schema, value).map_err(|m| m.inside(name))?))
    });
    Ok(Json::Object(entries.collect::<Result<_, Mismatch>>()?))
}

fn finite(x: f64) -> Result<Json, Mismatch> {
    serde_json::Number::from_f64(x).map(Json::Number).ok_or_else(|| Mismatch::new("the number is not finite"))
}
