//! The rules for a command's id.

use crate::exit::Usage;

/// Longest header `ce_id` that writers accept, in bytes.
const MAX_BYTES: usize = 200;

/// Checks an id before it is sent, by the rules that writers have for the header `ce_id`.
///
/// # Errors
/// When a writer would dead-letter a command with this id.
pub fn check_id(id: &str) -> Result<(), Usage> {
    let problem = match id {
        "" => "is empty",
        id if id.len() > MAX_BYTES => "is longer than 200 bytes",
        id if id.chars().any(char::is_control) => "has a control character",
        _ => return Ok(()),
    };
    Err(Usage(format!("the command id {problem}; it is a text of 1 to {MAX_BYTES} bytes without control characters")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_no_writer_would_read_is_refused() {
        for good in ["deposit-1", "é", &"x".repeat(200)] {
            assert!(check_id(good).is_ok(), "{good}");
        }
        for bad in ["", "a\nb", "\u{1b}[31m", "\u{85}", &"x".repeat(201)] {
            assert!(check_id(bad).is_err(), "{bad:?}");
        }
    }
}
