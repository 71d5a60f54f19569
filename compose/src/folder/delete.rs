//! Deletes a stack, and nothing else in its folder: somebody may have chosen a home folder for it.

use std::io::ErrorKind;

use crate::error::{Result, StackError};

use super::data_dir::DataDir;

/// The name of the file in which the program that starts services keeps their ports.
pub const SERVICES_FILE: &str = "services.json";
/// The name of the file that marks a demo's stack. The next demo may delete a stack with that mark.
pub const DEMO_MARK: &str = "demo";

const FOLDERS: [&str; 5] = ["postgres", "postgres.new", "kafka", "logs", "tmp"];

/// In the order of deletion. A folder without `stack.json` counts as no stack, so that file goes after all data. The
/// mark goes later still, so that the next demo recognises the rest of a deletion that was interrupted.
const FILES: [&str; 7] =
    ["postgres.password", "postgres.password.next", "stack.json.next", SERVICES_FILE, "stack.json", DEMO_MARK, "lock"];

impl DataDir {
    /// Deletes all that a stack ever creates here, and the folder itself if nothing else is in it.
    pub(crate) fn delete(&self) -> Result<()> {
        for path in FOLDERS.map(|name| self.path().join(name)) {
            unless_absent(std::fs::remove_dir_all(&path)).map_err(StackError::path("deleting", &path))?;
        }
        for path in FILES.map(|name| self.path().join(name)) {
            unless_absent(std::fs::remove_file(&path)).map_err(StackError::path("deleting", &path))?;
        }
        match std::fs::remove_dir(self.path()) {
            Err(error) if error.kind() != ErrorKind::DirectoryNotEmpty => {
                Err(StackError::path("deleting", self.path())(error))
            }
            _ => Ok(()),
        }
    }
}

/// A folder with the name of one of our files is not ours, so it stays.
fn unless_absent(deleted: std::io::Result<()>) -> std::io::Result<()> {
    match deleted {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::IsADirectory) => Ok(()),
        deleted => deleted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deleting_a_stack_spares_what_it_did_not_make() {
        let folder = std::env::temp_dir().join(format!("millrace-delete-{}", uuid::Uuid::new_v4()));
        let data_dir = DataDir::create(&folder).unwrap();
        for made in ["letter.txt", SERVICES_FILE, DEMO_MARK] {
            std::fs::write(folder.join(made), "").unwrap();
        }
        data_dir.delete().unwrap();
        let left: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["letter.txt"]);
        std::fs::remove_file(folder.join("letter.txt")).unwrap();
        data_dir.delete().unwrap();
        assert!(!folder.exists());
    }
}
