//! How far a read model has applied each partition, and which events these were. It is the read model's own word, in its
//! own database, and the only one that counts.

mod fingerprint;

use std::collections::HashMap;

use deadpool_postgres::{Pool, Transaction};
use millrace_schemas::LogName;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{GenericClient, Row};
use uuid::Uuid;

pub use fingerprint::{event_hash, fingerprint};

use crate::generation::check;
use crate::{BuildState, Event, Generation, ProjectorError};
use fingerprint::PRINT;

/// What a read model has applied of one partition.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// The position applied last; 0 before the first.
    pub position: i64,
    /// How many events were applied.
    pub events: i64,
    /// The XOR of their [`event_hash`].
    pub ids_hash: u64,
}

/// A partition's step from one position to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Move {
    /// The partition.
    pub(crate) partition: i32,
    /// The position applied last before.
    pub(crate) from: i64,
    /// The position applied last after.
    pub(crate) to: i64,
    /// The XOR of the hashes of the events between.
    ids_hash: u64,
}

impl Move {
    /// The step over some events of one partition, which stand in order without a hole; `None` over none.
    pub(crate) fn over(events: &[Event]) -> Option<Self> {
        let (first, last) = (events.first()?, events.last()?);
        let ids_hash = events.iter().fold(0, |hash, event| hash ^ event_hash(event.position, event.event_id));
        Some(Self { partition: first.partition, from: first.position - 1, to: last.position, ids_hash })
    }
}

/// The position that the read model in `schema` (its projector's name) has applied last, per partition of `log`. A
/// partition that is absent has had nothing applied. Needs no search path.
///
/// # Errors
/// When the read model's tables are not there, or Postgres does not answer.
pub async fn checkpoints(
    client: &impl GenericClient,
    schema: &str,
    log: &LogName,
) -> Result<HashMap<i32, i64>, ProjectorError> {
    let tallies = tallies(client, schema, log).await?;
    Ok(tallies.into_iter().map(|(partition, tally)| (partition, tally.position)).collect())
}

