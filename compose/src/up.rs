//! `up`: from a data folder to three servers that answer.
//!
//! A server that runs already stays as it is; one that is missing is started. An error undoes nothing: the next `up`
//! finds the servers that did start, and `down` stops them.

use std::path::PathBuf;

use crate::error::{Result, StackError};
use crate::fetch::ServerCache;
use crate::folder::space::{self, Need};
use crate::folder::{ChosenPorts, DataDir, StackFile};
use crate::options::StackOptions;
use crate::process::{LoggedProcess, Running, ServerUser};
use crate::progress::Progress;
use crate::server::Server;
use crate::servers::{
    Databases, Kafka, KafkaProbe, Password, Postgres, Registry, RegistryProbe, java, ports, until_ready,
};

/// A stack to bring up, after all checks have passed.
pub(crate) struct Up<'a> {
    data_dir: &'a DataDir,
    cache: ServerCache,
    ports: ChosenPorts,
    user: Option<ServerUser>,
    /// Empty if both Java servers run, since then nobody needs it.
    java: PathBuf,
    running: Running,
    short_lived: bool,
    progress: &'a dyn Progress,
}

impl<'a> Up<'a> {
    /// Checks all that can be checked before anything is fetched, created or started.
    pub(crate) async fn check(
        data_dir: &'a DataDir,
        cache: ServerCache,
        options: &StackOptions,
        progress: &'a dyn Progress,
    ) -> Result<Self> {
        let remembered = StackFile::read(&data_dir.stack_file())?;
        let running = Running::in_folder(data_dir);
        if remembered.is_none() && !running.is_empty() {
            let data_dir = data_dir.path().to_owned();
            return Err(StackError::StillRunning { names: running.names(), data_dir });
        }
        let user = ServerUser::for_data(&data_dir.postgres());
        if let Some(user) = &user {
            user.check_reaches(data_dir.path())?;
            user.check_reaches(cache.cache_dir())?;
        }
        if running.servers_missing() {
            check_space(data_dir, &cache)?;
        }
        let runs = |server| running.server(server).is_some();
        let java = if runs(Server::Kafka) && runs(Server::Registry) { PathBuf::new() } else { java::find().await? };
        let ports = ports::choose(&options.ports, remembered.map(|file| file.ports), runs)?;
        let short_lived = options.short_lived;
        Ok(Self { data_dir, cache, ports, user, java, running, short_lived, progress })
    }

    /// Fetches the servers, starts those that are missing, and waits until all answer. The registry starts after
    /// Postgres, Kafka beside both.
    pub(crate) async fn run(&self) -> Result<()> {
        let file = StackFile::new(self.ports, self.cache.cache_dir().to_owned());
        file.write(&self.data_dir.stack_file())?;
        if self.running.servers_missing() {
            self.cache.fetch(self.progress).await?;
        }
        let password = Password::ensure(self.data_dir, self.user.as_ref())?;
        let registry_after_postgres = async {
            self.postgres(&password).await?;
            self.registry(&password).await
        };
        tokio::try_join!(registry_after_postgres, self.kafka())?;
        Ok(())
    }

    async fn postgres(&self, password: &Password) -> Result<()> {
        let (data_dir, port) = (self.data_dir, self.ports.postgres);
        let process = match self.adopt(Server::Postgres) {
            Some(running) => running,
            None => {
                let programs = self.verified_programs(Server::Postgres, port).await?;
                Postgres { data_dir, programs: &programs, user: self.user.as_ref(), port }.start().await?
            }
        };
        let databases = Databases { data_dir, port, password };
        until_ready(&process, &databases, self.progress).await?;
        databases.ensure().await
    }

    async fn kafka(&self) -> Result<()> {
        let (port, controller_port) = (self.ports.kafka, self.ports.kafka_controller);
        let process = match self.adopt(Server::Kafka) {
            Some(running) => running,
            None => {
                let programs = self.verified_programs(Server::Kafka, port).await?;
                let (data_dir, java, short_lived) = (self.data_dir, self.java.as_path(), self.short_lived);
                Kafka { data_dir, programs: &programs, java, short_lived, port, controller_port }.start().await?
            }
        };
        until_ready(&process, &KafkaProbe { port }, self.progress).await
    }

    async fn registry(&self, password: &Password) -> Result<()> {
        let (port, postgres_port) = (self.ports.registry, self.ports.postgres);
        let process = match self.adopt(Server::Registry) {
            Some(running) => running,
            None => {
                let programs = self.verified_programs(Server::Registry, port).await?;
                let (data_dir, java) = (self.data_dir, self.java.as_path());
                Registry { data_dir, programs: &programs, java, port, postgres_port, password }.start()?
            }
        };
        until_ready(&process, &RegistryProbe::new(port)?, self.progress).await
    }

    /// The server's process, if it already runs. Its whole log is its own, as far as we know.
    fn adopt(&self, server: Server) -> Option<LoggedProcess> {
        let (name, id) = (server.name(), self.running.server(server)?);
        self.progress.line(&format!("{name}: runs already (pid {})", id.pid));
        Some(LoggedProcess { name: name.to_owned(), id, log: self.data_dir.log(name), log_from: 0 })
    }

    /// Verifies a server's files, reports that the server starts, and returns the folder of its files.
    async fn verified_programs(&self, server: Server, port: u16) -> Result<PathBuf> {
        self.cache.verify(server).await?;
        self.progress.line(&format!("{}: starting on 127.0.0.1:{port}", server.name()));
        Ok(self.cache.folder_of(server))
    }
}

fn check_space(data_dir: &DataDir, cache: &ServerCache) -> Result<()> {
    let for_data = if data_dir.postgres().exists() { space::KNOWN_DATA } else { space::FRESH_DATA };
    let for_cache = if cache.are_here() { 0 } else { space::FRESH_CACHE };
    space::check(&[
        Need { folder: data_dir.path(), bytes: for_data, flag: "--data-dir" },
        Need { folder: cache.cache_dir(), bytes: for_cache, flag: "--cache-dir" },
    ])
}
