//! Which files a folder may have, and how large they may be.

use std::collections::BTreeMap;

use super::problems::Problems;
use crate::{LogFolder, Topic};

/// Largest file, in bytes.
pub(super) const MAX_FILE: usize = 1024 * 1024;
/// Most that all files together may have, in bytes.
const MAX_FOLDER: usize = 8 * 1024 * 1024;
/// Most files. Every record has a file for each of its versions.
pub(super) const MAX_FILES: usize = 5000;
/// What a folder may have, for people.
const KNOWN: &str =
    "a log's folder has log.toml, domain.toml, commands/*.avsc, events/*.avsc, cases/*.toml and README.md";

/// What a file of the folder is, by its path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FileKind<'p> {
    /// `log.toml` or `domain.toml`.
    Toml,
    /// `cases/<any name>.toml`: an example that the rules are held against.
    Case,
    /// A version of a record: `events/OrderPlaced.v1.avsc`, or without a number, which is the newest.
    Record { topic: Topic, name: &'p str, version: Option<u32> },
    /// It does not describe the log: `README.md`, `projectors/`.
    NotOfTheLog,
}

/// What the file is; an error says why the folder may not have it.
pub(super) fn classify(path: &str) -> Result<FileKind<'_>, String> {
    match path.split('/').collect::<Vec<_>>()[..] {
        [.., "README.md"] => Ok(FileKind::NotOfTheLog),
        [LogFolder::LOG | LogFolder::DOMAIN] => Ok(FileKind::Toml),
        ["cases", file] if file.ends_with(".toml") => Ok(FileKind::Case),
        ["commands", file] if file.ends_with(".avsc") => record(Topic::Commands, file),
        ["events", file] if file.ends_with(".avsc") => record(Topic::Events, file),
        ["upcasters", ..] => Err("upcasters are not supported yet: delete the folder".to_owned()),
        // each is applied for itself: `millrace projector apply`
        ["projectors", ..] => Ok(FileKind::NotOfTheLog),
        ["commands" | "events" | "cases", _, _, ..] => {
            Err("files lie in this folder directly: move it out of its subfolder".to_owned())
        }
        _ => Err(format!("a log has no such file; rename or delete it: {KNOWN}")),
    }
}

fn record(topic: Topic, file: &str) -> Result<FileKind<'_>, String> {
    let stem = file.strip_suffix(".avsc").unwrap_or(file);
    let (name, version) = match stem.split_once('.') {
        None => (stem, None),
        Some((name, number)) => {
            let version = number.strip_prefix('v').filter(|digits| !digits.starts_with('0'));
            let version = version.and_then(|digits| digits.parse().ok()).filter(|_| !number.contains('+'));
            let wrong = || format!("name it {name}.avsc, or {name}.v1.avsc, {name}.v2.avsc … for an older version");
            (name, Some(version.ok_or_else(wrong)?))
        }
    };
    Ok(FileKind::Record { topic, name, version })
}

/// Checks names and sizes.
pub(super) fn check(files: &BTreeMap<String, String>, problems: &mut Problems) {
    for (path, text) in files {
        if let Err(problem) = classify(path) {
            problems.add(path, problem);
        }
        if text.len() > MAX_FILE {
            problems.add(path, too_large(text.len() as u64));
        }
        if text.contains('\0') {
            problems.add(path, "the file has a U+0000 character, which Postgres can't store: remove it");
        }
    }
    let size: usize = files.values().map(String::len).sum();
    if size > MAX_FOLDER {
        problems.add(".", format!("the files have {size} bytes together; the most is {MAX_FOLDER}: shorten them"));
    }
    if files.len() > MAX_FILES {
        problems.add(".", format!("the folder has {} files; the most is {MAX_FILES}", files.len()));
    }
}

/// The refusal of a file of this size, in bytes.
pub(super) fn too_large(size: u64) -> String {
    format!("the file has {size} bytes; the most is {MAX_FILE}: shorten it")
}
