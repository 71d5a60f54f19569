//! Events, before and after they are committed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::StreamId;

/// What is known about how an event came to be. Absent fields are left out of the JSON.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Metadata {
    /// What belongs together: handed on from the command, or the command's own id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// The id of the command that caused the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<String>,
    /// Who sent the command: its `ce_source`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// W3C trace context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// An event that is to be appended.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// Unique for ever.
    pub event_id: Uuid,
    /// The record's name, such as `EntryPosted`.
    pub event_type: &'static str,
    /// The event's fields, as JSON text that its schema can encode.
    pub data: String,
}

/// An event of the log, as committed.
#[derive(Debug, Clone)]
pub struct RecordedEvent<D> {
    /// Its partition.
    pub partition: i32,
    /// Its position in the partition.
    pub position: i64,
    /// Its stream.
    pub stream_id: StreamId,
    /// Its version in the stream.
    pub version: i64,
    /// Unique for ever.
    pub event_id: Uuid,
    /// The record's name, such as `EntryPosted`.
    pub event_type: String,
    /// Its content.
    pub data: D,
    /// How it came to be.
    pub metadata: Metadata,
    /// When it was committed; never goes backwards inside a partition.
    pub recorded_at: Timestamp,
}
