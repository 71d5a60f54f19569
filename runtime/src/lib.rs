//! What every Millrace process is made of: settings, telemetry, metrics and health, shutdown, retries, connections to
//! Postgres and Kafka. Nothing here knows of logs, events or read models.

pub mod kafka;
mod metrics;
mod otlp;
pub mod postgres;
mod retry;
mod service;
mod settings;
mod settings_error;
mod shutdown;
mod telemetry;
pub mod trace;

pub use metrics::{declare_service, show};
pub use retry::{Stopped, retry};
pub use service::{Health, Trouble, serve};
pub use settings::{Overrides, Settings};
pub use settings_error::SettingsError;
pub use shutdown::{Shutdown, on_signal};
pub use telemetry::init_telemetry;
