//! A record's headers.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

use rdkafka::message::{Header, Headers, Message};

/// A record's headers, in order. Those whose name is not UTF-8 are only counted: Kafka takes any bytes for a name, and
/// rdkafka 0.39 panics on such a one; that is caught here, and nowhere else are headers to be read.
#[derive(Debug)]
pub struct Fields<'m> {
    named: Vec<Header<'m, &'m [u8]>>,
    unnamed: usize,
}

impl<'m> Fields<'m> {
    /// The headers of a record.
    pub fn of(message: &'m impl Message) -> Self {
        let Some(headers) = message.headers() else { return Self { named: Vec::new(), unnamed: 0 } };
        let named = quietly(|| headers.iter().collect()).unwrap_or_else(|| {
            let each = (0..headers.count()).map(|index| quietly(|| headers.get(index)));
            each.flatten().collect::<Vec<_>>()
        });
        let unnamed = headers.count() - named.len();
        Self { named, unnamed }
    }

    /// How many have a name that is not UTF-8.
    pub fn unnamed(&self) -> usize {
        self.unnamed
    }

    /// The value of a header; the last one counts where a name comes twice.
    pub fn get(&self, name: &str) -> Option<&'m [u8]> {
        self.named.iter().rev().find(|header| header.key == name)?.value
    }

    /// The value of a header, where it is text.
    pub fn text(&self, name: &str) -> Option<&'m str> {
        std::str::from_utf8(self.get(name)?).ok()
    }

    /// About how many bytes a record's headers take: librdkafka needs some beside names and values.
    pub fn bytes(message: &impl Message) -> usize {
        let Some(headers) = message.headers() else { return 0 };
        let bytes = |header: Header<'_, &[u8]>| 10 + header.key.len() + header.value.map_or(0, <[u8]>::len);
        quietly(|| headers.iter().map(bytes).sum()).unwrap_or_else(|| {
            let each = (0..headers.count()).map(|index| quietly(|| bytes(headers.get(index))));
            each.map(|bytes| bytes.unwrap_or(1024)).sum()
        })
    }
}

/// Runs what may panic; `None` when it does. Nothing of it is printed.
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
