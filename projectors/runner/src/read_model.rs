//! Writing to the read model: events and checkpoints in one transaction.

use std::collections::HashMap;
use std::ops::Range;
use std::time::Instant;

use deadpool_postgres::{Pool, PoolError};
use millrace_runtime::{Health, Shutdown, Stopped, retry};
use millrace_schemas::LogName;

use crate::batch::Batch;
use crate::checkpoints::{self, Move};
use crate::fault::{self, Fault};
use crate::flaw::Flaw;
use crate::incoming::Incoming;
use crate::{ApplyError, Event, Projector, ProjectorError, metrics, spans};

/// The read model of one projector.
pub(crate) struct ReadModel {
    pub(crate) projector: Box<dyn Projector>,
    pub(crate) pool: Pool,
    pub(crate) log: LogName,
    pub(crate) health: Health,
    pub(crate) shutdown: Shutdown,
}

/// What became of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Applied {
    /// It is applied and durable, up to these events and what follows them in their partitions.
    All(Vec<Flaw>),
    /// A checkpoint did not stand where it was thought to: another instance is at work. Some may be applied.
    Raced,
}

/// Why a transaction did not commit.
#[derive(Debug, thiserror::Error)]
enum CommitError {
    #[error("{0}")]
    Surroundings(String),
    #[error("{0}")]
    Event(String),
}

impl ReadModel {
    /// The checkpoints of these partitions. Waits until the read model answers; `is_transient` says what to wait for.
    pub(crate) async fn checkpoints(
        &self,
        partitions: &[i32],
        is_transient: fn(&ProjectorError) -> bool,
    ) -> Result<HashMap<i32, i64>, Stopped<ProjectorError>> {
        let name = self.projector.name();
        retry(&self.health, &self.shutdown, "read the checkpoints", is_transient, async || {
            checkpoints::begin(&self.pool, name, &self.log, partitions).await
        })
        .await
    }

    /// Applies a batch of what has come in. Where an event is at fault, its partition is applied up to it and the others
    /// wholly.
    pub(crate) async fn apply(&self, batch: &Batch, incoming: &[Incoming]) -> Result<Applied, Stopped<ProjectorError>> {
        if batch.events.is_empty() {
            return Ok(Applied::All(Vec::new()));
        }
        match self.persist(&batch.events, &batch.steps()).await {
            Ok(true) => Ok(Applied::All(Vec::new())),
            Ok(false) => Ok(Applied::Raced),
            Err(Stopped::Shutdown) => Err(Stopped::Shutdown),
            Err(Stopped::Failed(_)) => self.isolate(batch, incoming).await,
        }
    }

    async fn isolate(&self, batch: &Batch, incoming: &[Incoming]) -> Result<Applied, Stopped<ProjectorError>> {
        let mut flaws = Vec::new();
        for run in &batch.runs {
            match self.apply_run(batch, run.clone(), incoming).await? {
                Applied::All(found) => flaws.extend(found),
                Applied::Raced => return Ok(Applied::Raced),
            }
        }
        Ok(Applied::All(flaws))
    }

    /// Applies one partition's events, in parts that get smaller until the one at fault stands alone.
    async fn apply_run(
        &self,
        batch: &Batch,
        run: Range<usize>,
        incoming: &[Incoming],
    ) -> Result<Applied, Stopped<ProjectorError>> {
        let mut start = run.start;
        let mut size = run.len();
        while start < run.end {
            let part = start..run.end.min(start + size);
            let steps: Vec<Move> = batch.step(&part).into_iter().collect();
            match self.persist(batch.events.get(part.clone()).unwrap_or_default(), &steps).await {
                Ok(true) => start = part.end,
                Ok(false) => return Ok(Applied::Raced),
                Err(Stopped::Shutdown) => return Err(Stopped::Shutdown),
                Err(Stopped::Failed(error)) if part.len() == 1 => {
                    return Ok(Applied::All(batch.flaw(start, error.to_string(), incoming).into_iter().collect()));
                }
                Err(Stopped::Failed(_)) => size = part.len() / 2,
            }
        }
        Ok(Applied::All(Vec::new()))
    }

    /// Commits events and checkpoints, however long that takes; false when a checkpoint stands elsewhere.
    async fn persist(&self, events: &[Event], steps: &[Move]) -> Result<bool, Stopped<CommitError>> {
        let passes = |error: &CommitError| matches!(error, CommitError::Surroundings(_));
        let began = Instant::now();
        let committed =
            retry(&self.health, &self.shutdown, "apply", passes, async || self.transact(events, steps).await);
        let committed = committed.await?;
        if committed {
            metrics::APPLY_SECONDS.with_label_values(&[self.projector.name()]).observe(began.elapsed().as_secs_f64());
            self.count(events, steps);
            spans::record(&self.log, self.projector.name(), events, began);
        }
        Ok(committed)
    }

    async fn transact(&self, events: &[Event], steps: &[Move]) -> Result<bool, CommitError> {
        let mut client = self.pool.get().await?;
        let transaction = client.transaction().await?;
        // sent together: round trips are most of what little work costs
        let (advanced, applied) = tokio::join!(
            biased;
            checkpoints::advance(&transaction, &self.log, steps, events),
            self.projector.apply(&transaction, events),
        );
        if !advanced? {
            transaction.rollback().await?; // whatever became of the rows
            return Ok(false);
        }
        applied?;
        transaction.commit().await?;
        Ok(true)
    }

    fn count(&self, events: &[Event], steps: &[Move]) {
        let name = self.projector.name();
        let now = jiff::Timestamp::now();
        metrics::BATCH_EVENTS.with_label_values(&[name]).observe(events.len() as f64);
        let visible = metrics::VISIBLE_SECONDS.with_label_values(&[name]);
        for event in events {
            visible.observe(now.duration_since(event.recorded_at).as_secs_f64().max(0.0));
        }
        for step in steps {
            let labels = [name, &step.partition.to_string()];
            metrics::APPLIED.with_label_values(&labels).inc_by((step.to - step.from).unsigned_abs());
            metrics::CHECKPOINT.with_label_values(&labels).set(step.to);
        }
    }
}

impl From<PoolError> for CommitError {
    fn from(error: PoolError) -> Self {
        Self::Surroundings(ProjectorError::from(error).to_string())
    }
}

impl From<tokio_postgres::Error> for CommitError {
    fn from(error: tokio_postgres::Error) -> Self {
        match fault::of_statement(&error) {
            Fault::Surroundings => Self::Surroundings(fault::in_words(&error)),
            Fault::Event => Self::Event(fault::in_words(&error)),
        }
    }
}

impl From<ApplyError> for CommitError {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Postgres(error) => error.into(),
            ApplyError::Decode(error) => Self::Event(error.to_string()),
            ApplyError::Senseless(reason) => Self::Event(reason),
        }
    }
}
