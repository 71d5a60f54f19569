//! The kinds of log that a binary brings along.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::anyhow;
use deadpool_postgres::Object;
use futures::future::LocalBoxFuture;
use millrace_projector_runner::Projector;
use millrace_runtime::{Health, Settings, Shutdown, Startup, Stopped, postgres};
use millrace_schemas::{LogDefinition, LogName, Received, StreamId};
use millrace_sql_projector::StreamTypes;
use millrace_store::{StoreError, StoredDefinition};
use millrace_writer::{Described, Domain, WriterError};

use crate::exit::Usage;

/// A kind of log that a binary brings along: the schemas of its records, its rules, and its read models.
///
/// ```no_run
/// use millrace::Log;
/// use millrace_domains::ledger::Ledger;
///
/// fn main() -> std::process::ExitCode {
///     millrace::main([Log::new(Ledger).with_projectors(millrace_projectors::all)])
/// }
/// ```
#[derive(Clone)]
pub struct Log {
    rules: Arc<dyn Rules>,
    projectors: fn() -> Vec<Box<dyn Projector>>,
}

/// What the command line asks of a log's rules, whatever their types are.
trait Rules: Send + Sync {
    fn definition(&self) -> &LogDefinition;

    fn write(
        &self,
        settings: Settings,
        health: Health,
        shutdown: Shutdown,
    ) -> LocalBoxFuture<'static, Result<(), WriterError>>;

    /// The first stream of a command; `None` when the command breaks a rule.
    fn first_stream(&self, received: &Received<'_>) -> Option<StreamId>;

    /// By event, the types of the streams that it comes to; rules in Rust don't say it.
    fn stream_types_of_events(&self) -> BTreeMap<String, Vec<String>> {
        BTreeMap::new()
    }
}

impl<D: Domain> Rules for Arc<D> {
    fn definition(&self) -> &LogDefinition {
        D::definition(self)
    }

    fn write(
        &self,
        settings: Settings,
        health: Health,
        shutdown: Shutdown,
    ) -> LocalBoxFuture<'static, Result<(), WriterError>> {
        let domain = self.clone();
        Box::pin(async move { millrace_writer::run(domain, &settings, health, shutdown).await })
    }

    fn first_stream(&self, received: &Received<'_>) -> Option<StreamId> {
        first_stream(&**self, received)
    }
}

fn first_stream<D: Domain>(domain: &D, received: &Received<'_>) -> Option<StreamId> {
    let command = domain.read_command(received)?.ok()?;
    domain.streams(&command).ok()?.into_iter().next()
}

impl Rules for Described {
    fn definition(&self) -> &LogDefinition {
        Self::definition(self)
    }

    fn write(
        &self,
        settings: Settings,
        health: Health,
        shutdown: Shutdown,
    ) -> LocalBoxFuture<'static, Result<(), WriterError>> {
        Box::pin(async move { millrace_writer::run_described(&settings, health, shutdown).await })
    }

    fn first_stream(&self, received: &Received<'_>) -> Option<StreamId> {
        match self {
            Self::Declared(domain) => first_stream(domain, received),
            Self::Append(_) => None,
        }
    }

    fn stream_types_of_events(&self) -> BTreeMap<String, Vec<String>> {
        match self {
            Self::Declared(domain) => domain.stream_types_of_events(),
            Self::Append(_) => BTreeMap::new(),
        }
    }
}

impl Log {
    /// A log with these rules and without read models: see [`Log::with_projectors`].
    pub fn new(domain: impl Domain) -> Self {
        Self { rules: Arc::new(Arc::new(domain)), projectors: Vec::new }
    }

    /// The same log with these read models.
    #[must_use]
    pub fn with_projectors(self, projectors: fn() -> Vec<Box<dyn Projector>>) -> Self {
        Self { projectors, ..self }
    }

    /// The schemas of the log's records.
    pub fn definition(&self) -> &LogDefinition {
        self.rules.definition()
    }

    /// The types of the log's streams, and which events belong to which.
    pub(crate) fn stream_types(&self) -> StreamTypes {
        StreamTypes { all: self.definition().stream_types.clone(), of_events: self.rules.stream_types_of_events() }
    }

    /// New projectors for the log's read models.
    pub fn projectors(&self) -> Vec<Box<dyn Projector>> {
        (self.projectors)()
    }

    /// Runs a writer until shutdown.
    pub(crate) async fn write(
        &self,
        settings: Settings,
        health: Health,
        shutdown: Shutdown,
    ) -> Result<(), WriterError> {
        self.rules.write(settings, health, shutdown).await
    }

