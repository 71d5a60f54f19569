//! What can go wrong with the local stack. Every message says what to do about it.

mod disk_full;
mod io;
mod port_owner;

use std::path::PathBuf;

use disk_full::disk_full_hint;
pub use port_owner::PortOwner;

/// A result whose error is a [`StackError`] unless it says otherwise.
pub type Result<T, E = StackError> = std::result::Result<T, E>;

/// Why the stack can't be started, stopped or read. The message names the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StackError {
    /// There are server binaries for Linux on x86-64 only.
    #[error(
        "the local stack runs on Linux x86_64 only, and this is {os} {arch}; use Docker instead: \
         docker compose -f compose/compose.yaml up -d"
    )]
    UnsupportedPlatform {
        /// As [`std::env::consts::OS`] names it.
        os: &'static str,
        /// As [`std::env::consts::ARCH`] names it.
        arch: &'static str,
    },
    /// There is no usable `java` in `JAVA_HOME`, or, if that is not set, on the `PATH`.
    #[error(
        "no JDK: {looked}; install JDK 17 or newer (Debian: apt install openjdk-17-jdk-headless), or set JAVA_HOME"
    )]
    JavaMissing {
        /// Where we looked, and what we found there.
        looked: String,
    },
    /// Kafka 4 needs Java 17.
    #[error(
        "{} is Java {found}, and Kafka needs 17 or newer; install a newer JDK, or point JAVA_HOME to one",
        program.display()
    )]
    JavaTooOld {
        /// The `java` that we asked for its version.
        program: PathBuf,
        /// Its major version, such as 11.
        found: u32,
    },
    /// The servers have to be fetched, and there is no `mvn` to fetch them.
    #[error(
        "no Maven: `mvn` is not on the PATH, and the servers are not in {} yet; install Maven (Debian: apt \
         install maven) and run `millrace up` again", cache_dir.display()
    )]
    MavenMissing {
        /// The folder that lacks the servers.
        cache_dir: PathBuf,
    },
    /// Maven failed, most often because of the network or a mirror.
    #[error(
        "Maven could not fetch the servers:\n{lines}\ncheck the network, or the mirror and proxy in Maven's \
         settings.xml, and run `millrace up` again; Maven's whole output is in {}", log.display()
    )]
    Fetch {
        /// Up to three of Maven's errors, or the last lines of its output if it names none.
        lines: String,
        /// The file with all of Maven's output.
        log: PathBuf,
    },
    /// A fetched file is missing, or differs from the one that `servers.lock` names.
    #[error(
        "{name} is not the released file: {found}, but servers.lock says {expected}; delete its folder in Maven's \
         local repository (~/.m2/repository, unless settings.xml says otherwise), check the mirror, and run \
         `millrace up` again"
    )]
    WrongArtifact {
        /// The file's name, without a folder.
        name: String,
        /// Size and checksum according to `servers.lock`.
        expected: String,
        /// What is wrong with the file.
        found: String,
    },
    /// The unpacked servers have changed since they were verified.
    #[error(
        "{} is damaged ({reason}); delete the folder {} and run `millrace up` again", file.display(), folder.display()
    )]
    CacheDamaged {
        /// The first damaged file.
        file: PathBuf,
        /// What is wrong with the file.
        reason: &'static str,
        /// The folder to delete, so that the next `up` fetches the servers anew.
        folder: PathBuf,
    },
    /// An archive has the right checksum, and still can't be unpacked.
    #[error(
        "{} cannot be unpacked: {reason}; run `millrace up` again, and report it if that does not help",
        archive.display()
    )]
    BadArchive {
        /// The archive, in a staging folder that is deleted by now.
        archive: PathBuf,
        /// The unpacker's own error.
        reason: String,
    },
    /// The disk has too little space. Checked before anything is fetched or started.
    #[error(
        "{} has {free_mib} MiB free, and the stack needs {needed_mib} MiB there; free some space, or choose another \
         folder with {flag}", folder.display()
    )]
    NotEnoughSpace {
        /// A folder on the file system that is short of space.
        folder: PathBuf,
        /// Free space for this user, in MiB.
        free_mib: u64,
        /// Space that all of the stack's folders on that file system need together, in MiB.
        needed_mib: u64,
        /// The flag that moves the folder.
        flag: &'static str,
    },
    /// The disk filled up while we wrote.
    #[error("the disk is full ({doing}); free some space, or choose another folder with --data-dir or --cache-dir")]
    DiskFull {
        /// What we were doing, with the path.
        doing: String,
    },
    /// The folder belongs to somebody else, or its file system is read-only.
    #[error(
        "no permission ({doing}); use a folder of your own (--data-dir, --cache-dir), or run as the user who owns it"
    )]
    NotPermitted {
        /// What we were doing, with the path.
        doing: String,
    },
    /// PostgreSQL refuses to run as root, and the user it runs as instead can't reach its files.
    #[error(
        "{} is closed to the user `{user}` (mode {mode:04o}), as which PostgreSQL runs when root starts it; choose \
         folders that everybody may enter with --data-dir and --cache-dir, such as /var/lib/millrace and \
         /var/cache/millrace, or open it: chmod o+x {}", folder.display(), folder.display()
    )]
    ClosedFolder {
        /// The first folder on the way that this user may not enter.
        folder: PathBuf,
        /// The folder's permission bits.
        mode: u32,
        /// The user that PostgreSQL would run as.
        user: String,
    },
    /// A server's configuration can't hold this folder's name.
    #[error(
        "the folder name {} cannot be used: it {reason}; choose another with --data-dir or --cache-dir",
        folder.display()
    )]
    UnusableFolder {
        /// The folder, canonical.
        folder: PathBuf,
        /// The rule that the name breaks; "it" is the subject.
        reason: &'static str,
    },
    /// Another program listens on the port.
    #[error(
        "port {port} for {server} is taken{}; stop that program, or choose another port with {flag} (0: any free one)",
        owner.as_ref().map(|o| format!(" by {o}")).unwrap_or_default()
    )]
    PortTaken {
        /// The port on 127.0.0.1.
        port: u16,
        /// The server that needs it.
        server: &'static str,
        /// The flag that chooses another port.
        flag: &'static str,
        /// The program that listens; `None` if it belongs to another user.
        owner: Option<PortOwner>,
    },
    /// The caller gave one port to two servers.
    #[error("port {port} is given twice; every server needs a port of its own")]
    PortTwice {
        /// The port that was given twice.
        port: u16,
    },
    /// The caller asked for another port than the one that the running server has.
    #[error(
        "{server} already runs with port {running}, so it cannot be started with {flag} {asked}; leave the flag out, \
         or run `millrace down` first"
    )]
    PortsDiffer {
        /// The server's name.
        server: &'static str,
        /// The flag that the caller gave.
        flag: &'static str,
        /// The port that the server has.
        running: u16,
        /// The port that the caller asked for.
        asked: u16,
    },
    /// None of the ports tried, all below the ephemeral ones, was free.
    #[error("found no free port between {from} and {to}; choose the ports yourself")]
    NoFreePort {
        /// The first port of the range.
        from: u16,
        /// The first port behind the range.
        to: u16,
    },
    /// A process ended while we waited for it to answer.
    #[error(
        "{name} stopped while starting. Its last lines:\n{tail}\nthe whole log is {}{}",
        log.display(), disk_full_hint(tail)
    )]
    Died {
        /// The name that the process runs under.
        name: String,
        /// The last lines it wrote.
        tail: String,
        /// The file with all it wrote.
        log: PathBuf,
    },
    /// A process lives but does not answer.
    #[error(
        "{name} did not answer within {seconds} s (last: {last}); look into {}, and try `millrace down` and \
         `millrace up`", log.display()
    )]
    NoAnswer {
        /// The name that the process runs under.
        name: String,
        /// How long we waited.
        seconds: u64,
        /// Why the last attempt failed.
        last: String,
        /// The file with all it wrote.
        log: PathBuf,
    },
    /// `initdb` or Kafka's storage tool failed.
    #[error("{program} failed. Its last lines:\n{tail}{}", disk_full_hint(tail))]
    Preparation {
        /// The program, as the message names it.
        program: &'static str,
        /// The last lines of its output.
        tail: String,
    },
    /// PostgreSQL answered with an error.
    #[error("PostgreSQL refused while {doing}: {source}; its log is {}", log.display())]
    Postgres {
        /// What we were doing.
        doing: &'static str,
        /// PostgreSQL's answer.
        source: tokio_postgres::Error,
        /// PostgreSQL's log.
        log: PathBuf,
    },
    /// The data is there, but its password is lost.
    #[error(
        "{} is missing, damaged or not this database's, so nobody can log in; restore the file, or (this deletes all \
         data) run `millrace down` and delete {}", file.display(), data_dir.display()
    )]
    PasswordLost {
        /// The file that should hold the password.
        file: PathBuf,
        /// The stack's data folder.
        data_dir: PathBuf,
    },
    /// No stack was ever brought up in this folder, or it has been deleted.
    #[error(
        "there is no stack in {}; run `millrace up` first, or choose its folder with --data-dir", data_dir.display()
    )]
    NoStack {
        /// The folder that holds no `stack.json`.
        data_dir: PathBuf,
    },
    /// `stack.json` is damaged, or a later version of Millrace wrote it.
    #[error(
        "{} is damaged ({reason}); run `millrace down`, delete that file, and give `millrace up` the ports again",
        file.display()
    )]
    BadStackFile {
        /// The path of `stack.json`.
        file: PathBuf,
        /// What is wrong with its content.
        reason: String,
    },
    /// The stack has to be down for this, and it is not.
    #[error("{} still runs from {}; run `millrace down` first", names.join(", "), data_dir.display())]
    StillRunning {
        /// The names of the running servers and services.
        names: Vec<String>,
        /// The stack's data folder.
        data_dir: PathBuf,
    },
    /// A process survived SIGKILL for ten seconds, so it hangs in the kernel.
    #[error(
        "{name} (pid {pid}) does not end, not even by SIGKILL; look at `ps -o stat,wchan {pid}`: its disk may hang"
    )]
    WillNotEnd {
        /// The name that the process runs under.
        name: String,
        /// The kernel's number for it.
        pid: u32,
    },
    /// A service can't have this name, since it becomes part of a marker and of a log's file name.
    #[error("`{name}` cannot name a service: use lower-case letters, digits and hyphens, and not a server's name")]
    BadServiceName {
        /// The name that the caller gave.
        name: String,
    },
    /// Anything else from the operating system.
    #[error("{doing}: {source}")]
    Io {
        /// What we were doing, with the path.
        doing: String,
        /// The system's own error.
        source: std::io::Error,
    },
}
