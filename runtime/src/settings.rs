//! Settings: defaults < file < environment (`MILLRACE_…`) < flags. Unknown keys are errors.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use figment::value::Dict;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::SettingsError;
use crate::kafka::check_properties;
use crate::settings_error::{PREFIX, Source};

/// Variables with our prefix that are not settings: the path of the settings file, and those of the local stack.
const NOT_SETTINGS: &[&str] = &["config", "data_dir", "cache_dir", "stack"];

/// Every setting of every process.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The log to work on.
    pub log: String,
    /// Number of partitions, 1 to 1000, of a log that is created; fixed from then on.
    pub partitions: u32,
    /// Replicas of each topic that is created; -1: the brokers' default.
    pub replication_factor: i32,
    /// Postgres, as `postgresql://user:password@host:port/database`.
    postgres_url: Option<SecretString>,
    /// The server that the relay reads events from, where it is another than `postgres_url`: with the synchronous standby
    /// here, the relay never publishes what a failover would lose. It polls then: a standby does not notify.
    relay_postgres_url: Option<SecretString>,
    /// Kafka's bootstrap servers, as `host:port,host:port`.
    kafka_bootstrap: Option<String>,
    /// More settings for librdkafka, such as `security.protocol` and `sasl.password`. Those that would break a promise
    /// are refused.
    #[serde(default)]
    kafka_properties: BTreeMap<String, SecretString>,
    /// Base address of the registry's Confluent API.
    registry_url: Option<SecretString>,
    /// Consumer group; each service has its usual one when absent.
    pub group: Option<String>,
    /// Where `/metrics`, `/livez` and `/readyz` are served; nowhere when absent.
    pub http_address: Option<SocketAddr>,
    /// Most commands in one append, 1 to 5000.
    pub batch_commands: usize,
    /// Longest that a command waits for others to share its append, 0 to 1000 milliseconds.
    pub batch_linger_ms: u64,
    /// Largest command that is accepted, 1024 to 900,000 bytes of its value.
    pub max_command_bytes: usize,
    /// Most events of a command `Append`, 1 to 10,000.
    pub max_append_events: usize,
    /// How long Kafka waits for a silent process before others take over its partitions, in milliseconds from 6000 up.
    pub session_timeout_ms: u32,
    /// Time between two looks of the monitor, 100 to 30,000 milliseconds.
    pub monitor_interval_ms: u64,
    /// Format of the process's own log: `text` or `json`.
    pub log_format: LogFormat,
    /// Base address of the OTLP collector that gets spans, such as `http://localhost:4318`; no spans when absent.
    pub otlp_endpoint: Option<String>,
}

/// Formats of the process's own log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Settings that were given as flags; they go over all others.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Overrides {
    /// The log that the program works on where no source names one; `log` where the program has no preference.
    #[serde(skip)]
    pub log_by_default: Option<String>,
    /// `--log`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// `--group`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// `--http-address`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_address: Option<SocketAddr>,
}

/// The values of settings that nobody sets.
#[derive(Serialize)]
struct Defaults<'a> {
    log: &'a str,
    partitions: u32,
    replication_factor: i32,
    batch_commands: usize,
    batch_linger_ms: u64,
    max_command_bytes: usize,
    max_append_events: usize,
    session_timeout_ms: u32,
    monitor_interval_ms: u64,
    log_format: LogFormat,
}

const DEFAULTS: Defaults<'static> = Defaults {
    log: "log",
    partitions: 12,
    replication_factor: -1,
    batch_commands: 2000,
    batch_linger_ms: 15,
    max_command_bytes: 256 * 1024,
    max_append_events: 1000,
    session_timeout_ms: 6000,
    monitor_interval_ms: 5000,
    log_format: LogFormat::Text,
};

