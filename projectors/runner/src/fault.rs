//! Whose fault an error of Postgres is: whether it holds up the projector, or stops a partition.

use millrace_store::sql_state::{self, Remedy};
use tokio_postgres::error::SqlState;

/// What to do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The server, the connection, the read model's tables: the same may succeed later.
    Surroundings,
    /// The data, or the projector's own statement: the same fails for ever.
    Event,
}

/// Whose fault a statement's error is.
pub(crate) fn of_statement(error: &tokio_postgres::Error) -> Fault {
    match error.code() {
        // longer than a projector's statement may take: fewer events take less time
        Some(&SqlState::QUERY_CANCELED) => Fault::Event,
        _ => of_remedy(sql_state::remedy_of(error)),
    }
}

/// Stopping a partition is the last resort: what time or a migration mends is waited for.
fn of_remedy(remedy: Remedy) -> Fault {
    match remedy {
        Remedy::Retry | Remedy::Repair => Fault::Surroundings,
        Remedy::Data | Remedy::Rule | Remedy::Statement => Fault::Event,
    }
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

    fn of_state(state: &SqlState) -> Fault {
        of_remedy(sql_state::remedy(state))
    }

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

    #[test]
    fn a_statement_that_can_never_succeed_is_not_tried_for_ever() {
        for state in [
            SqlState::UNDEFINED_COLUMN,
            SqlState::UNDEFINED_FUNCTION,
            SqlState::DATATYPE_MISMATCH,
            SqlState::SYNTAX_ERROR,
            SqlState::INVALID_TEXT_REPRESENTATION,
        ] {
            assert_eq!(of_state(&state), Fault::Event, "{state:?}");
        }
        let of_the_client = "port=x".parse::<tokio_postgres::Config>().unwrap_err();
        assert_eq!(of_statement(&of_the_client), Fault::Event, "as with a parameter of the wrong type");
        for state in [SqlState::READ_ONLY_SQL_TRANSACTION, SqlState::LOCK_NOT_AVAILABLE, SqlState::CANNOT_CONNECT_NOW] {
            assert_eq!(of_state(&state), Fault::Surroundings, "{state:?}");
        }
    }
}
