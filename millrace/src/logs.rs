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
///     millrace::main([Log::new::<Ledger>().with_projectors(millrace_projectors::all)])
/// }
/// ```
#[derive(Clone)]
pub struct Log {
    definition: &'static LogDefinition,
    write: fn(Settings, Health, Shutdown) -> LocalBoxFuture<'static, Result<(), WriterError>>,
    first_stream: fn(&Received<'_>) -> Option<StreamId>,
    projectors: fn() -> Vec<Box<dyn Projector>>,
}

impl Log {
    /// A log with the rules of `D` and without read models: see [`Log::with_projectors`].
    pub fn new<D: Domain>() -> Self {
        Self {
            definition: D::definition(),
            write: |settings, health, shutdown| {
                Box::pin(async move { millrace_writer::run::<D>(&settings, health, shutdown).await })
            },
            first_stream: first_stream::<D>,
            projectors: Vec::new,
        }
    }

    /// The same log with these read models.
    #[must_use]
    pub fn with_projectors(self, projectors: fn() -> Vec<Box<dyn Projector>>) -> Self {
        Self { projectors, ..self }
    }

    /// The schemas of the log's records.
    pub fn definition(&self) -> &'static LogDefinition {
        self.definition
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
        (self.write)(settings, health, shutdown).await
    }

    /// The first stream of a command, whose id is the record's key; `None` when the command breaks a rule.
    pub(crate) fn first_stream(&self, received: &Received<'_>) -> Option<StreamId> {
        (self.first_stream)(received)
    }
}

fn first_stream<D: Domain>(received: &Received<'_>) -> Option<StreamId> {
    let command = D::read_command(received)?.ok()?;
    D::streams(&command).ok()?.into_iter().next()
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
        match (&self.0[..], self.0.iter().find(|log| log.definition.name == settings.log)) {
            (_, Some(log)) => Ok(log),
            ([only], None) => Ok(only),
            (all, None) => {
                let names: Vec<&str> = all.iter().map(|log| log.definition.name).collect();
                let (log, names) = (&settings.log, names.join(", "));
                bail!(Usage(format!("this program has no log definition {log}; it has {names}")))
            }
        }
    }
}
