//! Starts a writer and runs its three stages.

use std::sync::Arc;
use std::time::Duration;

use millrace_runtime::kafka::{Inbox, TopicRole, gathering_consumer_config};
use millrace_runtime::{Health, NeededTopic, ServiceError, Settings, Shutdown, Startup, Stopped, count_retry};
use millrace_schemas::{LogDefinition, LogName, Topic};
use millrace_store::{Log, StoreError};
use rdkafka::ClientConfig;
use tokio::sync::mpsc;

use crate::acknowledge::Acknowledger;
use crate::append::{APPEND, Appends};
use crate::cache::Cache;
use crate::commit::Committer;
use crate::definition::{Applied, Definitions, LogSchemas, Ready};
use crate::definition_watch::{DefinitionWatch, Preparation, watch_for_another};
use crate::described::Successor;
use crate::error::Ended;
use crate::ingest::{Ingest, Next};
use crate::progress::{KnownOffsets, Progress};
use crate::read::{ReadBatch, Reader};
use crate::schemas::Schemas;
use crate::starts::start_offsets;
use crate::waiting::Waiting;
use crate::{Described, Domain, WriterError, metrics};

/// Connections to Postgres: one appends; the other is there when the first turns out to be dead.
const CONNECTIONS: usize = 2;
/// Most batches between two stages. When there are as many, the earlier stage waits.
const WAITING: usize = 2;
/// How long a writer whose rules lack an event leaves its partitions to others. They need less to take them over.
const AWAY: Duration = Duration::from_secs(5);

/// Runs a writer with the rules of a domain until shutdown.
///
/// # Errors
/// When a setting is wrong, the log or a schema is missing, or something breaks that does not mend by itself. While
/// Postgres, Kafka or the registry does not answer, or the log has events that the rules lack, the writer waits.
pub async fn run<D: Domain>(
    domain: Arc<D>,
    settings: &Settings,
    health: Health,
    shutdown: Shutdown,
) -> Result<(), WriterError> {
    let service = Service::open(settings, health, shutdown).await;
    let ran = match service {
        Ok(service) => service.run_until_known(&domain).await,
        Err(stopped) => Err(stopped),
    };
    ran.or_else(Stopped::as_result)
}

/// Runs a writer until shutdown with the definition that was applied to the log (`millrace log apply`). When another one
/// is applied, the writer goes on with that one.
///
/// # Errors
/// As [`run`]; also when no definition was applied.
pub async fn run_described(settings: &Settings, health: Health, shutdown: Shutdown) -> Result<(), WriterError> {
    let service = Service::open(settings, health, shutdown).await;
    let ran = match service {
        Ok(service) => again_after_losses(async || service.run_described().await).await,
        Err(stopped) => Err(stopped),
    };
    ran.or_else(Stopped::as_result)
}

/// Runs a writer; where Postgres has lost commits, runs it anew. It then goes on where Postgres is, and so reads the
/// commands again whose commits were lost.
async fn again_after_losses(run: impl AsyncFn() -> Result<(), Ended>) -> Result<(), Ended> {
    loop {
        match run().await {
            Err(Stopped::Failed(WriterError::LostCommits)) => {
                tracing::warn!("beginning anew, to read the commands again whose commits Postgres has lost");
            }
            ended => return ended,
        }
    }
}

/// A writer of a log that is open.
struct Service {
    startup: Startup,
    definitions: Definitions,
}

impl Service {
    async fn open(settings: &Settings, health: Health, shutdown: Shutdown) -> Result<Self, Ended> {
        metrics::declare();
        let startup = Startup::new(settings, health, shutdown).map_err(WriterError::from)?;
        let pool = startup.pool(CONNECTIONS).map_err(WriterError::from)?;
        let registry = startup.registry().map_err(WriterError::from)?;
        let open = async || Log::open(&pool.get().await?, startup.log.clone()).await;
        let log = startup.retry("open the log", StoreError::is_transient, open).await.map_err(Stopped::into_other)?;
        Ok(Self { startup, definitions: Definitions { pool, log, registry } })
    }

