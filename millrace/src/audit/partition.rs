//! One partition: Postgres against the topic, to the end of both.

use std::collections::VecDeque;

use deadpool_postgres::Object;
use millrace_schemas::RecordedEvent;
use millrace_store::{Cursor, Log};

use super::Audit;
use super::difference::{Difference, Stand, in_sequence, same};
use super::topic::TopicRecords;

/// Events asked for at a time.
const PAGE: i64 = 5000;

/// What was compared.
pub(super) struct Compared {
    /// The position that the topic begins with, none when it is empty.
    pub(super) topic_begins_at: Option<i64>,
    /// Records of the topic: every one that it held when the comparison began.
    pub(super) topic_records: i64,
}

/// Compares the partition's events with the topic's records, and shows each event of Postgres to `look`, in order: all
/// up to the end of `stand`, and on to where the topic ends, which while events come may be later.
///
/// # Errors
/// The first [`Difference`]; or Kafka or Postgres does not answer.
pub(super) async fn compare(
    audit: &Audit,
    stand: &Stand,
    mut look: impl FnMut(&RecordedEvent<String>) -> Result<(), Difference>,
) -> anyhow::Result<Compared> {
    let (partition, end) = (stand.partition, stand.end());
    // opened first: what the topic holds by now, Postgres has when it is asked later
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
        same(partition, last + 1, event.map(|event| event.event_id), record.as_ref())?;
        record = topic.next().await?;
        compared.topic_records += 1;
    }
    Ok(compared)
}

/// The events of a partition in Postgres, from the first on.
struct LogEvents<'a> {
    log: &'a Log,
    client: Object,
    page: VecDeque<RecordedEvent<String>>,
    /// The last event handed out.
    cursor: Cursor,
}

impl<'a> LogEvents<'a> {
    async fn of(audit: &'a Audit, partition: i32) -> anyhow::Result<Self> {
        let client = audit.pool.get().await?;
        Ok(Self { log: &audit.log, client, page: VecDeque::new(), cursor: Cursor::start(partition) })
    }

    /// The next event; `None` when Postgres has no more now.
    async fn next(&mut self) -> anyhow::Result<Option<RecordedEvent<String>>> {
        if self.page.is_empty() {
            self.page = self.log.read(&self.client, &[self.cursor], PAGE).await?.into();
        }
        let Some(event) = self.page.pop_front() else { return Ok(None) };
        let Cursor { partition, position, recorded_at } = self.cursor;
        in_sequence(partition, (position, recorded_at), (event.position, event.recorded_at))?;
        self.cursor = Cursor { partition, position: event.position, recorded_at: event.recorded_at };
        Ok(Some(event))
    }
}
