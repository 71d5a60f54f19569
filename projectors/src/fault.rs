//! Whose fault an error of Postgres is, by its SQLSTATE.

use deadpool_postgres::PoolError;
use tokio_postgres::error::SqlState;

/// What to do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The server, the connection, the read model's tables: the same may succeed later.
    Surroundings,
    /// The data: the same fails for ever.
    Event,
}

/// Whose fault a statement's error is; without a code it is the connection's. Only what the standard says of data is held against an event: stopping a
/// partition is the last resort.
pub(crate) fn of_statement(error: &tokio_postgres::Error) -> Fault {
    error.code().map_or(Fault::Surroundings, of_state)
}

fn of_state(state: &SqlState) -> Fault {
    match state.code().get(..2).unwrap_or_default() {
        // cardinality, data exception, integrity constraint, program limit, raised by a function
        "21" | "22" | "23" | "54" | "P0" => Fault::Event,
        _ => Fault::Surroundings,
    }
}

/// Whether a process that starts should wait for the server, rather than tell its user what is wrong.
pub(crate) fn is_passing(error: &PoolError) -> bool {
    match error {
        PoolError::Backend(error) => is_passing_statement(error),
        PoolError::Timeout(_) => true,
        _ => false,
    }
}

/// Whether a statement may succeed later by itself: the connection is gone, the server is starting, stopping or short
/// of something, or another transaction was in the way.
pub(crate) fn is_passing_statement(error: &tokio_postgres::Error) -> bool {
    let Some(state) = error.code() else { return true };
    matches!(state.code().get(..2).unwrap_or_default(), "08" | "25" | "40" | "53" | "55" | "57")
}

/// tokio-postgres says only "db error" of itself; the server's own words are inside.
pub(crate) fn in_words(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(inner) => format!("Postgres: {} [{}]", inner.message(), inner.code().code()),
        None => match std::error::Error::source(error) {
            Some(cause) => format!("Postgres: {error}: {cause}"),
            None => format!("Postgres: {error}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_data_is_held_against_an_event() {
        for state in [SqlState::NUMERIC_VALUE_OUT_OF_RANGE, SqlState::UNIQUE_VIOLATION, SqlState::RAISE_EXCEPTION] {
            assert_eq!(of_state(&state), Fault::Event);
        }
        for state in [
            SqlState::ADMIN_SHUTDOWN,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::UNDEFINED_TABLE,
            SqlState::INVALID_SCHEMA_NAME,
            SqlState::INSUFFICIENT_PRIVILEGE,
            SqlState::DISK_FULL,
            SqlState::INTERNAL_ERROR,
        ] {
            assert_eq!(of_state(&state), Fault::Surroundings);
        }
    }
}
