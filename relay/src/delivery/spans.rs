//! Spans of a batch, for the events of commands whose senders trace them.

use std::time::Instant;

use millrace_runtime::trace::{Attribute, Parent};
use millrace_schemas::RecordedEvent;

/// An event in flight whose publication is to be recorded.
#[derive(Debug)]
pub(crate) struct Traced {
    parent: Parent,
    attributes: [Attribute; 5],
}

impl Traced {
    /// `None` where the command's sender does not trace it.
    pub(crate) fn from_event(event: &RecordedEvent) -> Option<Self> {
        let parent = Parent::of(event.metadata.traceparent.as_deref())?;
        let attributes = [
            ("millrace.partition", Some(i64::from(event.partition).into())),
            ("millrace.position", Some(event.position.into())),
            ("millrace.stream_id", Some(event.stream_id.to_string().into())),
            ("millrace.command_id", event.metadata.causation_id.clone().map(Into::into)),
            ("millrace.correlation_id", event.metadata.correlation_id.clone().map(Into::into)),
        ];
        Some(Self { parent, attributes })
    }

    /// Records that Kafka has the event, which was handed to the producer at `sent`.
    pub(crate) fn published(&self, log: &str, sent: Instant) {
        let log = ("millrace.log", Some(log.to_owned().into()));
        self.parent.record("publish", sent, Instant::now(), self.attributes.clone().into_iter().chain([log]));
    }
}
