//! The trait of a domain: pure decisions over the state of streams.

use std::borrow::Cow;

use millrace_schemas::{DecodeError, ExpectedVersion, LogDefinition, OutcomeKind, Received, RecordSchema, StreamId};

/// The code of a rejection that makes a conflict.
pub(crate) const VERSION_CONFLICT: &str = "version_conflict";

/// A rule refuses a command. The writer never retries it; the same command sent again is rejected again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Stable, for programs: `overdraft_limit_exceeded`.
    pub code: Cow<'static, str>,
    /// A sentence for people.
    pub message: String,
}

impl Rejection {
    /// A rejection with a stable code and a sentence.
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }

    /// The rejection of a command whose stream is not at the version that the command expects: its outcome is
    /// `conflict`.
    pub fn version_conflict(stream: &StreamId, actual: i64, expected: ExpectedVersion) -> Self {
        let message = format!("Stream {stream} is at version {actual}; the command expected {expected}.");
        Self::new(VERSION_CONFLICT, message)
    }

    /// The outcome that it makes.
    pub(crate) fn outcome(&self) -> OutcomeKind {
        if self.code == VERSION_CONFLICT { OutcomeKind::Conflict } else { OutcomeKind::Rejected }
    }
}

/// The rules of a log. They use no I/O, no clock and no random numbers, so that a test, or a writer that was too slow,
/// can repeat a decision.
pub trait Domain: Send + Sync + 'static {
    /// Any command of the log, decoded.
    type Command: Send;
    /// Any event of the log, before it is encoded.
    type Event: serde::Serialize + Send;
    /// The state of a stream, folded from its events; the default is the state before the first event.
    type State: Default + Clone + Send;

    /// The schemas of the log's commands and events.
    fn definition(&self) -> &LogDefinition;

    /// Decodes a command from outside; `None` when the record is not a command of the domain. The writer has checked
    /// before that Postgres can store the record's texts.
    ///
    /// # Errors
    /// Unreadable, as [`Received::read`].
    fn read_command(&self, received: &Received<'_>) -> Option<Result<Self::Command, DecodeError>>;

    /// Decodes a stored event; `None` when the schema is not that of an event of the domain.
    ///
    /// # Errors
    /// Unreadable, as [`RecordSchema::decode`].
    fn read_event(&self, schema: &RecordSchema, datum: &[u8]) -> Option<Result<Self::Event, DecodeError>>;

    /// The name of the command's record, such as `PlaceOrder`.
    fn command_name(&self, command: &Self::Command) -> &str;

    /// The name of the event's record, such as `OrderPlaced`.
    fn event_name(&self, event: &Self::Event) -> &str;

    /// The streams that a command needs, each once. The command's key and expected version belong to the first.
    ///
    /// # Errors
    /// When the command breaks a rule that needs no state.
    fn streams(&self, command: &Self::Command) -> Result<Vec<StreamId>, Rejection>;

    /// Decides a command, given the states of `streams(command)` in that order. Returns events, each with the index of
    /// its stream.
    ///
    /// # Errors
    /// When a rule refuses the command.
    fn decide(&self, command: &Self::Command, states: &[&Self::State]) -> Result<Vec<(usize, Self::Event)>, Rejection>;

    /// Applies an event to its stream's state. Must accept every event that was ever decided, also under older rules.
    fn evolve(&self, state: &mut Self::State, event: &Self::Event);
}
