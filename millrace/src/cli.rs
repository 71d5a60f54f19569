//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use millrace_runtime::{Overrides, Settings, SettingsError};

use crate::output::Output;

/// An event-sourced pipeline on Kafka and Postgres.
///
/// Settings: defaults < file (--config) < environment (MILLRACE_...) < flags.
/// Exit codes: 0 done; 1 the answer is no (a command refused or not found, an audit or a demo that does not agree);
/// 2 wrong usage or settings; 3 something failed, such as a server that does not answer.
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

/// Where settings come from, beside the environment.
#[derive(Debug, Clone, Args)]
pub struct SettingsArguments {
    /// Settings file (TOML).
    #[arg(long, global = true, env = "MILLRACE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The log to work on [default: ledger].
    #[arg(long, global = true, value_name = "NAME")]
    pub log: Option<String>,
}

impl SettingsArguments {
    /// The settings, for a command that is no service.
    pub fn load(&self) -> Result<Settings, SettingsError> {
        self.load_with(Overrides::default())
    }

    /// The settings, with a service's flags over them.
    pub fn load_with(&self, flags: Overrides) -> Result<Settings, SettingsError> {
        Settings::load(self.config.as_deref(), &Overrides { log: self.log.clone(), ..flags })
    }
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
    Demo(DemoArguments),
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
    /// Create the log's tables and topics and the read models' tables, or bring them up to date.
    Migrate,
    /// The record schemas in the registry.
    Schemas {
        #[command(subcommand)]
        action: SchemasAction,
    },
    /// Send a command, or a file of them.
    Send(SendArguments),
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
    /// Input that could not be read.
    DeadLetters {
        #[command(subcommand)]
        action: DeadLettersAction,
    },
    /// Prove that Postgres, topic and read models hold the same history.
    Audit(AuditArguments),
}

#[derive(Debug, Clone, Args)]
pub struct StackArguments {
    /// Where the stack keeps its data; its identity [default: /var/lib/millrace for root, else in the XDG data folder].
    #[arg(long, env = "MILLRACE_DATA_DIR", value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
}

/// Ports on 127.0.0.1; 0 means any that is free. A stack remembers those it has.
#[derive(Debug, Clone, Default, Args)]
pub struct PortArguments {
    /// Postgres [default: 25432].
    #[arg(long, value_name = "PORT")]
    pub postgres_port: Option<u16>,
    /// Kafka [default: 29092].
    #[arg(long, value_name = "PORT")]
    pub kafka_port: Option<u16>,
    /// Kafka's controller [default: 29093].
    #[arg(long, value_name = "PORT")]
    pub kafka_controller_port: Option<u16>,
    /// The registry [default: 28081].
    #[arg(long, value_name = "PORT")]
    pub registry_port: Option<u16>,
    /// The first of the services' ports for metrics and health, which are in a row [default: 29464].
    #[arg(long, value_name = "PORT")]
    pub http_port: Option<u16>,
}

#[derive(Debug, Clone, Args)]
pub struct FolderArguments {
    #[command(flatten)]
    pub stack: StackArguments,
    /// Where fetched servers are kept [default: /var/cache/millrace for root, else in the XDG cache folder].
    #[arg(long, env = "MILLRACE_CACHE_DIR", value_name = "FOLDER")]
    pub cache_dir: Option<PathBuf>,
    #[command(flatten)]
    pub ports: PortArguments,
}

#[derive(Debug, Args)]
pub struct UpArguments {
    #[command(flatten)]
    pub folders: FolderArguments,
    /// Stop before the services: only Postgres, Kafka and the registry, without tables, topics or schemas.
    #[arg(long)]
    pub servers_only: bool,
}

#[derive(Debug, Args)]
pub struct DemoArguments {
    #[command(flatten)]
    pub folders: FolderArguments,
    /// Leave the stack running at the end, to look around in.
    #[arg(long)]
    pub keep: bool,
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
    /// A file of commands, one JSON object a line: {"id": …, "type": …, "data": {…}}; - for standard input.
    #[arg(long, conflicts_with_all = ["name", "fields", "id", "expected_version"], value_name = "FILE")]
    pub file: Option<PathBuf>,
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
