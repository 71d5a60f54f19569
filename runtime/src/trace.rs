//! Spans for commands whose sender traces them.
//!
//! They are made after the fact, from times that a batch has anyway: what nobody traces costs a look at an `Option`.
//! Promises: a span never waits. Not promised: that every span arrives; what the exporter has no room for is dropped.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer as _,
    TracerProvider as _,
};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

/// How long the last spans may take on their way out.
const FLUSH: Duration = Duration::from_secs(2);

static EXPORT: OnceLock<Export> = OnceLock::new();

struct Export {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

/// From here on spans are made, and go to `provider`.
pub(crate) fn begin(provider: SdkTracerProvider) {
    let tracer = provider.tracer("millrace");
    // a process begins once; a second time changes nothing
    let _ = EXPORT.set(Export { provider, tracer });
}

/// Sends the last spans off, for two seconds at most.
pub async fn end() {
    if let Some(export) = EXPORT.get() {
        // it blocks, while this runtime sends; the exporter has told what is wrong with the collector
        let _ = tokio::task::spawn_blocking(|| export.provider.shutdown_with_timeout(FLUSH)).await;
    }
}

/// A name and a value, if there is one.
pub type Attribute = (&'static str, Option<Value>);

/// The span in which a command was sent: the parent of the spans that it gets here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent(SpanContext);

impl Parent {
    /// Reads a `traceparent` header. None where spans are not exported, or the sender does not record the trace.
    pub fn of(traceparent: Option<&str>) -> Option<Self> {
        let traceparent = traceparent?;
        EXPORT.get()?;
        parse(traceparent).filter(SpanContext::is_sampled).map(Self)
    }

    /// Records what was done for the command from `from` to `to`. Attributes without a value are left out.
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

/// What time it was then.
fn on_the_clock(instant: Instant) -> SystemTime {
    SystemTime::now() - instant.elapsed()
}

/// W3C Trace Context: version, trace id, parent id and flags in lower-case hex. A later version may have more behind.
fn parse(traceparent: &str) -> Option<SpanContext> {
    let mut fields = traceparent.split('-');
    let mut next = |digits| fields.next().filter(|field| is_hex(field, digits));
    let (version, trace, span, flags) = (next(2)?, next(32)?, next(16)?, next(2)?);
    if version == "ff" || (version == "00" && fields.next().is_some()) {
        return None;
    }
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?);
    Some(SpanContext::new(trace, span, flags, true, TraceState::default())).filter(SpanContext::is_valid)
}

fn is_hex(field: &str, digits: usize) -> bool {
    field.len() == digits && field.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

    #[test]
    fn a_traceparent_is_read_as_w3c_has_it() {
        let sampled = |text: &str| parse(text).map(|context| context.is_sampled());
        for (traceparent, expected) in [
            (format!("00-{TRACE}-b7ad6b7169203331-01"), Some(true)),
            (format!("00-{TRACE}-b7ad6b7169203331-03"), Some(true)),
            (format!("00-{TRACE}-b7ad6b7169203331-00"), Some(false)),
            (format!("cc-{TRACE}-b7ad6b7169203331-01-what-comes-later"), Some(true)),
            (format!("00-{TRACE}-b7ad6b7169203331-01-"), None),
            (format!("ff-{TRACE}-b7ad6b7169203331-01"), None),
            (format!("00-{}-b7ad6b7169203331-01", TRACE.to_uppercase()), None),
            (format!("00-{TRACE}-+7ad6b7169203331-01"), None),
            (format!("00-{TRACE}-0000000000000000-01"), None),
            (format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)), None),
            (format!("00-{TRACE}-b7ad6b7169203331"), None),
            (String::new(), None),
        ] {
            assert_eq!(sampled(&traceparent), expected, "{traceparent:?}");
        }
        let context = parse(&format!("00-{TRACE}-b7ad6b7169203331-01")).unwrap();
        assert_eq!((context.trace_id().to_string(), context.is_remote()), (TRACE.to_owned(), true));
    }

    #[test]
    fn nothing_is_traced_while_spans_are_not_exported() {
        assert_eq!(Parent::of(Some(&format!("00-{TRACE}-b7ad6b7169203331-01"))), None);
    }
}
