//! The schema registry, through its Confluent API.
//!
//! `schema_registry_converter` fetches and registers schemas. It can't set a subject's compatibility, ask for a verdict
//! before registering, or delete a subject, so this module sends those requests itself.

mod subjects;

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use schema_registry_converter::async_impl::avro::AvroDecoder;
use schema_registry_converter::async_impl::schema_registry::{SrSettings, perform_sr_call, post_schema};
use schema_registry_converter::avro_common::AvroSchema;
use schema_registry_converter::error::SRCError;
use schema_registry_converter::schema_registry_common::{RawError, SchemaType, SrCall, SuppliedSchema};
use serde_json::json;

use crate::definition::check_record;
use crate::{LogDefinition, LogName};

/// The compatibility of every subject of Millrace: a reader with any version can read data of any other.
const COMPATIBILITY: &str = "FULL_TRANSITIVE";
/// A request fails after this time, and the caller tries again.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Error codes of the Confluent API: an HTTP status, or one with two more digits.
const SUBJECT_NOT_FOUND: u32 = 40401;
const SCHEMA_NOT_FOUND: u32 = 40403;
const NOT_FOUND: u32 = 404;
const INCOMPATIBLE: u32 = 409;

/// A client of one registry.
#[derive(Clone)]
pub struct Registry {
    base: String,
    settings: SrSettings,
    /// Keeps every schema that it has fetched by its id.
    decoder: Arc<AvroDecoder>,
    client: reqwest::Client,
}

/// What went wrong with the registry.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The setting is not an HTTP address. The message leaves it out, because it may hold a password.
    #[error("the schema registry's address (registry_url, MILLRACE_REGISTRY_URL) must be like http://host:8081")]
    NoAddress,
    /// The registry did not answer, or not in the way that registries do: try again.
    #[error("the schema registry at {url} gave no usable answer: {reason}")]
    Unavailable {
        /// The registry's address, without the password.
        url: String,
        /// What broke, or the registry's own answer.
        reason: String,
    },
    /// The registry has no schema with that id.
    #[error("the schema registry has no schema {0}")]
    UnknownId(u32),
    /// The schema with that id is not Avro, or not a record that this library can read.
    #[error("schema {id} is not Avro: {reason}")]
    NotAvro {
        /// The schema's id in the registry.
        id: u32,
        /// The parser's complaint.
        reason: String,
    },
    /// Nobody has registered the definition's schema under the subject.
    #[error("the registry does not have this version of the schema under {subject}: run `millrace schemas register`")]
    NotRegistered {
        /// `<topic>-<full record name>`.
        subject: String,
    },
    /// The definition's schema is incompatible with the versions that were registered before it.
    #[error("the registry refuses the schema for subject {subject}: {reason}")]
    Incompatible {
        /// `<topic>-<full record name>`.
        subject: String,
        /// The registry's own words.
        reason: String,
    },
}

impl RegistryError {
    /// Whether the same call may succeed later although nobody changes anything.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

/// Whether the registry has a schema of the definition.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct SchemaStatus {
    /// `<topic>-<full record name>`.
    pub subject: String,
    /// The schema's id; `None` while it is not registered.
    pub id: Option<u32>,
}

impl Registry {
    /// A client of the registry whose Confluent API begins at `url`, such as `http://localhost:8081`.
    ///
    /// # Errors
    /// When `url` is not an HTTP address, or this machine's TLS certificates can't be read.
    pub fn new(url: &str) -> Result<Self, RegistryError> {
        let parsed = reqwest::Url::parse(url).map_err(|_| RegistryError::NoAddress)?;
        if !matches!(parsed.scheme(), "http" | "https") || !parsed.has_host() {
            return Err(RegistryError::NoAddress);
        }
        let base = url.trim_end_matches('/').to_owned();
        let unusable = |reason: String| RegistryError::Unavailable { url: without_credentials(&base), reason };
        let settings = SrSettings::new_builder(base.clone()).set_timeout(TIMEOUT).build();
        let settings = settings.map_err(|error| unusable(reason_of(&error)))?;
        let client = reqwest::Client::builder().timeout(TIMEOUT).build();
        let client = client.map_err(|error| unusable(innermost(&error)))?;
        let decoder = Arc::new(AvroDecoder::new(settings.clone()));
        Ok(Self { base, settings, decoder, client })
    }

    /// The id that `schema` has under `subject`.
    ///
    /// # Errors
    /// When it is not registered there, or the registry does not answer.
    pub async fn id_of(&self, subject: &str, schema: &str) -> Result<u32, RegistryError> {
        let body = json!({ "schema": schema, "schemaType": "AVRO" }).to_string();
        match perform_sr_call(&self.settings, SrCall::PostForVersion(subject, &body)).await {
            Ok(found) => found.id.ok_or_else(|| self.unavailable("the answer has no id")),
            Err(error) => match error_code(&error) {
                Some(SUBJECT_NOT_FOUND | SCHEMA_NOT_FOUND) => {
                    Err(RegistryError::NotRegistered { subject: subject.to_owned() })
                }
                _ => Err(self.unavailable(reason_of(&error))),
            },
        }
    }

