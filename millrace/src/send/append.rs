//! The built-in command `Append`, whose JSON has the events' own fields, and so does not follow the command's schema.

use millrace_schemas::{LogDefinition, Received, StreamId, Topic};
use serde_json::Value;

/// Checks the events of an `Append` against their schemas. Returns the id of its first stream, which is the record's
/// key. The writer checks the rest.
///
/// # Errors
/// When the JSON is not an `Append`, or an event does not fit its schema; the error names the place.
pub fn first_stream(definition: &LogDefinition, append: &Value) -> Result<StreamId, String> {
    let form =
        r#"Append has the form {"streams": [{"stream": "order-1", "events": [{"type": "OrderPlaced", "data": {…}}]}]}"#;
    let streams = append.get("streams").and_then(Value::as_array).filter(|streams| !streams.is_empty());
    let streams = streams.ok_or(form)?;
    let mut first = None;
    for (index, stream) in streams.iter().enumerate() {
        let id = stream.get("stream").and_then(Value::as_str).ok_or_else(|| format!("streams[{index}]: {form}"))?;
        let id: StreamId = id.parse().map_err(|error| format!("streams[{index}]: {error}"))?;
        first.get_or_insert(id);
        let events = stream.get("events").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for (number, event) in events.iter().enumerate() {
            check(definition, event).map_err(|problem| format!("streams[{index}].events[{number}]: {problem}"))?;
        }
    }
    first.ok_or_else(|| form.to_owned())
}

fn check(definition: &LogDefinition, event: &Value) -> Result<(), String> {
    let name = event.get("type").and_then(Value::as_str).ok_or("an event needs a type")?;
    let record = definition.record(Topic::Events, name).ok_or_else(|| {
        let known = definition.names(Topic::Events).join(", ");
        format!("the log has no event {name:?}; it has: {known}")
    })?;
    let data = event.get("data").ok_or("an event needs data")?;
    Received::from_json(record.unregistered(), data).map(drop).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_that_does_not_fit_is_refused_with_its_place() {
        let event = r#"{"type": "record", "name": "OrderPlaced", "fields": [{"name": "total_minor", "type": "long"}]}"#;
        let definition = LogDefinition::parse("orders", &[LogDefinition::APPEND], &[event]).unwrap();
        let append = |kind: &str, data: Value| {
            let event = serde_json::json!({"type": kind, "data": data});
            first_stream(&definition, &serde_json::json!({"streams": [{"stream": "order-1", "events": [event]}]}))
        };
        let fits = serde_json::json!({"total_minor": 5});
        assert_eq!(append("OrderPlaced", fits.clone()).unwrap().as_str(), "order-1");
        let expected = "streams[0].events[0]: the log has no event \"OrderPaid\"; it has: OrderPlaced";
        assert_eq!(append("OrderPaid", fits).unwrap_err(), expected);
        assert!(append("OrderPlaced", serde_json::json!({})).unwrap_err().contains("total_minor"));
        assert!(first_stream(&definition, &serde_json::json!({"streams": []})).is_err());
    }
}
