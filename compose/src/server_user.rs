//! The user that PostgreSQL runs as when root starts it: it refuses root.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::error::{Result, StackError};

/// A user and group to drop to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerUser {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
}

impl ServerUser {
    /// None for a plain user, who runs everything himself. For root the owner of existing data, else `nobody`.
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

    /// Containers without `/etc/passwd` exist; 65534 is the kernel's own overflow user.
    fn nobody(passwd: &str) -> Self {
        passwd.lines().find_map(parse_nobody).unwrap_or(Self { name: "nobody".into(), uid: 65534, gid: 65534 })
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

    #[test]
    fn nobody_is_looked_up_and_has_a_default() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nnobody:x:99:98:nobody:/:/sbin/nologin\n";
        assert_eq!(ServerUser::nobody(passwd), ServerUser { name: "nobody".into(), uid: 99, gid: 98 });
        assert_eq!(ServerUser::nobody("").uid, 65534);
    }
}
