//! The arguments of `millrace rebuild`.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::Args;

/// What to do with a read model's generations.
#[derive(Debug, Args)]
pub struct RebuildArguments {
    /// The projector, such as reporting.
    pub name: String,
    /// For a projector in SQL: fill the new generation by what this folder says now.
    #[arg(long = "with", value_name = "FOLDER")]
    pub folder: Option<PathBuf>,
    /// Apply at most so many events a second, to spare the live side.
    #[arg(long, value_name = "N")]
    pub rate: Option<NonZeroU32>,
    /// How many transactions fill the new generation at once, 1 to 32.
    #[arg(long, value_name = "N", default_value = "4", value_parser = clap::value_parser!(u8).range(1..=32))]
    pub workers: u8,
    /// Print how many events there are, and what disk and time they need; change nothing.
    #[arg(long, conflicts_with_all = ["accept_differences", "rollback", "abandon"])]
    pub dry_run: bool,
    /// Have readers see the new generation although its rows differ, as they do after a change of the projector.
    #[arg(long)]
    pub accept_differences: bool,
    /// Return to the generation that was live before.
    #[arg(long, conflicts_with_all = ["folder", "rate", "accept_differences", "abandon"])]
    pub rollback: bool,
    /// Drop a new generation that readers do not see yet.
    #[arg(long, conflicts_with_all = ["folder", "rate", "accept_differences"])]
    pub abandon: bool,
}

/// Which row to explain.
#[derive(Debug, Args)]
pub struct ExplainArguments {
    /// The table with its read model, such as reporting.account_balances.
    pub table: String,
    /// The row's primary key: the value, or column=value for each of several columns.
    #[arg(required = true)]
    pub key: Vec<String>,
    /// Print at most so many events, the last ones.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub limit: usize,
}
