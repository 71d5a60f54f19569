//! Starts a writer and runs its three stages.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Pool;
use millrace_runtime::kafka::{
    Inbox, TopicError, TopicRole, check_topic_settings, check_topics, client_config, gathering_consumer_config,
    producer_config,
};
use millrace_runtime::{Health, Settings, Shutdown, Stopped, postgres, retry};
use millrace_schemas::{Codec, LogName, Registry, RegistryError};
use millrace_store::{Log, StoreError};
use tokio::sync::mpsc;

use crate::acknowledge::Acknowledger;
use crate::cache::Cache;
use crate::commit::Committer;
use crate::encoder::Encoder;
use crate::error::{Ended, ended};
use crate::ingest::Ingest;
use crate::schemas::Schemas;
use crate::starts::start_offsets;
use crate::waiting::Waiting;
use crate::{Domain, WriterError, metrics};

/// Connections to Postgres: one appends; the other is there when the first turns out to be dead.
const CONNECTIONS: usize = 2;
/// Most batches between two stages. When there are as many, the earlier stage waits.
const WAITING: usize = 2;

/// Runs a writer of the domain until shutdown.
///
/// # Errors
/// When a setting is wrong, the log or a schema is missing, or something breaks that does not mend by itself. While
/// Postgres, Kafka or the registry does not answer, the writer waits.
pub async fn run<D: Domain>(settings: &Settings, health: Health, shutdown: Shutdown) -> Result<(), WriterError> {
    let name: LogName = settings.log.parse()?;
    let pool = postgres::pool(settings.postgres_url()?, name.as_str(), CONNECTIONS)?;
    let registry = Registry::new(settings.registry_url()?)?;
    let group = settings.group.clone().unwrap_or_else(|| name.writer_group());
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
    let connect = async || Codec::connect(registry.clone(), name, D::definition()).await;
    let codec =
        retry(health, shutdown, "resolve schemas", RegistryError::is_transient, connect).await.map_err(ended)?;
    let number = async || {
        let client = pool.get().await.map_err(StoreError::from)?;
        log.make_months(&client).await?;
        Encoder::new(&client, &log, &codec, D::definition()).await
    };
    let encoder = retry(health, shutdown, "number schemas", WriterError::is_transient, number).await.map_err(ended)?;

    let config = client_config(settings).map_err(WriterError::from)?;
    let topics = [
        (name.commands_topic(), None),
        (name.outcomes_topic(), Some(log.partitions())),
        (name.dead_letters_topic(), None),
    ];
    let roles = [
        (name.commands_topic(), TopicRole::Commands),
        (name.outcomes_topic(), TopicRole::Outcomes),
        (name.dead_letters_topic(), TopicRole::DeadLetters),
    ];
    let check = async || {
        check_topics(&config, &topics).await?;
        check_topic_settings(&config, &roles).await
    };
    retry(health, shutdown, "look at the topics", TopicError::is_transient, check).await.map_err(ended)?;

    let linger = Duration::from_millis(settings.batch_linger_ms);
    let config = gathering_consumer_config(settings, group, linger).map_err(WriterError::from)?;
    let starts = start_offsets(pool, &log);
    let inbox = Inbox::join_from(&config, &name.commands_topic(), metrics::ASSIGNED.clone(), Some(starts));
    let inbox = inbox.map_err(WriterError::from)?;
    let config = producer_config(settings).map_err(WriterError::from)?;
    let acknowledger = Acknowledger {
        config,
        log: name,
        group,
        schema: encoder.outcome.schema,
        partitions: i32::try_from(log.partitions()).unwrap_or(i32::MAX),
        offsets: inbox.offsets(),
        health: health.for_another_loop(),
        shutdown,
    };
    let mut committer = Committer::<D> {
        log: &log,
        pool,
        encoder: &encoder,
        health: health.for_another_loop(),
        shutdown,
        cache: Cache::new(),
        contended: false,
        offsets: inbox.offsets(),
        expected: HashMap::new(),
    };
    let waiting = Waiting::new(inbox.offsets(), health.clone());
    let schemas = Schemas::new(Arc::new(codec), health, shutdown);
    let mut ingest = Ingest { settings, schemas, inbox, waiting, health: health.clone(), shutdown };
    health.set_started();
    tracing::info!(log = %name, group, "writing");

    // Three stages in one task: while Postgres commits one batch, the first stage reads the next one and the third
    // sends the outcomes of the last. Each stage ends after the one before it, so on shutdown the batches already read
    // still get committed, and their outcomes sent.
    let (read, to_commit) = mpsc::channel(WAITING);
    let (committed, to_tell) = mpsc::channel(WAITING);
    let (ingested, committed, told) =
        tokio::join!(ingest.run::<D>(read), committer.run(to_commit, committed), acknowledger.run(to_tell));
    ingest.inbox.close().await;
    ingested.and(committed).and(told)
}
