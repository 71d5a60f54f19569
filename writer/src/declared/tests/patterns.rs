//! What patterns match, and what they cost.

use std::time::Instant;

use super::limits::order_of;
use super::*;
use crate::declared::pattern::Pattern;

/// Patterns that rules are likely to have.
const USUAL: [&str; 12] = [
    "^[a-z0-9-]{1,64}$",
    "^[0-9]+$",
    "^[A-Z]{3}$",
    r"^\d{4}-\d{2}-\d{2}$",
    r"^[a-z0-9._-]+@[a-z0-9.-]+\.[a-z]{2,}$",
    "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
    r"^\S+@\S+$",
    r"^[\p{L}\p{N} '-]+$",
    "^.{1,200}$",
    r"^\w+$",
    r"(\w+\s)*\w+",
    "(?i)^(eur|usd|czk)$",
];

/// Patterns that are made to cost much for their size.
const HOSTILE: [&str; 22] = [
    "[ab]*a[ab]{20}[cd]",
    "[ab]*a[ab]{100}[cd]",
    "[ab]*a[ab]{1000}[cd]",
    "[ab]*a[ab]{5000}[cd]",
    "[ab]*a(?:a|b){300}[cd]",
    "(?:[ab]{0,5}){200}a[ab]{100}[cd]",
    "(?:a?b?){500}[ab]*a[ab]{50}[cd]",
    "(?:(?:a?){30}b?){30}a[ab]{30}[cd]",
    "(?:(?:(?:a|b)?){10}){40}[ab]*a[ab]{30}[cd]",
    "(?:[ab]?[ab]?[ab]?){300}[ab]*a[ab]{30}[cd]",
    "(?:a*b*){300}[ab]*a[ab]{30}[cd]",
    "(?:a*){1000}[ab]*a[ab]{20}[cd]",
    "(?:|a|b|ab|ba){200}[ab]*a[ab]{30}[cd]",
    "(?:(?:(?:a?)*b?)*a?){100}[ab]*a[ab]{30}[cd]",
    "[ab]{100}a[ab]*$",
    "(?s).*a.{30}[cd]",
    r"\w{1,20}[^\w]",
    r"\w*\p{L}\w{15}[^\w]",
    r"(?:\w\w){1,8}[^\w]",
    r"\b\w+\b[^\w]\w{5}",
    r"(?:\w|\p{L}){1,8}[^\w]",
    r"(?-u:[ab]*a[ab]{2000}[cd])",
];

#[test]
fn a_pattern_is_found_where_it_is() {
    for (pattern, text, expected) in [
        ("^[a-z]+$", "abc", true),
        ("^[a-z]+$", "ab1", false),
        ("b", "abc", true),
        ("^.{3}$", "äöü", true),
        (r"\bb\b", "a b c", true),
        (r"\bb\b", "abc", false),
        ("", "", true),
        ("$^", "a", false),
    ] {
        assert_eq!(Pattern::compile(pattern).unwrap().is_match(text), expected, "{pattern}");
    }
    assert!(Pattern::compile("(").unwrap_err().contains("unclosed group"));
    assert!(Pattern::compile(r"\w{1,200}").unwrap_err().contains("size limit"));
}

#[test]
fn a_usual_pattern_may_be_held_against_a_thousand_ids() {
    let order = || order_of(1_000, |index| format!("{index:064}"));
    for pattern in USUAL {
        let matches = format!(
            "command.items.all(i, i.sku.matches('{}') || true)",
            pattern.replace('\\', "\\\\\\\\").replace('\'', "\\\\'")
        );
        assert_eq!(comes_to(&matches, order()), "true", "{pattern}");
    }
}

#[test]
fn a_large_pattern_is_charged_more_than_a_small_one() {
    let order = || order_of(100, |_| "ab".repeat(1_000));
    let matches = |pattern: &str| format!("command.items.all(i, !i.sku.matches('{pattern}'))");
    assert_eq!(comes_to(&matches("^[a-z]+c$"), order()), "true");
    assert_eq!(comes_to(&matches("[ab]*a[ab]{100}c"), order()), "rules_too_costly");
}

/// The nanoseconds of a step, at worst over some texts: the first search of a pattern, and further ones.
fn nanoseconds_of_a_step(pattern: &str) -> (f64, f64) {
    let random = |from: u32, of: u32, length: u32| -> String {
        let mut seed = 1_u32;
        let next = (0..length).map(|_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            char::from_u32(from + (seed >> 16) % of).unwrap()
        });
        next.collect()
    };
    let texts = [
        "a".repeat(8_000),
        "ab".repeat(4_000),
        "ab cd ".repeat(1_300),
        random(97, 2, 8_000),
        random(0x400, 200, 4_000),
    ];
    let (mut first, mut further) = (0_f64, 0_f64);
    for text in &texts {
        for length in [0, 16, 64, 250, 1_000, text.len()] {
            let text = &text[..text.floor_char_boundary(length)];
            let pattern = Pattern::compile(pattern).unwrap();
            let steps = 2 + pattern.steps(text.len()) as u32; // also those of the call and the text
            let times = (100_000 / steps).clamp(1, 1_000);
            let timed = |times: u32| {
                let began = Instant::now();
                (0..times).for_each(|_| {
                    std::hint::black_box(pattern.is_match(text));
                });
                began.elapsed().as_secs_f64() * 1e9 / f64::from(times * steps)
            };
            first = first.max(timed(1));
            further = further.max(timed(times).min(timed(times)).min(timed(times))); // others may be at work
        }
    }
    (first, further)
}

/// Run it with `cargo test -p millrace-writer --lib what_hostile_patterns_take -- --ignored --nocapture`.
#[test]
#[ignore = "measures on an idle machine"]
fn what_hostile_patterns_take() {
    for pattern in USUAL.iter().chain(&HOSTILE) {
        let (first, further) = nanoseconds_of_a_step(pattern);
        let compiled = Pattern::compile(pattern).unwrap();
        let kind =
            if matches!(compiled.search, super::super::pattern::Search::Table(_)) { "table" } else { "simulated" };
        println!(
            "{pattern:50} {kind:9} {:5} steps for 64 bytes, {first:7.1} ns a step at first, {further:6.1} later",
            compiled.steps(64)
        );
    }
}
