//! Finds the words of an ASCII text without the database.
//!
//! `words_of` in SQL defines the words of any text. For plain ASCII, which most texts are, this module finds the same
//! words much faster: `words_of` took 22 µs a document (measured), a tenth of all work of a load.

/// The limits of `words_of`: characters of a text, and characters of a word.
const MAX_TEXT: usize = 10_000;
const MAX_WORD: usize = 64;

/// The distinct words of the parts, joined by spaces; `None` when a part is not ASCII, so that the database must find
/// them.
pub(super) fn ascii_words<'a>(parts: impl Iterator<Item = &'a str> + Clone) -> Option<String> {
    if !parts.clone().all(str::is_ascii) {
        return None;
    }
    let mut text = parts.collect::<Vec<_>>().join(" ");
    text.truncate(MAX_TEXT);
    text.make_ascii_lowercase();
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let mut words: Vec<&str> = words.map(|word| &word[..word.len().min(MAX_WORD)]).collect();
    words.sort_unstable();
    words.dedup();
    Some(words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(parts: &[&str]) -> Option<String> {
        ascii_words(parts.iter().copied())
    }

    #[test]
    fn words_are_lower_case_distinct_and_split_at_whatever_is_no_letter_or_digit() {
        assert_eq!(words(&["Cash-withdrawal: (SIPO)", "cash_42"]).as_deref(), Some("42 cash sipo withdrawal"));
        assert_eq!(words(&["", " \t--"]).as_deref(), Some(""));
        assert_eq!(words(&[&"x".repeat(70)]).map(|word| word.len()), Some(64));
    }

    #[test]
    fn what_is_not_ascii_is_left_to_the_database() {
        assert_eq!(words(&["plain", "žádná"]), None);
    }
}