/// The same, with count and hash of the events applied.
///
/// # Errors
/// When the read model's tables are not there, or Postgres does not answer.
pub async fn tallies(
    client: &impl GenericClient,
    schema: &str,
    log: &LogName,
) -> Result<HashMap<i32, Tally>, ProjectorError> {
    let rows = client.query(&in_schema(include_str!("sql/read.sql"), schema), &[&log.as_str()]).await;
    let rows = rows.map_err(|error| not_migrated(schema, error))?;
    let tally = |row: &Row| {
        let (position, events, ids_hash): (i64, i64, i64) = (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
        Ok((row.try_get(0)?, Tally { position, events, ids_hash: ids_hash.cast_unsigned() }))
    };
    rows.iter().map(tally).collect()
}

/// The rows of fingerprints from the one that begins with position `first` on: the first position of each, and the
/// [`fingerprint`] of each of its events. At most `limit` rows.
///
/// # Errors
/// When the read model's tables are not there, or Postgres does not answer.
pub async fn fingerprints(
    client: &impl GenericClient,
    schema: &str,
    (log, partition): (&LogName, i32),
    first: i64,
    limit: i64,
) -> Result<Vec<(i64, Vec<[u8; PRINT]>)>, ProjectorError> {
    let sql = in_schema(include_str!("sql/fingerprints.sql"), schema);
    let rows = client.query(&sql, &[&log.as_str(), &partition, &first, &limit]).await;
    let rows = rows.map_err(|error| not_migrated(schema, error))?;
    rows.iter().map(|row| Ok((row.try_get(0)?, fingerprint::split(row.try_get(1)?)))).collect()
}

/// Whether the event with this id was applied at this position; also true where there is no fingerprint of it.
pub(crate) async fn is_applied(
    client: &impl GenericClient,
    schema: &str,
    place: (&LogName, i32),
    position: i64,
    event_id: Uuid,
) -> Result<bool, ProjectorError> {
    let first = fingerprint::first_of_row(position);
    let rows = fingerprints(client, schema, place, first, 1).await?;
    let row = rows.first().filter(|(begins, _)| *begins == first);
    let index = usize::try_from(position - first).unwrap_or_default();
    let known = row.and_then(|(_, prints)| prints.get(index));
    Ok(known.is_none_or(|known| *known == fingerprint(position, event_id)))
}

/// Creates the tables and functions that every read model has, in the schema that is first on the search path, for a build
/// in this state; or brings them up to date, and leaves what they say of the build.
///
/// # Errors
/// When Postgres refuses or does not answer.
pub async fn create_checkpoints(
    client: &impl GenericClient,
    generation: Generation,
    state: BuildState,
) -> Result<(), tokio_postgres::Error> {
    client.batch_execute(include_str!("sql/create.sql")).await?;
    let begin = include_str!("../generation/begin.sql");
    client.execute(begin, &[&generation.number, &generation.version, &state.as_str()]).await?;
    Ok(())
}

/// The checkpoints of these partitions, each of which has a row afterwards. The read model must be of this log alone: its
/// tables tell no log from another.
pub(crate) async fn begin(
    pool: &Pool,
    (name, generation): (&str, Generation),
    log: &LogName,
    partitions: &[i32],
) -> Result<HashMap<i32, i64>, ProjectorError> {
    let client = pool.get().await?;
    check(&**client, name, generation).await?;
    if let Some(other) = other_log(&**client, name, log).await? {
        return Err(ProjectorError::OtherLog { schema: name.to_owned(), other, log: log.to_string() });
    }
    let begun = client.execute(include_str!("sql/begin.sql"), &[&log.as_str(), &partitions]).await;
    begun.map_err(|error| not_migrated(name, error))?;
    checkpoints(&**client, name, log).await
}

/// Another log than `log` whose events are in the read model, if there is one.
///
/// # Errors
/// When the read model's tables are not there, or Postgres does not answer.
pub async fn other_log(
    client: &impl GenericClient,
    schema: &str,
    log: &LogName,
) -> Result<Option<String>, ProjectorError> {
    let row = client.query_opt(&in_schema(include_str!("sql/other_log.sql"), schema), &[&log.as_str()]).await;
    let row = row.map_err(|error| not_migrated(schema, error))?;
    row.map(|row| Ok(row.try_get(0)?)).transpose()
}

/// Moves checkpoints over `events` inside the transaction that applies them; false when one of them stands elsewhere by
/// now, and the transaction must not commit.
pub(crate) async fn advance(
    transaction: &Transaction<'_>,
    log: &LogName,
    generation: Generation,
    moves: &[Move],
    events: &[Event],
) -> Result<bool, tokio_postgres::Error> {
    let partitions: Vec<i32> = moves.iter().map(|m| m.partition).collect();
    let from: Vec<i64> = moves.iter().map(|m| m.from).collect();
    let to: Vec<i64> = moves.iter().map(|m| m.to).collect();
    let hashes: Vec<i64> = moves.iter().map(|m| m.ids_hash.cast_signed()).collect();
    let rows = fingerprint::rows(events);
    let row_partitions: Vec<i32> = rows.iter().map(|row| row.partition).collect();
    let first: Vec<i64> = rows.iter().map(|row| row.first).collect();
    let last: Vec<i64> = rows.iter().map(|row| row.last).collect();
    let prints: Vec<&[u8]> = rows.iter().map(|row| row.prints.as_slice()).collect();
    let statement = transaction.prepare_cached(include_str!("sql/advance.sql")).await?;
    let of_moves: [&(dyn ToSql + Sync); 5] = [&log.as_str(), &partitions, &from, &to, &hashes];
    let of_rows: [&(dyn ToSql + Sync); 6] =
        [&row_partitions, &first, &last, &prints, &generation.number, &generation.version];
    let moved = transaction.execute(&statement, &[&of_moves[..], &of_rows[..]].concat()).await?;
    Ok(moved == moves.len() as u64)
}

/// A statement on the tables of a read model.
pub(crate) fn in_schema(sql: &str, schema: &str) -> String {
    sql.replace(":schema", &identifier(schema))
}

/// A name as it stands in SQL, in quotes.
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub(crate) fn not_migrated(schema: &str, error: tokio_postgres::Error) -> ProjectorError {
    match error.code() {
        Some(&SqlState::UNDEFINED_TABLE | &SqlState::INVALID_SCHEMA_NAME) => {
            ProjectorError::NotMigrated(schema.to_owned())
        }
        Some(&SqlState::UNDEFINED_COLUMN) => ProjectorError::Outdated(schema.to_owned()),
        _ => error.into(),
    }
}
