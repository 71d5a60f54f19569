//! An event as a record of the topic.

use std::fmt::{Display, Write as _};

use jiff::Timestamp;
use millrace_runtime::kafka::Outgoing;
use millrace_schemas::{LogName, RecordedEvent, headers};
use rdkafka::message::{Header, OwnedHeaders};

/// What a record takes in memory and on the wire beside its value: key, headers, bookkeeping.
const RECORD_COST: usize = 700;
/// Most headers of a record.
const HEADERS: usize = 14;

/// About how many bytes a record takes up.
pub(crate) fn size_of(event: &RecordedEvent) -> usize {
    RECORD_COST + event.value.len()
}

/// Makes records for one topic.
#[derive(Debug)]
pub(crate) struct Envelope {
    topic: String,
    /// The source of events whose command named none.
    source: String,
}

/// Texts on their way into headers, so that records share their memory.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    number: String,
    time: String,
    /// What `time` says. Events of one append share it.
    recorded_at: Option<Timestamp>,
}

impl Envelope {
    /// For a log's event topic.
    pub(crate) fn new(log: &LogName) -> Self {
        Self { topic: log.events_topic(), source: log.source() }
    }

    /// The record of an event.
    pub(crate) fn record<'a>(&'a self, event: &'a RecordedEvent, scratch: &mut Scratch) -> Outgoing<'a> {
        Outgoing {
            topic: &self.topic,
            partition: Some(event.partition),
            key: Some(event.stream_id.as_str().as_bytes()),
            value: Some(&event.value),
            headers: self.headers(event, scratch),
            timestamp: Some(event.recorded_at.as_millisecond()),
        }
    }

    fn headers(&self, event: &RecordedEvent, scratch: &mut Scratch) -> OwnedHeaders {
        let metadata = &event.metadata;
        let mut id = [0; uuid::fmt::Hyphenated::LENGTH];
        let id: &str = event.event_id.hyphenated().encode_lower(&mut id);
        let mut all = OwnedHeaders::new_with_capacity(HEADERS)
            .insert(text(headers::CE_SPECVERSION, "1.0"))
            .insert(text(headers::CE_ID, id))
            .insert(text(headers::CE_TYPE, event.event_type()))
            .insert(text(headers::CE_SOURCE, metadata.source.as_deref().unwrap_or(&self.source)))
            .insert(text(headers::CE_SUBJECT, event.stream_id.as_str()))
            .insert(text(headers::CE_TIME, scratch.time(event.recorded_at)))
            .insert(text(headers::CONTENT_TYPE, headers::AVRO))
            .insert(text(headers::STREAM_VERSION, scratch.number(event.version)))
            .insert(text(headers::LOG_POSITION, scratch.number(event.position)));
        for (name, value) in [
            (headers::TRACEPARENT, &metadata.traceparent),
            (headers::CORRELATION_ID, &metadata.correlation_id),
            (headers::CAUSATION_ID, &metadata.causation_id),
            (headers::USER_ID, &metadata.user_id),
            (headers::CLIENT_ADDRESS, &metadata.client_address),
        ] {
            if let Some(value) = value {
                all = all.insert(text(name, value));
            }
        }
        all
    }
}

impl Scratch {
    fn time(&mut self, recorded_at: Timestamp) -> &str {
        if self.recorded_at.replace(recorded_at) != Some(recorded_at) {
            write_over(&mut self.time, recorded_at);
        }
        &self.time
    }

    fn number(&mut self, number: i64) -> &str {
        write_over(&mut self.number, number);
        &self.number
    }
}

fn text<'a>(key: &'a str, value: &'a str) -> Header<'a, &'a str> {
    Header { key, value: Some(value) }
}

