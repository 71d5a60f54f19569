//! The `traceparent` header of W3C Trace Context (<https://www.w3.org/TR/trace-context/#traceparent-header>).

use std::fmt;
use std::str::FromStr;

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

/// A valid `traceparent`: the trace and the span in which a record was sent.
///
/// Headers of later versions are read as far as version 00 goes, and shown as version 00: so the recommendation has it.
///
/// ```
/// use millrace_runtime::trace::Traceparent;
///
/// let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// assert_eq!(header.parse::<Traceparent>()?.to_string(), header);
/// assert!("garbage".parse::<Traceparent>().is_err());
/// # Ok::<(), millrace_runtime::trace::ParseTraceparentError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traceparent(SpanContext);

/// A text is not a `traceparent` of W3C Trace Context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a traceparent as W3C Trace Context defines it")]
pub struct ParseTraceparentError;

impl Traceparent {
    pub(crate) fn into_context(self) -> SpanContext {
        self.0
    }
}

impl FromStr for Traceparent {
    type Err = ParseTraceparentError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).map(Self).ok_or(ParseTraceparentError)
    }
}

impl fmt::Display for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let context = &self.0;
        write!(f, "00-{}-{}-{:02x}", context.trace_id(), context.span_id(), context.trace_flags())
    }
}

/// Version, trace id, parent id and flags in lower-case hex. A later version may have more fields after them.
fn parse(traceparent: &str) -> Option<SpanContext> {
    let mut fields = traceparent.split('-');
    let mut next = |digits| fields.next().filter(|field| is_hex(field, digits));
    let (version, trace, span, flags) = (next(2)?, next(32)?, next(16)?, next(2)?);
    if version == "ff" || (version == "00" && fields.next().is_some()) {
        return None;
    }
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?);
    // of a later version's flags only this one is known
    let flags = if version == "00" { flags } else { flags & TraceFlags::SAMPLED };
    Some(SpanContext::new(trace, span, flags, true, TraceState::default())).filter(SpanContext::is_valid)
}

fn is_hex(field: &str, digits: usize) -> bool {
    field.len() == digits && field.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    fn shown(header: &str) -> Option<String> {
        header.parse::<Traceparent>().ok().map(|traceparent| traceparent.to_string())
    }

    #[test]
    fn version_00_is_shown_as_it_came() {
        for flags in ["00", "01", "03"] {
            let header = format!("00-{TRACE}-{SPAN}-{flags}");
            assert_eq!(shown(&header), Some(header));
        }
    }

    // Millrace once refused versions after 00 in one place and took them in another. The recommendation decides (section
    // "Versioning of traceparent"): read a later version as far as 00 goes, and pass it on as 00.
    #[test]
    fn a_later_version_is_passed_on_as_00() {
        for (header, flags) in [
            (format!("01-{TRACE}-{SPAN}-01"), "01"),
            (format!("cc-{TRACE}-{SPAN}-01-what-comes-later"), "01"),
            (format!("cc-{TRACE}-{SPAN}-01-"), "01"),
            (format!("01-{TRACE}-{SPAN}-fe"), "00"),
        ] {
            assert_eq!(shown(&header), Some(format!("00-{TRACE}-{SPAN}-{flags}")), "{header}");
        }
    }

    #[test]
    fn anything_else_is_not_a_traceparent() {
        for header in [
            String::new(),
            "garbage".to_owned(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-01-"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("01-{TRACE}-{SPAN}-01more"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-+7ad6b7169203331-01"),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{}-{SPAN}-01", "0".repeat(32)),
        ] {
            assert_eq!(shown(&header), None, "{header:?}");
        }
    }

    #[test]
    fn the_span_it_names_is_remote() {
        let context = format!("00-{TRACE}-{SPAN}-01").parse::<Traceparent>().unwrap().into_context();
        assert_eq!((context.trace_id().to_string(), context.is_remote()), (TRACE.to_owned(), true));
    }
}
