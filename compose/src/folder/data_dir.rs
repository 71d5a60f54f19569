//! The data folder of a stack, and the names of what is in it.

use std::path::{Path, PathBuf};

use crate::error::{Result, StackError};

use super::directory::{check_name, create_dir};

/// A stack's folder. Its path is canonical, because process markers identify the stack by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DataDir(PathBuf);

impl DataDir {
    /// Opens the folder, and creates what is missing of it.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        create_dir(path, 0o755)?;
        let found = Self::canonical(path)?;
        for private in [found.logs(), found.kafka()] {
            create_dir(&private, 0o700)?;
        }
        Ok(found)
    }

    /// Opens an existing folder.
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
