//! A flat-out producer of the relay's records. Its functions block.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rdkafka::client::ClientContext;
use rdkafka::message::{DeliveryResult, Message, OwnedMessage};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, Offset};

use super::consume::reader;

/// How long Kafka may take to acknowledge everything after the last record was handed over.
const PATIENCE: Duration = Duration::from_secs(120);

/// Counts the records that Kafka did not take.
#[derive(Default)]
struct Failures(AtomicU64);

impl ClientContext for Failures {}

impl ProducerContext for Failures {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_err() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The last records of a topic, `of_each` of each partition.
pub fn records_of(
    config: &ClientConfig,
    topic: &str,
    partitions: i32,
    of_each: u16,
) -> anyhow::Result<Vec<OwnedMessage>> {
    let consumer = reader(config, topic, partitions, Offset::OffsetTail(of_each.into()))?;
    let count = partitions.unsigned_abs() as usize * usize::from(of_each);
    let mut records = Vec::with_capacity(count);
    while records.len() < count {
        let record = consumer.poll(PATIENCE).with_context(|| format!("{topic} has too few records"))??;
        records.push(record.detach());
    }
    Ok(records)
}

/// Produces `count` records, over and over the same ones, and waits until all are delivered; records a second.
pub fn produce(config: &ClientConfig, topic: &str, records: &[OwnedMessage], count: u64) -> anyhow::Result<f64> {
    let producer: BaseProducer<Failures> = config.create_with_context(Failures::default())?;
    // makes the connection, so that the clock does not count it
    producer.client().fetch_metadata(Some(topic), PATIENCE)?;
    let started = Instant::now();
    for (_, record) in (0..count).zip(records.iter().cycle()) {
        send(&producer, topic, record)?;
    }
    producer.flush(PATIENCE)?;
    let failures = producer.context().0.load(Ordering::Relaxed);
    if failures > 0 {
        bail!("{failures} records were not delivered to {topic}");
    }
    Ok(count as f64 / started.elapsed().as_secs_f64())
}

fn send(producer: &BaseProducer<Failures>, topic: &str, record: &OwnedMessage) -> anyhow::Result<()> {
    let mut next = BaseRecord::<[u8], [u8]>::to(topic).partition(record.partition());
    next.key = record.key();
    next.payload = record.payload();
    next.headers = record.headers().cloned();
    next.timestamp = record.timestamp().to_millis();
    loop {
        match producer.send(next) {
            Ok(()) => {
                producer.poll(Duration::ZERO);
                return Ok(());
            }
            Err((error, returned)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) => {
                next = returned;
                producer.poll(Duration::from_millis(1));
            }
            Err((error, _)) => return Err(error.into()),
        }
    }
}
