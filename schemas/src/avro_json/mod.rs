//! Converts JSON to Avro and back, by a schema.
//!
//! The JSON is what a person would write: a record is an object of its fields; a union's value stands bare (the Avro
//! specification's wrapped form, `{"long": 5}`, works too); a date or time is its number or an ISO text; a decimal and a
//! uuid are texts; bytes and fixed are text of code points 0 to 255. A missing field takes its default; an unknown field
//! is an error.

mod from_json;
mod readable;
mod to_json;

use serde_json::Value as Json;

pub use from_json::avro_from_json;
pub(crate) use from_json::{avro_from_default, misfit_of_serialized};
pub(crate) use readable::with_texts_of_times;
pub use to_json::json_from_avro;

/// Where and why a JSON value does not fit its schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}{}{problem}", if path.is_empty() { "" } else { ": " })]
pub struct Mismatch {
    /// The place, such as `entries[2].amount_minor`; empty for the whole value.
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

/// Postgres can't store U+0000 in text or JSONB, so no incoming text may hold it.
pub(crate) fn check_text(text: &str) -> Result<(), Mismatch> {
    if text.contains('\0') {
        return Err(Mismatch::new("the text has a U+0000 character, which the log can't store"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use apache_avro::Schema;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn schema(name: &str) -> Schema {
        let text = match name {
            "OpenTicket" => {
                r#"{"type": "record", "name": "OpenTicket", "fields": [
                {"name": "account_id", "type": "string"},
                {"name": "currency", "type": "string"},
                {"name": "overdraft_limit_minor", "type": ["null", "long"], "default": null}]}"#
            }
            "PlaceOrder" => {
                r#"{"type": "record", "name": "PlaceOrder", "fields": [
                {"name": "entry_set_id", "type": "string"},
                {"name": "reporting_at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
                {"name": "description", "type": "string"},
                {"name": "entries", "type": {"type": "array", "items": {"type": "record", "name": "Entry", "fields": [
                    {"name": "account_id", "type": "string"}, {"name": "amount_minor", "type": "long"}]}}}]}"#
            }
            "CloseTicket" => {
                r#"{"type": "record", "name": "CloseTicket", "fields": [
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
        let open = &schema("OpenTicket");
        let bare = avro_from_json(open, &json!({"account_id": "1", "currency": "CZK", "overdraft_limit_minor": 5}));
        let wrapped =
            avro_from_json(open, &json!({"account_id": "1", "currency": "CZK", "overdraft_limit_minor": {"long": 5}}));
        assert_eq!(bare, wrapped);
        let left_out = avro_from_json(open, &json!({"account_id": "1", "currency": "CZK"})).unwrap();
        assert_eq!(json_from_avro(open, &left_out).unwrap()["overdraft_limit_minor"], Json::Null);
        let instant = |at: Json| {
            let set = json!({"entry_set_id": "s", "reporting_at": at, "description": "", "entries": []});
            let schema = &schema("PlaceOrder");
            json_from_avro(schema, &avro_from_json(schema, &set).unwrap()).unwrap()["reporting_at"].clone()
        };
        assert_eq!(instant(json!("1993-01-01T00:00:00Z")), instant(json!(725_846_400_000_000_i64)));
    }

    #[test]
    fn a_mismatch_names_its_place() {
        let set =
            |entries: Json| json!({"entry_set_id": "s", "reporting_at": 0, "description": "", "entries": entries});
        assert_eq!(
            mismatch("PlaceOrder", set(json!([{"account_id": "a", "amount_minor": 1.5}]))),
            "entries[0].amount_minor: expected a whole number of 64 bits, found a fraction"
        );
        for (amount, found) in [
            (json!(u64::MAX), "an integer that is too large"),
            (json!(1e30), "a number that is too large"),
            (json!(5.0), "a number written with a point or an exponent"),
        ] {
            let mismatch = mismatch("PlaceOrder", set(json!([{"account_id": "a", "amount_minor": amount}])));
            assert!(mismatch.ends_with(&format!("found {found}")), "{mismatch}");
        }
        assert_eq!(mismatch("CloseTicket", json!({"account_id": 5})), "account_id: expected a text, found an integer");
        assert_eq!(
            mismatch("OpenTicket", json!({"account_id": "1", "currency": "CZK", "overdraft": 5})),
            "OpenTicket has no field \"overdraft\"; it has: account_id, currency, overdraft_limit_minor"
        );
        assert_eq!(
            mismatch("OpenTicket", json!({"account_id": "1", "currency": "CZK", "overdraft_limit_minor": "5"})),
            "overdraft_limit_minor: expected a whole number of 64 bits, found a text"
        );
        assert_eq!(mismatch("CloseTicket", json!({})), "account_id: the field is missing");
        assert_eq!(
            mismatch("PlaceOrder", set(json!([{"account_id": "a"}]))),
            "entries[0].amount_minor: the field is missing"
        );
        assert_eq!(mismatch("CloseTicket", json!([])), "expected an object, found an array");
        assert!(mismatch("CloseTicket", json!({"account_id": "a\0"})).contains("U+0000"));
    }

    proptest! {
        #[test]
        fn what_is_read_from_json_is_written_to_json_the_same(
            account_id in "[^\0]{0,20}", currency in "[^\0]{0,5}", limit in proptest::option::of(any::<i64>()),
        ) {
            let json = json!({"account_id": account_id, "currency": currency, "overdraft_limit_minor": limit});
            let avro = avro_from_json(&schema("OpenTicket"), &json).unwrap();
            prop_assert!(avro.validate(&schema("OpenTicket")));
            prop_assert_eq!(json_from_avro(&schema("OpenTicket"), &avro).unwrap(), json);
        }
    }

    #[test]
    fn a_few_bytes_of_json_do_not_become_any_number_of_defaults() {
        let text = "x".repeat(1000);
        let schema = format!(
            r#"{{"type": "record", "name": "R", "fields": [{{"name": "items", "type": {{"type": "array", "items":
                {{"type": "record", "name": "I", "fields": [{{"name": "a", "type": "string", "default": "{text}"}}]}}}}}}]}}"#
        );
        let schema = Schema::parse_str(&schema).unwrap();
        let read = |count: usize| avro_from_json(&schema, &json!({"items": vec![json!({}); count]}));
        assert!(read(10_000).is_ok());
        assert!(read(20_000).unwrap_err().to_string().contains("defaults than 16 MiB hold"));
    }
}
