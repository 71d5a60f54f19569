//! Reads the log by position.

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use millrace_schemas::{Metadata, RecordedEvent};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::{Head, Log, StoreError};

/// Which event stands at a position. The id alone does not tell: the sender of an `Append` chooses it, so after Postgres has
/// lost commits the same id may come again, at another time and after other events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The event's id.
    pub event_id: Uuid,
    /// When it was recorded, to the microsecond.
    pub recorded_at: Timestamp,
}

impl From<&RecordedEvent> for Identity {
    fn from(event: &RecordedEvent) -> Self {
        Self { event_id: event.event_id, recorded_at: event.recorded_at }
    }
}

/// Where a reader stands in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// From 0.
    pub partition: i32,
    /// The last position that the reader has read; 0 before the first.
    pub position: i64,
    /// The id of the event at that position. With it, the page says whether Postgres still has that event.
    pub event_id: Option<Uuid>,
    /// When that event was recorded, if the reader knows: then the page also says whether the event has come again since,
    /// and Postgres searches fewer months.
    pub recorded_at: Option<Timestamp>,
}

impl Cursor {
    /// A cursor before the first event of a partition.
    pub fn start(partition: i32) -> Self {
        Self { partition, position: 0, event_id: None, recorded_at: None }
    }

    /// A cursor after an event.
    pub fn after(event: &RecordedEvent) -> Self {
        Self {
            partition: event.partition,
            position: event.position,
            event_id: Some(event.event_id),
            recorded_at: Some(event.recorded_at),
        }
    }

    /// The event at the cursor; `None` where the reader does not know all of it.
    pub fn identity(&self) -> Option<Identity> {
        Some(Identity { event_id: self.event_id?, recorded_at: self.recorded_at? })
    }

    /// Whether the event that Postgres has at the position is the one that was read there, as far as the reader knows it.
    pub fn is_at(&self, found: Option<Identity>) -> bool {
        self.event_id.is_none_or(|read| found.is_some_and(|found| found.event_id == read))
            && self.recorded_at.is_none_or(|read| found.is_some_and(|found| found.recorded_at == read))
    }
}

impl From<Head> for Cursor {
    fn from(head: Head) -> Self {
        let event_id = (head.position > 0).then_some(head.event_id);
        Self { event_id, position: head.position, ..Self::start(head.partition) }
    }
}

/// How much to read of each partition at once.
#[derive(Debug, Clone, Copy)]
pub struct PageLimit {
    /// Most events of a partition.
    pub events: i64,
    /// Bytes of data after which a partition's page ends; it has at least one event, however large.
    pub bytes: i64,
}

/// The events after the cursors.
#[derive(Debug, Default)]
pub struct Page {
    /// Inside a partition in order of position.
    pub events: Vec<RecordedEvent>,
    /// The partitions where Postgres no longer has the event at the cursor: it has lost commits since the reader read
    /// it. Also where it has the same id there, recorded at another time. The page has no events of these partitions.
    pub forks: Vec<Fork>,
}

/// A partition whose history in Postgres is not the one that the reader has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fork {
    /// Where the reader stood.
    pub cursor: Cursor,
    /// The event that Postgres has at that position now; `None` when it has no event there.
    pub found: Option<Identity>,
}

impl Log {
    /// The events after each cursor, in one round trip. No two cursors may have the same partition.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn read(
        &self,
        client: &impl GenericClient,
        cursors: &[Cursor],
        limit: PageLimit,
    ) -> Result<Page, StoreError> {
        let partitions: Vec<i32> = cursors.iter().map(|cursor| cursor.partition).collect();
        let positions: Vec<i64> = cursors.iter().map(|cursor| cursor.position).collect();
        let since: Vec<Timestamp> = cursors.iter().map(|cursor| cursor.recorded_at.unwrap_or_default()).collect();
        let statement = client.prepare_cached(&self.sql(include_str!("sql/read.sql"))).await?;
        let mut rows =
            client.query(&statement, &[&partitions, &positions, &since, &limit.events, &limit.bytes]).await?;
        // a plan may return partitions in another order than they were asked for
        let place = |row: &Row| {
            let partition: i32 = row.try_get(0).unwrap_or(i32::MAX);
            let cursor = partitions.iter().position(|asked| *asked == partition);
            (cursor, row.try_get::<_, i64>(1).unwrap_or(i64::MAX))
        };
        if !rows.is_sorted_by_key(place) {
            rows.sort_by_key(place);
        }
        let mut page = Page::default();
        let mut rows = rows.iter().peekable();
        for cursor in cursors {
            // The query returns the event at the cursor itself first, so that we can compare it.
            let found = match rows.peek() {
                Some(row) if row.try_get::<_, i32>(0)? == cursor.partition && is_at(row, cursor.position)? => {
                    let found = Identity { event_id: row.try_get(4)?, recorded_at: row.try_get(13)? };
                    rows.next();
                    Some(found)
                }
                _ => None,
            };
            let is_fork = !cursor.is_at(found);
            if is_fork {
                page.forks.push(Fork { cursor: *cursor, found });
            }
            while let Some(row) = rows.next_if(|row| row.try_get::<_, i32>(0).ok() == Some(cursor.partition)) {
                if !is_fork {
                    page.events.push(self.event(client, row).await?);
                }
            }
        }
        Ok(page)
    }

    /// At most `limit` events of a stream after a version, in order of version.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn read_stream(
        &self,
        client: &impl GenericClient,
        stream_id: &str,
        after: i64,
        limit: i64,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        let statement = client.prepare_cached(&self.sql(include_str!("sql/read_stream.sql"))).await?;
        let rows = client.query(&statement, &[&stream_id, &after, &limit]).await?;
        let mut events = Vec::with_capacity(rows.len());
        for row in &rows {
            events.push(self.event(client, row).await?);
        }
        Ok(events)
    }

    /// The event at a position; `None` when there is none.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn event_at(
        &self,
        client: &impl GenericClient,
        partition: i32,
        position: i64,
    ) -> Result<Option<Identity>, StoreError> {
        let statement = client.prepare_cached(&self.sql(include_str!("sql/event_at.sql"))).await?;
        let row = client.query_opt(&statement, &[&partition, &position]).await?;
        row.map(|row| Ok(Identity { event_id: row.try_get(0)?, recorded_at: row.try_get(1)? })).transpose()
    }

    /// Makes an event of a row with the columns of `read.sql`.
    pub(crate) async fn event(&self, client: &impl GenericClient, row: &Row) -> Result<RecordedEvent, StoreError> {
        let stream_id: &str = row.try_get(2)?;
        let schema = self.schema(client, row.try_get(5)?).await?;
        Ok(RecordedEvent {
            partition: row.try_get(0)?,
            position: row.try_get(1)?,
            stream_id: stream_id.parse().map_err(|e| StoreError::Damaged(format!("events: {e}")))?,
            version: row.try_get(3)?,
            event_id: row.try_get(4)?,
            schema,
            value: RecordedEvent::framed(schema, row.try_get(6)?),
            metadata: Metadata {
                correlation_id: row.try_get(7)?,
                causation_id: row.try_get(8)?,
                user_id: row.try_get(9)?,
                source: row.try_get(10)?,
                client_address: row.try_get(11)?,
                traceparent: row.try_get(12)?,
            },
            recorded_at: row.try_get(13)?,
        })
    }
}

fn is_at(row: &Row, position: i64) -> Result<bool, StoreError> {
    Ok(row.try_get::<_, i64>(1)? == position)
}
