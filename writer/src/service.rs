//! Starts a writer and runs its three stages.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Pool;
use millrace_runtime::kafka::{Inbox, TopicRole, gathering_consumer_config};
use millrace_runtime::{Health, NeededTopic, ServiceError, Settings, Shutdown, Startup, Stopped};
use millrace_schemas::{Codec, LogName, RegistryError};
use millrace_store::{Log, StoreError};
use tokio::sync::mpsc;

use crate::acknowledge::Acknowledger;
use crate::cache::Cache;
use crate::commit::Committer;
use crate::encoder::Encoder;
use crate::error::Ended;
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
pub async fn run<D: Domain>(
    domain: Arc<D>,
    settings: &Settings,
    health: Health,
    shutdown: Shutdown,
) -> Result<(), WriterError> {
    let startup = Startup::new(settings, health, shutdown)?;
    let pool = startup.pool(CONNECTIONS)?;
    serve(domain, &startup, &pool).await.or_else(Stopped::as_result)
}

async fn serve<D: Domain>(domain: Arc<D>, startup: &Startup, pool: &Pool) -> Result<(), Ended> {
    metrics::declare();
    let Startup { settings, log: name, health, shutdown } = startup;
    let open = async || Log::open(&pool.get().await?, name.clone()).await;
    let log = startup.retry("open the log", StoreError::is_transient, open).await.map_err(Stopped::into_other)?;
    let (codec, encoder) = schemas(&*domain, startup, pool, &log).await?;
    startup.check_topics(&topics(&log)).await.map_err(Stopped::into_other)?;

    let group = startup.group(LogName::writer_group);
    let linger = Duration::from_millis(settings.batch_linger_ms);
    let config = gathering_consumer_config(settings, &group, linger).map_err(service)?;
    let starts = start_offsets(pool, &log);
    let inbox = Inbox::join_from(&config, &name.commands_topic(), metrics::ASSIGNED.clone(), Some(starts));
    let inbox = inbox.map_err(service)?;
    let acknowledger = Acknowledger {
        config: startup.producer().map_err(service)?,
        log: name,
        group: &group,
        schema: encoder.outcome.schema,
        partitions: i32::try_from(log.partitions()).unwrap_or(i32::MAX),
        offsets: inbox.offsets(),
        health: health.for_another_loop(),
        shutdown,
    };
    let mut committer = Committer {
        domain: domain.clone(),
        log: &log,
        pool,
        encoder: &encoder,
        health: health.for_another_loop(),
        shutdown,
        cache: Cache::new(domain.clone()),
        contended: false,
        offsets: inbox.offsets(),
        expected: HashMap::new(),
    };
    let waiting = Waiting::new(inbox.offsets(), health.clone());
    let schemas = Schemas::new(Arc::new(codec), health, shutdown);
    let mut ingest = Ingest { domain, settings, schemas, inbox, waiting, health: health.clone(), shutdown };
    health.set_started();
    tracing::info!(log = %name, group, "writing");

    // Three stages in one task: while Postgres commits one batch, the first stage reads the next one and the third
    // sends the outcomes of the last. Each stage ends after the one before it, so on shutdown the batches already read
    // still get committed, and their outcomes sent.
    let (read, to_commit) = mpsc::channel(WAITING);
    let (committed, to_tell) = mpsc::channel(WAITING);
    let (ingested, committed, told) =
        tokio::join!(ingest.run(read), committer.run(to_commit, committed), acknowledger.run(to_tell));
    ingest.inbox.close().await;
    ingested.and(committed).and(told)
}

/// Finds the domain's schemas in the registry, and their numbers in the log; makes the log's months meanwhile.
async fn schemas<D: Domain>(domain: &D, startup: &Startup, pool: &Pool, log: &Log) -> Result<(Codec, Encoder), Ended> {
    let registry = startup.registry().map_err(WriterError::from)?;
    let connect = async || Codec::connect(registry.clone(), log.name(), domain.definition()).await;
    let codec = startup.retry("resolve schemas", RegistryError::is_transient, connect).await;
    let codec = codec.map_err(|stopped| stopped.into_other::<ServiceError>().into_other())?;
    let number = async || {
        let client = pool.get().await.map_err(StoreError::from)?;
        log.make_months(&client).await?;
        Encoder::new(&client, log, &codec, domain.definition()).await
    };
    let encoder = startup.retry("number schemas", WriterError::is_transient, number).await?;
    Ok((codec, encoder))
}

fn topics(log: &Log) -> [NeededTopic; 3] {
    let name = log.name();
    let any = |name, role| NeededTopic { name, role, partitions: None };
    let outcomes = any(name.outcomes_topic(), TopicRole::Outcomes);
    [
        any(name.commands_topic(), TopicRole::Commands),
        NeededTopic { partitions: Some(log.partitions()), ..outcomes },
        any(name.dead_letters_topic(), TopicRole::DeadLetters),
    ]
}

fn service(error: impl Into<ServiceError>) -> WriterError {
    WriterError::Service(error.into())
}
