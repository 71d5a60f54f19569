//! `millrace stream show ID`

use std::fmt::Write;
use std::process::ExitCode;

use millrace_runtime::{Settings, postgres};
use millrace_schemas::{LogName, StreamId};
use millrace_store::{Log, load};
use serde::Serialize;

use crate::cli::StreamAction;
use crate::exit::NO;
use crate::output::{Output, escaped};

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
    let name: LogName = settings.log.parse()?;
    let pool = postgres::pool(settings.postgres_url()?, name.as_str(), 1)?;
    let client = postgres::connect(&pool, settings.postgres_url()?).await?;
    Log::open(&client, name).await?;
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
        let (kind, data) = (escaped(&event.r#type), escaped(&event.data.to_string()));
        let _ = writeln!(text, "{:>6}  {kind:<16} {data}", event.version);
        text
    })
}
