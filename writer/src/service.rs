//! The writer's loop.

use std::time::Duration;

use deadpool_postgres::Pool;
use millrace_runtime::kafka::{Inbox, Record, consumer_config};
use millrace_runtime::{Health, Settings, Shutdown, Stopped, postgres, retry};
use millrace_schemas::{Codec, LogName, Registry, RegistryError};
use millrace_store::{Log, StoreError};
use tokio::sync::mpsc;

use crate::acknowledge::{Acknowledger, Committed};
use crate::command::{Command, Unreadable};
use crate::commit::Committer;
use crate::error::{Ended, ended};
use crate::metrics::COMMANDS;
use crate::outgoing::{OutcomeRecord, dead_lettered};
use crate::read::{ReadError, read};
use crate::states::States;
use crate::{Domain, WriterError};

/// Connections to Postgres: one appends; another stands by when one is found dead.
const CONNECTIONS: usize = 2;
/// Batches committed and not yet told; more than that, and committing waits.
const UNTOLD: usize = 4;
/// How often an idle writer shows that it is alive.
const IDLE_BEAT: Duration = Duration::from_secs(1);

/// Runs a writer of the domain until shutdown.
///
/// # Errors
/// When a setting is wrong, the log or a schema is missing, or something breaks that does not mend by itself. What
/// passes (Postgres, Kafka or the registry away) is waited for.
pub async fn run<D: Domain>(settings: &Settings, health: Health, shutdown: Shutdown) -> Result<(), WriterError> {
    let name: LogName = settings.log.parse()?;
    let pool = postgres::pool(settings.postgres_url()?, name.as_str(), CONNECTIONS)?;
    let registry = Registry::new(settings.registry_url()?)?;
    let group = settings.group.clone().unwrap_or_else(|| format!("{name}.writer"));
    match serve::<D>(settings, &name, &pool, registry, &group, &health, &shutdown).await {
        Ok(()) | Err(Stopped::Shutdown) => Ok(()),
        Err(Stopped::Failed(error)) => Err(error),
    }
}

async fn serve<D: Domain>(
    settings: &Settings,
    name: &LogName,
    pool: &Pool,
    registry: Registry,
    group: &str,
    health: &Health,
    shutdown: &Shutdown,
) -> Result<(), Ended> {
    let open = async || Log::open(&pool.get().await?, name.clone()).await;
    let log = retry(health, shutdown, "open the log", StoreError::is_transient, open).await.map_err(ended)?;
    let connect = async || Codec::connect(registry.clone(), name, D::contract()).await;
    let codec =
        retry(health, shutdown, "resolve schemas", RegistryError::is_transient, connect).await.map_err(ended)?;

    let config = consumer_config(settings, group).map_err(WriterError::from)?;
    let inbox = Inbox::join(&config, &name.commands_topic()).map_err(WriterError::from)?;
    let acknowledger = Acknowledger::new(settings, name, group, inbox.offsets(), health.clone(), shutdown.clone())?;
    let (untold, batches) = mpsc::channel(UNTOLD);
    health.set_ready(true);
    tracing::info!(log = %name, group, "writing");

    let committer = Committer { log: &log, pool, codec: &codec, health, shutdown, states: States::new() };
    let mut writer = Writer::<D> { settings, name, codec: &codec, committer, inbox };
    // One task does both: telling one batch goes on while the next waits for Postgres.
    let (written, told) = tokio::join!(writer.run(untold, health, shutdown), acknowledger.run(batches));
    writer.inbox.close().await;
    written.and(told)
}

struct Writer<'a, D: Domain> {
    settings: &'a Settings,
    name: &'a LogName,
    codec: &'a Codec,
    committer: Committer<'a, D>,
    inbox: Inbox,
}

impl<D: Domain> Writer<'_, D> {
    async fn run(
        &mut self,
        untold: mpsc::Sender<Committed>,
        health: &Health,
        shutdown: &Shutdown,
    ) -> Result<(), Ended> {
        let linger = Duration::from_millis(self.settings.batch_linger_ms);
        loop {
            health.beat();
            let mut records = Vec::new();
            tokio::select! {
                received = self.inbox.next_batch(&mut records, self.settings.batch_commands, linger) => {
                    received.map_err(WriterError::from)?;
                }
                () = tokio::time::sleep(IDLE_BEAT), if records.is_empty() => continue,
                () = untold.closed() => return Ok(()), // the acknowledger has ended: its result says why
                () = shutdown.cancelled() => return Ok(()),
            }
            let batch = self.batch(records).await?;
            if untold.send(batch).await.is_err() {
                return Ok(());
            }
        }
    }

    async fn batch(&mut self, records: Vec<Record>) -> Result<Committed, Ended> {
        let (commands, unreadable) = self.read(&records).await?;
        let committed = self.committer.commit(&commands).await?;
        let mut outcomes = Vec::with_capacity(records.len());
        for command in &commands {
            if let Some(outcome) = committed.get(&command.id) {
                outcomes.push(self.outcome_record(outcome, &command.metadata)?);
            }
        }
        for (_, unreadable) in &unreadable {
            COMMANDS.with_label_values(&[Unreadable::OUTCOME.as_str()]).inc();
            if let Some(id) = &unreadable.command_id {
                outcomes.push(self.outcome_record(&dead_lettered(id, unreadable), &Default::default())?);
            }
        }
        Ok(Committed { records, unreadable, outcomes })
    }

    async fn read(&self, records: &[Record]) -> Result<(Vec<Command<D::Command>>, Vec<(usize, Unreadable)>), Ended> {
        let mut commands = Vec::with_capacity(records.len());
        let mut unreadable = Vec::new();
        let (health, shutdown) = (self.committer.health, self.committer.shutdown);
        for (index, record) in records.iter().enumerate() {
            let attempt = async || read::<D>(self.codec, record, self.settings.max_command_bytes).await;
            match retry(health, shutdown, "read a command", ReadError::is_transient, attempt).await {
                Ok(command) => commands.push(command),
                Err(Stopped::Failed(ReadError::Unreadable(reason))) => unreadable.push((index, reason)),
                Err(Stopped::Failed(ReadError::Transient(error))) => return Err(WriterError::Registry(error).into()),
                Err(Stopped::Shutdown) => return Err(Ended::Shutdown),
            }
        }
        Ok((commands, unreadable))
    }

    fn outcome_record(
        &self,
        outcome: &millrace_schemas::Outcome,
        metadata: &millrace_schemas::Metadata,
    ) -> Result<OutcomeRecord, WriterError> {
        Ok(OutcomeRecord::new(self.codec, self.name, outcome, metadata)?)
    }
}
