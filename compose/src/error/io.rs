//! Turns an I/O error into a [`StackError`] that says what we were doing.

use std::io::ErrorKind;
use std::path::Path;

use super::StackError;

impl StackError {
    /// For `map_err`: adds what we were doing. A full disk and a missing permission become variants of their own,
    /// because each has a remedy of its own.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_named_as_such() {
        let error = StackError::io("writing x")(ErrorKind::StorageFull.into());
        assert!(error.to_string().starts_with("the disk is full (writing x)"), "{error}");
    }
}
