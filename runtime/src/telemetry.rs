//! The process's own log, and its spans.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::settings::LogFormat;
use crate::{Settings, SettingsError, otlp, trace};

/// Sends `tracing` to standard error, from `info` up unless `RUST_LOG` says otherwise, and spans to the OTLP collector
/// if the settings name one, as those of `millrace-<service>`. Call once per process, inside a tokio runtime.
///
/// # Errors
/// When the exporter refuses the settings.
pub fn init_telemetry(service: &str, settings: &Settings) -> Result<(), SettingsError> {
    init_log(settings.log_format);
    if let Some(endpoint) = &settings.otlp_endpoint {
        trace::begin(otlp::export(service, endpoint)?);
    }
    Ok(())
}

/// The pool of connections logs "db error" when one breaks; whoever uses the connection then says what happened.
const DEFAULT: &str = "info,librdkafka=off,rdkafka=off,tokio_postgres=warn,deadpool.postgres=off";

fn init_log(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match format {
        LogFormat::Text => registry.with(layer.with_ansi(std::io::stderr().is_terminal())).init(),
        LogFormat::Json => registry.with(layer.json()).init(),
    }
}
