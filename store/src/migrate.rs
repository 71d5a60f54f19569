//! Creates a log, and brings its tables up to date.

use deadpool_postgres::GenericClient;
use millrace_schemas::LogName;
use refinery::{Migration, Runner};
use tokio_postgres::Client;

use crate::StoreError;
use crate::log::qualified;

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// Key of the advisory lock that keeps two migrations from running at once; refinery takes none. ASCII for "millrace".
const MIGRATION_LOCK: i64 = 0x6d69_6c6c_7261_6365;

/// Creates the log's schema and tables, or brings them up to date, and creates the tables of this month and the next.
/// Safe to run at any time, also by several processes at once. Resets the connection's search path. `definition` is the
/// name of the log definition that the log is created from.
///
/// # Errors
/// When Postgres refuses, or the log exists with another number of partitions or from another definition.
pub async fn migrate(client: &mut Client, log: &LogName, partitions: u32, definition: &str) -> Result<(), StoreError> {
    client.execute("SELECT pg_advisory_lock($1)", &[&MIGRATION_LOCK]).await?;
    let result = locked(client, log, partitions, definition).await;
    client.execute("SELECT pg_advisory_unlock($1)", &[&MIGRATION_LOCK]).await?;
    result
}

/// How the tables of a log stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tables {
    /// There are none, or the first of them are not complete.
    Missing,
    /// The schema of that name is somebody else's: it has other tables.
    Foreign,
    /// [`migrate`] would change them.
    Outdated,
    /// [`migrate`] would change nothing.
    Current,
}

/// Looks how the tables of a log stand.
///
/// # Errors
/// When Postgres does not answer.
pub async fn tables(client: &impl GenericClient, log: &LogName) -> Result<Tables, StoreError> {
    let row = client.query_one(include_str!("sql/tables.sql"), &[&log.as_str()]).await?;
    let (is_log, others): (bool, bool) = (row.try_get(0)?, row.try_get(1)?);
    if !is_log {
        return Ok(if others { Tables::Foreign } else { Tables::Missing });
    }
    let newest = qualified(log, "SELECT max(version) FROM :log.refinery_schema_history");
    let newest: Option<i32> = client.query_one(&newest, &[]).await?.try_get(0)?;
    let embedded = embedded::migrations::runner().get_migrations().iter().map(Migration::version).max();
    Ok(if newest.map(i64::from) < embedded.map(i64::from) { Tables::Outdated } else { Tables::Current })
}

/// The logs of the database, by name.
///
/// # Errors
/// When Postgres does not answer.
pub async fn logs(client: &impl GenericClient) -> Result<Vec<LogName>, StoreError> {
    let rows = client.query(include_str!("sql/logs.sql"), &[]).await?;
    // other schemas may happen to have tables of these names
    let names = rows.iter().map(|row| Ok(row.try_get::<_, &str>(0)?.parse::<LogName>().ok()));
    names.filter_map(Result::transpose).collect()
}

/// Deletes the log with all its events, for good. False when there was none.
///
/// # Errors
/// When Postgres refuses or does not answer, or the schema of that name is somebody else's.
pub async fn drop_log(client: &impl GenericClient, log: &LogName) -> Result<bool, StoreError> {
    match tables(client, log).await? {
        Tables::Foreign => Err(StoreError::ForeignSchema(log.to_string())),
        state => {
            client.batch_execute(&qualified(log, "DROP SCHEMA IF EXISTS :log CASCADE")).await?;
            Ok(state != Tables::Missing)
        }
    }
}

async fn locked(client: &mut Client, log: &LogName, asked: u32, definition: &str) -> Result<(), StoreError> {
    // refinery creates its own table without a schema, so the search path decides where it goes
    client.batch_execute(&format!("CREATE SCHEMA IF NOT EXISTS \"{log}\"; SET search_path = \"{log}\"")).await?;
    migrations(log)?.run_async(client).await?;
    client.batch_execute("RESET search_path").await?;
    let count = i32::try_from(asked).unwrap_or(i32::MAX);
    let create = "INSERT INTO :log.log (partitions, definition) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    client.execute(&qualified(log, create), &[&count, &definition]).await?;
    let row = client.query_one(&qualified(log, "SELECT partitions, definition FROM :log.log"), &[]).await?;
    let (partitions, created_from): (i32, String) = (row.try_get(0)?, row.try_get(1)?);
    if partitions != count {
        return Err(StoreError::Partitions { log: log.to_string(), actual: partitions.unsigned_abs(), asked });
    }
    if created_from != definition {
        let asked = definition.to_owned();
        return Err(StoreError::Definition { log: log.to_string(), actual: created_from, asked });
    }
    let months = "SELECT :log.create_month(now()), :log.create_month(now() + interval '1 month')";
    client.batch_execute(&qualified(log, months)).await?;
    Ok(())
}

/// The migrations with the log's schema filled in. They qualify every name, so they do not depend on the search path.
fn migrations(log: &LogName) -> Result<Runner, StoreError> {
    let embedded = embedded::migrations::runner();
    let qualify = |migration: &Migration| {
        let name = format!("V{}__{}", migration.version(), migration.name());
        Migration::unapplied(&name, &qualified(log, migration.sql().unwrap_or_default()))
    };
    let migrations: Vec<Migration> = embedded.get_migrations().iter().map(qualify).collect::<Result<_, _>>()?;
    Ok(Runner::new(&migrations))
}
