//! The command line.

mod settings_arguments;
mod stack_arguments;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use millrace_runtime::Overrides;

use crate::apart::ProgramArguments;
use crate::output::Output;

pub use settings_arguments::SettingsArguments;
pub use stack_arguments::{FolderArguments, PortArguments, StackArguments, UpArguments};

/// An event-sourced pipeline on Kafka and Postgres.
///
/// Settings: defaults < file (--config) < environment (MILLRACE_...) < flags.
/// Exit codes: 0 done; 1 the answer is no (a command refused or not found, an audit or a demo that does not agree, a
/// benchmark below its gate); 2 wrong usage or settings, also a name, an id or an address that is none; 3 something
/// failed, such as a server that does not answer.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 120)]
pub struct Cli {
    #[command(flatten)]
    pub settings: SettingsArguments,
    /// How results are printed on standard output.
    #[arg(long, global = true, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the local stack: Postgres, Kafka, the registry, and the services. Run it again to start what is missing.
    Up(UpArguments),
    /// Stop what `up` started.
    Down(StackArguments),
    /// Print the stack's addresses as shell exports: eval "$(millrace env)".
    Env(StackArguments),
    /// Show the pipeline on the transactions of a real bank, from nothing to an audited end.
    Demo(ProgramArguments),
    /// Measure the pipeline beside what the same servers do without Millrace in the way.
    Bench(ProgramArguments),
    /// Run a writer: commands in, events into Postgres.
    Writer(ServiceArguments),
    /// Run a relay: events from Postgres to Kafka.
    Relay(ServiceArguments),
    /// Run a projector: events from Kafka into a read model.
    Projector {
        /// Which: reporting or search.
        name: String,
        #[command(flatten)]
        service: ServiceArguments,
    },
    /// Run the monitor: how far behind every stage is, and how large the log, as metrics.
    Monitor(MonitorArguments),
    /// Create the log's tables and topics and the read models' tables, or bring them up to date.
    Migrate,
    /// The record schemas in the registry.
    Schemas {
        #[command(subcommand)]
        action: SchemasAction,
    },
    /// Send a command, or a file of them.
    Send(SendArguments),
    /// Print events of the event topic as they come, until ctrl-c.
    Tail(TailArguments),
    /// Tell what became of a command.
    Outcome {
        /// The command's id.
        id: String,
    },
    /// Streams of the log.
    Stream {
        #[command(subcommand)]
        action: StreamAction,
    },
    /// Find accounts and entries by words, beginnings of words, or nearly.
    Search {
        /// Words, in any order.
        query: String,
        /// Most hits.
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// Tell how far behind writers, relays and projectors are, by partition; exact also when they are down.
    Lag(LagArguments),
    /// Input that could not be read.
    DeadLetters {
        #[command(subcommand)]
        action: DeadLettersAction,
    },
    /// Prove that Postgres, topic and read models hold the same history.
    Audit(AuditArguments),
}

impl Command {
    /// Whether it runs until it is told to stop, and does one thing.
    pub fn is_service(&self) -> bool {
        matches!(self, Self::Writer(_) | Self::Relay(_) | Self::Projector { .. } | Self::Monitor(_))
    }
}

#[derive(Debug, Args)]
pub struct ServiceArguments {
    /// Consumer group, where it is not to be the usual one.
    #[arg(long, value_name = "NAME")]
    pub group: Option<String>,
    /// Where /metrics, /livez and /readyz are served, such as 127.0.0.1:9464.
    #[arg(long, value_name = "ADDRESS")]
    pub http_address: Option<SocketAddr>,
}

impl From<ServiceArguments> for Overrides {
    fn from(arguments: ServiceArguments) -> Self {
        Self { log: None, group: arguments.group, http_address: arguments.http_address }
    }
}

#[derive(Debug, Args)]
pub struct MonitorArguments {
    /// Where /metrics, /livez and /readyz are served, such as 127.0.0.1:9464.
    #[arg(long, value_name = "ADDRESS")]
    pub http_address: Option<SocketAddr>,
}

impl From<MonitorArguments> for ServiceArguments {
    fn from(arguments: MonitorArguments) -> Self {
        Self { group: None, http_address: arguments.http_address }
    }
}

#[derive(Debug, Args)]
pub struct LagArguments {
    /// Go on till ctrl-c: on a terminal the stages and what is behind, elsewhere a line a look.
    #[arg(long)]
    pub watch: bool,
    /// Seconds between two looks, from which rate and ETA are told, 0.1 to 3600.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = interval)]
    pub interval: f64,
}

fn interval(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.1..=3600.0).contains(seconds));
    seconds.ok_or_else(|| "it is a number of seconds from 0.1 to 3600".to_owned())
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub enum SchemasAction {
    /// Tell which schemas of this version are registered.
    Check,
    /// Register them all, each with FULL_TRANSITIVE compatibility.
    Register,
}

#[derive(Debug, Args)]
pub struct SendArguments {
    /// The command's record name, such as PostEntrySet.
    #[arg(required_unless_present = "file", requires = "fields")]
    pub name: Option<String>,
    /// Its fields, as a JSON object.
    pub fields: Option<String>,
    /// A file of commands, one JSON object a line: {"id": …, "type": …, "data": {…}}; - for standard input. Outcomes
    /// are not waited for.
    #[arg(long, conflicts_with_all = ["name", "fields", "id", "expected_version"], value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Send the file's commands at most at this rate, commands a second.
    // clap does not miss a flag that conflicts with a given one: so this one conflicts with them too
    #[arg(long, requires = "file", conflicts_with_all = ["name", "fields", "id", "expected_version"], value_name = "N")]
    pub rate: Option<NonZeroU32>,
    /// The command's id; sent again with the same id, it takes effect once [default: a new one].
    #[arg(long)]
    pub id: Option<String>,
    /// The version that the command's first stream must have: a number, any, no-stream or stream-exists.
    #[arg(long, value_name = "VERSION")]
    pub expected_version: Option<String>,
    /// Do not wait for the outcome.
    #[arg(long)]
    pub no_wait: bool,
}

#[derive(Debug, Args)]
pub struct TailArguments {
    /// Begin with the first events that the topic has, not with those that come from now on.
    #[arg(long)]
    pub from_beginning: bool,
    /// End after so many events.
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
}

#[derive(Debug, Subcommand)]
pub enum StreamAction {
    /// Print a stream's events.
    Show {
        /// The stream's id, such as account-42.
        id: String,
        /// Only up to this version.
        #[arg(long)]
        version: Option<i64>,
    },
}

#[derive(Debug, Subcommand)]
pub enum DeadLettersAction {
    /// Print where each came from and why it could not be read.
    List,
}

#[derive(Debug, Args)]
pub struct AuditArguments {
    /// How long to wait, in seconds, for topic and read models to reach what Postgres has when the audit begins.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    pub wait: u64,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_rate_is_for_files_only() {
        let parse = |arguments: &[&str]| Cli::try_parse_from([&["millrace", "send"], arguments].concat());
        assert!(parse(&["--file", "f", "--rate", "5"]).is_ok());
        assert!(parse(&["--rate", "5"]).is_err());
        assert!(parse(&["--rate", "5", "CloseAccount", "{}"]).is_err());
    }
}
