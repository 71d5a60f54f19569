//! The form of `domain.toml`, without a look at what its expressions say.

use millrace_schemas::{LogDefinition, Topic};

use super::problem::{At, Problems};
use super::tree::{self, Keys, Sourced, Tree, texts};

/// Most patterns in a file: one may take 60 ms to compile.
const MAX_PATTERNS: usize = 200;

/// The parts of a file of rules, in its order.
#[derive(Debug, Default)]
pub(super) struct RulesFile {
    pub states: Vec<StateRules>,
    pub commands: Vec<CommandRules>,
}

/// `[state.<stream type>]`: how events change a stream's state.
#[derive(Debug)]
pub(super) struct StateRules {
    pub stream_type: String,
    pub at: At,
    pub folds: Vec<FoldRules>,
}

/// The fields that one event sets.
#[derive(Debug)]
pub(super) struct FoldRules {
    pub event: String,
    pub at: At,
    pub sets: Vec<(String, Sourced)>,
}

/// `[commands.<name>]`
#[derive(Debug)]
pub(super) struct CommandRules {
    pub name: String,
    pub at: At,
    pub each: Option<Sourced>,
    /// Each with the name that the rules use for it; a single `stream` has none.
    pub streams: Vec<(Option<String>, Sourced)>,
    pub lets: Vec<(String, Sourced)>,
    /// By the name of a stream, or for the single one.
    pub expect: Vec<(Option<String>, Sourced)>,
    pub check: Vec<RejectRule>,
    pub reject: Vec<RejectRule>,
    pub emit: Vec<EmitRule>,
}

/// An item of `check` or `reject`.
#[derive(Debug)]
pub(super) struct RejectRule {
    pub when: Sourced,
    pub code: Sourced,
    pub message: Sourced,
}

/// An item of `emit`.
#[derive(Debug)]
pub(super) struct EmitRule {
    pub event: Sourced,
    pub at: At,
    pub stream: Option<Sourced>,
    pub when: Option<Sourced>,
    pub copy: Option<Sourced>,
    pub data: Vec<(String, Sourced)>,
}

impl RulesFile {
    /// What the states of streams depend on, in the file's order: equal texts make equal states of the same events.
    pub fn folds(&self, definition: &LogDefinition) -> String {
        self.states.iter().map(|state| state.as_text(definition)).collect()
    }

    /// Reads the text of the file. Notes every part that has not the form of rules.
    pub fn parse(text: &str, problems: &mut Problems) -> Self {
        let Some(tree) = tree::parse(text, problems) else { return Self::default() };
        let patterns = text.matches("matches").count();
        if patterns > MAX_PATTERNS {
            let text = format!("the file has {patterns} patterns (matches), and at most {MAX_PATTERNS} are allowed");
            problems.add(&tree.at, text);
            return Self::default();
        }
        let mut keys = tree.keys(problems);
        let states = keys.take("state").map_or_else(Vec::new, |tree| tree.entries(problems));
        let commands = keys.take("commands").map_or_else(Vec::new, |tree| tree.entries(problems));
        if commands.is_empty() && problems.is_empty() {
            problems.add(&keys.at, "there are no commands: add [commands.<name>]");
        }
        keys.end(problems);
        Self {
            states: states.into_iter().map(|(name, tree)| StateRules::parse(name, tree, problems)).collect(),
            commands: commands.into_iter().map(|(name, tree)| CommandRules::parse(name, tree, problems)).collect(),
        }
    }
}

impl StateRules {
    /// The state's type, its events in order, and for each its schema and what it sets.
    fn as_text(&self, definition: &LogDefinition) -> String {
        let folds = self.folds.iter().map(|fold| {
            let sets = fold.sets.iter().map(|(field, set)| (field, &set.text));
            let schema = definition.record(Topic::Events, &fold.event).map(|record| &record.text);
            (&fold.event, schema, sets.collect::<Vec<_>>())
        });
        format!("{:?}", (&self.stream_type, folds.collect::<Vec<_>>()))
    }

    fn parse(stream_type: String, tree: Tree, problems: &mut Problems) -> Self {
        let at = tree.at.clone();
        let folds = tree.entries(problems).into_iter().map(|(event, tree)| FoldRules {
            event,
            at: tree.at.clone(),
            sets: texts(tree, problems),
        });
        Self { stream_type, at, folds: folds.collect() }
    }
}

impl CommandRules {
    fn parse(name: String, tree: Tree, problems: &mut Problems) -> Self {
        let mut keys = tree.keys(problems);
        let rules = Self {
            name,
            at: keys.at.clone(),
            each: keys.text("each", problems),
            streams: streams(&mut keys, problems),
            lets: keys.texts("let", problems),
            expect: keys.take("expect").map_or_else(Vec::new, |tree| one_or_named(tree, problems)),
            check: reject_rules("check", &mut keys, problems),
            reject: reject_rules("reject", &mut keys, problems),
            emit: {
                let emits = keys.list("emit", problems).into_iter();
                emits.filter_map(|tree| EmitRule::parse(tree.keys(problems), problems)).collect()
            },
        };
        keys.end(problems);
        rules
    }
}

fn streams(keys: &mut Keys, problems: &mut Problems) -> Vec<(Option<String>, Sourced)> {
    match (keys.take("stream"), keys.take("streams")) {
        (Some(one), None) => one.text(problems).into_iter().map(|stream| (None, stream)).collect(),
        (None, Some(named)) => texts(named, problems).into_iter().map(|(name, text)| (Some(name), text)).collect(),
        (Some(_), Some(_)) => {
            problems.add(&keys.at, "has `stream` and `streams`: keep one of them");
            Vec::new()
        }
        (None, None) => {
            problems.add(&keys.at, "names no stream: add stream = \"'<type>-' + command.<field>\"");
            Vec::new()
        }
    }
}

/// A text for the one stream, or a table of texts by stream name.
fn one_or_named(tree: Tree, problems: &mut Problems) -> Vec<(Option<String>, Sourced)> {
    match &tree.kind {
        tree::Kind::Table(_) => texts(tree, problems).into_iter().map(|(name, text)| (Some(name), text)).collect(),
        _ => tree.text(problems).into_iter().map(|text| (None, text)).collect(),
    }
}

fn reject_rules(list: &'static str, keys: &mut Keys, problems: &mut Problems) -> Vec<RejectRule> {
    let rules = keys.list(list, problems).into_iter().filter_map(|tree| {
        let mut keys = tree.keys(problems);
        let (when, code) = (keys.needed("when", problems), keys.needed("code", problems));
        let message = keys.needed("message", problems);
        keys.end(problems);
        Some(RejectRule { when: when?, code: code?, message: message? })
    });
    rules.collect()
}

impl EmitRule {
    fn parse(mut keys: Keys, problems: &mut Problems) -> Option<Self> {
        let rule = Self {
            at: keys.at.clone(),
            event: keys.needed("event", problems)?,
            stream: keys.text("stream", problems),
            when: keys.text("when", problems),
            copy: keys.text("copy", problems),
            data: keys.texts("data", problems),
        };
        keys.end(problems);
        Some(rule)
    }
}
