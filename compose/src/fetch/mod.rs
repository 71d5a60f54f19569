//! Brings the servers into the cache folder, once, through the user's own Maven.
//!
//! A folder in the cache is complete and holds exactly the files that `servers.lock` names: they are verified before
//! they are unpacked, and again before each start. A fetch that is killed leaves nothing that a later one would
//! mistake for servers.

mod artifacts;
mod checksum;
mod contents;
mod maven;
mod maven_lines;
mod maven_transfer;
mod server_cache;
mod unpack;

pub(crate) use server_cache::ServerCache;