    /// Runs a writer with the rules of a domain. Where the log has an event that these rules lack, a newer writer has put
    /// it there, as during a rolling deployment: this one leaves its partitions to others and comes back. While no newer
    /// writer is there, the commands wait.
    async fn run_until_known<D: Domain>(&self, domain: &Arc<D>) -> Result<(), Ended> {
        let Startup { health, shutdown, .. } = &self.startup;
        loop {
            let ran = again_after_losses(async || self.run(domain.clone()).await).await;
            let Err(Stopped::Failed(WriterError::Store(error @ StoreError::UnknownEvent(_)))) = ran else { return ran };
            count_retry("know every event of the log");
            tracing::warn!(
                %error,
                seconds = AWAY.as_secs(),
                "leaving the partitions to newer writers, and coming back: is a deployment under way?"
            );
            let _trouble = health.trouble();
            tokio::select! {
                () = tokio::time::sleep(AWAY) => health.beat(),
                () = shutdown.cancelled() => return Err(Stopped::Shutdown),
            }
        }
    }

    async fn run<D: Domain>(&self, domain: Arc<D>) -> Result<(), Ended> {
        let schemas = self.schemas(domain.definition()).await?;
        self.check_topics().await?;
        let mut stages = self.join()?;
        let ran = stages.run(&domain, schemas, &mut Cache::new(domain.clone()), None).await;
        stages.ingest.inbox.close().await;
        ran.map(|_| ())
    }

    async fn run_described(&self) -> Result<(), Ended> {
        let mut ready = self.make_ready(self.newest().await?).await?;
        self.check_topics().await?;
        let mut stages = self.join()?;
        let (mut declared, mut without_rules) = (None, None);
        let ran = loop {
            let Ready { applied: Applied { number, domain }, schemas } = ready;
            let ran = match domain {
                Described::Declared(domain) => {
                    without_rules = None; // a log with rules keeps them
                    stages.run_applied(domain, number, schemas, &mut declared).await
                }
                Described::Append(domain) => stages.run_applied(domain, number, schemas, &mut without_rules).await,
            };
            ready = match ran {
                Ok(Next::Definition(next)) => *next,
                // another writer has taken up a newer definition already
                Err(Stopped::Failed(WriterError::Store(StoreError::UnknownEvent(event)))) => {
                    let newest = self.newest().await?;
                    if newest.number == number {
                        break Err(WriterError::Store(StoreError::UnknownEvent(event)).into());
                    }
                    tracing::warn!(
                        event,
                        next = newest.number,
                        "the log has an event of the next definition: leaving the partitions to other writers until \
                         this one has taken it up"
                    );
                    // what was read and not committed has to be read again, by others until this writer is back
                    stages.ingest.inbox.close().await;
                    let next = self.make_ready(newest).await?;
                    stages = self.join()?;
                    next
                }
                ran => break ran.map(|_| ()),
            };
            let definition = ready.applied.number;
            tracing::info!(definition, "another definition was applied to the log: going on with it");
        };
        stages.ingest.inbox.close().await;
        ran
    }

    /// The definition that was applied last.
    async fn newest(&self) -> Result<Applied, Ended> {
        let newest = async || self.definitions.newest().await;
        self.startup.retry("read the definition", WriterError::is_transient, newest).await
    }

    async fn make_ready(&self, applied: Applied) -> Result<Ready, Ended> {
        let schemas = self.schemas(applied.domain.definition()).await?;
        Ok(Ready { applied, schemas })
    }

    /// Finds a definition's schemas.
    async fn schemas(&self, definition: &LogDefinition) -> Result<LogSchemas, Ended> {
        let resolve = async || self.definitions.codec(definition).await;
        let codec = self.startup.retry("resolve schemas", WriterError::is_transient, resolve).await?;
        let number = async || self.definitions.numbers(&codec, definition).await;
        let (encoder, commands) = self.startup.retry("number schemas", WriterError::is_transient, number).await?;
        Ok(LogSchemas { codec, encoder, commands })
    }

    async fn check_topics(&self) -> Result<(), Ended> {
        self.startup.check_topics(&topics(&self.definitions.log)).await.map_err(Stopped::into_other)
    }

    /// Joins the group.
    fn join(&self) -> Result<Stages<'_>, Ended> {
        let Startup { settings, log: name, health, shutdown } = &self.startup;
        let group = self.startup.group(LogName::writer_group);
        let linger = Duration::from_millis(settings.batch_linger_ms);
        let config = gathering_consumer_config(settings, &group, linger).map_err(service)?;
        let known = KnownOffsets::default();
        let starts = start_offsets(&self.definitions.pool, &self.definitions.log, known.clone());
        let inbox = Inbox::join_from(&config, &name.commands_topic(), metrics::ASSIGNED.clone(), Some(starts));
        let inbox = inbox.map_err(service)?;
        let waiting = Waiting::new(inbox.offsets(), health.clone());
        let producer = self.startup.producer().map_err(service)?;
        let ingest = Ingest { settings, inbox, waiting, arrived: Vec::new(), health: health.clone(), shutdown };
        tracing::info!(log = %name, group, "writing");
        Ok(Stages { service: self, group, producer, ingest, progress: Progress::new(known) })
    }
}

