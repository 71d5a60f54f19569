//! A record of the event topic, read as an event.

use jiff::Timestamp;
use millrace_runtime::kafka::Record;
use millrace_schemas::ledger::LedgerEvent;
use millrace_schemas::{Codec, DecodeError, Metadata, RegistryError, Topic, headers};
use rdkafka::message::{Headers, Message, OwnedMessage};
use uuid::Uuid;

use super::plan::Place;
use crate::Event;

/// A record that has arrived.
#[derive(Debug)]
pub(super) struct Incoming<'r> {
    message: &'r OwnedMessage,
    pub(super) place: Place,
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

/// An event's headers.
#[derive(Debug, Default)]
struct EventHeaders {
    event_id: Option<Uuid>,
    version: Option<i64>,
    recorded_at: Option<Timestamp>,
    metadata: Metadata,
}

impl<'r> Incoming<'r> {
    /// Reads where the record stands, and nothing else yet.
    pub(super) fn of(record: &'r Record) -> Self {
        let message = &record.message;
        let position =
            fields(message).find(|(name, _)| *name == headers::LOG_POSITION).and_then(|(_, p)| p.parse().ok());
        let position = position.filter(|position| *position >= 1);
        Self { message, place: Place { partition: message.partition(), offset: message.offset(), position } }
    }

    /// Reads all of it.
    pub(super) async fn event(&self, codec: &Codec) -> Result<Event, ReadError> {
        let unreadable = |what: &str| ReadError::Unreadable(what.to_owned());
        let headers = EventHeaders::of(self.message);
        let key = self.message.key().and_then(|key| std::str::from_utf8(key).ok());
        let stream_id = key.and_then(|key| key.parse().ok()).ok_or_else(|| unreadable("its key is no stream id"))?;
        let value = self.message.payload().ok_or_else(|| unreadable("it has no value"))?;
        let decoded = codec.decode(Topic::Events, value).await.map_err(|error| match error {
            DecodeError::Transient(error) => ReadError::Transient(error),
            error @ DecodeError::Unreadable { .. } => ReadError::Unreadable(error.to_string()),
        })?;
        let name = decoded.record.name;
        let data = LedgerEvent::from_avro(name, &decoded.value)
            .ok_or_else(|| ReadError::Unreadable(format!("{name} is no event of the ledger")))?
            .map_err(|error| ReadError::Unreadable(format!("{name}: {error}")))?;
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
                .or_else(|| timestamp(self.message))
                .ok_or_else(|| unreadable("it has no time"))?,
        })
    }
}

impl EventHeaders {
    fn of(message: &OwnedMessage) -> Self {
        let mut found = Self::default();
        for (name, value) in fields(message) {
            match name {
                headers::CE_ID => found.event_id = value.parse().ok(),
                headers::STREAM_VERSION => found.version = value.parse().ok(),
                headers::CE_TIME => found.recorded_at = value.parse().ok(),
                headers::CORRELATION_ID => found.metadata.correlation_id = Some(value.to_owned()),
                headers::CAUSATION_ID => found.metadata.causation_id = Some(value.to_owned()),
                headers::CE_SOURCE => found.metadata.source = Some(value.to_owned()),
                headers::TRACEPARENT => found.metadata.traceparent = Some(value.to_owned()),
                _ => {}
            }
        }
        found
    }
}

/// The headers that are text.
fn fields(message: &OwnedMessage) -> impl Iterator<Item = (&str, &str)> {
    let headers = message.headers().into_iter().flat_map(Headers::iter);
    headers.filter_map(|header| Some((header.key, std::str::from_utf8(header.value?).ok()?)))
}

fn timestamp(message: &OwnedMessage) -> Option<Timestamp> {
    Timestamp::from_millisecond(message.timestamp().to_millis()?).ok()
}
