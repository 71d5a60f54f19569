//! From settings to connections.

use std::time::Duration;

use deadpool_postgres::Pool;
use millrace_runtime::kafka::{check_topics, client_config, consumer_config, prompt_producer_config};
use millrace_runtime::{Health, Settings, Shutdown, postgres, retry};
use millrace_schemas::{Codec, Contract, LogName, Registry};
use millrace_store::{Log, StoreError};
use rdkafka::ClientConfig;

use crate::error::{RelayError, Step};
use crate::tail::TailReader;

/// The page being read, a take-over, and the bookkeeping each use one; the last is for a hand-over.
const CONNECTIONS: usize = 4;

/// What a relay works with.
pub(crate) struct Connected {
    pub(crate) pool: Pool,
    pub(crate) log: Log,
    pub(crate) codec: Codec,
    pub(crate) listener: tokio_postgres::Config,
    pub(crate) tails: TailReader,
    pub(crate) member: ClientConfig,
    pub(crate) producer: ClientConfig,
    /// Longest silence of the group's member.
    pub(crate) silence: Duration,
}

/// Connects, waiting for what does not answer yet.
pub(crate) async fn connect(settings: &Settings, health: &Health, shutdown: &Shutdown) -> Step<Connected> {
    let name: LogName = settings.log.parse().map_err(RelayError::from)?;
    let group = settings.group.clone().unwrap_or_else(|| format!("{name}.relay"));
    let pool = postgres(settings, &name)?;
    let listener = listener(settings)?;
    let url = settings.registry_url().map_err(RelayError::from)?;
    let registry = Registry::new(url).map_err(RelayError::from)?;
    let tails = consumer_config(settings, &format!("{group}.tail")).map_err(RelayError::from)?;
    let tails = TailReader::new(tails, &name.events_topic());
    let transient = RelayError::is_transient;
    let open = async || Ok(Log::open(&pool.get().await.map_err(StoreError::from)?, name.clone()).await?);
    let log = retry(health, shutdown, "open the log", transient, open).await?;
    let resolve = async || Ok(Codec::connect(registry.clone(), &name, Contract::ledger()).await?);
    let codec = retry(health, shutdown, "resolve the schemas' ids", transient, resolve).await?;
    let config = client_config(settings).map_err(RelayError::from)?;
    let topics = [(name.events_topic(), Some(log.partitions()))];
    let check = async || Ok(check_topics(&config, &topics).await?);
    retry(health, shutdown, "look at the event topic", transient, check).await?;
    let member = consumer_config(settings, &group).map_err(RelayError::from)?;
    let silence = Duration::from_millis(u64::from(settings.session_timeout_ms) / 2);
    Ok(Connected { pool, log, codec, listener, tails, member, producer: producer(settings)?, silence })
}

fn postgres(settings: &Settings, log: &LogName) -> Result<Pool, RelayError> {
    Ok(postgres::pool(settings.postgres_url()?, log.as_str(), CONNECTIONS)?)
}

fn listener(settings: &Settings) -> Result<tokio_postgres::Config, RelayError> {
    Ok(postgres::config(settings.postgres_url()?)?)
}

/// A producer that never leaves a record out and goes on with the next: it stops with a fatal error instead
/// (`enable.gapless.guarantee`), and waits for Kafka as long as it takes, because a record that times out is not covered
/// by that. Source: librdkafka's CONFIGURATION.md.
fn producer(settings: &Settings) -> Result<ClientConfig, RelayError> {
    let mut config = prompt_producer_config(settings)?;
    config.set("enable.gapless.guarantee", "true").set("message.timeout.ms", "0");
    Ok(config)
}
