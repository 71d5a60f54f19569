use std::time::Instant as SystemInstant;

use millrace_store::Identity;

use super::super::look::LONGEST_WAIT;
use super::*;
use crate::delivery::record::tests::event_at;

fn running_at(position: i64, next_offset: i64) -> Held {
    let mut held = Held::new(1);
    begin_at(&mut held, position, next_offset);
    assert_eq!(held.admit(held.epoch, &[]), Admission::Cleared, "whatever Postgres said of it before");
    held
}

fn begin_at(held: &mut Held, position: i64, next_offset: i64) -> bool {
    let cursor = Cursor { position, ..Cursor::start(0) };
    held.begin(Start::After(position), Beginning { cursor, next_offset })
}

fn batch(epoch: u64, records: usize, last_position: i64) -> Batch {
    let last_event = Identity::from(&event_at(0, last_position));
    let (bytes, traced, sent) = (0, Vec::new(), SystemInstant::now());
    Batch { partition: 0, epoch, records, bytes, last_position, last_event, traced, sent }
}

fn diverged() -> Obstacle {
    Obstacle::Diverged(Divergence::CommitsLost(16))
}

#[test]
fn offsets_follow_each_other_or_somebody_else_wrote() {
    let mut held = running_at(10, 30);
    let epoch = held.epoch;
    assert!(held.acknowledge(&batch(epoch, 5, 15), 34));
    assert!(held.acknowledge(&batch(epoch, 1, 16), 35));
    assert!(!held.acknowledge(&batch(epoch, 2, 18), 38), "36 is not ours");
    assert_eq!(held.published, Known { position: 18, event: Some(Identity::from(&event_at(0, 18))) });
}

#[test]
fn what_was_sent_before_a_new_beginning_is_not_measured_by_it() {
    let mut held = running_at(10, 30);
    let before = held.epoch;
    held.restart(false, false);
    assert!(held.next_look().is_some_and(|at| at <= Instant::now()));
    assert!(held.acknowledge(&batch(before, 5, 15), 99));
    assert_eq!(held.published(), 15);
}

#[test]
fn events_follow_what_was_read_or_the_log_has_a_hole() {
    let mut held = running_at(10, 30);
    let epoch = held.epoch;
    assert_eq!(held.admit(epoch, &[event_at(0, 11), event_at(0, 12)]), Admission::Admitted);
    assert_eq!(held.cursor().and_then(|read| read.event_id), Some(event_at(0, 12).event_id), "the next page's check");
    assert_eq!(held.admit(epoch + 1, &[event_at(0, 13)]), Admission::Late);
    assert_eq!(held.admit(epoch, &[event_at(0, 14)]), Admission::Refused(Divergence::Hole { last: 12, found: 14 }));
    held.restart(false, false);
    assert_eq!(held.admit(epoch, &[event_at(0, 13)]), Admission::Late);
}

#[tokio::test(start_paused = true)]
async fn a_diverged_partition_is_looked_at_again_and_is_trouble_until_it_goes_on() {
    let health = Health::default();
    health.set_started();
    let mut held = running_at(10, 30);
    let before = held.epoch;
    assert!(held.halt(diverged(), &health));
    assert_ne!(held.epoch, before, "pages that were asked for before come too late");
    assert!(held.is_halted() && held.cursor().is_none() && !health.is_ready());
    assert_eq!(held.next_look(), Some(Instant::now() + LOOK_AGAIN));
    held.begin_look(0);
    assert_eq!(held.next_look(), None, "under way");
    assert!(!held.halt(diverged(), &health), "the same again is no news");
    assert!(held.halt(Obstacle::Diverged(Divergence::OtherEvent(16)), &health));
    held.restart(true, false);
    assert!(held.is_halted(), "only its tail can tell that it goes on");
    begin_at(&mut held, 16, 35);
    assert!(held.is_halted() && !health.is_ready(), "the log may contradict the topic still");
    assert_eq!(held.admit(held.epoch, &[]), Admission::Cleared, "its tail is what was wrong");
    assert!(!held.is_halted() && health.is_ready());
}