impl Settings {
    /// Reads the settings: defaults, over them `file`, over it the environment, over it the flags.
    ///
    /// ```
    /// use millrace_runtime::{Overrides, Settings};
    ///
    /// let flags = Overrides { log: Some("orders".to_owned()), ..Overrides::default() };
    /// let settings = Settings::load(None, &flags)?;
    /// assert_eq!((settings.log.as_str(), settings.partitions), ("orders", 12));
    /// # Ok::<(), millrace_runtime::SettingsError>(())
    /// ```
    ///
    /// # Errors
    /// When a source can't be read, a key is unknown, or a value is wrong. Names the key and where it came from.
    pub fn load(file: Option<&Path>, overrides: &Overrides) -> Result<Self, SettingsError> {
        let mut sources = Figment::from(Serialized::defaults(Defaults {
            log: overrides.log_by_default.as_deref().unwrap_or(DEFAULTS.log),
            ..DEFAULTS
        }));
        if let Some(path) = file {
            let text = std::fs::read_to_string(path).map_err(|error| SettingsError::unreadable(path, &error))?;
            let parsed = Toml::from_str::<Dict>(&text);
            parsed.map_err(|error| SettingsError::no_toml(path, &text, error.span(), error.message()))?;
            sources = sources.merge(Toml::string(&text));
        }
        let environment = Env::prefixed(PREFIX).ignore(NOT_SETTINGS);
        let sources = sources.merge(environment).merge(Serialized::defaults(overrides));
        let settings: Self = sources.extract().map_err(|error| SettingsError::of(error, file))?;
        let properties_from = Source::of(sources.find_metadata("kafka_properties"), file);
        check_properties(settings.kafka_properties(), &properties_from)?;
        settings.check()?;
        Ok(settings)
    }

    /// The same settings with these servers, whatever the environment says.
    #[must_use]
    pub fn with_servers(self, postgres_url: &str, kafka_bootstrap: &str, registry_url: &str) -> Self {
        Self {
            postgres_url: Some(postgres_url.into()),
            relay_postgres_url: None,
            kafka_bootstrap: Some(kafka_bootstrap.to_owned()),
            registry_url: Some(registry_url.into()),
            ..self
        }
    }

    fn check(&self) -> Result<(), SettingsError> {
        let out_of_range = |what: &str| Err(SettingsError::OutOfRange(what.to_owned()));
        match self {
            s if !(1..=1000).contains(&s.partitions) => out_of_range("partitions must be 1 to 1000"),
            s if !(1..=5000).contains(&s.batch_commands) => out_of_range("batch_commands must be 1 to 5000"),
            s if s.batch_linger_ms > 1000 => out_of_range("batch_linger_ms must be 0 to 1000"),
            s if !(1024..=900_000).contains(&s.max_command_bytes) => {
                out_of_range("max_command_bytes must be 1024 to 900000: a record's limit in Kafka is 1 MiB")
            }
            s if !(1..=10_000).contains(&s.max_append_events) => out_of_range("max_append_events must be 1 to 10000"),
            s if s.session_timeout_ms < 6000 => {
                out_of_range("session_timeout_ms must be 6000 or more: Kafka's own group.min.session.timeout.ms")
            }
            s if !(100..=30_000).contains(&s.monitor_interval_ms) => {
                out_of_range("monitor_interval_ms must be 100 to 30000")
            }
            s if !s.otlp_endpoint.as_deref().is_none_or(is_plain_http) => {
                out_of_range("otlp_endpoint must be like http://host:4318; passwords go in OTEL_EXPORTER_OTLP_HEADERS")
            }
            _ => Ok(()),
        }
    }

    /// Address of Postgres, with its password: not for printing.
    ///
    /// # Errors
    /// When it is not set.
    pub fn postgres_url(&self) -> Result<&str, SettingsError> {
        let url = self.postgres_url.as_ref().map(ExposeSecret::expose_secret);
        set(url, "MILLRACE_POSTGRES_URL", "postgresql://user:password@host:5432/database")
    }

    /// Address of the server that the relay reads events from, with its password; `None`: that of [`Self::postgres_url`].
    pub fn relay_postgres_url(&self) -> Option<&str> {
        let url = self.relay_postgres_url.as_ref().map(ExposeSecret::expose_secret);
        url.filter(|url| !url.trim().is_empty())
    }

