//! The stack as callers see it.

use std::path::{Path, PathBuf};

use crate::addresses::Addresses;
use crate::down::{manner_of, stop_all};
use crate::error::{Result, StackError};
use crate::fetch::ServerCache;
use crate::folder::{DataDir, FolderLock, StackFile};
use crate::options::StackOptions;
use crate::process::{Manner, Running, RunningProcess, Service, ServiceStart, Stopped, stop};
use crate::progress::{Progress, Silent};
use crate::servers::{Password, Ports};
use crate::up::Up;

/// A stack that has been brought up at least once. It holds no process and no connection: dropping it stops nothing.
///
/// All methods may be called from any task of a tokio runtime, and all are safe to cancel: what was started is found
/// again. Those that change something wait for each other, also across processes.
#[derive(Debug, Clone)]
pub struct Stack {
    data_dir: DataDir,
    cache_dir: PathBuf,
    addresses: Addresses,
}

impl Stack {
    /// Brings up the three servers, and returns when each has answered. What runs already stays as it is.
    ///
    /// # Errors
    /// Each names its remedy. Servers that did start before the error keep running; `down` stops them.
    pub async fn up(options: &StackOptions, progress: &dyn Progress) -> Result<Self> {
        check_platform()?;
        let data_dir = DataDir::create(&options.data_dir)?;
        let _lock = FolderLock::acquire(&data_dir.lock_file(), progress).await?;
        let cache = ServerCache::open(&options.cache_dir)?;
        Up::check(&data_dir, cache, options, progress).await?.bring().await?;
        Self::read(data_dir)
    }

    /// The stack in this folder, running or not.
    ///
    /// # Errors
    /// [`StackError::NoStack`] if none was ever brought up there.
    pub fn open(data_dir: &Path) -> Result<Self> {
        Self::read(DataDir::open(data_dir)?)
    }

    fn read(data_dir: DataDir) -> Result<Self> {
        let no_stack = || StackError::NoStack { data_dir: data_dir.path().to_owned() };
        let file = StackFile::read(&data_dir.stack_file())?.ok_or_else(no_stack)?;
        let addresses = Addresses::new(&file.ports, &Password::read(&data_dir)?);
        Ok(Self { data_dir, cache_dir: file.cache_dir, addresses })
    }

    /// Starts the servers that are missing, with the ports that the stack has.
    ///
    /// # Errors
    /// As [`Stack::up`].
    pub async fn start(&self, progress: &dyn Progress) -> Result<()> {
        Self::up(&self.options(), progress).await.map(|_| ())
    }

    fn options(&self) -> StackOptions {
        let data_dir = self.data_dir.path().to_owned();
        StackOptions { data_dir, cache_dir: self.cache_dir.clone(), ports: Ports::default(), short_lived: false }
    }

    /// Where the servers answer.
    #[must_use]
    pub const fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The stack's folder, canonical.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        self.data_dir.path()
    }

    /// The log of a server or service; it exists once that was started.
    #[must_use]
    pub fn log_file(&self, name: &str) -> PathBuf {
        self.data_dir.log(name)
    }

    /// All processes of this stack, as found now.
    #[must_use]
    pub fn running(&self) -> Vec<RunningProcess> {
        Running::in_folder(&self.data_dir).list()
    }

    /// Starts a service that outlives us, unless one runs under this name. It inherits our environment, and `env` on
    /// top; it works in the stack's folder and writes to `logs/<name>.log` there.
    ///
    /// # Errors
    /// [`StackError::BadServiceName`], or a program that can't be started.
    pub async fn start_service(
        &self,
        name: &str,
        program: &Path,
        args: &[String],
        env: &[(String, String)],
    ) -> Result<ServiceStart> {
        let service = Service::new(name, program, args, env)?;
        let _lock = self.lock(&Silent).await?;
        service.start(&self.data_dir)
    }

    /// Stops what runs under this name, as `down` would; empty if nothing does.
    ///
    /// # Errors
    /// A process that can't be signalled, or that not even SIGKILL ends.
    pub async fn stop(&self, name: &str) -> Result<Vec<Stopped>> {
        self.end(name, manner_of(name)).await
    }

    /// Stops what runs under this name by SIGKILL, and returns when it is gone.
    ///
    /// # Errors
    /// As [`Stack::stop`].
    pub async fn kill(&self, name: &str) -> Result<Vec<Stopped>> {
        self.end(name, Manner::KILL).await
    }

    async fn end(&self, name: &str, manner: Manner) -> Result<Vec<Stopped>> {
        let _lock = self.lock(&Silent).await?;
        let mut stopped = Vec::new();
        for process in Running::in_folder(&self.data_dir).named(name) {
            stopped.push(stop(name, process, manner, &Silent).await?);
        }
        Ok(stopped)
    }

    /// Stops everything of this stack: services, registry, Kafka, Postgres. Nothing running is fine.
    ///
    /// # Errors
    /// As [`Stack::stop`].
    pub async fn down(&self, progress: &dyn Progress) -> Result<Vec<Stopped>> {
        let _lock = self.lock(progress).await?;
        stop_all(&self.data_dir, progress).await
    }

    /// [`Stack::down`] for a folder that may hold no stack, or a damaged one: what runs from it is stopped all the same.
    ///
    /// # Errors
    /// As [`Stack::stop`].
    pub async fn down_in(data_dir: &Path, progress: &dyn Progress) -> Result<Vec<Stopped>> {
        if !data_dir.is_dir() {
            return Ok(Vec::new());
        }
        let data_dir = DataDir::open(data_dir)?;
        if Running::in_folder(&data_dir).is_empty() && !data_dir.lock_file().exists() {
            return Ok(Vec::new());
        }
        let _lock = FolderLock::acquire(&data_dir.lock_file(), progress).await?;
        stop_all(&data_dir, progress).await
    }

    /// Deletes the stack with all its data, and its folder if nothing else is in there.
    ///
    /// # Errors
    /// [`StackError::StillRunning`], or [`StackError::NoStack`] if the folder isn't a stack's (any more).
    pub async fn destroy(self) -> Result<()> {
        Self::destroy_in(self.data_dir()).await
    }

    /// [`Stack::destroy`] for a folder that may hold a damaged stack.
    ///
    /// # Errors
    /// As [`Stack::destroy`].
    pub async fn destroy_in(data_dir: &Path) -> Result<()> {
        let found = DataDir::open(data_dir)?;
        let data_dir = found.path().to_owned();
        let _lock = FolderLock::acquire(&found.lock_file(), &Silent).await?;
        let running = Running::in_folder(&found);
        if !running.is_empty() {
            return Err(StackError::StillRunning { names: running.names(), data_dir });
        }
        if !found.stack_file().exists() {
            return Err(StackError::NoStack { data_dir });
        }
        found.delete()
    }

    async fn lock(&self, progress: &dyn Progress) -> Result<FolderLock> {
        FolderLock::acquire(&self.data_dir.lock_file(), progress).await
    }
}

fn check_platform() -> Result<()> {
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    if (os, arch) == ("linux", "x86_64") { Ok(()) } else { Err(StackError::UnsupportedPlatform { os, arch }) }
}
