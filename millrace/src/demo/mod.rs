//! `millrace demo`: the transactions of a real bank through the whole pipeline, from nothing to an audited end.

mod comparison;
mod display;
mod folder;
mod load;
mod progress;
mod report;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use millrace_compose::{Console, Progress, Stack};
use millrace_runtime::{Overrides, Settings};

use crate::audit::audit;
use crate::bank;
use crate::bank::commands::Commands;
use crate::cli::DemoArguments;
use crate::exit::NO;
use crate::output::Output;
use crate::stack::{at, prepare, start_services, until_one_ends};
use comparison::Comparison;
use report::Report;

/// How long the audit waits for what is behind; by then nothing should be.
const AUDIT_PATIENCE: Duration = Duration::from_secs(10);

/// The command. Answers no unless every balance, every total, the search and the audit agree.
pub async fn run(arguments: &DemoArguments, output: Output) -> anyhow::Result<ExitCode> {
    let options = folder::fresh(&arguments.folders).await?;
    let shown = tokio::select! {
        shown = show(arguments, &options) => shown,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    let agrees = match &shown {
        Ok(report) => {
            output.print(report, report::text)?;
            report.ok
        }
        Err(_) => false,
    };
    leave(arguments, &options.data_dir, agrees).await?;
    shown?;
    Ok(if agrees { ExitCode::SUCCESS } else { ExitCode::from(NO) })
}

async fn show(arguments: &DemoArguments, options: &millrace_compose::StackOptions) -> anyhow::Result<Report> {
    let transactions = bank::read().context("the bank's file inside the program")?;
    let commands = Commands::new(&transactions);
    let console = Console::new();
    let stack = Stack::up(options, &console).await?;
    folder::mark(&stack)?;
    let settings = at(&stack, Settings::load(None, &Overrides::default())?);
    prepare(&settings).await?;
    let services = start_services(&stack, &settings, arguments.folders.ports.http_port.or(Some(0)), &console).await?;

    let counts = (commands.opens.len(), commands.entry_sets.len());
    console.line(&format!("producing {} commands that open accounts and {} entry sets", counts.0, counts.1));
    let loaded = tokio::select! {
        loaded = load::run(&settings, commands) => loaded?,
        ended = until_one_ends(&stack, &services) => return Err(ended),
    };
    console.line("all read models have caught up; comparing");
    let comparison = Comparison::make(&settings, &transactions).await?;
    let audit = audit(&settings, AUDIT_PATIENCE).await?;
    Ok(Report::new(loaded, comparison, audit))
}

/// Stops the stack, unless it is to be kept; deletes its data when all went well.
async fn leave(arguments: &DemoArguments, data_dir: &std::path::Path, agrees: bool) -> anyhow::Result<()> {
    let folder = data_dir.display();
    if arguments.keep {
        eprintln!("the stack goes on running: eval \"$(millrace env --data-dir {folder})\"");
        eprintln!("to stop it: millrace down --data-dir {folder}");
        return Ok(());
    }
    let console = Console::new();
    Stack::down_in(data_dir, &console).await?;
    if agrees {
        Stack::open(data_dir)?.destroy().await?;
    } else {
        console.line(&format!("the stack is stopped; its data and logs are in {folder}"));
    }
    Ok(())
}
