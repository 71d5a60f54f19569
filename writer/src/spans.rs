//! Spans of a batch, for the commands whose senders trace them.

use std::time::Instant;

use millrace_runtime::trace::{Attribute, Parent};
use millrace_schemas::{Metadata, Outcome};
use millrace_store::Log;

/// When a batch was decided and appended.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// When the writer began to load states.
    pub decide: Instant,
    /// When it had decided the whole batch.
    pub append: Instant,
}

/// Records the spans `decide` and `append` of a command, if it has a trace. Call it when the batch is committed.
pub fn record(log: &Log, times: Times, command_id: &str, metadata: &Metadata, outcome: &Outcome) {
    let Some(parent) = Parent::of(metadata.traceparent.as_deref()) else { return };
    let command: [Attribute; 4] = [
        ("millrace.log", Some(log.name().to_string().into())),
        ("millrace.command_id", Some(command_id.to_owned().into())),
        ("millrace.correlation_id", metadata.correlation_id.clone().map(Into::into)),
        ("millrace.stream_id", outcome.streams.first().map(|stream| stream.stream_id.clone().into())),
    ];
    let became: [Attribute; 3] = [
        ("millrace.verdict", Some("committed".into())),
        ("millrace.outcome", Some(outcome.outcome.as_str().into())),
        ("millrace.token", outcome.token.clone().map(Into::into)),
    ];
    parent.record("decide", times.decide, times.append, command.clone());
    parent.record("append", times.append, Instant::now(), command.into_iter().chain(became));
}
