//! Deleting a stack's folder: only what is a stack's, since somebody may have chosen his home for a data folder.

use std::io::ErrorKind;

use crate::error::{Result, StackError};

use super::data_dir::DataDir;

/// Where the program that runs services in the stack keeps their ports.
pub const SERVICES_FILE: &str = "services.json";
/// Says that a folder's stack is a demo's, and may be deleted by the next one.
pub const DEMO_MARK: &str = "demo";

const FOLDERS: [&str; 5] = ["postgres", "postgres.new", "kafka", "logs", "tmp"];

/// A folder without `stack.json` is no stack, so that goes after all data; the mark goes later still, so that what an
/// interrupted deletion leaves of a demo is known for a demo's.
const FILES: [&str; 7] =
    ["postgres.password", "postgres.password.next", "stack.json.next", SERVICES_FILE, "stack.json", DEMO_MARK, "lock"];

impl DataDir {
    /// Deletes all that a stack ever makes here, and the folder itself if it holds nothing else.
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

/// A folder where a file would be is not ours.
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
