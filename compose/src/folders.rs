//! Where things live on disk: the cache of servers, shared by all stacks, and one data folder per stack.

use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

use crate::error::{Result, StackError};
use crate::server_user::ServerUser;

const FOLDER: &str = "millrace";

/// Where servers are kept unless the caller says otherwise: `/var/cache/millrace` for root, else the XDG cache folder.
#[must_use]
pub fn default_cache_dir() -> PathBuf {
    default_dir("/var/cache", |xdg| xdg.cache_dir())
}

/// Where a stack is kept unless the caller says otherwise: `/var/lib/millrace` for root, else the XDG data folder.
#[must_use]
pub fn default_data_dir() -> PathBuf {
    default_dir("/var/lib", |xdg| xdg.data_dir())
}

fn default_dir(of_root: &str, of_user: impl Fn(&etcetera::base_strategy::Xdg) -> PathBuf) -> PathBuf {
    if rustix::process::geteuid().is_root() {
        return Path::new(of_root).join(FOLDER);
    }
    match etcetera::base_strategy::Xdg::new() {
        Ok(xdg) => of_user(&xdg).join(FOLDER),
        // A user without a home: a folder of his own that survives until the next boot.
        Err(_) => std::env::temp_dir().join(format!("{FOLDER}-{}", rustix::process::geteuid().as_raw())),
    }
}

/// A stack's folder, with a canonical path: that path is its identity in process markers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DataDir(PathBuf);

impl DataDir {
    /// Makes the folder where it is missing.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        create_dir(path, 0o755)?;
        let found = Self::canonical(path)?;
        for private in [found.logs(), found.kafka()] {
            create_dir(&private, 0o700)?;
        }
        Ok(found)
    }

    /// The folder as it is; an error if there is none.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        if path.is_dir() { Self::canonical(path) } else { Err(StackError::NoStack { data_dir: path.to_owned() }) }
    }

    fn canonical(path: &Path) -> Result<Self> {
        let path = path.canonicalize().map_err(StackError::path("opening", path))?;
        check_name(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
    pub(crate) fn stack_file(&self) -> PathBuf {
        self.0.join("stack.json")
    }
    pub(crate) fn lock_file(&self) -> PathBuf {
        self.0.join("lock")
    }
    pub(crate) fn postgres(&self) -> PathBuf {
        self.0.join("postgres")
    }
    pub(crate) fn password_file(&self) -> PathBuf {
        self.0.join("postgres.password")
    }
    pub(crate) fn kafka(&self) -> PathBuf {
        self.0.join("kafka")
    }
    pub(crate) fn temp(&self, name: &str) -> PathBuf {
        self.0.join("tmp").join(name)
    }
    pub(crate) fn logs(&self) -> PathBuf {
        self.0.join("logs")
    }
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.logs().join(format!("{name}.log"))
    }
}

/// Makes a folder and its parents; what exists keeps its mode, what is new gets this one whatever the umask.
pub(crate) fn create_dir(path: &Path, mode: u32) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o755).create(path).map_err(StackError::path("creating", path))?;
    set_mode(path, mode)
}

/// `chmod`, with the path in its error.
pub(crate) fn set_mode(path: &Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        .map_err(StackError::path("setting the mode of", path))
}

/// Refuses names that Kafka's `log.dirs` (a comma list), a class path (a colon list) or a file of properties can't carry.
pub(crate) fn check_name(path: &Path) -> Result<()> {
    let unusable = |reason| Err(StackError::UnusableFolder { folder: path.to_owned(), reason });
    match path.as_os_str().to_str() {
        None => unusable("is not UTF-8"),
        Some(name) if name.contains([',', ':', '\\', '*']) => {
            unusable("contains a comma, colon, backslash or asterisk")
        }
        Some(name) if name.chars().any(char::is_control) => unusable("contains a control character"),
        Some(_) => Ok(()),
    }
}

/// Checks that a user can walk down to `path` (canonical), and names the first folder that bars the way.
pub(crate) fn check_open_to(user: &ServerUser, path: &Path) -> Result<()> {
    let mut ancestors: Vec<&Path> = path.ancestors().collect();
    ancestors.reverse();
    for folder in ancestors {
        let found = std::fs::metadata(folder).map_err(StackError::path("looking at", folder))?;
        let may_enter = match () {
            () if found.uid() == user.uid => 0o100,
            () if found.gid() == user.gid => 0o010,
            () => 0o001,
        };
        if found.mode() & may_enter == 0 {
            let mode = found.mode() & 0o7777;
            return Err(StackError::ClosedFolder { folder: folder.to_owned(), mode, user: user.name.clone() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_configuration_cannot_carry_are_refused() {
        assert!(check_name(Path::new("/var/lib/mill race")).is_ok());
        for bad in ["/a,b", "/a:b", "/a\\b", "/a\nb", "/a*"] {
            assert!(check_name(Path::new(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_folder_that_is_closed_is_the_one_named() {
        let closed = std::env::temp_dir().join(format!("millrace-closed-{}", uuid::Uuid::new_v4()));
        create_dir(&closed.join("inner"), 0o755).unwrap();
        set_mode(&closed, 0o700).unwrap();
        let nobody = ServerUser { name: "nobody".into(), uid: 65534, gid: 65534 };
        let error = check_open_to(&nobody, &closed.join("inner")).unwrap_err();
        std::fs::remove_dir_all(&closed).unwrap();
        assert!(matches!(error, StackError::ClosedFolder { folder, mode: 0o700, .. } if folder == closed));
    }
}
