//! What a domain is: pure decisions over the state of streams.

use millrace_schemas::{Contract, DecodeError, Received, StreamId};

/// A rule said no. Never retried; sent again, the command is rejected again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Stable, for programs: `overdraft_limit_exceeded`.
    pub code: &'static str,
    /// A sentence for people.
    pub message: String,
}

impl Rejection {
    /// A rejection.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// A domain of the writer. Pure: no I/O, no clock, no chance, so that every decision can be tested and made again.
pub trait Domain: Send + Sync + 'static {
    /// What is asked.
    type Command: Send;
    /// What happens.
    type Event: serde::Serialize + Send;
    /// What a stream's events have made of it; the default is a stream without events.
    type State: Default + Clone + Send;

    /// The schemas of its records.
    fn contract() -> &'static Contract;

    /// The command that a record from outside holds; `None` when it is none of the domain's commands.
    ///
    /// # Errors
    /// Unreadable, as [`Received::read_storable`].
    fn read_command(received: Received<'_>) -> Option<Result<Self::Command, DecodeError>>;

    /// The event that the log's JSON holds; `None` when `name` is none of the domain's events.
    ///
    /// # Errors
    /// When the JSON has not the record's fields.
    fn read_event(name: &str, data: &str) -> Option<serde_json::Result<Self::Event>>;

    /// The record's name of a command.
    fn command_name(command: &Self::Command) -> &'static str;

    /// The record's name of an event.
    fn event_name(event: &Self::Event) -> &'static str;

    /// The streams that a command needs, each once; the first is the one it is addressed to.
    ///
    /// # Errors
    /// When the command breaks a rule that needs no state.
    fn streams(command: &Self::Command) -> Result<Vec<StreamId>, Rejection>;

    /// What happens, given the states of `streams(command)` in that order: events, each with the index of its stream.
    ///
    /// # Errors
    /// When a rule says no.
    fn decide(command: &Self::Command, states: &[&Self::State]) -> Result<Vec<(usize, Self::Event)>, Rejection>;

    /// What an event makes of its stream's state. Takes every event that was ever decided; never fails.
    fn evolve(state: &mut Self::State, event: &Self::Event);
}
