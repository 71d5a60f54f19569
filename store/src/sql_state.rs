//! The remedy for an error of Postgres: by its SQLSTATE, or, when the server said nothing, by what broke.

use deadpool_postgres::{HookError, PoolError};
use tokio_postgres::error::SqlState;

/// What has to happen before the statement can succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Only time: the connection broke, the server is starting, stopping, read-only or short of something, or another
    /// transaction was in the way. The same statement may succeed later.
    Retry,
    /// Somebody has to mend the server: its tables, privileges or disk. Then the same statement succeeds.
    Repair,
    /// Other data: the server will never store these, in any table. A value is out of range, or a row too large.
    Data,
    /// Other data or another rule of this database: a constraint, a trigger or a function refuses them.
    Rule,
    /// Another statement: this one does not fit the tables or its parameters, whatever the data.
    Statement,
}

/// The remedy for what the server refused. Codes: PostgreSQL's documentation, appendix A.
pub fn remedy(state: &SqlState) -> Remedy {
    match state.code() {
        // read-only: a standby before it is promoted, or a disk that the server protects
        "25006"
        // an earlier statement of the transaction failed, and its error says why
        | "25P02"
        // the server ended our transaction because it was idle or took too long
        | "25P03" | "25P04" => Remedy::Retry,
        // a missing table, schema or privilege: a migration or an operator adds it
        "42P01" | "3F000" | "42501" => Remedy::Repair,
        code => match code.get(..2).unwrap_or_default() {
            // connection, rollback (deadlock, serialization), resources, object in use, operator's intervention
            "08" | "40" | "53" | "55" | "57" => Remedy::Retry,
            // data exception, program limit
            "22" | "54" => Remedy::Data,
            // cardinality, integrity constraint, check option, raised by a function
            "21" | "23" | "44" | "P0" => Remedy::Rule,
            // feature not supported, transaction state, syntax or access rule
            "0A" | "25" | "42" => Remedy::Statement,
            // authorization, catalog, system, internal, and classes of the future: other data would not help
            _ => Remedy::Repair,
        },
    }
}

/// The remedy for an error of a statement, or of a connection being made.
pub fn remedy_of(error: &tokio_postgres::Error) -> Remedy {
    match error.code() {
        Some(state) => remedy(state),
        None if error.is_closed() => Remedy::Retry,
        None => match std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<std::io::Error>()) {
            // the client could not write the message, for example because it is too long
            Some(cause) if cause.kind() == std::io::ErrorKind::InvalidInput => Remedy::Statement,
            Some(_) => Remedy::Retry,
            // the client itself complains about parameters, columns, rows or their types
            None => Remedy::Statement,
        },
    }
}

/// The remedy when a pool gives no connection.
pub fn remedy_of_pool(error: &PoolError) -> Remedy {
    match error {
        PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => remedy_of(error),
        PoolError::Timeout(_) => Remedy::Retry,
        _ => Remedy::Repair,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sqlstate_has_its_remedy() {
        for (state, expected) in [
            (SqlState::CONNECTION_FAILURE, Remedy::Retry),
            (SqlState::READ_ONLY_SQL_TRANSACTION, Remedy::Retry),
            (SqlState::IN_FAILED_SQL_TRANSACTION, Remedy::Retry),
            (SqlState::T_R_SERIALIZATION_FAILURE, Remedy::Retry),
            (SqlState::DISK_FULL, Remedy::Retry),
            (SqlState::LOCK_NOT_AVAILABLE, Remedy::Retry),
            (SqlState::CANNOT_CONNECT_NOW, Remedy::Retry),
            (SqlState::UNDEFINED_TABLE, Remedy::Repair),
            (SqlState::INVALID_SCHEMA_NAME, Remedy::Repair),
            (SqlState::INSUFFICIENT_PRIVILEGE, Remedy::Repair),
            (SqlState::INVALID_PASSWORD, Remedy::Repair),
            (SqlState::INTERNAL_ERROR, Remedy::Repair),
            (SqlState::INVALID_TEXT_REPRESENTATION, Remedy::Data),
            (SqlState::NUMERIC_VALUE_OUT_OF_RANGE, Remedy::Data),
            (SqlState::STATEMENT_TOO_COMPLEX, Remedy::Data),
            (SqlState::CHECK_VIOLATION, Remedy::Rule),
            (SqlState::UNIQUE_VIOLATION, Remedy::Rule),
            (SqlState::RAISE_EXCEPTION, Remedy::Rule),
            (SqlState::UNDEFINED_COLUMN, Remedy::Statement),
            (SqlState::UNDEFINED_FUNCTION, Remedy::Statement),
            (SqlState::DATATYPE_MISMATCH, Remedy::Statement),
            (SqlState::SYNTAX_ERROR, Remedy::Statement),
            (SqlState::FEATURE_NOT_SUPPORTED, Remedy::Statement),
            (SqlState::NO_ACTIVE_SQL_TRANSACTION, Remedy::Statement),
            (SqlState::from_code("ZZ999"), Remedy::Repair),
        ] {
            assert_eq!(remedy(&state), expected, "{state:?}");
        }
    }

    #[tokio::test]
    async fn an_error_without_the_servers_word_is_the_connections_or_the_statements() {
        let nobody_listens: tokio_postgres::Config = "host=127.0.0.1 port=1 user=x".parse().unwrap();
        let unreachable = nobody_listens.connect(tokio_postgres::NoTls).await.err().unwrap();
        assert_eq!(remedy_of(&unreachable), Remedy::Retry);
        assert_eq!(remedy_of_pool(&PoolError::PostCreateHook(HookError::Backend(unreachable))), Remedy::Retry);
        let our_own_fault = "port=x".parse::<tokio_postgres::Config>().unwrap_err();
        assert_eq!(remedy_of(&our_own_fault), Remedy::Statement);
    }
}
