//! Reading `Append`, as JSON and as Avro.

use millrace_schemas::{LogDefinition, Topic};
use serde_json::{Value, json};

use super::*;

const ORDER_PLACED: &str = r#"{"type": "record", "name": "OrderPlaced", "namespace": "shop", "fields": [
    {"name": "order_id", "type": "string"}, {"name": "total_minor", "type": "long"}]}"#;

fn appends() -> Appends {
    let schema = |topic, id, text| RecordSchema::parse(topic, id, text).unwrap();
    let placed = schema(Topic::Events, 7, ORDER_PLACED);
    let append = schema(Topic::Commands, 8, LogDefinition::APPEND);
    let encoder = Arc::new(Encoder::of(&[placed], placed));
    Appends { schema: append, encoder, stream_types: vec!["order".into()], max_events: 3 }
}

fn received(command: &Value) -> Received<'static> {
    appends().receive_json(command.to_string().as_bytes()).unwrap()
}

fn read(command: &Value) -> Result<Append, String> {
    let (read, _) = appends().read(&received(command)).unwrap();
    read.map_err(|rejection| rejection.code.into_owned())
}

fn placed(id: Option<&str>) -> Value {
    json!({"type": "OrderPlaced", "data": {"order_id": "1", "total_minor": 5}, "id": id})
}

#[test]
fn every_expected_version_is_read_in_both_of_its_forms() {
    for (written, expected) in [
        (json!("no-stream"), ExpectedVersion::NoStream),
        (json!("stream-exists"), ExpectedVersion::StreamExists),
        (json!("any"), ExpectedVersion::Any),
        (json!("7"), ExpectedVersion::Exact(7)),
        (json!(7), ExpectedVersion::Exact(7)),
        (json!(0), ExpectedVersion::NoStream),
    ] {
        let command =
            json!({"streams": [{"stream": "order-1", "expected_version": written, "events": [placed(None)]}]});
        assert_eq!(read(&command).unwrap().streams[0].expected, expected, "{written}");
    }
    let silent = json!({"streams": [{"stream": "order-1"}]});
    let append = read(&silent).unwrap();
    assert_eq!(append.streams[0].expected, ExpectedVersion::Any);
    assert!(append.streams[0].events.is_empty(), "only the version is checked");
}

#[test]
fn an_events_data_arrive_as_the_datum_of_its_schema_with_the_id_that_was_given() {
    let id = "0190c8f0-0000-7000-8000-000000000001";
    let append = read(&json!({"streams": [{"stream": "order-1", "events": [placed(Some(id))]}]})).unwrap();
    let event = &append.streams[0].events[0];
    assert_eq!(event.schema.schema.registry_id, 7);
    assert_eq!(event.schema.schema.json(&event.datum).unwrap(), json!({"order_id": "1", "total_minor": 5}));
    assert_eq!(event.id, Some(id.parse().unwrap()));
}

#[test]
fn the_same_append_has_the_same_hash_in_every_form_and_under_every_version_of_a_schema() {
    let appends = appends();
    let json = |id: Option<&str>, appends: &Appends| {
        let command = json!({"streams": [{"stream": "order-1", "expected_version": 0, "events": [placed(id)]}]});
        let received = appends.receive_json(command.to_string().as_bytes()).unwrap();
        appends.read(&received).unwrap().1
    };
    let schema = appends.encoder.event("OrderPlaced").unwrap().schema;
    let datum = schema.encode_json(&json!({"order_id": "1", "total_minor": 5})).unwrap();
    let event = AppendedEvent { data: framing::frame(7, &datum), id: None };
    let expected_version = Expected::Word("no-stream".into());
    let stream = record::StreamRecord { stream: "order-1".into(), expected_version, events: vec![event] };
    let avro = Received::from_value(appends.schema, &AppendRecord { streams: vec![stream] }).unwrap();
    avro.check().unwrap();
    let (append, hash) = appends.read(&avro).unwrap();
    assert!(append.is_ok());
    assert_eq!(hash, json(None, &appends));
    assert_ne!(hash, json(Some("0190c8f0-0000-7000-8000-000000000001"), &appends));

    let newer = ORDER_PLACED.replace("]}", r#", {"name": "note", "type": ["null", "string"], "default": null}]}"#);
    let newer = RecordSchema::parse(Topic::Events, 9, &newer).unwrap();
    let later = Appends { encoder: Arc::new(Encoder::of(&[newer], newer)), ..appends };
    assert_eq!(hash, json(None, &later));
}

#[test]
fn what_breaks_a_rule_is_rejected_with_a_code() {
    let one = |stream: &str| json!({"stream": stream, "events": [placed(None)]});
    let id = "0190c8f0-0000-7000-8000-000000000001";
    for (streams, code) in [
        (json!([]), "no_streams"),
        (json!([one("order")]), "invalid_stream_id"),
        (json!([one("cart-1")]), "unknown_stream_type"),
        (json!([one("order-1"), one("order-1")]), "stream_named_twice"),
        (json!([one("order-1"), one("order-2"), one("order-3"), one("order-4")]), "too_many_events"),
        (json!([{"stream": "order-1", "expected_version": "latest"}]), "invalid_expected_version"),
        (json!([{"stream": "order-1", "expected_version": -1}]), "invalid_expected_version"),
        (json!([{"stream": "order-1", "events": [placed(Some("5"))]}]), "invalid_event_id"),
        (json!([{"stream": "order-1", "events": [placed(Some(id)), placed(Some(id))]}]), "event_id_twice"),
    ] {
        assert_eq!(read(&json!({"streams": streams})).unwrap_err(), code, "{streams}");
    }
}

#[test]
fn what_is_not_an_event_of_the_log_is_unreadable_and_the_reason_names_its_place() {
    let unreadable = |command: Value| match appends().receive_json(command.to_string().as_bytes()) {
        Err(DecodeError::Unreadable { code, reason }) => (code, reason),
        other => panic!("{other:?}"),
    };
    let event =
        |kind: &str, data: Value| json!({"streams": [{"stream": "order-1", "events": [{"type": kind, "data": data}]}]});
    let (code, reason) = unreadable(event("OrderPaid", json!({})));
    assert_eq!((code, reason.contains("event 1 of stream order-1")), ("wrong_type", true), "{reason}");
    let (code, reason) = unreadable(event("OrderPlaced", json!({"order_id": "1"})));
    assert_eq!((code, reason.contains("total_minor")), ("schema_mismatch", true), "{reason}");
    assert_eq!(unreadable(json!({"streams": [], "stream": "order-1"})).0, "schema_mismatch");
    let foreign = AppendedEvent { data: framing::frame(9, &[]), id: None };
    let refused = appends().event(&foreign, "order-1").unwrap_err();
    assert!(matches!(refused, DecodeError::Unreadable { code: "unknown_schema_id", .. }), "{refused}");
}
