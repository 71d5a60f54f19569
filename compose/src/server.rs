//! The three servers of a stack, and the names they go by.

/// A server. Its process, its log and its folder in the cache all carry its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    Postgres,
    Kafka,
    Registry,
}

impl Server {
    pub(crate) const ALL: [Self; 3] = [Self::Postgres, Self::Kafka, Self::Registry];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Kafka => "kafka",
            Self::Registry => "registry",
        }
    }

    /// The inverse of [`Server::name`]; `None` for a service.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|server| server.name() == name)
    }
}
