//! Reads a partition of the event topic, chunk by chunk on its own thread.

use std::collections::VecDeque;

use anyhow::Context;
use jiff::Timestamp;
use millrace_runtime::kafka::{Fields, PartitionReader};
use millrace_schemas::headers::{CE_ID, CE_TIME, LOG_POSITION, STREAM_VERSION};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::{ClientConfig, Message};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::kafka_state::unread;

/// Most records of a chunk.
const CHUNK: usize = 1024;
/// Bytes of keys and values after which a chunk is full.
const CHUNK_BYTES: usize = 1 << 20;
/// Most chunks read ahead.
const AHEAD: usize = 4;

/// The parts of a topic's record that the audit compares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicRecord {
    /// The offset in the topic's partition.
    pub offset: i64,
    /// The header `log-position`; `None` when it is missing or unreadable.
    pub position: Option<i64>,
    /// The header `ce_id`; `None` when it is missing or unreadable.
    pub event_id: Option<Uuid>,
    /// The header `stream-version`; `None` when it is missing or unreadable.
    pub version: Option<i64>,
    /// The header `ce_time`; `None` when it is missing or unreadable.
    pub recorded_at: Option<Timestamp>,
    /// Should be the stream's id.
    pub key: Option<Vec<u8>>,
    /// Should be the datum in its frame.
    pub value: Option<Vec<u8>>,
}

impl From<&BorrowedMessage<'_>> for TopicRecord {
    fn from(message: &BorrowedMessage<'_>) -> Self {
        let fields = Fields::of(message);
        Self {
            offset: message.offset(),
            position: position(&fields),
            event_id: fields.text(CE_ID).and_then(|text| text.parse().ok()),
            version: fields.text(STREAM_VERSION).and_then(|text| text.parse().ok()),
            recorded_at: fields.text(CE_TIME).and_then(|text| text.parse().ok()),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
        }
    }
}

impl TopicRecord {
    fn bytes(&self) -> usize {
        [&self.key, &self.value].into_iter().flatten().map(Vec::len).sum()
    }
}

/// The header `log-position`; `None` when it is missing or unreadable.
pub fn position(fields: &Fields<'_>) -> Option<i64> {
    fields.text(LOG_POSITION).and_then(|text| text.parse().ok())
}

/// Reads a partition of the topic from its first record on. Holds at most a few chunks in memory, each of bounded size.
pub struct TopicRecords {
    /// The first offset that the topic still has. Above 0, retention has deleted the records before.
    pub first_offset: i64,
    chunk: VecDeque<TopicRecord>,
    chunks: mpsc::Receiver<Result<Vec<TopicRecord>, KafkaError>>,
}

impl TopicRecords {
    /// Starts the thread that reads.
    ///
    /// # Errors
    /// When Kafka does not answer.
    pub async fn read(config: &ClientConfig, topic: &str, partition: i32) -> anyhow::Result<Self> {
        let (config, topic) = (config.clone(), topic.to_owned());
        let place = unread(&config, &topic);
        let open = move || PartitionReader::open(&config, &topic, partition, None);
        let mut reader = tokio::task::spawn_blocking(open).await?.context(place)?;
        let first_offset = reader.first_offset();
        let (sender, chunks) = mpsc::channel(AHEAD);
        tokio::task::spawn_blocking(move || {
            while let Some(chunk) = next_chunk(&mut reader).transpose() {
                let failed = chunk.is_err();
                if sender.blocking_send(chunk).is_err() || failed {
                    break;
                }
            }
        });
        Ok(Self { first_offset, chunk: VecDeque::new(), chunks })
    }

    /// The next record; `None` at the end that the partition had when the reading began.
    ///
    /// # Errors
    /// When Kafka does not answer.
    pub async fn next(&mut self) -> anyhow::Result<Option<TopicRecord>> {
        if self.chunk.is_empty() {
            let chunk = self.chunks.recv().await.transpose().context("the event topic can't be read")?;
            self.chunk.extend(chunk.unwrap_or_default());
        }
        Ok(self.chunk.pop_front())
    }
}

/// The next records; `None` at the end.
fn next_chunk(reader: &mut PartitionReader) -> Result<Option<Vec<TopicRecord>>, KafkaError> {
    let (mut chunk, mut bytes) = (Vec::new(), 0);
    while chunk.len() < CHUNK && bytes < CHUNK_BYTES {
        let Some(record) = reader.next(|message| TopicRecord::from(message))? else { break };
        bytes += record.bytes();
        chunk.push(record);
    }
    Ok(if chunk.is_empty() { None } else { Some(chunk) })
}
