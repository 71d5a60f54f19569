//! This relay's membership in the consumer group on the event topic: which partitions it may publish.

mod callbacks;
mod handover;
mod membership;
mod pulse;

pub(crate) use callbacks::Grants;
pub(crate) use membership::Membership;
