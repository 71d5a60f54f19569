//! The members of a consumer group.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::groups::GroupMemberInfo;

use super::aside::aside;

/// A request to the brokers that takes longer has failed.
const ANSWER: Duration = Duration::from_secs(5);

/// The client ids of the members of the group that `config` names, without joining it.
///
/// # Errors
/// When Kafka does not answer within 5 s.
pub async fn group_client_ids(config: &ClientConfig) -> Result<Vec<String>, KafkaError> {
    let group = config.get("group.id").unwrap_or_default().to_owned();
    let config = config.clone();
    aside(move || client_ids(&config.create::<BaseConsumer>()?, &group)).await?
}

/// A member of a consumer group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    /// Where it runs, as the brokers see it.
    pub host: String,
    /// The partitions of the topic that are assigned to it.
    pub partitions: Vec<i32>,
}

/// The members of a group, and what of `topic` is assigned to each. While the group rebalances, that may be nothing.
///
/// # Errors
/// When Kafka does not answer within 5 s.
pub async fn group_members(
    config: &ClientConfig,
    group: String,
    topic: String,
) -> Result<Vec<GroupMember>, KafkaError> {
    let config = config.clone();
    aside(move || {
        let groups = config.create::<BaseConsumer>()?.fetch_group_list(Some(&group), ANSWER)?;
        let members = groups.groups().iter().filter(|found| found.name() == group).flat_map(|found| found.members());
        let member = |member: &GroupMemberInfo| GroupMember {
            host: member.client_host().trim_start_matches('/').to_owned(),
            partitions: member.assignment().and_then(|bytes| assigned(bytes, &topic)).unwrap_or_default(),
        };
        Ok(members.map(member).collect())
    })
    .await?
}

/// The partitions of a topic in a member's assignment; `None` where the bytes are none.
///
/// Source: `ConsumerProtocolAssignment.json` of Apache Kafka. In every version, the topics follow two bytes of version.
fn assigned(bytes: &[u8], topic: &str) -> Option<Vec<i32>> {
    let (_version, mut rest) = bytes.split_first_chunk::<2>()?;
    let mut partitions = Vec::new();
    for _ in 0..number(&mut rest)? {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let (name, after) = after.split_at_checked(u16::from_be_bytes(*length).into())?;
        rest = after;
        for _ in 0..number(&mut rest)? {
            let partition = number(&mut rest)?;
            if name == topic.as_bytes() {
                partitions.push(partition);
            }
        }
    }
    partitions.sort_unstable();
    Some(partitions)
}

fn number(bytes: &mut &[u8]) -> Option<i32> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    *bytes = rest;
    Some(i32::from_be_bytes(*number))
}

pub(super) fn client_ids<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    group: &str,
) -> Result<Vec<String>, KafkaError> {
    let groups = consumer.fetch_group_list(Some(group), ANSWER)?;
    let members = groups.groups().iter().filter(|found| found.name() == group).flat_map(|found| found.members());
    Ok(members.map(|member| member.client_id().to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_is_read_by_topic_and_never_beyond_its_bytes() {
        let two_topics =
            b"\0\x01\0\0\0\x02\0\x04bank\0\0\0\x01\0\0\0\x05\0\x06orders\0\0\0\x02\0\0\0\x03\0\0\0\0\xff\xff\xff\xff";
        assert_eq!(assigned(two_topics, "orders"), Some(vec![0, 3]));
        assert_eq!(assigned(two_topics, "bank"), Some(vec![5]));
        assert_eq!(assigned(two_topics, "order"), Some(vec![]));
        for end in 0..two_topics.len() - 4 {
            assert_eq!(assigned(&two_topics[..end], "orders"), None, "{end} bytes");
        }
    }
}
