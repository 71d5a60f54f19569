//! Running a projector: from the event topic into its read model.

mod batch;
mod gap;
mod incoming;
mod mend;
mod plan;
mod probe;
mod read_model;
mod reading;
mod spans;
mod take;

use std::time::{Duration, Instant};

use millrace_runtime::kafka::{Inbox, Record, consumer_config};
use millrace_runtime::{Health, Settings, Shutdown, Stopped, postgres, retry};
use millrace_schemas::{Codec, Contract, LogName, Registry};
use prometheus::IntGauge;
use rdkafka::ClientConfig;

use crate::{ProjectorError, metrics, registration};
use plan::Readings;
use probe::Probe;
use read_model::ReadModel;

/// Most records in one transaction.
const BATCH: usize = 2_000;
/// A batch of so many says that more are on their way.
const BUSY: usize = 100;
/// How long to wait for those. While little comes, nothing waits.
const LINGER: Duration = Duration::from_millis(5);
/// With nothing to do for so long, look after what may be stuck.
const IDLE: Duration = Duration::from_secs(1);
/// Every so many looks it is asked whether the read model still is where it was left.
const CONFIRM: u32 = 10;
/// Connections to Postgres: one transaction at a time, and one to spare while a broken connection goes.
const CONNECTIONS: usize = 2;

/// Runs the projector `name` until shutdown: then the batch in hand is committed and the consumer group left. Several
/// may run at once, here or elsewhere; they share the partitions.
///
/// What is away (Kafka, Postgres, the registry) is waited for. A partition whose events are missing or impossible
/// stops, with an error in the process's log and the gauge `millrace_projector_stopped_partitions`; the others go on.
///
/// # Errors
/// When there is no such projector, a setting is wrong, or the schemas or the read model's tables are not there.
pub async fn run(name: &str, settings: &Settings, health: Health, shutdown: Shutdown) -> Result<(), ProjectorError> {
    let result = match Runner::start(name, settings, health, shutdown).await {
        Ok(mut runner) => {
            let result = runner.work().await;
            runner.inbox.close().await;
            result
        }
        Err(stopped) => Err(stopped),
    };
    match result {
        Ok(()) | Err(Stopped::Shutdown) => Ok(()),
        Err(Stopped::Failed(error)) => Err(error),
    }
}

/// A projector at work. Owns its membership of the group, and its connections.
struct Runner {
    read_model: ReadModel,
    codec: Codec,
    config: ClientConfig,
    topic: String,
    inbox: Inbox,
    readings: Readings,
    probe: Probe,
    /// Times that it was looked after what may be stuck.
    looks: u32,
}

impl Runner {
    async fn start(
        name: &str,
        settings: &Settings,
        health: Health,
        shutdown: Shutdown,
    ) -> Result<Self, Stopped<ProjectorError>> {
        let projector = registration::find(name)?;
        metrics::declare(projector.name());
        let log: LogName = settings.log.parse().map_err(ProjectorError::from)?;
        let url = settings.postgres_url().map_err(ProjectorError::from)?;
        let pool = postgres::read_model_pool(url, projector.name(), CONNECTIONS).map_err(ProjectorError::from)?;
        let group = settings.group.clone().unwrap_or_else(|| format!("{name}.g1"));
        let config = consumer_config(settings, &group).map_err(ProjectorError::from)?;
        let registry = registry(settings)?;
        let codec = retry(&health, &shutdown, "ask the registry", ProjectorError::is_transient, async || {
            Ok(Codec::connect(registry.clone(), &log, Contract::ledger()).await?)
        });
        let codec = codec.await?;
        let read_model = ReadModel { projector, pool, log, health, shutdown };
        // before joining, so that a read model that is not there is told at once
        read_model.checkpoints(&[], ProjectorError::is_transient).await?;
        let topic = read_model.log.events_topic();
        let inbox = Inbox::join(&config, &topic, assigned(name)).map_err(ProjectorError::from)?;
        read_model.health.set_started();
        tracing::info!(projector = name, %topic, group, "running");
        Ok(Self {
            read_model,
            codec,
            config,
            topic,
            inbox,
            readings: Readings::new(),
            probe: Probe::default(),
            looks: 0,
        })
    }

    async fn work(&mut self) -> Result<(), Stopped<ProjectorError>> {
        let mut records: Vec<Record> = Vec::with_capacity(BATCH);
        let mut linger = Duration::ZERO;
        let mut looked = Instant::now();
        loop {
            self.read_model.health.beat();
            if looked.elapsed() >= IDLE {
                // also while some partitions are busy: others may be quiet
                self.look_after().await?;
                looked = Instant::now();
            }
            let next = self.inbox.next_batch(&mut records, BATCH, linger);
            let lost = tokio::select! {
                () = self.read_model.shutdown.cancelled() => return Ok(()),
                next = tokio::time::timeout(IDLE, next) => match next {
                    Ok(Ok(())) => records.is_empty().then_some(None),
                    Ok(Err(error)) => Some(Some(error)),
                    Err(_) => None,
                },
            };
            if let Some(error) = lost {
                tracing::warn!(?error, "the consumer can't go on; joining the group anew");
                records.clear();
                self.join_anew().await?;
            } else if !records.is_empty() {
                linger = if records.len() > BUSY { LINGER } else { Duration::ZERO };
                self.take(&records).await?;
                records.clear();
                self.mend_gaps().await?;
            }
        }
    }

    async fn join_anew(&mut self) -> Result<(), Stopped<ProjectorError>> {
        let ReadModel { projector, health, shutdown, .. } = &self.read_model;
        let name = projector.name();
        let joined = retry(
            health,
            shutdown,
            "join the group",
            |_| true,
            async || Inbox::join(&self.config, &self.topic, assigned(name)).map_err(ProjectorError::from),
        );
        let inbox = joined.await?;
        self.readings.clear();
        std::mem::replace(&mut self.inbox, inbox).close().await;
        Ok(())
    }

    /// Where nothing comes: gaps whose records did not arrive, partitions that another instance got moving, and
    /// checkpoints behind a topic that is silent.
    async fn look_after(&mut self) -> Result<(), Stopped<ProjectorError>> {
        self.looks = self.looks.wrapping_add(1);
        if self.looks.is_multiple_of(CONFIRM) {
            self.find_what_was_lost().await?;
        }
        self.probe.look(&self.inbox, &self.readings, &self.read_model.health);
        if self.readings.values().any(reading::Reading::is_held) {
            self.correct().await?;
            self.mend_gaps().await?;
        }
        Ok(())
    }
}

/// Shows how many partitions this instance has.
fn assigned(name: &str) -> IntGauge {
    metrics::ASSIGNED.with_label_values(&[name])
}

fn registry(settings: &Settings) -> Result<Registry, ProjectorError> {
    Ok(Registry::new(settings.registry_url()?)?)
}
