//! The schema registry, through its Confluent API.
//!
//! Reading and registering go through `schema_registry_converter`; what it lacks (setting a subject's compatibility)
//! is one request of ours.

use apache_avro::Schema;
use schema_registry_converter::async_impl::schema_registry::{
    SrSettings, get_schema_by_id_and_type, perform_sr_call, post_schema,
};
use schema_registry_converter::error::SRCError;
use schema_registry_converter::schema_registry_common::{RawError, SchemaType, SrCall, SuppliedSchema};
use serde_json::json;
use std::error::Error as _;
use std::time::Duration;

use crate::{Contract, LogName};

/// Compatibility that every subject of Millrace gets: each version can be read with every other.
const COMPATIBILITY: &str = "FULL_TRANSITIVE";
/// A request that takes longer counts as failed.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Error codes of the Confluent API.
const SUBJECT_NOT_FOUND: u32 = 40401;
const SCHEMA_NOT_FOUND: u32 = 40403;
const NOT_FOUND: u32 = 404;
const INCOMPATIBLE: u32 = 409;

/// A client of one registry.
#[derive(Clone)]
pub struct Registry {
    base: String,
    settings: SrSettings,
    client: reqwest::Client,
}

/// What went wrong with the registry.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// Its address is none. It is not shown: it may hold a password.
    #[error("the schema registry's address (registry_url, MILLRACE_REGISTRY_URL) is not one like http://host:8081")]
    NoAddress,
    /// It did not answer, or not as a registry does: try again.
    #[error("the schema registry at {url} did not answer as it should: {reason}")]
    Unavailable {
        /// Its address.
        url: String,
        /// Why.
        reason: String,
    },
    /// It has no schema of that id.
    #[error("the schema registry has no schema {0}")]
    UnknownId(u32),
    /// The schema of that id is not Avro that this library reads.
    #[error("schema {id} is not Avro: {reason}")]
    NotAvro {
        /// The id.
        id: u32,
        /// Why.
        reason: String,
    },
    /// The contract's schema is not registered under the subject.
    #[error("subject {subject} has not the schema of this version: run `millrace schemas register`")]
    NotRegistered {
        /// The subject.
        subject: String,
    },
    /// The contract's schema is incompatible with those registered before.
    #[error("the registry refuses the schema for subject {subject}: {reason}")]
    Incompatible {
        /// The subject.
        subject: String,
        /// The registry's words.
        reason: String,
    },
}

impl RegistryError {
    /// Whether the same call may succeed later without anybody's doing.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

/// How a schema of the contract stands in the registry.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct SchemaStatus {
    /// Its subject.
    pub subject: String,
    /// Its id there; `None` when it is not registered.
    pub id: Option<u32>,
}

impl Registry {
    /// A client of the registry whose Confluent API begins at `url`, such as `http://localhost:8081`.
    ///
    /// # Errors
    /// When that is no address, or the TLS set-up of this machine can't be read.
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
        Ok(Self { base, settings, client })
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

    /// The schema of that id.
    ///
    /// # Errors
    /// When there is none, it is not Avro, or the registry does not answer.
    pub async fn schema(&self, id: u32) -> Result<Schema, RegistryError> {
        if i32::try_from(id).is_err() {
            return Err(RegistryError::UnknownId(id)); // registries count in signed numbers
        }
        let registered = match get_schema_by_id_and_type(id, &self.settings, SchemaType::Avro).await {
            Ok(registered) => registered,
            Err(error) => {
                return Err(match error_code(&error) {
                    Some(SCHEMA_NOT_FOUND | NOT_FOUND) => RegistryError::UnknownId(id),
                    None if error.source().is_none() && !error.retriable => {
                        RegistryError::NotAvro { id, reason: error.error }
                    }
                    _ => self.unavailable(reason_of(&error)),
                });
            }
        };
        if !registered.references.is_empty() {
            return Err(RegistryError::NotAvro { id, reason: "it refers to other schemas".into() });
        }
        let schema = Schema::parse_str(&registered.schema);
        let schema = schema.map_err(|e| RegistryError::NotAvro { id, reason: e.to_string() })?;
        if refers(&schema) {
            return Err(RegistryError::NotAvro { id, reason: "it uses a named type twice, or inside itself".into() });
        }
        Ok(schema)
    }

