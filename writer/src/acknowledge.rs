//! The third stage: sends outcomes and dead letters, then commits the offsets.

use std::collections::HashMap;
use std::sync::Arc;

use millrace_runtime::kafka::{DeliveryError, Offsets, Outbox, Record};
use millrace_runtime::{Health, Shutdown, Stopped, retry};
use millrace_schemas::{LogName, Metadata, Outcome, RecordSchema};
use rdkafka::{ClientConfig, Message};
use tokio::sync::mpsc;

use crate::WriterError;
use crate::command::Unreadable;
use crate::error::Ended;
use crate::metrics::COMMANDS;
use crate::outgoing::{MAX_DEAD_LETTER, OutcomeRecord, bytes, dead_letter, dead_lettered};
use crate::stages::take;

/// A batch that Postgres has committed.
pub struct Committed {
    /// All records, readable or not.
    pub records: Vec<Record>,
    /// The records that become dead letters, by their index.
    pub unreadable: Vec<(usize, Unreadable)>,
    /// The outcome of each command, with the command's metadata.
    pub outcomes: Vec<(Outcome, Arc<Metadata>)>,
}

/// The third stage's state. It sends in the order of the batches.
pub struct Acknowledger<'a> {
    pub config: ClientConfig,
    pub log: &'a LogName,
    pub group: &'a str,
    /// The schema of the record `Outcome`.
    pub schema: &'static RecordSchema,
    /// How many partitions the outcomes topic has.
    pub partitions: i32,
    pub offsets: Offsets,
    pub health: Health,
    pub shutdown: &'a Shutdown,
}

impl Acknowledger<'_> {
    /// Runs until the stage before has ended and every outcome is sent. On shutdown while Kafka does not answer, it
    /// ends earlier and leaves the offsets; the next writer reads the batch again and finds duplicates.
    ///
    /// # Errors
    /// When the process shuts down before every outcome is sent, or an outcome does not fit its schema.
    pub async fn run(&self, mut batches: mpsc::Receiver<Committed>) -> Result<(), Ended> {
        let mut outbox = Outbox::new(&self.config).map_err(WriterError::from)?;
        let mut partition = 0;
        while let Some(batch) = take(&self.health, &mut batches).await {
            let mut outcomes = self.outcome_records(&batch)?;
            // A request to Kafka costs more than a record, and librdkafka makes one request a partition. So all
            // outcomes of a batch go to one partition; they need no order among each other.
            partition = (partition + 1) % self.partitions;
            self.tell(&mut outbox, &batch, &mut outcomes, partition).await?;
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
            records.push(OutcomeRecord::new(self.schema, self.log, outcome, metadata)?);
        }
        for (index, unreadable) in &batch.unreadable {
            COMMANDS.with_label_values(&[Unreadable::OUTCOME.as_str()]).inc();
            log_dead_letter(&batch.records[*index], unreadable);
            if let Some(sender) = &unreadable.sender {
                let outcome = dead_lettered(&sender.command_id, unreadable);
                records.push(OutcomeRecord::new(self.schema, self.log, &outcome, &sender.metadata)?);
            }
        }
        Ok(records)
    }

    async fn tell(
        &self,
        outbox: &mut Outbox,
        batch: &Committed,
        outcomes: &mut [OutcomeRecord],
        partition: i32,
    ) -> Result<(), Ended> {
        let (outcomes_topic, dead_letters_topic) = (self.log.outcomes_topic(), self.log.dead_letters_topic());
        let mut whole = MAX_DEAD_LETTER;
        let send = async || {
            let dead_letters = batch.unreadable.iter().map(|(index, unreadable)| {
                dead_letter(&dead_letters_topic, self.group, &batch.records[*index], unreadable, whole)
            });
            let records = outcomes.iter().map(|outcome| outcome.outgoing(&outcomes_topic, partition));
            let result = outbox.deliver(dead_letters.chain(records)).await;
            if let Err(error) = &result {
                if error.is_too_large() && error.topic == dead_letters_topic {
                    whole = half_of_the_largest(batch, whole);
                } else if error.is_too_large() {
                    shorten_the_largest(outcomes, self.schema);
                }
                // After an error an idempotent producer may refuse every further record, so make a new one.
                let new = Outbox::new(&self.config);
                let new = new.map_err(|error| DeliveryError { topic: outcomes_topic.clone(), error })?;
                std::mem::replace(outbox, new).discard();
            }
            result
        };
        let sent = retry(&self.health, self.shutdown, "tell outcomes", |_: &DeliveryError| true, send).await;
        sent.map(drop).map_err(|stopped| match stopped {
            Stopped::Failed(error) => Ended::Failed(error.error.into()),
            Stopped::Shutdown => Ended::Shutdown,
        })
    }
}

/// Shortens outcomes after Kafka has refused one for its size, without saying which: those of more than half the size of
/// the largest. Where that is not enough, the next refusal shortens more.
fn shorten_the_largest(outcomes: &mut [OutcomeRecord], schema: &RecordSchema) {
    let whole = outcomes.iter().filter(|outcome| !outcome.is_short());
    let Some(largest) = whole.map(OutcomeRecord::bytes).max() else { return };
    for outcome in outcomes.iter_mut().filter(|outcome| !outcome.is_short() && outcome.bytes() > largest / 2) {
        let bytes = outcome.bytes();
        outcome.shorten(schema);
        tracing::error!(
            command_id = outcome.command_id(),
            bytes,
            "the outcomes topic refuses records of this size: the outcome goes without its streams, with a cut message"
        );
    }
}

