//! Merges the events of several partitions in the order in which they were recorded, with a page of each in memory.
//! Pure.

use std::collections::VecDeque;

use millrace_schemas::RecordedEvent;
use millrace_store::{FoundPage, Span};

/// A merge of partitions. Inside a partition the order of position is also the order of recorded_at. Of two events with
/// the same time, the one in the lower partition comes first.
pub struct Merge {
    lanes: Vec<Lane>,
}

/// The rest of one partition.
struct Lane {
    /// The positions that are not read yet.
    span: Span,
    /// The events that are read and not returned yet.
    page: VecDeque<RecordedEvent>,
    is_read: bool,
}

impl Merge {
    /// A merge of the events in these spans. No two spans may have the same partition.
    pub fn new(spans: impl IntoIterator<Item = Span>) -> Self {
        let lane = |span: Span| Lane { is_read: span.after >= span.last, span, page: VecDeque::new() };
        Self { lanes: spans.into_iter().map(lane).collect() }
    }

    /// The spans whose next page must be read first: any of them may hold the oldest event.
    pub fn lacking(&self) -> Vec<Span> {
        let lacking = self.lanes.iter().filter(|lane| lane.page.is_empty() && !lane.is_read);
        lacking.map(|lane| lane.span).collect()
    }

    /// Adds the next page of a span that [`Merge::lacking`] returned.
    pub fn add(&mut self, partition: i32, page: FoundPage) {
        let Some(lane) = self.lanes.iter_mut().find(|lane| lane.span.partition == partition) else { return };
        if let Some(last) = page.events.last() {
            lane.span.after = last.position;
        }
        lane.is_read = page.is_last || lane.span.after >= lane.span.last;
        lane.page.extend(page.events);
    }

    /// The next event; `None` at the end. Call it only when [`Merge::lacking`] is empty.
    pub fn next(&mut self) -> Option<RecordedEvent> {
        let first = |lane: &Lane| lane.page.front().map(|event| (event.recorded_at, event.partition));
        let with_events = self.lanes.iter_mut().filter(|lane| !lane.page.is_empty());
        with_events.min_by_key(|lane| first(lane))?.page.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;
    use millrace_schemas::{Metadata, RecordSchema, Topic};
    use uuid::Uuid;

    use super::*;

    const EMPTY: &str = r#"{"type": "record", "name": "Ticked", "fields": []}"#;

    fn event(schema: &'static RecordSchema, partition: i32, position: i64, second: i64) -> RecordedEvent {
        RecordedEvent {
            partition,
            position,
            stream_id: "clock-1".parse().expect("a stream id"),
            version: position,
            event_id: Uuid::nil(),
            schema,
            value: RecordedEvent::framed(schema, &[]),
            metadata: Metadata::default(),
            recorded_at: Timestamp::from_second(second).expect("a time"),
        }
    }

    /// What a store with these events answers: at most `most` of them, sometimes fewer, as where bytes cut a page
    /// short.
    fn page(events: &[RecordedEvent], span: Span, most: usize) -> FoundPage {
        let left = events.iter().filter(|event| event.position > span.after && event.position <= span.last);
        let left: Vec<RecordedEvent> = left.cloned().collect();
        let count = left.len().min(fastrand::usize(1..=most));
        // the store does not know that it was the last where the page is full
        FoundPage { is_last: count == left.len() && count < most, events: left[..count].to_vec() }
    }

    #[test]
    fn every_event_comes_once_the_oldest_first_however_the_pages_fall() {
        let schema = RecordSchema::parse(Topic::Events, 1, EMPTY).expect("a schema");
        for seed in 0..300 {
            fastrand::seed(seed);
            let log: BTreeMap<i32, Vec<RecordedEvent>> = (0..fastrand::i32(1..5))
                .map(|partition| {
                    let mut second = 0;
                    let events = (1..=fastrand::i64(0..20)).filter_map(|position| {
                        second += fastrand::i64(0..3);
                        // some are not what is looked for
                        (fastrand::u8(0..4) > 0).then(|| event(schema, partition, position, second))
                    });
                    (partition, events.collect())
                })
                .collect();
            let spans = log.keys().map(|partition| Span { partition: *partition, after: 2, last: 15 });
            let mut merge = Merge::new(spans);
            let mut told = Vec::new();
            loop {
                for span in merge.lacking() {
                    merge.add(span.partition, page(&log[&span.partition], span, 4));
                }
                if !merge.lacking().is_empty() {
                    continue;
                }
                let Some(event) = merge.next() else { break };
                told.push((event.recorded_at, event.partition, event.position));
            }
            let all = log.values().flatten().filter(|event| (3..=15).contains(&event.position));
            let mut expected: Vec<_> = all.map(|event| (event.recorded_at, event.partition, event.position)).collect();
            expected.sort_unstable();
            assert_eq!(told, expected, "seed {seed}");
        }
    }
}
