//! After the commit: outcomes and dead letters go out, then the offsets are done with.

use std::collections::HashMap;

use millrace_runtime::kafka::{DeliveryError, Offsets, Outbox, Record, producer_config};
use millrace_runtime::{Health, Settings, Shutdown, retry};
use millrace_schemas::LogName;
use rdkafka::{ClientConfig, Message};
use tokio::sync::mpsc;

use crate::WriterError;
use crate::command::Unreadable;
use crate::error::{Ended, ended};
use crate::outgoing::{OutcomeRecord, dead_letter};

/// A batch that is committed.
pub struct Committed {
    /// All its records, readable or not.
    pub records: Vec<Record>,
    /// Which of them could not be read.
    pub unreadable: Vec<(usize, Unreadable)>,
    /// What to tell.
    pub outcomes: Vec<OutcomeRecord>,
}

/// Sends what is to be told, in the order of the batches, while the next batch is being decided.
pub struct Acknowledger {
    config: ClientConfig,
    outcomes_topic: String,
    dead_letters_topic: String,
    group: String,
    offsets: Offsets,
    health: Health,
    shutdown: Shutdown,
}

impl Acknowledger {
    pub fn new(
        settings: &Settings,
        log: &LogName,
        group: &str,
        offsets: Offsets,
        health: Health,
        shutdown: Shutdown,
    ) -> Result<Self, WriterError> {
        Ok(Self {
            config: producer_config(settings)?,
            outcomes_topic: log.outcomes_topic(),
            dead_letters_topic: log.dead_letters_topic(),
            group: group.to_owned(),
            offsets,
            health,
            shutdown,
        })
    }

    /// Runs until the sending side is closed and all is told, or until shutdown while Kafka is away: then the offsets
    /// stay, and the batch comes again and is found to be duplicates.
    pub async fn run(self, mut batches: mpsc::Receiver<Committed>) -> Result<(), Ended> {
        let mut outbox = Outbox::new(&self.config).map_err(WriterError::from)?;
        while let Some(batch) = batches.recv().await {
            self.tell(&mut outbox, &batch).await?;
            let mut done: HashMap<i32, i64> = HashMap::new();
            for record in &batch.records {
                done.insert(record.message.partition(), record.message.offset());
            }
            done.into_iter().for_each(|(partition, offset)| self.offsets.done(partition, offset));
        }
        Ok(())
    }

    async fn tell(&self, outbox: &mut Outbox, batch: &Committed) -> Result<(), Ended> {
        let send = async || {
            let dead_letters = batch.unreadable.iter();
            let dead_letters = dead_letters.map(|(index, unreadable)| {
                dead_letter(&self.dead_letters_topic, &self.group, &batch.records[*index], unreadable)
            });
            let outcomes = batch.outcomes.iter().map(|outcome| outcome.outgoing(&self.outcomes_topic));
            let result = outbox.deliver(dead_letters.chain(outcomes)).await;
            if result.is_err() {
                // after an error an idempotent producer may refuse everything: begin with a new one
                outbox.purge();
                *outbox = Outbox::new(&self.config)
                    .map_err(|error| DeliveryError { topic: self.outcomes_topic.clone(), error })?;
            }
            result
        };
        let sent = retry(&self.health, &self.shutdown, "tell outcomes", |_: &DeliveryError| true, send).await;
        sent.map(drop).map_err(|stopped| match stopped {
            millrace_runtime::Stopped::Failed(error) => Ended::Failed(WriterError::Kafka(error.error)),
            millrace_runtime::Stopped::Shutdown => ended::<WriterError>(millrace_runtime::Stopped::Shutdown),
        })
    }
}
