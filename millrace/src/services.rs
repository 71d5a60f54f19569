//! The commands that run services, one in each process.

use std::process::ExitCode;

use anyhow::bail;
use deadpool_postgres::PoolError;
use millrace_projector_runner::{Ended, OPERATIONS, Projector};
use millrace_runtime::postgres::shown_address;
use millrace_runtime::{
    Health, Overrides, Settings, Shutdown, Stopped, declare_service, init_telemetry, on_signal, serve,
};
use millrace_sql_projector::SqlProjector;

use crate::cli::{MonitorArguments, ServiceArguments, SettingsArguments};
use crate::exit::Usage;
use crate::logs::{Log, Logs};
use crate::{monitor, projector};

/// The steps that a writer and a relay retry, by the names in their metrics.
const WRITER: &[&str] = &[
    "open the log",
    "read the definition",
    "resolve schemas",
    "number schemas",
    "take up a definition",
    "look at the topics",
    "append",
    "tell outcomes",
];
const RELAY: &[&str] = &["open the log", "look at the topics", "read the log", "read the topic's tail"];

/// `millrace writer`
pub async fn writer(
    logs: &Logs,
    settings: &SettingsArguments,
    arguments: ServiceArguments,
) -> anyhow::Result<ExitCode> {
    let (settings, health, shutdown) = begin(settings, arguments, "writer", WRITER).await?;
    let log = match logs.wait_for(&settings, &health, &shutdown).await {
        Ok(log) => log,
        Err(stopped) => return stopped.as_result().map(|()| ExitCode::SUCCESS),
    };
    let written = log.write(settings.clone(), health, shutdown).await;
    written.map_err(|error| with_place(&settings, error.into()))?;
    Ok(ExitCode::SUCCESS)
}

/// `millrace relay`
pub async fn relay(settings: &SettingsArguments, arguments: ServiceArguments) -> anyhow::Result<ExitCode> {
    let (settings, health, shutdown) = begin(settings, arguments, "relay", RELAY).await?;
    millrace_relay::run(&settings, health, shutdown).await.map_err(|error| with_place(&settings, error.into()))?;
    Ok(ExitCode::SUCCESS)
}

/// `millrace projector NAME`
pub async fn projector(
    logs: &Logs,
    settings: &SettingsArguments,
    name: &str,
    arguments: ServiceArguments,
) -> anyhow::Result<ExitCode> {
    let log_of_flag = settings.log.clone();
    let (mut settings, health, shutdown) =
        begin(settings, arguments, name, &[OPERATIONS, &["read the definition"]].concat()).await?;
    loop {
        let projector = match choose(logs, &mut settings, &health, &shutdown, name, log_of_flag.clone()).await {
            Ok(projector) => projector,
            Err(stopped) => return stopped.as_result().map(|()| ExitCode::SUCCESS),
        };
        let ran = millrace_projector_runner::run(projector, &settings, health.clone(), shutdown.clone()).await;
        match ran.map_err(|error| with_place(&settings, error.into()))? {
            Ended::Shutdown => return Ok(ExitCode::SUCCESS),
            // one in SQL may do something else by now
            Ended::Superseded => {}
        }
    }
}

/// `millrace monitor`
pub async fn monitor(
    logs: &Logs,
    settings: &SettingsArguments,
    arguments: MonitorArguments,
) -> anyhow::Result<ExitCode> {
    let (settings, health, shutdown) = begin(settings, arguments.into(), "monitor", &[]).await?;
    monitor::run(logs, &settings, health, shutdown).await?;
    Ok(ExitCode::SUCCESS)
}

/// The projector of that name: of this program, or in SQL. One in SQL says which log it reads, which then is the log of
/// the settings.
async fn choose(
    logs: &Logs,
    settings: &mut Settings,
    health: &Health,
    shutdown: &Shutdown,
    name: &str,
    log_of_flag: Option<String>,
) -> Result<Box<dyn Projector>, Stopped<anyhow::Error>> {
    let failed = |error: anyhow::Error| Stopped::Failed(error);
    if !logs.has_projector(name)
        && let Some(stored) = projector::wait_for(settings, health, shutdown, name).await?
    {
        let log = stored.log.as_str();
        if let Some(other) = log_of_flag.filter(|other| other != log) {
            let wrong = format!("the projector {name} reads log {log}, not {other}: leave out --log");
            return Err(failed(Usage(wrong).into()));
        }
        log.clone_into(&mut settings.log);
        return Ok(Box::new(SqlProjector::new(&stored).map_err(|error| failed(error.into()))?));
    }
    let log = logs.wait_for(settings, health, shutdown).await?;
    let in_sql =
        if logs.has_projector(name) { Vec::new() } else { projector::all_in_sql(settings).await.map_err(failed)? };
    find(&log, name, &in_sql).map_err(failed)
}

fn find(log: &Log, name: &str, in_sql: &[String]) -> anyhow::Result<Box<dyn Projector>> {
    let mut projectors = log.projectors();
    let Some(index) = projectors.iter().position(|projector| projector.name() == name) else {
        let known = projectors.iter().map(|projector| projector.name());
        let known: Vec<&str> = known.chain(in_sql.iter().map(String::as_str)).collect();
        let name: String = name.chars().take(100).collect();
        bail!(Usage(format!("there is no projector {name:?}; there are {}", known.join(", "))));
    };
    Ok(projectors.swap_remove(index))
}

/// Adds Postgres' address to an error, if the service got no connection to Postgres.
fn with_place(settings: &Settings, error: anyhow::Error) -> anyhow::Error {
    match settings.postgres_url() {
        Ok(url) if error.chain().any(|cause| cause.is::<PoolError>()) => {
            error.context(format!("Postgres at {}", shown_address(url)))
        }
        _ => error,
    }
}

async fn begin(
    settings: &SettingsArguments,
    arguments: ServiceArguments,
    service: &str,
    operations: &[&str],
) -> anyhow::Result<(Settings, Health, Shutdown)> {
    let settings = settings.load_with(Overrides::from(arguments))?;
    init_telemetry(service, &settings)?;
    declare_service(service, operations);
    let shutdown = on_signal()?;
    let health = Health::default();
    if let Some(address) = settings.http_address {
        let bound = serve(address, health.clone(), shutdown.clone()).await;
        let bound = bound.map_err(|error| Usage(format!("can't listen on http_address {address}: {error}")))?;
        tracing::info!(address = %bound, "serving /metrics, /livez, /readyz");
    }
    Ok((settings, health, shutdown))
}
