//! The printed form of an event.

use std::fmt::Write;

use jiff::Timestamp;
use millrace_schemas::{Metadata, RecordedEvent, StreamId};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::output::escaped;

/// An event, decoded for people.
#[derive(Debug, Serialize)]
pub struct PrintedEvent {
    pub partition: i32,
    pub position: i64,
    pub stream_id: StreamId,
    pub version: i64,
    pub r#type: &'static str,
    pub event_id: Uuid,
    pub recorded_at: Timestamp,
    #[serde(flatten)]
    pub metadata: Metadata,
    /// The decoded datum; absent when it can't be decoded.
    pub data: Option<Value>,
    /// Why the datum can't be decoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl From<RecordedEvent> for PrintedEvent {
    fn from(event: RecordedEvent) -> Self {
        let (data, problem) = match event.schema.json(event.datum()) {
            Ok(data) => (Some(data), None),
            Err(error) => (None, Some(error.to_string())),
        };
        Self {
            partition: event.partition,
            position: event.position,
            r#type: event.event_type(),
            stream_id: event.stream_id,
            version: event.version,
            event_id: event.event_id,
            recorded_at: event.recorded_at,
            metadata: event.metadata,
            data,
            problem,
        }
    }
}

impl PrintedEvent {
    /// The data as one line, or why they can't be decoded.
    pub fn data_line(&self) -> String {
        let data = self.data.as_ref().map(ToString::to_string);
        escaped(&data.or_else(|| self.problem.clone()).unwrap_or_default())
    }

    /// The known ones of user, source and correlation id, as text.
    pub fn origin(&self) -> String {
        let Metadata { correlation_id, user_id, source, .. } = &self.metadata;
        let known = [("by", user_id), ("from", source), ("correlation", correlation_id)];
        known.into_iter().fold(String::new(), |mut text, (word, value)| {
            if let Some(value) = value {
                let space = if text.is_empty() { "" } else { " " };
                let _ = write!(text, "{space}{word} {}", escaped(value));
            }
            text
        })
    }

    /// The event's line in the output of `events`. It begins like the lines of `tail`.
    pub fn line(&self) -> String {
        let Self { partition, position, recorded_at, stream_id, version, r#type, .. } = self;
        let (data, origin) = (self.data_line(), self.origin());
        let origin = if origin.is_empty() { origin } else { format!("  {origin}") };
        format!(
            "{partition}@{position}  {recorded_at}  {stream_id} version {version}  {}  {data}{origin}",
            escaped(r#type)
        )
    }
}

#[cfg(test)]
mod tests {
    use millrace_schemas::{RecordSchema, Topic};

    use super::*;

    const RENAMED: &str = r#"{"type": "record", "name": "Renamed", "fields": [{"name": "name", "type": "string"}]}"#;

    fn event(metadata: Metadata, datum: &[u8]) -> PrintedEvent {
        let schema = RecordSchema::parse(Topic::Events, 7, RENAMED).expect("a schema");
        let event = RecordedEvent {
            partition: 3,
            position: 17,
            stream_id: "account-1".parse().expect("a stream id"),
            version: 2,
            event_id: Uuid::nil(),
            schema,
            value: RecordedEvent::framed(schema, datum),
            metadata,
            recorded_at: Timestamp::UNIX_EPOCH,
        };
        event.into()
    }

    #[test]
    fn an_event_is_told_with_who_and_when_and_without_control_characters() {
        let source = Some("shop\u{1b}".to_owned());
        let metadata = Metadata { user_id: Some("alice".into()), source, ..Metadata::default() };
        let printed = event(metadata, b"\x06Bob");
        let start = "3@17  1970-01-01T00:00:00Z  account-1 version 2  Renamed";
        assert_eq!(printed.line(), format!(r#"{start}  {{"name":"Bob"}}  by alice from shop\u{{1b}}"#));
        let json = serde_json::to_value(&printed).expect("JSON");
        assert_eq!((&json["data"]["name"], &json["user_id"]), (&"Bob".into(), &"alice".into()));
        assert_eq!((&json["recorded_at"], &json["type"]), (&"1970-01-01T00:00:00Z".into(), &"Renamed".into()));
        assert!(json.get("correlation_id").is_none() && json.get("problem").is_none(), "{json}");
    }

    #[test]
    fn an_event_that_can_not_be_decoded_is_told_with_its_problem() {
        let printed = event(Metadata::default(), b"\x06Bo");
        assert!(printed.data.is_none() && printed.line().contains("no datum of schema 7 (Renamed)"), "{printed:?}");
        assert_eq!(printed.origin(), "");
    }
}
