//! The command line.

mod events_arguments;
mod log_arguments;
mod projector_arguments;
mod projectors_arguments;
mod rebuild_arguments;
mod settings_arguments;
mod stack_arguments;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use millrace_runtime::Overrides;

use crate::apart::ProgramArguments;
use crate::output::Output;

pub use events_arguments::EventsArguments;
pub use log_arguments::{ApplyArguments, DropArguments, LogAction};
pub use projector_arguments::{ProjectorAction, ProjectorArguments};
pub use projectors_arguments::{DropReadModelArguments, ProjectorsAction, ResetArguments};
pub use rebuild_arguments::{ExplainArguments, RebuildArguments};
pub use settings_arguments::SettingsArguments;
pub use stack_arguments::{FolderArguments, PortArguments, StackArguments, UpArguments};

/// An event-sourced pipeline on Kafka and Postgres.
///
/// Settings: defaults < file (--config) < environment (MILLRACE_...) < flags.
/// Exit codes: 0 done; 1 the answer is no (a command refused or not found, an audit or a demo that found a difference,
/// a benchmark below its gate); 2 wrong usage or settings, also an invalid name, id or address; 3 something failed,
/// such as a server that does not answer.
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
    /// Start the local stack: Postgres, Kafka, the registry, and the services. Starts only those that do not run.
    Up(UpArguments),
    /// Stop what `up` started.
    Down(StackArguments),
    /// Print the stack's addresses as shell exports: eval "$(millrace env)".
    Env(StackArguments),
    /// Show the pipeline on the transactions of a real bank: start a new stack, load them, and audit the result.
    Demo(ProgramArguments),
    /// Measure the pipeline, and beside it what the same servers do without Millrace.
    Bench(ProgramArguments),
    /// Run a writer: commands in, events into Postgres.
    Writer(ServiceArguments),
    /// Run a relay: events from Postgres to Kafka.
    Relay(ServiceArguments),
    /// Run a projector: events from Kafka into a read model. Apply and check projectors that a folder describes in SQL.
    Projector(ProjectorArguments),
    /// Look at projectors, pause and resume them, and empty or delete their read models.
    Projectors {
        #[command(subcommand)]
        action: ProjectorsAction,
    },
    /// Build a read model anew beside the live one, compare the two, and have readers see the new one.
    Rebuild(RebuildArguments),
    /// Print the events that made a row of a read model, by replaying the log.
    Explain(ExplainArguments),
    /// Run the monitor: metrics on how far behind every stage is and how large the log is.
    Monitor(MonitorArguments),
    /// Create logs from folders that describe them, and look at the logs of the database.
    Log {
        #[command(subcommand)]
        action: LogAction,
    },
    /// Create the log's tables and topics and the read models' tables, or bring them up to date.
    Migrate,
    /// Check or register the log's schemas in the registry.
    Schemas {
        #[command(subcommand)]
        action: SchemasAction,
    },
    /// Send a command, or a file of commands.
    Send(SendArguments),
    /// Print events of the event topic as they come, until ctrl-c.
    Tail(TailArguments),
    /// Print the events of the log from Postgres, the oldest first.
    Events(EventsArguments),
    /// Print the outcome of a command.
    Outcome {
        /// The command's id.
        id: String,
    },
    /// Wait until a read model shows a write.
    Wait(WaitArguments),
    /// Look at streams of the log.
    Stream {
        #[command(subcommand)]
        action: StreamAction,
    },
    /// Find accounts and entries by words, also by beginnings of words and with typos.
    Search {
        /// Words, in any order.
        query: String,
        /// Most hits.
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// Print how far behind writers, relays and projectors are; exact also when they are down.
    Lag(LagArguments),
    /// Look at input that no writer could read.
    DeadLetters {
        #[command(subcommand)]
        action: DeadLettersAction,
    },
    /// Prove that Postgres, topic and read models hold the same history.
    Audit(AuditArguments),
}

