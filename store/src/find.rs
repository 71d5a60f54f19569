//! Finds events for people: by type, time, correlation id or user, page by page.

use std::collections::{BTreeMap, HashMap};

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use millrace_schemas::RecordedEvent;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::read::PageLimit;
use crate::{Log, StoreError};

/// Which events to find. A field that is `None` filters nothing.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Events recorded at this time or later. A later time makes Postgres search fewer months.
    pub since: Timestamp,
    /// Events encoded with one of these schemas, by their numbers in the table `schemas`.
    pub schemas: Option<Vec<i16>>,
    /// Events with this correlation id.
    pub correlation_id: Option<String>,
    /// Events with this user id.
    pub user_id: Option<String>,
}

/// The positions of a partition that are still to be searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// From 0.
    pub partition: i32,
    /// The search begins after this position.
    pub after: i64,
    /// The search ends with this position.
    pub last: i64,
}

/// One page of the events that match.
#[derive(Debug, Default)]
pub struct FoundPage {
    /// In order of position; of one stream, in order of version.
    pub events: Vec<RecordedEvent>,
    /// Whether no further events match.
    pub is_last: bool,
}

impl Log {
    /// The next page of each span, in the order of the spans. No two spans may have the same partition. One round trip.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn find(
        &self,
        client: &impl GenericClient,
        spans: &[Span],
        filter: &EventFilter,
        limit: PageLimit,
    ) -> Result<Vec<FoundPage>, StoreError> {
        let partitions: Vec<i32> = spans.iter().map(|span| span.partition).collect();
        let after: Vec<i64> = spans.iter().map(|span| span.after).collect();
        let last: Vec<i64> = spans.iter().map(|span| span.last).collect();
        let EventFilter { since, schemas, correlation_id, user_id } = filter;
        let parameters: [&(dyn ToSql + Sync); 9] =
            [&partitions, &after, &last, since, &limit.events, &limit.bytes, schemas, correlation_id, user_id];
        let statement = client.prepare_cached(&self.sql(include_str!("sql/find.sql"))).await?;
        let mut of_partition: HashMap<i32, Vec<Row>> = HashMap::new();
        for row in client.query(&statement, &parameters).await? {
            of_partition.entry(row.try_get(0)?).or_default().push(row);
        }
        let mut pages = Vec::with_capacity(spans.len());
        for span in spans {
            let rows = of_partition.remove(&span.partition).unwrap_or_default();
            pages.push(self.found_page(client, &rows, limit).await?);
        }
        Ok(pages)
    }

    /// The next page of a stream's events: versions after `after`, at positions up to `last`.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn find_in_stream(
        &self,
        client: &impl GenericClient,
        stream_id: &str,
        (after, last): (i64, i64),
        filter: &EventFilter,
        limit: PageLimit,
    ) -> Result<FoundPage, StoreError> {
        let EventFilter { since, schemas, correlation_id, user_id } = filter;
        let parameters: [&(dyn ToSql + Sync); 9] =
            [&stream_id, &after, &last, since, &limit.events, &limit.bytes, schemas, correlation_id, user_id];
        let statement = client.prepare_cached(&self.sql(include_str!("sql/find_in_stream.sql"))).await?;
        let rows = client.query(&statement, &parameters).await?;
        self.found_page(client, &rows, limit).await
    }

    /// The last position of each partition that was recorded before a time; 0 where no event was. `heads` has the last
    /// position of each partition.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn positions_before(
        &self,
        client: &impl GenericClient,
        heads: &BTreeMap<i32, i64>,
        time: Timestamp,
    ) -> Result<BTreeMap<i32, i64>, StoreError> {
        let (partitions, positions): (Vec<i32>, Vec<i64>) = heads.iter().unzip();
        let statement = client.prepare_cached(&self.sql(include_str!("sql/positions_before.sql"))).await?;
        let rows = client.query(&statement, &[&partitions, &positions, &time]).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }

    /// When the events at these partitions and positions were recorded; absent where there is no event.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn recorded_at(
        &self,
        client: &impl GenericClient,
        places: &[(i32, i64)],
    ) -> Result<HashMap<(i32, i64), Timestamp>, StoreError> {
        let (partitions, positions): (Vec<i32>, Vec<i64>) = places.iter().copied().unzip();
        let statement = client.prepare_cached(&self.sql(include_str!("sql/recorded_at.sql"))).await?;
        let rows = client.query(&statement, &[&partitions, &positions]).await?;
        rows.iter().map(|row| Ok(((row.try_get(0)?, row.try_get(1)?), row.try_get(2)?))).collect()
    }

    async fn found_page(
        &self,
        client: &impl GenericClient,
        rows: &[Row],
        limit: PageLimit,
    ) -> Result<FoundPage, StoreError> {
        let found: i64 = rows.first().map_or(Ok(0), |row| row.try_get(14))?;
        let mut events = Vec::with_capacity(rows.len());
        for row in rows {
            events.push(self.event(client, row).await?);
        }
        let is_whole = i64::try_from(rows.len()).is_ok_and(|returned| returned == found);
        Ok(FoundPage { events, is_last: is_whole && found < limit.events })
    }
}
