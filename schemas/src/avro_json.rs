//! Converts JSON to Avro and back, by a schema.
//!
//! The JSON is what a person would write: a record is an object of its fields; a union's value stands bare (the Avro
//! specification's wrapped form, `{"long": 5}`, works too); a timestamp is its number or an RFC 3339 text; bytes and
//! fixed are text of code points 0 to 255. A missing field takes its default; an unknown field is an error.

use apache_avro::Schema;
use apache_avro::schema::{RecordSchema, UnionSchema};
use apache_avro::types::Value;
use serde_json::Value as Json;

/// Where and why a JSON value does not fit its schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {problem}", if path.is_empty() { "value" } else { path })]
pub struct Mismatch {
    /// The place, such as `entries[2].amount_minor`.
    pub path: String,
    /// What is wrong there.
    pub problem: String,
}

impl Mismatch {
    pub(crate) fn new(problem: impl Into<String>) -> Self {
        Self { path: String::new(), problem: problem.into() }
    }

    fn expected(what: &str, found: &Json) -> Self {
        let found = match found {
            Json::Null => "null",
            Json::Bool(_) => "a boolean",
            Json::Number(number) if number.is_i64() => "an integer",
            Json::Number(number) if number.is_u64() => "an integer that is too large",
            Json::Number(number) => match number.as_f64() {
                Some(x) if x.fract() != 0.0 => "a fraction",
                Some(x) if x.abs() < 9.3e18 => "a number written with a point or an exponent",
                _ => "a number that is too large",
            },
            Json::String(_) => "a text",
            Json::Array(_) => "an array",
            Json::Object(_) => "an object",
        };
        Self::new(format!("expected {what}, found {found}"))
    }

    pub(crate) fn inside(mut self, step: &str) -> Self {
        let joint = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{step}{joint}{}", self.path);
        self
    }
}

