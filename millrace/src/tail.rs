//! `millrace tail` prints the events of the event topic as they come.

use std::process::ExitCode;

use anyhow::Context;
use millrace_runtime::kafka::{Fields, client_config};
use millrace_runtime::{Settings, on_signal};
use millrace_schemas::headers::{CE_TIME, LOG_POSITION, STREAM_VERSION};
use millrace_schemas::{Codec, DecodeError, LogName, Registry, Topic};
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message, Offset, TopicPartitionList};
use serde::Serialize;

use crate::cli::TailArguments;
use crate::kafka_state::TopicEnds;
use crate::output::{Output, escaped};

/// An event of the topic. Fields that can't be read are absent.
#[derive(Serialize)]
struct TopicEvent {
    partition: i32,
    position: Option<i64>,
    recorded_at: Option<String>,
    stream_id: Option<String>,
    version: Option<i64>,
    r#type: Option<&'static str>,
    data: Option<serde_json::Value>,
    /// Why the value can't be decoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// Runs the command. Ends on ctrl-c, at the limit, or when the reader of its output has left.
pub async fn run(settings: &Settings, arguments: &TailArguments, output: Output) -> anyhow::Result<ExitCode> {
    let name: LogName = settings.log.parse()?;
    let codec = Codec::open(Registry::new(settings.registry_url()?)?, &name);
    let consumer = consumer(settings, name.events_topic(), arguments.from_beginning).await?;
    let interrupted = on_signal()?;
    let mut left = arguments.limit.unwrap_or(u64::MAX);
    while left > 0 {
        let message = tokio::select! {
            message = consumer.recv() => message,
            () = interrupted.cancelled() => break,
        };
        match message {
            Ok(message) => {
                let event = TopicEvent::read(&codec, &message).await?;
                if !output.print_line(&event, text)? {
                    break;
                }
                left -= 1;
            }
            Err(error @ KafkaError::MessageConsumptionFatal(_)) => {
                return Err(error).context("the event topic can't be read");
            }
            // librdkafka keeps trying
            Err(error) => eprintln!("millrace: {error}; trying again"),
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A consumer of all partitions, in no group. "From now on" means after this call.
async fn consumer(settings: &Settings, topic: String, from_beginning: bool) -> anyhow::Result<StreamConsumer> {
    let mut config = client_config(settings)?;
    // librdkafka insists on a group's name, but does not use it without a subscription or a commit
    config.set("group.id", "millrace.reader").set("enable.auto.commit", "false").set("auto.offset.reset", "earliest");
    let ends = TopicEnds::of(&config, topic.clone()).await?.get().await?;
    let mut assignment = TopicPartitionList::new();
    for (partition, end) in (0..).zip(ends) {
        let from = if from_beginning { Offset::Beginning } else { Offset::Offset(end) };
        assignment.add_partition_offset(&topic, partition, from)?;
    }
    let consumer: StreamConsumer = config.create()?;
    consumer.assign(&assignment)?;
    Ok(consumer)
}

impl TopicEvent {
    async fn read(codec: &Codec, message: &BorrowedMessage<'_>) -> anyhow::Result<Self> {
        let fields = Fields::of(message);
        let header = |name: &str| fields.text(name);
        let (record, data, problem) = match codec.receive(Topic::Events, message.payload().unwrap_or_default()).await {
            Ok(received) => (Some(received.name()), Some(received.json()?), None),
            Err(DecodeError::Unreadable { reason, .. }) => (None, None, Some(reason)),
            Err(DecodeError::Transient(error)) => return Err(error.into()),
        };
        Ok(Self {
            partition: message.partition(),
            position: header(LOG_POSITION).and_then(|text| text.parse().ok()),
            recorded_at: header(CE_TIME).map(str::to_owned),
            stream_id: message.key().map(|key| String::from_utf8_lossy(key).into_owned()),
            version: header(STREAM_VERSION).and_then(|text| text.parse().ok()),
            r#type: record,
            data,
            problem,
        })
    }
}

fn text(event: &TopicEvent) -> String {
    let number = |number: Option<i64>| number.map_or_else(|| "?".to_owned(), |number| number.to_string());
    let or_unknown = |text: &Option<String>| text.as_deref().map_or_else(|| "?".to_owned(), escaped);
    let (partition, position, version) = (event.partition, number(event.position), number(event.version));
    let (time, stream) = (or_unknown(&event.recorded_at), or_unknown(&event.stream_id));
    let data = event.data.as_ref().map(ToString::to_string);
    let data = escaped(&data.or_else(|| event.problem.clone()).unwrap_or_default());
    format!("{partition}@{position}  {time}  {stream} version {version}  {}  {data}", event.r#type.unwrap_or("?"))
}
