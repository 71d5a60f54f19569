//! Subcommands that are separate programs, such as `demo` and `bench`. As with git and cargo, `millrace NAME` runs the
//! program `millrace-NAME` that stands beside our executable.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};
use clap::Args;

use crate::cli::SettingsArguments;
use crate::output::Output;

/// Everything after the subcommand's name, `--help` included. We pass it on, because only the program understands it.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct ProgramArguments {
    /// The program's own arguments; see its --help.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    arguments: Vec<OsString>,
}

/// Replaces this process by the program `millrace-NAME`, with our settings as flags and then its own arguments. So the
/// program itself gets the signals and sets the exit code.
///
/// # Errors
/// Returns only when that fails. If the program does not exist, the error says how to build it.
pub fn become_program(
    name: &str,
    settings: &SettingsArguments,
    output: Output,
    arguments: ProgramArguments,
) -> anyhow::Error {
    match program(name) {
        Ok(mut command) => {
            let error = command.args(flags(settings, output)).args(arguments.arguments).exec();
            anyhow::Error::new(error).context(format!("{} can't be started", command.get_program().display()))
        }
        Err(error) => error,
    }
}

fn program(name: &str) -> anyhow::Result<Command> {
    let own = std::env::current_exe().context("the millrace program can't be found")?;
    program_in(own.parent().context("the millrace program is in no folder")?, name)
}

fn program_in(folder: &Path, name: &str) -> anyhow::Result<Command> {
    let program = folder.join(format!("millrace-{name}"));
    if !program.is_file() {
        let release = if cfg!(debug_assertions) { "" } else { " --release" };
        bail!("there is no {}; to build it: cargo build{release} -p millrace-{name}", program.display());
    }
    Ok(Command::new(program))
}

/// Our own flags, which may have come before the subcommand's name, as flags for the program.
fn flags(settings: &SettingsArguments, output: Output) -> Vec<OsString> {
    let mut flags = Vec::new();
    if let Some(file) = &settings.config {
        flags.extend(["--config".into(), file.into()]);
    }
    if let Some(log) = &settings.log {
        flags.extend(["--log".into(), log.into()]);
    }
    if let Output::Json = output {
        flags.extend(["--output".into(), "json".into()]);
    }
    flags
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    #[test]
    fn a_program_gets_all_arguments_wherever_they_stand() {
        for (given, expected) in [
            (&["--log", "a", "demo", "--keep", "--http-port", "9"][..], "--log a --keep --http-port 9"),
            (&["demo", "--output", "json", "--keep"], "--output json --keep"),
            (&["demo", "--keep", "--output", "json", "--log=b"], "--keep --output json --log=b"),
            (&["demo", "word", "--keep"], "word --keep"),
            (&["demo", "--help"], "--help"),
            (&["demo"], ""),
        ] {
            let cli = Cli::parse_from(["millrace"].iter().chain(given));
            let Command::Demo(ProgramArguments { arguments }) = cli.command else {
                panic!("{given:?} is for the demo")
            };
            let all: Vec<OsString> = flags(&cli.settings, cli.output).into_iter().chain(arguments).collect();
            assert_eq!(all.join(" ".as_ref()), expected);
        }
    }

    #[test]
    fn a_program_that_is_not_there_is_told_with_how_to_build_it() {
        let error = program_in(Path::new("/nowhere"), "bench").unwrap_err().to_string();
        assert!(error.contains("/nowhere/millrace-bench") && error.ends_with(" -p millrace-bench"), "{error}");
    }
}
