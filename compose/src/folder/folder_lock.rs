//! Lets one process at a time fill the cache, or start and stop the servers of a data folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use crate::error::{Result, StackError};
use crate::progress::Progress;

const POLL: Duration = Duration::from_millis(100);

/// A lock on a file, held until dropped. The kernel releases it when the process dies, so it is never stale.
pub(crate) struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Waits for the lock. If another process holds it, reports that once. Cancel-safe.
    pub(crate) async fn acquire(path: &Path, progress: &dyn Progress) -> Result<Self> {
        let mut reported = false;
        loop {
            if let Some(lock) = Self::try_acquire(path)? {
                return Ok(lock);
            }
            if !reported {
                progress.line(&format!("waiting for another millrace that holds {}", path.display()));
                reported = true;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn try_acquire(path: &Path) -> Result<Option<Self>> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        let file = options.open(path).map_err(StackError::path("opening", path))?;
        match file.try_lock() {
            Ok(()) if is_still_at(&file, path) => Ok(Some(Self { _file: file })),
            // While we waited, somebody deleted the folder and perhaps made it anew: this lock guards nothing any more.
            Ok(()) | Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(StackError::path("locking", path)(error)),
        }
    }
}

fn is_still_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(held), Ok(named)) => held.dev() == named.dev() && held.ino() == named.ino(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Silent;

    #[tokio::test]
    async fn a_second_holder_waits_for_the_first() {
        let path = std::env::temp_dir().join(format!("millrace-lock-{}", uuid::Uuid::new_v4()));
        let first = FolderLock::acquire(&path, &Silent).await.unwrap();
        assert!(FolderLock::try_acquire(&path).unwrap().is_none());
        drop(first);
        assert!(FolderLock::try_acquire(&path).unwrap().is_some());
        std::fs::remove_file(&path).unwrap();
    }
}
