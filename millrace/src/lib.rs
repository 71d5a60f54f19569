//! The program `millrace` as a library, for a binary of one's own: it reads the command line and puts the pieces
//! together.

mod apart;
mod audit;
mod cli;
mod command_id;
mod dead_letters;
mod exit;
mod kafka_state;
mod lag;
mod migrate;
mod monitor;
mod outcome;
mod output;
mod producing;
mod program;
mod schemas;
mod search;
mod send;
mod services;
mod stack;
mod stream;
mod tail;

use std::process::ExitCode;

use clap::Parser;

use apart::become_program;
use cli::{Cli, Command};
use program::run_service;

// What programs that show or measure the product share with its command line: `demo/`, `bench/`.
pub use audit::{Report as AuditReport, audit, text as audit_text};
pub use cli::{FolderArguments, PortArguments, SettingsArguments, StackArguments};
pub use exit::{NO, Usage};
pub use kafka_state::TopicEnds;
pub use output::Output;
pub use producing::{CommandProducer, OutgoingCommand};
pub use program::{is_asked_for_service, run};
pub use stack::{RunningService, at, check_service_ports, prepare, start_services, throw_away, until_one_ends};

/// The program `millrace`: reads the command line, does what it says, and returns the exit code.
///
/// ```no_run
/// fn main() -> std::process::ExitCode {
///     millrace::main()
/// }
/// ```
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    if cli.command.is_service() { run_service(do_command(cli)) } else { run(do_command(cli)) }
}

async fn do_command(cli: Cli) -> anyhow::Result<ExitCode> {
    let Cli { settings, output, command } = cli;
    match command {
        Command::Up(arguments) => stack::up(&settings, &arguments, output).await,
        Command::Down(arguments) => stack::down(&arguments, output).await,
        Command::Env(arguments) => stack::env(&arguments, output),
        Command::Demo(arguments) => Err(become_program("demo", &settings, output, arguments)),
        Command::Bench(arguments) => Err(become_program("bench", &settings, output, arguments)),
        Command::Writer(arguments) => services::writer(&settings, arguments).await,
        Command::Relay(arguments) => services::relay(&settings, arguments).await,
        Command::Projector { name, service } => services::projector(&settings, &name, service).await,
        Command::Monitor(arguments) => services::monitor(&settings, arguments).await,
        Command::Migrate => migrate::run(&settings.load()?, output).await,
        Command::Schemas { action } => schemas::run(&settings.load()?, action, output).await,
        Command::Send(arguments) => send::run(&settings.load()?, &arguments, output).await,
        Command::Tail(arguments) => tail::run(&settings.load()?, &arguments, output).await,
        Command::Outcome { id } => outcome::run(&settings.load()?, &id, output).await,
        Command::Stream { action } => stream::run(&settings.load()?, action, output).await,
        Command::Search { query, limit } => search::run(&settings.load()?, &query, limit, output).await,
        Command::Lag(arguments) => lag::run(&settings.load()?, &arguments, output).await,
        Command::DeadLetters { action } => dead_letters::run(&settings.load()?, action, output).await,
        Command::Audit(arguments) => audit::run(&settings.load()?, &arguments, output).await,
    }
}
