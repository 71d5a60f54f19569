//! Starts Apicurio Registry on its own database.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::error::{Result, StackError};
use crate::folder::DataDir;
use crate::process::{Environment, Launch, LoggedProcess};
use crate::server::Server;

use super::password::Password;
use super::{databases, jvm};

/// The registry answers a few requests per deployment, so a quick start counts most: a small heap, and no optimising
/// compiler.
const JVM: &[&str] = &["-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];

/// The registry to start.
pub(crate) struct Registry<'a> {
    pub data_dir: &'a DataDir,
    pub programs: &'a Path,
    pub java: &'a Path,
    pub port: u16,
    pub postgres_port: u16,
    pub password: &'a Password,
}

impl Registry<'_> {
    /// Starts the server. Postgres must be ready, because the registry creates its tables at once.
    pub(crate) fn start(&self) -> Result<LoggedProcess> {
        let mut args: Vec<OsString> = JVM.iter().map(OsString::from).collect();
        args.extend(jvm::options(self.data_dir, Server::Registry)?);
        args.extend(["-jar".into(), find_jar(self.programs)?.into_os_string()]);
        let (name, environment) = (Server::Registry.name(), Environment::Only(self.settings()));
        Launch { name, program: self.java, args, environment, user: None }.start(self.data_dir)
    }

    /// These go by environment, because everybody on the machine may read arguments and one of them is a password.
    fn settings(&self) -> Vec<(String, String)> {
        let database = format!("jdbc:postgresql://127.0.0.1:{}/{}", self.postgres_port, databases::REGISTRY);
        let settings = [
            ("QUARKUS_HTTP_HOST", "127.0.0.1"),
            ("QUARKUS_HTTP_PORT", &self.port.to_string()),
            ("QUARKUS_HTTP_ACCESS_LOG_ENABLED", "false"),
            ("APICURIO_STORAGE_KIND", "sql"),
            ("APICURIO_STORAGE_SQL_KIND", "postgresql"),
            ("APICURIO_DATASOURCE_URL", &database),
            ("APICURIO_DATASOURCE_USERNAME", databases::REGISTRY),
            ("APICURIO_DATASOURCE_PASSWORD", self.password.expose()),
            // The default pool opens 20 connections and grows to 100, which is all that Postgres has.
            ("APICURIO_DATASOURCE_JDBC_INITIAL_SIZE", "1"),
            ("APICURIO_DATASOURCE_JDBC_MIN_SIZE", "1"),
            ("APICURIO_DATASOURCE_JDBC_MAX_SIZE", "8"),
        ];
        settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    }
}

/// The Confluent-compatible API of a registry on this port.
pub(crate) fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}/apis/ccompat/v7")
}

/// Searches for the jar, whose name holds its version.
fn find_jar(programs: &Path) -> Result<PathBuf> {
    let entries = std::fs::read_dir(programs).map_err(StackError::path("reading", programs))?;
    let mut files = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let is_runner = |path: &PathBuf| path.to_string_lossy().ends_with("-runner.jar");
    files.find(is_runner).ok_or_else(|| StackError::CacheDamaged {
        file: programs.to_owned(),
        reason: "it holds no *-runner.jar",
        folder: programs.parent().unwrap_or(programs).to_owned(),
    })
}
