//! The lock file `servers.lock`: the files that the servers consist of, with size and checksum.

use std::path::Path;

use crate::error::{Result, StackError};
use crate::server::Server;

use super::checksum::sha256_of_file;

/// The lock file, compiled in.
pub(crate) const LOCK: &str = include_str!("../../servers.lock");

/// A file that belongs to a server: one line of the lock file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Artifact {
    pub server: Server,
    /// The file's name, without a folder.
    pub name: String,
    pub bytes: u64,
    /// In lower-case hex.
    pub sha256: String,
}

impl Artifact {
    /// Compares size and checksum of the copy in `folder` with the lock file.
    pub(crate) fn verify(&self, folder: &Path) -> Result<()> {
        let wrong = |found: String| StackError::WrongArtifact {
            name: self.name.clone(),
            expected: format!("{} bytes, sha256 {}", self.bytes, self.sha256),
            found,
        };
        let path = folder.join(&self.name);
        let bytes = match std::fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            Err(_) => return Err(wrong("Maven did not copy it".into())),
        };
        let sha256 = sha256_of_file(&path)?;
        if bytes == self.bytes && sha256 == self.sha256 {
            return Ok(());
        }
        Err(wrong(format!("it has {bytes} bytes, sha256 {sha256}")))
    }
}

/// Parses a lock file. Each line is `server name bytes sha256`, blank, or a comment that starts with `#`; any other
/// line makes this `None`.
pub(crate) fn parse(lock: &str) -> Option<Vec<Artifact>> {
    lock.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()).map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Artifact> {
    let mut words = line.split_whitespace();
    let server = Server::parse(words.next()?)?;
    let name = words.next().filter(|name| !name.contains('/'))?.to_owned();
    let bytes = words.next()?.parse().ok()?;
    let sha256 = words.next().filter(|hex| hex.len() == 64)?.to_owned();
    words.next().is_none().then_some(Artifact { server, name, bytes, sha256 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_lock_file_is_whole() {
        let artifacts = parse(LOCK).unwrap();
        let count = |server| artifacts.iter().filter(|a| a.server == server).count();
        assert_eq!((count(Server::Postgres), count(Server::Registry)), (1, 1));
        assert!(artifacts.iter().any(|a| a.name.starts_with("kafka_2.13-")));
        assert!(artifacts.iter().any(|a| a.name.starts_with("log4j-slf4j-impl-")));
    }

    #[test]
    fn the_lock_file_and_the_pom_name_the_same_versions() {
        let pom = include_str!("../../servers.pom.xml");
        for (artifact, version) in [
            ("<artifactId>kafka_2.13</artifactId>", "4.1.2"),
            ("apicurio-registry-app", "3.0.9"),
            ("embedded-postgres", "18.6.0"),
        ] {
            assert!(pom.contains(artifact) && pom.contains(&format!("<version>{version}</version>")));
            assert!(parse(LOCK).unwrap().iter().any(|a| a.name.contains(version)), "{artifact} {version}");
        }
    }

    #[test]
    fn a_line_with_anything_odd_is_refused() {
        let sum = "0".repeat(64);
        assert!(parse(&format!("# note\n\nkafka a.jar 1 {sum}\n")).is_some_and(|found| found.len() == 1));
        for bad in ["kafka a.jar 1", "redis a.jar 1 S", "kafka ../a.jar 1 S", "kafka a.jar x S", "kafka a.jar 1 S more"]
        {
            assert_eq!(parse(&bad.replace('S', &sum)), None, "{bad}");
        }
    }

    #[test]
    fn a_changed_file_is_told_from_the_right_one() {
        let folder = std::env::temp_dir().join(format!("millrace-artifact-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&folder).unwrap();
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".to_string();
        let artifact = Artifact { server: Server::Kafka, name: "a.jar".into(), bytes: 3, sha256 };
        assert!(artifact.verify(&folder).unwrap_err().to_string().contains("did not copy"));
        std::fs::write(folder.join("a.jar"), "abc").unwrap();
        assert!(artifact.verify(&folder).is_ok());
        std::fs::write(folder.join("a.jar"), "abd").unwrap();
        assert!(matches!(artifact.verify(&folder), Err(StackError::WrongArtifact { .. })));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
