//! Exit codes.

use std::error::Error;
use std::process::ExitCode;

use millrace_compose::StackError;
use millrace_projector_runner::ProjectorError;
use millrace_relay::RelayError;
use millrace_runtime::SettingsError;
use millrace_runtime::kafka::TopicError;
use millrace_runtime::postgres::PostgresUrlError;
use millrace_schemas::{ParseLogNameError, ParseStreamIdError, RegistryError};
use millrace_store::StoreError;

/// The answer is no: the command was refused, something was not found, an audit found a difference.
pub const NO: u8 = 1;
/// Wrong usage or settings; clap's own code too.
const USAGE: u8 = 2;
/// Something failed, such as a server that does not answer.
const FAILED: u8 = 3;

/// Prints an error with its causes, and returns its exit code. A service logs the error instead, like everything else.
pub fn failure(error: &anyhow::Error) -> ExitCode {
    if tracing::enabled!(tracing::Level::ERROR) {
        tracing::error!(error = %chain(error), "the service has failed");
    } else {
        eprintln!("millrace: {}", chain(error));
    }
    ExitCode::from(if error.chain().any(is_usage) { USAGE } else { FAILED })
}

/// Whether the caller has to call differently: exit code 2.
fn is_usage(cause: &(dyn Error + 'static)) -> bool {
    cause.is::<Usage>()
        || cause.is::<SettingsError>()
        || cause.is::<ParseLogNameError>()
        || cause.is::<ParseStreamIdError>()
        || matches!(cause.downcast_ref(), Some(PostgresUrlError::Malformed))
        || matches!(cause.downcast_ref(), Some(RelayError::RelayPostgresUrl))
        || matches!(cause.downcast_ref(), Some(ProjectorError::SharedGroup { .. }))
        || matches!(cause.downcast_ref(), Some(StoreError::Partitions { .. } | StoreError::Definition { .. }))
        || matches!(cause.downcast_ref(), Some(TopicError::Partitions { .. } | TopicError::Setting { .. }))
        || matches!(cause.downcast_ref(), Some(RegistryError::NoAddress))
        || matches!(
            cause.downcast_ref(),
            Some(StackError::PortTaken { .. } | StackError::PortTwice { .. } | StackError::PortsDiffer { .. })
        )
}

/// The error and its causes in one line. Leaves out a cause whose text is in the error's already.
fn chain(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |said, cause| match said {
        said if said.is_empty() => cause,
        said if said.contains(&cause) => said,
        said => format!("{said}: {cause}"),
    })
}

/// The caller has to change the call; the message says how.
#[derive(Debug)]
pub struct Usage(pub String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Usage {}

#[cfg(test)]
mod tests {
    use millrace_runtime::ServiceError;
    use millrace_writer::WriterError;

    use super::*;

    #[test]
    fn a_name_that_is_none_is_wrong_usage_and_a_silent_server_is_not() {
        let bad_log = "No Log".parse::<millrace_schemas::LogName>().unwrap_err();
        let bad_stream = "account".parse::<millrace_schemas::StreamId>().unwrap_err();
        let (log, actual, asked) = ("a".to_owned(), "ledger".to_owned(), "orders".to_owned());
        let other_definition = StoreError::Definition { log, actual, asked };
        let errors: [anyhow::Error; 6] = [
            bad_log.into(),
            bad_stream.into(),
            other_definition.into(),
            PostgresUrlError::Malformed.into(),
            RegistryError::NoAddress.into(),
            StackError::PortTwice { port: 45000 }.into(),
        ];
        for error in errors {
            assert!(error.context("while starting").chain().any(is_usage));
        }
        let no_schema = StoreError::NoSchema { log: "a".into(), record: "EntryPosted".into() };
        let failures = [std::io::Error::other("no answer").into(), anyhow::Error::from(no_schema)];
        for failed in failures {
            assert!(!failed.chain().any(is_usage));
        }
    }

    #[test]
    fn a_services_wrong_setting_is_wrong_usage() {
        let missing = || SettingsError::Missing { variable: "MILLRACE_KAFKA_BOOTSTRAP", example: "host:9092" };
        let writer = anyhow::Error::from(WriterError::from(ServiceError::from(missing())));
        let relay = anyhow::Error::from(RelayError::from(ServiceError::from(missing())));
        let projector = anyhow::Error::from(ProjectorError::from(ServiceError::from(missing())));
        for error in [writer, relay, projector] {
            assert!(error.chain().any(is_usage));
            assert_eq!(chain(&error), missing().to_string(), "said once");
        }
    }
}
