//! What lies on disk: one data folder per stack, and the rules that hold for it and for the cache of servers.
//!
//! Every path inside a data folder has its name here. A file that others read while it changes is replaced in one
//! step. A deletion spares whatever the stack did not make.

mod data_dir;
mod default_dirs;
mod delete;
mod directory;
mod folder_lock;
pub(crate) mod log_tail;
pub(crate) mod space;
mod stack_file;

pub(crate) use data_dir::DataDir;
pub use default_dirs::{default_cache_dir, default_data_dir};
pub use delete::{DEMO_MARK, SERVICES_FILE};
pub(crate) use directory::{check_name, create_dir, set_mode};
pub(crate) use folder_lock::FolderLock;
pub(crate) use stack_file::{ChosenPorts, StackFile};
