//! The demo's command line.

use clap::{Args, Parser};
use millrace::{FolderArguments, Output, SettingsArguments};

/// The folder and the ports where none are given.
const DEFAULTS: &str = "\
The demo has a stack of its own, begun anew each time: by default in the folder of `up` (MILLRACE_DATA_DIR, if set) \
with -demo appended, on any ports that are free.";

/// Show the pipeline on the transactions of a real bank, from nothing to an audited end.
// `millrace demo` puts its own settings first: those after them count
#[derive(Debug, Parser)]
#[command(name = "millrace-demo", version, max_term_width = 120, args_override_self = true)]
pub struct Cli {
    #[command(flatten)]
    pub settings: SettingsArguments,
    /// How the report is printed on standard output.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    #[command(flatten)]
    pub demo: DemoArguments,
}

#[derive(Debug, Args)]
#[command(
    after_help = DEFAULTS,
    mut_arg("data_dir", |arg| {
        arg.env(None::<&str>).help("Where the demo's stack keeps its data; not the folder of another stack")
    })
)]
pub struct DemoArguments {
    #[command(flatten)]
    pub folders: FolderArguments,
    /// Leave the stack running at the end, to look around in.
    #[arg(long)]
    pub keep: bool,
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
    fn of_settings_given_twice_the_later_ones_count() {
        let cli =
            Cli::parse_from(["millrace-demo", "--log", "a", "--output", "text", "--log", "b", "--output", "json"]);
        assert_eq!((cli.settings.log.as_deref(), cli.output), (Some("b"), Output::Json));
    }
}
