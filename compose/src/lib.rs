//! The local stack: PostgreSQL, Apache Kafka and Apicurio Registry as native processes, without Docker.
//!
//! [`Stack::up`] fetches the servers once (through the user's Maven, verified against `servers.lock`), starts what is
//! missing and waits until each answers; [`Stack::down`] stops exactly what belongs to the stack's data folder. The
//! servers outlive their starter. Which processes belong to a stack is read from the processes themselves, never from
//! pid files, so a crash of anything leaves nothing to clean up by hand.
//!
//! Not promised: protection from somebody who may read the files of the user that runs the stack, and anything but
//! Linux on x86-64. `compose.yaml` beside this crate has the same servers for Docker.

mod addresses;
mod artifacts;
mod contents;
mod databases;
mod delete;
mod down;
mod error;
mod fetch;
mod folder_lock;
mod folders;
mod health;
mod java;
mod kafka;
mod kafka_probe;
mod launch;
mod marker;
mod maven;
mod maven_transfer;
mod password;
mod port_owner;
mod ports;
mod postgres;
mod postgres_process;
mod prepare;
mod process;
mod progress;
mod registry;
mod running;
mod server_user;
mod services;
mod space;
mod stack;
mod stack_file;
mod stop;
mod tail;
mod unpack;
mod up;

pub use addresses::Addresses;
pub use delete::{DEMO_MARK, SERVICES_FILE};
pub use error::{Result, StackError};
pub use folders::{default_cache_dir, default_data_dir};
pub use port_owner::PortOwner;
pub use ports::Ports;
pub use progress::{Console, Progress, Silent};
pub use running::RunningProcess;
pub use services::ServiceStart;
pub use stack::{Stack, StackOptions};
pub use stop::Stopped;
