//! Sending commands, as a client of the pipeline does.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use millrace::{CommandProducer, OutgoingCommand};
use millrace_runtime::kafka::{Delivered, DeliveryError};
use millrace_schemas::headers::AVRO;
use millrace_schemas::{Codec, StreamId, Topic};
use tokio::sync::oneshot;

use super::appended::Append;
use super::run::{CHUNK, Run};
use crate::command_id::command_id;
use crate::rules::Rules;
use crate::work::Work;

/// Different commands that are made beforehand; they are sent over and over, with new ids.
const COMMANDS: usize = 50_000;
/// Without a rate: most commands without an outcome.
const MOST_UNHEARD: u64 = 20_000;
/// How often commands are sent.
const TICK: Duration = Duration::from_millis(1);

/// Commands, encoded beforehand: making them takes no processor time from the pipeline.
pub struct Commands {
    /// The type of all of them.
    name: &'static str,
    /// The first stream and the value of each.
    made: Vec<(StreamId, Vec<u8>)>,
}

type Delivery = oneshot::Receiver<Result<Delivered, DeliveryError>>;

impl Commands {
    /// Makes them.
    pub fn prepare(mut work: Work, streams: &[StreamId], codec: &Codec, rules: Rules) -> anyhow::Result<Self> {
        let name = if rules == Rules::Append { "Append" } else { "PostEntrySet" };
        let schema = codec.newest(Topic::Commands, name)?;
        let posted = codec.newest(Topic::Events, "EntryPosted")?;
        let commands = (0..COMMANDS).map(|_| {
            let set = work.next_set();
            let value = match rules {
                Rules::Append => schema.encode_framed(&Append::of(&set, streams, posted)?)?,
                Rules::Rust | Rules::Declared => schema.encode_framed(&set.command)?,
            };
            Ok((streams[set.accounts[0]].clone(), value))
        });
        Ok(Self { name, made: commands.collect::<anyhow::Result<_>>()? })
    }

    /// The command of that number; its id holds the number.
    pub fn get(&self, number: u64) -> OutgoingCommand {
        let (stream, value) = &self.made[(number % self.made.len() as u64) as usize];
        OutgoingCommand {
            id: command_id(number),
            name: self.name.to_owned(),
            key: Some(stream.to_string()),
            content_type: AVRO,
            value: value.clone(),
            headers: Vec::new(),
        }
    }
}

/// Sends until the run's end, and returns when Kafka has all of it.
///
/// # Errors
/// When Kafka does not take a command.
pub async fn send(run: &Run, producer: &CommandProducer, commands: &Commands) -> anyhow::Result<()> {
    let mut ticks = tokio::time::interval(TICK);
    let mut deliveries: VecDeque<Delivery> = VecDeque::new();
    while run.started.elapsed() < run.end {
        ticks.tick().await;
        let sent = run.sent.load(Ordering::Relaxed);
        let due = match run.rate {
            Some(rate) => (u128::from(run.now()) * u128::from(rate) / 1_000_000) as u64 + 1,
            None if run.unheard() + CHUNK <= MOST_UNHEARD => {
                run.chunk_is_sent();
                sent + CHUNK
            }
            None => sent,
        };
        if due > sent {
            let batch: Vec<OutgoingCommand> = (sent..due).map(|number| commands.get(number)).collect();
            run.sent.store(due, Ordering::Relaxed);
            deliveries.push_back(producer.send(&batch).await?);
        }
        while let Some(delivery) = deliveries.front_mut() {
            match delivery.try_recv() {
                Ok(delivered) => drop(delivered?),
                Err(oneshot::error::TryRecvError::Empty) => break,
                Err(closed) => return Err(closed).context("Kafka's client stopped"),
            }
            deliveries.pop_front();
        }
    }
    for delivery in deliveries {
        delivery.await.context("Kafka's client stopped")??;
    }
    Ok(())
}
