//! Recognises a full disk in a program's output.

/// The remedy to append to a message that quotes `tail`: a program that dies of a full disk names only the cause.
pub(super) fn disk_full_hint(tail: &str) -> &'static str {
    if tail.contains("No space left on device") {
        "\nthe disk is full: free some space, or choose another folder with --data-dir"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use crate::StackError;

    #[test]
    fn a_server_that_died_of_a_full_disk_comes_with_the_remedy() {
        let tail = "FATAL: could not write: No space left on device".to_string();
        let error = StackError::Died { name: "postgres".into(), tail, log: "/x.log".into() };
        assert!(error.to_string().contains("free some space"), "{error}");
    }
}
