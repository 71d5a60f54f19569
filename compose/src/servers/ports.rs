//! Chooses a port for each server: the one that the caller asks for, else the one that the stack had, else the default.

use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use crate::error::{PortOwner, Result, StackError};
use crate::folder::ChosenPorts;
use crate::server::Server;

/// How long a process that is ending may hold on to its port.
const ENDING: Duration = Duration::from_secs(5);
/// How often the port is tried meanwhile.
const LOOK: Duration = Duration::from_millis(20);

/// The ports that the caller asks for. `None` keeps the port that the stack has, or takes the default. `Some(0)` takes
/// any free port.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ports {
    /// PostgreSQL's port; 25432 by default.
    pub postgres: Option<u16>,
    /// Kafka's port for clients; 29092 by default.
    pub kafka: Option<u16>,
    /// The port of Kafka's own controller; 29093 by default.
    pub kafka_controller: Option<u16>,
    /// The registry's HTTP port; 28081 by default.
    pub registry: Option<u16>,
}

impl Ports {
    /// Any free port for every server, so that tests don't disturb other stacks.
    pub const ANY: Self = Self { postgres: Some(0), kafka: Some(0), kafka_controller: Some(0), registry: Some(0) };

    const fn asked(&self, slot: Slot) -> Option<u16> {
        match slot {
            Slot::Postgres => self.postgres,
            Slot::Kafka => self.kafka,
            Slot::KafkaController => self.kafka_controller,
            Slot::Registry => self.registry,
        }
    }
}

/// One port that a server listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    Postgres,
    Kafka,
    KafkaController,
    Registry,
}

impl Slot {
    const ALL: [Self; 4] = [Self::Postgres, Self::Kafka, Self::KafkaController, Self::Registry];

    const fn default_port(self) -> u16 {
        match self {
            Self::Postgres => 25432,
            Self::Kafka => 29092,
            Self::KafkaController => 29093,
            Self::Registry => 28081,
        }
    }

    /// The command line's flag for it.
    const fn flag(self) -> &'static str {
        match self {
            Self::Postgres => "--postgres-port",
            Self::Kafka => "--kafka-port",
            Self::KafkaController => "--kafka-controller-port",
            Self::Registry => "--registry-port",
        }
    }

    /// The server that listens on it.
    const fn server(self) -> Server {
        match self {
            Self::Postgres => Server::Postgres,
            Self::Kafka | Self::KafkaController => Server::Kafka,
            Self::Registry => Server::Registry,
        }
    }
}

/// Chooses all four ports. A server that `is_running` keeps the port that it has.
pub(crate) fn choose(
    asked: &Ports,
    remembered: Option<ChosenPorts>,
    is_running: impl Fn(Server) -> bool,
) -> Result<ChosenPorts> {
    // We listen on each chosen port until all are chosen, so that no two servers get the same one.
    let mut held = Vec::new();
    let mut given = Vec::new();
    let mut take = |slot: Slot, kept: Option<u16>| -> Result<u16> {
        let port = match (asked.asked(slot), kept) {
            (asked, Some(kept)) if is_running(slot.server()) => keep(slot, asked, kept)?,
            (Some(0), kept) => any_free(slot, kept, &mut held)?,
            (asked, kept) => reserve(slot, asked.or(kept).unwrap_or(slot.default_port()), &given, &mut held)?,
        };
        given.push(port);
        Ok(port)
    };
    Ok(ChosenPorts {
        postgres: take(Slot::Postgres, remembered.map(|r| r.postgres))?,
        kafka: take(Slot::Kafka, remembered.map(|r| r.kafka))?,
        kafka_controller: take(Slot::KafkaController, remembered.map(|r| r.kafka_controller))?,
        registry: take(Slot::Registry, remembered.map(|r| r.registry))?,
    })
}

fn keep(slot: Slot, asked: Option<u16>, kept: u16) -> Result<u16> {
    match asked {
        Some(asked) if asked != 0 && asked != kept => {
            Err(StackError::PortsDiffer { server: slot.server().name(), flag: slot.flag(), running: kept, asked })
        }
        _ => Ok(kept),
    }
}

