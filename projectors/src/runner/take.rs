//! Taking a batch of records.

use millrace_runtime::{Stopped, retry};

use super::Runner;
use super::batch::{Batch, Flaw};
use super::incoming::Incoming;
use super::plan::{Place, Plan};
use super::probe::Probe;
use super::read_model::{Applied, ReadModel};
use super::reading::Reading;
use crate::{ProjectorError, metrics};

impl Runner {
    /// Applies what is next among the records, and tells Kafka what is dealt with.
    pub(super) async fn take(&mut self, mut incoming: Vec<Incoming>) -> Result<(), Stopped<ProjectorError>> {
        let places: Vec<Place> = incoming.iter().map(|record| record.place).collect();
        self.begin(&places).await?;
        let mut corrected = false;
        loop {
            let plan = Plan::of(&places, &self.readings);
            // another instance may have applied what seems to be missing
            if !plan.too_far.is_empty() && !std::mem::replace(&mut corrected, true) && self.correct().await? {
                continue;
            }
            let batch = self.read(&plan, &mut incoming).await?;
            match self.read_model.apply(&batch).await? {
                Applied::All(flaws) => {
                    // what could not be applied stands before what could not be read
                    let flaws = batch.flaws.into_iter().chain(flaws).collect();
                    self.settle(plan, flaws);
                    return Ok(());
                }
                Applied::Raced => {
                    tracing::info!("another instance has applied some of these events; looking where it is");
                    self.correct().await?;
                }
            }
        }
    }

    /// Gives every partition its reading, from its checkpoint.
    async fn begin(&mut self, places: &[Place]) -> Result<(), Stopped<ProjectorError>> {
        let mut new: Vec<i32> = places.iter().map(|place| place.partition).collect();
        new.retain(|partition| !self.readings.contains_key(partition));
        new.sort_unstable();
        new.dedup();
        if new.is_empty() {
            return Ok(());
        }
        let checkpoints = self.read_model.checkpoints(&new, |_| true).await?;
        for partition in new {
            let applied = checkpoints.get(&partition).copied().unwrap_or_default();
            self.readings.insert(partition, Reading::after(applied));
            metrics::declare_partition(self.read_model.projector.name(), partition);
            self.show_checkpoint(partition, applied);
        }
        Ok(())
    }

    /// Asks the read model where it is; true when it is elsewhere than thought.
    pub(super) async fn correct(&mut self) -> Result<bool, Stopped<ProjectorError>> {
        let partitions: Vec<i32> = self.readings.keys().copied().collect();
        let checkpoints = self.read_model.checkpoints(&partitions, |_| true).await?;
        let mut news = false;
        for (partition, reading) in &mut self.readings {
            let applied = checkpoints.get(partition).copied().unwrap_or_default();
            news |= reading.correct(applied);
        }
        for (partition, reading) in &self.readings {
            self.show_checkpoint(*partition, reading.applied);
        }
        self.show_stopped();
        Ok(news)
    }

    /// A server that crashes, or is restored, can take back what was committed last. The next event of a partition would
    /// show that; where none comes, the last record is looked at again.
    pub(super) async fn find_what_was_lost(&mut self) -> Result<(), Stopped<ProjectorError>> {
        let before: Vec<(i32, i64)> = self.readings.iter().map(|(partition, r)| (*partition, r.applied)).collect();
        self.correct().await?;
        for (partition, applied) in before {
            let now = self.readings.get(&partition).map_or(applied, |reading| reading.applied);
            if now < applied {
                tracing::warn!(partition, applied, now, "the read model has lost events; they are applied again");
                self.readings.remove(&partition);
                self.probe = Probe::default();
            }
        }
        Ok(())
    }

    async fn read(&self, plan: &Plan, incoming: &mut [Incoming]) -> Result<Batch, Stopped<ProjectorError>> {
        let ReadModel { health, shutdown, .. } = &self.read_model;
        // what can't be read at all is not an error here but a flaw of the batch
        let batch =
            retry(health, shutdown, "read events", |_| true, async || Batch::read(plan, incoming, &self.codec).await);
        batch.await.map_err(|_| Stopped::Shutdown)
    }

    /// The batch is durable.
    fn settle(&mut self, mut plan: Plan, flaws: Vec<Flaw>) {
        self.readings = std::mem::take(&mut plan.readings);
        for flaw in flaws {
            plan.done.insert(flaw.partition, flaw.offset - 1);
            self.stop_at_flaw(&flaw);
        }
        for (partition, offset) in plan.done.iter().filter(|(_, offset)| **offset >= 0) {
            self.offsets.done(*partition, *offset);
        }
        for partition in plan.too_far.keys() {
            // a pause does not outlive a full inbox
            if self.readings.get(partition).is_some_and(Reading::is_stopped) {
                self.pause(*partition);
            }
        }
        self.show_stopped();
        let name = self.read_model.projector.name();
        for (counter, counts) in [(&metrics::DUPLICATES, &plan.duplicates), (&metrics::FOREIGN, &plan.foreign)] {
            for (partition, count) in counts {
                counter.with_label_values(&[name, &partition.to_string()]).inc_by(*count);
            }
        }
        if !plan.foreign.is_empty() {
            tracing::warn!(topic = self.topic, by_partition = ?plan.foreign, "records without log-position passed over");
        }
    }

    fn show_checkpoint(&self, partition: i32, applied: i64) {
        let labels = [self.read_model.projector.name(), &partition.to_string()];
        metrics::CHECKPOINT.with_label_values(&labels).set(applied);
    }
}
