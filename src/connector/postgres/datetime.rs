//! PostgreSQL's ISO date and time text (`DateStyle=ISO`, `IntervalStyle=postgres`) to numbers, and
//! the ISO 8601 text that Debezium writes. Proleptic Gregorian calendar throughout; a year 1 BC is
//! year 0.

use std::io::Write as _;

pub(super) const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;
/// Debezium's month of 30.4375 days.
const MICROS_PER_MONTH: i64 = 2_629_800 * MICROS_PER_SECOND;

/// A value that may lie beyond all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bounded<T> {
    Infinity,
    NegativeInfinity,
    Finite(T),
}

/// `timetz`: the local time of day and the offset of its zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ZonedTime {
    pub(super) micros: i64,
    pub(super) offset_seconds: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Interval {
    pub(super) months: i64,
    pub(super) days: i64,
    pub(super) micros: i64,
}

impl Interval {
    /// In microseconds, with Debezium's mean month; the longest there is for what is longer.
    pub(super) fn as_micros(self) -> i64 {
        let months = self.months.saturating_mul(MICROS_PER_MONTH);
        let days = self.days.saturating_mul(MICROS_PER_DAY);
        months.saturating_add(days).saturating_add(self.micros)
    }
}

/// Days since 1970-01-01.
pub(super) fn date(text: &[u8]) -> Option<Bounded<i64>> {
    if let Some(infinite) = infinity(text) {
        return Some(infinite);
    }
    let mut reader = Reader(text);
    let (year, month, day) = reader.date()?;
    Some(Bounded::Finite(days(reader.era(year)?, month, day)))
}

/// Microseconds since midnight; 24:00:00 is a value.
pub(super) fn time(text: &[u8]) -> Option<i64> {
    let mut reader = Reader(text);
    let micros = reader.time()?;
    reader.0.is_empty().then_some(micros)
}

pub(super) fn timetz(text: &[u8]) -> Option<ZonedTime> {
    let mut reader = Reader(text);
    let micros = reader.time()?;
    let offset_seconds = reader.offset()?;
    reader.0.is_empty().then_some(ZonedTime { micros, offset_seconds })
}

/// Microseconds since 1970-01-01 00:00:00 of a `timestamp` without zone.
pub(super) fn timestamp(text: &[u8]) -> Option<Bounded<i64>> {
    if let Some(infinite) = infinity(text) {
        return Some(infinite);
    }
    let mut reader = Reader(text);
    let (year, month, day) = reader.date()?;
    reader.expect(b' ')?;
    let time = reader.time()?;
    let days = days(reader.era(year)?, month, day);
    Some(Bounded::Finite(days.checked_mul(MICROS_PER_DAY)?.checked_add(time)?))
}

/// Microseconds since 1970-01-01 00:00:00 UTC of a `timestamptz`, whatever its offset.
pub(super) fn timestamptz(text: &[u8]) -> Option<Bounded<i64>> {
    if let Some(infinite) = infinity(text) {
        return Some(infinite);
    }
    let mut reader = Reader(text);
    let (year, month, day) = reader.date()?;
    reader.expect(b' ')?;
    let time = reader.time()?;
    let offset = reader.offset()?;
    let days = days(reader.era(year)?, month, day);
    let local = days.checked_mul(MICROS_PER_DAY)?.checked_add(time)?;
    Some(Bounded::Finite(local - offset * MICROS_PER_SECOND))
}

/// `1 year 2 mons -3 days 04:05:06.789`.
pub(super) fn interval(text: &[u8]) -> Option<Interval> {
    let mut interval = Interval::default();
    let mut words = text.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        if word.contains(&b':') {
            let (negative, clock) = match word.split_first()? {
                (b'-', rest) => (true, rest),
                (b'+', rest) => (false, rest),
                _ => (false, word),
            };
            let mut reader = Reader(clock);
            let micros = reader.time()?;
            reader.0.is_empty().then_some(())?;
            interval.micros = if negative { -micros } else { micros };
            continue;
        }
        let number: i64 = std::str::from_utf8(word).ok()?.parse().ok()?;
        match words.next()? {
            b"year" | b"years" => interval.months += number.checked_mul(12)?,
            b"mon" | b"mons" => interval.months += number,
            b"day" | b"days" => interval.days += number,
            _ => return None,
        }
    }
    Some(interval)
}

/// Appends `2024-02-29`; years beyond 9999 have a sign, as in Java.
pub(super) fn write_date(out: &mut Vec<u8>, days: i64) {
    let (year, month, day) = civil(days);
    match year {
        0..=9999 => push_digits(out, year, 4),
        10_000.. => write!(out, "+{year}").expect("writing to a Vec cannot fail"),
        _ => write!(out, "-{:04}", -year).expect("writing to a Vec cannot fail"),
    }
    for part in [month, day] {
        out.push(b'-');
        push_digits(out, part, 2);
    }
}

/// Appends a number of at most six digits, with leading zeros. `write!` takes several times as long,
/// which shows: most rows have a timestamp.
fn push_digits(out: &mut Vec<u8>, number: i64, width: usize) {
    let digits = six_digits(number);
    out.extend(digits.iter().skip(digits.len() - width));
}

