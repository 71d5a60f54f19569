//! `writers`: commands that have piled up, decided and committed by one writer, and by several that share the topic.
//!
//! The entry sets cross partitions: the writers' batches touch each other's partitions all the time, and with `--skew
//! hot` each of them touches the same account.

use anyhow::Context;
use millrace::CommandProducer;
use millrace_compose::{Console, Progress};
use millrace_schemas::{Codec, Registry};

use crate::appends::streams;
use crate::arguments::BenchArguments;
use crate::end_to_end::Commands;
use crate::measured::{Measured, ProcessUse, Rate};
use crate::meter::watched;
use crate::own_log::OwnLog;
use crate::relay::committed;
use crate::service::Service;
use crate::watching::{CaughtUp, catch_up};
use crate::work::Work;

/// How often one writer and several take turns.
const ROUNDS: u64 = 3;
/// Events of each measurement, unless asked for otherwise.
const EVENTS: u64 = 200_000;
/// Events before each measurement, so that the writers know most of the accounts.
const WARM_UP: u64 = 100_000;
/// Writers that are compared with one, unless asked for otherwise.
const WRITERS: u16 = 2;
/// Commands handed to Kafka's client at a time.
const CHUNK: usize = 1000;

/// What so many writers did.
#[derive(Default)]
struct Written {
    rounds: Vec<f64>,
    processes: Vec<ProcessUse>,
    /// Commands that were decided again, because another writer had appended in between.
    stale: f64,
    commands: u64,
}

/// A log with a source of commands.
struct Source<'a> {
    own: &'a OwnLog,
    producer: CommandProducer,
    commands: Commands,
    sent: u64,
}

/// Measures on a log of its own.
pub async fn measure(own: &OwnLog, arguments: &BenchArguments) -> anyhow::Result<Measured> {
    let (log, pool) = own.open(2).await?;
    let registry = Registry::new(own.settings.registry_url()?)?;
    let codec = Codec::connect(registry, &own.name, own.rules.log().definition()).await?;
    let commands = Commands::prepare(Work::all(arguments), &streams()?, &codec, own.rules)?;
    let mut source = Source { own, producer: CommandProducer::new(&own.settings)?, commands, sent: 0 };
    let count = arguments.writers.map_or(WRITERS, u16::from);
    let events = arguments.events.map_or(EVENTS, u64::from);
    let (mut one, mut several) = (Written::default(), Written::default());
    for round in 1..=ROUNDS {
        for (written, count) in [(&mut one, 1), (&mut several, count)] {
            let mut writers = Service::writers(own, count).await?;
            let look = async || committed(&log, &pool).await;
            source.catch_up(&mut writers, WARM_UP, look).await?;
            let stale = stale_decisions(&writers).await?;
            let CaughtUp { rate, processes } = source.catch_up(&mut writers, events, look).await?;
            written.stale += stale_decisions(&writers).await? - stale;
            written.commands += events / 2;
            written.rounds.push(rate);
            ProcessUse::add(&mut written.processes, processes);
            for writer in writers {
                writer.stop().await?;
            }
            Console::new().line(&format!("writers: round {round} of {ROUNDS}: {count} writer(s): {rate:.0} events/s"));
        }
    }
    let again = 100.0 * several.stale / several.commands.max(1) as f64;
    let work = format!(
        "{ROUNDS} times {events} events of entry sets across partitions, alternately by 1 and {count} writer(s); of the \
         commands of {count}, {again:.1} % were decided a second time"
    );
    let ours = Rate::of(format!("ours: {count} writers"), several.rounds);
    let ceilings = vec![Rate::of("one writer", one.rounds).above(&ours)];
    Ok(Measured { processes: several.processes, ..Measured::new("writers", work, ours, ceilings) })
}

async fn stale_decisions(writers: &[Service]) -> anyhow::Result<f64> {
    let mut sum = 0.0;
    for writer in writers {
        sum += writer.metric("millrace_writer_stale_decisions_total").await?;
    }
    Ok(sum)
}

impl Source<'_> {
    /// Sends commands for so many events as fast as Kafka takes them, while the writers commit them.
    async fn catch_up(
        &mut self,
        writers: &mut [Service],
        events: u64,
        mut look: impl AsyncFnMut() -> anyhow::Result<u64>,
    ) -> anyhow::Result<CaughtUp> {
        let from = look().await?;
        let watched = watched(&self.own.settings, &writers.iter().collect::<Vec<_>>());
        let caught_up = catch_up(writers, watched, (from, from + events), look);
        let ((), caught_up) = tokio::try_join!(self.send(events / 2), caught_up)?;
        Ok(caught_up)
    }

    async fn send(&mut self, commands: u64) -> anyhow::Result<()> {
        let numbers: Vec<u64> = (self.sent..self.sent + commands).collect();
        self.sent += commands;
        let mut deliveries = Vec::new();
        for chunk in numbers.chunks(CHUNK) {
            let chunk: Vec<_> = chunk.iter().map(|number| self.commands.get(*number)).collect();
            deliveries.push(self.producer.send(&chunk).await?);
        }
        for delivery in deliveries {
            delivery.await.context("Kafka's client stopped")??;
        }
        Ok(())
    }
}
