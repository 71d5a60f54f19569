//! A command as it came in.

use millrace_schemas::{ExpectedVersion, Metadata, OutcomeKind};

/// A readable command.
#[derive(Debug, Clone)]
pub struct Command<C> {
    /// Its id: takes effect at most once.
    pub id: String,
    /// What is asked.
    pub body: C,
    /// What its first stream must be.
    pub expected: ExpectedVersion,
    /// Goes with its events and its outcome.
    pub metadata: Metadata,
}

/// Input that is no command: why, and as much of it as could be read.
#[derive(Debug, Clone)]
pub struct Unreadable {
    /// Stable, for programs: `no_magic_byte`.
    pub code: &'static str,
    /// A sentence for people.
    pub reason: String,
    /// The command id, where there was one: its sender gets an outcome.
    pub command_id: Option<String>,
}

impl Unreadable {
    /// The word of its outcome.
    pub const OUTCOME: OutcomeKind = OutcomeKind::DeadLettered;

    /// Unreadable input.
    pub fn new(code: &'static str, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into(), command_id: None }
    }
}
