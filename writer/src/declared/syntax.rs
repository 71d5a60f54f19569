//! Reads the text of an expression, within limits: what is not within them never reaches the parser.

use cel::common::ast::{Expr, LiteralValue, operators};
use cel::parser::Expression;

/// Longest expression, in bytes of UTF-8.
pub(super) const MAX_BYTES: usize = 4_096;
/// Most operators, dots and brackets of an expression: each may nest the parsed expression one deeper.
const MAX_OPERATORS: usize = 400;
/// Deepest nesting of brackets.
const MAX_BRACKETS: usize = 24;

/// Parses an expression.
///
/// # Errors
/// A sentence that says which limit it exceeds, or where it is not CEL.
pub(super) fn parse(text: &str) -> Result<Expression, String> {
    within_limits(text)?;
    // An environment without macros leaves `has` and `map` as the calls that people wrote: the checker knows them.
    let parsed = cel::Env::default().parser().error_recovery_limit(1).parse(text);
    parsed.map_err(|errors| match errors.errors.first() {
        Some(error) if error.pos.1 > 0 => format!("not CEL, at character {}: {}", error.pos.1, first_line(&error.msg)),
        Some(error) => format!("not CEL: {}", first_line(&error.msg)),
        None => "not CEL".to_owned(),
    })
}

/// The text that the value of `'text' + … + …` begins with: empty for an expression of any other form.
pub(super) fn first_literal(expression: &Expression) -> &str {
    match &expression.expr {
        Expr::Literal(LiteralValue::String(text)) => text.inner(),
        Expr::Call(call) if call.func_name == operators::ADD => call.args.first().map_or("", first_literal),
        _ => "",
    }
}

fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().chars().take(200).collect()
}

fn within_limits(text: &str) -> Result<(), String> {
    if text.len() > MAX_BYTES {
        let bytes = text.len();
        return Err(format!(
            "the expression has {bytes} bytes, and at most {MAX_BYTES} are allowed: split it with `let`"
        ));
    }
    let (mut depth, mut deepest, mut operators) = (0_usize, 0, 0);
    for c in text.chars() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
        operators += usize::from("([{.?:,+-*/%!<>=&|".contains(c));
    }
    if deepest > MAX_BRACKETS {
        return Err(format!("brackets nest {deepest} deep, and at most {MAX_BRACKETS} are allowed"));
    }
    if operators > MAX_OPERATORS {
        return Err(format!(
            "it has {operators} operators, and at most {MAX_OPERATORS} are allowed: split it with `let`"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_expression_of_10_mb_never_reaches_the_parser() {
        let refused = parse(&"a".repeat(10_000_000)).unwrap_err();
        assert!(refused.contains("10000000 bytes"), "{refused}");
    }

    #[test]
    fn a_hundred_thousand_parentheses_are_refused() {
        for open in ["(", "[", "-(", "{1:"] {
            assert!(parse(&open.repeat(100_000)).is_err());
            let refused = parse(&open.repeat(1_000)).unwrap_err();
            assert!(refused.contains("brackets nest 1000 deep"), "{refused}");
        }
        assert!(parse(&"-".repeat(4_000)).unwrap_err().contains("operators"));
        assert!(parse(&format!("{}x{}", "(".repeat(24), ")".repeat(24))).is_ok());
        assert!(parse(&format!("x{}", " + x".repeat(400))).is_ok());
    }

    #[test]
    fn what_is_no_cel_is_said_with_its_place() {
        let refused = parse("command.id ++").unwrap_err();
        assert!(refused.starts_with("not CEL, at character 1"), "{refused}");
        assert!(parse("").is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in r#"[a-c0-9.()\[\]{}'"+*/<>=!&|?:, \\xu-]{0,40}"#) {
            let _ = parse(&text);
        }

        #[test]
        fn nor_does_any_other(text in ".{0,40}") {
            let _ = parse(&text);
        }
    }
}
