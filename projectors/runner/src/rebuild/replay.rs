//! Replaying the log to see what made a row: by one projector, or by two in step to find where they part.
//!
//! It happens in schemas of its own. The events of all partitions come in the order of their recording, a batch at a time;
//! only where a batch changes what is looked for, its events are applied one by one.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use deadpool_postgres::Pool;
use jiff::Timestamp;
use millrace_store::{Cursor, Log, PageLimit};
use serde::Serialize;
use serde_json::Value as Json;
use tokio_postgres::GenericClient;

use super::RebuildError;
use crate::checkpoints::identifier;
use crate::{Event, Projector};

/// Events of a batch.
const BATCH: usize = 1_000;
/// Events of a partition that are read at once.
const PAGE: PageLimit = PageLimit { events: 1_000, bytes: 4 * 1024 * 1024 };

/// A projector and the schema that it fills meanwhile.
pub struct Side {
    /// What is applied.
    pub projector: Arc<dyn Projector>,
    /// One connection, on whose search path `schema` is first.
    pub pool: Pool,
    /// Has the projector's tables, empty.
    pub schema: String,
}

/// A row that is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowKey {
    /// Its table.
    pub table: String,
    /// The columns of the table's primary key.
    pub columns: Vec<String>,
    /// The key, as an object of these columns.
    pub key: Json,
}

/// An event that changed a row.
#[derive(Debug, Clone, Serialize)]
pub struct Cause {
    /// Where the event stands.
    pub partition: i32,
    /// The same, inside the partition.
    pub position: i64,
    /// Its id.
    pub event_id: uuid::Uuid,
    /// Its type.
    pub event_type: String,
    /// Its stream.
    pub stream_id: String,
    /// Its version in the stream.
    pub version: i64,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// The row before it, of each side; `None` where there was no such row.
    pub before: Vec<Option<Json>>,
    /// The row after it.
    pub after: Vec<Option<Json>>,
}

/// A replay of the log up to some positions.
pub struct Replay<'r> {
    log: &'r Log,
    source: &'r Pool,
    sides: &'r [Side],
    rows: &'r [RowKey],
    reader: Reader,
}

/// The rows as each side has them: by row, by side.
type State = Vec<Vec<Option<Json>>>;

impl<'r> Replay<'r> {
    /// A replay of what stands before or at these positions, by partition.
    pub fn new(
        (log, source): (&'r Log, &'r Pool),
        sides: &'r [Side],
        rows: &'r [RowKey],
        until: &BTreeMap<i32, i64>,
    ) -> Self {
        Self { log, source, sides, rows, reader: Reader::new(until) }
    }

    /// Applies all events. Each one at which `is_sought` says yes, of a row before and after it, is told with the row's
    /// index.
    ///
    /// # Errors
    /// When an event can't be applied, or Postgres does not answer.
    pub async fn run(
        mut self,
        is_sought: impl Fn(&[Option<Json>], &[Option<Json>]) -> bool,
        mut tell: impl FnMut(usize, Cause),
    ) -> Result<(), RebuildError> {
        let mut state: State = vec![vec![None; self.sides.len()]; self.rows.len()];
        loop {
            let batch = self.reader.next(self.log, self.source).await?;
            if batch.is_empty() {
                return Ok(());
            }
            // a stack of what is left to do, the next on top
            let mut parts: Vec<&[Event]> = vec![&batch];
            while let Some(events) = parts.pop() {
                let changes = |after: &State| {
                    let changed = state.iter().zip(after).enumerate();
                    let changed = changed.filter(|(_, (before, after))| is_sought(before, after));
                    changed.map(|(row, _)| row).collect::<Vec<usize>>()
                };
                let is_single = events.len() == 1;
                let (after, rows) = self
                    .apply(events, |after| {
                        let rows = changes(after);
                        (is_single || rows.is_empty(), rows)
                    })
                    .await?;
                match (events, rows.is_empty()) {
                    (_, true) => state = after,
                    ([event], false) => {
                        for row in rows {
                            let of = |state: &State| state.get(row).cloned().unwrap_or_default();
                            tell(row, Cause::new(event, of(&state), of(&after)));
                        }
                        state = after;
                    }
                    (events, false) => {
                        let (left, right) = events.split_at(events.len() / 2);
                        parts.extend([right, left]);
                    }
                }
            }
        }
    }

