//! `millrace demo`: the transactions of a real bank through the whole pipeline, from nothing to an audited end.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use millrace::{
    Logs, NO, Output, SettingsArguments, StackServices, at, audit, check_service_ports, prepare, services_of,
    start_services, throw_away, until_one_ends,
};
use millrace_compose::{Console, Progress, Stack, StackOptions};
use millrace_runtime::{Settings, on_signal};

use crate::arguments::DemoArguments;
use crate::bank::commands::Commands;
use crate::comparison::Comparison;
use crate::report::{self, Report};
use crate::{bank, load};

/// How long the audit waits for what is behind; by then nothing should be.
const AUDIT_PATIENCE: Duration = Duration::from_secs(10);

/// The command. Its exit code is that for "no" unless every balance, every total, the search and the audit agree.
pub async fn run(settings: &SettingsArguments, arguments: &DemoArguments, output: Output) -> anyhow::Result<ExitCode> {
    let loaded = settings.load()?;
    let plan = Plan {
        services: services_of(&millrace::ledger(), &settings.for_services(&loaded)?),
        settings: loaded,
        options: StackOptions { short_lived: !arguments.keep, ..throw_away::fresh(&arguments.folders, "-demo").await? },
        http_port: arguments.folders.ports.http_port.or(Some(0)),
    };
    check_service_ports(&plan.options.data_dir, &plan.services, plan.http_port)?;
    let interrupted = on_signal()?;
    let shown = tokio::select! {
        shown = show(&plan) => shown,
        () = interrupted.cancelled() => Err(anyhow::anyhow!("interrupted")),
    };
    let agrees = match &shown {
        Ok(report) => {
            output.print(report, report::text)?;
            report.ok
        }
        Err(_) => false,
    };
    let left = leave(&plan.options.data_dir, arguments.keep, agrees).await;
    shown?;
    left?;
    Ok(if agrees { ExitCode::SUCCESS } else { ExitCode::from(NO) })
}

/// With which settings the demo runs, and where.
struct Plan {
    settings: Settings,
    services: StackServices,
    options: StackOptions,
    http_port: Option<u16>,
}

async fn show(plan: &Plan) -> anyhow::Result<Report> {
    let transactions = bank::read().context("the bank's file inside the program")?;
    let commands = Commands::new(&transactions);
    let console = Console::new();
    let stack = Stack::up(&plan.options, &console).await?;
    throw_away::mark(stack.data_dir())?;
    let settings = at(&stack, plan.settings.clone());
    let logs = Logs::new([millrace::ledger()]);
    prepare(&logs, &settings).await?;
    let services = start_services(&stack, &plan.services, plan.http_port, &console).await?;

    let counts = (commands.opens.len(), commands.entry_sets.len());
    console.line(&format!("producing {} commands that open accounts and {} entry sets", counts.0, counts.1));
    let loaded = tokio::select! {
        loaded = load::run(&settings, commands) => loaded?,
        ended = until_one_ends(&stack, &services) => return Err(ended),
    };
    console.line("all read models have caught up; comparing");
    let comparison = Comparison::make(&settings, &transactions).await?;
    let audit = audit(&logs, &settings, AUDIT_PATIENCE).await?;
    Ok(Report::new(loaded, comparison, audit))
}

/// Stops the stack, unless `--keep` says otherwise; deletes its data when everything agrees.
async fn leave(data_dir: &Path, keep: bool, agrees: bool) -> anyhow::Result<()> {
    throw_away::mark(data_dir)?;
    let folder = data_dir.display();
    if keep {
        eprintln!("the stack goes on running: eval \"$(millrace env --data-dir {folder})\"");
        eprintln!("to stop it: millrace down --data-dir {folder}");
        return Ok(());
    }
    let console = Console::new();
    Stack::down_in(data_dir, &console).await?;
    if agrees {
        Stack::destroy_in(data_dir).await?;
    } else {
        console.line(&format!("the stack is stopped; its data and logs are in {folder}"));
    }
    Ok(())
}