impl Command {
    /// Whether the command runs until somebody stops it. Such a command gets one thread, and logs its errors.
    pub fn is_service(&self) -> bool {
        match self {
            Self::Writer(_) | Self::Relay(_) | Self::Monitor(_) => true,
            Self::Projector(arguments) => arguments.is_service(),
            _ => false,
        }
    }
}

#[derive(Debug, Args)]
pub struct ServiceArguments {
    /// Consumer group, instead of the usual one.
    #[arg(long, value_name = "NAME")]
    pub group: Option<String>,
    /// Where /metrics, /livez and /readyz are served, such as 127.0.0.1:9464.
    #[arg(long, value_name = "ADDRESS")]
    pub http_address: Option<SocketAddr>,
}

impl From<ServiceArguments> for Overrides {
    fn from(arguments: ServiceArguments) -> Self {
        Self { group: arguments.group, http_address: arguments.http_address, ..Self::default() }
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
    /// Also print each partition of each stage.
    #[arg(long)]
    pub partitions: bool,
    /// Look again and again until ctrl-c. On a terminal, shows the stages and the partitions that are behind;
    /// elsewhere, prints a line each time.
    #[arg(long)]
    pub watch: bool,
    /// Seconds between two looks, 0.1 to 3600; rate and ETA are computed over this time.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = interval)]
    pub interval: f64,
}

fn interval(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.1..=3600.0).contains(seconds));
    seconds.ok_or_else(|| "it must be a number of seconds from 0.1 to 3600".to_owned())
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub enum SchemasAction {
    /// Print which of this version's schemas are registered.
    Check,
    /// Register all of this version's schemas, each with FULL_TRANSITIVE compatibility.
    Register,
}

#[derive(Debug, Args)]
pub struct SendArguments {
    /// The command's record name, such as PostEntrySet.
    #[arg(required_unless_present = "file", requires = "fields")]
    pub name: Option<String>,
    /// The command's fields, as a JSON object.
    pub fields: Option<String>,
    /// A file of commands, one JSON object a line: {"id": …, "type": …, "data": {…}}; - for standard input. Does not
    /// wait for the outcomes.
    #[arg(long, conflicts_with_all = ["name", "fields", "id", "expected_version"], value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Send the file's commands at most at this rate, commands a second.
    // clap accepts a missing `file` when something that conflicts with it is given, so `rate` has the same conflicts
    #[arg(long, requires = "file", conflicts_with_all = ["name", "fields", "id", "expected_version"], value_name = "N")]
    pub rate: Option<NonZeroU32>,
    /// The command's id. A command sent again with the same id takes effect once [default: a new id].
    #[arg(long)]
    pub id: Option<String>,
    /// The version that the command's first stream must have: a number, any, no-stream or stream-exists.
    #[arg(long, value_name = "VERSION")]
    pub expected_version: Option<String>,
    /// The user on whose behalf you send the command; its events keep the id.
    #[arg(long, value_name = "ID")]
    pub user: Option<String>,
    /// Do not wait for the outcome.
    #[arg(long)]
    pub no_wait: bool,
    /// Wait until the read models of these projectors show what the command did, too; several joined by commas.
    #[arg(long, conflicts_with_all = ["no_wait", "file"], value_delimiter = ',', value_name = "PROJECTOR")]
    pub wait_for: Vec<String>,
}

#[derive(Debug, Args)]
pub struct WaitArguments {
    /// The token of an outcome, such as orders/3@17; several joined by commas.
    pub token: String,
    /// The projector whose read model is to show the write.
    #[arg(long, value_name = "NAME")]
    pub projector: String,
    /// How long to wait at most, seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub timeout: u32,
}

#[derive(Debug, Args)]
pub struct TailArguments {
    /// Begin with the first events that the topic has, instead of the events that come from now on.
    #[arg(long)]
    pub from_beginning: bool,
    /// End after so many events.
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
}

#[derive(Debug, Subcommand)]
pub enum StreamAction {
    /// Print a stream's events: what happened, when, and on whose behalf.
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
    /// Print where each dead letter came from, and why no writer could read it.
    List,
}

#[derive(Debug, Args)]
pub struct AuditArguments {
    /// How long to wait, in seconds, until topic and read models have every event that Postgres has now.
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
