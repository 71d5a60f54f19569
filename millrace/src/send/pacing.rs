//! Sends commands to Kafka, all at once or at a rate.

use std::num::NonZeroU32;
use std::time::Duration;

use anyhow::Context;
use millrace_runtime::kafka::Delivered;

use crate::producing::{CommandProducer, OutgoingCommand};

/// At a higher rate than this, several commands share a tick.
const TICKS_PER_SECOND: u32 = 100;

/// Sends the commands in order, at most `rate` a second, and waits until Kafka has all of them.
///
/// # Errors
/// When Kafka refuses a command. It may have accepted earlier ones.
pub async fn deliver(
    producer: &CommandProducer,
    commands: &[OutgoingCommand],
    rate: Option<NonZeroU32>,
) -> anyhow::Result<Delivered> {
    let (at_a_time, period) = match rate {
        None => (commands.len().max(1), Duration::from_millis(1)),
        Some(rate) => {
            let at_a_time = (rate.get() / TICKS_PER_SECOND).max(1);
            (at_a_time as usize, Duration::from_secs(1) * at_a_time / rate.get())
        }
    };
    let mut ticks = tokio::time::interval(period);
    let mut sent = Vec::new();
    for chunk in commands.chunks(at_a_time) {
        ticks.tick().await;
        sent.push(producer.send(chunk).await?);
    }
    let mut delivered = Delivered::new();
    for chunk in sent {
        delivered.extend(chunk.await.context("Kafka's client stopped")??);
    }
    Ok(delivered)
}
