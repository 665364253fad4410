//! `java.text.SimpleDateFormat` in UTC and English, lenient as it is by default.
//!
//! Weeks start on Sunday, as in Java's English. Weeks and week years (`Y`, `w`, `W`, `F`) are
//! formatted and not parsed; zone names other than UTC and GMT are not known; dates before 1582 are
//! those of today's calendar.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::data::values::{DAY_MS, DateTime, days};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// A compiled pattern.
#[derive(Debug)]
pub(super) struct DateFormat {
    items: Vec<Item>,
    /// The year 80 years ago: two-digit years fall into the century that starts there.
    century_start: i64,
}

#[derive(Debug, Clone, PartialEq)]
enum Item {
    Literal(String),
    Field(char, usize),
}

impl DateFormat {
    /// Compiles `pattern`.
    pub(super) fn new(pattern: &str) -> Result<Self, String> {
        let mut items: Vec<Item> = Vec::new();
        let mut characters = pattern.chars().peekable();
        let literal = |items: &mut Vec<Item>, character: char| match items.last_mut() {
            Some(Item::Literal(text)) => text.push(character),
            _ => items.push(Item::Literal(character.into())),
        };
        while let Some(character) = characters.next() {
            if character == '\'' {
                if characters.next_if_eq(&'\'').is_some() {
                    literal(&mut items, '\'');
                    continue;
                }
                loop {
                    match characters.next() {
                        Some('\'') if characters.next_if_eq(&'\'').is_some() => {
                            literal(&mut items, '\'');
                        }
                        Some('\'') => break,
                        Some(quoted) => literal(&mut items, quoted),
                        None => return Err("Unterminated quote".to_owned()),
                    }
                }
            } else if character.is_ascii_alphabetic() {
                if !"GyYMLwWdDFHkKhmsSEuazZX".contains(character) {
                    return Err(format!("Illegal pattern character '{character}'"));
                }
                let mut count = 1;
                while characters.next_if_eq(&character).is_some() {
                    count += 1;
                }
                items.push(Item::Field(character, count));
            } else {
                literal(&mut items, character);
            }
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = DateTime::of(i64::try_from(now.as_millis()).unwrap_or(0));
        Ok(Self { items, century_start: now.year - 80 })
    }

    /// The text of an instant.
    pub(super) fn format(&self, millis: i64) -> String {
        let instant = DateTime::of(millis);
        let mut out = String::new();
        for item in &self.items {
            match item {
                Item::Literal(text) => out.push_str(text),
                Item::Field(letter, count) => out.push_str(&field(*letter, *count, &instant)),
            }
        }
        out
    }

    /// The instant that `text` begins with.
    pub(super) fn parse(&self, text: &str) -> Option<i64> {
        let mut reader = Reader { rest: text, parts: Parts::default() };
        for (at, item) in self.items.iter().enumerate() {
            match item {
                Item::Literal(literal) => {
                    reader.rest = reader.rest.strip_prefix(literal.as_str())?
                }
                Item::Field(letter, count) => {
                    let abutting = matches!(self.items.get(at + 1), Some(Item::Field(next, _)) if is_number(*next));
                    reader.field(*letter, *count, abutting, self.century_start)?;
                }
            }
        }
        reader.parts.millis()
    }
}

fn is_number(letter: char) -> bool {
    "yYMLwWdDFHkKhmsSu".contains(letter)
}

fn name(names: &[&'static str], index: i64) -> &'static str {
    usize::try_from(index).ok().and_then(|index| names.get(index).copied()).unwrap_or_default()
}

fn short(name: &str) -> &str {
    name.get(..3).unwrap_or(name)
}

fn field(letter: char, count: usize, instant: &DateTime) -> String {
    let number = |number: i64| format!("{number:0count$}");
    match letter {
        'G' => "AD".to_owned(),
        'y' if count == 2 => format!("{:02}", instant.year.rem_euclid(100)),
        'y' => number(instant.year),
        'M' | 'L' if count >= 4 => name(&MONTHS, instant.month - 1).to_owned(),
        'M' | 'L' if count == 3 => short(name(&MONTHS, instant.month - 1)).to_owned(),
        'M' | 'L' => number(instant.month),
        'd' => number(instant.day),
        'D' => number(day_of_year(instant)),
        'F' => number((instant.day - 1) / 7 + 1),
        'W' => {
            let first = (instant.weekday - (instant.day - 1)).rem_euclid(7);
            number((first + instant.day - 1) / 7 + 1)
        }
        'w' => number(week(instant).1),
        'Y' if count == 2 => format!("{:02}", week(instant).0.rem_euclid(100)),
        'Y' => number(week(instant).0),
        'H' => number(instant.hour),
        'k' => number(if instant.hour == 0 { 24 } else { instant.hour }),
        'K' => number(instant.hour % 12),
        'h' => number(if instant.hour % 12 == 0 { 12 } else { instant.hour % 12 }),
        'm' => number(instant.minute),
        's' => number(instant.second),
        'S' => number(instant.milli),
        'E' if count >= 4 => name(&DAYS, instant.weekday).to_owned(),
        'E' => short(name(&DAYS, instant.weekday)).to_owned(),
        'u' => number(if instant.weekday == 0 { 7 } else { instant.weekday }),
        'a' => if instant.hour < 12 { "AM" } else { "PM" }.to_owned(),
        'z' if count >= 4 => "Coordinated Universal Time".to_owned(),
        'z' => "UTC".to_owned(),
        'Z' => "+0000".to_owned(),
        _ => "Z".to_owned(),
    }
}

fn day_of_year(instant: &DateTime) -> i64 {
    days(instant.year, instant.month, instant.day) - days(instant.year, 1, 1) + 1
}

/// The week year, and the week in it: the week of January 1 is the first.
fn week(instant: &DateTime) -> (i64, i64) {
    let day = day_of_year(instant);
    let until_new_year = days(instant.year + 1, 1, 1) - days(instant.year, 1, 1) - day + 1;
    // The week's Saturday may be in the next year.
    if instant.weekday + until_new_year <= 6 {
        return (instant.year + 1, 1);
    }
    let first = (instant.weekday - (day - 1)).rem_euclid(7);
    (instant.year, (first + day - 1) / 7 + 1)
}

/// What a text says; the rest is that of the epoch.
#[derive(Debug, Default)]
struct Parts {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    /// Of the day, or of the half day.
    hour: i64,
    afternoon: bool,
    minute: i64,
    second: i64,
    milli: i64,
    offset_minutes: i64,
}

impl Parts {
    fn millis(&self) -> Option<i64> {
        let year = self.year.unwrap_or(1970);
        let day = match self.day_of_year {
            Some(day) if self.month.is_none() => days(year, 1, 1) + day - 1,
            _ => days(year, self.month.unwrap_or(1), self.day.unwrap_or(1)),
        };
        let hour = self.hour + if self.afternoon { 12 } else { 0 };
        let minutes = (hour * 60 + self.minute).checked_sub(self.offset_minutes)?;
        let seconds = minutes.checked_mul(60)?.checked_add(self.second)?;
        let millis = seconds.checked_mul(1000)?.checked_add(self.milli)?;
        day.checked_mul(DAY_MS)?.checked_add(millis)
    }
}

struct Reader<'a> {
    rest: &'a str,
    parts: Parts,
}

/// Enough for any part, and far from overflow in what is made of it.
const DIGITS_MAX: usize = 9;

impl Reader<'_> {
    fn field(
        &mut self,
        letter: char,
        count: usize,
        abutting: bool,
        century_start: i64,
    ) -> Option<()> {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
        let by_name = matches!(letter, 'M' | 'L') && count >= 3;
        if !is_number(letter) || by_name {
            return self.text_field(letter);
        }
        let (number, digits) = self.number(abutting.then_some(count))?;
        let parts = &mut self.parts;
        match letter {
            'y' if count <= 2 && digits == 2 => {
                let century = century_start - century_start.rem_euclid(100);
                let year = century + number;
                parts.year = Some(if year < century_start { year + 100 } else { year });
            }
            'y' => parts.year = Some(number),
            'M' | 'L' => parts.month = Some(number),
            'd' => parts.day = Some(number),
            'D' => parts.day_of_year = Some(number),
            'k' if number == 24 => parts.hour = 0,
            'h' if number == 12 => parts.hour = 0,
            'H' | 'k' | 'K' | 'h' => parts.hour = number,
            'm' => parts.minute = number,
            's' => parts.second = number,
            'S' => parts.milli = number,
            // Which day would be meant?
            'Y' | 'w' | 'W' | 'F' => return None,
            _ => {}
        }
        Some(())
    }

    fn number(&mut self, width: Option<usize>) -> Option<(i64, usize)> {
        // A sign belongs to a number that stands alone.
        let (sign, unsigned) = match self.rest.strip_prefix('-') {
            Some(unsigned) if width.is_none() => (-1, unsigned),
            _ => (1, self.rest),
        };
        let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count();
        let digits = digits.min(width.unwrap_or(DIGITS_MAX));
        let (number, rest) = unsigned.split_at_checked(digits)?;
        self.rest = rest;
        Some((sign * number.parse::<i64>().ok()?, if sign < 0 { digits + 1 } else { digits }))
    }

    fn text_field(&mut self, letter: char) -> Option<()> {
        match letter {
            'M' | 'L' => {
                let month = self.one_of(&MONTHS)?;
                self.parts.month = Some(i64::try_from(month).ok()? + 1);
            }
            'E' => drop(self.one_of(&DAYS)?),
            'a' => self.parts.afternoon = self.one_of(&["AM", "PM"])? == 1,
            'G' => drop(self.one_of(&["BC", "AD"])?),
            _ => self.zone()?,
        }
        Some(())
    }

    /// Consumes one of `names`, in full or by its first three letters, in any case.
    fn one_of(&mut self, names: &[&str]) -> Option<usize> {
        let starts = |rest: &str, name: &str| {
            rest.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
        };
        for (index, name) in names.iter().enumerate() {
            for form in [name, short(name)] {
                if starts(self.rest, form) {
                    self.rest = self.rest.get(form.len()..)?;
                    return Some(index);
                }
            }
        }
        None
    }

    /// `Z`, `UTC`, `GMT`, `+hh`, `+hhmm`, `+hh:mm`, or the latter behind `GMT`.
    fn zone(&mut self) -> Option<()> {
        let named = ["UTC", "GMT", "Z"].into_iter().find_map(|name| self.rest.strip_prefix(name));
        self.rest = named.unwrap_or(self.rest);
        let sign = match self.rest.chars().next() {
            Some('+') => 1,
            Some('-') => -1,
            _ => return named.map(|_| ()),
        };
        self.rest = self.rest.get(1..)?;
        let (hours, _) = self.number(Some(2))?;
        if named.is_some() && !self.rest.starts_with(':') {
            return None;
        }
        self.rest = self.rest.strip_prefix(':').unwrap_or(self.rest);
        let minutes = self.number(Some(2)).map_or(0, |(minutes, _)| minutes);
        self.parts.offset_minutes = sign * (hours * 60 + minutes);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2024-05-02T20:15:30.123Z, a Thursday.
    const INSTANT: i64 = 1_714_680_930_123;

    #[test]
    fn instants_are_formatted() {
        for (pattern, expected) in [
            ("yyyyMMdd", "20240502"),
            ("yyyy-MM-dd'T'HH:mm:ss.SSS'Z'", "2024-05-02T20:15:30.123Z"),
            ("yy M d H m s S", "24 5 2 20 15 30 123"),
            ("EEE, EEEE MMM MMMM", "Thu, Thursday May May"),
            ("hh:mm a K k u D", "08:15 PM 8 20 4 123"),
            ("z Z X XXX G '''o''clock'''", "UTC +0000 Z Z AD 'o'clock'"),
        ] {
            let format = DateFormat::new(pattern).unwrap();
            assert_eq!(format.format(INSTANT), expected, "{pattern}");
        }
        for pattern in ["yyyy-MM-ddThh", "'open", "bb"] {
            assert!(DateFormat::new(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn texts_are_parsed_leniently() {
        let day = 19_845 * DAY_MS;
        for (pattern, text, expected) in [
            ("yyyy-MM-dd", "2024-05-02", Some(day)),
            ("yyyy-MM-dd", "2024-05-02 and more", Some(day)),
            ("yyyy-MM-dd", "2024-04-32", Some(day)),
            ("yyyy-MM-dd", "xx", None),
            ("yyyyMMddHHmm", "202405021030", Some(day + 37_800_000)),
            ("dd MMM yyyy", "2 may 2024", Some(day)),
            ("dd MMMM yy", "2 May 24", Some(day)),
            ("yyyy-MM-dd hh:mm a", "2024-05-02 12:30 AM", Some(day + 1_800_000)),
            ("yyyy-MM-dd'T'HH:mmX", "2024-05-02T02:00+02:00", Some(day)),
            ("yyyy-MM-dd'T'HH:mmZ", "2024-05-01T22:00-0200", Some(day)),
            ("yyyy D", "2024 123", Some(day)),
            ("SSS", "5", Some(5)),
        ] {
            assert_eq!(DateFormat::new(pattern).unwrap().parse(text), expected, "{pattern} {text}");
        }
    }

    proptest! {
        #[test]
        fn full_patterns_round_trip(millis in -30_000_000_000_000_i64..200_000_000_000_000) {
            let format = DateFormat::new("yyyy-MM-dd HH:mm:ss.SSS").unwrap();
            prop_assert_eq!(format.parse(&format.format(millis)), Some(millis));
        }

        #[test]
        fn any_text_is_taken(pattern: String, text: String) {
            if let Ok(format) = DateFormat::new(&pattern) {
                let _instant = format.parse(&text);
            }
        }
    }
}
