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
    /// Whom to tell, where that can be known.
    pub sender: Option<Box<Sender>>,
}

/// Who gets an outcome for input that is no command.
#[derive(Debug, Clone)]
pub struct Sender {
    /// The command id.
    pub command_id: String,
    /// Goes with the outcome, as far as it could be read.
    pub metadata: Metadata,
}

/// Longest reason, in characters: one may quote the input.
const MAX_REASON: usize = 1000;

impl Unreadable {
    /// The word of its outcome.
    pub const OUTCOME: OutcomeKind = OutcomeKind::DeadLettered;

    /// Unreadable input.
    pub fn new(code: &'static str, reason: impl Into<String>) -> Self {
        let reason = reason.into().chars().take(MAX_REASON).collect();
        Self { code, reason, sender: None }
    }
}
