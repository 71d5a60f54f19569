//! librdkafka's settings as Millrace uses them; `kafka_properties` of the settings go over all of them.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaConfRes;

use crate::settings_error::Source;
use crate::{Settings, SettingsError};

/// Has librdkafka look at properties that somebody set. Its own error would print the value, which may be a secret; so
/// no client is made of properties that were not checked here.
///
/// # Errors
/// When it does not know a property, or does not take its value.
pub(crate) fn check_properties<'p>(
    properties: impl Iterator<Item = (&'p str, &'p str)>,
    source: &Source<'_>,
) -> Result<(), SettingsError> {
    for (name, value) in properties {
        let mut config = ClientConfig::new();
        let checked = config.set(name, value).create_native_config();
        checked.map_err(|error| {
            let place = source.place("kafka_properties");
            SettingsError::Wrong(match error {
                KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..) => {
                    format!("{place}: librdkafka has no property {name}")
                }
                _ => format!("{place}: {name} has a value that librdkafka does not take"),
            })
        })?;
    }
    Ok(())
}

/// What every client needs to connect.
///
/// # Errors
/// When the bootstrap servers are not set.
pub fn client_config(settings: &Settings) -> Result<ClientConfig, SettingsError> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", settings.kafka_bootstrap()?)
        .set("client.id", "millrace")
        .set("reconnect.backoff.max.ms", "2000")
        .set("socket.keepalive.enable", "true");
    Ok(with_properties(config, settings))
}

/// What the settings say goes over what is set here.
fn with_properties(mut config: ClientConfig, settings: &Settings) -> ClientConfig {
    for (name, value) in settings.kafka_properties() {
        config.set(name, value);
    }
    config
}

/// A member of a consumer group that stores its offsets itself, after the effect is durable. What it fetches ahead is
/// bounded to a few megabytes.
///
/// # Errors
/// When the bootstrap servers are not set.
pub fn consumer_config(settings: &Settings, group: &str) -> Result<ClientConfig, SettingsError> {
    let mut config = client_config(settings)?;
    config
        .set("group.id", group)
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("session.timeout.ms", settings.session_timeout_ms.to_string())
        .set("heartbeat.interval.ms", (settings.session_timeout_ms / 4).to_string())
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "true")
        .set("auto.commit.interval.ms", "1000")
        .set("enable.auto.offset.store", "false")
        .set("fetch.wait.max.ms", "100")
        .set("fetch.error.backoff.ms", "50")
        .set("queued.min.messages", "2000")
        .set("queued.max.messages.kbytes", "8192")
        .set("fetch.max.bytes", "4194304")
        // with a full queue librdkafka would otherwise fetch nothing for a whole second
        .set("fetch.queue.backoff.ms", "10")
        .set("max.partition.fetch.bytes", "1048576");
    Ok(with_properties(config, settings))
}

/// The same for a member that gathers batches: the brokers answer it when there is much to read, or after `wait`. A fetch
/// costs both sides as much as dozens of records.
///
/// # Errors
/// When the bootstrap servers are not set.
pub fn gathering_consumer_config(
    settings: &Settings,
    group: &str,
    wait: Duration,
) -> Result<ClientConfig, SettingsError> {
    let mut config = consumer_config(settings, group)?;
    if !wait.is_zero() {
        config.set("fetch.min.bytes", "65536").set("fetch.wait.max.ms", wait.as_millis().to_string());
    }
    Ok(with_properties(config, settings))
}

/// A producer that keeps order and writes nothing twice within its life.
///
/// # Errors
/// When the bootstrap servers are not set.
pub fn producer_config(settings: &Settings) -> Result<ClientConfig, SettingsError> {
    let mut config = client_config(settings)?;
    config
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("compression.type", "lz4")
        .set("linger.ms", "2")
        .set("partitioner", "murmur2_random")
        .set("message.timeout.ms", "30000")
        .set("message.max.bytes", "4194304")
        .set("queue.buffering.max.messages", "50000")
        .set("queue.buffering.max.kbytes", "32768");
    Ok(with_properties(config, settings))
}

/// The same for whole pages: they are handed over at once, so there is little to wait for.
///
/// # Errors
/// When the bootstrap servers are not set.
pub fn prompt_producer_config(settings: &Settings) -> Result<ClientConfig, SettingsError> {
    let mut config = producer_config(settings)?;
    config.set("linger.ms", "0.5");
    Ok(with_properties(config, settings))
}
