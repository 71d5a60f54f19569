//! Exit codes.

use std::error::Error;
use std::process::ExitCode;

use millrace_compose::StackError;
use millrace_projectors::ProjectorError;
use millrace_runtime::SettingsError;
use millrace_runtime::kafka::TopicError;
use millrace_runtime::postgres::PostgresUrlError;
use millrace_schemas::{ParseLogNameError, ParseStreamIdError, RegistryError};
use millrace_store::StoreError;

/// The answer is no: refused, not found, does not agree.
pub const NO: u8 = 1;
/// Wrong usage or settings; clap's own code too.
const USAGE: u8 = 2;
/// Something failed.
const FAILED: u8 = 3;

/// Tells an error with its causes, and gives its exit code. A service tells it in its log, as everything else.
pub fn failure(error: &anyhow::Error) -> ExitCode {
    if tracing::enabled!(tracing::Level::ERROR) {
        tracing::error!(error = %chain(error), "the service has failed");
    } else {
        eprintln!("millrace: {}", chain(error));
    }
    ExitCode::from(if error.chain().any(is_usage) { USAGE } else { FAILED })
}

/// Whether the caller has to ask for something else.
fn is_usage(cause: &(dyn Error + 'static)) -> bool {
    cause.is::<Usage>()
        || cause.is::<SettingsError>()
        || cause.is::<ParseLogNameError>()
        || cause.is::<ParseStreamIdError>()
        || matches!(cause.downcast_ref(), Some(PostgresUrlError::Malformed))
        || matches!(cause.downcast_ref(), Some(ProjectorError::Unknown { .. }))
        || matches!(cause.downcast_ref(), Some(StoreError::Partitions { .. }))
        || matches!(cause.downcast_ref(), Some(TopicError::Partitions { .. }))
        || matches!(cause.downcast_ref(), Some(RegistryError::NoAddress))
        || matches!(
            cause.downcast_ref(),
            Some(StackError::PortTaken { .. } | StackError::PortTwice { .. } | StackError::PortsDiffer { .. })
        )
}

/// The error and its causes in one line; a cause that the error says already is left out.
fn chain(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |said, cause| match said {
        said if said.is_empty() => cause,
        said if said.contains(&cause) => said,
        said => format!("{said}: {cause}"),
    })
}

/// What the caller asked for can't be done as asked.
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
    use millrace_relay::RelayError;
    use millrace_writer::WriterError;

    use super::*;

    #[test]
    fn a_name_that_is_none_is_wrong_usage_and_a_silent_server_is_not() {
        let bad_log = "No Log".parse::<millrace_schemas::LogName>().unwrap_err();
        let bad_stream = "account".parse::<millrace_schemas::StreamId>().unwrap_err();
        let bad_projector = ProjectorError::Unknown { name: "x".into(), known: String::new() };
        let errors: [anyhow::Error; 6] = [
            bad_log.into(),
            bad_stream.into(),
            bad_projector.into(),
            PostgresUrlError::Malformed.into(),
            RegistryError::NoAddress.into(),
            StackError::PortTwice { port: 45000 }.into(),
        ];
        for error in errors {
            assert!(error.context("while starting").chain().any(is_usage));
        }
        let failed = anyhow::Error::from(std::io::Error::other("no answer"));
        assert!(!failed.chain().any(is_usage));
    }

    #[test]
    fn a_services_wrong_setting_is_wrong_usage() {
        let missing = || SettingsError::Missing { variable: "MILLRACE_KAFKA_BOOTSTRAP", example: "host:9092" };
        let writer = anyhow::Error::from(WriterError::from(missing()));
        let relay = anyhow::Error::from(RelayError::from(missing()));
        let projector = anyhow::Error::from(ProjectorError::from(missing()));
        for error in [writer, relay, projector] {
            assert!(error.chain().any(is_usage));
            assert_eq!(chain(&error), missing().to_string(), "said once");
        }
    }
}