    /// The schema with that id. The client asks the registry once and keeps the answer.
    ///
    /// # Errors
    /// When the registry has no such schema or does not answer, or the schema is not an Avro record.
    pub(crate) async fn schema(&self, id: u32) -> Result<Arc<AvroSchema>, RegistryError> {
        if i32::try_from(id).is_err() {
            return Err(RegistryError::UnknownId(id)); // registries count in signed numbers
        }
        let schema = match self.decoder.get_schema(id).await {
            Ok(schema) => schema,
            Err(error) => {
                // The library would keep the error for ever, but somebody may register the id in a moment.
                self.decoder.remove_errors_from_cache();
                return Err(match error_code(&error) {
                    Some(SCHEMA_NOT_FOUND | NOT_FOUND) => RegistryError::UnknownId(id),
                    None if error.source().is_none() && !error.retriable => {
                        RegistryError::NotAvro { id, reason: error.error }
                    }
                    None if error.source().is_some_and(|cause| cause.is::<apache_avro::Error>()) => {
                        RegistryError::NotAvro { id, reason: innermost(&error) }
                    }
                    _ => self.unavailable(reason_of(&error)),
                });
            }
        };
        check_record(&schema.parsed).map_err(|e| RegistryError::NotAvro { id, reason: e.to_string() })?;
        Ok(schema)
    }

    /// Looks up every schema of the definition; registers nothing.
    ///
    /// # Errors
    /// When the registry does not answer.
    pub async fn check(&self, log: &LogName, definition: &LogDefinition) -> Result<Vec<SchemaStatus>, RegistryError> {
        let mut statuses = Vec::new();
        for record in definition.records() {
            let subject = record.subject(log);
            let id = match self.id_of(&subject, &record.text).await {
                Ok(id) => Some(id),
                Err(RegistryError::NotRegistered { .. }) => None,
                Err(error) => return Err(error),
            };
            statuses.push(SchemaStatus { subject, id });
        }
        Ok(statuses)
    }

    /// Registers every schema of the definition under the log's subjects, each with `FULL_TRANSITIVE` compatibility.
    /// A schema that is registered already stays as it is.
    ///
    /// # Errors
    /// When a schema is incompatible with those registered before it, or the registry does not answer.
    pub async fn register(
        &self,
        log: &LogName,
        definition: &LogDefinition,
    ) -> Result<Vec<SchemaStatus>, RegistryError> {
        let mut statuses = Vec::new();
        for record in definition.records() {
            let subject = record.subject(log);
            let id = Some(self.register_schema(&subject, &record.text).await?);
            statuses.push(SchemaStatus { subject, id });
        }
        Ok(statuses)
    }

    /// Registers one schema under a subject, which gets `FULL_TRANSITIVE` compatibility. Returns the schema's id.
    ///
    /// # Errors
    /// When the schema is incompatible with those registered before it, or the registry does not answer.
    pub async fn register_schema(&self, subject: &str, schema: &str) -> Result<u32, RegistryError> {
        // Some registries refuse the setting for a subject without a schema; then we set it after registering.
        let was_set = self.set_compatibility(subject).await?;
        let supplied = SuppliedSchema::new(None, SchemaType::Avro, schema.to_owned());
        let posted = post_schema(&self.settings, subject.to_owned(), supplied).await;
        let id = posted.map_err(|error| self.refused(subject, error))?.id;
        if !was_set && !self.set_compatibility(subject).await? {
            return Err(self.unavailable(format!("it has no subject {subject} right after a schema was registered")));
        }
        Ok(id)
    }

    /// Sets the subject's compatibility; false when the registry does not know the subject.
    async fn set_compatibility(&self, subject: &str) -> Result<bool, RegistryError> {
        let request = self.client.put(format!("{}/config/{subject}", self.base));
        let response = self.sent(request.json(&json!({ "compatibility": COMPATIBILITY }))).await?;
        match response.status() {
            status if status.is_success() => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            status => Err(self.unavailable(format!("setting the compatibility of {subject} gave HTTP {status}"))),
        }
    }

    /// Sends a request that the library does not have.
    async fn sent(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response, RegistryError> {
        request.send().await.map_err(|error| self.unavailable(innermost(&error)))
    }

    fn refused(&self, subject: &str, error: SRCError) -> RegistryError {
        match error_code(&error) {
            Some(code) if code / 100 == INCOMPATIBLE || code == INCOMPATIBLE => {
                RegistryError::Incompatible { subject: subject.to_owned(), reason: error.cause.unwrap_or(error.error) }
            }
            _ => self.unavailable(reason_of(&error)),
        }
    }

    fn unavailable(&self, reason: impl Into<String>) -> RegistryError {
        RegistryError::Unavailable { url: without_credentials(&self.base), reason: reason.into() }
    }
}

/// Why a call failed: the registry's own answer, or what broke. Leaves out the library's remarks about its cache.
fn reason_of(error: &SRCError) -> String {
    match (error_code(error), error.source(), &error.cause) {
        (Some(_), _, Some(answer)) => format!("{}: {answer}", error.error),
        (_, Some(source), _) => innermost(source),
        (_, None, Some(cause)) => format!("{}: {cause}", error.error),
        (_, None, None) => error.error.clone(),
    }
}

/// The innermost cause. The errors around it name addresses, perhaps with a password.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

/// The Confluent error code that the registry answered with, if it answered.
fn error_code(error: &SRCError) -> Option<u32> {
    error.source().and_then(|source| source.downcast_ref::<RawError>()).map(|raw| raw.error_code)
}

/// The address without user and password, so that it may be printed.
fn without_credentials(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_none_is_told_from_a_registry_that_does_not_answer() {
        for url in ["foo", "", "host:8081", "ftp://host"] {
            assert!(matches!(Registry::new(url), Err(RegistryError::NoAddress)), "{url}");
        }
        assert!(Registry::new("http://user:password@localhost:8081/apis/ccompat/v7/").is_ok());
    }

    #[test]
    fn a_failed_call_gives_its_reason_and_not_the_librarys_bookkeeping() {
        let refused = std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "Connection refused");
        assert_eq!(reason_of(&SRCError::retryable_with_cause(refused, "http call failed")), "Connection refused");
        assert_eq!(reason_of(&SRCError::non_retryable_without_cause("no id")), "no id");
    }
}