#[tokio::test(start_paused = true)]
async fn an_event_that_cannot_be_read_halts_its_partition_until_it_is_read_however_good_the_tail_is() {
    let health = Health::default();
    health.set_started();
    let unreadable = Divergence::Unreadable { after: 12, reason: "its data is torn".to_owned() };
    let hole = Divergence::Hole { last: 12, found: 14 };
    for divergence in [unreadable, hole] {
        let obstacle = Obstacle::Diverged(divergence);
        let mut held = running_at(10, 30);
        assert!(held.halt(obstacle.clone(), &health));
        for _ in 0..3 {
            held.begin_look(0);
            assert!(!begin_at(&mut held, 10, 30), "nothing is said of a tail that is good as before");
            assert_eq!(held.cursor().map(|read| read.position), Some(10), "it is read on");
            assert_eq!(held.admit(held.epoch, &[event_at(0, 11)]), Admission::Admitted);
            held.restart(false, false);
            assert!(!begin_at(&mut held, 11, 31));
            assert_eq!(held.admit(held.epoch, &[event_at(0, 12)]), Admission::Admitted);
            assert!(held.is_halted() && !health.is_ready(), "the event after 12 was not read");
            assert!(!held.halt(obstacle.clone(), &health), "the same again is no news");
            assert_eq!(held.next_look(), Some(Instant::now() + LOOK_AGAIN));
        }
        begin_at(&mut held, 12, 32);
        assert_eq!(held.admit(held.epoch, &[event_at(0, 13), event_at(0, 14)]), Admission::Cleared);
        assert!(!held.is_halted() && health.is_ready());
        assert_eq!(held.admit(held.epoch, &[event_at(0, 15)]), Admission::Admitted, "it ends once");
        assert!(held.halt(obstacle, &health), "and is news when it comes back");
    }
}

#[test]
fn what_kafka_lost_is_told_once_while_the_partition_is_halted() {
    let mut held = running_at(10, 30);
    held.halt(Obstacle::Diverged(Divergence::Hole { last: 12, found: 14 }), &Health::default());
    let lost = Start::Republish { after: 8, lost: 2 };
    let beginning = Beginning { cursor: Cursor { position: 8, ..Cursor::start(0) }, next_offset: 28 };
    assert_eq!([lost; 3].map(|start| held.begin(start, beginning)), [true, false, false]);
}

#[test]
fn a_halted_partition_whose_log_ends_before_the_obstacle_goes_on() {
    let mut held = running_at(10, 30);
    held.halt(Obstacle::Diverged(Divergence::Hole { last: 12, found: 14 }), &Health::default());
    begin_at(&mut held, 12, 32);
    assert_eq!(held.admit(held.epoch, &[]), Admission::Cleared);
    assert!(!held.is_halted());
}

#[test]
fn a_record_that_is_too_large_halts_its_partition_until_it_is_granted_anew() {
    let health = Health::default();
    health.set_started();
    let mut held = running_at(10, 30);
    held.halt(Obstacle::TooLarge, &health);
    held.restart(true, true);
    assert!(held.is_halted() && held.next_look().is_none() && !health.is_ready(), "the relay says so");
}

#[tokio::test(start_paused = true)]
async fn a_tail_that_cannot_be_read_is_tried_less_and_less_often_and_apart() {
    let health = Health::default();
    health.set_started();
    let mut held = Held::new(1);
    assert!(!held.begin_look(0).apart);
    assert!(held.look_failed(true, &health), "told once");
    assert!(!health.is_ready());
    let first = held.next_look().expect("it is tried again") - Instant::now();
    assert!(held.begin_look(0).apart);
    for _ in 0..10 {
        assert!(!held.look_failed(false, &health));
    }
    assert!(!held.begin_look(0).apart, "no partition could be read");
    held.look_failed(false, &health);
    let later = held.next_look().expect("it is tried again") - Instant::now();
    assert!(first < later && later <= 2 * LONGEST_WAIT);
    begin_at(&mut held, 0, 0);
    assert!(health.is_ready());
}

#[test]
fn a_partition_that_is_leaving_does_nothing_else() {
    let health = Health::default();
    health.set_started();
    let mut held = running_at(10, 30);
    let epoch = held.epoch;
    held.leave(Instant::now());
    held.restart(true, true);
    assert!(!held.halt(diverged(), &health));
    assert!(held.is_leaving() && held.next_look().is_none() && held.cursor().is_none() && health.is_ready());
    assert!(held.acknowledge(&batch(epoch, 5, 15), 34));
    assert_eq!(held.published(), 15);
}
