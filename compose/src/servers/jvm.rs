//! What both Java servers ask of their virtual machine.

use std::ffi::OsString;

use crate::error::{Result, StackError};
use crate::folder::{DataDir, create_dir};
use crate::server::Server;

/// For both Java servers: no shared file in `/tmp`, an end instead of a half-life without memory, and native libraries
/// unpacked in the stack's own folder, since `/tmp` may be mounted `noexec`. A killed server leaves them there; its
/// next start clears them away.
pub(crate) fn options(data_dir: &DataDir, server: Server) -> Result<Vec<OsString>> {
    let temp = data_dir.temp(server.name());
    if temp.exists() {
        std::fs::remove_dir_all(&temp).map_err(StackError::path("clearing", &temp))?;
    }
    create_dir(&temp, 0o700)?;
    let temp = format!("-Djava.io.tmpdir={}", temp.display());
    Ok(["-XX:-UsePerfData", "-XX:+ExitOnOutOfMemoryError", "-Djava.awt.headless=true", &temp]
        .map(OsString::from)
        .to_vec())
}
