//! Creating a log, and bringing its tables up to date.

use millrace_schemas::LogName;
use tokio_postgres::Client;

use crate::StoreError;

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// Key of the advisory lock that keeps two migrations apart; refinery takes none.
const MIGRATION_LOCK: i64 = 0x6d69_6c6c_7261_6365;

/// Creates the log's schema and tables, or brings them up to date, and makes the tables of this month and the next.
/// Safe to run at any time, also by several at once. `client` needs no search path; it has the log's afterwards.
///
/// # Errors
/// When Postgres refuses, or the log exists with another number of partitions.
pub async fn migrate(client: &mut Client, log: &LogName, partitions: u32) -> Result<(), StoreError> {
    client.execute("SELECT pg_advisory_lock($1)", &[&MIGRATION_LOCK]).await?;
    let result = locked(client, log, partitions).await;
    client.execute("SELECT pg_advisory_unlock($1)", &[&MIGRATION_LOCK]).await?;
    result
}

async fn locked(client: &mut Client, log: &LogName, asked: u32) -> Result<(), StoreError> {
    client.batch_execute(&format!("CREATE SCHEMA IF NOT EXISTS \"{log}\"; SET search_path = \"{log}\"")).await?;
    embedded::migrations::runner().run_async(client).await?;
    let count = i32::try_from(asked).unwrap_or(i32::MAX);
    client.execute("INSERT INTO log (partitions) VALUES ($1) ON CONFLICT DO NOTHING", &[&count]).await?;
    let actual: i32 = client.query_one("SELECT partitions FROM log", &[]).await?.try_get(0)?;
    if actual != count {
        return Err(StoreError::Partitions { log: log.to_string(), actual: actual.unsigned_abs(), asked });
    }
    client.batch_execute("SELECT create_month(now()), create_month(now() + interval '1 month')").await?;
    Ok(())
}
