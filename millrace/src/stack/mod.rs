//! `millrace up`, `down`, `env`: the local stack.

mod readiness;
mod service_ports;
mod services;
pub mod throw_away;
mod with;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use millrace_compose::{
    Console, Ports, RunningProcess, Stack, StackError, StackOptions, Stopped, default_cache_dir, default_data_dir,
};
use millrace_runtime::Settings;
use serde::Serialize;

use crate::cli::{FolderArguments, SettingsArguments, StackArguments, UpArguments};
use crate::exit::failure;
use crate::logs::{Log, Logs};
use crate::migrate::migrate;
use crate::output::Output;
use crate::schemas::register;

pub use readiness::{log_tail, until_ready};
pub use services::{RunningService, StackServices, check_service_ports, start_services, until_one_ends};

/// The result of `up` as JSON.
#[derive(Serialize)]
struct Up {
    postgres: String,
    kafka: String,
    registry: String,
    services: Vec<RunningService>,
    data_dir: String,
}

/// The result of `down` as JSON.
#[derive(Serialize)]
struct Down {
    stopped: Vec<StoppedProcess>,
    data_dir: String,
}

/// A process that `down` stopped.
#[derive(Serialize)]
struct StoppedProcess {
    name: String,
    pid: u32,
    forced: bool,
}

/// `millrace up`
pub async fn up(
    logs: &Logs,
    settings: &SettingsArguments,
    arguments: &UpArguments,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let options = options(&arguments.folders);
    let before = running(&options.data_dir);
    match bring_up(logs, settings, arguments, &options).await {
        Ok(up) => {
            output.print(&up, |up| text(up, arguments.folders.stack.data_dir.is_some()))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            let code = failure(&error);
            tell_of_started(&options.data_dir, &before);
            Ok(code)
        }
    }
}

async fn bring_up(
    logs: &Logs,
    settings: &SettingsArguments,
    arguments: &UpArguments,
    options: &StackOptions,
) -> anyhow::Result<Up> {
    let loaded = settings.load()?;
    let flags = settings.for_services(&loaded)?;
    let added = with::read(logs, &arguments.with)?;
    let services = services_of(&logs.built_in(&loaded)?, &flags);
    let services = added.iter().fold(services, |services, added| services.with_log(&added.folder.name, &flags));
    if !arguments.servers_only {
        check_service_ports(&options.data_dir, &services, arguments.folders.ports.http_port)?;
    }
    let progress = Console::new();
    let stack = Stack::up(options, &progress).await?;
    let services = if arguments.servers_only {
        Vec::new()
    } else {
        let settings = at(&stack, loaded);
        prepare(logs, &settings).await?;
        with::apply(&settings, added).await?;
        start_services(&stack, &services, arguments.folders.ports.http_port, &progress).await?
    };
    let addresses = stack.addresses();
    Ok(Up {
        postgres: addresses.postgres_url_shown.clone(),
        kafka: addresses.kafka_bootstrap.clone(),
        registry: addresses.registry_url.clone(),
        services,
        data_dir: stack.data_dir().display().to_string(),
    })
}

/// The running processes of the stack in a folder; none if there is no stack.
fn running(data_dir: &Path) -> Vec<RunningProcess> {
    Stack::open(data_dir).map(|stack| stack.running()).unwrap_or_default()
}

/// After a failed `up`, prints which processes it has started, and how to stop them.
fn tell_of_started(data_dir: &Path, before: &[RunningProcess]) {
    let started: Vec<String> = running(data_dir)
        .into_iter()
        .filter(|process| !before.contains(process))
        .map(|process| format!("{} (pid {})", process.name, process.pid))
        .collect();
    if !started.is_empty() {
        let (started, folder) = (started.join(", "), data_dir.display());
        eprintln!("{started} still run; to stop them: millrace down --data-dir {folder}");
    }
}

