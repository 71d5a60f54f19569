//! The log that a command looks at.

use std::process::ExitCode;

use deadpool_postgres::GenericClient;
use millrace_schemas::LogName;
use millrace_store::{Log, StoreError};

use crate::exit::NO;

/// Opens a log; `None` when the database does not have it, or its creation was broken off.
///
/// # Errors
/// When Postgres does not answer.
pub(super) async fn open(client: &impl GenericClient, name: &LogName) -> Result<Option<Log>, StoreError> {
    match Log::open(client, name.clone()).await {
        Err(StoreError::NoLog(_)) => Ok(None),
        log => log.map(Some),
    }
}

/// The answer about a log that the database does not have.
pub(super) fn no_log(name: &LogName) -> ExitCode {
    eprintln!("millrace: there is no log {name} in this database; `millrace log list` prints those that there are");
    ExitCode::from(NO)
}
