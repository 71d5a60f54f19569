//! Spans of a batch, for the commands whose senders trace them.

use std::time::Instant;

use millrace_runtime::trace::{Attribute, Parent};
use millrace_store::{Append, Log, Verdict};

/// When a batch was decided and appended.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// The states began to be loaded.
    pub decide: Instant,
    /// All was decided.
    pub append: Instant,
}

/// Records `decide` and `append` of each command. Call when the batch is committed.
pub fn record(log: &Log, times: Times, appends: &[Append], verdicts: &[Verdict]) {
    let committed = Instant::now();
    for (append, verdict) in appends.iter().zip(verdicts) {
        let Some(parent) = Parent::of(append.metadata.traceparent.as_deref()) else { continue };
        parent.record("decide", times.decide, times.append, of_command(log, append));
        parent.record("append", times.append, committed, of_command(log, append).into_iter().chain(became(verdict)));
    }
}

fn of_command(log: &Log, append: &Append) -> [Attribute; 4] {
    [
        ("millrace.log", Some(log.name().to_string().into())),
        ("millrace.command_id", Some(append.command_id.clone().into())),
        ("millrace.correlation_id", append.metadata.correlation_id.clone().map(Into::into)),
        ("millrace.stream_id", append.checks.first().map(|check| check.stream.to_string().into())),
    ]
}

/// What became of it, and where its events stand.
fn became(verdict: &Verdict) -> [Attribute; 3] {
    let (verdict, outcome) = match verdict {
        Verdict::Committed(outcome) => ("committed", Some(outcome)),
        Verdict::Duplicate(outcome) => ("duplicate", Some(outcome)),
        Verdict::Stale { .. } => ("stale", None),
    };
    [
        ("millrace.verdict", Some(verdict.into())),
        ("millrace.outcome", outcome.map(|outcome| outcome.outcome.as_str().into())),
        ("millrace.token", outcome.and_then(|outcome| outcome.token.clone()).map(Into::into)),
    ]
}
