//! SHA-256 in lower-case hex, as `servers.lock` and `sha256sum` write it.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::{Result, StackError};

/// The checksum of a short text.
pub(super) fn sha256(text: &str) -> String {
    format!("{:x}", Sha256::digest(text))
}

/// The checksum of a file of any size.
pub(super) fn sha256_of_file(path: &Path) -> Result<String> {
    let failed = || StackError::path("reading", path);
    let mut reader = BufReader::with_capacity(1 << 18, File::open(path).map_err(failed())?);
    let mut hash = Sha256::new();
    loop {
        let block = reader.fill_buf().map_err(failed())?;
        if block.is_empty() {
            return Ok(format!("{:x}", hash.finalize()));
        }
        hash.update(block);
        let length = block.len();
        reader.consume(length);
    }
}
