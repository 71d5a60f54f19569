//! A command from the command topic, and its two possible ends.

use std::sync::Arc;

use millrace_schemas::{ExpectedVersion, Metadata, Outcome, OutcomeKind, StreamId, hash_of_parts};
use uuid::Uuid;

use crate::append::{APPEND, Append};
use crate::{Domain, Rejection};

/// A readable command.
#[derive(Debug)]
pub struct Command<C> {
    /// The id as its sender wrote it. An id takes effect at most once.
    pub id: String,
    /// The id's key in Postgres: see [`millrace_store::command_key`].
    pub key: Uuid,
    /// By it the writer finds another command with the same id: see [`hash_of_command`].
    pub hash: [u8; 16],
    /// The decoded record.
    pub body: Body<C>,
    /// The version that its first stream must have.
    pub expected: ExpectedVersion,
    /// The writer copies it to the command's events and outcome.
    pub metadata: Arc<Metadata>,
}

/// What is asked.
#[derive(Debug)]
pub enum Body<C> {
    /// Something that the domain decides.
    Decide(C),
    /// Finished events; or the rejection, if the command breaks a rule that needs no state.
    Append(Result<Append, Rejection>),
}

impl<C> Command<C> {
    /// The name of its record.
    pub fn name<'d, D: Domain<Command = C>>(&self, domain: &'d D) -> &'d str {
        match &self.body {
            Body::Decide(command) => domain.command_name(command),
            Body::Append(_) => APPEND,
        }
    }

    /// The streams that it needs; or the rejection, if it breaks a rule that needs no state.
    pub fn streams<D: Domain<Command = C>>(&self, domain: &D) -> Addressed {
        match &self.body {
            Body::Decide(command) => domain.streams(command),
            Body::Append(Ok(append)) => Ok(append.streams.iter().map(|one| one.stream.clone()).collect()),
            Body::Append(Err(rejection)) => Err(rejection.clone()),
        }
    }

    /// The versions that its stream with this index must have.
    pub fn expected(&self, stream: usize) -> impl Iterator<Item = ExpectedVersion> {
        let of_first = (stream == 0).then_some(self.expected);
        let of_append = match &self.body {
            Body::Append(Ok(append)) => append.streams.get(stream).map(|one| one.expected),
            _ => None,
        };
        of_first.into_iter().chain(of_append)
    }
}

/// The hash of all that a command asks: of its content, and of the version that it expects. A command that expects any
/// version has the hash of its content, with the header or without it.
pub fn hash_of_command(content: [u8; 16], expected: ExpectedVersion) -> [u8; 16] {
    match expected {
        ExpectedVersion::Any => content,
        expected => hash_of_parts([&content[..], expected.to_string().as_bytes()]),
    }
}

/// The streams that a command needs; or the rejection, if it breaks a rule that needs no state.
pub type Addressed = Result<Vec<StreamId>, Rejection>;

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
