//! What `kafka_properties` of the settings may say.

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaConfRes;

use crate::SettingsError;
use crate::settings_error::Source;

/// A property that a promise rests on.
struct Pinned {
    /// librdkafka's names for it.
    names: &'static [&'static str],
    allowed: Allowed,
    /// What another value would break.
    why: &'static str,
}

enum Allowed {
    /// One of these, however librdkafka lets them be written.
    Only(&'static [&'static str]),
    /// A number in this range, ends included.
    Between(u64, u64),
    /// Nothing: another setting of Millrace has it.
    Setting(&'static str),
    /// Nothing.
    Never,
}

use Allowed::{Between, Never, Only, Setting};

const fn pinned(names: &'static [&'static str], allowed: Allowed, why: &'static str) -> Pinned {
    Pinned { names, allowed, why }
}

/// Every property that can't be changed without breaking a promise, or every client. Those of a member of a group first.
const PINNED: &[Pinned] = &[
    pinned(
        &["group.id"],
        Setting("group"),
        "every service would join one group, and each would get a part of the records",
    ),
    pinned(
        &["session.timeout.ms"],
        Setting("session_timeout_ms"),
        "a relay leaves its partitions alone in time by that setting, before others get them",
    ),
    pinned(
        &["enable.auto.offset.store"],
        Only(&["false"]),
        "offsets would be committed before the effect of their records is durable",
    ),
    pinned(&["enable.auto.commit"], Only(&["true"]), "offsets would be committed only when a service leaves its group"),
    pinned(&["auto.commit.interval.ms"], Between(1, u64::MAX), "0 switches the committing of offsets off"),
    pinned(&["offset.store.method"], Only(&["broker"]), "offsets would not be committed to Kafka"),
    pinned(&["auto.offset.reset"], Only(&["earliest"]), "records that were there before a service would be skipped"),
    pinned(
        &["partition.assignment.strategy"],
        Only(&["cooperative-sticky"]),
        "members of one group can't have different strategies",
    ),
    pinned(&["group.protocol"], Only(&["classic"]), "the other protocol takes none of Millrace's group settings"),
    pinned(
        &["isolation.level"],
        Only(&["read_committed"]),
        "commands of a transaction that their producer aborted would take effect",
    ),
    pinned(&["enable.partition.eof"], Only(&["false"]), "the end of a partition would count as an error"),
    pinned(
        &["allow.auto.create.topics"],
        Only(&["false"]),
        "a missing topic would be made with the brokers' settings, and with another number of partitions than its log",
    ),
    pinned(&["enable.idempotence"], Only(&["true"]), "records could come twice or out of order"),
    pinned(&["acks", "request.required.acks"], Only(&["all"]), "acknowledged records could be lost with a broker"),
    pinned(
        &["max.in.flight", "max.in.flight.requests.per.connection"],
        Between(1, 5),
        "an idempotent producer keeps the order of at most 5 requests",
    ),
    pinned(
        &["retries", "message.send.max.retries"],
        Between(1, u64::MAX),
        "an idempotent producer has to try again, or leaves a gap",
    ),
    pinned(&["queuing.strategy"], Only(&["fifo"]), "records would overtake each other"),
    pinned(&["enable.gapless.guarantee"], Only(&["true"]), "a relay could leave a record out and go on with the next"),
    pinned(
        &["partitioner"],
        Only(&["murmur2_random", "murmur2"]),
        "commands of one stream would come to other partitions than those of its other senders, and overtake them",
    ),
    pinned(
        &["message.max.bytes"],
        Between(4_194_304, u64::MAX),
        "what is committed could be too large to be published",
    ),
    pinned(&["delivery.report.only.error"], Only(&["false"]), "a service would wait for ever to hear of a delivery"),
    pinned(&["transactional.id"], Never, "Millrace sends outside of Kafka's transactions"),
];

/// Has librdkafka check properties that somebody set, and refuses those that would break a promise. librdkafka's own
/// error would print the value, which may be a secret; so no client is made of properties that were not checked here.
///
/// # Errors
/// When librdkafka does not know a property or refuses its value, or the value would break a promise.
pub(crate) fn check_properties<'p>(
    properties: impl Iterator<Item = (&'p str, &'p str)>,
    source: &Source<'_>,
) -> Result<(), SettingsError> {
    let place = source.place("kafka_properties");
    for (name, value) in properties {
        check(name, value).map_err(|problem| SettingsError::Wrong(format!("{place}: {problem}")))?;
    }
    Ok(())
}