fn reserve(slot: Slot, port: u16, given: &[u16], held: &mut Vec<TcpListener>) -> Result<u16> {
    if given.contains(&port) {
        return Err(StackError::PortTwice { port });
    }
    match listen(port) {
        Ok(listener) => {
            held.push(listener);
            Ok(port)
        }
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Err(StackError::PortTaken {
            port,
            server: slot.server().name(),
            flag: slot.flag(),
            owner: PortOwner::of(port),
        }),
        Err(error) => Err(StackError::Io {
            doing: format!("listening on port {port} (change it by {})", slot.flag()),
            source: error,
        }),
    }
}

/// Listens on a port. One that is taken by nobody is still held by a process that is ending, such as a server that was
/// killed a moment ago: that is waited for.
fn listen(port: u16) -> std::io::Result<TcpListener> {
    let deadline = Instant::now() + ENDING;
    loop {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Err(error)
                if error.kind() == std::io::ErrorKind::AddrInUse
                    && Instant::now() < deadline
                    && PortOwner::of(port).is_none() =>
            {
                std::thread::sleep(LOOK);
            }
            listening => return listening,
        }
    }
}

/// The port that the stack had, if it is still free, else one from below the ephemeral range. Inside that range, any
/// outgoing connection could take the port while its server restarts (even a client's connection to that very port,
/// which TCP then connects with itself).
fn any_free(slot: Slot, kept: Option<u16>, held: &mut Vec<TcpListener>) -> Result<u16> {
    const FROM: u16 = 12_000;
    const TRIES: usize = 200;
    let to = first_ephemeral_port().max(FROM + 1000);
    let random = || FROM + (uuid::Uuid::new_v4().as_u128() % u128::from(to - FROM)) as u16;
    let used = |port: u16| Slot::ALL.iter().any(|slot| slot.default_port() == port);
    let candidates = std::iter::repeat_with(random).filter(|port| !used(*port)).take(TRIES);
    let mut candidates = kept.into_iter().chain(candidates);
    candidates.find(|port| reserve(slot, *port, &[], held).is_ok()).ok_or(StackError::NoFreePort { from: FROM, to })
}

fn first_ephemeral_port() -> u16 {
    const LINUX_DEFAULT: u16 = 32_768;
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    range.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(LINUX_DEFAULT)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING_RUNS: fn(Server) -> bool = |_| false;

    #[test]
    fn any_free_port_is_remembered_and_kept() {
        let first = choose(&Ports::ANY, None, NOTHING_RUNS).unwrap();
        assert!(first.postgres < first_ephemeral_port().max(13_000));
        assert_eq!(choose(&Ports::ANY, Some(first), NOTHING_RUNS).unwrap(), first);
        assert_eq!(choose(&Ports::default(), Some(first), NOTHING_RUNS).unwrap(), first);
    }

    #[test]
    fn a_taken_port_is_an_error_that_names_its_owner() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let error = choose(&Ports { kafka: Some(port), ..Ports::ANY }, None, NOTHING_RUNS).unwrap_err();
        let StackError::PortTaken { server: "kafka", flag: "--kafka-port", owner: Some(owner), .. } = error else {
            panic!("{error}")
        };
        assert_eq!(owner.pid, std::process::id());
    }

    #[test]
    fn a_running_server_keeps_its_port() {
        let had = choose(&Ports::ANY, None, NOTHING_RUNS).unwrap();
        let _listening = TcpListener::bind(("127.0.0.1", had.kafka)).unwrap();
        let kafka_runs = |server| server == Server::Kafka;
        assert_eq!(choose(&Ports::default(), Some(had), kafka_runs).unwrap(), had);
        let other = Ports { kafka: Some(had.kafka + 1), ..Ports::default() };
        assert!(matches!(choose(&other, Some(had), kafka_runs), Err(StackError::PortsDiffer { .. })));
    }

    #[test]
    fn one_port_for_two_servers_is_refused() {
        let free = choose(&Ports::ANY, None, NOTHING_RUNS).unwrap().kafka;
        let twice = Ports { kafka: Some(free), kafka_controller: Some(free), ..Ports::ANY };
        assert!(matches!(choose(&twice, None, NOTHING_RUNS), Err(StackError::PortTwice { port }) if port == free));
    }
}
