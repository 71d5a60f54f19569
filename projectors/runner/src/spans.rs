//! Spans of a batch, for the events of commands whose senders trace them.

use std::time::Instant;

use millrace_runtime::trace::Parent;
use millrace_schemas::LogName;

use crate::Event;

/// Records `apply` of each event, from `began` on. Call when the batch is committed.
pub(crate) fn record(log: &LogName, projector: &'static str, events: &[Event], began: Instant) {
    let committed = Instant::now();
    for event in events {
        let Some(parent) = Parent::of(event.metadata.traceparent.as_deref()) else { continue };
        let attributes = [
            ("millrace.log", Some(log.to_string().into())),
            ("millrace.projector", Some(projector.into())),
            ("millrace.partition", Some(i64::from(event.partition).into())),
            ("millrace.position", Some(event.position.into())),
            ("millrace.stream_id", Some(event.stream_id.to_string().into())),
            ("millrace.command_id", event.metadata.causation_id.clone().map(Into::into)),
            ("millrace.correlation_id", event.metadata.correlation_id.clone().map(Into::into)),
        ];
        parent.record("apply", began, committed, attributes);
    }
}
