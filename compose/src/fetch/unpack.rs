//! Turns verified artifacts into the folders that the servers run from.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use flate2::read::GzDecoder;
use liblzma::read::XzDecoder;

use crate::error::{Result, StackError};
use crate::server::Server;

use super::artifacts::Artifact;

/// Unpacks one artifact from `staging` into its server's folder below `servers`; a plain jar is moved there.
pub(crate) fn unpack(artifact: &Artifact, staging: &Path, servers: &Path) -> Result<()> {
    let archive = staging.join(&artifact.name);
    let folder = servers.join(artifact.server.name());
    std::fs::create_dir_all(&folder).map_err(StackError::path("creating", &folder))?;
    match artifact.server {
        Server::Kafka => {
            let jar = folder.join(&artifact.name);
            std::fs::rename(&archive, &jar).map_err(StackError::path("moving into place", &jar))
        }
        Server::Postgres => unpack_txz_in_jar(&archive, &folder),
        Server::Registry => unpack_tar(GzDecoder::new(open(&archive)?), &archive, &folder),
    }
}

fn open(archive: &Path) -> Result<BufReader<File>> {
    Ok(BufReader::new(File::open(archive).map_err(StackError::path("opening", archive))?))
}

/// The jar of the zonky project holds one `.txz`, and that holds PostgreSQL.
fn unpack_txz_in_jar(archive: &Path, folder: &Path) -> Result<()> {
    let bad = |reason: String| StackError::BadArchive { archive: archive.to_owned(), reason };
    let mut jar = zip::ZipArchive::new(open(archive)?).map_err(|error| bad(error.to_string()))?;
    let name = jar.file_names().filter_map(|name| Some(name.ok()?.into_owned())).find(|name| name.ends_with(".txz"));
    let name = name.ok_or_else(|| bad("it holds no .txz".into()))?;
    let txz = jar.by_name(&name).map_err(|error| bad(error.to_string()))?;
    unpack_tar(XzDecoder::new(txz), archive, folder)
}

/// `tar` keeps entries inside the folder whatever their names say.
fn unpack_tar(reader: impl Read, archive: &Path, folder: &Path) -> Result<()> {
    tar::Archive::new(reader).unpack(folder).map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof => {
            StackError::BadArchive { archive: archive.to_owned(), reason: error.to_string() }
        }
        _ => StackError::path("unpacking into", folder)(error),
    })
}
