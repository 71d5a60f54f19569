//! Errors of settings. Their texts never show a value: any of them may be a secret.

use std::ops::Range;
use std::path::Path;

use figment::Metadata;
use figment::error::Kind;

/// The prefix of our environment variables.
pub(crate) const PREFIX: &str = "MILLRACE_";

/// Settings that can't be used. The text says which, where and why; it shows no value and no line of the file.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A source can't be read, or has an unknown key or a value that can't be used.
    #[error("settings: {0}")]
    Wrong(String),
    /// A setting that the process needs is not set.
    #[error("{variable} is not set ({example}); with the local stack, run: eval \"$(millrace env)\"")]
    Missing {
        /// The environment variable to set.
        variable: &'static str,
        /// A value of the right form.
        example: &'static str,
    },
    /// A value is out of its range.
    #[error("settings: {0}")]
    OutOfRange(String),
}

impl SettingsError {
    pub(crate) fn unreadable(file: &Path, error: &std::io::Error) -> Self {
        Self::Wrong(format!("{} can't be read: {error}", file.display()))
    }

    /// The file breaks TOML's syntax. Its parser would quote the line.
    pub(crate) fn no_toml(file: &Path, text: &str, span: Option<Range<usize>>, problem: &str) -> Self {
        let before = text.get(..span.map_or(0, |span| span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        let problem = problem.replace('\n', ", ");
        Self::Wrong(format!("{} is not TOML (line {line}, column {column}): {problem}", file.display()))
    }

    /// A key is unknown, or its value is of another type than it must be.
    pub(crate) fn of(error: figment::Error, file: Option<&Path>) -> Self {
        let problems: Vec<String> = error.into_iter().map(|error| problem(&error, file)).collect();
        Self::Wrong(problems.join("; "))
    }
}

/// Where a setting came from.
pub(crate) enum Source<'f> {
    Environment,
    File(&'f Path),
    Flag,
}

impl<'f> Source<'f> {
    pub(crate) fn of(metadata: Option<&Metadata>, file: Option<&'f Path>) -> Self {
        match file {
            _ if metadata.is_some_and(|metadata| metadata.name.contains(PREFIX)) => Self::Environment,
            Some(file) => Self::File(file),
            None => Self::Flag,
        }
    }

    /// A setting's name there.
    fn name(&self, key: &str) -> String {
        match self {
            Self::Environment => format!("{PREFIX}{}", key.to_uppercase()),
            Self::File(_) | Self::Flag => key.to_owned(),
        }
    }

    /// A setting's name with its place.
    pub(crate) fn place(&self, key: &str) -> String {
        match self {
            Self::File(file) => format!("{key} in {}", file.display()),
            Self::Environment | Self::Flag => self.name(key),
        }
    }
}

/// One of figment's errors, without the value that figment would print.
fn problem(error: &figment::Error, file: Option<&Path>) -> String {
    let key = error.path.join(".");
    let source = Source::of(error.metadata.as_ref(), file);
    let name = source.place(&key);
    match &error.kind {
        Kind::UnknownField(unknown, known) => {
            let place = match source {
                Source::File(file) => format!(", which {} has", file.display()),
                Source::Environment | Source::Flag => String::new(),
            };
            format!("there is no setting {}{place}; known are {}", source.name(unknown), known.join(", "))
        }
        Kind::UnknownVariant(_, known) => format!("{name} must be {}", known.join(" or ")),
        Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected) => {
            format!("{name} must be {}", kind_of_value(&key, expected))
        }
        _ => format!("{name} must be {}", kind_of_value(&key, "another value")),
    }
}

/// A type of serde's in a person's words.
fn kind_of_value(key: &str, expected: &str) -> String {
    match expected {
        _ if key == "http_address" => "an address such as 127.0.0.1:9464",
        "a string" if key.starts_with("kafka_properties.") => "a text; a name with dots in it stands in quotes",
        "a map" => "a table of names and values",
        "a string" => "a text",
        "i32" | "i64" => "a whole number",
        "u16" | "u32" | "u64" | "usize" => "a whole number, not negative and not too large",
        other => other,
    }
    .to_owned()
}
