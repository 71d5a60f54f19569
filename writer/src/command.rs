//! A command from the command topic, and its two possible ends.

use std::sync::Arc;

use millrace_schemas::{ExpectedVersion, Metadata, Outcome, OutcomeKind};
use uuid::Uuid;

/// A readable command.
#[derive(Debug, Clone)]
pub struct Command<C> {
    /// The id as its sender wrote it. An id takes effect at most once.
    pub id: String,
    /// The id's key in Postgres: see [`millrace_store::command_key`].
    pub key: Uuid,
    /// The hash of the content, by which the writer finds another command with the same id.
    pub hash: [u8; 16],
    /// The decoded record.
    pub body: C,
    /// The version that its first stream must have.
    pub expected: ExpectedVersion,
    /// The writer copies it to the command's events and outcome.
    pub metadata: Arc<Metadata>,
}

/// The end of a command.
#[derive(Debug, Clone)]
pub enum Settled {
    /// Postgres has committed its outcome.
    Outcome(Outcome),
    /// Postgres refuses its data and always will, so it becomes a dead letter.
    Refused(Unreadable),
}

/// A record that is not a command: why, and whatever could be read of it.
#[derive(Debug, Clone)]
pub struct Unreadable {
    /// Stable code for programs, such as `no_magic_byte`.
    pub code: &'static str,
    /// A sentence for people.
    pub reason: String,
    /// Who waits for an outcome; `None` when the record has no readable command id.
    pub sender: Option<Box<Sender>>,
}

/// The sender of a record that is not a command, who gets an outcome nevertheless.
#[derive(Debug, Clone)]
pub struct Sender {
    /// The header `ce_id`, by which the sender recognizes the outcome.
    pub command_id: String,
    /// The readable part of the metadata; the writer copies it to the outcome.
    pub metadata: Arc<Metadata>,
}

/// Longest reason, in characters. A limit is needed because reasons may quote the input.
const MAX_REASON: usize = 1000;

impl Unreadable {
    /// The outcome that its sender gets.
    pub const OUTCOME: OutcomeKind = OutcomeKind::DeadLettered;

    /// Unreadable input from an unknown sender; cuts a reason that is too long.
    pub fn new(code: &'static str, reason: impl Into<String>) -> Self {
        let reason = reason.into().chars().take(MAX_REASON).collect();
        Self { code, reason, sender: None }
    }
}