/// What is wrong with a property, without its value.
fn check(name: &str, value: &str) -> Result<(), String> {
    let value = canonical(name, value).map_err(|error| match error {
        KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..) => {
            format!("librdkafka has no property {name}")
        }
        _ => format!("{name} has a value that librdkafka does not take"),
    })?;
    let Some(Pinned { allowed, why, .. }) = PINNED.iter().find(|pinned| pinned.names.contains(&name)) else {
        return Ok(());
    };
    let remedy = match allowed {
        Only(values) if values.iter().any(|one| canonical(name, one).is_ok_and(|one| one == value)) => return Ok(()),
        Between(least, most) if value.parse().is_ok_and(|number| (*least..=*most).contains(&number)) => return Ok(()),
        Only(values) => format!("must be {}", values.join(" or ")),
        Between(least, u64::MAX) => format!("must be {least} or more"),
        Between(least, most) => format!("must be {least} to {most}"),
        Setting(setting) => format!("must not be set; use the setting {setting}"),
        Never => "must not be set".to_owned(),
    };
    Err(format!("{name} {remedy}: {why}"))
}

/// A value as librdkafka shows it: `true` for `1`, `-1` for `all`.
fn canonical(name: &str, value: &str) -> KafkaResult<String> {
    let config = ClientConfig::new().set(name, value).create_native_config()?;
    // a property without a value to show is as good as its own text
    Ok(config.get(name).unwrap_or_else(|_| value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_breaks_a_promise_is_refused() {
        for (name, value, expected) in [
            ("enable.auto.offset.store", "true", "must be false: offsets would be committed before"),
            ("enable.auto.offset.store", "1", "must be false"),
            ("enable.auto.commit", "false", "must be true"),
            ("auto.commit.interval.ms", "0", "must be 1 or more"),
            ("offset.store.method", "none", "must be broker"),
            ("auto.offset.reset", "latest", "must be earliest"),
            ("auto.offset.reset", "error", "must be earliest"),
            ("enable.idempotence", "false", "must be true"),
            ("acks", "1", "must be all"),
            ("request.required.acks", "0", "must be all"),
            ("partitioner", "consistent_random", "must be murmur2_random or murmur2"),
            ("group.id", "mine", "must not be set; use the setting group"),
            ("session.timeout.ms", "9000", "must not be set; use the setting session_timeout_ms"),
            ("partition.assignment.strategy", "range", "must be cooperative-sticky"),
            ("group.protocol", "consumer", "must be classic"),
            ("isolation.level", "read_uncommitted", "must be read_committed"),
            ("enable.partition.eof", "true", "must be false"),
            ("allow.auto.create.topics", "true", "must be false"),
            ("enable.gapless.guarantee", "false", "must be true"),
            ("max.in.flight", "6", "must be 1 to 5"),
            ("max.in.flight.requests.per.connection", "1000000", "must be 1 to 5"),
            ("retries", "0", "must be 1 or more"),
            ("queuing.strategy", "lifo", "must be fifo"),
            ("message.max.bytes", "1000000", "must be 4194304 or more"),
            ("delivery.report.only.error", "true", "must be false"),
            ("transactional.id", "mine", "must not be set"),
        ] {
            let refused = check(name, value).unwrap_err();
            assert!(refused.starts_with(&format!("{name} {expected}")), "{name}={value}: {refused}");
        }
    }

    #[test]
    fn our_own_value_is_fine_however_it_is_written_and_so_is_what_breaks_nothing() {
        for (name, value) in [
            ("enable.auto.offset.store", "0"),
            ("enable.auto.commit", "true"),
            ("auto.offset.reset", "smallest"),
            ("auto.offset.reset", "beginning"),
            ("acks", "-1"),
            ("acks", "all"),
            ("request.required.acks", "all"),
            ("partitioner", "murmur2"),
            ("partition.assignment.strategy", "cooperative-sticky"),
            ("isolation.level", "read_committed"),
            ("max.in.flight", "1"),
            ("enable.gapless.guarantee", "true"),
            ("message.max.bytes", "10000000"),
            ("message.timeout.ms", "1000"),
            ("group.instance.id", "writer-0"),
            ("security.protocol", "sasl_ssl"),
            ("sasl.password", "hunter2"),
            ("linger.ms", "0.1"),
            ("compression.type", "zstd"),
        ] {
            assert_eq!(check(name, value), Ok(()), "{name}={value}");
        }
    }

    #[test]
    fn every_pinned_name_and_value_is_one_of_librdkafkas() {
        for Pinned { names, allowed, .. } in PINNED {
            let value = match allowed {
                Only(values) => values[0].to_owned(),
                Between(least, _) => least.to_string(),
                Setting(_) | Never => "10000".to_owned(),
            };
            for name in *names {
                assert!(canonical(name, &value).is_ok(), "{name}={value}");
            }
        }
    }
}
