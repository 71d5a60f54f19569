//! The tables of a read model, as `tables.sql` makes them.

use std::collections::BTreeMap;

use deadpool_postgres::GenericClient;
use tokio_postgres::error::ErrorPosition;

use crate::error::{SqlProjectorError, in_words};
use crate::folder::ProjectorFolder;
use crate::place;
use crate::quoted::{identifier, literal};

/// The function that runs `tables.sql`, while it runs.
const RUN: &str = "millrace_tables";

/// Runs `tables.sql` in `schema`, which is the first on the search path. It can't end the transaction, nor become another
/// role than the one that it runs as; nor may it leave what the checks don't see.
///
/// # Errors
/// When Postgres refuses it, or something in it is not allowed.
pub(crate) async fn create(client: &impl GenericClient, schema: &str, text: &str) -> Result<(), SqlProjectorError> {
    let of_platform = platform_tables(client).await?;
    // inside of a function, Postgres refuses COMMIT and ROLLBACK; inside of one that defines the role, also SET ROLE
    let body = format!("BEGIN EXECUTE {}; END", literal(text));
    let create = format!(
        "CREATE FUNCTION {RUN}() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS {}; SELECT {RUN}(); \
         SET LOCAL search_path = {}, public; DROP FUNCTION {RUN}()",
        literal(&body),
        identifier(schema)
    );
    client.batch_execute(&create).await.map_err(|error| refusal(text, error))?;
    match not_allowed(client, &of_platform).await? {
        Some(problem) => Err(SqlProjectorError::refused(ProjectorFolder::TABLES, problem)),
        None => Ok(()),
    }
}

async fn not_allowed(
    client: &impl GenericClient,
    of_platform: &BTreeMap<String, u32>,
) -> Result<Option<String>, tokio_postgres::Error> {
    let now = platform_tables(client).await?;
    let changed = |(name, oid): &(&String, &u32)| of_platform.get(*name) != Some(*oid);
    if let Some((name, _)) = now.iter().find(changed) {
        return Ok(Some(format!(
            "{name}: checkpoints, fingerprints and names that begin with projector_ are Millrace's"
        )));
    }
    if let Some(name) = of_platform.keys().find(|name| !now.contains_key(*name)) {
        return Ok(Some(format!("{name} is Millrace's table: leave it alone")));
    }
    if let Some(row) = client.query_opt(&format!("{} LIMIT 1", include_str!("sql/triggers.sql")), &[]).await? {
        let (name, table): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        return Ok(Some(format!(
            "the trigger or rule {name} of {table} works unseen by the checks: do its work in the statements"
        )));
    }
    for table in names(client).await? {
        if client.query_opt(&format!("SELECT FROM {} LIMIT 1", identifier(&table)), &[]).await?.is_some() {
            return Ok(Some(format!(
                "the table {table} has rows already, which a reset would not bring back: write them as VALUES into the \
                 statement that needs them"
            )));
        }
    }
    Ok(None)
}

/// A query that tells the platform's tables, of which `c` is the row in `pg_class`, from those that `tables.sql` makes.
pub(crate) fn about_tables(sql: &str) -> String {
    let of_platform = "(c.relname IN ('checkpoints', 'fingerprints') OR starts_with(c.relname, 'projector_'))";
    sql.replace(":of_platform", of_platform)
}

async fn platform_tables(client: &impl GenericClient) -> Result<BTreeMap<String, u32>, tokio_postgres::Error> {
    let rows = client.query(&about_tables(include_str!("sql/platform_tables.sql")), &[]).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

fn refusal(text: &str, error: tokio_postgres::Error) -> SqlProjectorError {
    let Some(inner) = error.as_db_error() else { return error.into() };
    let place = match inner.position() {
        Some(ErrorPosition::Internal { position, query }) if query == text => {
            format!("{}\n", place::shown(text, (*position as usize).saturating_sub(1)))
        }
        _ => String::new(),
    };
    SqlProjectorError::refused(ProjectorFolder::TABLES, format!("{place}{}", in_words(&error)))
}

/// The names of the tables that `tables.sql` has made.
pub(crate) async fn names(client: &impl GenericClient) -> Result<Vec<String>, tokio_postgres::Error> {
    client.query(&about_tables(include_str!("sql/tables.sql")), &[]).await?.iter().map(|row| row.try_get(0)).collect()
}

/// All rows of these tables, as JSON, sorted.
pub(crate) async fn rows(
    client: &impl GenericClient,
    tables: &[String],
) -> Result<BTreeMap<String, Vec<String>>, tokio_postgres::Error> {
    let mut all = BTreeMap::new();
    for table in tables {
        let read = format!("SELECT to_jsonb(t)::text FROM {} AS t ORDER BY 1", identifier(table));
        let rows: Result<Vec<String>, _> = client.query(&read, &[]).await?.iter().map(|row| row.try_get(0)).collect();
        all.insert(table.clone(), rows?);
    }
    Ok(all)
}