    /// How every schema of the contract stands.
    ///
    /// # Errors
    /// When the registry does not answer.
    pub async fn check(&self, log: &LogName, contract: &Contract) -> Result<Vec<SchemaStatus>, RegistryError> {
        let mut statuses = Vec::new();
        for record in contract.records() {
            let subject = record.subject(log);
            let id = match self.id_of(&subject, record.text).await {
                Ok(id) => Some(id),
                Err(RegistryError::NotRegistered { .. }) => None,
                Err(error) => return Err(error),
            };
            statuses.push(SchemaStatus { subject, id });
        }
        Ok(statuses)
    }

    /// Registers every schema of the contract under the log's subjects, each with `FULL_TRANSITIVE` compatibility.
    /// What is registered already stays as it is.
    ///
    /// # Errors
    /// When a schema is incompatible with those registered before it, or the registry does not answer.
    pub async fn register(&self, log: &LogName, contract: &Contract) -> Result<Vec<SchemaStatus>, RegistryError> {
        let mut statuses = Vec::new();
        for record in contract.records() {
            let subject = record.subject(log);
            // Some registries refuse the setting for a subject that has no schema yet: then it is set afterwards.
            let was_set = self.set_compatibility(&subject).await?;
            let supplied = SuppliedSchema::new(None, SchemaType::Avro, record.text.to_owned());
            let posted = post_schema(&self.settings, subject.clone(), supplied).await;
            let id = posted.map_err(|error| self.refused(&subject, error))?.id;
            if !was_set && !self.set_compatibility(&subject).await? {
                return Err(
                    self.unavailable(format!("it has no subject {subject} right after a schema was registered"))
                );
            }
            statuses.push(SchemaStatus { subject, id: Some(id) });
        }
        Ok(statuses)
    }

    /// Sets the subject's compatibility; false when the registry does not know the subject.
    async fn set_compatibility(&self, subject: &str) -> Result<bool, RegistryError> {
        let request = self.client.put(format!("{}/config/{subject}", self.base));
        let response = request.json(&json!({ "compatibility": COMPATIBILITY })).send().await;
        let response = response.map_err(|error| self.unavailable(innermost(&error)))?;
        match response.status() {
            status if status.is_success() => Ok(true),
            reqwest::StatusCode::NOT_FOUND => Ok(false),
            status => Err(self.unavailable(format!("setting the compatibility of {subject} gave HTTP {status}"))),
        }
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

/// Why a call failed, without what the library says about its cache: the registry's own answer, or what broke.
fn reason_of(error: &SRCError) -> String {
    match (error_code(error), error.source(), &error.cause) {
        (Some(_), _, Some(answer)) => format!("{}: {answer}", error.error),
        (_, Some(source), _) => innermost(source),
        (_, None, Some(cause)) => format!("{}: {cause}", error.error),
        (_, None, None) => error.error.clone(),
    }
}

/// The last cause. Those around it name addresses, perhaps with a password.
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

/// Whether a schema uses a type by its name. Inside itself, that makes data of any depth, and apache-avro 0.22 reads those
/// until the stack is full. No record of the contract needs it.
fn refers(schema: &Schema) -> bool {
    match schema {
        Schema::Ref { .. } => true,
        Schema::Record(record) => record.fields.iter().any(|field| refers(&field.schema)),
        Schema::Array(array) => refers(&array.items),
        Schema::Map(map) => refers(&map.types),
        Schema::Union(union) => union.variants().iter().any(refers),
        _ => false,
    }
}

/// An address as it may be printed.
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

    #[test]
    fn a_schema_that_is_inside_itself_is_found() {
        let parse = |text| Schema::parse_str(text).unwrap();
        let inside = r#"{"type":"record","name":"CloseAccount","fields":[
            {"name":"account_id","type":"string"},{"name":"next","type":["null","CloseAccount"],"default":null}]}"#;
        assert!(refers(&parse(inside)));
        let flat = r#"{"type":"record","name":"CloseAccount","fields":[
            {"name":"account_id","type":["null",{"type":"array","items":{"type":"map","values":"string"}}]}]}"#;
        assert!(!refers(&parse(flat)));
    }
}
