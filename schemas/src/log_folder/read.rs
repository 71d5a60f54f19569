//! Reads the files of a folder on the disk.

use std::collections::BTreeMap;
use std::fs::{self, DirEntry};
use std::path::Path;

use super::files::{FileKind, MAX_FILE, MAX_FILES, classify, too_large};
use super::problems::Problems;

/// The subfolders that a log's folder may have.
const SUBFOLDERS: [&str; 3] = ["commands", "events", "cases"];

/// The texts of the files that describe the log, by their paths in the folder. Follows no symbolic link.
pub(super) fn files_in(dir: &Path, problems: &mut Problems) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for (name, entry) in entries(dir, ".", problems) {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && SUBFOLDERS.contains(&name.as_str()) => {
                for (file, entry) in entries(&entry.path(), &name, problems) {
                    read(&format!("{name}/{file}"), &entry, &mut files, problems);
                }
            }
            _ => read(&name, &entry, &mut files, problems),
        }
    }
    files
}

/// The entries of a folder by name, but for those whose names begin with a dot.
fn entries(dir: &Path, shown: &str, problems: &mut Problems) -> Vec<(String, DirEntry)> {
    let listed = fs::read_dir(dir).and_then(|entries| entries.take(MAX_FILES + 1).collect::<Result<Vec<_>, _>>());
    let listed = match listed {
        Ok(listed) => listed,
        Err(error) => {
            problems.add(shown, format!("the folder can't be read: {error}"));
            return vec![];
        }
    };
    let mut named = Vec::new();
    for entry in listed {
        match entry.file_name().into_string() {
            Ok(name) if name.starts_with('.') => {}
            Ok(name) => named.push((name, entry)),
            Err(name) => problems.add(shown, format!("the name of the file {name:?} is not UTF-8: rename it")),
        }
    }
    named.sort_by(|(a, _), (b, _)| a.cmp(b));
    named
}

fn read(path: &str, entry: &DirEntry, files: &mut BTreeMap<String, String>, problems: &mut Problems) {
    match text_of(path, entry) {
        Ok(Some(text)) => {
            files.insert(path.to_owned(), text);
        }
        Ok(None) => {}
        Err(problem) => problems.add(path, problem),
    }
}

/// The file's text; `None` for a file that does not describe the log.
fn text_of(path: &str, entry: &DirEntry) -> Result<Option<String>, String> {
    let unreadable = |error: std::io::Error| format!("the file can't be read: {error}");
    let metadata = entry.metadata().map_err(unreadable)?;
    if metadata.is_symlink() {
        return Err("it is a symbolic link: put the file itself here".to_owned());
    }
    // for a folder, the name of some file in it says best what is wrong
    let inside = if metadata.is_dir() { format!("{path}/file") } else { path.to_owned() };
    if classify(&inside)? == FileKind::NotOfTheLog {
        return Ok(None);
    }
    if !metadata.is_file() {
        return Err("it is not a file".to_owned());
    }
    if metadata.len() > MAX_FILE as u64 {
        return Err(too_large(metadata.len()));
    }
    let bytes = fs::read(entry.path()).map_err(unreadable)?;
    let text = String::from_utf8(bytes);
    text.map(Some).map_err(|error| format!("byte {} is not UTF-8: save it as UTF-8", error.utf8_error().valid_up_to()))
}