    /// Applies events on every side, and keeps that if `keep` says so of the rows afterwards.
    async fn apply<T>(
        &self,
        events: &[Event],
        keep: impl FnOnce(&State) -> (bool, T),
    ) -> Result<(State, T), RebuildError> {
        let mut clients = Vec::new();
        for side in self.sides {
            clients.push(side.pool.get().await?);
        }
        let mut transactions = Vec::new();
        let mut state: State = vec![Vec::new(); self.rows.len()];
        for (side, client) in self.sides.iter().zip(&mut clients) {
            let transaction = client.transaction().await?;
            side.projector.apply(&transaction, events).await.map_err(|error| {
                let first = events.first();
                RebuildError::NotNow(format!(
                    "replaying in {} ends near {}: {error}",
                    side.schema,
                    first
                        .map(|event| format!("partition {}, position {}", event.partition, event.position))
                        .unwrap_or_default()
                ))
            })?;
            for (row, states) in self.rows.iter().zip(&mut state) {
                states.push(row.read(&*transaction, &side.schema).await?);
            }
            transactions.push(transaction);
        }
        let (is_kept, told) = keep(&state);
        for transaction in transactions {
            if is_kept { transaction.commit().await? } else { transaction.rollback().await? }
        }
        Ok((state, told))
    }
}

impl RowKey {
    /// The row as `schema` has it.
    ///
    /// # Errors
    /// When Postgres does not answer, or the key does not fit the table.
    pub async fn read(&self, client: &impl GenericClient, schema: &str) -> Result<Option<Json>, RebuildError> {
        let table = format!("{}.{}", identifier(schema), identifier(&self.table));
        let columns: Vec<String> = self.columns.iter().map(|column| identifier(column)).collect();
        let sql = format!(
            "SELECT to_jsonb(t) FROM {table} AS t
               JOIN jsonb_populate_record(NULL::{table}, $1) AS k USING ({})",
            columns.join(", ")
        );
        // a table that only one of two versions has
        let row = match client.query_opt(&sql, &[&self.key]).await {
            Err(error) if error.code() == Some(&tokio_postgres::error::SqlState::UNDEFINED_TABLE) => None,
            row => row?,
        };
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }
}

impl Cause {
    fn new(event: &Event, before: Vec<Option<Json>>, after: Vec<Option<Json>>) -> Self {
        Self {
            partition: event.partition,
            position: event.position,
            event_id: event.event_id,
            event_type: event.event_type().to_owned(),
            stream_id: event.stream_id.to_string(),
            version: event.version,
            recorded_at: event.recorded_at,
            before,
            after,
        }
    }
}

/// Events of all partitions in the order of their recording; inside a partition in order of position.
struct Reader {
    partitions: Vec<Partition>,
}

struct Partition {
    cursor: Cursor,
    until: i64,
    read: VecDeque<Event>,
}

impl Reader {
    fn new(until: &BTreeMap<i32, i64>) -> Self {
        let partition = |(partition, until): (&i32, &i64)| Partition {
            cursor: Cursor::start(*partition),
            until: *until,
            read: VecDeque::new(),
        };
        Self { partitions: until.iter().map(partition).collect() }
    }

    /// The next events; none at the end.
    async fn next(&mut self, log: &Log, source: &Pool) -> Result<Vec<Event>, RebuildError> {
        let mut batch = Vec::new();
        while batch.len() < BATCH {
            let empty =
                |partition: &&mut Partition| partition.read.is_empty() && partition.cursor.position < partition.until;
            let mut empty: Vec<&mut Partition> = self.partitions.iter_mut().filter(empty).collect();
            if !empty.is_empty() {
                let cursors: Vec<Cursor> = empty.iter().map(|partition| partition.cursor).collect();
                let page = log.read(&source.get().await?, &cursors, PAGE).await?;
                for event in page.events {
                    let of = empty.iter_mut().find(|partition| partition.cursor.partition == event.partition);
                    if let Some(partition) = of.filter(|partition| event.position <= partition.until) {
                        partition.cursor = Cursor::after(&event);
                        partition.read.push_back(event);
                    }
                }
                if let Some(partition) = empty.iter().find(|partition| partition.read.is_empty()) {
                    let Cursor { partition: number, position: after, .. } = partition.cursor;
                    return Err(RebuildError::Missing { partition: number, after, head: partition.until });
                }
            }
            let first = self.partitions.iter_mut().filter(|partition| !partition.read.is_empty());
            let first = first.min_by_key(|partition| partition.read.front().map(|event| event.recorded_at));
            match first.and_then(|partition| partition.read.pop_front()) {
                Some(event) => batch.push(event),
                None => break,
            }
        }
        Ok(batch)
    }
}
