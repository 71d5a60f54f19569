//! Checks for free space before anything is written, because a server that fills the disk reports it much less clearly.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::error::{Result, StackError};

const MIB: u64 = 1024 * 1024;

/// Bytes that an empty cache needs: two copies of the artifacts (Maven's own and ours, 160 MiB each) and the unpacked
/// servers.
pub(crate) const FRESH_CACHE: u64 = 600 * MIB;
/// Bytes that a new data folder needs to start and to run the demo: write-ahead log, tables, Kafka's segments.
pub(crate) const FRESH_DATA: u64 = 900 * MIB;
/// Bytes without which even servers that have run before don't start.
pub(crate) const KNOWN_DATA: u64 = 100 * MIB;

/// The space that a folder needs, and the flag with which a user moves the folder.
pub(crate) struct Need<'a> {
    pub folder: &'a Path,
    pub bytes: u64,
    pub flag: &'static str,
}

/// Checks all needs, and adds up those on one file system. The folders must exist.
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
