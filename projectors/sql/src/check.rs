//! Checking that a read model does not depend on where batches end.
//!
//! Generated events are applied one by one, as one batch, and cut at random, with the partitions in another order each
//! time. All of it must leave the same rows. It happens in a schema of its own, in a transaction that is rolled back.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use deadpool_postgres::{ClientWrapper, GenericClient, Transaction};
use millrace_projector_runner::{ApplyError, Event};
use millrace_schemas::{FolderProblem, RecordSchema};
use serde::Serialize;
use uuid::Uuid;

use crate::error::SqlProjectorError;
use crate::folder::ProjectorFolder;
use crate::generated::{Chance, Pools, events};
use crate::quoted::identifier;
use crate::reduce::reduced;
use crate::statement::Statements;
use crate::stream_types::StreamTypes;
use crate::{apply, role, tables};

/// How many sets of events are generated.
const SETS: u64 = 10;
/// Events of a set for each event type, so that every statement has as many as if it were alone.
const EVENTS_OF_TYPE: usize = 24;
/// Fewest and most events of a set: the most keep a check of many types short.
const EVENTS: RangeInclusive<usize> = 45..=180;
/// How often a set is cut at random.
const CUTS: usize = 4;

/// What a check found.
#[derive(Debug, Serialize)]
pub struct Checked {
    /// The projector's name.
    pub projector: String,
    /// How many events were generated.
    pub events: usize,
    /// How many of these can't be applied at all; in real data, each would stop its partition.
    pub refused: usize,
    /// What Postgres said of the first of those.
    pub refusal: Option<String>,
    /// Files of statements that never changed a row, so the check says nothing of them.
    pub unchecked: Vec<String>,
}

/// An event, and in which batch it comes.
#[derive(Clone)]
struct Placed {
    batch: usize,
    event: Event,
}

/// The rows that the events have left, by table; or why one could not be applied.
type Left = Result<BTreeMap<String, Vec<String>>, String>;

/// The read model that is checked.
struct Scratch<'t, 'c> {
    transaction: &'t mut Transaction<'c>,
    statements: &'t Statements,
    tables: Vec<String>,
}

/// Checks the folder of a projector; `schemas` are the newest schemas of the log's events, by event type, and `streams`
/// the streams that the log has.
///
/// # Errors
/// When something in the folder is wrong, or the read model depends on where batches end; when Postgres does not answer.
pub async fn check(
    client: &mut ClientWrapper,
    folder: &ProjectorFolder,
    schemas: &BTreeMap<String, &'static RecordSchema>,
    streams: &StreamTypes,
) -> Result<Checked, SqlProjectorError> {
    let statements = Statements::new(folder, schemas).map_err(SqlProjectorError::Refused)?;
    let mut transaction = client.transaction().await?;
    let schema = format!("millrace_check_{}", Uuid::new_v4().simple());
    let role = role::create(&mut transaction, &folder.name).await?.map(|role| identifier(&role));
    let owner = role.as_ref().map(|role| format!("AUTHORIZATION {role}")).unwrap_or_default();
    let become_owner = role.map(|role| format!("SET LOCAL ROLE {role};")).unwrap_or_default();
    let create = format!(
        "CREATE SCHEMA {} {owner}; SET LOCAL search_path = {0}, public; SET LOCAL TimeZone = 'UTC'; \
         SET LOCAL statement_timeout = '60s'; {become_owner}",
        identifier(&schema)
    );
    transaction.batch_execute(&create).await?;
    tables::create(&transaction, &schema, folder.text(ProjectorFolder::TABLES)).await?;
    let problems = apply::problems(&mut transaction, folder, &statements).await?;
    if !problems.is_empty() {
        return Err(SqlProjectorError::Refused(problems));
    }
    let tables = tables::names(&transaction).await?;
    let mut scratch = Scratch { transaction: &mut transaction, statements: &statements, tables };
    let files = statements.0.iter().map(|statement| statement.file.clone()).collect();
    let mut checked =
        Checked { projector: folder.name.clone(), events: 0, refused: 0, refusal: None, unchecked: files };
    let of_types = statements.0.iter().map(|statement| statement.reader).collect::<Option<Vec<_>>>();
    let readers = of_types.unwrap_or_else(|| schemas.values().copied().collect());
    let count = (readers.len() * EVENTS_OF_TYPE).clamp(*EVENTS.start(), *EVENTS.end());
    for seed in 1..=SETS {
        let mut chance = Chance::new(seed);
        let generated = events(&mut chance, &readers, &Pools::new(streams, seed), count)
            .map_err(|problem| SqlProjectorError::refused(ProjectorFolder::PROJECTOR, problem))?;
        checked.events += generated.len();
        let sound = scratch.sound(generated, &mut checked).await?;
        if let Some(problem) = scratch.difference(&mut chance, sound).await? {
            return Err(SqlProjectorError::Refused(vec![problem]));
        }
    }
    transaction.rollback().await?;
    Ok(checked)
}

impl Scratch<'_, '_> {
    /// The events without those that can't even be applied alone.
    async fn sound(&mut self, events: Vec<Event>, checked: &mut Checked) -> Result<Vec<Event>, SqlProjectorError> {
        let mut sound = Vec::new();
        let mut all = self.transaction.transaction().await?;
        for event in events {
            let file = self.statements.file_of(&event);
            let unchecked = checked.unchecked.iter().position(|known| Some(&**known) == file);
            let part = all.transaction().await?;
            // reading all rows takes long, and the first change is enough
            let before = if unchecked.is_some() { Some(tables::rows(&part, &self.tables).await?) } else { None };
            match self.statements.apply(&part, std::slice::from_ref(&event)).await {
                Ok(()) => {
                    if let (Some(before), Some(at)) = (before, unchecked)
                        && tables::rows(&part, &self.tables).await? != before
                    {
                        checked.unchecked.remove(at);
                    }
                    part.commit().await?;
                    sound.push(event);
                }
                Err(error) => {
                    part.rollback().await?;
                    checked.refused += 1;
                    checked.refusal.get_or_insert_with(|| format!("{}: {error}", shown(&event)));
                }
            }
        }
        all.rollback().await?;
        Ok(sound)
    }

