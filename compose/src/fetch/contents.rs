//! A list of all unpacked files with their checksums, so that `up` finds damage before a server crashes because of it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::{Result, StackError};
use crate::folder::set_mode;
use crate::server::Server;

use super::checksum::sha256_of_file;

/// The list's name. We write it last, so a folder that has it is complete.
const FILE: &str = "contents";

/// Lists every file below `servers` with its checksum, and lets all users read them: PostgreSQL may run as another
/// user, whatever the umask of the one who fetched.
pub(crate) fn record(servers: &Path) -> Result<()> {
    let mut list = String::new();
    for file in files_below(servers)? {
        let name = file.strip_prefix(servers).unwrap_or(&file).display();
        list.push_str(&format!("{}  {name}\n", sha256_of_file(&file)?));
    }
    let path = servers.join(FILE);
    std::fs::write(&path, list).map_err(StackError::path("writing", &path))
}

/// Compares one server's files with the list. Reads 60-120 MB, which takes a few hundred milliseconds at most.
pub(crate) fn verify(servers: &Path, server: Server) -> Result<()> {
    let damaged = |file: PathBuf, reason| StackError::CacheDamaged { file, reason, folder: servers.to_owned() };
    let list_file = servers.join(FILE);
    let list = std::fs::read_to_string(&list_file).map_err(|_| damaged(list_file.clone(), "it cannot be read"))?;
    let prefix = format!("{}/", server.name());
    let mut found = 0;
    for line in list.lines() {
        let (sum, name) = line.split_once("  ").ok_or_else(|| damaged(list_file.clone(), "it is not a list"))?;
        if name.starts_with(&prefix) {
            let file = servers.join(name);
            match sha256_of_file(&file) {
                Ok(actual) if actual == sum => found += 1,
                Ok(_) => return Err(damaged(file, "its checksum has changed")),
                Err(_) => return Err(damaged(file, "it cannot be read")),
            }
        }
    }
    if found == 0 { Err(damaged(list_file, "it lists no files of this server")) } else { Ok(()) }
}

/// All regular files, sorted by path. Sets the modes of files and folders on the way, and leaves links alone.
fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        set_mode(&folder, 0o755)?;
        for entry in std::fs::read_dir(&folder).map_err(StackError::path("reading", &folder))? {
            let path = entry.map_err(StackError::path("reading", &folder))?.path();
            let metadata = std::fs::symlink_metadata(&path).map_err(StackError::path("looking at", &path))?;
            if metadata.is_dir() {
                folders.push(path);
            } else if metadata.is_file() {
                set_mode(&path, mode_for_all(&metadata))?;
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn mode_for_all(metadata: &Metadata) -> u32 {
    if metadata.mode() & 0o100 == 0 { 0o644 } else { 0o755 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_found_in_the_server_it_concerns() {
        let servers = std::env::temp_dir().join(format!("millrace-contents-{}", uuid::Uuid::new_v4()));
        for server in ["kafka", "postgres"] {
            std::fs::create_dir_all(servers.join(server)).unwrap();
            std::fs::write(servers.join(server).join("a"), "right").unwrap();
        }
        record(&servers).unwrap();
        assert!(verify(&servers, Server::Kafka).is_ok());
        assert!(verify(&servers, Server::Registry).is_err(), "nothing listed");
        std::fs::write(servers.join("kafka/a"), "wrong").unwrap();
        assert!(matches!(verify(&servers, Server::Kafka), Err(StackError::CacheDamaged { .. })));
        assert!(verify(&servers, Server::Postgres).is_ok());
        std::fs::remove_dir_all(&servers).unwrap();
    }
}
