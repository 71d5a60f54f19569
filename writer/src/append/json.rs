//! `Append` as JSON, as people and scripts write it.

use millrace_schemas::{DecodeError, Received, framing, strict_json};
use serde::Deserialize;
use serde_json::Value;

use super::Appends;
use super::record::{AppendRecord, AppendedEvent, Expected, StreamRecord};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AppendJson {
    streams: Vec<StreamJson>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StreamJson {
    stream: String,
    #[serde(default)]
    expected_version: Expected,
    #[serde(default)]
    events: Vec<EventJson>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventJson {
    r#type: String,
    data: Value,
    id: Option<String>,
}

impl Appends {
    /// Reads the JSON form and encodes it as Avro: each event with the newest version of its schema.
    ///
    /// # Errors
    /// Unreadable; the error names the place.
    pub fn receive_json(&self, text: &[u8]) -> Result<Received<'static>, DecodeError> {
        let unreadable = |code, reason| DecodeError::Unreadable { code, reason };
        let json = strict_json(text).map_err(|error| unreadable("no_json", format!("not JSON: {error}")))?;
        let append: AppendJson =
            serde_json::from_value(json).map_err(|error| unreadable("schema_mismatch", format!("Append: {error}")))?;
        let mut streams = Vec::with_capacity(append.streams.len());
        for StreamJson { stream, expected_version, events } in append.streams {
            let events = events.into_iter().enumerate().map(|(index, event)| {
                self.event_from_json(event)
                    .map_err(|error| at(&format!("event {} of stream {stream}", index + 1), error))
            });
            let events = events.collect::<Result<_, _>>()?;
            streams.push(StreamRecord { stream, expected_version, events });
        }
        Received::from_value(self.schema, &AppendRecord { streams })
    }

    fn event_from_json(&self, event: EventJson) -> Result<AppendedEvent, DecodeError> {
        let name: String = event.r#type.chars().take(100).collect();
        let numbered = self.encoder.event(&name).ok_or_else(|| DecodeError::Unreadable {
            code: "wrong_type",
            reason: format!("{name} is not one of the log's events"),
        })?;
        let encoded = Received::from_json(numbered.schema, &event.data)?;
        Ok(AppendedEvent { data: framing::frame(numbered.schema.registry_id, encoded.datum()), id: event.id })
    }
}

fn at(place: &str, error: DecodeError) -> DecodeError {
    match error {
        DecodeError::Unreadable { code, reason } => {
            DecodeError::Unreadable { code, reason: format!("{place}: {reason}") }
        }
        transient => transient,
    }
}
