//! Rules for the texts in commands.

use millrace_schemas::StreamId;
use millrace_writer::Rejection;

use super::ACCOUNT;

/// Longest account id or entry set id, in characters.
const MAX_ID: usize = 100;
/// Longest description, in characters. Every event of a set repeats it.
const MAX_DESCRIPTION: usize = 500;

/// The id of an account's stream: `account-<account id>`.
pub fn account_stream(account_id: &str) -> Result<StreamId, Rejection> {
    check_id("account id", "invalid_account_id", account_id)?;
    StreamId::new(ACCOUNT, account_id).map_err(|e| Rejection::new("invalid_account_id", format!("{e}.")))
}

/// Checks an entry set's id by the same rules as an account's.
pub fn check_entry_set_id(id: &str) -> Result<(), Rejection> {
    check_id("entry set id", "invalid_entry_set_id", id)
}

fn check_id(what: &str, code: &'static str, id: &str) -> Result<(), Rejection> {
    let problem = match id {
        "" => "is empty",
        id if id.chars().nth(MAX_ID).is_some() => "is longer than 100 characters",
        id if id.trim() != id => "begins or ends with white space",
        id if id.chars().any(char::is_control) => "has a control character",
        _ => return Ok(()),
    };
    let shown: String = id.chars().take(MAX_ID).collect();
    Err(Rejection::new(code, format!("The {what} {shown:?} {problem}.")))
}

/// Checks the form of an ISO 4217 code, but not that the code is in use: new ones must work at once.
pub fn check_currency(currency: &str) -> Result<(), Rejection> {
    if currency.len() == 3 && currency.bytes().all(|b| b.is_ascii_uppercase()) {
        return Ok(());
    }
    let shown: String = currency.chars().take(MAX_ID).collect();
    let message = format!("{shown:?} is not an ISO 4217 currency code, which is three capital letters.");
    Err(Rejection::new("invalid_currency", message))
}

/// Checks a description's length.
pub fn check_description(description: &str) -> Result<(), Rejection> {
    if description.chars().nth(MAX_DESCRIPTION).is_some() {
        return Err(Rejection::new("description_too_long", "The description is longer than 500 characters."));
    }
    Ok(())
}
