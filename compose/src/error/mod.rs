//! What can go wrong with the local stack. Every message says what to do about it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

mod port_owner;

pub use port_owner::PortOwner;

/// Shorthand for this crate's results.
pub type Result<T, E = StackError> = std::result::Result<T, E>;

/// Why the stack could not be started, stopped or read, with the remedy in its text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StackError {
    /// There are server binaries for Linux on x86-64 only.
    #[error(
        "the local stack runs on Linux x86_64 only, and this is {os} {arch}; use Docker instead: \
         docker compose -f compose/compose.yaml up -d"
    )]
    UnsupportedPlatform {
        /// As the compiler names it.
        os: &'static str,
        /// As the compiler names it.
        arch: &'static str,
    },
    /// No `java` at all, or a `JAVA_HOME` without one.
    #[error(
        "no JDK: {looked}; install JDK 17 or newer (Debian: apt install openjdk-17-jdk-headless), or set JAVA_HOME"
    )]
    JavaMissing {
        /// Where it was looked for, and what was there instead.
        looked: String,
    },
    /// Kafka 4 needs Java 17.
    #[error("{} is Java {found}, and Kafka needs 17 or newer; install a newer JDK, or point JAVA_HOME to one", program.display())]
    JavaTooOld {
        /// The `java` that was asked.
        program: PathBuf,
        /// Its major version.
        found: u32,
    },
    /// The servers come through Maven.
    #[error("no Maven: `mvn` is not on the PATH, and the servers are not in {} yet; install Maven (Debian: apt install maven) and run `millrace up` again", cache_dir.display())]
    MavenMissing {
        /// Where the servers would be.
        cache_dir: PathBuf,
    },
    /// Maven ran and failed.
    #[error(
        "Maven could not fetch the servers:\n{lines}\ncheck the network, or the mirror and proxy in Maven's \
         settings.xml, and run `millrace up` again; Maven's whole output is in {}", log.display()
    )]
    Fetch {
        /// The essential lines of Maven's output.
        lines: String,
        /// All of Maven's output.
        log: PathBuf,
    },
    /// A fetched file isn't the one that servers.lock names.
    #[error(
        "{name} is not the released file: {found}, but servers.lock says {expected}; delete its folder in Maven's \
         local repository (~/.m2/repository, unless settings.xml says otherwise), check the mirror, and run \
         `millrace up` again"
    )]
    WrongArtifact {
        /// The artifact's file name.
        name: String,
        /// Bytes and checksum wanted.
        expected: String,
        /// What came.
        found: String,
    },
    /// The unpacked servers were changed after they had been checked.
    #[error("{} is damaged ({reason}); delete the folder {} and run `millrace up` again", file.display(), folder.display())]
    CacheDamaged {
        /// The first bad file.
        file: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
        /// What to delete.
        folder: PathBuf,
    },
    /// The unpacked servers don't fit this version's lock file or archive format.
    #[error("{} cannot be unpacked: {reason}; run `millrace up` again, and report it if that does not help", archive.display())]
    BadArchive {
        /// The archive.
        archive: PathBuf,
        /// What the unpacker said.
        reason: String,
    },
    /// Seen before starting anything.
    #[error(
        "{} has {free_mib} MiB free, and the stack needs {needed_mib} MiB there; free some space, or choose another \
         folder with {flag}", folder.display()
    )]
    NotEnoughSpace {
        /// The folder, on the file system that is short of space.
        folder: PathBuf,
        /// What it has.
        free_mib: u64,
        /// What it should have.
        needed_mib: u64,
        /// Which flag moves the folder.
        flag: &'static str,
    },
    /// The disk filled up on the way.
    #[error("the disk is full ({doing}); free some space, or choose another folder with --data-dir or --cache-dir")]
    DiskFull {
        /// What failed for it.
        doing: String,
    },
    /// Not our folder, or a read-only file system.
    #[error(
        "no permission ({doing}); use a folder of your own (--data-dir, --cache-dir), or run as the user who owns it"
    )]
    NotPermitted {
        /// What failed for it.
        doing: String,
    },
    /// PostgreSQL refuses root, and the other user can't get to its files.
    #[error(
        "{} is closed to the user `{user}` (mode {mode:04o}), as which PostgreSQL runs when root starts it; choose \
         folders that everybody may enter with --data-dir and --cache-dir, such as /var/lib/millrace and \
         /var/cache/millrace, or open it: chmod o+x {}", folder.display(), folder.display()
    )]
    ClosedFolder {
        /// The folder that lacks `o+x`.
        folder: PathBuf,
        /// Its mode.
        mode: u32,
        /// Who has to get through.
        user: String,
    },
    /// A folder name that a server's configuration cannot carry.
    #[error("the folder name {} cannot be used: it {reason}; choose another with --data-dir or --cache-dir", folder.display())]
    UnusableFolder {
        /// The folder.
        folder: PathBuf,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// Somebody else listens there.
    #[error("port {port} for {server} is taken{}; stop that program, or choose another port with {flag} (0: any free one)",
        owner.as_ref().map(|o| format!(" by {o}")).unwrap_or_default())]
    PortTaken {
        /// The port.
        port: u16,
        /// Who was to have it.
        server: &'static str,
        /// Which flag changes it.
        flag: &'static str,
        /// Who has it, where that could be found out.
        owner: Option<PortOwner>,
    },
    /// One number was given to two servers.
    #[error("port {port} is given twice; every server needs a port of its own")]
    PortTwice {
        /// The port.
        port: u16,
    },
    /// A running server can't move.
    #[error(
        "{server} already runs with port {running}, so it cannot be started with {flag} {asked}; leave the flag out, \
         or run `millrace down` first"
    )]
    PortsDiffer {
        /// Which server.
        server: &'static str,
        /// Its flag.
        flag: &'static str,
        /// Where it listens.
        running: u16,
        /// Where it should.
        asked: u16,
    },
    /// The range of ports below the ephemeral ones is used up.
    #[error("found no free port between {from} and {to}; choose the ports yourself")]
    NoFreePort {
        /// First port tried.
        from: u16,
        /// First port not tried.
        to: u16,
    },
    /// A process ended while it was waited for.
    #[error("{name} stopped while starting. Its last lines:\n{tail}\nthe whole log is {}{}", log.display(), disk_full_hint(tail))]
    Died {
        /// The process.
        name: String,
        /// The end of its log.
        tail: String,
        /// Its log.
        log: PathBuf,
    },
    /// A process lives and doesn't answer.
    #[error(
        "{name} did not answer within {seconds} s (last: {last}); look into {}, and try `millrace down` and \
         `millrace up`", log.display()
    )]
    NoAnswer {
        /// The process.
        name: String,
        /// How long it was waited for.
        seconds: u64,
        /// The last attempt's error.
        last: String,
        /// Its log.
        log: PathBuf,
    },
    /// `initdb` or Kafka's storage tool failed.
    #[error("{program} failed. Its last lines:\n{tail}{}", disk_full_hint(tail))]
    Preparation {
        /// The program.
        program: &'static str,
        /// The end of its output.
        tail: String,
    },
    /// Postgres answered with an error.
    #[error("PostgreSQL refused while {doing}: {source}; its log is {}", log.display())]
    Postgres {
        /// What was being done.
        doing: &'static str,
        /// Postgres's answer.
        source: tokio_postgres::Error,
        /// Its log.
        log: PathBuf,
    },
    /// The data survives, its password doesn't.
    #[error(
        "{} is missing, damaged or not this database's, so nobody can log in; restore the file, or (this deletes all \
         data) run `millrace down` and delete {}", file.display(), data_dir.display()
    )]
    PasswordLost {
        /// The password's file.
        file: PathBuf,
        /// The stack's folder.
        data_dir: PathBuf,
    },
    /// There is no stack in this folder.
    #[error("there is no stack in {}; run `millrace up` first, or choose its folder with --data-dir", data_dir.display())]
    NoStack {
        /// The folder.
        data_dir: PathBuf,
    },
    /// `stack.json` can't be read.
    #[error("{} is damaged ({reason}); run `millrace down`, delete that file, and give `millrace up` the ports again", file.display())]
    BadStackFile {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: String,
    },
    /// Something may only be done with nothing running.
    #[error("{} still runs from {}; run `millrace down` first", names.join(", "), data_dir.display())]
    StillRunning {
        /// What runs.
        names: Vec<String>,
        /// The stack's folder.
        data_dir: PathBuf,
    },
    /// A process survived SIGKILL for a while: it hangs in the kernel.
    #[error(
        "{name} (pid {pid}) does not end, not even by SIGKILL; look at `ps -o stat,wchan {pid}`: its disk may hang"
    )]
    WillNotEnd {
        /// The process.
        name: String,
        /// Its number.
        pid: u32,
    },
    /// A service's name is part of its marker and of its log's file name.
    #[error("`{name}` cannot name a service: use lower-case letters, digits and hyphens, and not a server's name")]
    BadServiceName {
        /// The name.
        name: String,
    },
    /// Anything else from the operating system.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done, with the path.
        doing: String,
        /// What the system said.
        source: std::io::Error,
    },
}

impl StackError {
    /// For `map_err`: gives an I/O error its context, and the two with a remedy of their own their kind.
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let doing = doing.into();
        move |source| match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::DiskFull { doing },
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Self::NotPermitted { doing },
            _ => Self::Io { doing, source },
        }
    }

    /// [`StackError::io`] about one path.
    pub(crate) fn path(doing: &str, path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        Self::io(format!("{doing} {}", path.display()))
    }
}

/// A server that dies of a full disk says so in its log; we say what to do.
fn disk_full_hint(tail: &str) -> &'static str {
    if tail.contains("No space left on device") {
        "\nthe disk is full: free some space, or choose another folder with --data-dir"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_named_as_such() {
        let error = StackError::io("writing x")(ErrorKind::StorageFull.into());
        assert!(error.to_string().starts_with("the disk is full (writing x)"), "{error}");
    }

    #[test]
    fn a_server_that_died_of_a_full_disk_comes_with_the_remedy() {
        let tail = "FATAL: could not write: No space left on device".to_string();
        let error = StackError::Died { name: "postgres".into(), tail, log: "/x.log".into() };
        assert!(error.to_string().contains("free some space"), "{error}");
    }
}
