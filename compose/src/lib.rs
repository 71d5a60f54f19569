//! The local stack: PostgreSQL, Apache Kafka and Apicurio Registry as native processes, without Docker.
//!
//! [`Stack::up`] fetches the servers once (through the user's Maven, verified against `servers.lock`), starts what is
//! missing and waits until each answers; [`Stack::down`] stops exactly what belongs to the stack's data folder. The
//! servers outlive their starter. The crate recognises a stack's processes by what the kernel says about them, never by
//! pid files, so a crash of anything leaves nothing to clean up by hand.
//!
//! Not promised: protection from somebody who may read the files of the user that runs the stack, and any platform but
//! Linux on x86-64. `compose.yaml` beside this crate describes the same servers for Docker.
//!
//! The folders depend on each other in one direction: `folder` on none, `process` on it, `fetch` and `servers` on both;
//! `up`, `down` and `stack` tie them together. `error`, `progress` and `server` are there for all.

mod addresses;
mod down;
mod error;
mod fetch;
mod folder;
mod options;
mod process;
mod progress;
mod server;
mod servers;
mod stack;
mod up;

pub use addresses::Addresses;
pub use error::{PortOwner, Result, StackError};
pub use folder::{DEMO_MARK, SERVICES_FILE, default_cache_dir, default_data_dir};
pub use options::StackOptions;
pub use process::{RunningProcess, ServiceStart, Stopped};
pub use progress::{Console, Progress, Silent};
pub use servers::Ports;
pub use stack::Stack;
