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
        ("price", serde_json::json!(12.5), "price: expected a decimal as a text, such as \"12.50\", found a fraction"),
        ("id", serde_json::json!("42"), "id: \"42\" is not a uuid"),
        ("opens", serde_json::json!(86_400_000), "opens: 86400000 is not a time of day"),
        ("opens", serde_json::json!("9:30"), "opens: \"9:30\" is not a time of day"),
        ("local", serde_json::json!("1970-01-01T00:00:00Z"), "local: \"1970-01-01T00:00:00Z\" is not a local time"),
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

#[test]
fn a_rust_value_that_does_not_fit_is_refused_with_its_place() {
    #[derive(serde::Serialize)]
    struct Item {
        sku: &'static str,
        quantity: i64,
    }
    #[derive(serde::Serialize)]
    struct Order {
        hash: Bytes,
        note: Option<&'static str>,
        items: Vec<Item>,
    }
    struct Bytes;
    impl serde::Serialize for Bytes {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_bytes(&[1, 255])
        }
    }
    let item = r#"{"type": "record", "name": "Item", "fields": [
        {"name": "sku", "type": "string"}, {"name": "quantity", "type": "int"}]}"#;
    let schema = format!(
        r#"{{"type": "record", "name": "Order", "fields": [{{"name": "hash", "type": "bytes"}},
            {{"name": "note", "type": ["null", "string"]}},
            {{"name": "items", "type": {{"type": "array", "items": {item}}}}}]}}"#
    );
    let schema = RecordSchema::parse(Topic::Events, 7, &schema).unwrap();
    let order = |quantity| Order { hash: Bytes, note: Some("x"), items: vec![Item { sku: "a", quantity }] };
    assert!(schema.encode(&order(1)).is_ok());
    let refused = schema.encode(&order(1 << 40)).unwrap_err();
    assert_eq!(refused.problem(), "items[0].quantity: expected a whole number of 32 bits, found 1099511627776");
}

#[test]
fn dates_and_times_are_shown_as_they_may_be_written() {
    let text = r#"{"type": "record", "name": "R", "fields": [
        {"name": "day", "type": ["null", {"type": "int", "logicalType": "date"}]},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "opens", "type": {"type": "array", "items": {"type": "int", "logicalType": "time-millis"}}},
        {"name": "local", "type": {"type": "long", "logicalType": "local-timestamp-millis"}}]}"#;
    let schema = RecordSchema::parse(Topic::Events, 7, text).unwrap();
    let written = serde_json::json!({"day": "2026-12-24", "at": "2026-12-24T18:00:00.5Z", "opens": ["09:30:00"],
        "local": "2026-12-24T18:00:00"});
    assert_eq!(schema.readable_json(&schema.encode_json(&written).unwrap()).unwrap(), written);
}
