//! Which local stack, and where it listens.

use std::path::PathBuf;

use clap::Args;

/// What `up` takes for ports that are not given.
const DEFAULT_PORTS: &str = "\
Ports are those that the stack had before. A new one has, unless told otherwise: Postgres 25432, Kafka 29092 and 29093, \
the registry 28081, the services 29464 to 29468.";

/// Which local stack.
#[derive(Debug, Clone, Args)]
pub struct StackArguments {
    /// Where the stack keeps its data; its identity [default: /var/lib/millrace for root, else in the XDG data folder].
    #[arg(long, env = "MILLRACE_DATA_DIR", value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
}

/// Ports on 127.0.0.1.
#[derive(Debug, Clone, Default, Args)]
pub struct PortArguments {
    /// Port of Postgres; this one and the others: 0 for any that is free.
    #[arg(long, value_name = "PORT")]
    pub postgres_port: Option<u16>,
    /// Port of Kafka.
    #[arg(long, value_name = "PORT")]
    pub kafka_port: Option<u16>,
    /// Port of Kafka's own controller.
    #[arg(long, value_name = "PORT")]
    pub kafka_controller_port: Option<u16>,
    /// Port of the registry.
    #[arg(long, value_name = "PORT")]
    pub registry_port: Option<u16>,
    /// The first of the services' ports for metrics and health, which are in a row.
    #[arg(long, value_name = "PORT")]
    pub http_port: Option<u16>,
}

/// Where a local stack is, or is to be.
#[derive(Debug, Clone, Args)]
pub struct FolderArguments {
    /// The stack's own folder.
    #[command(flatten)]
    pub stack: StackArguments,
    /// Where fetched servers are kept [default: /var/cache/millrace for root, else in the XDG cache folder].
    #[arg(long, env = "MILLRACE_CACHE_DIR", value_name = "FOLDER")]
    pub cache_dir: Option<PathBuf>,
    /// Its ports.
    #[command(flatten)]
    pub ports: PortArguments,
}

#[derive(Debug, Args)]
#[command(after_help = DEFAULT_PORTS)]
pub struct UpArguments {
    #[command(flatten)]
    pub folders: FolderArguments,
    /// Stop before the services: only Postgres, Kafka and the registry, without tables, topics or schemas.
    #[arg(long)]
    pub servers_only: bool,
}
