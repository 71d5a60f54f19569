//! Sends commands to the log's topic, as any client would.

use millrace_runtime::Settings;
use millrace_runtime::kafka::{Delivered, DeliveryError, Outbox, Outgoing, producer_config};
use millrace_schemas::LogName;
use millrace_schemas::headers::{CE_ID, CE_SOURCE, CE_SPECVERSION, CE_TYPE, CONTENT_TYPE};
use rdkafka::message::{Header, OwnedHeaders};
use tokio::sync::oneshot;

/// A command, ready to send.
#[derive(Debug)]
pub struct OutgoingCommand {
    /// The header `ce_id`.
    pub id: String,
    /// The record's name: the header `ce_type`.
    pub name: String,
    /// The id of its first stream.
    pub key: Option<String>,
    /// The media type of the value: the header `content-type`.
    pub content_type: &'static str,
    /// The command, encoded as `content_type` says.
    pub value: Vec<u8>,
    /// More headers, by name.
    pub headers: Vec<(&'static str, String)>,
}

/// Sends commands.
pub struct CommandProducer {
    outbox: Outbox,
    topic: String,
}

impl CommandProducer {
    /// A producer for the log in the settings.
    ///
    /// # Errors
    /// When a setting is missing or wrong.
    pub fn new(settings: &Settings) -> anyhow::Result<Self> {
        let topic = settings.log.parse::<LogName>()?.commands_topic();
        Ok(Self { outbox: Outbox::new(&producer_config(settings)?)?, topic })
    }

    /// Hands a batch to librdkafka. The receiver gets a message when Kafka has acknowledged all of it.
    ///
    /// # Errors
    /// When librdkafka refuses a record.
    pub async fn send(
        &self,
        commands: &[OutgoingCommand],
    ) -> Result<oneshot::Receiver<Result<Delivered, DeliveryError>>, DeliveryError> {
        self.outbox.send(commands.iter().map(|command| self.outgoing(command))).await
    }

    fn outgoing<'a>(&'a self, command: &'a OutgoingCommand) -> Outgoing<'a> {
        let text = |key, value| Header { key, value: Some(value) };
        let headers = OwnedHeaders::new()
            .insert(text(CE_SPECVERSION, "1.0"))
            .insert(text(CE_ID, &command.id))
            .insert(text(CE_TYPE, &command.name))
            .insert(text(CE_SOURCE, "millrace/cli"))
            .insert(text(CONTENT_TYPE, command.content_type));
        let headers = command.headers.iter().fold(headers, |headers, (key, value)| headers.insert(text(key, value)));
        Outgoing {
            topic: &self.topic,
            partition: None,
            key: command.key.as_ref().map(String::as_bytes),
            value: Some(&command.value),
            headers,
            timestamp: None,
        }
    }
}
