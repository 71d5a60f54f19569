//! `millrace stream show ID`

use std::process::ExitCode;

use millrace_runtime::{Settings, postgres};
use millrace_schemas::{LogName, StreamId};
use millrace_store::Log;
use serde::Serialize;

use crate::cli::StreamAction;
use crate::events::PrintedEvent;
use crate::exit::NO;
use crate::output::Output;

/// Most events to read at once.
const PAGE: i64 = 200;

/// A stream as JSON.
#[derive(Serialize)]
struct PrintedStream {
    stream_id: StreamId,
    events: Vec<PrintedEvent>,
}

/// Runs the command. The answer is no when the stream does not exist. JSON is one value, so this collects all events
/// first; it prints text page by page, until the reader has left.
pub async fn run(settings: &Settings, action: StreamAction, output: Output) -> anyhow::Result<ExitCode> {
    let StreamAction::Show { id, version } = action;
    let stream_id: StreamId = id.parse()?;
    let name: LogName = settings.log.parse()?;
    let pool = postgres::pool(settings.postgres_url()?, name.as_str(), 1)?;
    let client = postgres::connect(&pool, settings.postgres_url()?).await?;
    let log = Log::open(&client, name).await?;
    let (last, mut after) = (version.unwrap_or(i64::MAX), 0);
    let mut collected = Vec::new();
    let mut is_empty = true;
    while after < last {
        let page = log.read_stream(&client, stream_id.as_str(), after, PAGE.min(last - after)).await?;
        let Some(end) = page.last().map(|event| event.version) else { break };
        (after, is_empty) = (end, false);
        let printed = page.into_iter().map(PrintedEvent::from);
        match output {
            Output::Json => collected.extend(printed),
            Output::Text => {
                for event in printed {
                    if !output.print_line(&event, text)? {
                        return Ok(ExitCode::SUCCESS);
                    }
                }
            }
        }
    }
    if is_empty {
        eprintln!("millrace: log {} has no stream {stream_id}", settings.log);
        return Ok(ExitCode::from(NO));
    }
    if output == Output::Json {
        output.print(&PrintedStream { stream_id, events: collected }, |_| String::new())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Two lines: what happened; when, where and on whose behalf.
fn text(event: &PrintedEvent) -> String {
    let PrintedEvent { version, r#type, recorded_at, partition, position, .. } = event;
    let first = format!("{version:>6}  {:<16} {}", r#type, event.data_line());
    let second = format!("        {recorded_at}  {partition}@{position}  {}", event.origin());
    format!("{first}\n{}", second.trim_end())
}
