//! `millrace`: the one binary. Reads the command line and puts the pieces together.

mod audit;
mod bank;
mod bench;
mod cli;
mod command_id;
mod dead_letters;
mod demo;
mod exit;
mod kafka_state;
mod lag;
mod migrate;
mod monitor;
mod outcome;
mod output;
mod producing;
mod schemas;
mod search;
mod send;
mod services;
mod stack;
mod stream;
mod tail;

use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::Builder;

use cli::{Cli, Command};

/// A third of the writer's time went to the C library's allocator (perf, over the demo). The feature `override` has
/// librdkafka use it too: a fifth of a projector's time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut runtime = if cli.command.is_service() {
        // one thread, so that a statement's answer wakes nobody else: half the time of a service with little to do
        Builder::new_current_thread()
    } else {
        Builder::new_multi_thread()
    };
    let runtime = match runtime.worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit::failure(&error.into()),
    };
    let result = runtime.block_on(async {
        let result = run(cli).await;
        millrace_runtime::trace::end().await;
        result
    });
    // librdkafka's threads may still be leaving their groups: they are not waited for
    runtime.shutdown_background();
    result.unwrap_or_else(|error| exit::failure(&error))
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let Cli { settings, output, command } = cli;
    match command {
        Command::Up(arguments) => stack::up(&settings, &arguments, output).await,
        Command::Down(arguments) => stack::down(&arguments, output).await,
        Command::Env(arguments) => stack::env(&arguments, output),
        Command::Demo(arguments) => demo::run(&settings, &arguments, output).await,
        Command::Bench(arguments) => bench::run(&settings, &arguments, output).await,
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
