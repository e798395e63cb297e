//! Wire times: Gregorian seconds, and ISO 8601 in UTC.

use time::OffsetDateTime;
use time::macros::format_description;

/// Seconds from year 0 to the Unix epoch, as Kazoo counts them.
const UNIX_EPOCH_GREGORIAN: u64 = 62_167_219_200;

pub fn gregorian(unix_ms: u64) -> u64 {
    unix_ms / 1_000 + UNIX_EPOCH_GREGORIAN
}

/// The first millisecond of a Gregorian second; of the epoch for what lies before it.
pub fn unix_ms(gregorian: u64) -> u64 {
    gregorian.saturating_sub(UNIX_EPOCH_GREGORIAN).saturating_mul(1_000)
}

/// Such as `2026-11-24T04:25:14Z`.
pub fn iso8601(unix_ms: u64) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    let seconds = i64::try_from(unix_ms / 1_000).unwrap_or_default();
    let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    time.format(format).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{gregorian, iso8601, unix_ms};

    #[test]
    fn wire_times_of_a_known_moment() {
        assert_eq!(gregorian(0), 62_167_219_200);
        assert_eq!(gregorian(1_767_225_600_999), 63_934_444_800);
        assert_eq!(unix_ms(63_934_444_800), 1_767_225_600_000);
        assert_eq!(iso8601(1_767_225_600_999), "2026-01-01T00:00:00Z");
    }
}
