//! The members of a consumer group.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;

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

pub(super) fn client_ids<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    group: &str,
) -> Result<Vec<String>, KafkaError> {
    let groups = consumer.fetch_group_list(Some(group), ANSWER)?;
    let members = groups.groups().iter().filter(|found| found.name() == group).flat_map(|found| found.members());
    Ok(members.map(|member| member.client_id().to_owned()).collect())
}
