//! Makes texts that a pattern of `matches(…)` is found in.
//!
//! A look-around, such as `\b`, is taken to hold, so a text may turn out not to match: ask the pattern.

use regex_syntax::hir::{Class, Hir, HirKind};

use super::chance::Chance;

/// Longest text, in bytes.
const MAX_BYTES: usize = 300;
/// A repetition with more is as often as it must be and this many times more.
const MAX_MORE: u32 = 40;

/// Texts of one pattern.
pub(super) struct Samples {
    pattern: Hir,
}

impl Samples {
    /// `None` when the text is not a pattern.
    pub fn parse(pattern: &str) -> Option<Self> {
        regex_syntax::parse(pattern).ok().map(|pattern| Self { pattern })
    }

    /// A text; `None` when it would be too long.
    pub fn text(&self, chance: &mut Chance) -> Option<String> {
        let mut bytes = Vec::new();
        write(&self.pattern, chance, &mut bytes)?;
        String::from_utf8(bytes).ok()
    }
}

fn write(pattern: &Hir, chance: &mut Chance, to: &mut Vec<u8>) -> Option<()> {
    match pattern.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => to.extend_from_slice(&literal.0),
        HirKind::Class(class) => write_one(class, chance, to)?,
        HirKind::Capture(capture) => write(&capture.sub, chance, to)?,
        HirKind::Concat(parts) => parts.iter().try_for_each(|part| write(part, chance, to))?,
        HirKind::Alternation(parts) => write(chance.one_of(parts)?, chance, to)?,
        HirKind::Repetition(repetition) => {
            let more = repetition.max.map_or(2, |max| max.saturating_sub(repetition.min)).min(MAX_MORE);
            // short ones mostly; some as long as may be, and of every length between
            let more = match chance.below(4) {
                0 => more,
                1 => chance.below(more as usize + 1) as u32,
                _ => more.min(1),
            };
            for _ in 0..repetition.min.saturating_add(more) {
                let before = to.len();
                write(&repetition.sub, chance, to)?;
                if to.len() == before {
                    break; // what repeats may be empty, so it is there as often as anybody wants
                }
            }
        }
    }
    (to.len() <= MAX_BYTES).then_some(())
}

/// One character of a class, mostly of its first ranges: those are the plain ones.
fn write_one(class: &Class, chance: &mut Chance, to: &mut Vec<u8>) -> Option<()> {
    let seldom = chance.below(16) == 0;
    match class {
        Class::Unicode(class) => {
            let ranges = class.ranges();
            let range = chance.one_of(if seldom { ranges } else { &ranges[..ranges.len().min(4)] })?;
            let (start, end) = (u32::from(range.start()), u32::from(range.end()));
            // `.` and `[^a]` begin with control characters
            let start = if start < 0x20 && end > 0x20 { 0x20 } else { start };
            let end = if seldom { end } else { end.min(start + 0x5e) };
            let one = char::from_u32(start + chance.below((end - start) as usize + 1) as u32);
            let mut utf8 = [0; 4];
            to.extend_from_slice(one.unwrap_or(range.start()).encode_utf8(&mut utf8).as_bytes());
        }
        Class::Bytes(class) => {
            let range = chance.one_of(class.ranges())?;
            to.push(range.start() + chance.below(usize::from(range.end() - range.start()) + 1) as u8);
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::pattern::Pattern;
    use super::*;

    #[test]
    fn a_pattern_is_found_in_its_texts() {
        for pattern in [
            "^[0-9]{1,4}$",
            "^(DE|FR)-[A-Z]{2}[0-9]{6}$",
            r"^\w+@\w+\.(com|org)$",
            r"\d{4}-\d\d-\d\d",
            "(?i)^abc$",
            r"^[^,;]*$",
            "^.{1,20}$",
            r"^(?-u:\w){3}$",
            "a|b|",
            r"^\p{Greek}+$",
            "^$",
        ] {
            let (samples, compiled) = (Samples::parse(pattern).unwrap(), Pattern::compile(pattern).unwrap());
            let mut chance = Chance(1);
            let texts: Vec<String> = (0..50).filter_map(|_| samples.text(&mut chance)).collect();
            assert!(texts.len() == 50 && texts.iter().all(|text| compiled.is_match(text)), "{pattern}: {texts:?}");
        }
    }

    #[test]
    fn a_text_that_would_be_too_long_is_not_made() {
        let mut chance = Chance(1);
        assert_eq!(Samples::parse("^((a{900}){900}){9}$").unwrap().text(&mut chance), None);
        assert_eq!(Samples::parse("^((){900}){900}$").unwrap().text(&mut chance).as_deref(), Some(""));
    }
}
