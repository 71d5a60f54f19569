//! Commands and events of a declared domain.

use std::sync::{Arc, OnceLock};

use millrace_schemas::StreamId;
use serde::{Serialize, Serializer};

use super::avro::serialize_record;
use super::steps::Steps;
use super::types::RecordType;
use super::value::Value;

/// A command of a declared domain, decoded.
#[derive(Debug)]
pub struct DeclaredCommand {
    /// Its place among the rules' commands.
    pub(super) command: u16,
    pub(super) fields: Value,
    /// What [`Domain::streams`](crate::Domain::streams) has found, and the steps that it has left for the decision.
    pub(super) addressed: OnceLock<(Addressed, Steps)>,
}

/// The streams of a command.
#[derive(Debug, Clone)]
pub(super) struct Addressed {
    /// Each once.
    pub streams: Vec<StreamId>,
    /// For each stream that the rules name, its place in `streams`.
    pub places: Vec<usize>,
    /// For `each`: the items of each of `streams`.
    pub groups: Vec<Value>,
}

/// An event of a declared domain, before it is encoded.
#[derive(Debug, Clone)]
pub struct DeclaredEvent {
    /// Its place among the rules' events.
    pub(super) event: u16,
    pub(super) type_: Arc<RecordType>,
    /// A record; without fields when it was read and the rules do not fold it.
    pub(super) fields: Value,
}

impl Serialize for DeclaredEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.fields {
            Value::Record(fields) => serialize_record(&self.type_, fields, serializer),
            _ => Err(serde::ser::Error::custom("an event is not a record")),
        }
    }
}
