//! librdkafka's settings as Millrace uses them. `kafka_properties` of the settings go over all of them; `properties.rs`
//! has refused those that a promise rests on.

use std::time::Duration;

use rdkafka::ClientConfig;

use crate::{Settings, SettingsError};

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
        .set("socket.keepalive.enable", "true")
        // a producer would otherwise have the brokers make a missing topic, with their number of partitions
        .set("allow.auto.create.topics", "false");
    Ok(with_properties(config, settings))
}

/// Sets `kafka_properties` over what is set here. It comes last in each function, so that they always win.
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
        // when its queue is full, librdkafka would otherwise fetch nothing for a whole second
        .set("fetch.queue.backoff.ms", "10")
        .set("max.partition.fetch.bytes", "1048576");
    Ok(with_properties(config, settings))
}

/// The same for a member that gathers batches: the brokers answer a fetch when there is much to read, or after `wait`. A
/// fetch costs both sides as much as dozens of records.
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

/// A producer that keeps the order of its records and writes none twice within its life. It waits for more records as
/// long as librdkafka does of itself (`linger.ms`, 5 ms): each request has records of one partition only, and costs more
/// than dozens of records.
///
/// ```
/// use millrace_runtime::{Overrides, Settings, kafka::producer_config};
///
/// let settings = Settings::load(None, &Overrides::default())?.with_servers("", "localhost:9092", "");
/// assert_eq!(producer_config(&settings)?.get("acks"), Some("all"));
/// # Ok::<(), millrace_runtime::SettingsError>(())
/// ```
///
/// # Errors
/// When the bootstrap servers are not set.
pub fn producer_config(settings: &Settings) -> Result<ClientConfig, SettingsError> {
    let mut config = client_config(settings)?;
    config
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("compression.type", "lz4")
        .set("partitioner", "murmur2_random")
        .set("message.timeout.ms", "30000")
        .set("message.max.bytes", "4194304")
        .set("queue.buffering.max.messages", "50000")
        .set("queue.buffering.max.kbytes", "32768");
    Ok(with_properties(config, settings))
}

/// The same for whole batches and pages: one is handed over at once, so waiting for more records gains little.
///
/// # Errors
/// When the bootstrap servers are not set.
pub fn prompt_producer_config(settings: &Settings) -> Result<ClientConfig, SettingsError> {
    let mut config = producer_config(settings)?;
    config.set("linger.ms", "0.5");
    Ok(with_properties(config, settings))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Overrides;
    use crate::kafka::check_properties;
    use crate::settings_error::Source;

    #[test]
    fn what_is_set_here_is_what_is_pinned() {
        let settings = Settings::load(None, &Overrides::default()).unwrap().with_servers("", "localhost:9092", "");
        let configs = [
            gathering_consumer_config(&settings, "x", Duration::from_millis(5)).unwrap(),
            prompt_producer_config(&settings).unwrap(),
        ];
        for config in configs {
            // Millrace's own settings have these two
            let is_setting = |name: &str| matches!(name, "group.id" | "session.timeout.ms");
            let pinned = config.config_map().into_iter().filter(|(name, _)| !is_setting(name));
            check_properties(pinned, &Source::Flag).unwrap();
        }
    }
}
