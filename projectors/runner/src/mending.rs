//! Gaps, while the projector runs: the topic is read again, or the partition stops.

use std::time::Instant;

use millrace_runtime::Health;

use crate::gap::{Remedy, remedy};
use crate::metrics;
use crate::partitions::Partitions;

/// Reads the topic again where events are missing, or stops the partition when the topic does not have them.
pub(crate) async fn mend_gaps(partitions: &mut Partitions, projector: &str, health: &Health) {
    for (partition, gap, tries) in partitions.due_gaps(Instant::now()) {
        health.beat(); // Kafka may take its time for each
        let low = match partitions.offsets().watermarks(partition).await {
            Ok((low, _)) => low,
            Err(error) => {
                // its leader is away: the others go on meanwhile
                tracing::debug!(partition, %error, "events are missing; Kafka does not tell where the partition begins");
                partitions.seek(partition, gap, None).await;
                continue;
            }
        };
        metrics::GAPS.with_label_values(&[projector, &partition.to_string()]).inc();
        match remedy(gap, low, tries) {
            Remedy::SeekTo(offset) => {
                let (expected, position) = (gap.expected, gap.position);
                tracing::info!(partition, expected, position, offset, "events are missing; reading the topic again");
                partitions.seek(partition, gap, Some(offset)).await;
            }
            Remedy::Stop => partitions.stop_at_gap(partition, gap),
        }
    }
    partitions.show_held();
}
