//! What is measured, and with which work.

use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};
use std::path::PathBuf;

use clap::{Args, Parser, ValueEnum};
use millrace::{FolderArguments, Output, SettingsArguments};
use serde::Serialize;

use crate::rules::Rules;

/// Where the benchmark runs.
const WHERE: &str = "\
With MILLRACE_POSTGRES_URL set, the benchmark runs on the servers of the settings. There it makes a log, a database and \
topics of its own, and deletes them at the end. Without, it starts a new stack of its own: by default in the folder of \
`up` with -bench appended, on any ports that are free.
Exit code 1: a ratio is below that of the --gate file.";

/// Measure the pipeline beside what the same servers do without Millrace in the way.
// `millrace bench` puts its own settings first: those after them count
#[derive(Debug, Parser)]
#[command(name = "millrace-bench", version, max_term_width = 120, args_override_self = true)]
pub struct Cli {
    #[command(flatten)]
    pub settings: SettingsArguments,
    /// How the report is printed on standard output.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    #[command(flatten)]
    pub bench: BenchArguments,
}

#[derive(Debug, Args)]
#[command(
    after_help = WHERE,
    mut_arg("data_dir", |arg| arg.help("Where a stack of its own keeps its data; not the folder of another stack")),
    mut_arg("http_port", |arg| arg.hide(true))
)]
pub struct BenchArguments {
    /// What to measure.
    #[arg(value_enum)]
    pub scenario: Scenario,
    #[command(flatten)]
    pub folders: FolderArguments,
    /// Events of the work; not for end-to-end [default: by scenario, 200,000 to 600,000; growth: 10,000,000].
    #[arg(long, value_name = "N")]
    pub events: Option<NonZeroU64>,
    /// How long end-to-end sends commands.
    #[arg(long, value_name = "SECONDS", default_value = "60")]
    pub seconds: NonZeroU32,
    /// Entry sets a second, for end-to-end [default: as fast as at most 20,000 commands without an outcome allow].
    #[arg(long, value_name = "N")]
    pub rate: Option<NonZeroU32>,
    /// Connections to Postgres, for append and rebuild-read.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=32))]
    pub connections: u16,
    /// Writer processes: in end-to-end [default: 1], and to compare with one in writers [default: 2].
    #[arg(long, value_name = "N")]
    pub writers: Option<NonZeroU16>,
    /// Which of the 50,000 accounts the entry sets touch.
    #[arg(long, value_enum, default_value_t = Skew::Uniform)]
    pub skew: Skew,
    /// The same seed makes the same work.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Who decides the commands, in end-to-end.
    #[arg(long, value_enum, default_value_t = Rules::Rust)]
    pub domain: Rules,
    /// Run the search projector too, in end-to-end.
    #[arg(long)]
    pub with_search: bool,
    /// A file (TOML) of the least ratio by name, such as append = 0.5.
    #[arg(long, value_name = "FILE")]
    pub gate: Option<PathBuf>,
    /// Leave everything as it is at the end: log, database, topics, and a stack of its own.
    #[arg(long)]
    pub keep: bool,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// Committing batches, beside a plain SQL insert and COPY of the same rows.
    Append,
    /// Several writers deciding piled-up commands, beside one writer.
    Writers,
    /// The relay catching up, beside a flat-out producer of the same records.
    Relay,
    /// The projectors catching up, beside a flat-out consumer and a plain upsert.
    Project,
    /// Reading the log by position, as a rebuild does, beside COPY out of the same rows.
    RebuildRead,
    /// Filling a new generation of reporting, beside reading, folding and upserting alone.
    Rebuild,
    /// Commands through all services, with latencies.
    EndToEnd,
    /// Append, read and load in a log of 10 million events, beside a log of 1 million.
    Growth,
    /// All of them but growth.
    All,
}

/// Which accounts an entry set touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Skew {
    /// Any two, each as likely as the other.
    Uniform,
    /// Zipf's law with s = 1: the n-th account n times less often than the first.
    Zipf,
    /// Any one, and always the same other one.
    Hot,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Cli::command().debug_assert();
    }
}
