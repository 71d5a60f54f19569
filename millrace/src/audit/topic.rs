//! Reading a partition of the event topic beside Postgres.

use anyhow::Context;
use millrace_runtime::kafka::{Fields, PartitionReader};
use millrace_schemas::headers::{CE_ID, LOG_POSITION};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::{ClientConfig, Message};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::kafka_state::unread;

/// Records read ahead.
const AHEAD: usize = 4096;

/// A record of the topic, as far as the audit looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicRecord {
    /// Its offset.
    pub offset: i64,
    /// Its header `log-position`, if it can be read.
    pub position: Option<i64>,
    /// Its header `ce_id`, if it can be read.
    pub event_id: Option<Uuid>,
}

impl From<&BorrowedMessage<'_>> for TopicRecord {
    fn from(message: &BorrowedMessage<'_>) -> Self {
        let fields = Fields::of(message);
        Self {
            offset: message.offset(),
            position: fields.text(LOG_POSITION).and_then(|text| text.parse().ok()),
            event_id: fields.text(CE_ID).and_then(|text| text.parse().ok()),
        }
    }
}

/// A partition of the topic, from its first record on.
pub struct TopicRecords {
    /// The first offset that it still has; above 0, retention has deleted what was before.
    pub first_offset: i64,
    records: mpsc::Receiver<Result<TopicRecord, KafkaError>>,
}

impl TopicRecords {
    /// Begins to read, on a thread of its own.
    ///
    /// # Errors
    /// When Kafka does not answer.
    pub async fn read(config: &ClientConfig, topic: &str, partition: i32) -> anyhow::Result<Self> {
        let (config, topic) = (config.clone(), topic.to_owned());
        let place = unread(&config, &topic);
        let open = move || PartitionReader::open(&config, &topic, partition, None);
        let mut reader = tokio::task::spawn_blocking(open).await?.context(place)?;
        let first_offset = reader.first_offset();
        let (sender, records) = mpsc::channel(AHEAD);
        tokio::task::spawn_blocking(move || {
            while let Some(record) = reader.next(|message| TopicRecord::from(message)).transpose() {
                let failed = record.is_err();
                if sender.blocking_send(record).is_err() || failed {
                    break;
                }
            }
        });
        Ok(Self { first_offset, records })
    }

    /// The next record; `None` at the end.
    ///
    /// # Errors
    /// When Kafka does not answer.
    pub async fn next(&mut self) -> anyhow::Result<Option<TopicRecord>> {
        self.records.recv().await.transpose().context("the event topic can't be read")
    }
}
