//! Starts a writer and runs its three stages.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Pool;
use millrace_runtime::kafka::{Inbox, TopicRole, gathering_consumer_config};
use millrace_runtime::{Health, NeededTopic, ServiceError, Settings, Shutdown, Startup, Stopped};
use millrace_schemas::{Codec, LogFolder, LogName, RegistryError, Topic};
use millrace_store::{Log, StoreError, StoredDefinition};
use rdkafka::ClientConfig;
use tokio::sync::mpsc;

use crate::acknowledge::Acknowledger;
use crate::append::{APPEND, Appends};
use crate::cache::Cache;
use crate::commit::Committer;
use crate::definition_watch::DefinitionWatch;
use crate::encoder::Encoder;
use crate::error::Ended;
use crate::ingest::{Ingest, Next};
use crate::no_rules::NoRules;
use crate::progress::Progress;
use crate::read::Reader;
use crate::schemas::Schemas;
use crate::starts::start_offsets;
use crate::waiting::Waiting;
use crate::{DeclaredDomain, Domain, WriterError, metrics};

/// Connections to Postgres: one appends; the other is there when the first turns out to be dead.
const CONNECTIONS: usize = 2;
/// Most batches between two stages. When there are as many, the earlier stage waits.
const WAITING: usize = 2;

/// Runs a writer with the rules of a domain until shutdown.
///
/// # Errors
/// When a setting is wrong, the log or a schema is missing, or something breaks that does not mend by itself. While
/// Postgres, Kafka or the registry does not answer, the writer waits.
pub async fn run<D: Domain>(
    domain: Arc<D>,
    settings: &Settings,
    health: Health,
    shutdown: Shutdown,
) -> Result<(), WriterError> {
    let service = Service::open(settings, health, shutdown).await;
    let ran = match service {
        Ok(service) => again_after_losses(async || service.run(domain.clone()).await).await,
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
    pool: Pool,
    log: Log,
}

impl Service {
    async fn open(settings: &Settings, health: Health, shutdown: Shutdown) -> Result<Self, Ended> {
        metrics::declare();
        let startup = Startup::new(settings, health, shutdown).map_err(WriterError::from)?;
        let pool = startup.pool(CONNECTIONS).map_err(WriterError::from)?;
        let open = async || Log::open(&pool.get().await?, startup.log.clone()).await;
        let log = startup.retry("open the log", StoreError::is_transient, open).await.map_err(Stopped::into_other)?;
        Ok(Self { startup, pool, log })
    }

    async fn run<D: Domain>(&self, domain: Arc<D>) -> Result<(), Ended> {
        let schemas = self.schemas(&*domain).await?;
        self.startup.check_topics(&topics(&self.log)).await.map_err(Stopped::into_other)?;
        let mut stages = self.join()?;
        let ran = stages.run(domain, schemas, None).await;
        stages.ingest.inbox.close().await;
        ran.map(|_| ())
    }

    async fn run_described(&self) -> Result<(), Ended> {
        let (mut folder, mut number) = self.definition().await?;
        self.startup.check_topics(&topics(&self.log)).await.map_err(Stopped::into_other)?;
        let mut stages = self.join()?;
        let ran = loop {
            let watch = DefinitionWatch::new(self.pool.clone(), self.log.clone(), number);
            let stream_types = folder.definition.stream_types.clone();
            let ran = match folder.files.remove(LogFolder::DOMAIN) {
                None => {
                    let domain = NoRules { definition: folder.definition };
                    self.run_with(domain, &mut stages, watch).await
                }
                Some(rules) => {
                    let file = format!("{}/{}", folder.name, LogFolder::DOMAIN);
                    match DeclaredDomain::parse(folder.definition, &stream_types, &file, &rules) {
                        Ok(domain) => self.run_with(domain, &mut stages, watch).await,
                        Err(problems) => Err(self.unreadable(number, problems.to_string()).into()),
                    }
                }
            };
            let used = number;
            match ran {
                Ok(Next::OtherDefinition) => (folder, number) = self.definition().await?,
                // another writer has a newer definition already
                Err(Stopped::Failed(WriterError::Store(StoreError::UnknownEvent(event)))) => {
                    (folder, number) = self.definition().await?;
                    if number == used {
                        break Err(WriterError::Store(StoreError::UnknownEvent(event)).into());
                    }
                    // what was read and not committed has to be read again
                    stages.ingest.inbox.close().await;
                    stages = self.join()?;
                }
                ran => break ran.map(|_| ()),
            }
            tracing::info!(definition = number, "another definition was applied to the log: going on with it");
        };
        stages.ingest.inbox.close().await;
        ran
    }

    /// The definition that was applied last, and its number.
    async fn definition(&self) -> Result<(LogFolder, i32), Ended> {
        let read = async || self.log.newest_definition(&self.pool.get().await?).await;
        let stored = self.startup.retry("read the definition", StoreError::is_transient, read).await;
        let stored = stored.map_err(Stopped::into_other)?;
        let StoredDefinition { number, files, .. } =
            stored.ok_or_else(|| WriterError::NoDefinition(self.log.name().to_string()))?;
        let folder = LogFolder::from_files(files).map_err(|problems| {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            self.unreadable(number, problems.join("; "))
        })?;
        Ok((folder, number))
    }

    fn unreadable(&self, number: i32, problems: String) -> WriterError {
        WriterError::Definition { log: self.log.name().to_string(), number, problems }
    }

    /// Runs the stages with one definition of the log.
    async fn run_with<D: Domain>(
        &self,
        domain: D,
        stages: &mut Stages<'_>,
        watch: DefinitionWatch,
    ) -> Result<Next, Ended> {
        let schemas = self.schemas(&domain).await?;
        stages.run(Arc::new(domain), schemas, Some(watch)).await
    }

    /// Joins the group.
    fn join(&self) -> Result<Stages<'_>, Ended> {
        let Startup { settings, log: name, health, shutdown } = &self.startup;
        let group = self.startup.group(LogName::writer_group);
        let linger = Duration::from_millis(settings.batch_linger_ms);
        let config = gathering_consumer_config(settings, &group, linger).map_err(service)?;
        let starts = start_offsets(&self.pool, &self.log);
        let inbox = Inbox::join_from(&config, &name.commands_topic(), metrics::ASSIGNED.clone(), Some(starts));
        let inbox = inbox.map_err(service)?;
        let waiting = Waiting::new(inbox.offsets(), health.clone());
        let producer = self.startup.producer().map_err(service)?;
        let ingest = Ingest { settings, inbox, waiting, arrived: Vec::new(), health: health.clone(), shutdown };
        tracing::info!(log = %name, group, "writing");
        Ok(Stages { service: self, group, producer, ingest, progress: Progress::default() })
    }

    /// Finds the domain's schemas in the registry, and their numbers in the log; makes the log's months meanwhile.
    async fn schemas<D: Domain>(&self, domain: &D) -> Result<(Codec, Encoder), Ended> {
        let Self { startup, pool, log } = self;
        let registry = startup.registry().map_err(WriterError::from)?;
        let connect = async || Codec::connect(registry.clone(), log.name(), domain.definition()).await;
        let codec = startup.retry("resolve schemas", RegistryError::is_transient, connect).await;
        let codec = codec.map_err(|stopped| stopped.into_other::<ServiceError>().into_other())?;
        let number = async || {
            let client = pool.get().await.map_err(StoreError::from)?;
            log.make_months(&client).await?;
            Encoder::new(&client, log, &codec, domain.definition()).await
        };
        let encoder = startup.retry("number schemas", WriterError::is_transient, number).await?;
        Ok((codec, encoder))
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
    /// Runs the stages with one definition of the log. They run in one task: while Postgres commits one batch, the first
    /// stage reads the next one and the third sends the outcomes of the last. Each stage ends after the one before it, so
    /// the batches already read still get committed, and their outcomes sent.
    async fn run<D: Domain>(
        &mut self,
        domain: Arc<D>,
        (codec, encoder): (Codec, Encoder),
        watch: Option<DefinitionWatch>,
    ) -> Result<Next, Ended> {
        let Service { startup, pool, log } = self.service;
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
            cache: Cache::new(domain.clone()),
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
        let max_bytes = settings.max_command_bytes;
        let mut reader = Reader { domain, schemas, appends, max_bytes, met: HashSet::new(), is_new: false };
        health.set_started();

        let (read, to_commit) = mpsc::channel(WAITING);
        let (committed, to_tell) = mpsc::channel(WAITING);
        let (ingested, committed, told) = tokio::join!(
            self.ingest.run(&mut reader, watch, read),
            committer.run(to_commit, committed),
            acknowledger.run(to_tell)
        );
        let next = ingested?;
        committed.and(told).map(|()| next)
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
