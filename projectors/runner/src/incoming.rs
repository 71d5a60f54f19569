//! A record of the event topic, read as an event.

use jiff::Timestamp;
use millrace_runtime::kafka::{Fields, Record};
use millrace_schemas::{Metadata, RecordSchema, framing, headers};
use rdkafka::message::{Message, OwnedMessage};
use uuid::Uuid;

use crate::Event;
use crate::flaw::Flaw;
use crate::plan::Place;
use crate::schemas::Schemas;

/// A record that has arrived.
#[derive(Debug)]
pub(crate) struct Incoming {
    record: Record,
    pub(crate) place: Place,
    /// Until they are part of an event.
    headers: EventHeaders,
    /// The event, once it is read, until it is taken.
    event: Option<Event>,
}

/// Why a record is no event, or none yet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ReadError {
    /// It never will be.
    Unreadable(String),
    /// The registry is away, or does not know this schema.
    Away(u32),
}

/// An event's headers.
#[derive(Debug, Default)]
struct EventHeaders {
    position: Option<i64>,
    version: Option<i64>,
    event_id: Option<Uuid>,
    recorded_at: Option<Timestamp>,
    metadata: Metadata,
}

impl Incoming {
    /// Reads where the record stands, and its headers. `own_source` is what the relay says of events without a source.
    pub(crate) fn from_record(record: Record, own_source: &str) -> Self {
        let mut headers = EventHeaders::default();
        for (name, value) in Fields::of(&record.message).iter() {
            headers.read(name, value.and_then(|value| std::str::from_utf8(value).ok()), own_source);
        }
        let (partition, offset) = (record.message.partition(), record.message.offset());
        let place = Place { partition, offset, position: headers.position };
        Self { record, place, headers, event: None }
    }

    /// Reads the event before it is asked for, where its schema is known.
    pub(crate) fn read_ahead(&mut self, schemas: &Schemas) {
        if self.place.position.is_some()
            && let Ok(id) = self.schema_id()
            && let Some(schema) = schemas.known(id)
        {
            // its turn will show what is wrong with it
            self.event = self.build(schema).ok();
        }
    }

    /// Takes the event.
    pub(crate) async fn take(&mut self, schemas: &Schemas) -> Result<Event, ReadError> {
        if let Some(event) = self.event.take() {
            return Ok(event);
        }
        let id = self.schema_id()?;
        let schema = schemas.find(id).await.ok_or(ReadError::Away(id))?;
        self.build(schema.map_err(ReadError::Unreadable)?)
    }

    /// The event was taken and not applied: it will be taken again.
    pub(crate) fn give_back(&mut self, event: Event) {
        self.event = Some(event);
    }

    /// The id of the event, as its header has it.
    pub(crate) fn event_id(&self) -> Option<Uuid> {
        self.event.as_ref().map(|event| event.event_id).or(self.headers.event_id)
    }

    /// The flaw of a record that can't be read.
    pub(crate) fn flaw(&self, reason: String) -> Flaw {
        let Place { partition, offset, position } = self.place;
        let correlation_id = self.headers.metadata.correlation_id.clone();
        Flaw { partition, position: position.unwrap_or_default(), offset, correlation_id, reason }
    }

    fn schema_id(&self) -> Result<u32, ReadError> {
        let value = self.record.message.payload().ok_or_else(|| unreadable("it has no value"))?;
        framing::unframe(value).map(|(id, _)| id).map_err(|error| ReadError::Unreadable(error.to_string()))
    }

    /// Makes the event; takes the headers only when nothing is wrong.
    fn build(&mut self, schema: &'static RecordSchema) -> Result<Event, ReadError> {
        let message = &self.record.message;
        let key = message.key().and_then(|key| std::str::from_utf8(key).ok());
        let stream_id = key.and_then(|key| key.parse().ok()).ok_or_else(|| unreadable("its key is no stream id"))?;
        let EventHeaders { version, event_id, recorded_at, .. } = self.headers;
        Ok(Event {
            partition: self.place.partition,
            position: self.place.position.ok_or_else(|| unreadable("it has no position"))?,
            stream_id,
            version: version.ok_or_else(|| unreadable("its header stream-version is no number"))?,
            event_id: event_id.ok_or_else(|| unreadable("its header ce_id is no UUID"))?,
            schema,
            value: message.payload().unwrap_or_default().to_vec(),
            recorded_at: recorded_at.or_else(|| timestamp(message)).ok_or_else(|| unreadable("it has no time"))?,
            metadata: std::mem::take(&mut self.headers.metadata),
        })
    }
}

impl EventHeaders {
    /// Takes note of one header; a later one of the same name goes over it.
    fn read(&mut self, name: &str, value: Option<&str>, own_source: &str) {
        let owned = || value.map(ToOwned::to_owned);
        match name {
            headers::LOG_POSITION => self.position = parse(value).filter(|position| *position >= 1),
            headers::STREAM_VERSION => self.version = parse(value),
            headers::CE_ID => self.event_id = parse(value),
            headers::CE_TIME => self.recorded_at = parse(value),
            headers::CORRELATION_ID => self.metadata.correlation_id = owned(),
            headers::CAUSATION_ID => self.metadata.causation_id = owned(),
            headers::USER_ID => self.metadata.user_id = owned(),
            headers::CE_SOURCE => self.metadata.source = if value == Some(own_source) { None } else { owned() },
            headers::CLIENT_ADDRESS => self.metadata.client_address = owned(),
            headers::TRACEPARENT => self.metadata.traceparent = owned(),
            _ => {}
        }
    }
}

fn parse<T: std::str::FromStr>(value: Option<&str>) -> Option<T> {
    value?.parse().ok()
}

fn timestamp(message: &OwnedMessage) -> Option<Timestamp> {
    Timestamp::from_millisecond(message.timestamp().to_millis()?).ok()
}

fn unreadable(what: &str) -> ReadError {
    ReadError::Unreadable(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_headers_of_an_event_give_back_the_metadata_that_postgres_has() {
        let event_id = Uuid::now_v7();
        let read = |source: &str| {
            let (id, own) = (event_id.to_string(), "millrace/orders");
            let mut read = EventHeaders::default();
            for (name, value) in [
                (headers::LOG_POSITION, "17"),
                (headers::STREAM_VERSION, "4"),
                (headers::CE_ID, id.as_str()),
                (headers::CE_TIME, "2026-11-25T01:02:03.456789Z"),
                (headers::CORRELATION_ID, "order-7"),
                (headers::CAUSATION_ID, "event-3"),
                (headers::USER_ID, "ada"),
                (headers::CE_SOURCE, source),
                (headers::CLIENT_ADDRESS, "192.0.2.7"),
                (headers::TRACEPARENT, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
                ("somebody-elses", "x"),
            ] {
                read.read(name, Some(value), own);
            }
            read
        };
        let from_shop = read("shop");
        assert_eq!((from_shop.position, from_shop.version, from_shop.event_id), (Some(17), Some(4), Some(event_id)));
        assert_eq!(from_shop.recorded_at, "2026-11-25T01:02:03.456789Z".parse().ok());
        let metadata = Metadata {
            correlation_id: Some("order-7".into()),
            causation_id: Some("event-3".into()),
            user_id: Some("ada".into()),
            source: Some("shop".into()),
            client_address: Some("192.0.2.7".into()),
            traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
        };
        assert_eq!(from_shop.metadata, metadata);
        // the relay names itself where the command named no source: then the column is null
        assert_eq!(read("millrace/orders").metadata, Metadata { source: None, ..metadata });
    }
}
