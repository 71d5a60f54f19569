//! `up`: everything between a folder and three servers that answer.
//!
//! What runs already is adopted, what is missing is started. Nothing here is undone on an error: what did start is
//! found by the next `up`, or stopped by `down`.

use std::path::PathBuf;

use crate::artifacts::Server;
use crate::databases::Databases;
use crate::error::{Result, StackError};
use crate::fetch::Servers;
use crate::folders::{self, DataDir};
use crate::health::Watched;
use crate::java;
use crate::kafka::{self, Kafka};
use crate::kafka_probe::KafkaProbe;
use crate::password::Password;
use crate::ports::{self, ChosenPorts};
use crate::postgres::{self, Postgres};
use crate::process::Process;
use crate::progress::Progress;
use crate::registry::{self, Registry, RegistryProbe};
use crate::running::Running;
use crate::server_user::ServerUser;
use crate::space::{self, Need};
use crate::stack::StackOptions;
use crate::stack_file::StackFile;

/// What is known once all checks have passed.
pub(crate) struct Up<'a> {
    data_dir: &'a DataDir,
    servers: Servers,
    ports: ChosenPorts,
    user: Option<ServerUser>,
    /// Not looked for when both Java servers run.
    java: PathBuf,
    running: Running,
    short_lived: bool,
    progress: &'a dyn Progress,
}

impl<'a> Up<'a> {
    /// Checks all that can be checked before anything is fetched, made or started.
    pub(crate) async fn check(
        data_dir: &'a DataDir,
        servers: Servers,
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
            folders::check_open_to(user, data_dir.path())?;
            folders::check_open_to(user, servers.cache_dir())?;
        }
        if running.servers_missing() {
            check_space(data_dir, &servers)?;
        }
        let runs = |name: &str| running.server(name).is_some();
        let java = if runs(kafka::NAME) && runs(registry::NAME) { PathBuf::new() } else { java::find().await? };
        let ports = ports::choose(&options.ports, remembered.map(|file| file.ports), runs)?;
        let short_lived = options.short_lived;
        Ok(Self { data_dir, servers, ports, user, java, running, short_lived, progress })
    }

    /// Fetches, starts and waits. Kafka starts beside Postgres, the registry after it.
    pub(crate) async fn bring(&self) -> Result<()> {
        let file = StackFile::new(self.ports, self.servers.cache_dir().to_owned());
        file.write(&self.data_dir.stack_file())?;
        if self.running.servers_missing() {
            self.servers.fetch(self.progress).await?;
        }
        let password = Password::of(self.data_dir, self.user.as_ref())?;
        let registry_after_postgres = async {
            self.postgres(&password).await?;
            self.registry(&password).await
        };
        tokio::try_join!(registry_after_postgres, self.kafka())?;
        Ok(())
    }

    async fn postgres(&self, password: &Password) -> Result<()> {
        let port = self.ports.postgres;
        let watched = match self.adopt(postgres::NAME) {
            Some(watched) => watched,
            None => {
                self.servers.verify(Server::Postgres).await?;
                self.announce(postgres::NAME, port);
                let programs = self.servers.folder_of(Server::Postgres);
                let user = self.user.as_ref();
                let launched = Postgres { data_dir: self.data_dir, programs: &programs, user, port }.start().await?;
                Watched::launched(postgres::NAME, launched)
            }
        };
        let databases = Databases { data_dir: self.data_dir, port, password };
        watched.until_ready(&databases, self.progress).await?;
        databases.ensure().await
    }

    async fn kafka(&self) -> Result<()> {
        let (port, controller_port) = (self.ports.kafka, self.ports.kafka_controller);
        let watched = match self.adopt(kafka::NAME) {
            Some(watched) => watched,
            None => {
                self.servers.verify(Server::Kafka).await?;
                self.announce(kafka::NAME, port);
                let programs = self.servers.folder_of(Server::Kafka);
                let (data_dir, java) = (self.data_dir, self.java.as_path());
                let short_lived = self.short_lived;
                let kafka = Kafka { data_dir, programs: &programs, java, short_lived, port, controller_port };
                let launched = kafka.start().await?;
                Watched::launched(kafka::NAME, launched)
            }
        };
        watched.until_ready(&KafkaProbe { port }, self.progress).await
    }

    async fn registry(&self, password: &Password) -> Result<()> {
        let (port, postgres_port) = (self.ports.registry, self.ports.postgres);
        let watched = match self.adopt(registry::NAME) {
            Some(watched) => watched,
            None => {
                self.servers.verify(Server::Registry).await?;
                self.announce(registry::NAME, port);
                let programs = self.servers.folder_of(Server::Registry);
                let (data_dir, java) = (self.data_dir, self.java.as_path());
                let launched =
                    Registry { data_dir, programs: &programs, java, port, postgres_port, password }.start()?;
                Watched::launched(registry::NAME, launched)
            }
        };
        watched.until_ready(&RegistryProbe::new(port)?, self.progress).await
    }

    fn adopt(&self, name: &'static str) -> Option<Watched> {
        let process: Process = self.running.server(name)?;
        self.progress.line(&format!("{name}: runs already (pid {})", process.pid));
        Some(Watched { name, process, log: self.data_dir.log(name), log_from: 0 })
    }

    fn announce(&self, name: &str, port: u16) {
        self.progress.line(&format!("{name}: starting on 127.0.0.1:{port}"));
    }
}

fn check_space(data_dir: &DataDir, servers: &Servers) -> Result<()> {
    let for_data = if data_dir.postgres().exists() { space::KNOWN_DATA } else { space::FRESH_DATA };
    let for_cache = if servers.are_here() { 0 } else { space::FRESH_CACHE };
    space::check(&[
        Need { folder: data_dir.path(), bytes: for_data, flag: "--data-dir" },
        Need { folder: servers.cache_dir(), bytes: for_cache, flag: "--cache-dir" },
    ])
}
