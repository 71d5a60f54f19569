//! The kinds of log that a binary brings along.

use std::sync::Arc;

use anyhow::bail;
use futures::future::LocalBoxFuture;
use millrace_projector_runner::Projector;
use millrace_runtime::{Health, Settings, Shutdown};
use millrace_schemas::{LogDefinition, Received, StreamId};
use millrace_writer::{Domain, WriterError};

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

/// What the command line asks of a domain, whatever its types are.
trait Rules: Send + Sync {
    fn definition(&self) -> &LogDefinition;

    fn write(
        &self,
        settings: Settings,
        health: Health,
        shutdown: Shutdown,
    ) -> LocalBoxFuture<'static, Result<(), WriterError>>;

    fn first_stream(&self, received: &Received<'_>) -> Option<StreamId>;
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
        let command = self.read_command(received)?.ok()?;
        self.streams(&command).ok()?.into_iter().next()
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

    /// The definition for the log in the settings: the one with its name, or the only one.
    ///
    /// # Errors
    /// When the binary has several definitions, and none with that name.
    pub fn of(&self, settings: &Settings) -> anyhow::Result<&Log> {
        match (&self.0[..], self.0.iter().find(|log| log.definition().name == settings.log)) {
            (_, Some(log)) => Ok(log),
            ([only], None) => Ok(only),
            (all, None) => {
                let names: Vec<&str> = all.iter().map(|log| &*log.definition().name).collect();
                let (log, names) = (&settings.log, names.join(", "));
                bail!(Usage(format!("this program has no log definition {log}; it has {names}")))
            }
        }
    }
}
