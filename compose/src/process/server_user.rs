//! The user that PostgreSQL runs as when root starts it, since it refuses to run as root.

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::error::{Result, StackError};

/// A user and a group that a process of root's can run as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerUser {
    /// For messages.
    pub name: String,
    pub uid: u32,
    pub gid: u32,
}

impl ServerUser {
    /// For root, the owner of the Postgres data, or `nobody` if there is none yet. `None` for any other user, who runs
    /// everything as himself.
    pub(crate) fn for_data(postgres: &Path) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        match std::fs::metadata(postgres) {
            Ok(data) if data.uid() != 0 => {
                Some(Self { name: format!("user {}", data.uid()), uid: data.uid(), gid: data.gid() })
            }
            _ => Some(Self::nobody(&std::fs::read_to_string("/etc/passwd").unwrap_or_default())),
        }
    }

    /// Some containers have no `/etc/passwd`; 65534 is the kernel's own overflow user.
    fn nobody(passwd: &str) -> Self {
        passwd.lines().find_map(parse_nobody).unwrap_or(Self { name: "nobody".into(), uid: 65534, gid: 65534 })
    }

    /// Checks that this user can walk down to `path` (canonical); the error names the first folder that bars the way.
    pub(crate) fn check_reaches(&self, path: &Path) -> Result<()> {
        let mut ancestors: Vec<&Path> = path.ancestors().collect();
        ancestors.reverse();
        for folder in ancestors {
            let found = std::fs::metadata(folder).map_err(StackError::path("looking at", folder))?;
            let may_enter = match () {
                () if found.uid() == self.uid => 0o100,
                () if found.gid() == self.gid => 0o010,
                () => 0o001,
            };
            if found.mode() & may_enter == 0 {
                let mode = found.mode() & 0o7777;
                return Err(StackError::ClosedFolder { folder: folder.to_owned(), mode, user: self.name.clone() });
            }
        }
        Ok(())
    }

    /// Makes a command run as this user; it starts only if we are root.
    pub(super) fn set_on(&self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }

    /// Gives a file or folder to this user.
    pub(crate) fn own(&self, path: &Path) -> Result<()> {
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
            .map_err(StackError::path("changing the owner of", path))
    }
}

fn parse_nobody(line: &str) -> Option<ServerUser> {
    let mut fields = line.strip_prefix("nobody:")?.split(':').skip(1);
    let (uid, gid) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(ServerUser { name: "nobody".into(), uid, gid })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::{create_dir, set_mode};

    #[test]
    fn nobody_is_looked_up_and_has_a_default() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nnobody:x:99:98:nobody:/:/sbin/nologin\n";
        assert_eq!(ServerUser::nobody(passwd), ServerUser { name: "nobody".into(), uid: 99, gid: 98 });
        assert_eq!(ServerUser::nobody("").uid, 65534);
    }

    #[test]
    fn the_folder_that_is_closed_is_the_one_named() {
        let closed = std::env::temp_dir().join(format!("millrace-closed-{}", uuid::Uuid::new_v4()));
        create_dir(&closed.join("inner"), 0o755).unwrap();
        set_mode(&closed, 0o700).unwrap();
        let nobody = ServerUser { name: "nobody".into(), uid: 65534, gid: 65534 };
        let error = nobody.check_reaches(&closed.join("inner")).unwrap_err();
        std::fs::remove_dir_all(&closed).unwrap();
        assert!(matches!(error, StackError::ClosedFolder { folder, mode: 0o700, .. } if folder == closed));
    }
}
