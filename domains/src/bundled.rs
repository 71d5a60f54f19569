//! The folders of the logs that come along as folders.

use std::collections::BTreeMap;

use include_dir::{Dir, include_dir};

/// The names of these logs.
pub const NAMES: [&str; 2] = ["bank", "orders"];

static BANK: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/bank");
static ORDERS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/orders");

/// The files of a log's folder, path and text; `None` when no log of that name comes along.
pub fn files(log: &str) -> Option<BTreeMap<String, String>> {
    let folder = match log {
        "bank" => &BANK,
        "orders" => &ORDERS,
        _ => return None,
    };
    let mut files = BTreeMap::new();
    collect(folder, &mut files);
    Some(files)
}

fn collect(folder: &Dir<'_>, files: &mut BTreeMap<String, String>) {
    for file in folder.files() {
        if let Some(text) = file.contents_utf8() {
            files.insert(file.path().display().to_string(), text.to_owned());
        }
    }
    folder.dirs().for_each(|folder| collect(folder, files));
}
