//! The built-in command `Append`: finished events, decided outside, for one or more streams. All of them are appended,
//! or none.
//!
//! As JSON, an event's data are an object; as Avro, they are its datum in the registry's framing. [`Appends`] turns the
//! first form into the second, so that there is one way to read it.

mod json;
mod record;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::Arc;

use millrace_schemas::{DecodeError, ExpectedVersion, Received, RecordSchema, StreamId, Topic, framing, hash_of_parts};
use millrace_store::StoredSchema;
use uuid::Uuid;

use crate::Rejection;
use crate::encoder::{Encoder, Numbered};
use record::{AppendRecord, AppendedEvent, Expected};

/// A command of this type, in every log that has it.
pub const APPEND: &str = "Append";

/// The code of a rejection that another definition of the log may not give.
pub const UNKNOWN_STREAM_TYPE: &str = "unknown_stream_type";

/// A readable `Append`, with the streams that it names, each once.
#[derive(Debug)]
pub struct Append {
    /// The streams, at least one.
    pub streams: Vec<StreamAppend>,
}

/// What to append to a stream.
#[derive(Debug)]
pub struct StreamAppend {
    /// The stream.
    pub stream: StreamId,
    /// The version that it must have.
    pub expected: ExpectedVersion,
    /// Its new events; none, when only the version is to be checked.
    pub events: Vec<FinishedEvent>,
}

/// An event that needs no decision.
#[derive(Debug)]
pub struct FinishedEvent {
    /// The schema that its datum is encoded with.
    pub schema: Numbered,
    /// The Avro datum, checked.
    pub datum: Vec<u8>,
    /// The id that its sender gave it.
    pub id: Option<Uuid>,
}

/// Reads commands of the type `Append`.
pub struct Appends {
    /// The schema of the command.
    pub schema: &'static RecordSchema,
    /// The schemas of the log's events.
    pub encoder: Arc<Encoder>,
    /// The types of the log's streams; none: any.
    pub stream_types: Vec<String>,
    /// Most events of a command.
    pub max_events: usize,
}

/// The hash by which writers of a log with these schemas tell an `Append` in JSON from another one with the same id;
/// `None` when the log does not take such commands.
///
/// # Errors
/// Unreadable, as for the writer.
pub fn hash_of_append(stored: &[StoredSchema], json: &[u8]) -> Result<Option<[u8; 16]>, DecodeError> {
    let is_append = |stored: &&StoredSchema| stored.schema.topic == Topic::Commands && stored.schema.name == APPEND;
    let (Some(append), Some(encoder)) = (stored.iter().rev().find(is_append), Encoder::from_stored(stored)) else {
        return Ok(None);
    };
    let (schema, encoder) = (append.schema, Arc::new(encoder));
    let appends = Appends { schema, encoder, stream_types: Vec::new(), max_events: usize::MAX };
    let (_, hash) = appends.read(&appends.receive_json(json)?)?;
    Ok(Some(hash))
}

impl Appends {
    /// Reads a command that [`Received::check`] has checked, and hashes its content. The inner result is a rejection when
    /// it breaks a rule.
    ///
    /// # Errors
    /// Unreadable, when an event's data are not a datum of one of the log's events.
    pub fn read(&self, received: &Received<'_>) -> Result<(Result<Append, Rejection>, [u8; 16]), DecodeError> {
        let record: AppendRecord = received.read()?;
        let mut finished = Vec::with_capacity(record.streams.len());
        for one in &record.streams {
            let events = one.events.iter().map(|event| self.event(event, &one.stream));
            finished.push(events.collect::<Result<Vec<_>, _>>()?);
        }
        let hash = content_hash(&record, &finished);
        Ok((self.checked(record, finished), hash))
    }

