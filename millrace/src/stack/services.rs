//! Starts the stack's services, and waits until each is ready.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use millrace_compose::{Progress, ServiceStart, Stack};
use millrace_schemas::LogName;
use serde::Serialize;

use super::readiness::{log_tail, until_ready};
use super::service_ports::{check_free, check_ports, service_ports};

/// The services of a stack.
#[derive(Debug, Clone)]
pub struct StackServices(Vec<StackService>);

#[derive(Debug, Clone)]
struct StackService {
    /// Its log file has this name too.
    name: String,
    arguments: Vec<String>,
}

impl StackServices {
    /// The services of the log that `flags` name: one of each, and a projector for each of its read models.
    pub fn new(flags: &[String], read_models: &[&str]) -> Self {
        let mut services = Self(Vec::new());
        services.add("writer", &["writer"], flags);
        services.add("relay", &["relay"], flags);
        for read_model in read_models {
            services.add(read_model, &["projector", read_model], flags);
        }
        services.add("monitor", &["monitor"], flags);
        services
    }

    /// The same with the services of a described log, which get `flags` too, but for the log's name.
    #[must_use]
    pub fn with_log(mut self, log: &LogName, flags: &[String]) -> Self {
        let mut flags = flags.to_vec();
        if let Some(place) = flags.iter().position(|flag| flag == "--log") {
            flags.drain(place..(place + 2).min(flags.len()));
        }
        flags.extend(["--log".to_owned(), log.to_string()]);
        for service in ["writer", "relay", "monitor"] {
            self.add(&format!("{log}-{service}"), &[service], &flags);
        }
        self
    }

    fn add(&mut self, name: &str, command: &[&str], flags: &[String]) {
        let arguments = command.iter().map(ToString::to_string).chain(flags.iter().cloned()).collect();
        self.0.push(StackService { name: name.to_owned(), arguments });
    }

    fn names(&self) -> Vec<&str> {
        self.0.iter().map(|service| &*service.name).collect()
    }
}

/// How often to check that the services still run.
const WATCH: Duration = Duration::from_secs(1);

/// A service that runs.
#[derive(Debug, Clone, Serialize)]
pub struct RunningService {
    /// Such as `writer`; its log file has this name too.
    pub name: String,
    /// The id of its process.
    pub pid: u32,
    /// The port on 127.0.0.1 on which it serves metrics and health.
    pub http_port: u16,
}

/// Starts those of the services that do not run, and waits until all are ready.
///
/// # Errors
/// When a port is taken, or a service ends or does not get ready; the error shows the end of its log.
pub async fn start_services(
    stack: &Stack,
    services: &StackServices,
    http_port: Option<u16>,
    progress: &dyn Progress,
) -> anyhow::Result<Vec<RunningService>> {
    let ports = service_ports(stack, &services.names(), http_port)?;
    let mut started = Vec::new();
    for StackService { name, arguments } in &services.0 {
        let port = *ports.get(name).with_context(|| format!("services.json has no port for {name}"))?;
        let pid = start(stack, name, arguments, port).await?;
        started.push(RunningService { name: name.clone(), pid, http_port: port });
    }
    for service in &started {
        let is_alive = || stack.running().iter().any(|process| process.pid == service.pid);
        until_ready(&service.name, service.http_port, &stack.log_file(&service.name), is_alive).await?;
        progress.line(&format!("{}: ready", service.name));
    }
    Ok(started)
}

/// Checks, before anything starts, that the services' ports are free.
///
/// # Errors
/// When another program listens on one of them.
pub fn check_service_ports(data_dir: &Path, services: &StackServices, http_port: Option<u16>) -> anyhow::Result<()> {
    check_ports(data_dir, &services.names(), http_port)
}

async fn start(stack: &Stack, name: &str, arguments: &[String], port: u16) -> anyhow::Result<u32> {
    if !stack.running().iter().any(|process| process.name == name) {
        check_free(name, port)?;
    }
    let program = std::env::current_exe().context("the millrace program can't be found")?;
    let address = format!("127.0.0.1:{port}");
    let arguments: Vec<String> = arguments.iter().cloned().chain(["--http-address".to_owned(), address]).collect();
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

/// Waits until one of the services has ended by itself. Returns an error that shows the end of its log.
pub async fn until_one_ends(stack: &Stack, services: &[RunningService]) -> anyhow::Error {
    loop {
        let running = stack.running();
        let ended = services.iter().find(|service| !running.iter().any(|process| process.pid == service.pid));
        if let Some(service) = ended {
            return anyhow::anyhow!("{} has ended. {}", service.name, log_tail(&stack.log_file(&service.name)));
        }
        tokio::time::sleep(WATCH).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_services_of_an_added_log_have_the_same_settings_file() {
        let flags = ["--log", "ledger", "--config", "/etc/millrace.toml"].map(ToOwned::to_owned);
        let services = StackServices::new(&flags, &[]).with_log(&"orders".parse().unwrap(), &flags);
        let arguments = |name: &str| {
            let service = services.0.iter().find(|service| service.name == name).unwrap();
            service.arguments.join(" ")
        };
        assert_eq!(arguments("writer"), "writer --log ledger --config /etc/millrace.toml");
        for service in ["writer", "relay", "monitor"] {
            let expected = format!("{service} --config /etc/millrace.toml --log orders");
            assert_eq!(arguments(&format!("orders-{service}")), expected);
        }
    }
}
