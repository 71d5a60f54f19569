//! Committing a batch of decided commands.

mod each;
mod sound;

use deadpool_postgres::GenericClient;
use millrace_schemas::{ExpectedVersion, Metadata, NewEvent, Outcome, OutcomeKind, StreamId};

use crate::{Log, StoreError};
use sound::Sound;

/// A decided command.
#[derive(Debug, Clone)]
pub struct Append {
    /// Unique per log; the second append of an id is a duplicate.
    pub command_id: String,
    /// The command's record name.
    pub command_type: &'static str,
    /// Accepted, rejected or conflict.
    pub outcome: OutcomeKind,
    /// Stable code, unless accepted.
    pub code: Option<String>,
    /// A sentence, unless accepted.
    pub message: Option<String>,
    /// Goes with each of its events.
    pub metadata: Metadata,
    /// Every stream that the decision rests on, each once.
    pub checks: Vec<Check>,
}

/// A stream that a decision rests on.
#[derive(Debug, Clone)]
pub struct Check {
    /// The stream.
    pub stream: StreamId,
    /// What the decision took it to be.
    pub expected: ExpectedVersion,
    /// What is appended to it; may be empty.
    pub events: Vec<NewEvent>,
}

/// What became of one command of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Committed now.
    Committed(Outcome),
    /// The id had been committed before, with this outcome. Nothing happened.
    Duplicate(Outcome),
    /// A stream was not as expected. Nothing happened.
    Stale {
        /// The stream.
        stream: StreamId,
        /// Its version, 0 when it does not exist.
        actual: i64,
    },
}

impl Log {
    /// Commits a batch in order, one verdict per command. Each command happens whole or not at all; one that is stale
    /// or a duplicate leaves the rest of the batch alone. Without a transaction around it, all is durable on return.
    ///
    /// Cancelled, it may still have been committed: append again, and see duplicates.
    ///
    /// # Errors
    /// When Postgres refuses or does not answer: then nothing was committed, or the answer was lost.
    pub async fn append(&self, client: &impl GenericClient, batch: &[Append]) -> Result<Vec<Verdict>, StoreError> {
        if let Some(sound) = Sound::of(self, batch)?
            && let Some(outcomes) = self.append_sound(client, batch, &sound).await?
        {
            return Ok(outcomes.into_iter().map(Verdict::Committed).collect());
        }
        self.append_each(client, batch).await
    }
}

/// What both ways to append say of the commands.
struct Commands<'a> {
    ids: Vec<&'a str>,
    types: Vec<&'a str>,
    outcomes: Vec<&'static str>,
    codes: Vec<Option<&'a str>>,
    messages: Vec<Option<&'a str>>,
    metadata: Vec<String>,
}

impl<'a> Commands<'a> {
    fn of(batch: &'a [Append]) -> Result<Self, StoreError> {
        let metadata = batch.iter().map(|append| serde_json::to_string(&append.metadata)).collect::<Result<_, _>>();
        Ok(Self {
            ids: batch.iter().map(|append| append.command_id.as_str()).collect(),
            types: batch.iter().map(|append| append.command_type).collect(),
            outcomes: batch.iter().map(|append| append.outcome.as_str()).collect(),
            codes: batch.iter().map(|append| append.code.as_deref()).collect(),
            messages: batch.iter().map(|append| append.message.as_deref()).collect(),
            metadata: metadata.map_err(|e| StoreError::Damaged(format!("metadata: {e}")))?,
        })
    }
}
