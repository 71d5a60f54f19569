//! Messages with `{expression}` in them.

use super::check::{Scope, Slots, check};
use super::evaluate::{Frame, Node};
use super::functions::is_shown;

/// A message, ready to be filled in.
#[derive(Debug, Clone)]
pub(super) struct Template(Vec<Part>);

#[derive(Debug, Clone)]
enum Part {
    Text(String),
    Value(Node),
}

impl Template {
    /// Checks the expressions of a message; `{{` and `}}` stand for braces.
    ///
    /// # Errors
    /// Everything that is wrong with it, a sentence each.
    pub fn check(text: &str, scope: &Scope, slots: &mut Slots) -> Result<Self, Vec<String>> {
        let mut parts = Vec::new();
        let mut problems = Vec::new();
        for part in split(text)? {
            match part {
                Ok(text) => parts.push(Part::Text(text)),
                Err(expression) => match check(&expression, None, scope, slots) {
                    Ok(checked) if is_shown(&checked.type_) => parts.push(Part::Value(checked.node)),
                    Ok(checked) => problems.push(format!("a message can't show {}", checked.type_)),
                    Err(found) => problems.extend(found),
                },
            }
        }
        if problems.is_empty() { Ok(Self(parts)) } else { Err(problems) }
    }

    /// The message. A value that can't be computed is shown as `?`: the rejection matters more than its message.
    pub fn fill(&self, frame: &mut Frame<'_>) -> String {
        let parts = self.0.iter().map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Value(node) => {
                let shown = frame.value(node).and_then(|value| {
                    frame.steps.charge(value.text_weight())?;
                    Ok(value.to_string())
                });
                shown.unwrap_or_else(|_| "?".to_owned())
            }
        });
        parts.collect()
    }
}

/// The texts of a message (`Ok`) and its expressions (`Err`).
fn split(text: &str) -> Result<Vec<Result<String, String>>, Vec<String>> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(brace) = rest.find(['{', '}']) {
        plain.push_str(&rest[..brace]);
        rest = &rest[brace..];
        if let Some(after) = rest.strip_prefix("{{").or_else(|| rest.strip_prefix("}}")) {
            plain.push_str(&rest[..1]);
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let end =
                end_of(after).ok_or_else(|| vec!["a `{` has no `}` after it; `{{` stands for a brace".to_owned()])?;
            parts.push(Ok(std::mem::take(&mut plain)));
            parts.push(Err(after[..end].to_owned()));
            rest = &after[end + 1..];
        } else {
            return Err(vec!["a `}` has no `{` before it; `}}` stands for a brace".to_owned()]);
        }
    }
    plain.push_str(rest);
    parts.push(Ok(plain));
    Ok(parts)
}

/// Where the expression ends: at the first `}` outside of quotation marks and inner braces.
fn end_of(text: &str) -> Option<usize> {
    let (mut depth, mut quote) = (0_usize, None);
    for (place, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '{') => depth += 1,
            (None, '}') if depth == 0 => return Some(place),
            (None, '}') => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_split_at_its_braces() {
        let shown = |text: &str| split(text).unwrap();
        let text = |text: &str| Ok(text.to_owned());
        assert_eq!(shown("a {b} c"), [text("a "), Err("b".to_owned()), text(" c")]);
        assert_eq!(shown("{{a}} {m['}']}"), [text("{a} "), Err("m['}']".to_owned()), text("")]);
        assert!(split("a {b").is_err());
        assert!(split("a } b").is_err());
    }
}