    /// The first way of cutting the events into batches that leaves other rows than applying them one by one.
    async fn difference(
        &mut self,
        chance: &mut Chance,
        events: Vec<Event>,
    ) -> Result<Option<FolderProblem>, SqlProjectorError> {
        let whole: Vec<Placed> = events.iter().map(|event| Placed { batch: 0, event: event.clone() }).collect();
        let alone = self.left(&one_by_one(&whole)).await?;
        // that all fails alike is no difference
        if alone.is_err() {
            return Ok(None);
        }
        let cut = std::iter::repeat_with(|| cut_at_random(chance, &events)).take(CUTS);
        // the whole last: in small batches, fewer events show the same
        for placed in cut.collect::<Vec<Vec<Placed>>>().into_iter().chain([whole]) {
            if self.left(&placed).await? != alone {
                let few = reduced(placed, async |placed: &[Placed]| self.depends_on_batches(placed).await).await?;
                return Ok(Some(self.explain(&few).await?));
            }
        }
        Ok(None)
    }

    async fn depends_on_batches(&mut self, placed: &[Placed]) -> Result<bool, SqlProjectorError> {
        // that all fails alike is no difference
        let alone = self.left(&one_by_one(placed)).await?;
        Ok(alone.is_ok() && self.left(placed).await? != alone)
    }

    /// What the events leave, if they come in these batches.
    async fn left(&mut self, placed: &[Placed]) -> Result<Left, SqlProjectorError> {
        let part = self.transaction.transaction().await?;
        let mut left = Ok(());
        for batch in placed.chunk_by(|one, next| one.batch == next.batch) {
            let mut events: Vec<Event> = batch.iter().map(|placed| placed.event.clone()).collect();
            // as the runner hands them over
            events.sort_by_key(|event| (event.partition, event.position));
            left = self.statements.apply(&part, &events).await;
            if left.is_err() {
                break;
            }
        }
        let left = match left {
            Ok(()) => Ok(tables::rows(&part, &self.tables).await?),
            Err(ApplyError::Postgres(error)) if error.as_db_error().is_none() => return Err(error.into()),
            Err(error) => Err(error.to_string()),
        };
        part.rollback().await?;
        Ok(left)
    }

    async fn explain(&mut self, placed: &[Placed]) -> Result<FolderProblem, SqlProjectorError> {
        let (alone, batched) = (self.left(&one_by_one(placed)).await?, self.left(placed).await?);
        let mut files: Vec<String> =
            placed.iter().filter_map(|placed| self.statements.file_of(&placed.event)).map(ToOwned::to_owned).collect();
        files.sort();
        files.dedup();
        let mut problem =
            "the rows depend on where batches end, or on the order of partitions. These events".to_owned();
        for batch in placed.chunk_by(|one, next| one.batch == next.batch) {
            problem += "\n  one batch:";
            for placed in batch {
                problem += &format!("\n    {}", shown(&placed.event));
            }
        }
        problem += &format!("\nleave, applied one by one:{}", in_words(&alone, &batched));
        problem += &format!("\nand in these batches:{}", in_words(&batched, &alone));
        problem += "\nFold the events of a batch by key before you write them (GROUP BY), and add to what is there; what \
                    is the last of a stream says _version.";
        Ok(FolderProblem { file: files.join(", "), problem })
    }
}

/// The events as they stand in their partitions, each a batch of its own.
fn one_by_one(placed: &[Placed]) -> Vec<Placed> {
    let mut events: Vec<Event> = placed.iter().map(|placed| placed.event.clone()).collect();
    events.sort_by_key(|event| (event.partition, event.position));
    events.into_iter().enumerate().map(|(batch, event)| Placed { batch, event }).collect()
}

/// The partitions shuffled into each other, and cut into batches.
fn cut_at_random(chance: &mut Chance, events: &[Event]) -> Vec<Placed> {
    let mut partitions: Vec<&[Event]> = events.chunk_by(|one, next| one.partition == next.partition).collect();
    let (mut placed, mut batch) = (Vec::new(), 0);
    while !partitions.is_empty() {
        let at = chance.below(partitions.len());
        match partitions[at] {
            [first, rest @ ..] => {
                batch += usize::from(chance.below(4) == 0);
                placed.push(Placed { batch, event: first.clone() });
                partitions[at] = rest;
            }
            [] => drop(partitions.remove(at)),
        }
    }
    placed
}

/// What one of the two has and the other does not.
fn in_words(left: &Left, other: &Left) -> String {
    let rows = match left {
        Err(error) => return format!("\n  {error}"),
        Ok(rows) => rows,
    };
    let is_known = |table: &String, row: &String| match other {
        Ok(other) => other.get(table).is_some_and(|rows| rows.contains(row)),
        Err(_) => false,
    };
    let mut words = String::new();
    for (table, rows) in rows {
        for row in rows.iter().filter(|row| !is_known(table, row)) {
            words += &format!("\n  {table}: {row}");
        }
    }
    if words.is_empty() { "\n  no row that the other has not".to_owned() } else { words }
}

fn shown(event: &Event) -> String {
    let Event { partition, position, stream_id, version, recorded_at, .. } = event;
    let data = event.schema.json(event.datum()).map(|json| json.to_string()).unwrap_or_default();
    format!("{partition}@{position} {} {stream_id} v{version} {recorded_at} {data}", event.event_type())
}
