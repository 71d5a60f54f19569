//! The first stage: reads records from Kafka and decodes commands while the second stage commits the batch before.

use std::time::{Duration, Instant};

use millrace_runtime::kafka::{Inbox, Record};
use millrace_runtime::{Health, Settings, Shutdown};
use tokio::sync::mpsc;

use crate::definition::Ready;
use crate::definition_watch::{DefinitionWatch, Verdict};
use crate::error::Ended;
use crate::read::{ReadBatch, ReadError, Reader};
use crate::stages::{IDLE_BEAT, hand_on};
use crate::waiting::{Reason, Waiting};
use crate::{Domain, WriterError};

/// How long to wait for more records after the first. The brokers have already gathered records for the time in the
/// settings, so whatever they send together arrives within this time.
const ARRIVING: Duration = Duration::from_millis(1);
/// A batch of so many says that more are on their way.
const BUSY: usize = 100;
/// While they are, it waits so many times as long as the brokers did: fewer and larger batches take the machine less
/// time, and no command waits longer for it.
const BUSY_LINGERS: u32 = 2;

/// The first stage's state, which outlives a log definition.
pub struct Ingest<'a> {
    pub settings: &'a Settings,
    pub inbox: Inbox,
    pub waiting: Waiting,
    /// Records that have arrived and are not read yet.
    pub arrived: Vec<Record>,
    pub health: Health,
    pub shutdown: &'a Shutdown,
}

/// Why the first stage has ended.
pub enum Next {
    /// The process is to stop, or the next stage has ended; its own result says why.
    Stop,
    /// Another definition was applied to the log and is ready: go on with that.
    Definition(Box<Ready>),
}

impl Ingest<'_> {
    /// Runs until shutdown, until the next stage has ended, or until another definition of the log is ready.
    ///
    /// # Errors
    /// When librdkafka can't go on.
    pub async fn run<D: Domain>(
        &mut self,
        reader: &mut Reader<D>,
        mut watch: Option<&mut DefinitionWatch>,
        batches: mpsc::Sender<ReadBatch<D::Command>>,
    ) -> Result<Next, Ended> {
        let gathered = Duration::from_millis(self.settings.batch_linger_ms);
        let mut linger = Duration::ZERO;
        let limit = self.settings.batch_commands;
        loop {
            self.health.beat();
            if let Some(ready) = watch.as_mut().and_then(|watch| watch.take_ready()) {
                return Ok(Next::Definition(Box::new(ready)));
            }
            tokio::select! {
                // if another branch wins, the records that have arrived stay for the next batch
                received = self.inbox.next_batch(&mut self.arrived, limit, linger) => {
                    received.map_err(WriterError::from)?;
                }
                () = reader.schemas.answered() => {}
                () = looked(watch.as_deref_mut()) => {}
                () = tokio::time::sleep(IDLE_BEAT) => {}
                () = batches.closed() => return Ok(Next::Stop),
                () = self.shutdown.cancelled() => return Ok(Next::Stop),
            }
            self.waiting.look_at_assignment().await;
            self.waiting.go_on(|reason| match reason {
                Reason::Schema(id) => reader.schemas.is_answered(id),
                Reason::Definition(since) => watch.as_ref().is_none_or(|watch| watch.is_in_use_since(since)),
            });
            if self.arrived.is_empty() {
                continue;
            }
            linger = if self.arrived.len() > BUSY { gathered * BUSY_LINGERS } else { gathered.min(ARRIVING) };
            let batch = self.read(reader, watch.as_deref_mut()).await;
            if !batch.records.is_empty() && !hand_on(&self.health, &batches, batch).await {
                return Ok(Next::Stop);
            }
        }
    }

    /// Reads the records that have arrived. If one names a schema that is new to this writer and the registry does not
    /// answer, the record's partition waits; the others go on. If another definition may read one differently, it is left
    /// for that one, and so are those after it, or its partition waits until that one is ready.
    async fn read<D: Domain>(
        &mut self,
        reader: &mut Reader<D>,
        mut watch: Option<&mut DefinitionWatch>,
    ) -> ReadBatch<D::Command> {
        let mut batch =
            ReadBatch { records: Vec::with_capacity(self.arrived.len()), commands: Vec::new(), unreadable: Vec::new() };
        reader.schemas.begin_batch();
        // all of these records had arrived before it: it need not be asked for again
        let mut verdict = None;
        let mut arrived = std::mem::take(&mut self.arrived).into_iter();
        while let Some(record) = arrived.next() {
            if !self.waiting.lets_through(&record) {
                continue;
            }
            let read = reader.read(&record).await;
            if let Some(watch) = &mut watch
                && reader.may_be_of_another_definition(&read)
            {
                let known = match verdict {
                    Some(known) => known,
                    None => *verdict.insert(watch.judge().await),
                };
                match known {
                    Verdict::InUse => reader.was_of_this_definition(),
                    Verdict::Unclear => {
                        self.waiting.begin(&record, Reason::Definition(Instant::now()));
                        continue;
                    }
                    Verdict::Next => {
                        self.arrived = std::iter::once(record).chain(arrived).collect();
                        return batch;
                    }
                }
            }
            let index = batch.records.len();
            match read {
                Ok(command) => batch.commands.push((index, command)),
                Err(ReadError::Unreadable(reason)) => batch.unreadable.push((index, reason)),
                Err(ReadError::Away(schema_id)) => {
                    self.waiting.begin(&record, Reason::Schema(schema_id));
                    continue;
                }
            }
            batch.records.push(record);
        }
        self.waiting.hold_back();
        batch
    }
}

/// Waits until a look at the log's definition has shown something. Cancel-safe.
async fn looked(watch: Option<&mut DefinitionWatch>) {
    match watch {
        Some(watch) => watch.looked().await,
        None => std::future::pending().await,
    }
}
