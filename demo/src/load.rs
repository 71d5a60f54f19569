//! Produces the bank's commands, and watches them through the stages.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use millrace::{CommandProducer, OutgoingCommand};
use millrace_runtime::Settings;
use millrace_schemas::headers::AVRO;
use millrace_schemas::{Codec, OutcomeKind, Registry, Topic};

use crate::bank::commands::{BankCommand, Commands};
use crate::display::Display;
use crate::progress::{Observer, Standing};

/// Commands handed to Kafka's client at a time.
const CHUNK: usize = 500;
/// Chunks on their way at once.
const IN_FLIGHT: usize = 8;
/// How often the demo looks at the stages.
const LOOK: Duration = Duration::from_millis(250);
/// A pipeline that stands still for this long is stuck.
const STUCK: Duration = Duration::from_secs(60);

/// A load that went all the way.
#[derive(Debug)]
pub struct Loaded {
    /// Commands produced.
    pub commands: u64,
    /// Of those, accepted.
    pub accepted: i64,
    /// Of those, rejected or in conflict.
    pub refused: i64,
    /// Events committed.
    pub events: u64,
    /// From the first command to the last event in `reporting`.
    pub reporting_seconds: f64,
    /// From the first command to the last event everywhere.
    pub seconds: f64,
}

/// Opens the accounts, posts the entry sets, and waits until every read model has all of it. Entry sets wait for the
/// accounts: they touch accounts of other partitions, and order is kept only inside one.
pub async fn run(settings: &Settings, commands: Commands) -> anyhow::Result<Loaded> {
    let registry = Registry::new(settings.registry_url()?)?;
    let codec = Codec::connect(registry, &settings.log.parse()?, millrace::ledger().definition()).await?;
    let producer = CommandProducer::new(settings)?;
    let produced = Arc::new(AtomicU64::new(0));
    let observer = Observer::new(settings, produced.clone()).await?;
    let opens = encode(&codec, commands.opens)?;
    let entry_sets = encode(&codec, commands.entry_sets)?;
    let (opens_count, all) = (opens.len() as u64, (opens.len() + entry_sets.len()) as u64);

    let started = Instant::now();
    let mut display = Display::new(all);
    let opened = async {
        produce(&producer, &opens, &produced).await?;
        watch(&observer, &mut display, |standing| standing.decided == opens_count).await
    };
    opened.await?;
    let mut reporting_seconds = None;
    let watched = watch(&observer, &mut display, |standing| {
        if standing.reporting_has_all(all) {
            reporting_seconds.get_or_insert_with(|| started.elapsed().as_secs_f64());
        }
        standing.is_complete(all)
    });
    let (sent, standing) = tokio::try_join!(produce(&producer, &entry_sets, &produced), watched)?;
    let () = sent;
    let seconds = started.elapsed().as_secs_f64();
    let outcomes = observer.outcomes().await?;
    let accepted = outcomes.get(&OutcomeKind::Accepted).copied().unwrap_or(0);
    Ok(Loaded {
        commands: all,
        accepted,
        refused: outcomes.values().sum::<i64>() - accepted,
        events: standing.committed,
        reporting_seconds: reporting_seconds.unwrap_or(seconds),
        seconds,
    })
}

fn encode(codec: &Codec, commands: Vec<BankCommand>) -> anyhow::Result<Vec<OutgoingCommand>> {
    let encode = |command: BankCommand| {
        let name = command.command.name();
        Ok(OutgoingCommand {
            id: command.command_id,
            name: name.to_owned(),
            key: Some(command.first_stream),
            content_type: AVRO,
            value: codec.newest(Topic::Commands, name)?.encode_framed(&command.command)?,
            headers: Vec::new(),
        })
    };
    commands.into_iter().map(encode).collect()
}

async fn produce(producer: &CommandProducer, commands: &[OutgoingCommand], produced: &AtomicU64) -> anyhow::Result<()> {
    let mut in_flight = std::collections::VecDeque::new();
    for chunk in commands.chunks(CHUNK) {
        if in_flight.len() == IN_FLIGHT {
            settle(in_flight.pop_front(), produced).await?;
        }
        in_flight.push_back((chunk.len() as u64, producer.send(chunk).await?));
    }
    while !in_flight.is_empty() {
        settle(in_flight.pop_front(), produced).await?;
    }
    Ok(())
}

type Chunk = (
    u64,
    tokio::sync::oneshot::Receiver<Result<millrace_runtime::kafka::Delivered, millrace_runtime::kafka::DeliveryError>>,
);

async fn settle(chunk: Option<Chunk>, produced: &AtomicU64) -> anyhow::Result<()> {
    if let Some((commands, delivered)) = chunk {
        delivered.await.context("Kafka's client stopped")??;
        produced.fetch_add(commands, Ordering::Relaxed);
    }
    Ok(())
}

/// Looks at the stages and shows them until `done`.
async fn watch(
    observer: &Observer,
    display: &mut Display,
    mut done: impl FnMut(&Standing) -> bool,
) -> anyhow::Result<Standing> {
    let mut last: Option<Standing> = None;
    let mut moved = Instant::now();
    loop {
        let standing = observer.look().await?;
        let finished = done(&standing);
        display.show(&standing, finished);
        if finished {
            return Ok(standing);
        }
        if last != Some(standing) {
            moved = Instant::now();
            last = Some(standing);
        }
        if moved.elapsed() > STUCK {
            bail!("nothing has moved for {} s: {standing:?}; the services' logs tell why", STUCK.as_secs());
        }
        tokio::time::sleep(LOOK).await;
    }
}
