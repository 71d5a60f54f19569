//! The way of spans out of the process: OTLP over HTTP, in batches, from a bounded queue on a thread of its own.
//!
//! A collector that does not answer is told of once. Meanwhile spans are dropped; nothing waits for it.

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

/// Most spans that wait; what comes then is dropped. About 1 KiB each.
const QUEUE: usize = 8192;
/// Most spans in a request.
const BATCH: usize = 512;
/// Longest that a span waits for others.
const LINGER: Duration = Duration::from_secs(1);
/// A request that takes longer has failed.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What takes the spans of `service` to the collector at `endpoint`. Call inside a tokio runtime.
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

/// The collector, by the HTTP client that all of Millrace uses.
#[derive(Debug)]
struct Collector {
    endpoint: String,
    client: reqwest::Client,
    /// The exporter's thread has no runtime of its own.
    runtime: Handle,
    failing: AtomicBool,
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sent = self.runtime.spawn(send(self.client.clone(), request)).await?;
        match &sent {
            Ok(response) if response.status().is_success() => self.works(),
            Ok(response) => self.fails(&response.status().to_string()),
            Err(error) => self.fails(&in_full(error)),
        }
        Ok(sent?)
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

async fn send(client: reqwest::Client, request: Request<Bytes>) -> Result<Response<Bytes>, reqwest::Error> {
    let answer = client.execute(request.try_into()?).await?;
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    *response.body_mut() = answer.bytes().await?;
    Ok(response)
}

/// The error and its causes: reqwest's own words say little.
fn in_full(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
