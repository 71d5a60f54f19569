//! From settings to connections.

use std::time::Duration;

use deadpool_postgres::Pool;
use millrace_runtime::kafka::{
    TopicRole, check_topic_settings, check_topics, client_config, consumer_config, prompt_producer_config,
};
use millrace_runtime::{Health, Settings, Shutdown, postgres, retry};
use millrace_schemas::LogName;
use millrace_store::{Log, StoreError};
use rdkafka::ClientConfig;

use crate::error::{RelayError, Step};
use crate::pages::PageSource;
use crate::takeover::TailReader;

/// The page being read, a take-over, the bookkeeping and the halts each use one; the last is for a hand-over.
const CONNECTIONS: usize = 5;
/// Of a pool that only pages are read with: a page that was given up may still be under way.
const READING_CONNECTIONS: usize = 2;

/// What a relay works with.
pub(crate) struct Connected {
    pub(crate) log: Log,
    pub(crate) pool: Pool,
    pub(crate) source: PageSource,
    /// Where to listen for appends; nowhere when pages come from a standby, which does not notify.
    pub(crate) listener: Option<tokio_postgres::Config>,
    pub(crate) tails: TailReader,
    pub(crate) member: ClientConfig,
    pub(crate) producer: ClientConfig,
    /// Longest silence of the group's member.
    pub(crate) silence: Duration,
}

/// Connects, waiting for what does not answer yet.
pub(crate) async fn connect(settings: &Settings, health: &Health, shutdown: &Shutdown) -> Step<Connected> {
    let name: LogName = settings.log.parse().map_err(RelayError::from)?;
    let group = settings.group.clone().unwrap_or_else(|| name.relay_group());
    let servers = Servers::from_settings(settings, &name)?;
    let tails = consumer_config(settings, &format!("{group}.tail")).map_err(RelayError::from)?;
    let tails = TailReader::new(tails, &name.events_topic());
    let transient = RelayError::is_transient;
    let pool = servers.pool;
    let open = async || Ok(Log::open(&pool.get().await.map_err(StoreError::from)?, name.clone()).await?);
    let log = retry(health, shutdown, "open the log", transient, open).await?;
    let config = client_config(settings).map_err(RelayError::from)?;
    let topics = [(name.events_topic(), Some(log.partitions()))];
    let roles = [(name.events_topic(), TopicRole::Events)];
    let check = async || {
        check_topics(&config, &topics).await?;
        Ok(check_topic_settings(&config, &roles).await?)
    };
    retry(health, shutdown, "look at the event topic", transient, check).await?;
    let member = consumer_config(settings, &group).map_err(RelayError::from)?;
    let silence = Duration::from_millis(u64::from(settings.session_timeout_ms) / 2);
    let (reading, primary) = match servers.reading {
        Some(reading) => (reading, Some(pool.clone())),
        None => (pool.clone(), None),
    };
    let (health, shutdown) = (health.clone(), shutdown.clone());
    let source = PageSource { log: log.clone(), pool: reading, primary, health, shutdown };
    let producer = producer(settings)?;
    Ok(Connected { log, pool, source, listener: servers.listener, tails, member, producer, silence })
}

/// Where Postgres is.
struct Servers {
    pool: Pool,
    /// Where pages come from, if not from `pool`.
    reading: Option<Pool>,
    listener: Option<tokio_postgres::Config>,
}

impl Servers {
    fn from_settings(settings: &Settings, log: &LogName) -> Result<Self, RelayError> {
        let url = settings.postgres_url()?;
        let pool = postgres::pool(url, log.as_str(), CONNECTIONS)?;
        let Some(standby) = settings.relay_postgres_url() else {
            return Ok(Self { pool, reading: None, listener: Some(postgres::config(url)?) });
        };
        let reading = postgres::pool(standby, log.as_str(), READING_CONNECTIONS);
        let reading = reading.map_err(|_| RelayError::RelayPostgresUrl)?;
        tracing::info!(
            server = postgres::shown_address(standby),
            "reading events from relay_postgres_url, and polling: a standby does not notify of appends"
        );
        Ok(Self { pool, reading: Some(reading), listener: None })
    }
}

/// A producer that never leaves a record out and goes on with the next: it stops with a fatal error instead
/// (`enable.gapless.guarantee`), and waits for Kafka as long as it takes, because a record that times out is not covered
/// by that. Source: librdkafka's CONFIGURATION.md.
fn producer(settings: &Settings) -> Result<ClientConfig, RelayError> {
    let mut config = prompt_producer_config(settings)?;
    config.set("enable.gapless.guarantee", "true").set("message.timeout.ms", "0");
    Ok(config)
}