/// The size from which on dead letters keep only their added headers, after Kafka has refused one for its size.
fn half_of_the_largest(batch: &Committed, whole: usize) -> usize {
    let sizes = batch.unreadable.iter().map(|(index, _)| bytes(&batch.records[*index].message));
    let half = sizes.filter(|size| *size <= whole).max().unwrap_or_default() / 2;
    tracing::error!(half, "the dead-letter topic refuses a record for its size: larger ones go without their value");
    half
}

/// Logs at debug level only, because senders could fill the log. The dead letter itself says everything and stays.
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use millrace_runtime::kafka::{Inbox, consumer_config, producer_config};
    use millrace_runtime::{Overrides, Settings};
    use millrace_schemas::{OutcomeKind, StreamVersion, Topic, framing};
    use rdkafka::mocking::MockCluster;

    use super::*;

    fn outcome(id: &str, message: usize, streams: usize) -> (Outcome, Arc<Metadata>) {
        let outcome = Outcome {
            command_id: id.into(),
            command_type: "CloseTicket".into(),
            outcome: OutcomeKind::Rejected,
            code: Some("account_closed".into()),
            message: Some("ü".repeat(message)),
            token: None,
            streams: vec![StreamVersion { stream_id: "account-1".into(), version: 1 }; streams],
            recorded_at: 1,
        };
        (outcome, Arc::default())
    }

    fn schema() -> &'static RecordSchema {
        RecordSchema::parse(Topic::Outcomes, 1, include_str!("../../schemas/platform/Outcome.avsc")).unwrap()
    }

    fn decoded(value: &[u8]) -> Outcome {
        schema().decode(framing::unframe(value).unwrap().1).unwrap()
    }

    #[test]
    fn after_a_refusal_the_large_outcomes_are_shortened_first_and_each_once() {
        let record = |(outcome, metadata): (Outcome, Arc<Metadata>)| {
            OutcomeRecord::new(schema(), &"orders".parse().unwrap(), &outcome, &metadata).unwrap()
        };
        let mut outcomes = [outcome("a", 5, 2), outcome("b", 100_000, 0), outcome("c", 8, 9_000)].map(record);
        shorten_the_largest(&mut outcomes, schema());
        assert_eq!(outcomes.each_ref().map(OutcomeRecord::is_short), [false, true, false]);
        shorten_the_largest(&mut outcomes, schema());
        assert_eq!(outcomes.each_ref().map(OutcomeRecord::is_short), [false, true, true]);
        assert!(outcomes.iter().all(|outcome| outcome.bytes() < 3_000));
        for _ in 0..3 {
            shorten_the_largest(&mut outcomes, schema());
        }
    }

    #[tokio::test]
    async fn an_outcome_that_kafka_refuses_for_its_size_goes_short() {
        let cluster = MockCluster::new(1).unwrap();
        let log: LogName = "orders".parse().unwrap();
        for topic in [log.commands_topic(), log.outcomes_topic()] {
            cluster.create_topic(&topic, 1, 1).unwrap();
        }
        let settings = Settings::load(None, &Overrides::default()).unwrap();
        let settings = settings.with_servers("", &cluster.bootstrap_servers(), "");
        let join = |topic: &str| {
            let config = consumer_config(&settings, topic).unwrap();
            Inbox::join(&config, topic, crate::metrics::ASSIGNED.clone()).unwrap()
        };
        let commands = join(&log.commands_topic());
        let shutdown = Shutdown::new();
        let mut config = producer_config(&settings).unwrap();
        config.set("message.max.bytes", "20000");
        let acknowledger = Acknowledger {
            config,
            log: &log,
            group: "orders.writer",
            schema: schema(),
            partitions: 1,
            offsets: commands.offsets(),
            health: Health::default(),
            shutdown: &shutdown,
        };
        let (tell, told) = mpsc::channel(1);
        let outcomes = vec![outcome("small", 5, 2), outcome("large", 30_000, 2), outcome("behind", 5, 2)];
        tell.send(Committed { records: Vec::new(), unreadable: Vec::new(), outcomes }).await.unwrap();
        drop(tell);
        tokio::time::timeout(Duration::from_secs(20), acknowledger.run(told)).await.expect("no wedge").unwrap();
        let mut inbox = join(&log.outcomes_topic());
        let mut large = None;
        while large.is_none() {
            let record = tokio::time::timeout(Duration::from_secs(20), inbox.next()).await.unwrap().unwrap();
            let outcome = decoded(record.message.payload().unwrap());
            match outcome.command_id.as_str() {
                "large" => large = Some(outcome),
                _ => assert_eq!(outcome.streams.len(), 2),
            }
        }
        let large = large.expect("found");
        assert_eq!(large.message.map(|message| message.chars().count()), Some(1001));
        assert!(large.streams.is_empty());
        assert_eq!(large.code.as_deref(), Some("account_closed"));
    }
}
