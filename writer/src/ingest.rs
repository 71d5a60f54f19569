//! The first stage: records from Kafka, read into commands while the batch before is being committed.

use std::time::Duration;

use millrace_runtime::kafka::{Inbox, Record};
use millrace_runtime::{Health, Settings, Shutdown, Stopped, retry};
use millrace_schemas::Codec;
use tokio::sync::mpsc;

use crate::command::{Command, Unreadable};
use crate::error::Ended;
use crate::read::{ReadError, read};
use crate::stages::{IDLE_BEAT, hand_on};
use crate::{Domain, WriterError};

/// The brokers have gathered for as long as the settings say; what they send together arrives within this time.
const ARRIVING: Duration = Duration::from_millis(1);

/// A batch that is read.
pub struct ReadBatch<C> {
    /// All its records, readable or not.
    pub records: Vec<Record>,
    /// What is asked, in order.
    pub commands: Vec<Command<C>>,
    /// Which of the records could not be read.
    pub unreadable: Vec<(usize, Unreadable)>,
}

/// Reads batches.
pub struct Ingest<'a> {
    pub settings: &'a Settings,
    pub codec: &'a Codec,
    pub inbox: Inbox,
    pub health: Health,
    pub shutdown: &'a Shutdown,
}

impl Ingest<'_> {
    /// Runs until shutdown, or until nobody takes its batches any more.
    ///
    /// # Errors
    /// When librdkafka can't go on, or the process is to stop while the registry is away.
    pub async fn run<D: Domain>(&mut self, batches: mpsc::Sender<ReadBatch<D::Command>>) -> Result<(), Ended> {
        let linger = Duration::from_millis(self.settings.batch_linger_ms).min(ARRIVING);
        // Outside the loop: what has come in when another branch wins is not lost but goes with the next batch.
        let mut records = Vec::new();
        loop {
            self.health.beat();
            tokio::select! {
                received = self.inbox.next_batch(&mut records, self.settings.batch_commands, linger) => {
                    received.map_err(WriterError::from)?;
                }
                () = tokio::time::sleep(IDLE_BEAT) => {}
                () = batches.closed() => return Ok(()), // the next stage has ended: its result says why
                () = self.shutdown.cancelled() => return Ok(()),
            }
            if records.is_empty() {
                continue;
            }
            let batch = self.read::<D>(std::mem::take(&mut records)).await?;
            if !hand_on(&self.health, &batches, batch).await {
                return Ok(());
            }
        }
    }

    async fn read<D: Domain>(&self, records: Vec<Record>) -> Result<ReadBatch<D::Command>, Ended> {
        let mut commands = Vec::with_capacity(records.len());
        let mut unreadable = Vec::new();
        for (index, record) in records.iter().enumerate() {
            let attempt = async || read::<D>(self.codec, record, self.settings.max_command_bytes).await;
            match retry(&self.health, self.shutdown, "read a command", ReadError::is_transient, attempt).await {
                Ok(command) => commands.push(command),
                Err(Stopped::Failed(ReadError::Unreadable(reason))) => unreadable.push((index, reason)),
                Err(Stopped::Failed(ReadError::Transient(error))) => return Err(WriterError::Registry(error).into()),
                Err(Stopped::Shutdown) => return Err(Ended::Shutdown),
            }
        }
        Ok(ReadBatch { records, commands, unreadable })
    }
}
