//! The patterns of `matches(…)`, and what they cost.

use std::sync::Arc;

use regex::{Regex, RegexBuilder};
use regex_automata::Input;
use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::nfa::thompson;

/// Largest compiled pattern, in bytes.
const MAX_PATTERN: usize = 1 << 20;
/// Largest table of states, in bytes. `^.{1,200}$` has 200 KiB; most patterns have a few.
const MAX_TABLE: usize = 1 << 19;
/// How much memory making the table may take, in bytes.
const MAX_MAKING: usize = 1 << 21;
/// What has no such table is simulated: so many bytes of the compiled pattern cost a step for each byte of text. A step
/// is to take 50 ns at most: `what_hostile_patterns_take` in `tests/patterns.rs` measures it.
const SIMULATED_STEP: usize = 128;

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    text: Arc<str>,
    pub(super) search: Search,
}

/// How a pattern is looked for.
#[derive(Debug, Clone)]
pub(super) enum Search {
    /// Looks up one state for each byte of text.
    Table(Arc<dense::DFA<Vec<u32>>>),
    /// Follows many states at once; with its steps for each byte of text.
    Simulated(Regex, u64),
}

impl Pattern {
    /// # Errors
    /// A sentence that says why the text is not a pattern, or that it is too large.
    pub fn compile(text: &str) -> Result<Self, String> {
        let search = table(text).map_or_else(|| simulated(text), |table| Ok(Search::Table(Arc::new(table))))?;
        Ok(Self { text: text.into(), search })
    }

    /// The pattern as it is written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it costs to look for it in so many bytes of text, in steps.
    pub fn steps(&self, bytes: usize) -> u64 {
        match &self.search {
            Search::Table(_) => bytes as u64 / 16,
            // a pattern is made ready also for an empty text
            Search::Simulated(_, steps) => (1 + bytes as u64).saturating_mul(*steps),
        }
    }

    /// Whether the text has a match.
    pub fn is_match(&self, text: &str) -> bool {
        match &self.search {
            // a search fails only at bytes at which a table was told to give up, and these were told of none
            Search::Table(table) => matches!(table.try_search_fwd(&Input::new(text).earliest(true)), Ok(Some(_))),
            Search::Simulated(pattern, _) => pattern.is_match(text),
        }
    }
}

/// `None` when the pattern has no table of this size; also when it has Unicode word boundaries, or is not a pattern.
fn table(text: &str) -> Option<dense::DFA<Vec<u32>>> {
    let limits = dense::Config::new()
        .start_kind(StartKind::Unanchored)
        .dfa_size_limit(Some(MAX_TABLE))
        .determinize_size_limit(Some(MAX_MAKING));
    let pattern = thompson::Config::new().nfa_size_limit(Some(MAX_PATTERN));
    dense::Builder::new().configure(limits).thompson(pattern).build(text).ok()
}

/// The size is that of the limit within which the pattern compiles, a power of two. `regex` makes no states while it
/// searches (`dfa_size_limit`): for hostile patterns it would make them in vain, in every search anew.
fn simulated(text: &str) -> Result<Search, String> {
    let mut size = 4 * SIMULATED_STEP;
    loop {
        match RegexBuilder::new(text).size_limit(size).dfa_size_limit(0).build() {
            Err(regex::Error::CompiledTooBig(_)) if size < MAX_PATTERN => size *= 2,
            Ok(pattern) => return Ok(Search::Simulated(pattern, (size / SIMULATED_STEP) as u64)),
            Err(error) => return Err(error.to_string().lines().last().unwrap_or_default().to_owned()),
        }
    }
}
