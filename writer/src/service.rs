//! The writer's stages, put together.

use std::time::Duration;

use deadpool_postgres::Pool;
use millrace_runtime::kafka::{
    Inbox, TopicError, check_topics, client_config, gathering_consumer_config, producer_config,
};
use millrace_runtime::{Health, Settings, Shutdown, Stopped, postgres, retry};
use millrace_schemas::{Codec, LogName, Registry, RegistryError};
use millrace_store::{Log, StoreError};
use tokio::sync::mpsc;

use crate::acknowledge::Acknowledger;
use crate::commit::Committer;
use crate::error::{Ended, ended};
use crate::ingest::Ingest;
use crate::states::States;
use crate::{Domain, WriterError, metrics};

/// Connections to Postgres: one appends; another stands by when one is found dead.
const CONNECTIONS: usize = 2;
/// Batches that wait between two stages; more than that, and the stage before waits.
const WAITING: usize = 2;

/// Runs a writer of the domain until shutdown.
///
/// # Errors
/// When a setting is wrong, the log or a schema is missing, or something breaks that does not mend by itself. What
/// passes (Postgres, Kafka or the registry away) is waited for.
pub async fn run<D: Domain>(settings: &Settings, health: Health, shutdown: Shutdown) -> Result<(), WriterError> {
    let name: LogName = settings.log.parse()?;
    let pool = postgres::pool(settings.postgres_url()?, name.as_str(), CONNECTIONS)?;
    let registry = Registry::new(settings.registry_url()?)?;
    let group = settings.group.clone().unwrap_or_else(|| format!("{name}.writer"));
    match serve::<D>(settings, &name, &pool, registry, &group, &health, &shutdown).await {
        Ok(()) | Err(Stopped::Shutdown) => Ok(()),
        Err(Stopped::Failed(error)) => Err(error),
    }
}

async fn serve<D: Domain>(
    settings: &Settings,
    name: &LogName,
    pool: &Pool,
    registry: Registry,
    group: &str,
    health: &Health,
    shutdown: &Shutdown,
) -> Result<(), Ended> {
    metrics::declare();
    let open = async || Log::open(&pool.get().await?, name.clone()).await;
    let log = retry(health, shutdown, "open the log", StoreError::is_transient, open).await.map_err(ended)?;
    let connect = async || Codec::connect(registry.clone(), name, D::contract()).await;
    let codec =
        retry(health, shutdown, "resolve schemas", RegistryError::is_transient, connect).await.map_err(ended)?;

    let config = client_config(settings).map_err(WriterError::from)?;
    let topics = [name.commands_topic(), name.outcomes_topic(), name.dead_letters_topic()].map(|topic| (topic, None));
    let check = async || check_topics(&config, &topics).await;
    retry(health, shutdown, "look at the topics", TopicError::is_transient, check).await.map_err(ended)?;

    let linger = Duration::from_millis(settings.batch_linger_ms);
    let config = gathering_consumer_config(settings, group, linger).map_err(WriterError::from)?;
    let inbox = Inbox::join(&config, &name.commands_topic(), metrics::ASSIGNED.clone()).map_err(WriterError::from)?;
    let config = producer_config(settings).map_err(WriterError::from)?;
    let acknowledger = Acknowledger {
        config,
        log: name,
        group,
        codec: &codec,
        offsets: inbox.offsets(),
        health: health.for_another_loop(),
        shutdown,
    };
    let health_of_committer = health.for_another_loop();
    let mut committer =
        Committer::<D> { log: &log, pool, codec: &codec, health: health_of_committer, shutdown, states: States::new() };
    let mut ingest = Ingest { settings, codec: &codec, inbox, health: health.clone(), shutdown };
    health.set_started();
    tracing::info!(log = %name, group, "writing");

    // Three stages in one task: while one batch waits for Postgres, the next is read and the last is told of. Each ends
    // when the one before it has, so what is read when shutdown comes is committed and told.
    let (read, to_commit) = mpsc::channel(WAITING);
    let (committed, to_tell) = mpsc::channel(WAITING);
    let (ingested, committed, told) =
        tokio::join!(ingest.run::<D>(read), committer.run(to_commit, committed), acknowledger.run(to_tell));
    ingest.inbox.close().await;
    ingested.and(committed).and(told)
}