fn write_over(text: &mut String, value: impl Display) {
    text.clear();
    write!(text, "{value}").expect("a String takes any text");
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use millrace_schemas::{Metadata, RecordSchema, Topic};
    use rdkafka::message::Headers;
    use uuid::Uuid;

    use super::*;

    /// An event at a position, which is also its version and its id.
    pub(crate) fn event_at(partition: i32, position: i64) -> RecordedEvent {
        let avsc = r#"{"type": "record", "name": "OrderPlaced", "fields": [{"name": "amount", "type": "long"}]}"#;
        RecordedEvent {
            partition,
            position,
            stream_id: "account-7".parse().unwrap(),
            version: position,
            event_id: Uuid::from_u128(position as u128),
            schema: RecordSchema::parse(Topic::Events, 1, avsc).unwrap(),
            value: vec![0, 0, 0, 0, 1, 14],
            metadata: Metadata::default(),
            recorded_at: "2026-11-21T10:00:00.123456Z".parse().unwrap(),
        }
    }

    fn headers_of(record: &Outgoing<'_>) -> BTreeMap<String, String> {
        let text = |value: Option<&[u8]>| std::str::from_utf8(value.unwrap()).unwrap().to_owned();
        record.headers.iter().map(|header| (header.key.to_owned(), text(header.value))).collect()
    }

    fn owned(headers: &[(&str, &str)]) -> BTreeMap<String, String> {
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_record_is_a_cloud_event_with_its_place_in_the_log() {
        let metadata = Metadata { causation_id: Some("c-1".into()), ..Metadata::default() };
        let event = RecordedEvent { event_id: Uuid::from_u128(9), version: 5, metadata, ..event_at(3, 42) };
        let envelope = Envelope::new(&"orders".parse().unwrap());
        let record = envelope.record(&event, &mut Scratch::default());
        assert_eq!(
            (record.partition, record.key, record.timestamp),
            (Some(3), Some(&b"account-7"[..]), Some(1795255200123))
        );
        assert_eq!(record.value, Some(&[0, 0, 0, 0, 1, 14][..]), "what the log stores, in its frame");
        let expected = owned(&[
            ("ce_specversion", "1.0"),
            ("ce_id", "00000000-0000-0000-0000-000000000009"),
            ("ce_type", "OrderPlaced"),
            ("ce_source", "millrace/orders"),
            ("ce_subject", "account-7"),
            ("ce_time", "2026-11-21T10:00:00.123456Z"),
            ("content-type", "application/avro"),
            ("stream-version", "5"),
            ("log-position", "42"),
            ("causation-id", "c-1"),
        ]);
        assert_eq!(headers_of(&record), expected);
    }

    #[test]
    fn a_record_carries_all_metadata_that_postgres_has() {
        let some = |text: &str| Some(text.to_owned());
        let metadata = Metadata {
            correlation_id: some("order-1"),
            causation_id: some("c-1"),
            user_id: some("eva"),
            source: some("shop/checkout"),
            client_address: some("192.0.2.7"),
            traceparent: some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        };
        let event = RecordedEvent { metadata, ..event_at(0, 1) };
        let envelope = Envelope::new(&"orders".parse().unwrap());
        let found = headers_of(&envelope.record(&event, &mut Scratch::default()));
        let expected = owned(&[
            ("ce_source", "shop/checkout"),
            ("correlation-id", "order-1"),
            ("causation-id", "c-1"),
            ("user-id", "eva"),
            ("client-address", "192.0.2.7"),
            ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ]);
        assert!(expected.iter().all(|header| found.iter().any(|other| other == header)), "{found:?}");
        assert_eq!(found.len(), HEADERS);
    }

    #[test]
    fn records_that_share_their_scratch_keep_their_own_times() {
        let (envelope, mut scratch) = (Envelope::new(&"orders".parse().unwrap()), Scratch::default());
        let later = RecordedEvent { recorded_at: "2026-11-21T10:00:01Z".parse().unwrap(), ..event_at(0, 2) };
        for (event, expected) in [
            (event_at(0, 1), "2026-11-21T10:00:00.123456Z"),
            (later, "2026-11-21T10:00:01Z"),
            (event_at(0, 3), "2026-11-21T10:00:00.123456Z"),
        ] {
            assert_eq!(headers_of(&envelope.record(&event, &mut scratch))["ce_time"], expected);
        }
    }
}
