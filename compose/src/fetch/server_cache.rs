//! The folder of unpacked servers in the cache, and the fetch that fills it.
//!
//! A fetch works in a staging folder, and renames it when it is complete and verified. A fetch that is killed leaves
//! only that folder, and the next fetch deletes it. The final folder's name carries a checksum of the lock file, so two
//! versions of Millrace can share a cache.

use std::path::{Path, PathBuf};

use crate::error::{Result, StackError};
use crate::folder::{FolderLock, check_name, create_dir};
use crate::progress::Progress;
use crate::server::Server;

use super::artifacts::{self, Artifact};
use super::checksum::sha256;
use super::{contents, maven, unpack};

const STAGING: &str = "staging-";

/// The unpacked servers.
#[derive(Debug, Clone)]
pub(crate) struct ServerCache {
    folder: PathBuf,
}

impl ServerCache {
    /// The place of the servers in this cache folder, whether they are there yet or not. Creates the cache folder if it
    /// is missing.
    pub(crate) fn open(cache_dir: &Path) -> Result<Self> {
        create_dir(cache_dir, 0o755)?;
        let cache_dir = cache_dir.canonicalize().map_err(StackError::path("opening", cache_dir))?;
        check_name(&cache_dir)?;
        let key = sha256(artifacts::LOCK);
        Ok(Self { folder: cache_dir.join(format!("servers-{}", &key[..12])) })
    }

    pub(crate) fn are_here(&self) -> bool {
        self.folder.is_dir()
    }

    pub(crate) fn folder_of(&self, server: Server) -> PathBuf {
        self.folder.join(server.name())
    }

    /// The cache folder, canonical.
    pub(crate) fn cache_dir(&self) -> &Path {
        self.folder.parent().unwrap_or(&self.folder)
    }

    /// Compares one server's files with what was unpacked.
    pub(crate) async fn verify(&self, server: Server) -> Result<()> {
        let folder = self.folder.clone();
        blocking(move || contents::verify(&folder, server)).await
    }

    /// Fetches the servers unless they are here, and deletes what killed fetches left. If another process is fetching,
    /// waits for it. Uses no network if the servers are here.
    pub(crate) async fn fetch(&self, progress: &dyn Progress) -> Result<()> {
        if self.are_here() && self.leftovers()?.is_empty() {
            return Ok(());
        }
        let _lock = FolderLock::acquire(&self.cache_dir().join("lock"), progress).await?;
        maven::end_orphans(self.cache_dir())?;
        for leftover in self.leftovers()? {
            std::fs::remove_dir_all(&leftover).map_err(StackError::path("deleting", &leftover))?;
        }
        if self.are_here() {
            return Ok(());
        }
        let staging = self.cache_dir().join(format!("{STAGING}{}", uuid::Uuid::new_v4().simple()));
        create_dir(&staging, 0o755)?;
        let fetched = self.fetch_through(&staging, progress).await;
        // A failed fetch may leave hundreds of megabytes here. If this deletion fails, the next fetch repeats it.
        let _ = std::fs::remove_dir_all(&staging);
        fetched
    }

    async fn fetch_through(&self, staging: &Path, progress: &dyn Progress) -> Result<()> {
        let artifacts = artifacts::parse(artifacts::LOCK).unwrap_or_default();
        let total = artifacts.iter().map(|artifact| artifact.bytes).sum();
        progress.line(&format!("fetching the servers through Maven into {}", self.cache_dir().display()));
        progress.fetched(0, total);
        let log = self.cache_dir().join("fetch.log");
        maven::Run { target: staging, log, cache_dir: self.cache_dir(), artifacts: &artifacts }.copy(progress).await?;
        let (from, to) = (staging.to_owned(), self.folder.clone());
        blocking(move || install(&artifacts, &from, &to)).await?;
        progress.fetched(total, total);
        progress.line("the servers are fetched, checked and unpacked");
        Ok(())
    }

    /// The staging folders of killed fetches. Without the lock, one of them may belong to a fetch under way.
    fn leftovers(&self) -> Result<Vec<PathBuf>> {
        let cache_dir = self.cache_dir();
        let entries = std::fs::read_dir(cache_dir).map_err(StackError::path("reading", cache_dir))?;
        let is_staging = |entry: &std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with(STAGING);
        Ok(entries.filter_map(|entry| entry.ok().filter(is_staging)).map(|entry| entry.path()).collect())
    }
}

/// Verifies all artifacts before it unpacks any. Makes the result durable before the rename declares it complete.
fn install(artifacts: &[Artifact], staging: &Path, target: &Path) -> Result<()> {
    for artifact in artifacts {
        artifact.verify(staging)?;
    }
    let servers = staging.join("servers");
    for artifact in artifacts {
        unpack::unpack(artifact, staging, &servers)?;
    }
    contents::record(&servers)?;
    let handle = std::fs::File::open(&servers).map_err(StackError::path("opening", &servers))?;
    rustix::fs::syncfs(handle).map_err(|error| StackError::path("writing to disk", &servers)(error.into()))?;
    std::fs::rename(&servers, target).map_err(StackError::path("moving into place", target))
}

/// Runs file and checksum work off the runtime's threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(StackError::io("waiting for a worker thread")(std::io::Error::other(error))),
    }
}
