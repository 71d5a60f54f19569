//! An event as a record of the topic.

use std::fmt::{Display, Write as _};

use millrace_runtime::kafka::Outgoing;
use millrace_schemas::{Codec, EncodeError, RecordedEvent, headers};
use rdkafka::message::{Header, OwnedHeaders};

/// An event whose data is its topic's Avro, framed.
pub(crate) type Encoded = RecordedEvent<Vec<u8>>;

/// What a record takes in memory and on the wire beside its value: key, headers, bookkeeping.
pub(crate) const RECORD_COST: usize = 700;

/// About what a record takes up.
pub(crate) fn size_of(event: &Encoded) -> usize {
    RECORD_COST + event.data.len()
}

/// Encodes an event's data.
pub(crate) fn encode(codec: &Codec, event: RecordedEvent<String>) -> Result<Encoded, Unencodable> {
    let data = match codec.encode_event(&event.event_type, &event.data) {
        Ok(data) => data,
        Err(reason) => {
            let RecordedEvent { partition, position, metadata, .. } = event;
            return Err(Unencodable { partition, position, correlation_id: metadata.correlation_id, reason });
        }
    };
    let RecordedEvent { partition, position, stream_id, version, event_id, event_type, metadata, recorded_at, .. } =
        event;
    Ok(RecordedEvent { partition, position, stream_id, version, event_id, event_type, data, metadata, recorded_at })
}

/// An event that can't be published.
#[derive(Debug)]
pub(crate) struct Unencodable {
    pub(crate) partition: i32,
    pub(crate) position: i64,
    pub(crate) correlation_id: Option<String>,
    pub(crate) reason: EncodeError,
}

/// Makes records for one topic.
#[derive(Debug)]
pub(crate) struct Envelope {
    topic: String,
    source: String,
}

impl Envelope {
    /// For a log's event topic; `log` is its name.
    pub(crate) fn new(topic: &str, log: &str) -> Self {
        Self { topic: topic.to_owned(), source: format!("millrace/{log}") }
    }

    /// The record of an event. `scratch` is for texts on their way into the headers.
    pub(crate) fn record<'a>(&'a self, event: &'a Encoded, scratch: &mut String) -> Outgoing<'a> {
        Outgoing {
            topic: &self.topic,
            partition: Some(event.partition),
            key: Some(event.stream_id.as_str().as_bytes()),
            value: Some(&event.data),
            headers: self.headers(event, scratch),
            timestamp: Some(event.recorded_at.as_millisecond()),
        }
    }

    fn headers(&self, event: &Encoded, scratch: &mut String) -> OwnedHeaders {
        let mut id = [0; uuid::fmt::Hyphenated::LENGTH];
        let id: &str = event.event_id.hyphenated().encode_lower(&mut id);
        let mut all = OwnedHeaders::new_with_capacity(12)
            .insert(text(headers::CE_SPECVERSION, "1.0"))
            .insert(text(headers::CE_ID, id))
            .insert(text(headers::CE_TYPE, &event.event_type))
            .insert(text(headers::CE_SOURCE, &self.source))
            .insert(text(headers::CE_SUBJECT, event.stream_id.as_str()))
            .insert(shown(headers::CE_TIME, &event.recorded_at, scratch))
            .insert(text(headers::CONTENT_TYPE, headers::AVRO))
            .insert(shown(headers::STREAM_VERSION, &event.version, scratch))
            .insert(shown(headers::LOG_POSITION, &event.position, scratch));
        let metadata = &event.metadata;
        for (name, value) in [
            (headers::TRACEPARENT, &metadata.traceparent),
            (headers::CORRELATION_ID, &metadata.correlation_id),
            (headers::CAUSATION_ID, &metadata.causation_id),
        ] {
            if let Some(value) = value {
                all = all.insert(text(name, value));
            }
        }
        all
    }
}

fn text<'a>(key: &'a str, value: &'a str) -> Header<'a, &'a str> {
    Header { key, value: Some(value) }
}

fn shown<'a>(key: &'a str, value: &impl Display, scratch: &'a mut String) -> Header<'a, &'a str> {
    scratch.clear();
    write!(scratch, "{value}").expect("a String takes any text");
    text(key, scratch)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use millrace_schemas::Metadata;
    use rdkafka::message::Headers;
    use uuid::Uuid;

    use super::*;

    fn event() -> Encoded {
        RecordedEvent {
            partition: 3,
            position: 42,
            stream_id: "account-7".parse().unwrap(),
            version: 5,
            event_id: Uuid::from_u128(9),
            event_type: "EntryPosted".into(),
            data: vec![0, 0, 0, 0, 1],
            metadata: Metadata { causation_id: Some("c-1".into()), ..Metadata::default() },
            recorded_at: "2026-11-21T10:00:00.123456Z".parse().unwrap(),
        }
    }

    #[test]
    fn a_record_is_a_cloud_event_with_its_place_in_the_log() {
        let (event, envelope) = (event(), Envelope::new("ledger.events", "ledger"));
        let record = envelope.record(&event, &mut String::new());
        assert_eq!(
            (record.partition, record.key, record.timestamp),
            (Some(3), Some(&b"account-7"[..]), Some(1795255200123))
        );
        let found: BTreeMap<&str, &str> = record
            .headers
            .iter()
            .map(|header| (header.key, std::str::from_utf8(header.value.unwrap()).unwrap()))
            .collect();
        let expected = BTreeMap::from([
            ("ce_specversion", "1.0"),
            ("ce_id", "00000000-0000-0000-0000-000000000009"),
            ("ce_type", "EntryPosted"),
            ("ce_source", "millrace/ledger"),
            ("ce_subject", "account-7"),
            ("ce_time", "2026-11-21T10:00:00.123456Z"),
            ("content-type", "application/avro"),
            ("stream-version", "5"),
            ("log-position", "42"),
            ("causation-id", "c-1"),
        ]);
        assert_eq!(found, expected);
    }
}
