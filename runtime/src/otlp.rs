//! Exporting spans: OTLP over HTTP, in batches, from a bounded queue on a thread of its own.
//!
//! While the collector does not answer, spans are dropped and nothing waits for it. The log says once that it does not
//! answer, and once that it answers again.

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::KeyValue;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider};
use tokio::runtime::Handle;

use crate::SettingsError;

/// Most spans that wait, of about 1 KiB each; more are dropped.
const QUEUE: usize = 8192;
/// Most spans in a request.
const BATCH: usize = 512;
/// Longest that a span waits for others to share its request.
const LINGER: Duration = Duration::from_secs(1);
/// A request that takes longer has failed.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Exports the spans of `service` to the collector at `endpoint`. Call inside a tokio runtime.
///
/// # Errors
/// When `endpoint`, or one of OpenTelemetry's own variables that the exporter reads, can't be used.
pub(crate) fn export(service: &str, endpoint: &str) -> Result<SdkTracerProvider, SettingsError> {
    let unusable = |error: &dyn Error| SettingsError::OutOfRange(format!("otlp_endpoint can't be used: {error}"));
    let client = reqwest::Client::builder().timeout(TIMEOUT).build().map_err(|error| unusable(&error))?;
    let collector = Collector {
        endpoint: endpoint.to_owned(),
        client,
        runtime: Handle::current(),
        failing: AtomicBool::new(false),
    };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(collector)
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .with_timeout(TIMEOUT)
        .build();
    let queue = BatchConfigBuilder::default()
        .with_max_queue_size(QUEUE)
        .with_max_export_batch_size(BATCH)
        .with_scheduled_delay(LINGER)
        .build();
    let exporter = exporter.map_err(|error| unusable(&error))?;
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let resource = Resource::builder().with_service_name(format!("millrace-{service}")).with_attribute(version);
    Ok(SdkTracerProvider::builder()
        .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(queue).build())
        .with_sampler(Sampler::AlwaysOn) // the sender of a command has decided
        .with_resource(resource.build())
        .build())
}

/// opentelemetry-http's client with a memory of whether it worked.
#[derive(Debug)]
struct Collector {
    endpoint: String,
    client: reqwest::Client,
    /// Sends for the exporter, whose thread has no runtime.
    runtime: Handle,
    failing: AtomicBool,
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sent = self.runtime.spawn(async move { client.send_bytes(request).await }).await?;
        match &sent {
            Ok(response) if response.status().is_success() => self.works(),
            Ok(response) => self.fails(&response.status().to_string()),
            Err(error) => self.fails(&in_full(error.as_ref())),
        }
        sent
    }
}

impl Collector {
    fn works(&self) {
        if self.failing.swap(false, Ordering::Relaxed) {
            tracing::info!(endpoint = self.endpoint, "spans are exported again");
        }
    }

    fn fails(&self, error: &str) {
        if !self.failing.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                endpoint = self.endpoint,
                error,
                "spans can't be exported, and are dropped until they can; is the OTLP collector (HTTP, usually port \
                 4318) there?"
            );
        }
    }
}

/// The error and its causes: reqwest's own text names only the address.
fn in_full(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
