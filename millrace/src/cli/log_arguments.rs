//! The arguments of `millrace log`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum LogAction {
    /// Create the log that a folder describes, or bring it up to date. Checks everything before it changes anything;
    /// applying twice changes nothing.
    Apply(ApplyArguments),
    /// Print a log's properties and records.
    Show {
        /// The log's name.
        name: String,
    },
    /// Print the logs of the database.
    List,
    /// Check a folder, without any server; or check that every stored version of a log's schemas reads with its newest
    /// definition.
    Check {
        /// A folder, or a log's name; a folder of that name comes first [default: the log of the settings].
        what: Option<PathBuf>,
    },
    /// Delete a log for good: its events, its topics, its schemas in the registry.
    Drop(DropArguments),
}

#[derive(Debug, Args)]
pub struct ApplyArguments {
    /// The folder.
    pub folder: PathBuf,
    /// Print what would change, and change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Apply it to the log of this name, instead of the name in log.toml.
    #[arg(long = "as", value_name = "NAME")]
    pub name: Option<String>,
}

#[derive(Debug, Args)]
pub struct DropArguments {
    /// The log's name.
    pub name: String,
    /// The same name again.
    #[arg(long, value_name = "NAME")]
    pub yes_really_delete: String,
}
