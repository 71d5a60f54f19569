//! The switch: another build takes the place of the live one, in one transaction.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use millrace_schemas::LogName;
use tokio_postgres::{Client, GenericClient};

use super::{Build, RebuildError, build_in, builds, grants, readers};
use crate::checkpoints::{checkpoints, identifier, in_schema};
use crate::{BuildState, Generation};

/// What a switch did.
#[derive(Debug, Clone)]
pub struct Switched {
    /// The generation that readers see now.
    pub live: i32,
    /// The generation that they saw before, and its schema now; `None` when there was none.
    pub replaced: Option<(i32, String)>,
    /// The views and functions of others that read the new one now.
    pub readers: Vec<String>,
    /// How long the projector could apply nothing. Readers wait for nothing.
    pub held: Duration,
}

/// Has the build `to` of a projector's read model take the place of the live one. First it holds whoever fills the live
/// build, and calls `catch_up` with that one's checkpoints: it fills the new build up to them, so that no reader goes back in
/// time, and returns how far the new build must be. With `None`, it may be behind them, as on a return to an earlier build.
///
/// Readers see the one or the other, whole. Prepared statements and functions that name the tables read the new ones from
/// then on; views and functions of others that Postgres has bound to the tables are bound anew; privileges are copied.
///
/// # Errors
/// When the builds are not what they were; when a reader can't be bound anew; when Postgres does not answer. Then nothing
/// has changed.
pub async fn switch(
    client: &mut Client,
    projector: &str,
    log: &LogName,
    to: i32,
    catch_up: Option<impl AsyncFn(BTreeMap<i32, i64>) -> Result<BTreeMap<i32, i64>, RebuildError>>,
) -> Result<Switched, RebuildError> {
    let transaction = client.transaction().await?;
    let settings =
        "SET LOCAL search_path = pg_catalog; SET LOCAL lock_timeout = '5s'; SET LOCAL synchronous_commit = on";
    transaction.batch_execute(settings).await?;
    let began = Instant::now();
    let all = builds(&transaction, projector).await?;
    let new = all.iter().find(|build| build.generation.number == to && build.state != BuildState::Live);
    let new =
        new.ok_or_else(|| RebuildError::NotNow(format!("generation {to} of {projector} is gone or live already")))?;
    let live = build_in(&all, BuildState::Live);
    if let Some(live) = live {
        hold(&transaction, &live.schema).await?;
        if let Some(catch_up) = catch_up {
            let reached = checkpoints(&transaction, &live.schema, log).await?;
            let reached = catch_up(reached.into_iter().collect()).await?;
            hold(&transaction, &new.schema).await?;
            let now = checkpoints(&transaction, &new.schema, log).await?;
            let is_behind = |(partition, position): (&i32, &i64)| now.get(partition).copied().unwrap_or(0) < *position;
            if reached.iter().any(is_behind) {
                return Err(RebuildError::NotNow(format!("generation {to} of {projector} is behind the live one")));
            }
        }
    }
    let readers = take_place(&transaction, projector, live, new).await?;
    transaction.commit().await?;
    let replaced = live.map(|live| {
        let number = live.generation.number;
        (number, Generation::schema(projector, number))
    });
    Ok(Switched { live: to, replaced, readers, held: began.elapsed() })
}

/// Waits for the transactions that fill the build, and keeps others from beginning.
async fn hold(client: &impl GenericClient, schema: &str) -> Result<(), RebuildError> {
    let lock = in_schema("LOCK TABLE :schema.checkpoints IN EXCLUSIVE MODE", schema);
    Ok(client.batch_execute(&lock).await?)
}

async fn take_place(
    client: &impl GenericClient,
    projector: &str,
    live: Option<&Build>,
    new: &Build,
) -> Result<Vec<String>, RebuildError> {
    let mut found = Vec::new();
    if let Some(live) = live {
        found = readers::of(client, &live.schema, &new.schema).await?;
        check_owner(client, live, new).await?;
        let keep_pause = include_str!("sql/keep_pause.sql").replace(":live", &identifier(&live.schema));
        client.batch_execute(&in_schema(&keep_pause, &new.schema)).await?;
        let old = Generation::schema(projector, live.generation.number);
        rename(client, &live.schema, &old, BuildState::Replaced).await?;
    }
    rename(client, &new.schema, projector, BuildState::Live).await?;
    // to make a view again waits for those who read it, and those who want to read it wait meanwhile
    client.batch_execute("SET LOCAL lock_timeout = '100ms'").await?;
    readers::bind(client, &found).await?;
    if let Some(live) = live {
        let old = Generation::schema(projector, live.generation.number);
        grants::copy(client, &old, projector).await?;
    }
    Ok(readers::listed(found))
}

/// An owner needs no grants, so another one's privileges could not be copied.
async fn check_owner(client: &impl GenericClient, live: &Build, new: &Build) -> Result<(), RebuildError> {
    let owner = "SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = $1";
    let of_live: String = client.query_one(owner, &[&live.schema]).await?.try_get(0)?;
    let of_new: String = client.query_one(owner, &[&new.schema]).await?.try_get(0)?;
    if of_live == of_new {
        return Ok(());
    }
    Err(RebuildError::NotNow(format!(
        "the live read model is {of_live}'s, and the new generation {of_new}'s: drop it with --abandon, and rebuild as {of_live}"
    )))
}

async fn rename(client: &impl GenericClient, from: &str, to: &str, state: BuildState) -> Result<(), RebuildError> {
    let rename = format!("ALTER SCHEMA {} RENAME TO {}", identifier(from), identifier(to));
    client.batch_execute(&rename).await?;
    let update = in_schema(include_str!("sql/set_state.sql"), to);
    client.execute(&update, &[&state.as_str()]).await?;
    // functions that keep a search path keep it by name
    for row in client.query(include_str!("sql/search_paths.sql"), &[&from, &to]).await? {
        let alter: String = row.try_get(0)?;
        client.batch_execute(&alter).await?;
    }
    Ok(())
}
