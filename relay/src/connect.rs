//! From settings to connections.

use std::time::Duration;

use deadpool_postgres::Pool;
use millrace_runtime::kafka::{TopicRole, prompt_producer_config};
use millrace_runtime::{NeededTopic, ServiceError, Settings, Startup, Stopped, postgres};
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
pub(crate) async fn connect(startup: &Startup) -> Step<Connected> {
    let name = &startup.log;
    let group = startup.group(LogName::relay_group);
    let Servers { pool, reading, listener } = Servers::from_settings(startup)?;
    let tails = startup.consumer(&format!("{group}.tail")).map_err(RelayError::from)?;
    let tails = TailReader::new(tails, &name.events_topic());
    let open = async || Log::open(&pool.get().await?, name.clone()).await;
    let log = startup.retry("open the log", StoreError::is_transient, open).await.map_err(Stopped::into_other)?;
    let (role, partitions) = (TopicRole::Events, Some(log.partitions()));
    let topic = NeededTopic { name: name.events_topic(), role, partitions };
    startup.check_topics(&[topic]).await.map_err(Stopped::into_other)?;
    let member = startup.consumer(&group).map_err(RelayError::from)?;
    let silence = Duration::from_millis(u64::from(startup.settings.session_timeout_ms) / 2);
    let (reading, primary) = match reading {
        Some(reading) => (reading, Some(pool.clone())),
        None => (pool.clone(), None),
    };
    let (health, shutdown) = (startup.health.clone(), startup.shutdown.clone());
    let source = PageSource { log: log.clone(), pool: reading, primary, health, shutdown };
    let producer = producer(&startup.settings).map_err(RelayError::from)?;
    Ok(Connected { log, pool, source, listener, tails, member, producer, silence })
}

/// Where Postgres is.
struct Servers {
    pool: Pool,
    /// Where pages come from, if not from `pool`.
    reading: Option<Pool>,
    listener: Option<tokio_postgres::Config>,
}

impl Servers {
    fn from_settings(startup: &Startup) -> Result<Self, RelayError> {
        let pool = startup.pool(CONNECTIONS)?;
        let Some(standby) = startup.settings.relay_postgres_url() else {
            let url = startup.settings.postgres_url().map_err(ServiceError::from)?;
            let listener = postgres::config(url).map_err(ServiceError::from)?;
            return Ok(Self { pool, reading: None, listener: Some(listener) });
        };
        let reading = postgres::pool(standby, startup.log.as_str(), READING_CONNECTIONS);
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
fn producer(settings: &Settings) -> Result<ClientConfig, ServiceError> {
    let mut config = prompt_producer_config(settings)?;
    config.set("enable.gapless.guarantee", "true").set("message.timeout.ms", "0");
    Ok(config)
}
