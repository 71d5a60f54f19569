//! Is there room? Asked before the first byte is written, since a server that fills the disk says so much less clearly.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::error::{Result, StackError};

const MIB: u64 = 1024 * 1024;

/// What the cache needs while it is filled: Maven's copies (its own and ours, 160 MiB each) and the unpacked servers.
pub(crate) const FRESH_CACHE: u64 = 600 * MIB;
/// What a new data folder needs to start and to run the demo: write-ahead log, tables, Kafka's segments.
pub(crate) const FRESH_DATA: u64 = 900 * MIB;
/// With less than this, servers that have run before will not start either.
pub(crate) const KNOWN_DATA: u64 = 100 * MIB;

/// How much room a folder needs, and the flag by which a user moves it.
pub(crate) struct Need<'a> {
    pub folder: &'a Path,
    pub bytes: u64,
    pub flag: &'static str,
}

/// Checks all needs, adding up those on one file system. The folders exist.
pub(crate) fn check(needs: &[Need<'_>]) -> Result<()> {
    for need in needs {
        let device = device_of(need.folder)?;
        let mut bytes = 0;
        for other in needs {
            if device_of(other.folder)? == device {
                bytes += other.bytes;
            }
        }
        let free = free_bytes(need.folder)?;
        if free < bytes {
            return Err(StackError::NotEnoughSpace {
                folder: need.folder.to_owned(),
                free_mib: free / MIB,
                needed_mib: bytes / MIB,
                flag: need.flag,
            });
        }
    }
    Ok(())
}

fn device_of(folder: &Path) -> Result<u64> {
    Ok(std::fs::metadata(folder).map_err(StackError::path("looking at", folder))?.dev())
}

fn free_bytes(folder: &Path) -> Result<u64> {
    let found =
        rustix::fs::statvfs(folder).map_err(|e| StackError::path("asking for the free space of", folder)(e.into()))?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_on_one_file_system_add_up() {
        let folder = std::env::temp_dir();
        let free = free_bytes(&folder).unwrap();
        let half = || Need { folder: &folder, bytes: free / 3 * 2, flag: "--data-dir" };
        assert!(check(&[half()]).is_ok());
        assert!(matches!(check(&[half(), half()]), Err(StackError::NotEnoughSpace { flag: "--data-dir", .. })));
    }
}
