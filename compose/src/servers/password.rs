//! The one password of a stack's database, in a file that only its owner can read.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use crate::error::{Result, StackError};
use crate::folder::DataDir;
use crate::process::ServerUser;

/// Hex digits, which need no quoting in SQL, in a URL or in a shell. `Debug` hides them.
#[derive(Debug)]
pub(crate) struct Password(SecretString);

impl Password {
    /// The stack's password. A stack that has neither a password nor a database yet gets one.
    pub(crate) fn ensure(data_dir: &DataDir, user: Option<&ServerUser>) -> Result<Self> {
        let file = data_dir.password_file();
        if !file.exists() && !data_dir.postgres().exists() {
            create(&file, user)?;
        }
        Self::read(data_dir)
    }

    /// The password of a stack that must have one.
    pub(crate) fn read(data_dir: &DataDir) -> Result<Self> {
        let file = data_dir.password_file();
        match std::fs::read_to_string(&file) {
            Ok(text) if is_whole(text.trim()) => Ok(Self(text.trim().into())),
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                Err(StackError::path("reading", &file)(error))
            }
            _ => Err(lost(data_dir)),
        }
    }

    pub(crate) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// The error for a password that is missing, or does not open the database.
pub(crate) fn lost(data_dir: &DataDir) -> StackError {
    StackError::PasswordLost { file: data_dir.password_file(), data_dir: data_dir.path().to_owned() }
}

/// Writes a new password. `initdb` reads the file as the server's user, so the file belongs to that user. It is renamed
/// into place when it is whole.
fn create(path: &Path, user: Option<&ServerUser>) -> Result<()> {
    let next = path.with_extension("password.next");
    let _ = std::fs::remove_file(&next);
    let failed = || StackError::path("writing", &next);
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&next).map_err(failed())?;
    let secret = uuid::Uuid::new_v4().simple();
    file.write_all(format!("{secret}\n").as_bytes()).and_then(|()| file.sync_all()).map_err(failed())?;
    if let Some(user) = user {
        user.own(&next)?;
    }
    std::fs::rename(&next, path).map_err(StackError::path("creating", path))
}

fn is_whole(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn it_is_made_once_and_only_its_owner_reads_it() {
        let folder = std::env::temp_dir().join(format!("millrace-password-{}", uuid::Uuid::new_v4()));
        let data_dir = DataDir::create(&folder).unwrap();
        assert!(matches!(Password::read(&data_dir), Err(StackError::PasswordLost { .. })));
        let password = Password::ensure(&data_dir, None).unwrap();
        assert_eq!(Password::ensure(&data_dir, None).unwrap().expose(), password.expose());
        assert_eq!(std::fs::metadata(data_dir.password_file()).unwrap().mode() & 0o777, 0o600);
        assert!(!format!("{password:?}").contains(password.expose()));
        std::fs::write(data_dir.password_file(), "half").unwrap();
        assert!(matches!(Password::ensure(&data_dir, None), Err(StackError::PasswordLost { .. })));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
