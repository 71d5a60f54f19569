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
/// Call the methods from any task of a tokio runtime. All are safe to cancel: a later call finds what an earlier one
/// started. Methods that change something wait for each other, also across processes.
///
/// ```no_run
/// use millrace_compose::{Console, Ports, Stack, StackOptions};
///
/// # async fn example() -> millrace_compose::Result<()> {
/// // Any free ports, so that this stack does not disturb another one.
/// let options = StackOptions { ports: Ports::ANY, ..StackOptions::default() };
/// let stack = Stack::up(&options, &Console::new()).await?;
/// println!("Kafka answers on {}", stack.addresses().kafka_bootstrap);
///
/// // The servers outlive this process. A later one finds them by their folder, and stops them.
/// let stack = Stack::open(&options.data_dir)?;
/// stack.down(&Console::new()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Stack {
    data_dir: DataDir,
    cache_dir: PathBuf,
    addresses: Addresses,
}

impl Stack {
    /// Brings up the three servers, and returns when each has answered. A server that runs already stays as it is.
    ///
    /// # Errors
    /// Every error names its remedy. Servers that did start before the error keep running; [`Stack::down_in`] stops
    /// them.
    pub async fn up(options: &StackOptions, progress: &dyn Progress) -> Result<Self> {
        check_platform()?;
        let data_dir = DataDir::create(&options.data_dir)?;
        let _lock = FolderLock::acquire(&data_dir.lock_file(), progress).await?;
        let cache = ServerCache::open(&options.cache_dir)?;
        Up::check(&data_dir, cache, options, progress).await?.run().await?;
        Self::read(data_dir)
    }

    /// The stack in this folder, running or not.
    ///
    /// # Errors
    /// [`StackError::NoStack`] if none was ever brought up there, [`StackError::BadStackFile`] or
    /// [`StackError::PasswordLost`] if it is damaged.
    pub fn open(data_dir: &Path) -> Result<Self> {
        Self::read(DataDir::open(data_dir)?)
    }

    fn read(data_dir: DataDir) -> Result<Self> {
        let no_stack = || StackError::NoStack { data_dir: data_dir.path().to_owned() };
        let file = StackFile::read(&data_dir.stack_file())?.ok_or_else(no_stack)?;
        let addresses = Addresses::new(&file.ports, &Password::read(&data_dir)?);
        Ok(Self { data_dir, cache_dir: file.cache_dir, addresses })
    }

    /// Starts the servers that are missing, on the ports that the stack has.
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

    /// The stack's folder, as a canonical path.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        self.data_dir.path()
    }

    /// The log of a server or service. The file exists from its first start on.
    #[must_use]
    pub fn log_file(&self, name: &str) -> PathBuf {
        self.data_dir.log(name)
    }

    /// All processes of this stack that run now.
    #[must_use]
    pub fn running(&self) -> Vec<RunningProcess> {
        Running::in_folder(&self.data_dir).list()
    }

    /// Starts a service that outlives us, unless one runs under this name. The service gets our environment and `env`;
    /// it works in the stack's folder and writes to `logs/<name>.log` there.
    ///
    /// # Errors
    /// [`StackError::BadServiceName`], or an I/O error if the program can't be started.
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

    /// Stops the server or service of this name, as `down` would. Returns an empty list if none runs.
    ///
    /// # Errors
    /// [`StackError::NotPermitted`] if we may not signal the process, [`StackError::WillNotEnd`] if it survives
    /// SIGKILL.
    pub async fn stop(&self, name: &str) -> Result<Vec<Stopped>> {
        self.end(name, manner_of(name)).await
    }

    /// Kills the server or service of this name with SIGKILL, and returns when it is gone.
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

    /// Stops services, registry, Kafka and Postgres, in this order. Returns an empty list if none runs.
    ///
    /// # Errors
    /// As [`Stack::stop`].
    pub async fn down(&self, progress: &dyn Progress) -> Result<Vec<Stopped>> {
        let _lock = self.lock(progress).await?;
        stop_all(&self.data_dir, progress).await
    }

    /// [`Stack::down`] for a folder that may hold no stack, or a damaged one. Stops all that runs from it nevertheless.
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

    /// Deletes the stack with all its data, and its folder if that holds nothing else.
    ///
    /// # Errors
    /// [`StackError::StillRunning`], or [`StackError::NoStack`] if the folder holds no stack (any more).
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
