//! Waits until Kafka can take commands.

use std::pin::pin;
use std::time::Duration;

use anyhow::Context;
use millrace_runtime::Settings;
use millrace_runtime::kafka::{TopicError, check_topics, client_config};
use millrace_schemas::LogName;
use tokio::time::timeout;

/// After this time, a message says what we are waiting for.
const SILENCE: Duration = Duration::from_secs(3);

/// Waits until Kafka answers and has the command topic, at most for the 15 s that a request may take.
///
/// # Errors
/// When Kafka does not answer, or does not have the topic.
pub async fn reach_kafka(settings: &Settings) -> anyhow::Result<()> {
    let bootstrap = settings.kafka_bootstrap()?;
    let config = client_config(settings)?;
    let topics = [(settings.log.parse::<LogName>()?.commands_topic(), None)];
    let mut asked = pin!(check_topics(&config, &topics));
    let answered = match timeout(SILENCE, &mut asked).await {
        Ok(answered) => answered,
        Err(_) => {
            eprintln!("millrace: waiting for Kafka at {bootstrap}");
            asked.await
        }
    };
    match answered {
        Err(TopicError::Kafka(error)) => {
            Err(error).with_context(|| format!("Kafka at {bootstrap} does not answer; nothing was sent"))
        }
        answered => Ok(answered?),
    }
}
