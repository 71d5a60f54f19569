//! Records on their way in. They are read as events while the batch before them is being applied.

use std::sync::Arc;
use std::time::Duration;

use millrace_runtime::kafka::{Inbox, Record};
use rdkafka::error::KafkaError;

use crate::incoming::Incoming;
use crate::schemas::Schemas;

/// Most records in one transaction.
const BATCH: usize = 2_000;
/// How long records gather while a batch is being applied: to be woken for each one costs more than the record.
const GATHER: Duration = Duration::from_millis(2);

/// What has come in and is not taken yet.
pub(crate) struct Intake {
    inbox: Inbox,
    schemas: Arc<Schemas>,
    /// The relay's word for the source of an event that has none.
    own_source: String,
    /// Filled while it waits, and empty after.
    records: Vec<Record>,
    incoming: Vec<Incoming>,
}

impl Intake {
    /// Nothing has come in yet.
    pub(crate) fn new(inbox: Inbox, schemas: Arc<Schemas>, own_source: String) -> Self {
        Self { inbox, schemas, own_source, records: Vec::new(), incoming: Vec::new() }
    }

    /// Another membership of the group: what came by the old one comes again.
    pub(crate) async fn replace(&mut self, inbox: Inbox) {
        self.records.clear();
        self.incoming.clear();
        std::mem::replace(&mut self.inbox, inbox).close().await;
    }

    /// Waits for a record and then, unless there is a whole batch, for `linger`. With something there already, it waits
    /// for nothing. Cancel-safe.
    ///
    /// # Errors
    /// When librdkafka can't go on: join anew.
    pub(crate) async fn wait(&mut self, linger: Duration) -> Result<(), KafkaError> {
        self.read();
        if self.incoming.is_empty() {
            self.inbox.next_batch(&mut self.records, BATCH, linger).await?;
            self.read();
        }
        Ok(())
    }

    /// Waits until there is a whole batch. Cancel-safe.
    ///
    /// # Errors
    /// When librdkafka can't go on: join anew.
    pub(crate) async fn fill(&mut self) -> Result<(), KafkaError> {
        self.read();
        while self.incoming.len() < BATCH {
            self.inbox.next_batch(&mut self.records, BATCH - self.incoming.len(), GATHER).await?;
            self.read();
        }
        Ok(())
    }

    /// All that has come in.
    pub(crate) fn take(&mut self) -> Vec<Incoming> {
        self.read();
        std::mem::take(&mut self.incoming)
    }

    /// Leaves the group.
    pub(crate) async fn close(self) {
        self.inbox.close().await;
    }

    /// Reads the records that have come in, also those that were there when a wait was cancelled.
    fn read(&mut self) {
        let start = self.incoming.len();
        self.incoming.extend(self.records.drain(..).map(|record| Incoming::from_record(record, &self.own_source)));
        for incoming in self.incoming.iter_mut().skip(start) {
            incoming.read_ahead(&self.schemas);
        }
    }
}
