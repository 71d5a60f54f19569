//! Replaces all values of a gauge at once, so that outdated ones disappear.

use std::collections::HashSet;

use prometheus::GaugeVec;

/// A gauge, and the labels of its present values.
pub struct Shown {
    gauge: &'static GaugeVec,
    labels: HashSet<Vec<String>>,
}

impl Shown {
    /// The gauge without values yet.
    pub fn new(gauge: &'static GaugeVec) -> Self {
        Self { gauge, labels: HashSet::new() }
    }

    /// Shows these values and no others. A reader meanwhile sees old or new values, but misses none.
    pub fn replace(&mut self, values: impl IntoIterator<Item = (Vec<String>, f64)>) {
        let mut now = HashSet::new();
        for (labels, value) in values {
            self.gauge.with_label_values(&labels).set(value);
            now.insert(labels);
        }
        for gone in self.labels.difference(&now) {
            // can't fail: we set this value before
            let _ = self.gauge.remove_label_values(gone);
        }
        self.labels = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::Opts;
    use prometheus::core::Collector;

    #[test]
    fn what_is_not_known_any_more_is_not_shown_any_more() {
        let gauge = GaugeVec::new(Opts::new("lag", "For a test."), &["partition"]).expect("a metric");
        let gauge: &'static GaugeVec = Box::leak(Box::new(gauge));
        let mut shown = Shown::new(gauge);
        let count = || gauge.collect()[0].get_metric().len();
        shown.replace([(vec!["0".to_owned()], 1.0), (vec!["1".to_owned()], 2.0)]);
        assert_eq!(count(), 2);
        shown.replace([(vec!["1".to_owned()], 3.0)]);
        assert_eq!((count(), gauge.with_label_values(&["1"]).get()), (1, 3.0));
        shown.replace([]);
        assert_eq!(count(), 0);
    }
}
