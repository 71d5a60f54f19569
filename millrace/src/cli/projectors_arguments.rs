//! The arguments of `millrace projectors`.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum ProjectorsAction {
    /// Print the log's projectors: whether each runs, and what went wrong last.
    List,
    /// Print a projector, partition by partition.
    Show {
        /// The projector's name, such as reporting.
        name: String,
    },
    /// Have all instances of a projector apply nothing more, until somebody resumes it; also those that start later.
    Pause {
        /// The projector's name, such as reporting.
        name: String,
        /// Why; others see it.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Let a paused projector go on.
    Resume {
        /// The projector's name, such as reporting.
        name: String,
    },
    /// Delete a projector's read model, with all its generations.
    Drop(DropReadModelArguments),
    /// Empty a projector's read model. It fills again from the topic, from position 1 on.
    Reset(ResetArguments),
}

#[derive(Debug, Args)]
pub struct DropReadModelArguments {
    /// The projector's name, such as reporting.
    pub name: String,
    /// The same name again.
    #[arg(long, value_name = "NAME")]
    pub yes_really_delete: String,
}

#[derive(Debug, Args)]
pub struct ResetArguments {
    /// The projector's name, such as reporting.
    pub name: String,
    /// The same name again.
    #[arg(long, value_name = "NAME")]
    pub yes_really_empty: String,
}
