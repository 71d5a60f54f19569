//! Creates folders that the servers can use.

use std::fs::{DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use crate::error::{Result, StackError};

/// Creates a folder and its parents. The folder gets this mode whatever the umask, unless it existed before.
pub(crate) fn create_dir(path: &Path, mode: u32) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o755).create(path).map_err(StackError::path("creating", path))?;
    set_mode(path, mode)
}

/// Sets the permission bits, with the path in the error.
pub(crate) fn set_mode(path: &Path, mode: u32) -> Result<()> {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).map_err(StackError::path("setting the mode of", path))
}

/// Refuses names that Kafka's `log.dirs` (separated by commas), a class path (separated by colons) or a file of
/// properties can't hold.
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
}