    /// The first stream of a command, whose id is the record's key; `None` when the command breaks a rule.
    pub(crate) fn first_stream(&self, received: &Received<'_>) -> Option<StreamId> {
        self.rules.first_stream(received)
    }
}

/// All logs of a binary.
#[derive(Clone)]
pub struct Logs(Arc<[Log]>);

impl Logs {
    /// A set of logs; their definitions must differ in name.
    pub fn new(logs: impl IntoIterator<Item = Log>) -> Self {
        Self(logs.into_iter().collect())
    }

    /// The log in the settings by the definition of this program: the one with its name, or the only one.
    ///
    /// # Errors
    /// When the program has several definitions, and none with that name.
    pub fn built_in(&self, settings: &Settings) -> anyhow::Result<Log> {
        match (self.named(&settings.log), &self.0[..]) {
            (Some(log), _) | (None, [log]) => Ok(log.clone()),
            (None, _) => Err(self.unknown(&settings.log)),
        }
    }

    /// The log in the settings, by the definition that was applied to it or the one of this program that it was created
    /// from. Asks Postgres, unless this program has a definition of that very name.
    ///
    /// # Errors
    /// When the log does not exist, Postgres does not answer, or this program does not have the log's definition.
    pub async fn find(&self, settings: &Settings) -> anyhow::Result<Log> {
        if let Some(log) = self.named(&settings.log) {
            return Ok(log.clone());
        }
        let url = settings.postgres_url()?;
        let pool = postgres::pool(url, &settings.log, 1)?;
        let log = StoredLog::read(&postgres::connect(&pool, url).await?, settings.log.parse()?).await?;
        self.choose(log)
    }

    /// The same for a service, which waits until Postgres answers.
    ///
    /// # Errors
    /// As [`Logs::find`].
    pub async fn wait_for(
        &self,
        settings: &Settings,
        health: &Health,
        shutdown: &Shutdown,
    ) -> Result<Log, Stopped<anyhow::Error>> {
        if let Some(log) = self.named(&settings.log) {
            return Ok(log.clone());
        }
        let failed = |error: anyhow::Error| Stopped::Failed(error);
        let startup = Startup::new(settings, health.clone(), shutdown.clone()).map_err(|e| failed(e.into()))?;
        let pool = startup.pool(1).map_err(|e| failed(e.into()))?;
        let read = async || StoredLog::read(&pool.get().await?, startup.log.clone()).await;
        let log = startup.retry("open the log", StoreError::is_transient, read).await.map_err(Stopped::into_other)?;
        self.choose(log).map_err(failed)
    }

    fn choose(&self, log: StoredLog) -> anyhow::Result<Log> {
        let Some(applied) = log.applied else {
            return self.named(&log.definition).cloned().ok_or_else(|| self.unknown(&log.definition));
        };
        let number = applied.number;
        let described = Described::from_files(applied.files);
        let described = described.map_err(|problems| {
            anyhow!(
                "this program can't read the log's definition {number}, which a newer one may have applied: {problems}"
            )
        })?;
        Ok(Log { rules: Arc::new(described), projectors: Vec::new })
    }

    /// The name of a log when nobody says one: that of the first definition.
    pub fn default_name(&self) -> Option<&str> {
        self.0.first().map(|log| &*log.definition().name)
    }

    /// Whether this program has a definition of that name.
    pub(crate) fn has(&self, definition: &str) -> bool {
        self.named(definition).is_some()
    }

    /// Whether this program has a projector of that name, of any log.
    pub(crate) fn has_projector(&self, name: &str) -> bool {
        self.0.iter().flat_map(Log::projectors).any(|projector| projector.name() == name)
    }

    fn named(&self, definition: &str) -> Option<&Log> {
        self.0.iter().find(|log| log.definition().name == definition)
    }

    fn unknown(&self, name: &str) -> anyhow::Error {
        let names: Vec<&str> = self.0.iter().map(|log| &*log.definition().name).collect();
        Usage(format!("this program has no log definition {name}; it has {}", names.join(", "))).into()
    }
}

/// What a log in Postgres says of its definition.
struct StoredLog {
    /// The name of the definition that it was created from.
    definition: String,
    /// The one that was applied last; `None` when its definition is part of a program.
    applied: Option<StoredDefinition>,
}

impl StoredLog {
    async fn read(client: &Object, name: LogName) -> Result<Self, StoreError> {
        let log = millrace_store::Log::open(client, name).await?;
        Ok(Self { definition: log.definition().to_owned(), applied: log.newest_definition(client).await? })
    }
}
