//! A record's headers, also those that rdkafka can't read.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

use rdkafka::message::{Header, Headers, Message};

/// A record's headers, in order. Headers whose name is not UTF-8 are only counted: Kafka takes any bytes for a name, and
/// rdkafka 0.39 panics at such a name. This type catches that; read headers nowhere else.
///
/// ```
/// use millrace_runtime::kafka::Fields;
/// use rdkafka::Timestamp;
/// use rdkafka::message::{Header, OwnedHeaders, OwnedMessage};
///
/// let headers = OwnedHeaders::new().insert(Header { key: "ce_id", value: Some("command-1") });
/// let record = OwnedMessage::new(None, None, "t".to_owned(), Timestamp::NotAvailable, 0, 0, Some(headers));
/// assert_eq!(Fields::of(&record).text("ce_id"), Some("command-1"));
/// ```
#[derive(Debug)]
pub struct Fields<'m> {
    named: Vec<Header<'m, &'m [u8]>>,
    unnamed: usize,
}

impl<'m> Fields<'m> {
    /// Reads the headers of a record; a record without any has none.
    pub fn of(message: &'m impl Message) -> Self {
        let Some(headers) = message.headers() else { return Self { named: Vec::new(), unnamed: 0 } };
        let named = quietly(|| headers.iter().collect()).unwrap_or_else(|| {
            let each = (0..headers.count()).map(|index| quietly(|| headers.get(index)));
            each.flatten().collect::<Vec<_>>()
        });
        let unnamed = headers.count() - named.len();
        Self { named, unnamed }
    }

    /// Names and values, in order: for a reader of many headers, who would otherwise search for each.
    pub fn iter(&self) -> impl Iterator<Item = (&'m str, Option<&'m [u8]>)> + '_ {
        self.named.iter().map(|header| (header.key, header.value))
    }

    /// How many headers have a name that is not UTF-8.
    pub fn unnamed(&self) -> usize {
        self.unnamed
    }

    /// The value of a header; of a name that comes twice, the last one.
    pub fn get(&self, name: &str) -> Option<&'m [u8]> {
        self.named.iter().rev().find(|header| header.key == name)?.value
    }

    /// The value of a header, if it is UTF-8.
    pub fn text(&self, name: &str) -> Option<&'m str> {
        std::str::from_utf8(self.get(name)?).ok()
    }

    /// About how many bytes a record's headers take, with what librdkafka needs beside names and values.
    pub fn bytes(message: &impl Message) -> usize {
        let Some(headers) = message.headers() else { return 0 };
        let bytes = |header: Header<'_, &[u8]>| 10 + header.key.len() + header.value.map_or(0, <[u8]>::len);
        quietly(|| headers.iter().map(bytes).sum()).unwrap_or_else(|| {
            let each = (0..headers.count()).map(|index| quietly(|| bytes(headers.get(index))));
            each.map(|bytes| bytes.unwrap_or(1024)).sum()
        })
    }
}

/// Runs `read`; `None` when it panics. The panic is not printed.
fn quietly<T>(read: impl FnOnce() -> T) -> Option<T> {
    thread_local! {
        static EXPECTED: Cell<bool> = const { Cell::new(false) };
    }
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |panic| {
            if !EXPECTED.get() {
                usual(panic);
            }
        }));
    });
    EXPECTED.set(true);
    let read = catch_unwind(AssertUnwindSafe(read)).ok();
    EXPECTED.set(false);
    read
}
