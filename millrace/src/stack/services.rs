//! Starting the stack's services, and waiting until each is ready.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use millrace_compose::{Progress, ServiceStart, Stack};
use serde::Serialize;

use super::service_ports::{check_free, check_ports, service_ports};

/// The services of a stack: name, and the arguments that start it.
const SERVICES: &[(&str, &[&str])] = &[
    ("writer", &["writer"]),
    ("relay", &["relay"]),
    ("reporting", &["projector", "reporting"]),
    ("search", &["projector", "search"]),
    ("monitor", &["monitor"]),
];

/// How long a service may take until it is ready.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is asked.
const LOOK: Duration = Duration::from_millis(50);
/// How often it is looked whether services still run.
const WATCH: Duration = Duration::from_secs(1);
/// How much of a dead service's log is shown.
const TAIL_LINES: usize = 20;

/// A service that runs.
#[derive(Debug, Clone, Serialize)]
pub struct RunningService {
    /// Its name.
    pub name: String,
    /// Its process.
    pub pid: u32,
    /// Where it serves metrics and health, on 127.0.0.1.
    pub http_port: u16,
}

/// Starts those of the stack's services that do not run, each with `flags`, and waits until all are ready.
///
/// # Errors
/// When a port is taken, or a service ends or does not get ready; shows the end of its log.
pub async fn start_services(
    stack: &Stack,
    flags: &[String],
    http_port: Option<u16>,
    progress: &dyn Progress,
) -> anyhow::Result<Vec<RunningService>> {
    let ports = service_ports(stack, &names(), http_port)?;
    let mut started = Vec::new();
    for (name, arguments) in SERVICES {
        let arguments: Vec<&str> = arguments.iter().copied().chain(flags.iter().map(String::as_str)).collect();
        let port = *ports.get(*name).with_context(|| format!("services.json has no port for {name}"))?;
        let pid = start(stack, name, &arguments, port).await?;
        started.push(RunningService { name: (*name).to_owned(), pid, http_port: port });
    }
    for service in &started {
        wait_until_ready(stack, service).await?;
        progress.line(&format!("{}: ready", service.name));
    }
    Ok(started)
}

/// Checks, before anything is started, that the services can have their ports.
///
/// # Errors
/// When they can't.
pub fn check_service_ports(data_dir: &Path, http_port: Option<u16>) -> anyhow::Result<()> {
    check_ports(data_dir, &names(), http_port)
}

fn names() -> Vec<&'static str> {
    SERVICES.iter().map(|(name, _)| *name).collect()
}

async fn start(stack: &Stack, name: &str, arguments: &[&str], port: u16) -> anyhow::Result<u32> {
    if !stack.running().iter().any(|process| process.name == name) {
        check_free(name, port)?;
    }
    let program = std::env::current_exe().context("the millrace program can't be found")?;
    let address = format!("127.0.0.1:{port}");
    let arguments = arguments.iter().copied().chain(["--http-address", &address]);
    let arguments: Vec<String> = arguments.map(str::to_owned).collect();
    let addresses = stack.addresses();
    let environment = [
        ("MILLRACE_POSTGRES_URL", &addresses.postgres_url),
        ("MILLRACE_KAFKA_BOOTSTRAP", &addresses.kafka_bootstrap),
        ("MILLRACE_REGISTRY_URL", &addresses.registry_url),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.clone()));
    match stack.start_service(name, &program, &arguments, &environment).await? {
        ServiceStart::Started { pid } | ServiceStart::AlreadyRunning { pid } => Ok(pid),
    }
}

/// Returns when one of the services has ended by itself: an error that shows the end of its log.
pub async fn until_one_ends(stack: &Stack, services: &[RunningService]) -> anyhow::Error {
    loop {
        let running = stack.running();
        let ended = services.iter().find(|service| !running.iter().any(|process| process.pid == service.pid));
        if let Some(service) = ended {
            return anyhow::anyhow!("{} has ended. {}", service.name, tail(stack, &service.name));
        }
        tokio::time::sleep(WATCH).await;
    }
}

async fn wait_until_ready(stack: &Stack, service: &RunningService) -> anyhow::Result<()> {
    let url = format!("http://127.0.0.1:{}/readyz", service.http_port);
    let client = reqwest::Client::builder().timeout(Duration::from_secs(2)).no_proxy().build()?;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let answer = client.get(&url).send().await;
        if answer.is_ok_and(|response| response.status().is_success()) {
            return Ok(());
        }
        let alive = stack.running().iter().any(|process| process.pid == service.pid);
        if !alive {
            bail!("{} ended at once.\n{}", service.name, tail(stack, &service.name));
        }
        if tokio::time::Instant::now() > deadline {
            let seconds = PATIENCE.as_secs();
            bail!("{} is not ready after {seconds} s.\n{}", service.name, tail(stack, &service.name));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The end of a service's log.
fn tail(stack: &Stack, name: &str) -> String {
    let path = stack.log_file(name);
    let log = std::fs::read_to_string(&path).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    let last = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
    format!("The end of its log, {}:\n{last}", path.display())
}
