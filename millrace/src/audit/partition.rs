//! Compares one partition in Postgres and in the topic, to the end of both.

use std::collections::VecDeque;

use deadpool_postgres::Object;
use millrace_schemas::RecordedEvent;
use millrace_store::{Cursor, Log, PageLimit};

use super::Audit;
use super::difference::{Difference, LogEvent, Stand, in_sequence, same, set_back};
use super::topic::TopicRecords;

/// Events to read from Postgres at once.
const PAGE: PageLimit = PageLimit { events: 5000, bytes: 8 << 20 };

/// How much of the topic was compared.
pub(super) struct Compared {
    /// The position of the topic's first record; `None` when the topic is empty.
    pub(super) topic_begins_at: Option<i64>,
    /// How many records the topic held when the comparison began; all were compared.
    pub(super) topic_records: i64,
}

/// Compares the partition's events with the topic's records, and calls `look` for each event in Postgres, in order. It
/// goes up to the end of `stand`, or to the topic's end, which may be later while events come.
///
/// # Errors
/// The first [`Difference`]; or Kafka or Postgres does not answer.
pub(super) async fn compare(
    audit: &Audit,
    stand: &Stand,
    mut look: impl FnMut(&RecordedEvent) -> Result<(), Difference>,
) -> anyhow::Result<Compared> {
    let (partition, end) = (stand.partition, stand.end());
    // Open the topic before reading Postgres: then Postgres has every event that the topic has by now.
    let mut topic = TopicRecords::read(&audit.kafka, &audit.topic, partition).await?;
    let mut record = topic.next().await?;
    let first = stand.first_compared(topic.first_offset, record.as_ref())?;
    let mut compared =
        Compared { topic_begins_at: record.as_ref().and_then(|record| record.position), topic_records: 0 };
    let mut log = LogEvents::of(audit, partition).await?;
    while log.cursor.position < end || record.is_some() {
        let last = log.cursor.position;
        let event = log.next().await?;
        match &event {
            Some(event) => look(event)?,
            None if last < end => return Err(stand.missing_after(last).into()),
            None => {}
        }
        if event.as_ref().is_some_and(|event| event.position < first) {
            continue;
        }
        same(partition, last + 1, event.as_ref().map(LogEvent::from), record.as_ref())?;
        record = topic.next().await?;
        compared.topic_records += 1;
    }
    Ok(compared)
}

/// Reads the events of a partition from Postgres, page by page from the first on.
pub(super) struct LogEvents<'a> {
    log: &'a Log,
    client: Object,
    page: VecDeque<RecordedEvent>,
    /// At the last event that `next` returned.
    cursor: Cursor,
}

impl<'a> LogEvents<'a> {
    pub(super) async fn of(audit: &'a Audit, partition: i32) -> anyhow::Result<Self> {
        let client = audit.pool.get().await?;
        Ok(Self { log: &audit.log, client, page: VecDeque::new(), cursor: Cursor::start(partition) })
    }

    /// The next event; `None` when Postgres has no further event yet.
    pub(super) async fn next(&mut self) -> anyhow::Result<Option<RecordedEvent>> {
        if self.page.is_empty() {
            let page = self.log.read(&self.client, &[self.cursor], PAGE).await?;
            if let Some(fork) = page.forks.first() {
                return Err(set_back(fork).into());
            }
            self.page = page.events.into();
        }
        let Some(event) = self.page.pop_front() else { return Ok(None) };
        let Cursor { partition, position, recorded_at, .. } = self.cursor;
        in_sequence(partition, (position, recorded_at.unwrap_or_default()), (event.position, event.recorded_at))?;
        self.cursor = Cursor::after(&event);
        Ok(Some(event))
    }
}
