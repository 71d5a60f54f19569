//! Applying a folder: everything is checked on the real Postgres, in the transaction that then creates the read model.

use std::collections::BTreeMap;

use deadpool_postgres::{ClientWrapper, GenericClient, Transaction};
use millrace_projector_runner::rebuild::{builds, next_number};
use millrace_projector_runner::{BuildState, Generation, Pause, create_checkpoints, paused};
use millrace_schemas::{FolderProblem, LogName, RecordSchema};
use serde::Serialize;
use tokio_postgres::error::ErrorPosition;

use crate::definition::{self, StoredProjector, stored};
use crate::error::{SqlProjectorError, in_words};
use crate::folder::ProjectorFolder;
use crate::projector::SqlProjector;
use crate::quoted::identifier;
use crate::statement::{Statement, Statements};
use crate::{place, role, tables, volatile};

/// Key of the advisory lock that keeps two applications of folders apart.
const LOCK: i64 = 0x6d69_6c6c_7371_6c70;

/// What became of the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// The read model was created, empty.
    Applied,
    /// The read model was emptied and created anew.
    StartedOver,
    /// The same folder was applied before.
    NothingToChange,
}

/// What applying a folder did.
#[derive(Debug, Serialize)]
pub struct Applied {
    /// The projector's name.
    pub projector: String,
    /// The log that it reads.
    pub log: String,
    /// What became of the folder.
    pub result: Ending,
    /// The role that its statements run as; `None` when the connected role may not create roles.
    pub role: Option<String>,
}

/// Applies a folder: creates its read model, or, with `start_over`, empties it and creates it anew. `schemas` are the
/// newest schemas of the log's events, by event type.
///
/// # Errors
/// When something in the folder is wrong, or differs from what was applied before; then nothing is changed. When Postgres
/// does not answer.
pub async fn apply(
    client: &mut ClientWrapper,
    folder: &ProjectorFolder,
    log: &LogName,
    schemas: &BTreeMap<String, &'static RecordSchema>,
    start_over: bool,
) -> Result<Applied, SqlProjectorError> {
    let statements = Statements::new(folder, schemas).map_err(SqlProjectorError::Refused)?;
    let mut transaction = client.transaction().await?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await?;
    let before = stored(&transaction, &folder.name).await?;
    let applied = |result, role| Applied { projector: folder.name.clone(), log: log.to_string(), result, role };
    let (mut pause, mut number) = (None, 1);
    let result = match before {
        Some(before) if !start_over && before.folder.files == folder.files && before.log == *log => {
            return Ok(applied(Ending::NothingToChange, before.role));
        }
        Some(before) => {
            // instances of the one before see by the number that it is gone
            number = next_number(&builds(&*transaction, &folder.name).await?);
            pause = make_room(&transaction, &before, folder, log, start_over).await?;
            if start_over { Ending::StartedOver } else { Ending::Applied }
        }
        None => {
            check_name_is_free(&transaction, &folder.name).await?;
            Ending::Applied
        }
    };
    let build = Build { schema: &folder.name, number, state: BuildState::Live };
    let role = create(&mut transaction, &build, folder, &statements).await?;
    definition::add(&transaction, folder, log, schemas, role.as_deref()).await?;
    if let Some(Pause { since, paused_by, reason }) = pause {
        transaction.execute(include_str!("sql/keep_pause.sql"), &[&since, &paused_by, &reason]).await?;
    }
    transaction.commit().await?;
    Ok(applied(result, role))
}

async fn check_name_is_free(client: &impl GenericClient, name: &str) -> Result<(), SqlProjectorError> {
    if client.query_opt("SELECT FROM pg_namespace WHERE nspname = $1", &[&name]).await?.is_none() {
        return Ok(());
    }
    let problem =
        format!("name: the Postgres schema {name} exists, and was not made for this projector: choose another name");
    Err(SqlProjectorError::refused(ProjectorFolder::PROJECTOR, problem))
}

/// Drops the read model, unless events would be lost that somebody wants to keep. Returns the projector's pause, which is
/// to stay.
async fn make_room(
    client: &Transaction<'_>,
    before: &StoredProjector,
    folder: &ProjectorFolder,
    log: &LogName,
    start_over: bool,
) -> Result<Option<Pause>, SqlProjectorError> {
    let schema = identifier(&folder.name);
    client.batch_execute(&format!("LOCK TABLE {schema}.checkpoints IN ACCESS EXCLUSIVE MODE")).await?;
    let filled = format!("SELECT EXISTS (SELECT FROM {schema}.checkpoints WHERE position > 0)");
    let is_filled: bool = client.query_one(&filled, &[]).await?.try_get(0)?;
    if is_filled && !start_over {
        return Err(SqlProjectorError::Refused(changes(before, folder, log)));
    }
    let has_pause = has_table(client, &folder.name, "projector_pause").await?;
    let pause = if has_pause { paused(&**client, &folder.name).await? } else { None };
    client.batch_execute(&format!("DROP SCHEMA {schema} CASCADE")).await?;
    Ok(pause)
}

/// Whether the read model has a table of the platform: one that an earlier version made may lack it.
async fn has_table(client: &Transaction<'_>, schema: &str, table: &str) -> Result<bool, tokio_postgres::Error> {
    let table = format!("{}.{table}", identifier(schema));
    client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&table]).await?.try_get(0)
}