/// The three stages of a writer that is a member of its group.
struct Stages<'a> {
    service: &'a Service,
    group: String,
    producer: ClientConfig,
    ingest: Ingest<'a>,
    progress: Progress,
}

impl Stages<'_> {
    /// Runs the stages with a definition that was applied to the log, until another one is ready. `kept` are the states
    /// that an earlier one has left in memory.
    async fn run_applied<D: Successor>(
        &mut self,
        domain: D,
        number: i32,
        schemas: LogSchemas,
        kept: &mut Option<Cache<D>>,
    ) -> Result<Next, Ended> {
        let domain = Arc::new(domain);
        let mut cache = Cache::after(kept.take(), domain.clone());
        let watch = watch_for_another(self.service.definitions.clone(), number);
        let next = self.run(&domain, schemas, &mut cache, Some(watch)).await?;
        *kept = Some(cache);
        Ok(next)
    }

    /// Runs the stages with one definition of the log. They run in one task: while Postgres commits one batch, the first
    /// stage reads the next one and the third sends the outcomes of the last. Each stage ends after the one before it, so
    /// the batches already read still get committed, and their outcomes sent.
    async fn run<D: Domain>(
        &mut self,
        domain: &Arc<D>,
        LogSchemas { codec, encoder, commands }: LogSchemas,
        cache: &mut Cache<D>,
        watch: Option<(DefinitionWatch, Preparation)>,
    ) -> Result<Next, Ended> {
        let Service { startup, definitions: Definitions { pool, log, .. } } = self.service;
        let Startup { settings, health, shutdown, .. } = startup;
        let encoder = Arc::new(encoder);
        let offsets = self.ingest.inbox.offsets();
        let acknowledger = Acknowledger {
            config: self.producer.clone(),
            log: log.name(),
            group: &self.group,
            schema: encoder.outcome.schema,
            partitions: i32::try_from(log.partitions()).unwrap_or(i32::MAX),
            offsets: offsets.clone(),
            health: health.for_another_loop(),
            shutdown,
        };
        let mut committer = Committer {
            domain: domain.clone(),
            log,
            pool,
            encoder: &encoder,
            health: health.for_another_loop(),
            shutdown,
            cache,
            contended: false,
            offsets,
            progress: &mut self.progress,
        };
        let append = codec.newest(Topic::Commands, APPEND).ok();
        let appends = append.map(|schema| Appends {
            schema,
            encoder: encoder.clone(),
            stream_types: domain.definition().stream_types.clone(),
            max_events: settings.max_append_events,
        });
        let schemas = Schemas::new(Arc::new(codec), health, shutdown);
        let (domain, max_bytes) = (domain.clone(), settings.max_command_bytes);
        let own_source = log.name().source();
        let mut reader = Reader { domain, schemas, appends, own_source, max_bytes, known: commands, new_id: None };
        health.set_started();

        let (read, to_commit) = mpsc::channel(WAITING);
        let (committed, to_tell) = mpsc::channel(WAITING);
        let (ingested, committed, told) = tokio::join!(
            watched(&mut self.ingest, &mut reader, watch, read),
            committer.run(to_commit, committed),
            acknowledger.run(to_tell)
        );
        let next = ingested?;
        committed.and(told).map(|()| next)
    }
}

/// Runs the first stage; beside it, the next definition is made ready.
async fn watched<D: Domain>(
    ingest: &mut Ingest<'_>,
    reader: &mut Reader<D>,
    watch: Option<(DefinitionWatch, Preparation)>,
    batches: mpsc::Sender<ReadBatch<D::Command>>,
) -> Result<Next, Ended> {
    let Some((mut watch, preparation)) = watch else { return ingest.run(reader, None, batches).await };
    tokio::select! {
        ended = ingest.run(reader, Some(&mut watch), batches) => ended,
        never = preparation.run() => match never {},
    }
}

fn topics(log: &Log) -> [NeededTopic; 3] {
    let name = log.name();
    let any = |name, role| NeededTopic { name, role, partitions: None };
    let outcomes = any(name.outcomes_topic(), TopicRole::Outcomes);
    [
        any(name.commands_topic(), TopicRole::Commands),
        NeededTopic { partitions: Some(log.partitions()), ..outcomes },
        any(name.dead_letters_topic(), TopicRole::DeadLetters),
    ]
}

fn service(error: impl Into<ServiceError>) -> WriterError {
    WriterError::Service(error.into())
}
