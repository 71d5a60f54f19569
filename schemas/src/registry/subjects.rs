//! A log's subjects in the registry: the verdict on a new version before it is registered, and the end of a log.

use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::{COMPATIBILITY, Registry, RegistryError};
use crate::{LogName, Topic};

/// The registry's verdict on a new version of a subject.
#[derive(Deserialize)]
struct Verdict {
    is_compatible: bool,
    #[serde(default)]
    messages: Vec<String>,
}

impl Registry {
    /// Asks whether the registry would take the schema as a new version of the subject. Registers nothing. Returns the
    /// registry's objections; none when it would take it, or does not have the subject.
    ///
    /// # Errors
    /// When the registry does not answer.
    pub async fn objections(&self, subject: &str, schema: &str) -> Result<Vec<String>, RegistryError> {
        let url = format!("{}/compatibility/subjects/{subject}/versions?verbose=true", self.base);
        let body = json!({ "schema": schema, "schemaType": "AVRO" });
        let response = self.sent(self.client.post(url).json(&body)).await?;
        match response.status() {
            StatusCode::NOT_FOUND => Ok(vec![]),
            status if status.is_success() => {
                let verdict = response.json::<Verdict>().await;
                match verdict.map_err(|error| self.unavailable(super::innermost(&error)))? {
                    Verdict { is_compatible: true, .. } => Ok(vec![]),
                    Verdict { messages, .. } if messages.is_empty() => {
                        Ok(vec![format!("it is not {COMPATIBILITY} with an earlier version")])
                    }
                    Verdict { messages, .. } => Ok(messages),
                }
            }
            status => Err(self.unavailable(format!("asking for a verdict on {subject} gave HTTP {status}"))),
        }
    }

    /// The subjects of a log, also those that were deleted but not for good.
    ///
    /// # Errors
    /// When the registry does not answer.
    pub async fn subjects(&self, log: &LogName) -> Result<Vec<String>, RegistryError> {
        let response = self.sent(self.client.get(format!("{}/subjects?deleted=true", self.base))).await?;
        if !response.status().is_success() {
            return Err(self.unavailable(format!("listing the subjects gave HTTP {}", response.status())));
        }
        let subjects = response.json::<Vec<String>>().await;
        let mut subjects = subjects.map_err(|error| self.unavailable(super::innermost(&error)))?;
        let topics = [Topic::Commands, Topic::Events, Topic::Outcomes].map(|topic| format!("{}-", topic.name(log)));
        subjects.retain(|subject| topics.iter().any(|topic| subject.starts_with(topic)));
        subjects.sort();
        Ok(subjects)
    }

    /// Deletes a subject with all its versions, for good. One that does not exist is fine.
    ///
    /// # Errors
    /// When the registry does not answer, or does not delete.
    pub async fn delete_subject(&self, subject: &str) -> Result<(), RegistryError> {
        // registries delete for good only what was deleted before
        for query in ["", "?permanent=true"] {
            let request = self.client.delete(format!("{}/subjects/{subject}{query}", self.base));
            let status = self.sent(request).await?.status();
            if !status.is_success() && status != StatusCode::NOT_FOUND {
                return Err(self.unavailable(format!("deleting the subject {subject} gave HTTP {status}")));
            }
        }
        Ok(())
    }
}