    /// Kafka's bootstrap servers.
    ///
    /// # Errors
    /// When they are not set.
    pub fn kafka_bootstrap(&self) -> Result<&str, SettingsError> {
        set(self.kafka_bootstrap.as_deref(), "MILLRACE_KAFKA_BOOTSTRAP", "host:9092")
    }

    /// librdkafka's own settings, secrets among them.
    pub(crate) fn kafka_properties(&self) -> impl Iterator<Item = (&str, &str)> {
        self.kafka_properties.iter().map(|(name, value)| (name.as_str(), value.expose_secret()))
    }

    /// Base address of the registry's Confluent API; may hold a password.
    ///
    /// # Errors
    /// When it is not set.
    pub fn registry_url(&self) -> Result<&str, SettingsError> {
        let url = self.registry_url.as_ref().map(ExposeSecret::expose_secret);
        set(url, "MILLRACE_REGISTRY_URL", "http://host:8081")
    }
}

/// Whether it is an HTTP address without a password, which may be printed.
fn is_plain_http(address: &str) -> bool {
    reqwest::Url::parse(address).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none()
    })
}

/// A value that is set; an empty one is not.
fn set<'s>(value: Option<&'s str>, variable: &'static str, example: &'static str) -> Result<&'s str, SettingsError> {
    value.filter(|value| !value.trim().is_empty()).ok_or(SettingsError::Missing { variable, example })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a settings file.
    fn refusal(text: &str) -> String {
        let name = format!("millrace-settings-{}-{:?}.toml", std::process::id(), std::thread::current().id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        let refused = Settings::load(Some(&path), &Overrides::default()).unwrap_err();
        std::fs::remove_file(&path).unwrap();
        // neither way of printing may show a secret
        assert!(!format!("{refused:?}").contains("hunter2"), "{refused:?}");
        refused.to_string().replace(&path.display().to_string(), "FILE")
    }

    #[test]
    fn what_is_wrong_with_a_setting_is_said_without_its_value() {
        for (text, expected) in [
            (
                "[kafka_properties]\n\"sasl.pasword\" = \"hunter2\"",
                "kafka_properties in FILE: librdkafka has no property sasl.pasword",
            ),
            ("[kafka_properties]\n\"linger.ms\" = \"hunter2\"", "linger.ms has a value that librdkafka does not take"),
            ("kafka_properties = \"sasl.password=hunter2\"", "kafka_properties in FILE must be a table"),
            ("[kafka_properties]\n\"sasl.password\" = 5", "kafka_properties.sasl.password in FILE must be a text"),
            ("log = \"x\"\npostgres_url = \"hunter2", "FILE is not TOML (line 2"),
            ("postgres_url = [\"hunter2\"]", "postgres_url in FILE must be a text"),
            ("log_format = \"hunter2\"", "log_format in FILE must be text or json"),
            ("http_address = \"hunter2\"", "http_address in FILE must be an address such as 127.0.0.1:9464"),
            ("partitions = -1", "partitions in FILE must be a whole number, not negative"),
            (
                "[kafka_properties]\nsasl.password = \"hunter2\"",
                "kafka_properties.sasl in FILE must be a text; a name with",
            ),
            ("bogus = 1", "there is no setting bogus, which FILE has; known are log, partitions,"),
        ] {
            let refused = refusal(text);
            assert!(refused.contains(expected), "{refused}");
            assert!(!refused.contains("hunter2"), "{refused}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named_as_it_was_given() {
        let refused = Settings::load(Some(Path::new("../no-such.toml")), &Overrides::default()).unwrap_err();
        assert!(refused.to_string().starts_with("settings: ../no-such.toml can't be read"), "{refused}");
    }

    #[test]
    fn an_empty_address_is_one_that_is_not_set() {
        let settings = Settings::load(None, &Overrides::default()).unwrap().with_servers("", "", " ");
        assert!(settings.postgres_url().is_err() && settings.kafka_bootstrap().is_err());
        assert!(settings.registry_url().is_err());
    }
}