fn six_digits(mut number: i64) -> [u8; 6] {
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit += u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
    digits
}

/// How many digits of a second's fraction are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fraction {
    /// As many as are needed.
    Shortest,
    /// This many.
    Digits(u8),
}

/// Appends `12:34:56.789`.
pub(super) fn write_time(out: &mut Vec<u8>, micros: i64, fraction: Fraction) {
    let (seconds, micros) = (micros / MICROS_PER_SECOND, micros % MICROS_PER_SECOND);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    push_digits(out, hours, 2);
    for part in [minutes, seconds] {
        out.push(b':');
        push_digits(out, part, 2);
    }
    write_fraction(out, micros, fraction);
}

fn write_fraction(out: &mut Vec<u8>, micros: i64, fraction: Fraction) {
    let digits = six_digits(micros);
    let count = match fraction {
        Fraction::Shortest => {
            digits.iter().rposition(|digit| *digit != b'0').map_or(0, |at| at + 1)
        }
        Fraction::Digits(count) => usize::from(count.min(6)),
    };
    if count > 0 {
        out.push(b'.');
        out.extend(digits.iter().take(count));
    }
}

/// Appends `2024-02-29T12:34:56.789Z` for microseconds since 1970.
pub(super) fn write_timestamp(out: &mut Vec<u8>, micros: i64, fraction: Fraction) {
    write_date(out, micros.div_euclid(MICROS_PER_DAY));
    out.push(b'T');
    write_time(out, micros.rem_euclid(MICROS_PER_DAY), fraction);
    out.push(b'Z');
}

/// Appends the time of day in UTC, `10:34:56.7Z`.
pub(super) fn write_utc_time(out: &mut Vec<u8>, time: ZonedTime) {
    let utc = time.micros - time.offset_seconds * MICROS_PER_SECOND;
    write_time(out, utc.rem_euclid(MICROS_PER_DAY), Fraction::Shortest);
    out.push(b'Z');
}

/// Appends `P1Y2M3DT4H5M6.789S`; each part has its own sign.
pub(super) fn write_interval(out: &mut Vec<u8>, interval: Interval) {
    let (years, months) = (interval.months / 12, interval.months % 12);
    let seconds = interval.micros / MICROS_PER_SECOND;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let (seconds, micros) = (seconds % 60, interval.micros % MICROS_PER_SECOND);
    let sign = if seconds == 0 && micros < 0 { "-" } else { "" };
    let days = interval.days;
    write!(out, "P{years}Y{months}M{days}DT{hours}H{minutes}M{sign}{seconds}")
        .expect("writing to a Vec cannot fail");
    write_fraction(out, micros.abs(), Fraction::Shortest);
    out.push(b'S');
}

fn infinity<T>(text: &[u8]) -> Option<Bounded<T>> {
    match text {
        b"infinity" => Some(Bounded::Infinity),
        b"-infinity" => Some(Bounded::NegativeInfinity),
        _ => None,
    }
}

