//! How every service starts: from its settings to Postgres, Kafka and the registry.

use deadpool_postgres::Pool;
use millrace_schemas::{LogName, ParseLogNameError, Registry, RegistryError};
use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;

use crate::kafka::{
    TopicError, TopicRole, check_topic_settings, check_topics, client_config, consumer_config, prompt_producer_config,
};
use crate::postgres::{self, PostgresUrlError};
use crate::{Health, Settings, SettingsError, Shutdown, Stopped, retry};

/// What stops any service: something that a person has to mend. A service retries what passes by itself.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// A setting is missing or wrong.
    #[error("{0}")]
    Settings(#[from] SettingsError),
    /// The setting `log` is not a log name.
    #[error("{0}")]
    LogName(#[from] ParseLogNameError),
    /// The setting `postgres_url` is not an address.
    #[error("{0}")]
    PostgresUrl(#[from] PostgresUrlError),
    /// The registry has no address, or lacks a schema.
    #[error("{0}")]
    Registry(#[from] RegistryError),
    /// librdkafka can't go on; or Kafka does not answer, while the service retries.
    #[error("Kafka: {0}")]
    Kafka(#[from] KafkaError),
    /// A topic is missing, has another number of partitions than the log, or has settings that would lose records.
    #[error("{0}")]
    Topic(#[from] TopicError),
}

impl ServiceError {
    /// Whether the same call may succeed later although nobody changes anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Registry(error) => error.is_transient(),
            Self::Kafka(error) => !matches!(error, KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_)),
            Self::Topic(error) => error.is_transient(),
            Self::Settings(_) | Self::LogName(_) | Self::PostgresUrl(_) => false,
        }
    }
}

/// A topic that a service needs.
#[derive(Debug, Clone)]
pub struct NeededTopic {
    /// Its full name, such as `orders.events`.
    pub name: String,
    /// What the log uses it for.
    pub role: TopicRole,
    /// How many partitions it must have; `None`: any number.
    pub partitions: Option<u32>,
}

/// A service that starts: its settings, the name of its log, and when to stop trying.
#[derive(Debug, Clone)]
pub struct Startup {
    /// All settings.
    pub settings: Settings,
    /// The log of the settings.
    pub log: LogName,
    /// Not ready while [`Startup::retry`] retries.
    pub health: Health,
    /// Ends every wait.
    pub shutdown: Shutdown,
}

impl Startup {
    /// A service of the log that the settings name.
    ///
    /// # Errors
    /// When that is not a log name.
    pub fn new(settings: &Settings, health: Health, shutdown: Shutdown) -> Result<Self, ServiceError> {
        Ok(Self { settings: settings.clone(), log: settings.log.parse()?, health, shutdown })
    }

    /// Connections to the log; see [`postgres::pool`].
    ///
    /// # Errors
    /// When `postgres_url` is missing or not an address.
    pub fn pool(&self, size: usize) -> Result<Pool, ServiceError> {
        Ok(postgres::pool(self.settings.postgres_url()?, self.log.as_str(), size)?)
    }

    /// Connections to a read model; see [`postgres::read_model_pool`].
    ///
    /// # Errors
    /// When `postgres_url` is missing or not an address.
    pub fn read_model_pool(&self, schema: &str, size: usize) -> Result<Pool, ServiceError> {
        Ok(postgres::read_model_pool(self.settings.postgres_url()?, schema, size)?)
    }

    /// The registry.
    ///
    /// # Errors
    /// When `registry_url` is missing or not an address.
    pub fn registry(&self) -> Result<Registry, ServiceError> {
        Ok(Registry::new(self.settings.registry_url()?)?)
    }

    /// The consumer group of the settings; without one, `usual`.
    pub fn group(&self, usual: impl FnOnce(&LogName) -> String) -> String {
        self.settings.group.clone().unwrap_or_else(|| usual(&self.log))
    }

    /// A consumer in a group; see [`consumer_config`].
    ///
    /// # Errors
    /// When a setting is missing or wrong.
    pub fn consumer(&self, group: &str) -> Result<ClientConfig, ServiceError> {
        Ok(consumer_config(&self.settings, group)?)
    }

    /// A producer; see [`prompt_producer_config`].
    ///
    /// # Errors
    /// When a setting is missing or wrong.
    pub fn producer(&self) -> Result<ClientConfig, ServiceError> {
        Ok(prompt_producer_config(&self.settings)?)
    }

    /// Waits until the topics are there, and checks that they have the right partitions and settings.
    ///
    /// # Errors
    /// When one of them would break a promise, or the process is to stop.
    pub async fn check_topics(&self, topics: &[NeededTopic]) -> Result<(), Stopped<ServiceError>> {
        let config = client_config(&self.settings).map_err(ServiceError::from)?;
        let partitions: Vec<_> = topics.iter().map(|topic| (topic.name.clone(), topic.partitions)).collect();
        let roles: Vec<_> = topics.iter().map(|topic| (topic.name.clone(), topic.role)).collect();
        let check = async || {
            check_topics(&config, &partitions).await?;
            Ok(check_topic_settings(&config, &roles).await?)
        };
        self.retry("look at the topics", ServiceError::is_transient, check).await
    }

    /// [`retry`] with the service's health and shutdown.
    ///
    /// # Errors
    /// The error that is not transient, or that the process is to stop.
    pub async fn retry<T, E: std::fmt::Display>(
        &self,
        operation: &'static str,
        is_transient: impl Fn(&E) -> bool,
        attempt: impl AsyncFnMut() -> Result<T, E>,
    ) -> Result<T, Stopped<E>> {
        retry(&self.health, &self.shutdown, operation, is_transient, attempt).await
    }
}
