//! The first stage: reads records from Kafka and decodes commands while the second stage commits the batch before.

use std::sync::Arc;
use std::time::Duration;

use millrace_runtime::kafka::{Inbox, Record};
use millrace_runtime::{Health, Settings, Shutdown};
use tokio::sync::mpsc;

use crate::command::{Command, Unreadable};
use crate::error::Ended;
use crate::read::{ReadError, read};
use crate::schemas::Schemas;
use crate::stages::{IDLE_BEAT, hand_on};
use crate::waiting::Waiting;
use crate::{Domain, WriterError};

/// How long to wait for more records after the first. The brokers have already gathered records for the time in the
/// settings, so whatever they send together arrives within this time.
const ARRIVING: Duration = Duration::from_millis(1);

/// A batch of records and their commands.
pub struct ReadBatch<C> {
    /// All records, readable or not; those of a partition in order of offset.
    pub records: Vec<Record>,
    /// The commands, each with the index of its record, ascending.
    pub commands: Vec<(usize, Command<C>)>,
    /// The records that are not commands, by their index, ascending.
    pub unreadable: Vec<(usize, Unreadable)>,
}

/// The first stage's state.
pub struct Ingest<'a, D> {
    pub domain: Arc<D>,
    pub settings: &'a Settings,
    pub schemas: Schemas,
    pub inbox: Inbox,
    pub waiting: Waiting,
    pub health: Health,
    pub shutdown: &'a Shutdown,
}

impl<D: Domain> Ingest<'_, D> {
    /// Runs until shutdown, or until the next stage has ended.
    ///
    /// # Errors
    /// When librdkafka can't go on.
    pub async fn run(&mut self, batches: mpsc::Sender<ReadBatch<D::Command>>) -> Result<(), Ended> {
        let linger = Duration::from_millis(self.settings.batch_linger_ms).min(ARRIVING);
        // Outside the loop: if another branch wins the select, the records that have arrived stay for the next batch.
        let mut records = Vec::new();
        loop {
            self.health.beat();
            tokio::select! {
                received = self.inbox.next_batch(&mut records, self.settings.batch_commands, linger) => {
                    received.map_err(WriterError::from)?;
                }
                () = self.schemas.answered() => {}
                () = tokio::time::sleep(IDLE_BEAT) => {}
                () = batches.closed() => return Ok(()), // the next stage has ended; its own result says why
                () = self.shutdown.cancelled() => return Ok(()),
            }
            self.waiting.look_at_assignment().await;
            self.waiting.go_on(&self.schemas);
            if records.is_empty() {
                continue;
            }
            let batch = self.read(std::mem::take(&mut records)).await;
            if !batch.records.is_empty() && !hand_on(&self.health, &batches, batch).await {
                return Ok(());
            }
        }
    }

    /// Reads records. If one names a schema that is new to this writer and the registry does not answer, the record's
    /// partition waits; the others go on.
    async fn read(&mut self, arrived: Vec<Record>) -> ReadBatch<D::Command> {
        let mut batch =
            ReadBatch { records: Vec::with_capacity(arrived.len()), commands: Vec::new(), unreadable: Vec::new() };
        self.schemas.begin_batch();
        for record in arrived {
            if !self.waiting.lets_through(&record) {
                continue;
            }
            let index = batch.records.len();
            match read(&*self.domain, &mut self.schemas, &record, self.settings.max_command_bytes).await {
                Ok(command) => batch.commands.push((index, command)),
                Err(ReadError::Unreadable(reason)) => batch.unreadable.push((index, reason)),
                Err(ReadError::Away(schema_id)) => {
                    self.waiting.begin(&record, schema_id);
                    continue;
                }
            }
            batch.records.push(record);
        }
        self.waiting.hold_back();
        batch
    }
}
