//! `millrace dead-letters list`

use std::fmt::Write;
use std::process::ExitCode;

use anyhow::Context;
use jiff::Timestamp;
use millrace_runtime::Settings;
use millrace_runtime::kafka::{Delivered, Fields, PartitionReader, client_config};
use millrace_schemas::headers::{
    CE_ID, CE_TYPE, DLT_EXCEPTION_FQCN, DLT_EXCEPTION_MESSAGE, DLT_ORIGINAL_OFFSET, DLT_ORIGINAL_PARTITION,
    DLT_ORIGINAL_TOPIC,
};
use millrace_schemas::{LogName, Outcome, OutcomeKind};
use rdkafka::message::BorrowedMessage;
use rdkafka::{ClientConfig, Message};
use serde::Serialize;

use crate::cli::DeadLettersAction;
use crate::kafka_state::{partitions, unread};
use crate::output::{Output, escaped};

/// A dead letter, without its value.
#[derive(Debug, Serialize)]
pub struct DeadLetter {
    /// The header `ce_id`, if the record had one.
    pub command_id: Option<String>,
    /// The header `ce_type`, if the record had one.
    pub command_type: Option<String>,
    /// Stable code of the reason, such as `no_magic_byte`.
    pub code: String,
    /// Why the writer could not read it, as a sentence.
    pub reason: String,
    /// The topic that the record came from.
    pub original_topic: String,
    /// The record's partition in that topic.
    pub original_partition: i32,
    /// The record's offset in that partition.
    pub original_offset: i64,
    /// Size of the value, in bytes.
    pub bytes: usize,
    /// When the writer dead-lettered it.
    pub refused_at: Timestamp,
}

/// Runs the command.
pub async fn run(settings: &Settings, action: DeadLettersAction, output: Output) -> anyhow::Result<ExitCode> {
    let DeadLettersAction::List = action;
    let letters = read(settings).await?;
    output.print(&letters, |letters| text(letters))?;
    Ok(ExitCode::SUCCESS)
}

/// Every dead letter that the topic holds now, in the order in which writers sent them.
///
/// # Errors
/// When Kafka does not answer.
pub async fn read(settings: &Settings) -> anyhow::Result<Vec<DeadLetter>> {
    let config = client_config(settings)?;
    let topic = settings.log.parse::<LogName>()?.dead_letters_topic();
    tokio::task::spawn_blocking(move || read_topic(&config, &topic)).await?
}

fn read_topic(config: &ClientConfig, topic: &str) -> anyhow::Result<Vec<DeadLetter>> {
    let mut letters = Vec::new();
    for partition in 0..partitions(config, topic)?.1 {
        let mut reader =
            PartitionReader::open(config, topic, partition, None).with_context(|| unread(config, topic))?;
        while let Some(letter) =
            reader.next(|message| DeadLetter::from(message)).with_context(|| unread(config, topic))?
        {
            letters.push(letter);
        }
    }
    letters.sort_by_key(|letter| letter.refused_at);
    Ok(letters)
}

impl DeadLetter {
    /// Whether its original is the last record of a delivery, by topic, partition and offset.
    pub fn is_last_of(&self, delivered: &Delivered) -> bool {
        let place = (self.original_topic.clone(), self.original_partition);
        delivered.get(&place) == Some(&self.original_offset)
    }
}

impl From<&BorrowedMessage<'_>> for DeadLetter {
    fn from(message: &BorrowedMessage<'_>) -> Self {
        let fields = Fields::of(message);
        let header = |name: &str| fields.get(name);
        let text = |name| header(name).map(|value| String::from_utf8_lossy(value).into_owned());
        let partition =
            header(DLT_ORIGINAL_PARTITION).and_then(|bytes| Some(i32::from_be_bytes(bytes.try_into().ok()?)));
        let offset = header(DLT_ORIGINAL_OFFSET).and_then(|bytes| Some(i64::from_be_bytes(bytes.try_into().ok()?)));
        Self {
            command_id: text(CE_ID),
            command_type: text(CE_TYPE),
            code: text(DLT_EXCEPTION_FQCN).unwrap_or_default(),
            reason: text(DLT_EXCEPTION_MESSAGE).unwrap_or_default(),
            original_topic: text(DLT_ORIGINAL_TOPIC).unwrap_or_default(),
            original_partition: partition.unwrap_or(-1),
            original_offset: offset.unwrap_or(-1),
            bytes: message.payload_len(),
            refused_at: message
                .timestamp()
                .to_millis()
                .and_then(|at| Timestamp::from_millisecond(at).ok())
                .unwrap_or_default(),
        }
    }
}

impl From<DeadLetter> for Outcome {
    fn from(letter: DeadLetter) -> Self {
        Self {
            command_id: letter.command_id.unwrap_or_default(),
            command_type: letter.command_type.unwrap_or_default(),
            outcome: OutcomeKind::DeadLettered,
            code: Some(letter.code),
            message: Some(letter.reason),
            token: None,
            streams: Vec::new(),
            recorded_at: letter.refused_at.as_microsecond(),
        }
    }
}

fn text(letters: &[DeadLetter]) -> String {
    if letters.is_empty() {
        return "no dead letters".to_owned();
    }
    letters.iter().fold(String::new(), |mut text, letter| {
        let id = letter.command_id.as_deref().filter(|id| !id.is_empty()).map_or_else(|| "(no id)".to_owned(), escaped);
        let [topic, code, reason] = [&letter.original_topic, &letter.code, &letter.reason].map(|text| escaped(text));
        let (at, partition, offset) = (letter.refused_at, letter.original_partition, letter.original_offset);
        let _ = writeln!(text, "{at}  {topic}/{partition} offset {offset}  {id}  {code}: {reason}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_shown_without_its_control_characters_and_without_an_id_that_is_empty() {
        let letter = |id: Option<&str>| DeadLetter {
            command_id: id.map(str::to_owned),
            command_type: None,
            code: "no_json".into(),
            reason: "not JSON: \u{1b}[2J".into(),
            original_topic: "ledger.commands".into(),
            original_partition: 3,
            original_offset: 7,
            bytes: 0,
            refused_at: Timestamp::UNIX_EPOCH,
        };
        let place = "1970-01-01T00:00:00Z  ledger.commands/3 offset 7";
        let lines = format!(
            "{place}  (no id)  no_json: not JSON: \\u{{1b}}[2J\n{place}  a\\nb  no_json: not JSON: \\u{{1b}}[2J\n"
        );
        assert_eq!(text(&[letter(Some("")), letter(Some("a\nb"))]), lines);
        assert_eq!(serde_json::to_value(letter(None)).unwrap()["refused_at"], "1970-01-01T00:00:00Z");
    }
}
