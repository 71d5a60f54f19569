//! Finds what would make a read model another one when it is built again: the clock, chance, sequences, the session.

use deadpool_postgres::GenericClient;
use millrace_schemas::FolderProblem;

use crate::error::SqlProjectorError;
use crate::folder::ProjectorFolder;
use crate::place;
use crate::quoted::identifier;
use crate::statement::Statement;
use crate::tables::about_tables;

/// Functions of Postgres that are only STABLE, and say another thing in each transaction or session.
const OF_THE_MOMENT: [&str; 12] = [
    "now",
    "transaction_timestamp",
    "statement_timestamp",
    "current_setting",
    "current_schemas",
    "txid_current_snapshot",
    "txid_current_if_assigned",
    "pg_current_xact_id_if_assigned",
    "pg_current_snapshot",
    "pg_backend_pid",
    "inet_client_addr",
    "version",
];
/// The function that has a statement as its body while it is looked at.
const LOOKED_AT: &str = "millrace_statement";

/// The first function in a statement that it must not call, or table that it must not use. The projector's schema is the
/// first on the search path.
pub(crate) async fn of_statement(
    client: &impl GenericClient,
    statement: &Statement,
) -> Result<Option<FolderProblem>, SqlProjectorError> {
    // the body of a function is stored as a parsed tree
    let body = statement.without_parameters();
    let create = format!("CREATE FUNCTION {LOOKED_AT}() RETURNS void LANGUAGE sql BEGIN ATOMIC\n{body}\n;END");
    if let Err(error) = client.batch_execute(&create).await {
        let words = crate::error::in_words(&error);
        return Ok(Some(FolderProblem { file: statement.file.clone(), problem: words }));
    }
    let tree = "SELECT prosqlbody::text FROM pg_proc WHERE oid = $1::text::regproc";
    let tree: String = client.query_one(tree, &[&LOOKED_AT]).await?.try_get(0)?;
    let problem = match called(client, &tree).await? {
        Some(Called { name, remedy }) => Some(in_file(&statement.file, &statement.text, &name, &remedy)),
        None => other_table(client, statement).await?,
    };
    client.batch_execute(&format!("DROP FUNCTION {}()", identifier(LOOKED_AT))).await?;
    Ok(problem)
}

/// The columns of the tables whose defaults must not be as they are.
pub(crate) async fn of_tables(
    client: &impl GenericClient,
    folder: &ProjectorFolder,
) -> Result<Vec<FolderProblem>, SqlProjectorError> {
    let (file, text) = (ProjectorFolder::TABLES, folder.text(ProjectorFolder::TABLES));
    let mut problems = Vec::new();
    for row in client.query(&about_tables(include_str!("sql/defaults.sql")), &[]).await? {
        let (table, column, tree): (String, String, Option<String>) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let called = match tree {
            Some(tree) => called(client, &tree).await?,
            None => Some(Called { name: "identity".to_owned(), remedy: remedy("nextval", true) }),
        };
        if let Some(Called { name, remedy }) = called {
            let default = format!("the default of {table}.{column} calls {name}: {remedy}");
            // a serial column does not name the function that it calls
            let place = place::of_word(text, &name).or_else(|| place::of_word(text, &column));
            problems.push(shown(file, text, place, &default));
        }
    }
    Ok(problems)
}

/// A function that must not be called.
struct Called {
    name: String,
    remedy: String,
}

async fn called(client: &impl GenericClient, tree: &str) -> Result<Option<Called>, tokio_postgres::Error> {
    let found = client.query(include_str!("sql/called.sql"), &[&tree, &OF_THE_MOMENT.as_slice()]).await?;
    let Some(row) = found.first() else { return Ok(None) };
    let (name, is_built_in): (String, bool) = (row.try_get(0)?, row.try_get(1)?);
    Ok(Some(Called { remedy: remedy(&name, is_built_in), name }))
}

fn in_file(file: &str, text: &str, function: &str, remedy: &str) -> FolderProblem {
    let problem = format!("{function} gives another value each time, so that no rebuild gives the same rows: {remedy}");
    shown(file, text, place::of_word(text, function), &problem)
}

fn shown(file: &str, text: &str, place: Option<usize>, problem: &str) -> FolderProblem {
    let place = place.map(|place| place::shown(text, place) + "\n").unwrap_or_default();
    FolderProblem { file: file.to_owned(), problem: format!("{place}{problem}") }
}

fn remedy(function: &str, is_built_in: bool) -> String {
    let remedy = match function {
        _ if !is_built_in => {
            "declare the function IMMUTABLE or STABLE, if its result is made of its arguments and the tables alone"
        }
        "nextval" | "currval" | "lastval" => "use the columns _partition and _position, which number all events",
        "random" | "random_normal" | "gen_random_uuid" | "uuidv4" | "uuidv7" => {
            "use the column _event_id, which is unique and stays"
        }
        "current_user" | "session_user" | "user" | "current_role" => "use the column _user_id",
        time if time.contains("time") || time == "now" || time == "current_date" => {
            "use the column _recorded_at, the time at which the event was committed"
        }
        _ => "use the columns of batch and of your tables alone",
    };
    remedy.to_owned()
}

async fn other_table(
    client: &impl GenericClient,
    statement: &Statement,
) -> Result<Option<FolderProblem>, tokio_postgres::Error> {
    let found = client.query(&about_tables(include_str!("sql/other_tables.sql")), &[&LOOKED_AT]).await?;
    let Some(row) = found.first() else { return Ok(None) };
    let (schema, table): (String, String) = (row.try_get(0)?, row.try_get(1)?);
    let problem = format!(
        "a projector uses the tables of tables.sql alone, and {schema}.{table} is none of them: a rebuild would find \
         something else there"
    );
    Ok(Some(shown(&statement.file, &statement.text, place::of_word(&statement.text, &table), &problem)))
}
