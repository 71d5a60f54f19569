//! A projector at work: from the event topic into its read model.

use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace_runtime::kafka::Inbox;
use millrace_runtime::{Stopped, retry};
use prometheus::IntGauge;
use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;

use crate::batch::Batch;
use crate::halts::Halts;
use crate::incoming::Incoming;
use crate::intake::Intake;
use crate::mending::mend_gaps;
use crate::partitions::Partitions;
use crate::plan::{Place, Plan};
use crate::probe::Probe;
use crate::read_model::{Applied, ReadModel};
use crate::reading::Reading;
use crate::schemas::Schemas;
use crate::sharing::Sharing;
use crate::status::{Pausing, Stop, add_stop};
use crate::{ProjectorError, metrics};

/// A batch of so many says that more are on their way.
const BUSY: usize = 100;
/// How long to wait for those.
const LINGER: Duration = Duration::from_millis(5);
/// The same while little comes: one append arrives in several answers of Kafka.
const LIGHT: Duration = Duration::from_millis(1);
/// With nothing to do for so long, look after what may be stuck.
const IDLE: Duration = Duration::from_secs(1);
/// Every so many looks: whether the relay has halted a partition.
const HALTS: u32 = 3;
/// Every so many looks: whether the read model still is where it was left, and who else is in the group.
const CONFIRM: u32 = 10;

/// A projector at work. Owns its connections.
pub(crate) struct Runner {
    read_model: ReadModel,
    partitions: Partitions,
    schemas: Arc<Schemas>,
    config: ClientConfig,
    topic: String,
    sharing: Sharing,
    halts: Halts,
    pausing: Pausing,
    probe: Probe,
    /// Times that it was looked after what may be stuck.
    looks: u32,
}

impl Runner {
    /// A runner that has read nothing. `membership`: by which settings, and of which topic, it is a member of its group.
    pub(crate) fn new(
        read_model: ReadModel,
        partitions: Partitions,
        schemas: Arc<Schemas>,
        (config, topic): (ClientConfig, String),
        sharing: Sharing,
    ) -> Self {
        let (halts, pausing, probe) = (Halts::default(), Pausing::default(), Probe::default());
        Self { read_model, partitions, schemas, config, topic, sharing, halts, pausing, probe, looks: 0 }
    }

