//! The services, each in a process of its own.

use std::process::ExitCode;

use deadpool_postgres::PoolError;
use millrace_runtime::postgres::shown_address;
use millrace_runtime::{Health, Overrides, Settings, Shutdown, declare_service, init_telemetry, on_signal, serve};
use millrace_writer::Ledger;

use crate::cli::{MonitorArguments, ServiceArguments, SettingsArguments};
use crate::exit::Usage;
use crate::monitor;

/// What each service may have to try again.
const WRITER: &[&str] =
    &["open the log", "resolve schemas", "look at the topics", "read a command", "append", "tell outcomes"];
const RELAY: &[&str] =
    &["open the log", "resolve the schemas' ids", "look at the event topic", "read the log", "read the topic's tail"];
const PROJECTOR: &[&str] =
    &["ask the registry", "read the checkpoints", "read events", "apply", "ask for the first offset", "join the group"];

/// `millrace writer`
pub async fn writer(settings: &SettingsArguments, arguments: ServiceArguments) -> anyhow::Result<ExitCode> {
    let (settings, health, shutdown) = begin(settings, arguments, "writer", WRITER).await?;
    millrace_writer::run::<Ledger>(&settings, health, shutdown)
        .await
        .map_err(|error| with_place(&settings, error.into()))?;
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
    settings: &SettingsArguments,
    name: &str,
    arguments: ServiceArguments,
) -> anyhow::Result<ExitCode> {
    let (settings, health, shutdown) = begin(settings, arguments, name, PROJECTOR).await?;
    millrace_projectors::run(name, &settings, health, shutdown)
        .await
        .map_err(|error| with_place(&settings, error.into()))?;
    Ok(ExitCode::SUCCESS)
}

/// `millrace monitor`
pub async fn monitor(settings: &SettingsArguments, arguments: MonitorArguments) -> anyhow::Result<ExitCode> {
    let (settings, health, shutdown) = begin(settings, arguments.into(), "monitor", &[]).await?;
    monitor::run(&settings, health, shutdown).await?;
    Ok(ExitCode::SUCCESS)
}

/// The error that ended a service, with Postgres's address where Postgres gave no connection.
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
        let bound = bound.map_err(|error| Usage(format!("http_address {address} can't be had: {error}")))?;
        tracing::info!(address = %bound, "serving /metrics, /livez, /readyz");
    }
    Ok((settings, health, shutdown))
}
