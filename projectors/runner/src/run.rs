//! Running a projector: what it needs is opened here.

use std::sync::Arc;

use millrace_runtime::kafka::Inbox;
use millrace_runtime::{Health, Settings, Shutdown, Startup, Stopped, retry};
use millrace_schemas::Codec;

use crate::generation::wait_for_own;
use crate::intake::Intake;
use crate::partitions::Partitions;
use crate::read_model::ReadModel;
use crate::runner::{Runner, assigned};
use crate::schemas::Schemas;
use crate::sharing::Sharing;
use crate::{Projector, ProjectorError, metrics};

/// Connections to Postgres: one transaction at a time, and one to spare while a broken connection goes.
const CONNECTIONS: usize = 2;
/// The label of what reads checkpoints and generations.
pub(crate) const READ_CHECKPOINTS: &str = "read the checkpoints";

/// What a projector may have to try again: the label `operation` of `millrace_retries_total`.
pub const OPERATIONS: &[&str] = &[READ_CHECKPOINTS, "look up a schema", "apply", "join the group"];

/// Why a projector has ended without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The process is to stop.
    Shutdown,
    /// Another generation of the read model has taken the place: run the projector anew.
    Superseded,
}

/// Runs a projector until shutdown: then the batch in hand is committed and the consumer group left. Several instances
/// may run at once, here or elsewhere; they share the partitions.
///
/// It waits for what is away (Kafka, Postgres, the registry). A partition whose events are missing or impossible stops,
/// with an error in the process's log and the gauge `millrace_projector_stopped_partitions`; the others go on. While another
/// version of the projector fills the read model, it stands by. It also ends, and leaves the group, when another
/// generation of the read model takes the place of the one that it fills.
///
/// # Errors
/// When a setting is wrong, the read model's tables are not there, or the group also fills another database.
pub async fn run(
    projector: Box<dyn Projector>,
    settings: &Settings,
    health: Health,
    shutdown: Shutdown,
) -> Result<Ended, ProjectorError> {
    let startup = Startup::new(settings, health, shutdown)?;
    let ran = match start(projector.into(), startup).await {
        Ok((mut runner, mut intake)) => {
            let ran = runner.work(&mut intake).await;
            intake.close().await;
            ran
        }
        Err(stopped) => Err(stopped),
    };
    match ran {
        Ok(()) | Err(Stopped::Shutdown) => Ok(Ended::Shutdown),
        Err(Stopped::Failed(superseded @ ProjectorError::Superseded { .. })) => {
            tracing::info!("{superseded}; running anew");
            Ok(Ended::Superseded)
        }
        Err(Stopped::Failed(error)) => Err(error),
    }
}

async fn start(projector: Arc<dyn Projector>, startup: Startup) -> Result<(Runner, Intake), Stopped<ProjectorError>> {
    let name = projector.name();
    metrics::declare(name);
    let pool = startup.read_model_pool(name, CONNECTIONS).map_err(ProjectorError::from)?;
    let generation = wait_for_own(&pool, projector.as_ref(), &startup.health, &startup.shutdown).await?;
    let group = startup.group(|log| log.projector_group(name, generation.number));
    let mut config = startup.consumer(&group).map_err(ProjectorError::from)?;
    let registry = startup.registry().map_err(ProjectorError::from)?;
    let Startup { log, health, shutdown, .. } = startup;
    let schemas = Arc::new(Schemas::new(Codec::open(registry, &log), health.clone(), shutdown.clone()));
    let (topic, own_source) = (log.events_topic(), log.source());
    let read_model = ReadModel { projector, pool, log, schema: name.to_owned(), generation, health, shutdown };
    // before joining, so that the user learns at once of a read model that is not there
    read_model.checkpoints(&[], ProjectorError::is_transient).await?;
    let sharing = which_database(&read_model, &group).await?;
    sharing.mark(&mut config);
    sharing.look_before_joining(&config).await?;
    let inbox = Inbox::join(&config, &topic, assigned(name)).map_err(ProjectorError::from)?;
    read_model.health.set_started();
    tracing::info!(projector = name, %topic, group, generation = generation.number, "running");
    let partitions = Partitions::new(name, topic.clone(), inbox.offsets());
    let runner = Runner::new(read_model, partitions, schemas.clone(), (config, topic), sharing);
    Ok((runner, Intake::new(inbox, schemas, own_source)))
}

async fn which_database(read_model: &ReadModel, group: &str) -> Result<Sharing, Stopped<ProjectorError>> {
    let ReadModel { pool, health, shutdown, .. } = read_model;
    let transient = ProjectorError::is_transient;
    retry(health, shutdown, READ_CHECKPOINTS, transient, async || Sharing::ask(pool, group).await).await
}
