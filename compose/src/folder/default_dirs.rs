//! The folders of a caller who names none.

use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

const FOLDER: &str = "millrace";

/// The cache of servers unless the caller names another: `/var/cache/millrace` for root, else `millrace` in the XDG
/// cache folder.
#[must_use]
pub fn default_cache_dir() -> PathBuf {
    default_dir("/var/cache", |xdg| xdg.cache_dir())
}

/// The stack's folder unless the caller names another: `/var/lib/millrace` for root, else `millrace` in the XDG data
/// folder.
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
        // A user without a home gets a folder of his own, which lasts until the next boot.
        Err(_) => std::env::temp_dir().join(format!("{FOLDER}-{}", rustix::process::geteuid().as_raw())),
    }
}
