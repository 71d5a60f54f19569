//! `millrace-bench`, or `millrace bench`: what the pipeline does, beside what the same servers do without our code in
//! the way.

mod append;
mod appends;
mod arguments;
mod ceiling;
mod command_id;
mod end_to_end;
mod fill;
mod gate;
mod growth;
mod ledger_schemas;
mod measured;
mod meter;
mod own_log;
mod project;
mod rebuild;
mod rebuild_read;
mod relay;
mod report;
mod rules;
mod run;
mod servers;
mod service;
mod storage;
mod watching;
mod work;
mod writers;

use std::process::ExitCode;

use clap::Parser;

use arguments::Cli;

/// As the binary `millrace` has it: this one is the services that are measured, too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if millrace::is_asked_for_service() {
        return millrace::main([rules::of_service()]);
    }
    let Cli { settings, output, bench } = Cli::parse();
    millrace::run(run::run(&settings, &bench, output))
}
