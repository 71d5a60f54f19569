//! Records on their way in. They are read while the batch before them is being applied.

use std::sync::Arc;
use std::time::Duration;

use millrace_runtime::kafka::{Inbox, Record};
use millrace_schemas::Codec;
use rdkafka::error::KafkaError;

use super::incoming::Incoming;

/// Most records in one transaction.
const BATCH: usize = 2_000;

/// What has come in and is not taken yet.
pub(super) struct Intake {
    inbox: Inbox,
    codec: Arc<Codec>,
    /// Filled while it is waited, and empty after.
    records: Vec<Record>,
    incoming: Vec<Incoming>,
}

impl Intake {
    /// Nothing has come in yet.
    pub(super) fn new(inbox: Inbox, codec: Arc<Codec>) -> Self {
        Self { inbox, codec, records: Vec::new(), incoming: Vec::new() }
    }

    /// Another membership of the group: what came by the old one comes again.
    pub(super) async fn replace(&mut self, inbox: Inbox) {
        self.records.clear();
        self.incoming.clear();
        std::mem::replace(&mut self.inbox, inbox).close().await;
    }

    /// Waits for a record and then, unless there is a whole batch, for `linger`. With something there already, it waits
    /// for nothing. Cancel-safe.
    ///
    /// # Errors
    /// When librdkafka can't go on: join anew.
    pub(super) async fn wait(&mut self, linger: Duration) -> Result<(), KafkaError> {
        if self.incoming.is_empty() {
            self.inbox.next_batch(&mut self.records, BATCH, linger).await?;
            // all of them kept before the first is read, so that none is lost when that is cancelled
            self.incoming.extend(self.records.drain(..).map(Incoming::of));
            for incoming in &mut self.incoming {
                incoming.read_ahead(&self.codec).await;
            }
        }
        Ok(())
    }

    /// Waits until there is a whole batch. Cancel-safe.
    ///
    /// # Errors
    /// When librdkafka can't go on: join anew.
    pub(super) async fn fill(&mut self) -> Result<(), KafkaError> {
        while self.incoming.len() < BATCH {
            let record = self.inbox.next().await?;
            self.incoming.push(Incoming::of(record));
            if let Some(last) = self.incoming.last_mut() {
                last.read_ahead(&self.codec).await;
            }
        }
        Ok(())
    }

    /// All that has come in.
    pub(super) fn take(&mut self) -> Vec<Incoming> {
        std::mem::take(&mut self.incoming)
    }

    /// Leaves the group.
    pub(super) async fn close(self) {
        self.inbox.close().await;
    }
}
