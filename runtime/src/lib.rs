//! The parts that every Millrace process shares: settings, telemetry, metrics and health, shutdown, retries, connections
//! to Postgres and Kafka. Nothing here knows of logs, events or read models.
//!
//! A service in outline:
//!
//! ```no_run
//! use millrace_runtime::{Health, Overrides, Settings, declare_service, init_telemetry, on_signal, serve, trace};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let settings = Settings::load(None, &Overrides::default())?;
//! init_telemetry("writer", &settings)?;
//! declare_service("writer", &["open the log"]);
//! let (health, shutdown) = (Health::default(), on_signal()?);
//! if let Some(address) = settings.http_address {
//!     serve(address, health.clone(), shutdown.clone()).await?;
//! }
//! // … work until `shutdown`, beating `health` …
//! trace::end().await;
//! # Ok(())
//! # }
//! ```

pub mod kafka;
mod metrics;
mod otlp;
pub mod postgres;
mod retry;
mod service;
mod settings;
mod settings_error;
mod shutdown;
mod startup;
mod telemetry;
pub mod trace;
mod traceparent;

pub use metrics::{declare_service, show};
pub use retry::{Backoff, Stopped, backoff, count_retry, retry};
pub use service::{Health, Trouble, serve};
pub use settings::{Overrides, Settings};
pub use settings_error::SettingsError;
pub use shutdown::{Shutdown, on_signal};
pub use startup::{NeededTopic, ServiceError, Startup};
pub use telemetry::init_telemetry;
