//! Finds a Java that Kafka 4 and the registry run on.

use std::path::PathBuf;

use tokio::process::Command;

use crate::error::{Result, StackError};

/// The first major version that Kafka 4 runs on.
const OLDEST: u32 = 17;

/// The `java` of `JAVA_HOME` if that is set, else the one on the `PATH`. Refuses one older than 17.
pub(crate) async fn find() -> Result<PathBuf> {
    let home = std::env::var_os("JAVA_HOME").filter(|home| !home.is_empty());
    let program = match &home {
        Some(home) => PathBuf::from(home).join("bin/java"),
        None => PathBuf::from("java"),
    };
    let missing = |why: String| StackError::JavaMissing {
        looked: match &home {
            Some(home) => format!("JAVA_HOME is {}, but {why}", PathBuf::from(home).display()),
            None => format!("looked for `java` on the PATH, but {why}"),
        },
    };
    let output = Command::new(&program).arg("-version").output().await;
    let output = output.map_err(|error| missing(format!("{}: {error}", program.display())))?;
    let said = String::from_utf8_lossy(&output.stderr);
    match major_version(&said) {
        Some(found) if found >= OLDEST => Ok(program),
        Some(found) => Err(StackError::JavaTooOld { program, found }),
        None => Err(missing(format!("`{} -version` says: {}", program.display(), said.trim()))),
    }
}

/// The 17 of `openjdk version "17.0.15" 2025-04-15`, the 8 of `java version "1.8.0_412"`.
fn major_version(output: &str) -> Option<u32> {
    let quoted = output.split_once("version \"")?.1.split('"').next()?;
    let mut numbers = quoted.split(|c: char| !c.is_ascii_digit());
    match numbers.next()?.parse().ok()? {
        1 => numbers.next()?.parse().ok(),
        major => Some(major),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_all_ages_are_read() {
        for (output, expected) in [
            ("openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime Environment", Some(17)),
            ("Picked up JAVA_TOOL_OPTIONS: -Dx=y\nopenjdk version \"21\" 2023-09-19", Some(21)),
            ("openjdk version \"25-ea\" 2025-09-16", Some(25)),
            ("java version \"1.8.0_412\"", Some(8)),
            ("bash: java: not an emulator", None),
            ("version \"\"", None),
        ] {
            assert_eq!(major_version(output), expected, "{output}");
        }
    }
}
