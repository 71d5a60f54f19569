//! Listening to outcomes, as a client of the pipeline does. Its functions block.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use hdrhistogram::Histogram;
use millrace_schemas::headers::OUTCOME;
use millrace_schemas::{Codec, Outcome, OutcomeKind, Token, Topic};
use rdkafka::Message;
use rdkafka::consumer::BaseConsumer;
use rdkafka::message::{BorrowedMessage, Headers};
use tokio::runtime::Handle;

use super::run::Run;
use crate::command_id::number_of;
use crate::measured::histogram;

/// Longest wait inside one poll: the listener notices the end of the run that late.
const POLL: Duration = Duration::from_millis(100);
/// With a rate: of how many events a second the time until they are visible is measured.
const SAMPLES_PER_SECOND: u32 = 1000;
/// Without a rate: the same, for one of so many commands.
const ONE_OF: u64 = 20;

/// What was heard.
pub struct Heard {
    /// From the time that a command was to be sent at, to its outcome.
    pub latencies: Histogram<u64>,
    /// Commands accepted within the measured time.
    pub accepted: u64,
    /// Commands with another outcome.
    pub refused: u64,
    /// Events whose way to the read model is timed.
    pub samples: Vec<Sample>,
}

/// An event that was committed.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// Its partition.
    pub partition: i32,
    /// Its position there.
    pub position: i64,
    /// When it was recorded, in microseconds since 1970.
    pub recorded_at: i64,
}

/// Listens until the run is over.
///
/// # Errors
/// When an outcome can't be read.
pub fn listen(run: &Run, consumer: &BaseConsumer, codec: &Codec, runtime: &Handle) -> anyhow::Result<Heard> {
    let one_of = run.rate.map_or(ONE_OF, |rate| u64::from((rate / SAMPLES_PER_SECOND).max(1)));
    let mut heard = Heard { latencies: histogram(), accepted: 0, refused: 0, samples: Vec::new() };
    while !run.is_over() {
        let Some(record) = consumer.poll(POLL) else { continue };
        let (record, now) = (record?, run.now());
        let number = record.key().and_then(|key| number_of(std::str::from_utf8(key).ok()?));
        let number = number.context("an outcome of somebody else's command")?;
        run.heard.fetch_add(1, Ordering::Relaxed);
        let intended = run.intended(number).context("the outcome of a command that was not sent")?;
        let accepted = is_accepted(&record);
        heard.refused += u64::from(!accepted);
        heard.accepted += u64::from(accepted && run.is_measured(now));
        if accepted && run.is_measured(intended) {
            heard.latencies.saturating_record(now.saturating_sub(intended));
            if number % one_of == 0 {
                runtime.block_on(sample(codec, &record, &mut heard.samples))?;
            }
        }
    }
    Ok(heard)
}

fn is_accepted(record: &BorrowedMessage<'_>) -> bool {
    let header = record.headers().and_then(|headers| headers.iter().find(|header| header.key == OUTCOME));
    header.and_then(|header| header.value) == Some(OutcomeKind::Accepted.as_str().as_bytes())
}

async fn sample(codec: &Codec, record: &BorrowedMessage<'_>, samples: &mut Vec<Sample>) -> anyhow::Result<()> {
    let received = codec.receive(Topic::Outcomes, record.payload().unwrap_or_default()).await?;
    let outcome: Outcome = received.read()?;
    for token in outcome.token.iter().flat_map(|tokens| tokens.split(',')) {
        let Token { partition, position, .. } = token.parse()?;
        samples.push(Sample { partition, position, recorded_at: outcome.recorded_at });
    }
    Ok(())
}
