//! Starts Kafka, broker and controller in one process, and formats its data folder first if there is none.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::error::{Result, StackError};
use crate::folder::{DataDir, create_dir};
use crate::process::{Environment, Launch, LoggedProcess, prepare};
use crate::server::Server;

use super::jvm;

const SERVER_PROPERTIES: &str = include_str!("kafka/server.properties");
const LOG4J2_PROPERTIES: &str = include_str!("kafka/log4j2.properties");
const JVM: &[&str] = &["-Xms256m", "-Xmx768m"];
/// Turns the optimising compiler off.
const SHORT_LIVED: &str = "-XX:TieredStopAtLevel=1";

/// The Kafka to start.
pub(crate) struct Kafka<'a> {
    pub data_dir: &'a DataDir,
    pub programs: &'a Path,
    pub java: &'a Path,
    pub short_lived: bool,
    pub port: u16,
    pub controller_port: u16,
}

impl Kafka<'_> {
    /// Starts the server. Kafka locks its data folder through the kernel, so a crash leaves no stale lock.
    pub(crate) async fn start(&self) -> Result<LoggedProcess> {
        let log4j2 = self.write("log4j2.properties", LOG4J2_PROPERTIES)?;
        let data = self.data_dir.kafka().join("data");
        if !data.exists() {
            self.format(&data).await?;
        }
        let config = self.write("server.properties", &self.properties(&data))?;
        let mut args: Vec<OsString> = JVM.iter().map(OsString::from).collect();
        args.extend(self.short_lived.then(|| SHORT_LIVED.into()));
        args.extend(jvm::options(self.data_dir, Server::Kafka)?);
        args.push(format!("-Dlog4j2.configurationFile={}", log4j2.display()).into());
        args.extend(["-cp".into(), self.class_path(), "kafka.Kafka".into(), config.into_os_string()]);
        let (name, environment) = (Server::Kafka.name(), Environment::BARE);
        Launch { name, program: self.java, args, environment, user: None }.start(self.data_dir)
    }

    /// Formats a folder beside `data`, and renames it when it is whole.
    async fn format(&self, data: &Path) -> Result<()> {
        let next = data.with_extension("new");
        if next.exists() {
            std::fs::remove_dir_all(&next).map_err(StackError::path("deleting", &next))?;
        }
        create_dir(&next, 0o700)?;
        let config = self.write("format.properties", &self.properties(&next))?;
        let (class_path, cluster_id) = (self.class_path(), new_cluster_id());
        let mut args = ["-Xmx128m", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-cp"].map(OsStr::new).to_vec();
        args.extend([&class_path, OsStr::new("kafka.tools.StorageTool"), OsStr::new("format")]);
        args.extend(["--cluster-id", &cluster_id, "--config"].map(OsStr::new));
        args.push(config.as_os_str());
        prepare::run("Kafka's storage tool", self.java, None, &args).await?;
        std::fs::rename(&next, data).map_err(StackError::path("moving into place", data))
    }

    fn properties(&self, log_dir: &Path) -> String {
        SERVER_PROPERTIES
            .replace("{port}", &self.port.to_string())
            .replace("{controller_port}", &self.controller_port.to_string())
            .replace("{log_dir}", &log_dir.display().to_string())
    }

    fn class_path(&self) -> OsString {
        self.programs.join("*").into_os_string()
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.data_dir.kafka().join(name);
        std::fs::write(&path, text).map_err(StackError::path("writing", &path))?;
        Ok(path)
    }
}

/// Kafka wants 16 bytes in URL-safe Base64 without padding, which are 22 characters. Hex digits are among the valid
/// ones. The last character holds two bits only, so it is a fixed one.
fn new_cluster_id() -> String {
    let random = uuid::Uuid::new_v4().simple().to_string();
    random.chars().take(21).chain(['A']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_properties_are_filled_in() {
        let folder = std::env::temp_dir().join(format!("millrace-kafka-{}", uuid::Uuid::new_v4()));
        let data_dir = DataDir::create(&folder).unwrap();
        let kafka = Kafka {
            data_dir: &data_dir,
            programs: &folder,
            java: &folder,
            short_lived: true,
            port: 1,
            controller_port: 2,
        };
        let properties = kafka.properties(Path::new("/data"));
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(properties.contains("\nlisteners=PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2\n"));
        assert!(properties.contains("\nlog.dirs=/data\n") && !properties.contains('{'));
    }

    #[test]
    fn a_cluster_id_has_kafkas_form() {
        assert_eq!(new_cluster_id().len(), 22);
        assert_ne!(new_cluster_id(), new_cluster_id());
    }
}
