//! Ids of the bench's commands: UUIDs of version 7, as `millrace send` makes them, so that the log's index of commands grows
//! at its end. Ids at random (version 4, or no UUIDs) cost Postgres more.

use std::sync::LazyLock;

use uuid::Uuid;

/// The first half, the same in one run: a UUID of version 7 begins with the time.
static BEGAN: LazyLock<u64> = LazyLock::new(|| Uuid::now_v7().as_u64_pair().0);
/// The two bits that say which kind of UUID it is.
const VARIANT: u64 = 1 << 63;

/// The id of the command with this number, below 2^62.
pub fn command_id(number: u64) -> String {
    Uuid::from_u64_pair(*BEGAN, VARIANT | number).to_string()
}

/// The number of the command with this id.
pub fn number_of(id: &str) -> Option<u64> {
    let (_, last) = id.parse::<Uuid>().ok()?.as_u64_pair();
    Some(last & !VARIANT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_uuid_of_version_7_and_gives_its_number_back() {
        for number in [0, 1, 12_345_678] {
            let id = command_id(number);
            assert_eq!(number_of(&id), Some(number));
            assert_eq!(id.parse::<Uuid>().unwrap().get_version_num(), 7);
        }
        assert!(command_id(1) < command_id(2));
    }
}
