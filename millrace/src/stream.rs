//! `millrace stream show ID`

use std::fmt::Write;
use std::process::ExitCode;

use anyhow::Context;
use millrace_runtime::{Settings, postgres};
use millrace_schemas::StreamId;
use millrace_store::load;
use serde::Serialize;

use crate::cli::StreamAction;
use crate::exit::NO;
use crate::output::Output;

#[derive(Serialize)]
struct Shown {
    stream_id: StreamId,
    events: Vec<ShownEvent>,
}

#[derive(Serialize)]
struct ShownEvent {
    version: i64,
    r#type: String,
    data: serde_json::Value,
}

/// The command. Answers no when there is no such stream.
pub async fn run(settings: &Settings, action: StreamAction, output: Output) -> anyhow::Result<ExitCode> {
    let StreamAction::Show { id, version } = action;
    let stream_id: StreamId = id.parse()?;
    let pool = postgres::pool(settings.postgres_url()?, &settings.log, 1)?;
    let client = pool.get().await.context("Postgres does not answer")?;
    let mut events = Vec::new();
    load(&client, &[(stream_id.clone(), 0)], |event| {
        if version.is_none_or(|last| event.version <= last) {
            let data = serde_json::from_str(event.data).unwrap_or_default();
            events.push(ShownEvent { version: event.version, r#type: event.event_type.to_owned(), data });
        }
        Ok(())
    })
    .await?;
    if events.is_empty() {
        eprintln!("millrace: log {} has no stream {stream_id}", settings.log);
        return Ok(ExitCode::from(NO));
    }
    output.print(&Shown { stream_id, events }, text)?;
    Ok(ExitCode::SUCCESS)
}

fn text(shown: &Shown) -> String {
    shown.events.iter().fold(String::new(), |mut text, event| {
        let _ = writeln!(text, "{:>6}  {:<16} {}", event.version, event.r#type, event.data);
        text
    })
}
