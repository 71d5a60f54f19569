//! Asks the registry whether it answers.

use crate::error::{Result, StackError};

use super::health::{NotReady, Probe};
use super::registry::url;

/// The registry on a port of this machine.
pub(crate) struct RegistryProbe {
    client: reqwest::Client,
    port: u16,
}

impl RegistryProbe {
    pub(crate) fn new(port: u16) -> Result<Self> {
        // The environment may name a proxy, and a proxy can't reach this machine's loopback.
        let client = reqwest::Client::builder().no_proxy().build();
        let client = client.map_err(|error| StackError::io("making an HTTP client")(std::io::Error::other(error)))?;
        Ok(Self { client, port })
    }
}

/// The innermost cause, such as "connection refused": the outer ones repeat the URL.
fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

impl Probe for RegistryProbe {
    async fn ask(&self) -> Result<(), NotReady> {
        let answer = self.client.get(format!("{}/subjects", url(self.port))).send().await;
        let answer = answer.map_err(|error| NotReady::Retry(reason(&error)))?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(NotReady::Retry(format!("GET /subjects: {status}"))),
        }
    }
}
