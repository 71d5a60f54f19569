//! The domain of a log without rules: its events come finished, by the command `Append`.

use std::convert::Infallible;

use millrace_schemas::{DecodeError, LogDefinition, Received, RecordSchema, StreamId};

use crate::{Domain, Rejection};

/// No rules. It has no commands of its own, and states of no size, so that the writer loads no events.
#[derive(Debug)]
pub struct NoRules {
    /// The schemas of the log.
    pub definition: LogDefinition,
}

impl Domain for NoRules {
    type Command = Infallible;
    type Event = ();
    type State = ();

    fn definition(&self) -> &LogDefinition {
        &self.definition
    }

    fn read_command(&self, _: &Received<'_>) -> Option<Result<Infallible, DecodeError>> {
        None
    }

    fn read_event(&self, _: &RecordSchema, _: &[u8]) -> Option<Result<(), DecodeError>> {
        None
    }

    fn command_name(&self, command: &Infallible) -> &str {
        match *command {}
    }

    fn event_name(&self, (): &()) -> &str {
        ""
    }

    fn streams(&self, command: &Infallible) -> Result<Vec<StreamId>, Rejection> {
        match *command {}
    }

    fn decide(&self, command: &Infallible, _: &[&()]) -> Result<Vec<(usize, ())>, Rejection> {
        match *command {}
    }

    fn evolve(&self, (): &mut (), (): &()) {}
}