/// Converts `json` to an Avro value of `schema`.
///
/// # Errors
/// When the JSON does not fit; the error names the first place that does not.
pub fn avro_from_json(schema: &Schema, json: &Json) -> Result<Value, Mismatch> {
    let value = match schema {
        Schema::Null if json.is_null() => Value::Null,
        Schema::Null => return Err(Mismatch::expected("null", json)),
        Schema::Boolean => Value::Boolean(json.as_bool().ok_or_else(|| Mismatch::expected("a boolean", json))?),
        Schema::Int => Value::Int(int(json)?),
        Schema::Long => Value::Long(long(json)?),
        Schema::Float => Value::Float(double(json)? as f32),
        Schema::Double => Value::Double(double(json)?),
        Schema::String => Value::String(text(json)?.to_owned()),
        Schema::Bytes => Value::Bytes(bytes(json)?),
        Schema::Date => Value::Date(int(json)?),
        Schema::TimestampMillis => Value::TimestampMillis(instant(json, jiff::Timestamp::as_millisecond)?),
        Schema::TimestampMicros => Value::TimestampMicros(instant(json, jiff::Timestamp::as_microsecond)?),
        Schema::Enum(symbols) => {
            let symbol = text(json)?;
            let index = symbols.symbols.iter().position(|s| s == symbol);
            let index =
                index.ok_or_else(|| Mismatch::new(format!("{symbol:?} is not one of {:?}", symbols.symbols)))?;
            Value::Enum(index as u32, symbol.to_owned())
        }
        Schema::Fixed(fixed) => {
            let bytes = bytes(json)?;
            if bytes.len() != fixed.size {
                return Err(Mismatch::new(format!("expected {} bytes, found {}", fixed.size, bytes.len())));
            }
            Value::Fixed(fixed.size, bytes)
        }
        Schema::Array(array) => {
            let items = json.as_array().ok_or_else(|| Mismatch::expected("an array", json))?;
            let items = items.iter().enumerate();
            let items =
                items.map(|(i, item)| avro_from_json(&array.items, item).map_err(|m| m.inside(&format!("[{i}]"))));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        Schema::Map(map) => {
            let entries = json.as_object().ok_or_else(|| Mismatch::expected("an object", json))?;
            let entries = entries.iter().map(|(key, item)| {
                check_text(key)?;
                Ok((key.clone(), avro_from_json(&map.types, item).map_err(|m| m.inside(key))?))
            });
            Value::Map(entries.collect::<Result<_, Mismatch>>()?)
        }
        Schema::Union(union) => union_value(union, json)?,
        Schema::Record(record) => record_value(record, json)?,
        other => {
            return Err(Mismatch::new(format!("JSON for the Avro type {other:?} is not supported")));
        }
    };
    Ok(value)
}

/// Whether values of a type that holds no others have a JSON form here.
pub(crate) fn has_json_form(schema: &Schema) -> bool {
    use Schema::{
        Boolean, Bytes, Date, Double, Enum, Fixed, Float, Int, Long, Null, String, TimestampMicros, TimestampMillis,
    };
    matches!(schema, Null | Boolean | Int | Long | Float | Double | String | Bytes | Date)
        || matches!(schema, TimestampMillis | TimestampMicros | Enum(_) | Fixed(_))
}

fn record_value(record: &RecordSchema, json: &Json) -> Result<Value, Mismatch> {
    let object = json.as_object().ok_or_else(|| Mismatch::expected("an object", json))?;
    if let Some(unknown) = object.keys().find(|key| !record.lookup.contains_key(*key)) {
        return Err(Mismatch::new(format!("{} has no field {unknown:?}", record.name.name())));
    }
    let fields = record.fields.iter().map(|field| {
        let json = object.get(&field.name).or(field.default.as_ref());
        let json = json.ok_or_else(|| Mismatch::new(format!("field {:?} is missing", field.name)))?;
        Ok((field.name.clone(), avro_from_json(&field.schema, json).map_err(|m| m.inside(&field.name))?))
    });
    Ok(Value::Record(fields.collect::<Result<_, Mismatch>>()?))
}

fn union_value(union: &UnionSchema, json: &Json) -> Result<Value, Mismatch> {
    let json = unwrapped(union, json);
    let mut first_mismatch = None;
    for (index, variant) in union.variants().iter().enumerate() {
        match avro_from_json(variant, json) {
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
        (Schema::Boolean, "boolean") | (Schema::Int | Schema::Date, "int") => true,
        (Schema::Long | Schema::TimestampMillis | Schema::TimestampMicros, "long") => true,
        (Schema::Float, "float") | (Schema::Double, "double") => true,
        (Schema::Bytes, "bytes") | (Schema::String, "string") => true,
        (variant, key) => variant.name().is_some_and(|name| name.to_string() == key),
    };
    if union.variants().iter().any(named) { inner } else { json }
}

fn long(json: &Json) -> Result<i64, Mismatch> {
    json.as_i64().ok_or_else(|| Mismatch::expected("a whole number of 64 bits", json))
}

fn int(json: &Json) -> Result<i32, Mismatch> {
    let number = json.as_i64().and_then(|number| i32::try_from(number).ok());
    number.ok_or_else(|| Mismatch::expected("a whole number of 32 bits", json))
}

fn double(json: &Json) -> Result<f64, Mismatch> {
    json.as_f64().ok_or_else(|| Mismatch::expected("a number", json))
}

fn instant(json: &Json, number: fn(jiff::Timestamp) -> i64) -> Result<i64, Mismatch> {
    if let Some(text) = json.as_str() {
        let parsed =
            text.parse::<jiff::Timestamp>().map_err(|e| Mismatch::new(format!("not an RFC 3339 time: {e}")))?;
        return Ok(number(parsed));
    }
    json.as_i64().ok_or_else(|| Mismatch::expected("a timestamp (its number, or an RFC 3339 text)", json))
}

fn text(json: &Json) -> Result<&str, Mismatch> {
    let text = json.as_str().ok_or_else(|| Mismatch::expected("a text", json))?;
    check_text(text)?;
    Ok(text)
}

/// Postgres can't store U+0000 in text or JSONB, so no incoming text may hold it.
pub(crate) fn check_text(text: &str) -> Result<(), Mismatch> {
    if text.contains('\0') {
        return Err(Mismatch::new("the text has a U+0000 character, which the log can't store"));
    }
    Ok(())
}

fn bytes(json: &Json) -> Result<Vec<u8>, Mismatch> {
    let text = json.as_str().ok_or_else(|| Mismatch::expected("bytes, as a text of code points 0 to 255", json))?;
    let bytes = text.chars().map(|c| u8::try_from(u32::from(c)));
    bytes.collect::<Result<_, _>>().map_err(|_| Mismatch::new("bytes: a code point is above 255"))
}

/// Converts a value to JSON in the form that [`avro_from_json`] reads.
///
/// # Errors
/// When a text holds U+0000, or the value is of a type without JSON form here.
pub fn json_from_avro(value: &Value) -> Result<Json, Mismatch> {
    Ok(match value {
        Value::Null => Json::Null,
        Value::Boolean(b) => Json::Bool(*b),
        Value::Int(n) | Value::Date(n) => (*n).into(),
        Value::Long(n) | Value::TimestampMillis(n) | Value::TimestampMicros(n) => (*n).into(),
        Value::Float(x) => finite(f64::from(*x))?,
        Value::Double(x) => finite(*x)?,
        Value::String(text) | Value::Enum(_, text) => {
            check_text(text)?;
            Json::String(text.clone())
        }
        Value::Bytes(bytes) | Value::Fixed(_, bytes) => {
            Json::String(bytes.iter().map(|byte| char::from(*byte)).collect())
        }
        Value::Union(_, inner) => json_from_avro(inner)?,
        Value::Array(items) => Json::Array(items.iter().map(json_from_avro).collect::<Result<_, _>>()?),
        Value::Map(entries) => object(entries.iter())?,
        Value::Record(fields) => object(fields.iter().map(|(name, value)| (name, value)))?,
        other => return Err(Mismatch::new(format!("the Avro value {other:?} has no JSON form here"))),
    })
}

fn object<'v>(entries: impl Iterator<Item = (&'v String, &'v Value)>) -> Result<Json, Mismatch> {
    let entries = entries.map(|(name, value)| {
        check_text(name)?;
        Ok((name.clone(), json_from_avro(value).map_err(|m| m.inside(name))?))
    });
    Ok(Json::Object(entries.collect::<Result<_, Mismatch>>()?))
}

fn finite(x: f64) -> Result<Json, Mismatch> {
    serde_json::Number::from_f64(x).map(Json::Number).ok_or_else(|| Mismatch::new("the number is not finite"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn schema(name: &str) -> Schema {
        let text = match name {
            "OpenAccount" => {
                r#"{"type": "record", "name": "OpenAccount", "fields": [
                {"name": "account_id", "type": "string"},
                {"name": "currency", "type": "string"},
                {"name": "overdraft_limit_minor", "type": ["null", "long"], "default": null}]}"#
            }
            "PostEntrySet" => {
                r#"{"type": "record", "name": "PostEntrySet", "fields": [
                {"name": "entry_set_id", "type": "string"},
                {"name": "reporting_at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
                {"name": "description", "type": "string"},
                {"name": "entries", "type": {"type": "array", "items": {"type": "record", "name": "Entry", "fields": [
                    {"name": "account_id", "type": "string"}, {"name": "amount_minor", "type": "long"}]}}}]}"#
            }
            "CloseAccount" => {
                r#"{"type": "record", "name": "CloseAccount", "fields": [
                {"name": "account_id", "type": "string"}]}"#
            }
            other => panic!("{other} is no record of this test"),
        };
        Schema::parse_str(text).unwrap()
    }

    fn mismatch(name: &str, json: Json) -> String {
        avro_from_json(&schema(name), &json).unwrap_err().to_string()
    }

    #[test]
    fn a_person_can_write_what_the_schema_says() {
        let open = &schema("OpenAccount");
        let bare = avro_from_json(open, &json!({"account_id": "1", "currency": "CZK", "overdraft_limit_minor": 5}));
        let wrapped =
            avro_from_json(open, &json!({"account_id": "1", "currency": "CZK", "overdraft_limit_minor": {"long": 5}}));
        assert_eq!(bare, wrapped);
        let left_out = avro_from_json(open, &json!({"account_id": "1", "currency": "CZK"})).unwrap();
        assert_eq!(json_from_avro(&left_out).unwrap()["overdraft_limit_minor"], Json::Null);
        let instant = |at: Json| {
            let set = json!({"entry_set_id": "s", "reporting_at": at, "description": "", "entries": []});
            json_from_avro(&avro_from_json(&schema("PostEntrySet"), &set).unwrap()).unwrap()["reporting_at"].clone()
        };
        assert_eq!(instant(json!("1993-01-01T00:00:00Z")), instant(json!(725_846_400_000_000_i64)));
    }

    #[test]
    fn a_mismatch_names_its_place() {
        let set =
            |entries: Json| json!({"entry_set_id": "s", "reporting_at": 0, "description": "", "entries": entries});
        assert_eq!(
            mismatch("PostEntrySet", set(json!([{"account_id": "a", "amount_minor": 1.5}]))),
            "entries[0].amount_minor: expected a whole number of 64 bits, found a fraction"
        );
        for (amount, found) in [
            (json!(u64::MAX), "an integer that is too large"),
            (json!(1e30), "a number that is too large"),
            (json!(5.0), "a number written with a point or an exponent"),
        ] {
            let mismatch = mismatch("PostEntrySet", set(json!([{"account_id": "a", "amount_minor": amount}])));
            assert!(mismatch.ends_with(&format!("found {found}")), "{mismatch}");
        }
        assert_eq!(mismatch("CloseAccount", json!({"account_id": 5})), "account_id: expected a text, found an integer");
        assert_eq!(
            mismatch("OpenAccount", json!({"account_id": "1", "currency": "CZK", "overdraft": 5})),
            "value: OpenAccount has no field \"overdraft\""
        );
        assert_eq!(
            mismatch("OpenAccount", json!({"account_id": "1", "currency": "CZK", "overdraft_limit_minor": "5"})),
            "overdraft_limit_minor: expected a whole number of 64 bits, found a text"
        );
        assert_eq!(mismatch("CloseAccount", json!({})), "value: field \"account_id\" is missing");
        assert_eq!(mismatch("CloseAccount", json!([])), "value: expected an object, found an array");
        assert!(mismatch("CloseAccount", json!({"account_id": "a\0"})).contains("U+0000"));
    }

    proptest! {
        #[test]
        fn what_is_read_from_json_is_written_to_json_the_same(
            account_id in "[^\0]{0,20}", currency in "[^\0]{0,5}", limit in proptest::option::of(any::<i64>()),
        ) {
            let json = json!({"account_id": account_id, "currency": currency, "overdraft_limit_minor": limit});
            let avro = avro_from_json(&schema("OpenAccount"), &json).unwrap();
            prop_assert!(avro.validate(&schema("OpenAccount")));
            prop_assert_eq!(json_from_avro(&avro).unwrap(), json);
        }
    }
}
