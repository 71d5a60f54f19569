//! Running a projector: from the event topic into its read model.

mod batch;
mod gap;
mod incoming;
mod intake;
mod mend;
mod plan;
mod probe;
mod read_model;
mod reading;
mod spans;
mod take;

use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace_runtime::kafka::{Inbox, Offsets, consumer_config};
use millrace_runtime::{Health, Settings, Shutdown, Stopped, postgres, retry};
use millrace_schemas::{Codec, Contract, LogName, Registry};
use prometheus::IntGauge;
use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;

use crate::{ProjectorError, metrics, registration};
use incoming::Incoming;
use intake::Intake;
use plan::Readings;
use probe::Probe;
use read_model::ReadModel;

/// A batch of so many says that more are on their way.
const BUSY: usize = 100;
/// How long to wait for those.
const LINGER: Duration = Duration::from_millis(5);
/// The same while little comes: one append arrives in several answers of Kafka.
const LIGHT: Duration = Duration::from_millis(1);
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
        Ok((mut runner, mut intake)) => {
            let result = runner.work(&mut intake).await;
            intake.close().await;
            result
        }
        Err(stopped) => Err(stopped),
    };
    match result {
        Ok(()) | Err(Stopped::Shutdown) => Ok(()),
        Err(Stopped::Failed(error)) => Err(error),
    }
}

/// A projector at work. Owns its connections.
struct Runner {
    read_model: ReadModel,
    codec: Arc<Codec>,
    config: ClientConfig,
    topic: String,
    offsets: Offsets,
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
    ) -> Result<(Self, Intake), Stopped<ProjectorError>> {
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
        let codec = Arc::new(codec.await?);
        let read_model = ReadModel { projector, pool, log, health, shutdown };
        // before joining, so that a read model that is not there is told at once
        read_model.checkpoints(&[], ProjectorError::is_transient).await?;
        let topic = read_model.log.events_topic();
        let inbox = Inbox::join(&config, &topic, assigned(name)).map_err(ProjectorError::from)?;
        read_model.health.set_started();
        tracing::info!(projector = name, %topic, group, "running");
        let runner = Self {
            read_model,
            codec: codec.clone(),
            config,
            topic,
            offsets: inbox.offsets(),
            readings: Readings::new(),
            probe: Probe::default(),
            looks: 0,
        };
        Ok((runner, Intake::new(inbox, codec)))
    }

    async fn work(&mut self, intake: &mut Intake) -> Result<(), Stopped<ProjectorError>> {
        let mut linger = Duration::ZERO;
        let mut looked = Instant::now();
        loop {
            self.read_model.health.beat();
            if looked.elapsed() >= IDLE {
                // also while some partitions are busy: others may be quiet
                self.look_after().await?;
                looked = Instant::now();
            }
            let mut came = tokio::select! {
                () = self.read_model.shutdown.cancelled() => return Ok(()),
                came = tokio::time::timeout(IDLE, intake.wait(linger)) => came.unwrap_or(Ok(())),
            };
            if came.is_ok() {
                let batch = intake.take();
                linger = if batch.len() > BUSY { LINGER } else { LIGHT };
                came = self.take_while_reading(batch, intake).await?;
            }
            if let Err(error) = came {
                tracing::warn!(%error, "the consumer can't go on; joining the group anew");
                self.join_anew(intake).await?;
            }
        }
    }

    /// Takes a batch and, where more are on their way, has the next one come in meanwhile.
    async fn take_while_reading(
        &mut self,
        batch: Vec<Incoming>,
        intake: &mut Intake,
    ) -> Result<Result<(), KafkaError>, Stopped<ProjectorError>> {
        let more_to_come = batch.len() > BUSY;
        let taking = async {
            if !batch.is_empty() {
                self.take(batch).await?;
                self.mend_gaps().await?;
            }
            Ok(())
        };
        tokio::pin!(taking);
        tokio::select! {
            biased;
            taken = &mut taking => taken.map(Ok),
            read = intake.fill(), if more_to_come => taking.await.map(|()| read),
        }
    }

    async fn join_anew(&mut self, intake: &mut Intake) -> Result<(), Stopped<ProjectorError>> {
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
        self.offsets = inbox.offsets();
        intake.replace(inbox).await;
        Ok(())
    }

    /// Where nothing comes: gaps whose records did not arrive, partitions that another instance got moving, and
    /// checkpoints behind a topic that is silent.
    async fn look_after(&mut self) -> Result<(), Stopped<ProjectorError>> {
        self.looks = self.looks.wrapping_add(1);
        if self.looks.is_multiple_of(CONFIRM) {
            self.find_what_was_lost().await?;
        }
        self.probe.look(&self.offsets, &self.readings, &self.read_model.health).await;
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
