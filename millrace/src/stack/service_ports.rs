//! The ports on which the stack's services serve metrics and health.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::Context;
use millrace_compose::{SERVICES_FILE, Stack};

use crate::exit::Usage;

/// The first port, unless the caller asks for another.
const FIRST: u16 = 29464;

/// Port by service; kept in the stack's folder.
pub type ServicePorts = BTreeMap<String, u16>;

/// Chooses the ports of the stack's services: from `asked` on, else those that the stack had, else the default ones.
/// `Some(0)` takes the ports of running services, else any free ones.
///
/// # Errors
/// When the caller asks for other ports than running services have, or the file can't be read or written.
pub fn service_ports(stack: &Stack, names: &[&str], asked: Option<u16>) -> anyhow::Result<ServicePorts> {
    let ports = choose(Some(stack), names, asked)?;
    let path = file(stack);
    std::fs::write(&path, serde_json::to_vec(&ports)?)
        .with_context(|| format!("{} can't be written", path.display()))?;
    Ok(ports)
}

/// Checks, before anything starts, that no other program has the ports of the stack's services. For `Some(0)`, free
/// ports are chosen later.
///
/// # Errors
/// As [`service_ports`]; and when another program has a port.
pub fn check_ports(data_dir: &Path, names: &[&str], asked: Option<u16>) -> anyhow::Result<()> {
    if asked == Some(0) {
        return Ok(());
    }
    // A folder without a stack has no ports yet. If the stack is damaged, `Stack::up` says so later.
    let stack = Stack::open(data_dir).ok();
    let running = stack.as_ref().map(Stack::running).unwrap_or_default();
    let ports = choose(stack.as_ref(), names, asked)?;
    let mut missing = ports.iter().filter(|(name, _)| !running.iter().any(|process| process.name == **name));
    missing.try_for_each(|(name, port)| check_free(name, *port))
}

fn choose(stack: Option<&Stack>, names: &[&str], asked: Option<u16>) -> anyhow::Result<ServicePorts> {
    let known = stack.map(known).transpose()?.flatten();
    let running = stack.map(Stack::running).unwrap_or_default();
    let running = running.iter().any(|process| names.contains(&process.name.as_str()));
    Ok(match (asked, known) {
        (None, Some(known)) => with_missing(names, known)?,
        (Some(0), Some(known)) if running => with_missing(names, known)?,
        (None, None) => in_a_row(names, FIRST)?,
        (Some(0), _) => any_free(names)?,
        (Some(first), Some(known)) => {
            let ports = in_a_row(names, first)?;
            if running && known.iter().any(|(name, port)| ports.get(name) != Some(port)) {
                let text = "the services run on other ports: run `millrace down` first, or leave --http-port out";
                return Err(Usage(text.to_owned()).into());
            }
            ports
        }
        (Some(first), None) => in_a_row(names, first)?,
    })
}

/// The ports that the stack's services had last.
fn known(stack: &Stack) -> anyhow::Result<Option<ServicePorts>> {
    let path = file(stack);
    match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| format!("{} can't be read", path.display())),
        Err(_) => Ok(None),
    }
}

/// Checks that the port is free.
///
/// # Errors
/// When another program listens on it.
pub fn check_free(name: &str, port: u16) -> anyhow::Result<()> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map(drop).map_err(|error| {
        let text = format!("port {port} for {name}'s metrics is not free ({error}): choose others with --http-port");
        Usage(text).into()
    })
}

fn file(stack: &Stack) -> PathBuf {
    stack.data_dir().join(SERVICES_FILE)
}

fn in_a_row(names: &[&str], first: u16) -> anyhow::Result<ServicePorts> {
    let ports: ServicePorts =
        names.iter().zip(first..=u16::MAX).map(|(name, port)| ((*name).to_owned(), port)).collect();
    if ports.len() < names.len() {
        return Err(Usage(format!("from port {first} on there are not {} ports in a row", names.len())).into());
    }
    Ok(ports)
}

/// The known ports. A service that a newer version has added gets the next port.
fn with_missing(names: &[&str], mut known: ServicePorts) -> anyhow::Result<ServicePorts> {
    for name in names {
        if !known.contains_key(*name) {
            let last = known.values().max().copied().unwrap_or(FIRST - 1);
            let next = last.checked_add(1).with_context(|| format!("there is no port after {last} for {name}"))?;
            known.insert((*name).to_owned(), next);
        }
    }
    Ok(known)
}

fn any_free(names: &[&str]) -> anyhow::Result<ServicePorts> {
    let listeners = names.iter().map(|name| Ok((*name, TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?)));
    let listeners: Vec<_> = listeners.collect::<std::io::Result<_>>()?;
    listeners.iter().map(|(name, listener)| Ok(((*name).to_owned(), listener.local_addr()?.port()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_that_services_can_not_have_are_found_before_there_is_a_stack() {
        let nowhere = std::env::temp_dir().join("millrace-no-such-stack");
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let refused = check_ports(&nowhere, &["writer"], Some(port)).unwrap_err();
        assert!(refused.is::<Usage>() && refused.to_string().contains(&port.to_string()), "{refused}");
        let refused = check_ports(&nowhere, &["writer", "relay"], Some(u16::MAX)).unwrap_err();
        assert!(refused.to_string().contains("there are not 2 ports in a row"), "{refused}");
        assert!(check_ports(&nowhere, &["writer", "relay"], Some(0)).is_ok());
        assert!(!nowhere.exists());
    }
}
