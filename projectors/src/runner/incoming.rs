//! A record of the event topic, read as an event.

use jiff::Timestamp;
use millrace_runtime::kafka::{Fields, Record};
use millrace_schemas::ledger::LedgerEvent;
use millrace_schemas::{Codec, DecodeError, Metadata, RegistryError, Topic, headers};
use rdkafka::message::{Message, OwnedMessage};
use uuid::Uuid;

use super::batch::Flaw;
use super::plan::Place;
use crate::Event;

/// A record that has arrived.
#[derive(Debug)]
pub(super) struct Incoming {
    record: Record,
    pub(super) place: Place,
    /// Until they are part of an event.
    headers: Option<EventHeaders>,
    /// What was read ahead of its being needed.
    read: Option<Result<Event, ReadError>>,
}

/// Why a record is no event.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// It never will be.
    #[error("{0}")]
    Unreadable(String),
    /// The registry is away.
    #[error(transparent)]
    Transient(RegistryError),
}

impl From<DecodeError> for ReadError {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Transient(error) => Self::Transient(error),
            error @ DecodeError::Unreadable { .. } => Self::Unreadable(error.to_string()),
        }
    }
}

/// An event's headers.
#[derive(Debug, Default)]
struct EventHeaders {
    event_id: Option<Uuid>,
    version: Option<i64>,
    recorded_at: Option<Timestamp>,
    metadata: Metadata,
}

impl Incoming {
    /// Reads where the record stands, and its headers.
    pub(super) fn of(record: Record) -> Self {
        let fields = Fields::of(&record.message);
        let position = fields.text(headers::LOG_POSITION).and_then(|position| position.parse().ok());
        let position = position.filter(|position| *position >= 1);
        let headers = position.map(|_| EventHeaders::of(&fields));
        let place = Place { partition: record.message.partition(), offset: record.message.offset(), position };
        Self { record, place, headers, read: None }
    }

    /// What it is when it can't be read.
    pub(super) fn flaw(&self, reason: String) -> Flaw {
        let Place { partition, offset, position } = self.place;
        let correlation_id = EventHeaders::of(&Fields::of(&self.record.message)).metadata.correlation_id;
        Flaw { partition, position: position.unwrap_or_default(), offset, correlation_id, reason }
    }

    /// Reads all of it before it is asked for. Cancelled, or while the registry is away, it is read when it is.
    pub(super) async fn read_ahead(&mut self, codec: &Codec) {
        if self.place.position.is_some() {
            self.read = match self.decode(codec).await {
                Err(ReadError::Transient(_)) => None,
                read => Some(read),
            };
        }
    }

    /// All of it. Asked a second time, it is read a second time.
    pub(super) async fn event(&mut self, codec: &Codec) -> Result<Event, ReadError> {
        match self.read.take() {
            Some(read) => read,
            None => self.decode(codec).await,
        }
    }

    async fn decode(&mut self, codec: &Codec) -> Result<Event, ReadError> {
        let unreadable = |what: &str| ReadError::Unreadable(what.to_owned());
        let message = &self.record.message;
        let headers = self.headers.take().unwrap_or_else(|| EventHeaders::of(&Fields::of(message)));
        let key = message.key().and_then(|key| std::str::from_utf8(key).ok());
        let stream_id = key.and_then(|key| key.parse().ok()).ok_or_else(|| unreadable("its key is no stream id"))?;
        let value = message.payload().ok_or_else(|| unreadable("it has no value"))?;
        let received = codec.decode(Topic::Events, value).await?;
        let name = received.record.name;
        let data = LedgerEvent::read(&received);
        let data = data.ok_or_else(|| ReadError::Unreadable(format!("{name} is no event of the ledger")))??;
        Ok(Event {
            partition: self.place.partition,
            position: self.place.position.ok_or_else(|| unreadable("it has no position"))?,
            stream_id,
            version: headers.version.ok_or_else(|| unreadable("its header stream-version is no number"))?,
            event_id: headers.event_id.ok_or_else(|| unreadable("its header ce_id is no UUID"))?,
            event_type: name.to_owned(),
            data,
            metadata: headers.metadata,
            recorded_at: headers
                .recorded_at
                .or_else(|| timestamp(message))
                .ok_or_else(|| unreadable("it has no time"))?,
        })
    }
}

impl EventHeaders {
    fn of(fields: &Fields<'_>) -> Self {
        let owned = |name| fields.text(name).map(ToOwned::to_owned);
        Self {
            event_id: fields.text(headers::CE_ID).and_then(|id| id.parse().ok()),
            version: fields.text(headers::STREAM_VERSION).and_then(|version| version.parse().ok()),
            recorded_at: fields.text(headers::CE_TIME).and_then(|time| time.parse().ok()),
            metadata: Metadata {
                correlation_id: owned(headers::CORRELATION_ID),
                causation_id: owned(headers::CAUSATION_ID),
                source: owned(headers::CE_SOURCE),
                traceparent: owned(headers::TRACEPARENT),
            },
        }
    }
}

fn timestamp(message: &OwnedMessage) -> Option<Timestamp> {
    Timestamp::from_millisecond(message.timestamp().to_millis()?).ok()
}
