//! Writing to the read model: events and checkpoints in one transaction.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use deadpool_postgres::{Pool, PoolError};
use millrace_runtime::{Health, Shutdown, Stopped, retry};
use millrace_schemas::LogName;
use uuid::Uuid;

use crate::batch::Batch;
use crate::checkpoints::{self, Move};
use crate::fault::{self, Fault};
use crate::flaw::Flaw;
use crate::incoming::Incoming;
use crate::run::READ_CHECKPOINTS;
use crate::{ApplyError, Event, Generation, Projector, ProjectorError, metrics, spans};

/// The read model of one projector.
pub(crate) struct ReadModel {
    pub(crate) projector: Arc<dyn Projector>,
    pub(crate) pool: Pool,
    pub(crate) log: LogName,
    /// The schema that it fills, which is first on the search path of `pool`.
    pub(crate) schema: String,
    /// The build that it fills.
    pub(crate) generation: Generation,
    pub(crate) health: Health,
    pub(crate) shutdown: Shutdown,
}

/// What became of a batch.
#[derive(Debug)]
pub(crate) enum Applied {
    /// It is applied and durable, up to these events and what follows them in their partitions.
    All(Vec<Flaw>),
    /// A checkpoint did not stand where it was thought to: another instance is at work. Some may be applied.
    Raced,
}

/// What became of one partition's events.
#[derive(Debug)]
pub(crate) enum AppliedRun {
    /// They are applied and durable.
    All,
    /// So are those before this one, by its index, which can't be applied.
    UpTo(usize, CommitError),
    /// As [`Applied::Raced`].
    Raced,
}

/// Why a transaction did not commit.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommitError {
    #[error("{0}")]
    Surroundings(String),
    #[error("{0}")]
    Event(String),
    #[error("another definition of the projector was applied meanwhile")]
    Superseded,
}

impl ReadModel {
    /// The checkpoints of these partitions. Waits until the read model answers; `is_transient` says what to wait for.
    pub(crate) async fn checkpoints(
        &self,
        partitions: &[i32],
        is_transient: fn(&ProjectorError) -> bool,
    ) -> Result<HashMap<i32, i64>, Stopped<ProjectorError>> {
        retry(&self.health, &self.shutdown, READ_CHECKPOINTS, is_transient, async || {
            checkpoints::begin(&self.pool, (&self.schema, self.generation), &self.log, partitions).await
        })
        .await
    }

    /// Whether the event that was applied at a position is the one with this id. True where the read model does not know.
    pub(crate) async fn has_applied(
        &self,
        partition: i32,
        position: i64,
        event_id: Uuid,
    ) -> Result<bool, Stopped<ProjectorError>> {
        retry(&self.health, &self.shutdown, READ_CHECKPOINTS, ProjectorError::is_waited_for, async || {
            let client = self.pool.get().await?;
            checkpoints::is_applied(&**client, &self.schema, (&self.log, partition), position, event_id).await
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
            Err(Stopped::Failed(CommitError::Superseded)) => Err(Stopped::Failed(self.superseded())),
            Err(Stopped::Failed(_)) => self.isolate(batch, incoming).await,
        }
    }

    async fn isolate(&self, batch: &Batch, incoming: &[Incoming]) -> Result<Applied, Stopped<ProjectorError>> {
        let mut flaws = Vec::new();
        for run in &batch.runs {
            match self.apply_run(&batch.events, run.clone()).await? {
                AppliedRun::All => {}
                AppliedRun::UpTo(index, error) => flaws.extend(batch.flaw(index, error.to_string(), incoming)),
                AppliedRun::Raced => return Ok(Applied::Raced),
            }
        }
        Ok(Applied::All(flaws))
    }

    /// Applies one partition's events, in parts that get smaller until the one at fault stands alone.
    pub(crate) async fn apply_run(
        &self,
        events: &[Event],
        run: Range<usize>,
    ) -> Result<AppliedRun, Stopped<ProjectorError>> {
        let mut start = run.start;
        let mut size = run.len();
        while start < run.end {
            let part = start..run.end.min(start + size);
            let events = events.get(part.clone()).unwrap_or_default();
            let steps: Vec<Move> = Move::over(events).into_iter().collect();
            match self.persist(events, &steps).await {
                Ok(true) => start = part.end,
                Ok(false) => return Ok(AppliedRun::Raced),
                Err(Stopped::Shutdown) => return Err(Stopped::Shutdown),
                Err(Stopped::Failed(CommitError::Superseded)) => return Err(Stopped::Failed(self.superseded())),
                Err(Stopped::Failed(error)) if part.len() == 1 => return Ok(AppliedRun::UpTo(start, error)),
                Err(Stopped::Failed(_)) => size = part.len() / 2,
            }
        }
        Ok(AppliedRun::All)
    }

    fn superseded(&self) -> ProjectorError {
        let Generation { number, .. } = self.generation;
        ProjectorError::Superseded { schema: self.schema.clone(), expected: number, now: number }
    }

    /// Commits events and checkpoints, however long that takes; false when a checkpoint stands elsewhere.
    pub(crate) async fn persist(&self, events: &[Event], steps: &[Move]) -> Result<bool, Stopped<CommitError>> {
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
            checkpoints::advance(&transaction, &self.log, self.generation, steps, events),
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
            ApplyError::Superseded => Self::Superseded,
            ApplyError::Senseless(reason) => Self::Event(reason),
        }
    }
}
