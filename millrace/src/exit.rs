//! Exit codes.

use std::process::ExitCode;

use millrace_runtime::SettingsError;

/// The answer is no: refused, not found, does not agree.
pub const NO: u8 = 1;
/// Wrong usage or settings; clap's own code too.
const USAGE: u8 = 2;
/// Something failed.
const FAILED: u8 = 3;

/// Prints an error with its causes, and gives its exit code.
pub fn failure(error: &anyhow::Error) -> ExitCode {
    eprintln!("millrace: {}", chain(error));
    let usage = error.chain().any(|cause| cause.is::<SettingsError>() || cause.is::<Usage>());
    ExitCode::from(if usage { USAGE } else { FAILED })
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

impl std::error::Error for Usage {}
