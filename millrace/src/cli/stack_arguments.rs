//! The arguments that choose a local stack and its ports.

use std::path::PathBuf;

use clap::Args;

/// The help text on the ports that `up` chooses by itself.
const DEFAULT_PORTS: &str = "\
Ports are those that the stack had before. A new one has, unless told otherwise: Postgres 25432, Kafka 29092 and 29093, \
the registry 28081, the services 29464 to 29468.";

/// The flag that chooses a local stack.
#[derive(Debug, Clone, Args)]
pub struct StackArguments {
    /// The stack's folder, which holds its data and identifies it [default: /var/lib/millrace for root, else in the XDG
    /// data folder].
    #[arg(long, env = "MILLRACE_DATA_DIR", value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
}

/// Ports on 127.0.0.1.
#[derive(Debug, Clone, Default, Args)]
pub struct PortArguments {
    /// Port of Postgres; 0, here and for the others, takes any free port.
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
    /// The first of the services' ports for metrics and health; the others follow it.
    #[arg(long, value_name = "PORT")]
    pub http_port: Option<u16>,
}

/// The flags that say where a local stack is, or where to create it.
#[derive(Debug, Clone, Args)]
pub struct FolderArguments {
    /// The stack's own folder.
    #[command(flatten)]
    pub stack: StackArguments,
    /// The folder for fetched servers [default: /var/cache/millrace for root, else in the XDG cache folder].
    #[arg(long, env = "MILLRACE_CACHE_DIR", value_name = "FOLDER")]
    pub cache_dir: Option<PathBuf>,
    /// The ports of the stack's servers and services.
    #[command(flatten)]
    pub ports: PortArguments,
}

#[derive(Debug, Args)]
#[command(after_help = DEFAULT_PORTS)]
pub struct UpArguments {
    #[command(flatten)]
    pub folders: FolderArguments,
    /// Start only Postgres, Kafka and the registry: no services, no tables, topics or schemas.
    #[arg(long)]
    pub servers_only: bool,
    /// More logs, each with a writer, a relay and a monitor: orders, bank, or the path of a folder such as ./tickets.
    #[arg(long, value_name = "LOG", value_delimiter = ',', conflicts_with = "servers_only")]
    pub with: Vec<String>,
}
