//! The arguments of `millrace projector`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ServiceArguments;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct ProjectorArguments {
    #[command(subcommand)]
    pub action: Option<ProjectorAction>,
    /// The projector to run, such as reporting.
    #[arg(required = true)]
    pub name: Option<String>,
    #[command(flatten)]
    pub service: ServiceArguments,
}

#[derive(Debug, Subcommand)]
pub enum ProjectorAction {
    /// Run a projector: events from Kafka into a read model. The same as `millrace projector NAME`.
    Run {
        /// The projector's name.
        name: String,
        #[command(flatten)]
        service: ServiceArguments,
    },
    /// Create the read model that a folder describes in SQL. Checks everything on the real Postgres before it changes
    /// anything; applying twice changes nothing.
    Apply {
        /// The folder.
        folder: PathBuf,
        /// Another name for the projector, and so for its Postgres schema.
        #[arg(long = "as", value_name = "NAME")]
        name: Option<String>,
        /// Empty a read model that is there, and create it anew; its projector fills it again from the first event on.
        #[arg(long)]
        start_over: bool,
    },
    /// Apply generated events one by one, as one batch, and cut at random, and compare the tables. Leaves nothing behind.
    Check {
        /// The folder.
        folder: PathBuf,
    },
}

impl ProjectorArguments {
    /// Whether the command runs until somebody stops it.
    pub fn is_service(&self) -> bool {
        matches!(self.action, None | Some(ProjectorAction::Run { .. }))
    }
}