/// Days since 1970-01-01 of a civil date (Howard Hinnant, "chrono-compatible date algorithms").
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse of [`days`].
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// What is left of a text.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    /// At most 9 digits, so that arithmetic on them cannot overflow.
    fn number(&mut self) -> Option<i64> {
        let count = self.0.iter().take(10).take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 || count > 9 {
            return None;
        }
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        Some(digits.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0')))
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        (*first == byte).then_some(())
    }

    fn date(&mut self) -> Option<(i64, i64, i64)> {
        let year = self.number()?;
        self.expect(b'-')?;
        let month = self.number()?;
        self.expect(b'-')?;
        let day = self.number()?;
        ((1..=12).contains(&month) && (1..=31).contains(&day)).then_some((year, month, day))
    }

    /// The rest is ` BC` or nothing: the astronomical year.
    fn era(&mut self, year: i64) -> Option<i64> {
        match self.0 {
            b"" => Some(year),
            b" BC" => Some(1 - year),
            _ => None,
        }
    }

    /// `hh:mm[:ss[.ffffff]]`; intervals have any number of hours.
    fn time(&mut self) -> Option<i64> {
        let hours = self.number()?;
        self.expect(b':')?;
        let minutes = self.number()?;
        let mut micros = 0;
        let mut seconds = 0;
        if self.0.first() == Some(&b':') {
            self.expect(b':')?;
            seconds = self.number()?;
            micros = self.fraction()?;
        }
        (minutes < 60 && seconds <= 60)
            .then_some((hours * 3600 + minutes * 60 + seconds) * MICROS_PER_SECOND + micros)
    }

    fn fraction(&mut self) -> Option<i64> {
        if self.0.first() != Some(&b'.') {
            return Some(0);
        }
        self.expect(b'.')?;
        let before = self.0.len();
        let number = self.number()?;
        let digits = before - self.0.len();
        let scale = u32::try_from(6_usize.checked_sub(digits)?).ok()?;
        Some(number * 10_i64.pow(scale))
    }

    /// `+hh[:mm[:ss]]` in seconds.
    fn offset(&mut self) -> Option<i64> {
        let (sign, rest) = self.0.split_first()?;
        self.0 = rest;
        let mut seconds = self.number()? * 3600;
        for unit in [60, 1] {
            if self.0.first() == Some(&b':') {
                self.expect(b':')?;
                seconds += self.number()? * unit;
            }
        }
        match sign {
            b'+' => Some(seconds),
            b'-' => Some(-seconds),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn dates_of_the_type_table() {
        for (text, expected) in [
            ("2024-02-29", Bounded::Finite(19782)),
            ("1000-01-01", Bounded::Finite(-354_285)),
            ("0044-03-15 BC", Bounded::Finite(-735_160)),
            ("infinity", Bounded::Infinity),
            ("-infinity", Bounded::NegativeInfinity),
        ] {
            assert_eq!(date(text.as_bytes()), Some(expected), "{text}");
        }
        for text in ["", "2024", "2024-13-01", "2024-01-01x", "99999999999-01-01"] {
            assert_eq!(date(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn times_of_the_type_table() {
        assert_eq!(time(b"12:34:56.789012"), Some(45_296_789_012));
        assert_eq!(time(b"24:00:00"), Some(86_400_000_000));
        assert_eq!(time(b"12:34:56.1234567"), None);
        for (input, expected) in [
            ("12:34:56.789012+02", "10:34:56.789012Z"),
            ("12:34:56.7-05:30", "18:04:56.7Z"),
            ("12:34:00+00", "12:34:00Z"),
            ("24:00:00+00", "00:00:00Z"),
        ] {
            let parsed = timetz(input.as_bytes()).unwrap();
            assert_eq!(text(|out| write_utc_time(out, parsed)), expected, "{input}");
        }
    }

    #[test]
    fn timestamps_of_the_type_table() {
        for (text, expected) in [
            ("2024-02-29 12:34:56.789012", 1_709_210_096_789_012),
            ("0001-01-01 00:00:00", -62_135_596_800_000_000),
            ("0044-03-15 01:02:03 BC", -63_517_820_277_000_000),
            ("9999-12-31 23:59:59.999999", 253_402_300_799_999_999),
        ] {
            assert_eq!(timestamp(text.as_bytes()), Some(Bounded::Finite(expected)), "{text}");
        }
        for (input, fraction, expected) in [
            ("2024-02-29 12:34:56.789012+02", 6, "2024-02-29T10:34:56.789012Z"),
            ("2024-02-29 12:34:56.7+00", 3, "2024-02-29T12:34:56.700Z"),
            ("2024-02-29 12:34:56+00", 0, "2024-02-29T12:34:56Z"),
            ("0044-03-15 01:02:03+00 BC", 6, "-0043-03-15T01:02:03.000000Z"),
            ("12345-01-01 00:00:00+00", 6, "+12345-01-01T00:00:00.000000Z"),
            ("1800-01-01 00:53:28+00:53:28", 0, "1800-01-01T00:00:00Z"),
        ] {
            let Some(Bounded::Finite(micros)) = timestamptz(input.as_bytes()) else {
                panic!("{input}")
            };
            let written = text(|out| write_timestamp(out, micros, Fraction::Digits(fraction)));
            assert_eq!(written, expected, "{input}");
        }
    }

    #[test]
    fn intervals_of_the_type_table() {
        for (input, micros, iso) in [
            ("1 year 2 mons 3 days 04:05:06.789", 37_091_106_789_000, "P1Y2M3DT4H5M6.789S"),
            ("-1 years -2 days -03:04:05.5", -31_741_445_500_000, "P-1Y0M-2DT-3H-4M-5.5S"),
            ("00:00:00", 0, "P0Y0M0DT0H0M0S"),
            ("00:00:01.234", 1_234_000, "P0Y0M0DT0H0M1.234S"),
            ("-00:00:00.5", -500_000, "P0Y0M0DT0H0M-0.5S"),
            ("1 day", 86_400_000_000, "P0Y0M1DT0H0M0S"),
            ("178000000 years", i64::MAX, "P178000000Y0M0DT0H0M0S"),
        ] {
            let parsed = interval(input.as_bytes()).unwrap();
            assert_eq!(parsed.as_micros(), micros, "{input}");
            assert_eq!(text(|out| write_interval(out, parsed)), iso, "{input}");
        }
        assert_eq!(interval(b"1 fortnight"), None);
    }

    proptest! {
        #[test]
        fn days_and_civil_dates_are_inverses(number in -2_000_000_i64..3_000_000) {
            let (year, month, day) = civil(number);
            prop_assert_eq!(days(year, month, day), number);
        }

        #[test]
        fn timestamps_are_read_as_they_are_written(micros in -60_000_000_000_000_000_i64..250_000_000_000_000_000) {
            let written = text(|out| write_timestamp(out, micros, Fraction::Shortest));
            let server = written.replace('T', " ").replace('Z', "+00");
            prop_assert_eq!(timestamptz(server.as_bytes()), Some(Bounded::Finite(micros)));
        }
    }
}