fn changes(before: &StoredProjector, folder: &ProjectorFolder, log: &LogName) -> Vec<FolderProblem> {
    let remedy = format!(
        "the read model has events that were applied by the old definition: `millrace rebuild {} --with DIR` builds it anew \
         beside the live one and shows which rows change; --start-over empties it and fills it again from the first event on",
        folder.name
    );
    let changed = |(file, text): &(&String, &String)| before.folder.files.get(*file) != Some(*text);
    let files: Vec<&String> = folder.files.iter().filter(changed).map(|(file, _)| file).collect();
    let gone = before.folder.files.keys().filter(|file| !folder.files.contains_key(*file));
    let problem =
        |file: &String, what: &str| FolderProblem { file: file.clone(), problem: format!("{what}; {remedy}") };
    let files = files.into_iter().map(|file| problem(file, "the file has changed"));
    let gone = gone.map(|file| problem(file, "the file is gone"));
    let other_log = (before.log != *log).then(|| {
        let what = format!("the projector reads the log {} by now, and should read {log}", before.log);
        problem(&ProjectorFolder::PROJECTOR.to_owned(), &what)
    });
    files.chain(gone).chain(other_log).collect()
}

/// A build of a read model that is to be created.
struct Build<'b> {
    schema: &'b str,
    number: i32,
    state: BuildState,
}

/// Creates a build that a rebuild is to fill, in this schema. The transaction's search path is that schema's afterwards.
///
/// # Errors
/// When something in the folder is wrong; when Postgres does not answer.
pub async fn create_build(
    transaction: &mut Transaction<'_>,
    folder: &ProjectorFolder,
    log: &LogName,
    schemas: &BTreeMap<String, &'static RecordSchema>,
    number: i32,
    schema: &str,
) -> Result<(), SqlProjectorError> {
    let statements = Statements::new(folder, schemas).map_err(SqlProjectorError::Refused)?;
    let build = Build { schema, number, state: BuildState::Building };
    let role = create(transaction, &build, folder, &statements).await?;
    Ok(definition::add(&*transaction, folder, log, schemas, role.as_deref()).await?)
}

/// Creates the schema with all its tables, and checks the statements on them. Returns the role that owns it.
async fn create(
    transaction: &mut Transaction<'_>,
    build: &Build<'_>,
    folder: &ProjectorFolder,
    statements: &Statements,
) -> Result<Option<String>, SqlProjectorError> {
    let role = role::create(transaction, &folder.name).await?;
    let owner = role.as_deref().map(identifier);
    let (schema, owned) = (identifier(build.schema), owner.as_ref().map(|role| format!("AUTHORIZATION {role}")));
    let create = format!(
        "CREATE SCHEMA {schema} {}; SET LOCAL search_path = {schema}, public; SET LOCAL statement_timeout = '60s'",
        owned.unwrap_or_default()
    );
    transaction.batch_execute(&create).await?;
    let generation = Generation { number: build.number, version: SqlProjector::VERSION };
    create_checkpoints(&**transaction, generation, build.state).await?;
    transaction.batch_execute(include_str!("sql/create_definition.sql")).await?;
    let become_owner = match &owner {
        Some(role) => {
            // for the runner, which moves checkpoints in the transaction of the statements
            let grant = format!(
                "GRANT SELECT, INSERT, UPDATE ON {schema}.checkpoints, {schema}.fingerprints TO {role};
                 GRANT SELECT ON {schema}.projector_definition, {schema}.projector_generation TO {role}"
            );
            transaction.batch_execute(&grant).await?;
            format!("SET LOCAL ROLE {role}")
        }
        None => String::new(),
    };
    transaction.batch_execute(&become_owner).await?;
    tables::create(transaction, build.schema, folder.text(ProjectorFolder::TABLES)).await?;
    let problems = problems(transaction, folder, statements).await?;
    transaction.batch_execute("SET LOCAL ROLE NONE").await?;
    if problems.is_empty() { Ok(role) } else { Err(SqlProjectorError::Refused(problems)) }
}

/// What is wrong with the tables and the statements. The projector's schema is the first on the search path.
pub(crate) async fn problems(
    transaction: &mut Transaction<'_>,
    folder: &ProjectorFolder,
    statements: &Statements,
) -> Result<Vec<FolderProblem>, SqlProjectorError> {
    let mut problems = volatile::of_tables(transaction, folder).await?;
    for statement in &statements.0 {
        let part = transaction.transaction().await?;
        let problem = match run_on_nothing(&part, statement).await {
            Err(error) => Some(refusal(statement, error)?),
            Ok(()) => volatile::of_statement(&part, statement).await?,
        };
        part.rollback().await?;
        problems.extend(problem);
    }
    Ok(problems)
}

/// Prepares the statement and runs it on no event: only then Postgres looks for the index of ON CONFLICT, and for the
/// privileges.
async fn run_on_nothing(transaction: &Transaction<'_>, statement: &Statement) -> Result<(), tokio_postgres::Error> {
    let prepared = transaction.prepare(statement.sql()).await?;
    let nothing = statement.batch_of_nothing();
    transaction.execute(&prepared, &nothing.parameters()).await?;
    Ok(())
}

/// Postgres' refusal, at its place in the author's text.
fn refusal(statement: &Statement, error: tokio_postgres::Error) -> Result<FolderProblem, SqlProjectorError> {
    let Some(inner) = error.as_db_error() else { return Err(error.into()) };
    let place = match inner.position() {
        Some(ErrorPosition::Original(position)) => {
            let position = statement.own_position((*position as usize).saturating_sub(1));
            place::shown(&statement.text, position) + "\n"
        }
        _ => String::new(),
    };
    let columns = match inner.code().code() {
        "42703" => format!("; batch has {}", statement.columns_in_words()),
        // a syntax error has a place; that there is more than one statement has none
        "42601" if inner.position().is_none() => {
            ": a file has one statement; write WITH … AS (…) to do several things in one".to_owned()
        }
        _ => String::new(),
    };
    Ok(FolderProblem { file: statement.file.clone(), problem: format!("{place}{}{columns}", in_words(&error)) })
}
