//! The program `millrace` as a library, so that you can build a binary with your own logs. It reads the command line
//! and puts the other crates together.

mod apart;
mod audit;
mod cli;
mod command_id;
mod connection;
mod dead_letters;
mod events;
mod exit;
mod kafka_state;
mod lag;
mod log;
mod logs;
mod migrate;
mod monitor;
mod outcome;
mod output;
mod producing;
mod program;
mod projector;
mod projectors;
mod rebuild;
mod schemas;
mod search;
mod send;
mod services;
mod stack;
mod stream;
mod tail;
mod wait;

use std::process::ExitCode;

use clap::Parser;

use apart::become_program;
use cli::{Cli, Command};
use program::run_service;

// For `demo/` and `bench/`, which show and measure the product with parts of its command line.
pub use audit::{Report as AuditReport, audit, text as audit_text};
pub use cli::{FolderArguments, PortArguments, SettingsArguments, StackArguments};
pub use exit::{NO, Usage};
pub use kafka_state::TopicEnds;
pub use logs::{Log, Logs};
// What a program with a log of its own, and with read models of its own, needs.
pub use deadpool_postgres::Transaction;
pub use futures::future::BoxFuture;
pub use millrace_projector_runner::{ApplyError, Projector};
pub use millrace_schemas::{DecodeError, LogDefinition, Received, RecordSchema, RecordedEvent, StreamId};
pub use millrace_writer::{Domain, Rejection};
pub use output::Output;
pub use producing::{CommandProducer, OutgoingCommand};
pub use program::{is_asked_for_service, run};
pub use refinery;
pub use stack::{
    RunningService, StackServices, at, check_service_ports, log_tail, prepare, services_of, start_services, throw_away,
    until_one_ends, until_ready,
};

/// Runs the program `millrace` with these logs: reads the command line, runs the command, and returns its exit code.
///
/// ```no_run
/// use millrace::Log;
/// use millrace_domains::ledger::Ledger;
///
/// fn main() -> std::process::ExitCode {
///     millrace::main([Log::new(Ledger).with_projectors(millrace_projectors::all)])
/// }
/// ```
pub fn main(logs: impl IntoIterator<Item = Log>) -> ExitCode {
    let logs = Logs::new(logs);
    let mut cli = Cli::parse();
    cli.settings.default_log = logs.default_name().map(str::to_owned);
    if cli.command.is_service() { run_service(do_command(cli, logs)) } else { run(do_command(cli, logs)) }
}

/// The log that Millrace brings along: a double-entry ledger with the read models reporting and search.
pub fn ledger() -> Log {
    Log::new(millrace_domains::ledger::Ledger).with_projectors(millrace_projectors::all)
}

async fn do_command(cli: Cli, logs: Logs) -> anyhow::Result<ExitCode> {
    let Cli { settings, output, command } = cli;
    match command {
        Command::Up(arguments) => stack::up(&logs, &settings, &arguments, output).await,
        Command::Down(arguments) => stack::down(&arguments, output).await,
        Command::Env(arguments) => stack::env(&arguments, output),
        Command::Demo(arguments) => Err(become_program("demo", &settings, output, arguments)),
        Command::Bench(arguments) => Err(become_program("bench", &settings, output, arguments)),
        Command::Writer(arguments) => services::writer(&logs, &settings, arguments).await,
        Command::Relay(arguments) => services::relay(&settings, arguments).await,
        Command::Projector(arguments) => projector::run(&logs, &settings, arguments, output).await,
        Command::Projectors { action } => projectors::run(&settings, action, output).await,
        Command::Rebuild(arguments) => rebuild::run(&logs, &settings, &arguments, output).await,
        Command::Explain(arguments) => rebuild::explain(&logs, &settings, &arguments, output).await,
        Command::Monitor(arguments) => services::monitor(&logs, &settings, arguments).await,
        Command::Log { action } => log::run(&logs, &settings, action, output).await,
        Command::Migrate => migrate::run(&logs, &settings.load()?, output).await,
        Command::Schemas { action } => schemas::run(&logs, &settings.load()?, action, output).await,
        Command::Send(arguments) => send::run(&logs, &settings.load()?, &arguments, output).await,
        Command::Tail(arguments) => tail::run(&settings.load()?, &arguments, output).await,
        Command::Events(arguments) => events::run(&settings.load()?, &arguments, output).await,
        Command::Outcome { id } => outcome::run(&settings.load()?, &id, output).await,
        Command::Wait(arguments) => wait::run(&settings.load()?, &arguments, output).await,
        Command::Stream { action } => stream::run(&settings.load()?, action, output).await,
        Command::Search { query, limit } => search::run(&settings.load()?, &query, limit, output).await,
        Command::Lag(arguments) => lag::run(&logs, &settings.load()?, &arguments, output).await,
        Command::DeadLetters { action } => dead_letters::run(&settings.load()?, action, output).await,
        Command::Audit(arguments) => audit::run(&logs, &settings.load()?, &arguments, output).await,
    }
}
