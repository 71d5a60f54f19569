//! Finds the process that listens on a port, as far as `/proc` tells us.

use std::path::Path;

use crate::error::PortOwner;

use super::marker::Marker;
use super::process_id::all_pids;

const LISTEN: &str = "0A";

impl PortOwner {
    /// Looks for the listener. None if there is none, or if it is another user's and we are not root.
    #[must_use]
    pub fn of(port: u16) -> Option<Self> {
        let sockets: Vec<u64> = ["/proc/net/tcp", "/proc/net/tcp6"]
            .iter()
            .filter_map(|table| std::fs::read_to_string(table).ok())
            .flat_map(|table| listening_sockets(&table, port))
            .collect();
        let pid = all_pids().into_iter().find(|pid| holds_any(*pid, &sockets))?;
        Some(Self { pid, name: name_of(pid) })
    }
}

/// The inodes of sockets that listen on `port`, from a table in the form of `/proc/net/tcp`.
fn listening_sockets(table: &str, port: u16) -> Vec<u64> {
    table.lines().skip(1).filter_map(|line| listening_socket(line, port)).collect()
}

fn listening_socket(line: &str, port: u16) -> Option<u64> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (_, local_port) = fields.get(1)?.rsplit_once(':')?;
    let matches = u16::from_str_radix(local_port, 16).ok()? == port && *fields.get(3)? == LISTEN;
    if matches { fields.get(9)?.parse().ok() } else { None }
}

fn holds_any(pid: u32, sockets: &[u64]) -> bool {
    let Ok(descriptors) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    descriptors
        .filter_map(|descriptor| std::fs::read_link(descriptor.ok()?.path()).ok())
        .any(|target| socket_inode(&target).is_some_and(|inode| sockets.contains(&inode)))
}

/// `socket:[12345]` → 12345
fn socket_inode(link: &Path) -> Option<u64> {
    link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

fn name_of(pid: u32) -> String {
    match Marker::read(pid) {
        Some(marker) => format!("{} of the stack in {}", marker.name, marker.folder.display()),
        None => std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:6358 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0 100 0 0 10 0
   1: 0100007F:6358 0100007F:9C40 01 00000000:00000000 00:00000000 00000000  1000        0 4712 1 0 100 0 0 10 0
   2: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 0 100 0 0 10 0";

    #[test]
    fn listeners_are_told_from_connections_and_other_ports() {
        assert_eq!(listening_sockets(TABLE, 0x6358), [4711]);
        assert_eq!(listening_sockets(TABLE, 8080), [4713]);
        assert!(listening_sockets(TABLE, 1).is_empty());
        assert!(listening_sockets("garbage\nmore garbage", 1).is_empty());
    }

    #[test]
    fn a_real_listener_is_found() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(PortOwner::of(port).map(|owner| owner.pid), Some(std::process::id()));
        drop(listener);
        assert_eq!(PortOwner::of(port), None);
    }

    #[test]
    fn links_to_other_things_are_no_sockets() {
        assert_eq!(socket_inode(Path::new("socket:[12]")), Some(12));
        assert_eq!(socket_inode(Path::new("pipe:[12]")), None);
    }
}
