//! `millrace-demo`, or `millrace demo`: a real bank's transactions through the whole pipeline.

mod arguments;
mod bank;
mod comparison;
mod display;
mod load;
mod progress;
mod report;
mod run;

use std::process::ExitCode;

use clap::Parser;

use arguments::Cli;

/// As the binary `millrace` has it: this one is the stack's services too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if millrace::is_asked_for_service() {
        return millrace::main([millrace::ledger()]);
    }
    let Cli { settings, output, demo } = Cli::parse();
    millrace::run(run::run(&settings, &demo, output))
}
