//! Spans for commands whose sender traces them.
//!
//! They are made after the fact, from times that a batch has anyway: a command that nobody traces costs a look at an
//! `Option`. Promises: making a span never blocks. Not promised: that every span arrives; spans that the exporter has no
//! room for are dropped.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::trace::{Span as _, SpanBuilder, SpanContext, TraceContextExt, Tracer as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

pub use crate::traceparent::{ParseTraceparentError, Traceparent};

/// How long sending the last spans may take.
const FLUSH: Duration = Duration::from_secs(2);

static EXPORT: OnceLock<Export> = OnceLock::new();

struct Export {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

/// From now on spans are made, and go to `provider`.
pub(crate) fn begin(provider: SdkTracerProvider) {
    let tracer = provider.tracer("millrace");
    // a process begins once; a second time changes nothing
    let _ = EXPORT.set(Export { provider, tracer });
}

/// Sends the last spans off, for two seconds at most.
pub async fn end() {
    if let Some(export) = EXPORT.get() {
        // It blocks while this runtime sends. Where it fails, the exporter has said why.
        let _ = tokio::task::spawn_blocking(|| export.provider.shutdown_with_timeout(FLUSH)).await;
    }
}

/// A span attribute: its name, and its value if it has one.
pub type Attribute = (&'static str, Option<Value>);

/// The span in which a command was sent: the parent of the spans that Millrace makes for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent(SpanContext);

impl Parent {
    /// Reads a `traceparent` header. `None` where spans are not exported, the header is not valid, or the sender does not
    /// record the trace.
    pub fn of(traceparent: Option<&str>) -> Option<Self> {
        let traceparent = traceparent?;
        EXPORT.get()?; // first, because it spares the parsing where nobody collects spans
        let context = traceparent.parse::<Traceparent>().ok()?.into_context();
        context.is_sampled().then_some(Self(context))
    }

    /// Records work that was done for the command from `from` to `to`. Attributes without a value are left out.
    pub fn record(
        &self,
        name: &'static str,
        from: Instant,
        to: Instant,
        attributes: impl IntoIterator<Item = Attribute>,
    ) {
        let Some(Export { tracer, .. }) = EXPORT.get() else { return };
        let attributes = attributes.into_iter().filter_map(|(key, value)| Some(KeyValue::new(key, value?)));
        let span = SpanBuilder::from_name(name).with_start_time(on_the_clock(from)).with_attributes(attributes);
        let parent = Context::new().with_remote_span_context(self.0.clone());
        tracer.build_with_context(span, &parent).end_with_timestamp(on_the_clock(to));
    }
}

/// The wall clock's time at `instant`.
fn on_the_clock(instant: Instant) -> SystemTime {
    SystemTime::now() - instant.elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_traced_while_spans_are_not_exported() {
        assert_eq!(Parent::of(Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")), None);
    }
}
