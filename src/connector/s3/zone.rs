//! Time zones as the original's date library takes them: names of the IANA database and fixed
//! offsets, with its lenient way from local time back to an instant.

use chrono::{DateTime, Offset as _, TimeZone as _, Utc};
use chrono_tz::{OffsetName as _, Tz};

/// A time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Zone {
    Named(Tz),
    /// Seconds east of Greenwich.
    Fixed(i32),
}

const DAY_MS: i64 = 86_400_000;

impl Zone {
    /// The zone of this id: `Europe/Paris`, `UTC`, `+02:00`.
    pub(super) fn parse(id: &str) -> Option<Self> {
        if id.starts_with(['+', '-']) {
            return fixed(id).map(Self::Fixed);
        }
        id.parse().ok().map(Self::Named)
    }

    /// How far local time is ahead at an instant, in milliseconds.
    pub(super) fn offset_ms(self, at_ms: i64) -> i64 {
        let seconds = match self {
            Self::Fixed(seconds) => seconds,
            // Beyond the calendar's years there are no clock changes.
            Self::Named(zone) => match DateTime::<Utc>::from_timestamp_millis(at_ms) {
                Some(at) => zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc(),
                None => 0,
            },
        };
        i64::from(seconds) * 1000
    }

    /// The local time of an instant, in milliseconds as if it were UTC.
    pub(super) fn to_local(self, at_ms: i64) -> i64 {
        at_ms.saturating_add(self.offset_ms(at_ms))
    }

    /// The instant of a local time. A time that a clock change skips or repeats gives the instant
    /// that the original's library gives.
    pub(super) fn to_instant(self, local_ms: i64) -> i64 {
        let guess = self.offset_ms(local_ms);
        let at = local_ms.saturating_sub(guess);
        let offset = self.offset_ms(at);
        if guess == offset {
            return at;
        }
        let other = local_ms.saturating_sub(offset);
        // West of Greenwich the skipped hour is told by a clock change between both candidates.
        if guess < 0 && self.offset_ms(other) != offset { at } else { other }
    }

    /// The start of the local day of an instant, `days` later.
    pub(super) fn midnight(self, at_ms: i64, days: i64) -> i64 {
        let day = self.to_local(at_ms).div_euclid(DAY_MS).saturating_add(days);
        self.to_instant(day.saturating_mul(DAY_MS))
    }

    /// The abbreviation in force at an instant: `CET`, `+02:00`.
    pub(super) fn short_name(self, at_ms: i64) -> String {
        let at = DateTime::<Utc>::from_timestamp_millis(at_ms);
        match (self, at) {
            (Self::Named(zone), Some(at)) => {
                let offset = zone.offset_from_utc_datetime(&at.naive_utc());
                let name = offset.abbreviation().map(str::to_owned);
                name.unwrap_or_else(|| zone.name().to_owned())
            }
            _ => self.id(),
        }
    }

    /// The zone's id.
    pub(super) fn id(self) -> String {
        match self {
            Self::Named(zone) => zone.name().to_owned(),
            Self::Fixed(seconds) => offset_text(i64::from(seconds) * 1000, ":"),
        }
    }
}

/// An offset as `+hh<separator>mm`.
pub(super) fn offset_text(offset_ms: i64, separator: &str) -> String {
    let sign = if offset_ms < 0 { '-' } else { '+' };
    let minutes = offset_ms.abs() / 60_000;
    format!("{sign}{:02}{separator}{:02}", minutes / 60, minutes % 60)
}

/// `+hh`, `+hhmm` or `+hh:mm` as seconds.
fn fixed(id: &str) -> Option<i32> {
    let (sign, rest) = match id.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, id.strip_prefix('+')?),
    };
    let digits = match rest.split_once(':') {
        Some((hours, minutes)) if hours.len() == 2 && minutes.len() == 2 => {
            format!("{hours}{minutes}")
        }
        Some(_) => return None,
        None if rest.len() == 2 => format!("{rest}00"),
        None => rest.to_owned(),
    };
    if digits.len() != 4 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let number: i32 = digits.parse().ok()?;
    let (hours, minutes) = (number / 100, number % 100);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(time: &str) -> i64 {
        DateTime::parse_from_rfc3339(time).unwrap().timestamp_millis()
    }

    #[test]
    fn ids_of_the_database_and_offsets_are_known() {
        for id in ["UTC", "CET", "Europe/Paris", "America/Los_Angeles"] {
            assert_eq!(Zone::parse(id).unwrap().id(), id);
        }
        let rows = [("+02:00", 7200), ("-0330", -12_600), ("+05", 18_000)];
        for (id, seconds) in rows {
            assert_eq!(Zone::parse(id), Some(Zone::Fixed(seconds)), "{id}");
        }
        for id in ["Mars/Phobos", "+2", "+aa:bb", "+25:00", ""] {
            assert_eq!(Zone::parse(id), None, "{id}");
        }
        assert_eq!(Zone::Fixed(-12_600).id(), "-03:30");
    }

    #[test]
    fn local_times_that_clock_changes_skip_or_repeat() {
        let local = ms;
        let rows = [
            ("Europe/Paris", "2026-11-22T06:31:00Z", "2026-11-22T05:31:00Z"),
            // 01:30 comes twice.
            ("America/Los_Angeles", "2026-11-01T01:30:00Z", "2026-11-01T08:30:00Z"),
            // 02:30 does not exist.
            ("America/Los_Angeles", "2026-03-08T02:30:00Z", "2026-03-08T10:30:00Z"),
            ("Europe/Paris", "2026-03-29T02:30:00Z", "2026-03-29T01:30:00Z"),
            ("Europe/Paris", "2026-10-25T02:30:00Z", "2026-10-25T01:30:00Z"),
        ];
        for (id, at, expected) in rows {
            let zone = Zone::parse(id).unwrap();
            assert_eq!(zone.to_instant(local(at)), ms(expected), "{id} {at}");
        }
    }
}
