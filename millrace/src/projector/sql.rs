//! Projectors in SQL, as the database has them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use anyhow::Error;
use deadpool_postgres::{Object, PoolError};
use millrace_projector_runner::{ProjectorError, generation};
use millrace_runtime::{Health, Settings, Shutdown, Startup, Stopped};
use millrace_schemas::LogName;
use millrace_sql_projector::{SqlProjectorError, StoredProjector, names, names_of_log, stored};
use millrace_store::sql_state::{Remedy, remedy_of, remedy_of_pool};

use crate::connection::connect;
use crate::logs::Log;

/// The projector that was applied to the database under this name, if any. Waits until Postgres answers.
///
/// # Errors
/// When a setting is wrong, or this version of the program can't read the definition.
pub async fn wait_for(
    settings: &Settings,
    health: &Health,
    shutdown: &Shutdown,
    name: &str,
) -> Result<Option<StoredProjector>, Stopped<Error>> {
    let failed = |error: Error| Stopped::Failed(error);
    let startup = Startup::new(settings, health.clone(), shutdown.clone()).map_err(|e| failed(e.into()))?;
    let pool = startup.pool(1).map_err(|e| failed(e.into()))?;
    let read = async || -> anyhow::Result<_> { Ok(stored(&pool.get().await?, name).await?) };
    startup.retry("read the definition", is_transient, read).await
}

/// The names of all projectors in SQL, whichever log they read.
///
/// # Errors
/// When Postgres does not answer.
pub async fn all_in_sql(settings: &Settings) -> anyhow::Result<Vec<String>> {
    Ok(names(&connect(settings).await?).await?)
}

/// The names of the read models in SQL of the log in the settings.
///
/// # Errors
/// When Postgres does not answer.
pub async fn read_models(settings: &Settings) -> anyhow::Result<Vec<&'static str>> {
    read_models_of(&connect(settings).await?, &settings.log.parse()?).await
}

/// The same for another log, by a connection that is there.
///
/// # Errors
/// When Postgres does not answer.
pub async fn read_models_of(client: &Object, log: &LogName) -> anyhow::Result<Vec<&'static str>> {
    Ok(names_of_log(client, log).await?.into_iter().map(kept).collect())
}

/// The generation that is live, by read model.
pub type Generations = BTreeMap<&'static str, i32>;

/// The log's read models: those of this program for a log of its kind, and those in SQL. One that is not there yet counts
/// as its first generation.
///
/// # Errors
/// When Postgres does not answer.
pub async fn generations(client: &Object, kind: &Log, log: &LogName) -> anyhow::Result<Generations> {
    let of_program = kind.projectors();
    let of_program = of_program.iter().map(|projector| projector.name());
    let mut generations = Generations::new();
    for name in of_program.chain(read_models_of(client, log).await?) {
        let number = match generation(&***client, name).await {
            Ok(live) => live.number,
            Err(ProjectorError::NotMigrated(_)) => 1,
            Err(error) => return Err(error.into()),
        };
        generations.insert(name, number);
    }
    Ok(generations)
}

/// A name that stays for the life of the process. There are few.
fn kept(name: String) -> &'static str {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(&*name) {
        return known;
    }
    let kept: &'static str = name.leak();
    names.insert(kept);
    kept
}

fn is_transient(error: &Error) -> bool {
    match (error.downcast_ref::<SqlProjectorError>(), error.downcast_ref::<PoolError>()) {
        (Some(SqlProjectorError::Postgres(error)), _) => remedy_of(error) == Remedy::Retry,
        (_, Some(error)) => remedy_of_pool(error) == Remedy::Retry,
        _ => false,
    }
}
