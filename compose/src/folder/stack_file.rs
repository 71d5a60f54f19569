//! `stack.json`: what a later call needs that gives only the data folder. It holds no secret.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Result, StackError};

/// Goes up when an older Millrace could not read the file.
const FORMAT: u32 = 1;

/// The ports of a stack's servers on 127.0.0.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChosenPorts {
    pub postgres: u16,
    pub kafka: u16,
    pub kafka_controller: u16,
    pub registry: u16,
}

/// The file's content. A folder holds a stack if it holds this file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StackFile {
    format: u32,
    pub ports: ChosenPorts,
    pub cache_dir: PathBuf,
}

impl StackFile {
    pub(crate) fn new(ports: ChosenPorts, cache_dir: PathBuf) -> Self {
        Self { format: FORMAT, ports, cache_dir }
    }

    /// `None` if there is no such file.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text)
                .map(Some)
                .map_err(|reason| StackError::BadStackFile { file: path.to_owned(), reason }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StackError::path("reading", path)(error)),
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        let found: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if found.format == FORMAT { Ok(found) } else { Err(format!("format {} is not known here", found.format)) }
    }

    /// Replaces the file in one step: even after a crash, a reader sees the old content or the new.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let text =
            serde_json::to_string_pretty(self).map_err(|error| StackError::path("writing", path)(error.into()))?;
        let next = path.with_extension("json.next");
        let failed = || StackError::path("writing", &next);
        let mut file = File::create(&next).map_err(failed())?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed())?;
        std::fs::rename(&next, path).map_err(StackError::path("replacing", path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORTS: ChosenPorts = ChosenPorts { postgres: 1, kafka: 2, kafka_controller: 3, registry: 4 };

    #[test]
    fn it_reads_what_it_wrote() {
        let path = std::env::temp_dir().join(format!("millrace-stack-{}.json", uuid::Uuid::new_v4()));
        assert_eq!(StackFile::read(&path).unwrap(), None);
        let file = StackFile::new(PORTS, "/cache".into());
        file.write(&path).unwrap();
        assert_eq!(StackFile::read(&path).unwrap(), Some(file));
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_damaged_file_is_told_from_a_missing_one() {
        for text in ["", "{}", "{\"format\": 9}", "{\"format\":1,\"ports\":{},\"cache_dir\":\"/\"}"] {
            assert!(StackFile::parse(text).is_err(), "{text}");
        }
        let later = serde_json::to_string(&StackFile { format: 2, ..StackFile::new(PORTS, "/c".into()) }).unwrap();
        assert!(StackFile::parse(&later).unwrap_err().contains("format 2"));
    }
}
