//! Places in a file, as they are shown to its author.

/// The line of the character at `position` (from 0), with a caret under it: `line 3, column 8:`, the line, the caret.
pub(crate) fn shown(text: &str, position: usize) -> String {
    let before: String = text.chars().take(position).collect();
    let line_number = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
    let line = text.lines().nth(line_number - 1).unwrap_or_default();
    // the caret stands under its character, however wide a tab is shown
    let line = line.replace('\t', " ");
    format!("line {line_number}, column {}:\n{line}\n{:column$}^", column + 1, "")
}

/// Where the word stands in the text, in characters from 0; letters of both cases are the same. Not inside of another
/// word, nor in a line's comment.
pub(crate) fn of_word(text: &str, word: &str) -> Option<usize> {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    let lower = text.to_ascii_lowercase();
    for (start, _) in lower.match_indices(&word.to_ascii_lowercase()) {
        let (before, after) = (lower.get(..start)?, lower.get(start + word.len()..)?);
        let is_whole = !before.ends_with(part_of_word) && !after.starts_with(part_of_word);
        let in_comment = before.rsplit('\n').next().is_some_and(|line| line.contains("--"));
        if is_whole && !in_comment {
            return Some(before.chars().count());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_shown_by_its_line_and_a_caret() {
        let text = "SELECT é\n\tFROM nowhere\n";
        assert_eq!(shown(text, 15), "line 2, column 7:\n FROM nowhere\n      ^");
        assert_eq!(shown(text, 0), "line 1, column 1:\nSELECT é\n^");
        assert_eq!(shown("", 7), "line 1, column 1:\n\n^");
    }

    #[test]
    fn a_word_is_found_whole_and_outside_of_comments() {
        assert_eq!(of_word("-- now()\nSELECT known, NOW()", "now"), Some(23));
        assert_eq!(of_word("SELECT known", "now"), None);
    }
}
