//! Processes that outlive their starter: started, found again and stopped, without pid files.
//!
//! A process counts as a stack's only by what `/proc` says about it now: its marker, or for Postgres its working
//! folder. A signal reaches exactly the process it was meant for, even if the pid has been reused since.
//!
//! Not promised: to see the processes of other users, unless root asks.

mod carriers;
mod environment;
mod launch;
mod listener;
pub(crate) mod marker;
pub(crate) mod postmaster;
pub(crate) mod prepare;
mod process_id;
mod running;
mod server_user;
mod service;
mod stop;

pub(crate) use carriers::carriers;
pub(crate) use environment::Environment;
pub(crate) use launch::{Launch, LoggedProcess};
pub(crate) use running::Running;
pub use running::RunningProcess;
pub(crate) use server_user::ServerUser;
pub(crate) use service::Service;
pub use service::ServiceStart;
pub use stop::Stopped;
pub(crate) use stop::{Manner, kill, stop};
