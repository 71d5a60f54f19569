//! Finds the process that listens on a port, as far as `/proc` shows it.

use procfs::net::TcpState;
use procfs::process::{FDTarget, Process};

use crate::error::PortOwner;

use super::marker::Marker;
use super::process_id::all_processes;

impl PortOwner {
    /// Looks for the listener on this port of this machine, IPv4 or IPv6. `None` if there is none, or if it belongs to
    /// another user and we are not root.
    #[must_use]
    pub fn of(port: u16) -> Option<Self> {
        let sockets = listening_sockets(port);
        let process = all_processes().find(|process| holds_any(process, &sockets))?;
        Some(Self { pid: u32::try_from(process.pid).ok()?, name: name_of(&process) })
    }
}

/// The inodes of the sockets that listen on this port.
fn listening_sockets(port: u16) -> Vec<u64> {
    let tables = [procfs::net::tcp(), procfs::net::tcp6()];
    let sockets = tables.into_iter().flatten().flatten();
    let listening = sockets.filter(|socket| socket.state == TcpState::Listen && socket.local_address.port() == port);
    listening.map(|socket| socket.inode).collect()
}

fn holds_any(process: &Process, sockets: &[u64]) -> bool {
    let Ok(descriptors) = process.fd() else { return false };
    descriptors.flatten().any(|open| matches!(open.target, FDTarget::Socket(inode) if sockets.contains(&inode)))
}

fn name_of(process: &Process) -> String {
    match Marker::read(process) {
        Some(marker) => format!("{} of the stack in {}", marker.name, marker.folder.display()),
        None => process.stat().map(|stat| stat.comm).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_real_listener_is_found() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(PortOwner::of(port).map(|owner| owner.pid), Some(std::process::id()));
        drop(listener);
        // A child that another test starts right now holds a copy of the socket until it runs its own program.
        let deadline = Instant::now() + Duration::from_secs(10);
        while PortOwner::of(port).is_some() {
            assert!(Instant::now() < deadline, "the port still has an owner");
        }
    }

    #[test]
    fn a_connection_is_no_listener() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert_eq!(PortOwner::of(client.local_addr().unwrap().port()), None);
    }
}
