//! The third stage: outcomes and dead letters go out, then the offsets are done with.

use std::collections::HashMap;

use millrace_runtime::kafka::{DeliveryError, Offsets, Outbox, Record};
use millrace_runtime::{Health, Shutdown, Stopped, retry};
use millrace_schemas::{Codec, LogName, Metadata, Outcome};
use rdkafka::{ClientConfig, Message};
use tokio::sync::mpsc;

use crate::WriterError;
use crate::command::Unreadable;
use crate::error::Ended;
use crate::metrics::COMMANDS;
use crate::outgoing::{OutcomeRecord, dead_letter, dead_lettered};
use crate::stages::take;

/// A batch that is committed.
pub struct Committed {
    /// All its records, readable or not.
    pub records: Vec<Record>,
    /// Which of them could not be read.
    pub unreadable: Vec<(usize, Unreadable)>,
    /// The outcome of each command, with the command's metadata.
    pub outcomes: Vec<(Outcome, Metadata)>,
}

/// Sends what is to be told, in the order of the batches.
pub struct Acknowledger<'a> {
    pub config: ClientConfig,
    pub log: &'a LogName,
    pub group: &'a str,
    pub codec: &'a Codec,
    pub offsets: Offsets,
    pub health: Health,
    pub shutdown: &'a Shutdown,
}

impl Acknowledger<'_> {
    /// Runs until the stage before has ended and all is told, or until shutdown while Kafka is away: then the offsets
    /// stay, and the batch comes again and is found to be duplicates.
    ///
    /// # Errors
    /// When the process is to stop before all is told, or an outcome does not fit its schema.
    pub async fn run(&self, mut batches: mpsc::Receiver<Committed>) -> Result<(), Ended> {
        let mut outbox = Outbox::new(&self.config).map_err(WriterError::from)?;
        while let Some(batch) = take(&self.health, &mut batches).await {
            let outcomes = self.outcome_records(&batch)?;
            self.tell(&mut outbox, &batch, &outcomes).await?;
            let mut done: HashMap<i32, i64> = HashMap::new();
            for record in &batch.records {
                done.insert(record.message.partition(), record.message.offset());
            }
            done.into_iter().for_each(|(partition, offset)| self.offsets.done(partition, offset));
        }
        Ok(())
    }

    fn outcome_records(&self, batch: &Committed) -> Result<Vec<OutcomeRecord>, WriterError> {
        let mut records = Vec::with_capacity(batch.records.len());
        for (outcome, metadata) in &batch.outcomes {
            records.push(OutcomeRecord::new(self.codec, self.log, outcome, metadata)?);
        }
        for (index, unreadable) in &batch.unreadable {
            COMMANDS.with_label_values(&[Unreadable::OUTCOME.as_str()]).inc();
            log_dead_letter(&batch.records[*index], unreadable);
            if let Some(sender) = &unreadable.sender {
                let outcome = dead_lettered(&sender.command_id, unreadable);
                records.push(OutcomeRecord::new(self.codec, self.log, &outcome, &sender.metadata)?);
            }
        }
        Ok(records)
    }

    async fn tell(&self, outbox: &mut Outbox, batch: &Committed, outcomes: &[OutcomeRecord]) -> Result<(), Ended> {
        let (outcomes_topic, dead_letters_topic) = (self.log.outcomes_topic(), self.log.dead_letters_topic());
        let send = async || {
            let dead_letters = batch.unreadable.iter().map(|(index, unreadable)| {
                dead_letter(&dead_letters_topic, self.group, &batch.records[*index], unreadable)
            });
            let outcomes = outcomes.iter().map(|outcome| outcome.outgoing(&outcomes_topic));
            let result = outbox.deliver(dead_letters.chain(outcomes)).await;
            if result.is_err() {
                // after an error an idempotent producer may refuse everything: begin with a new one
                let new = Outbox::new(&self.config);
                let new = new.map_err(|error| DeliveryError { topic: outcomes_topic.clone(), error })?;
                std::mem::replace(outbox, new).discard();
            }
            result
        };
        let sent = retry(&self.health, self.shutdown, "tell outcomes", |_: &DeliveryError| true, send).await;
        sent.map(drop).map_err(|stopped| match stopped {
            Stopped::Failed(error) => Ended::Failed(WriterError::Kafka(error.error)),
            Stopped::Shutdown => Ended::Shutdown,
        })
    }
}

/// At debug only: senders can make as many of them as they like, and the dead letters say all of it for good.
fn log_dead_letter(record: &Record, unreadable: &Unreadable) {
    let sender = unreadable.sender.as_deref();
    tracing::debug!(
        command_id = sender.map(|sender| sender.command_id.as_str()),
        correlation_id = sender.and_then(|sender| sender.metadata.correlation_id.as_deref()),
        partition = record.message.partition(),
        offset = record.message.offset(),
        code = unreadable.code,
        reason = unreadable.reason,
        "dead-lettered"
    );
}