    /// Works until shutdown.
    pub(crate) async fn work(&mut self, intake: &mut Intake) -> Result<(), Stopped<ProjectorError>> {
        let mut linger = Duration::ZERO;
        let mut looked = Instant::now();
        self.look_whether_paused(intake).await?;
        loop {
            self.read_model.health.beat();
            if looked.elapsed() >= IDLE {
                // also while some partitions are busy: others may be quiet
                self.look_whether_paused(intake).await?;
                self.look_after().await?;
                looked = Instant::now();
            }
            if self.pausing.holds() {
                // what comes in waits in the inbox, which takes no more when it is full; the group keeps its member
                tokio::select! {
                    () = self.read_model.shutdown.cancelled() => return Ok(()),
                    () = tokio::time::sleep(IDLE) => continue,
                }
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
                let ReadModel { projector, health, .. } = &self.read_model;
                mend_gaps(&mut self.partitions, projector.name(), health).await;
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

    /// Applies what is next among the records, and tells Kafka what is dealt with.
    async fn take(&mut self, mut incoming: Vec<Incoming>) -> Result<(), Stopped<ProjectorError>> {
        let places: Vec<Place> = incoming.iter().map(|record| record.place).collect();
        let new = self.partitions.new_among(&places);
        if !new.is_empty() {
            self.partitions.begin(&new, &self.read_model.checkpoints(&new, ProjectorError::is_waited_for).await?);
        }
        let mut corrected = false;
        loop {
            let mut plan = Plan::of(&places, self.partitions.readings());
            // another instance may have applied what seems to be missing
            if !plan.too_far.is_empty() && !std::mem::replace(&mut corrected, true) && self.correct().await? {
                continue;
            }
            let unknown = self.unknown_duplicates(&mut plan, &incoming).await?;
            let mut batch = Batch::read(&plan, &mut incoming, &self.schemas).await;
            match self.read_model.apply(&batch, &incoming).await? {
                Applied::All(flaws) => {
                    // what could not be applied stands before what could not be read
                    let unreadable = std::mem::take(&mut batch.flaws);
                    let flaws = unreadable.into_iter().chain(flaws).collect();
                    self.partitions.settle(plan, flaws, batch.unread);
                    for place in unknown {
                        self.partitions.stop_at_unknown(place);
                    }
                    return Ok(());
                }
                Applied::Raced => {
                    tracing::info!("another instance has applied some of these events; looking where it is");
                    batch.give_back(&mut incoming);
                    self.correct().await?;
                }
            }
        }
    }

    /// The first record of a partition that was applied before must be the one that was applied: else the topic is another
    /// log's, or has another history, and the read model would lack what stands there now. Returns the records that are
    /// others; the plan applies nothing of their partitions.
    async fn unknown_duplicates(
        &self,
        plan: &mut Plan,
        incoming: &[Incoming],
    ) -> Result<Vec<Place>, Stopped<ProjectorError>> {
        let mut unknown = Vec::new();
        for (partition, index) in std::mem::take(&mut plan.first_duplicates) {
            let (Some(reading), Some(record)) = (plan.readings.get_mut(&partition), incoming.get(index)) else {
                continue;
            };
            let (Some(position), Some(event_id)) = (record.place.position, record.event_id()) else { continue };
            if reading.is_known {
                continue;
            }
            if self.read_model.has_applied(partition, position, event_id).await? {
                reading.is_known = true;
            } else {
                plan.pass_over(partition, record.place.offset);
                unknown.push(record.place);
            }
        }
        Ok(unknown)
    }

    /// Asks the read model where it is; true when it is elsewhere than thought.
    async fn correct(&mut self) -> Result<bool, Stopped<ProjectorError>> {
        let checkpoints =
            self.read_model.checkpoints(&self.partitions.numbers(), ProjectorError::is_waited_for).await?;
        Ok(self.partitions.correct(&checkpoints))
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
        self.partitions.replace(inbox.offsets());
        intake.replace(inbox).await;
        Ok(())
    }

    /// Somebody may have paused the projector, or resumed it. Meanwhile the read model may have been emptied.
    async fn look_whether_paused(&mut self, intake: &mut Intake) -> Result<(), Stopped<ProjectorError>> {
        let ReadModel { projector, pool, generation, .. } = &self.read_model;
        if self.pausing.look(pool, projector.name(), *generation).await.map_err(Stopped::Failed)? {
            self.find_what_was_lost().await?;
            if self.partitions.readings().values().any(Reading::is_held) {
                // what held them may be mended, or gone with the rows: they begin anew, like those of a new instance
                self.join_anew(intake).await?;
            }
        }
        Ok(())
    }

    /// Has the read model keep what has stopped partitions. What it does not take is lost: the process's log has it too.
    async fn keep_stops(&mut self) {
        let ReadModel { pool, log, generation, .. } = &self.read_model;
        for stop in self.partitions.take_stops() {
            let Stop { partition, position, .. } = stop;
            if let Err(error) = add_stop(pool, log, *generation, &stop).await {
                tracing::warn!(partition, position, %error, "the read model does not keep that this partition has stopped");
            }
        }
    }

    /// Where nothing comes: gaps whose records did not arrive, partitions that another instance got moving, schemas that
    /// the registry has told, and checkpoints behind a topic that is silent.
    async fn look_after(&mut self) -> Result<(), Stopped<ProjectorError>> {
        let ReadModel { projector, pool, log, health, .. } = &self.read_model;
        if self.looks.is_multiple_of(HALTS) {
            self.halts.look(pool, log, projector.name(), health).await;
        }
        self.probe.look(self.partitions.offsets(), self.partitions.readings(), health).await;
        self.looks = self.looks.wrapping_add(1);
        if self.looks.is_multiple_of(CONFIRM) {
            self.sharing.look(self.partitions.offsets()).await?;
            self.find_what_was_lost().await?;
        }
        if self.partitions.readings().values().any(Reading::is_held) {
            self.correct().await?;
            let ReadModel { projector, health, .. } = &self.read_model;
            self.partitions.end_waits(&self.schemas, health).await;
            mend_gaps(&mut self.partitions, projector.name(), health).await;
        }
        self.keep_stops().await;
        self.schemas.end_look_ups(|id| self.partitions.readings().values().any(|reading| reading.waits_for(id)));
        Ok(())
    }

    /// A server that crashes, or is restored, can take back what was committed last. The next event of a partition would
    /// show that; where none comes, the last record is looked at again.
    async fn find_what_was_lost(&mut self) -> Result<(), Stopped<ProjectorError>> {
        let before = self.partitions.readings().clone();
        self.correct().await?;
        for (partition, Reading { applied, .. }) in before {
            let now = self.partitions.readings().get(&partition).map_or(applied, |reading| reading.applied);
            if now < applied {
                tracing::warn!(partition, applied, now, "the read model has lost events; they are applied again");
                self.partitions.forget(partition);
                self.probe = Probe::default();
            }
        }
        Ok(())
    }
}

/// Shows how many partitions this instance has.
pub(crate) fn assigned(name: &str) -> IntGauge {
    metrics::ASSIGNED.with_label_values(&[name])
}
