//! Options of the Java virtual machine for both Java servers.

use std::ffi::OsString;

use crate::error::{Result, StackError};
use crate::folder::{DataDir, create_dir};
use crate::server::Server;

/// The options create no shared file in `/tmp`, and end a server that runs out of memory. A server unpacks its native
/// libraries into the stack's own folder, since `/tmp` may be mounted `noexec`. If it is killed it leaves them there;
/// its next start calls this and so clears them away.
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
