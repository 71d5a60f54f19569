//! The builds of a read model that a database has.

use deadpool_postgres::ClientWrapper;
use tokio_postgres::{Client, GenericClient};

use super::RebuildError;
use super::readers::dependents;
use crate::checkpoints::{create_checkpoints, in_schema};
use crate::{BuildState, Generation, Projector, ProjectorError};

/// A build of a read model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// The Postgres schema that it stands in.
    pub schema: String,
    /// Which one it is.
    pub generation: Generation,
    /// What it is to the readers.
    pub state: BuildState,
}

/// The builds of a read model, the oldest first.
///
/// # Errors
/// When Postgres does not answer.
pub async fn builds(client: &impl GenericClient, projector: &str) -> Result<Vec<Build>, ProjectorError> {
    let mut builds = Vec::new();
    for row in client.query(include_str!("sql/builds.sql"), &[&projector]).await? {
        let schema: String = row.try_get(0)?;
        if schema != projector && Generation::number_of(projector, &schema).is_none() {
            continue; // of a projector with a similar name
        }
        let read = in_schema("SELECT generation, version, state FROM :schema.projector_generation", &schema);
        let Some(row) = client.query_opt(&read, &[]).await? else { continue };
        let generation = Generation { number: row.try_get(0)?, version: row.try_get(1)? };
        let state = match row.try_get(2)? {
            "building" => BuildState::Building,
            "replaced" => BuildState::Replaced,
            _ => BuildState::Live,
        };
        builds.push(Build { schema, generation, state });
    }
    builds.sort_by_key(|build| build.generation.number);
    Ok(builds)
}

/// The build in a state; the first of several.
pub fn build_in(all: &[Build], state: BuildState) -> Option<&Build> {
    all.iter().find(|build| build.state == state)
}

/// The number of the next build.
pub fn next_number(all: &[Build]) -> i32 {
    all.iter().map(|build| build.generation.number).max().unwrap_or(0) + 1
}

/// Creates the build of a projector that a rebuild is to fill, or completes what an earlier call has begun. The
/// connection's search path is the server's usual one afterwards.
///
/// # Errors
/// When Postgres refuses or does not answer.
pub async fn create_build(client: &mut Client, projector: &dyn Projector, number: i32) -> Result<(), ProjectorError> {
    create_tables(client, projector, number, &Generation::schema(projector.name(), number)).await
}

/// The same in a schema of any name.
///
/// # Errors
/// When Postgres refuses or does not answer.
pub async fn create_tables(
    client: &mut Client,
    projector: &dyn Projector,
    number: i32,
    schema: &str,
) -> Result<(), ProjectorError> {
    let begin = format!("CREATE SCHEMA IF NOT EXISTS {schema}; SET search_path = {schema}, public");
    client.batch_execute(&begin).await?;
    let generation = Generation { number, version: projector.version() };
    create_checkpoints(client, generation, BuildState::Building).await?;
    let run = projector.migrations().run_async(client).await;
    run.map_err(|source| ProjectorError::Migration { schema: projector.name(), source })?;
    client.batch_execute("RESET search_path").await?;
    Ok(())
}

/// Drops a read model with all its builds, in one transaction.
///
/// # Errors
/// When Postgres refuses, or does not answer.
pub async fn drop_read_model(client: &ClientWrapper, projector: &str) -> Result<(), ProjectorError> {
    let all = builds(&**client, projector).await?;
    let drops: Vec<String> = all.iter().map(|build| in_schema("DROP SCHEMA :schema CASCADE", &build.schema)).collect();
    client.batch_execute(&drops.join("; ")).await?;
    Ok(())
}

/// Drops a build that is not the live one.
///
/// # Errors
/// When something outside of it uses it, Postgres refuses, or does not answer.
pub async fn drop_build(client: &ClientWrapper, build: &Build) -> Result<(), RebuildError> {
    if build.state != BuildState::Live {
        let used = dependents(&**client, &build.schema).await?;
        if !used.is_empty() {
            let used: Vec<String> = used.into_iter().map(|(name, _)| name).collect();
            return Err(RebuildError::Reader(format!(
                "generation {} in {} can't be dropped, because something uses it: {}",
                build.generation.number,
                build.schema,
                used.join(", ")
            )));
        }
        client.batch_execute(&in_schema("DROP SCHEMA :schema CASCADE", &build.schema)).await?;
    }
    Ok(())
}