/// `millrace down`
pub async fn down(arguments: &StackArguments, output: Output) -> anyhow::Result<ExitCode> {
    let data_dir = arguments.data_dir.clone().unwrap_or_else(default_data_dir);
    let stopped = Stack::down_in(&data_dir, &Console::new()).await?;
    if let (true, Err(error @ StackError::NoStack { .. })) = (stopped.is_empty(), Stack::open(&data_dir)) {
        return Err(error.into());
    }
    let stopped = stopped.into_iter().map(|Stopped { name, pid, forced }| StoppedProcess { name, pid, forced });
    let down = Down { stopped: stopped.collect(), data_dir: data_dir.display().to_string() };
    output.print(&down, stopped_text)?;
    Ok(ExitCode::SUCCESS)
}

/// `millrace env`
pub fn env(arguments: &StackArguments, output: Output) -> anyhow::Result<ExitCode> {
    let stack = Stack::open(&arguments.data_dir.clone().unwrap_or_else(default_data_dir))?;
    let addresses = stack.addresses();
    let variables = BTreeMap::from([
        ("MILLRACE_DATA_DIR", stack.data_dir().display().to_string()),
        ("MILLRACE_POSTGRES_URL", addresses.postgres_url.clone()),
        ("MILLRACE_KAFKA_BOOTSTRAP", addresses.kafka_bootstrap.clone()),
        ("MILLRACE_REGISTRY_URL", addresses.registry_url.clone()),
    ]);
    output.print(&variables, |variables| {
        let exports = variables.iter().map(|(name, value)| format!("export {name}={}", quoted(value)));
        exports.collect::<Vec<_>>().join("\n")
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The folders and ports that the arguments ask for.
pub fn options(arguments: &FolderArguments) -> StackOptions {
    StackOptions {
        data_dir: arguments.stack.data_dir.clone().unwrap_or_else(default_data_dir),
        cache_dir: arguments.cache_dir.clone().unwrap_or_else(default_cache_dir),
        ports: Ports {
            postgres: arguments.ports.postgres_port,
            kafka: arguments.ports.kafka_port,
            kafka_controller: arguments.ports.kafka_controller_port,
            registry: arguments.ports.registry_port,
        },
        short_lived: false,
    }
}

/// The settings, with the addresses of the stack's servers.
pub fn at(stack: &Stack, settings: Settings) -> Settings {
    let addresses = stack.addresses();
    settings.with_servers(&addresses.postgres_url, &addresses.kafka_bootstrap, &addresses.registry_url)
}

/// The services of a log: one of each, and a projector for each of its read models.
pub fn services_of(log: &Log, flags: &[String]) -> StackServices {
    let projectors = log.projectors();
    let read_models: Vec<&str> = projectors.iter().map(|projector| projector.name()).collect();
    StackServices::new(flags, &read_models)
}

/// Creates tables and topics, and registers the schemas.
///
/// # Errors
/// When a server refuses or does not answer.
pub async fn prepare(logs: &Logs, settings: &Settings) -> anyhow::Result<()> {
    migrate(logs, settings).await?;
    register(logs, settings).await?;
    Ok(())
}

/// Quotes a value for a POSIX shell.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

fn stopped_text(down: &Down) -> String {
    if down.stopped.is_empty() {
        return format!("nothing of {} was running", down.data_dir);
    }
    let lines = down.stopped.iter().map(|process| {
        let how = if process.forced { " (by force)" } else { "" };
        format!("stopped {} (pid {}){how}", process.name, process.pid)
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn text(up: &Up, folder_was_given: bool) -> String {
    let servers = [("postgres", &up.postgres), ("kafka", &up.kafka), ("registry", &up.registry)];
    let servers = servers.map(|(name, address)| (name, address.clone()));
    let services = up.services.iter();
    let services =
        services.map(|service| (service.name.as_str(), format!("http://127.0.0.1:{}/metrics", service.http_port)));
    let all: Vec<_> = servers.into_iter().chain(services).collect();
    let width = all.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut lines: Vec<_> = all.iter().map(|(name, address)| format!("{name:<width$}  {address}")).collect();
    let folder = if folder_was_given { format!(" --data-dir {}", up.data_dir) } else { String::new() };
    lines.push(format!("\nfor your shell: eval \"$(millrace env{folder})\"; to stop: millrace down{folder}"));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_a_folder_with_a_quote_back_as_it_is() {
        assert_eq!(quoted("/data/it's"), r"'/data/it'\''s'");
    }
}
