//! The addresses of the stack's servers.

use std::fmt;

use crate::folder::ChosenPorts;
use crate::servers::{MILLRACE, Password, registry_url};

/// The addresses that clients need. `Debug` leaves the password out.
#[derive(Clone, PartialEq, Eq)]
pub struct Addresses {
    /// A URL with user and password, for `MILLRACE_POSTGRES_URL`.
    pub postgres_url: String,
    /// `host:port`, for `MILLRACE_KAFKA_BOOTSTRAP`.
    pub kafka_bootstrap: String,
    /// The base of the Confluent-compatible API, for `MILLRACE_REGISTRY_URL`.
    pub registry_url: String,
    /// [`Addresses::postgres_url`] without the password, safe to print.
    pub postgres_url_shown: String,
}

impl Addresses {
    pub(crate) fn new(ports: &ChosenPorts, password: &Password) -> Self {
        let postgres = |login: &str| format!("postgres://{login}@127.0.0.1:{}/{}", ports.postgres, MILLRACE);
        Self {
            postgres_url: postgres(&format!("{}:{}", MILLRACE, password.expose())),
            kafka_bootstrap: format!("127.0.0.1:{}", ports.kafka),
            registry_url: registry_url(ports.registry),
            postgres_url_shown: postgres(MILLRACE),
        }
    }
}

impl fmt::Debug for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Addresses")
            .field("postgres_url", &self.postgres_url_shown)
            .field("kafka_bootstrap", &self.kafka_bootstrap)
            .field("registry_url", &self.registry_url)
            .finish_non_exhaustive()
    }
}
