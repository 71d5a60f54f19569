//! Starts PostgreSQL on its data folder, and creates that folder first if there is none.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::error::{Result, StackError};
use crate::folder::{DataDir, create_dir};
use crate::process::{Environment, Launch, LoggedProcess, ServerUser, postmaster, prepare};
use crate::server::Server;

/// The role that `initdb` creates. Services use another.
pub(crate) const SUPERUSER: &str = "postgres";

/// The sizes suit a developer's machine of 2 cores and a few GB. The first four are promises: an acknowledged commit is
/// durable, and nobody outside this machine gets in.
const SETTINGS: &[&str] = &[
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    "listen_addresses=127.0.0.1",
    // TCP only: a socket's path has room for 107 bytes, and a data folder's path may be longer.
    "unix_socket_directories=",
    "password_encryption=scram-sha-256",
    "max_connections=100",
    "shared_buffers=1GB",
    "effective_cache_size=3GB",
    "work_mem=16MB",
    "maintenance_work_mem=128MB",
    "max_wal_size=4GB",
    "checkpoint_timeout=15min",
    "random_page_cost=1.1",
    // To compile one of our queries takes longer than to run it.
    "jit=off",
    "timezone=UTC",
    "log_timezone=UTC",
    "log_line_prefix=%m [%p] %q%u@%d ",
];

/// The PostgreSQL to start.
pub(crate) struct Postgres<'a> {
    pub data_dir: &'a DataDir,
    pub programs: &'a Path,
    pub user: Option<&'a ServerUser>,
    pub port: u16,
}

impl Postgres<'_> {
    /// Starts the server. First clears away what a crash left: processes, a stale `postmaster.pid`.
    pub(crate) async fn start(&self) -> Result<LoggedProcess> {
        let data = self.data_dir.postgres();
        if !data.exists() {
            self.initialise(&data).await?;
        }
        postmaster::clear_leftovers(&data).await?;
        let mut args: Vec<OsString> = vec!["-D".into(), data.into_os_string()];
        let port = format!("port={}", self.port);
        for setting in SETTINGS.iter().copied().chain([port.as_str()]) {
            args.extend(["-c".into(), setting.into()]);
        }
        let program = self.programs.join("bin/postgres");
        let (name, environment) = (Server::Postgres.name(), Environment::BARE);
        Launch { name, program: &program, args, environment, user: self.user }.start(self.data_dir)
    }

    /// Initialises a folder beside `data` and renames it when it is whole, so that nobody takes half of one for data.
    async fn initialise(&self, data: &Path) -> Result<()> {
        let next = data.with_extension("new");
        if next.exists() {
            std::fs::remove_dir_all(&next).map_err(StackError::path("deleting", &next))?;
        }
        create_dir(&next, 0o700)?;
        if let Some(user) = self.user {
            user.own(&next)?;
        }
        let mut password_file = OsString::from("--pwfile=");
        password_file.push(self.data_dir.password_file());
        let mut args =
            vec![OsStr::new("-D"), next.as_os_str(), &password_file, OsStr::new("--username"), OsStr::new(SUPERUSER)];
        args.extend(["--auth=scram-sha-256", "--encoding=UTF8", "--no-instructions"].map(OsStr::new));
        args.extend(["--locale-provider=builtin", "--locale=C.UTF-8"].map(OsStr::new));
        prepare::run("initdb", &self.programs.join("bin/initdb"), self.user, &args).await?;
        std::fs::rename(&next, data).map_err(StackError::path("moving into place", data))
    }
}
