//! Events, before and after they are committed.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::codec::DecodeError;
use crate::framing::{FRAME, frame};
use crate::{RecordSchema, StreamId};

/// Who sent a command and why; the command's events keep it. The JSON leaves out absent fields.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// Commands and events with the same id belong together. Events copy it from their command; a command without one
    /// gets its own id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// The id of whatever caused the command, if its sender says so. An event without one gets the command's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<String>,
    /// The person or account on whose behalf the command was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The program that sent the command: its `ce_source`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The network address that the command came from, as its sender or a gateway says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_address: Option<String>,
    /// W3C trace context: the sender's span.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// A committed event of the log. A reader gets the same value from the topic and from Postgres.
#[derive(Debug, Clone)]
pub struct RecordedEvent {
    /// From 0; the same number on the topic and in Postgres.
    pub partition: i32,
    /// The place in the partition, from 1 and without a hole.
    pub position: i64,
    /// The stream to whose history the event belongs.
    pub stream_id: StreamId,
    /// The place in the stream, from 1 and without a hole.
    pub version: i64,
    /// Unique for ever; no two logs or restored copies share one.
    pub event_id: Uuid,
    /// The version of the record's schema that the writer encoded it with.
    pub schema: &'static RecordSchema,
    /// The record's value on the topic: the datum in its frame.
    pub value: Vec<u8>,
    /// Who sent the event's command and why.
    pub metadata: Metadata,
    /// When Postgres committed it; never goes backwards inside a partition.
    pub recorded_at: Timestamp,
}

impl RecordedEvent {
    /// The record's name, such as `OrderPlaced`.
    pub fn event_type(&self) -> &'static str {
        &self.schema.name
    }

    /// The Avro datum. Postgres stores it, and on the topic it follows the frame.
    pub fn datum(&self) -> &[u8] {
        self.value.get(FRAME..).unwrap_or_default()
    }

    /// Decodes the event into a type whose fields have the names of the record's. Fields that the type lacks are
    /// skipped, so a reader names only what it needs; an optional field that the event lacks becomes `None`.
    ///
    /// # Errors
    /// Unreadable, when the datum does not fit the type.
    pub fn get<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        self.schema.decode(self.datum())
    }

    /// The value of the topic's record for `datum`: the frame of its schema, then the datum.
    pub fn framed(schema: &RecordSchema, datum: &[u8]) -> Vec<u8> {
        frame(schema.registry_id, datum)
    }
}