    fn checked(&self, record: AppendRecord, finished: Vec<Vec<(Numbered, Vec<u8>)>>) -> Result<Append, Rejection> {
        self.check_size(&record)?;
        let (mut seen, mut ids) = (HashSet::new(), HashSet::new());
        let streams = record.streams.into_iter().zip(finished).map(|(one, finished)| {
            let (stream, expected) = self.stream(&one.stream, &one.expected_version, &mut seen)?;
            let events = one.events.iter().zip(finished).map(|(event, (schema, datum))| {
                event_id(event.id.as_deref(), &mut ids).map(|id| FinishedEvent { schema, datum, id })
            });
            events.collect::<Result<_, _>>().map(|events| StreamAppend { stream, expected, events })
        });
        streams.collect::<Result<_, _>>().map(|streams| Append { streams })
    }

    fn check_size(&self, record: &AppendRecord) -> Result<(), Rejection> {
        if record.streams.is_empty() {
            return Err(Rejection::new("no_streams", "The command names no stream."));
        }
        let events: usize = record.streams.iter().map(|stream| stream.events.len()).sum();
        if events > self.max_events {
            let message =
                format!("The command has {events} events, more than {} (max_append_events).", self.max_events);
            return Err(Rejection::new("too_many_events", message));
        }
        Ok(())
    }

    fn stream(
        &self,
        id: &str,
        expected: &Expected,
        seen: &mut HashSet<StreamId>,
    ) -> Result<(StreamId, ExpectedVersion), Rejection> {
        let stream: StreamId = id.parse().map_err(|error| Rejection::new("invalid_stream_id", format!("{error}.")))?;
        if !self.stream_types.is_empty() && !self.stream_types.iter().any(|known| known == stream.stream_type()) {
            let known = self.stream_types.join(", ");
            let message = format!("The log has no streams like {stream}: its stream types are {known}.");
            return Err(Rejection::new(UNKNOWN_STREAM_TYPE, message));
        }
        if !seen.insert(stream.clone()) {
            let message = format!("Stream {stream} is named twice: put all its events in one place.");
            return Err(Rejection::new("stream_named_twice", message));
        }
        let expected = expected.parsed();
        let expected = expected
            .map_err(|error| Rejection::new("invalid_expected_version", format!("Stream {stream}: {error}.")))?;
        Ok((stream, expected))
    }

    /// The schema of an event and its datum. Ids count only if the log has them for an event of its own.
    fn event(&self, event: &AppendedEvent, stream: &str) -> Result<(Numbered, Vec<u8>), DecodeError> {
        let (id, datum) = framing::unframe(&event.data)?;
        let numbered = self.encoder.event_with_id(id).ok_or_else(|| DecodeError::Unreadable {
            code: "unknown_schema_id",
            reason: format!("schema {id} is not that of an event of the log (stream {:.100})", stream),
        })?;
        numbered.schema.check(datum)?;
        Ok((numbered, datum.to_vec()))
    }
}

/// A hash of the content. It does not depend on the form of the command, nor on the versions of the events' schemas: the
/// same command sent again after a schema has changed is the same.
fn content_hash(record: &AppendRecord, finished: &[Vec<(Numbered, Vec<u8>)>]) -> [u8; 16] {
    let mut parts: Vec<Vec<u8>> = Vec::new();
    for (one, finished) in record.streams.iter().zip(finished) {
        let expected = one.expected_version.parsed().map_or_else(|e| e.to_string(), |expected| expected.to_string());
        parts.extend([one.stream.clone().into_bytes(), expected.into_bytes()]);
        for (event, (numbered, datum)) in one.events.iter().zip(finished) {
            parts.push(numbered.schema.content_hash(datum).to_vec());
            parts.push(event.id.clone().unwrap_or_default().into_bytes());
        }
    }
    hash_of_parts(parts.iter().map(Vec::as_slice))
}

fn event_id(id: Option<&str>, ids: &mut HashSet<Uuid>) -> Result<Option<Uuid>, Rejection> {
    let Some(text) = id else { return Ok(None) };
    let shown: String = text.chars().take(100).collect();
    let id: Uuid = text
        .parse()
        .map_err(|_| Rejection::new("invalid_event_id", format!("The event id {shown:?} is not a UUID.")))?;
    if !ids.insert(id) {
        return Err(Rejection::new("event_id_twice", format!("Two events of the command have the id {id}.")));
    }
    Ok(Some(id))
}
