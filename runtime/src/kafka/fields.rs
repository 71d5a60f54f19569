//! A record's headers.

use std::panic::{AssertUnwindSafe, catch_unwind};

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
        let all = catch_unwind(AssertUnwindSafe(|| headers.iter().collect()));
        let Ok(named) = all else {
            let each = (0..headers.count()).map(|index| catch_unwind(AssertUnwindSafe(|| headers.get(index))));
            let named: Vec<_> = each.filter_map(Result::ok).collect();
            let unnamed = headers.count() - named.len();
            return Self { named, unnamed };
        };
        Self { named, unnamed: 0 }
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

    /// About how many bytes they take: librdkafka needs some beside names and values.
    pub fn bytes(&self) -> usize {
        const EACH: usize = 10;
        let named = self.named.iter().map(|header| EACH + header.key.len() + header.value.map_or(0, <[u8]>::len));
        named.sum::<usize>() + self.unnamed * EACH
    }
}
