//! The consumer groups that read a log's topics.

use std::time::Duration;

use anyhow::Context;
use millrace_runtime::Settings;
use millrace_runtime::kafka::client_config;
use millrace_schemas::LogName;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::groups::GroupInfo;

/// The brokers have failed when they take longer to list their groups.
const ANSWER: Duration = Duration::from_secs(15);

/// The groups with members that have the log's name, as those of its writers, relays and projectors, or whose members
/// have subscribed to one of the topics. A consumer without a group is not seen.
///
/// # Errors
/// When Kafka does not answer within 15 s.
pub(super) async fn groups_in_use(
    settings: &Settings,
    log: &LogName,
    topics: Vec<String>,
) -> anyhow::Result<Vec<String>> {
    let (config, prefix) = (client_config(settings)?, format!("{log}."));
    let list = move || -> anyhow::Result<Vec<String>> {
        let listed = config.create::<BaseConsumer>()?.fetch_group_list(None, ANSWER)?;
        let in_use = listed.groups().iter().filter(|group| {
            let has_members = !group.members().is_empty();
            has_members && (group.name().starts_with(&prefix) || subscribes(group, &topics))
        });
        let mut names: Vec<String> = in_use.map(|group| group.name().to_owned()).collect();
        names.sort();
        Ok(names)
    };
    let place = || format!("the consumer groups in Kafka at {}", settings.kafka_bootstrap().unwrap_or_default());
    tokio::task::spawn_blocking(list).await?.with_context(place)
}

/// Whether a member of the group has subscribed to one of the topics, or has partitions of it.
fn subscribes(group: &GroupInfo, topics: &[String]) -> bool {
    group.members().iter().any(|member| {
        let said = [member.metadata(), member.assignment()];
        said.into_iter().flatten().any(|bytes| topics.iter().any(|topic| names_topic(bytes, topic)))
    })
}

/// Whether data of Kafka's consumer protocol name the topic. In every version, a name follows its length as 16 bits.
fn names_topic(bytes: &[u8], topic: &str) -> bool {
    let Ok(length) = u16::try_from(topic.len()) else { return false };
    let encoded = [&length.to_be_bytes(), topic.as_bytes()].concat();
    bytes.windows(encoded.len()).any(|window| window == encoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_found_by_its_whole_name() {
        // version 1, two topics, no user data, no partitions
        let subscription = b"\0\x01\0\0\0\x02\0\x0dorders.events\0\x04bank\xff\xff\xff\xff\0\0\0\0";
        for (topic, expected) in
            [("orders.events", true), ("bank", true), ("orders.event", false), ("rders.events", false)]
        {
            assert_eq!(names_topic(subscription, topic), expected, "{topic}");
        }
    }
}
