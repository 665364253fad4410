//! `path.format`: date patterns in the dialect of the original's date library (Joda-Time,
//! `DateTimeFormat`), which is neither `strftime` nor java.time: `YYYY` is a plain year here.

use std::fmt::Write as _;
use std::str::Chars;

use chrono::{DateTime, Datelike as _, NaiveDateTime, Timelike as _, Utc};

use super::zone::{Zone, offset_text};

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    parts: Vec<Part>,
    language: Language,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    /// A letter and how often it stands there.
    Field(char, usize),
}

/// Names of months and days. Everything else is the same in every language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    English,
    French,
    German,
    /// A language whose names are not known here.
    Other,
}

impl Language {
    /// The language that `locale` means. As in the original it is a bare language tag: whatever is
    /// none (`en-US`, `US`) has English names.
    pub(super) fn of(locale: &str) -> Self {
        let is_tag =
            matches!(locale.len(), 2 | 3) && locale.bytes().all(|b| b.is_ascii_lowercase());
        match locale {
            "fr" => Self::French,
            "de" => Self::German,
            "en" => Self::English,
            _ if is_tag => Self::Other,
            _ => Self::English,
        }
    }

    fn months(self) -> &'static [(&'static str, &'static str); 12] {
        match self {
            Self::English | Self::Other => &[
                ("Jan", "January"),
                ("Feb", "February"),
                ("Mar", "March"),
                ("Apr", "April"),
                ("May", "May"),
                ("Jun", "June"),
                ("Jul", "July"),
                ("Aug", "August"),
                ("Sep", "September"),
                ("Oct", "October"),
                ("Nov", "November"),
                ("Dec", "December"),
            ],
            Self::French => &[
                ("janv.", "janvier"),
                ("févr.", "février"),
                ("mars", "mars"),
                ("avr.", "avril"),
                ("mai", "mai"),
                ("juin", "juin"),
                ("juil.", "juillet"),
                ("août", "août"),
                ("sept.", "septembre"),
                ("oct.", "octobre"),
                ("nov.", "novembre"),
                ("déc.", "décembre"),
            ],
            Self::German => &[
                ("Jan.", "Januar"),
                ("Feb.", "Februar"),
                ("März", "März"),
                ("Apr.", "April"),
                ("Mai", "Mai"),
                ("Juni", "Juni"),
                ("Juli", "Juli"),
                ("Aug.", "August"),
                ("Sept.", "September"),
                ("Okt.", "Oktober"),
                ("Nov.", "November"),
                ("Dez.", "Dezember"),
            ],
        }
    }

    /// From Monday.
    fn days(self) -> &'static [(&'static str, &'static str); 7] {
        match self {
            Self::English | Self::Other => &[
                ("Mon", "Monday"),
                ("Tue", "Tuesday"),
                ("Wed", "Wednesday"),
                ("Thu", "Thursday"),
                ("Fri", "Friday"),
                ("Sat", "Saturday"),
                ("Sun", "Sunday"),
            ],
            Self::French => &[
                ("lun.", "lundi"),
                ("mar.", "mardi"),
                ("mer.", "mercredi"),
                ("jeu.", "jeudi"),
                ("ven.", "vendredi"),
                ("sam.", "samedi"),
                ("dim.", "dimanche"),
            ],
            Self::German => &[
                ("Mo.", "Montag"),
                ("Di.", "Dienstag"),
                ("Mi.", "Mittwoch"),
                ("Do.", "Donnerstag"),
                ("Fr.", "Freitag"),
                ("Sa.", "Samstag"),
                ("So.", "Sonntag"),
            ],
        }
    }
}

impl Pattern {
    /// Compiles `text`; its names are in the language of `locale`.
    ///
    /// # Errors
    /// What is wrong with the pattern.
    pub(super) fn new(text: &str, locale: &str) -> Result<Self, String> {
        let language = Language::of(locale);
        let mut parts = Vec::new();
        let mut chars = text.chars();
        let mut literal = String::new();
        while let Some(next) = chars.clone().next() {
            if next == '\'' {
                chars.next();
                quoted(&mut chars, &mut literal);
            } else if next.is_ascii_alphabetic() {
                let count = chars.clone().take_while(|each| *each == next).count();
                chars.nth(count - 1);
                check(next, count, language, locale)?;
                if !literal.is_empty() {
                    parts.push(Part::Literal(std::mem::take(&mut literal)));
                }
                parts.push(Part::Field(next, count));
            } else {
                literal.push(next);
                chars.next();
            }
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self { parts, language })
    }

    /// Writes the instant as `zone` sees it. An instant beyond the calendar cannot be written.
    pub(super) fn format(&self, at_ms: i64, zone: Zone, out: &mut String) -> Option<()> {
        let local = DateTime::<Utc>::from_timestamp_millis(zone.to_local(at_ms))?.naive_utc();
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::Field(letter, count) => {
                    // Writing to a String cannot fail.
                    let _ = self.field(*letter, *count, &local, at_ms, zone, out);
                }
            }
        }
        Some(())
    }

    fn field(
        &self,
        letter: char,
        count: usize,
        local: &NaiveDateTime,
        at_ms: i64,
        zone: Zone,
        out: &mut String,
    ) -> std::fmt::Result {
        let month = local.month0() as usize;
        let day = local.weekday().num_days_from_monday() as usize;
        match letter {
            'G' => out.write_str(if local.year() < 1 { "BC" } else { "AD" }),
            'M' if 2 < count => out.write_str(name(self.language.months()[month], 3 < count)),
            'E' => out.write_str(name(self.language.days()[day], 3 < count)),
            'a' => out.write_str(if local.hour() < 12 { "AM" } else { "PM" }),
            'z' => out.write_str(&zone.short_name(at_ms)),
            'Z' => {
                let offset = zone.offset_ms(at_ms);
                out.write_str(&match count {
                    1 => offset_text(offset, ""),
                    2 => offset_text(offset, ":"),
                    _ => zone.id(),
                })
            }
            'S' => {
                let digits =
                    format!("{:09}", local.and_utc().timestamp_subsec_millis() * 1_000_000);
                let kept = digits.chars().chain(std::iter::repeat('0')).take(count);
                kept.into_iter().try_for_each(|digit| out.write_char(digit))
            }
            'Y' | 'y' | 'x' if count == 2 => {
                write!(out, "{:02}", number(letter, local).rem_euclid(100))
            }
            _ => {
                let number = number(letter, local);
                // The width counts digits, a sign stands before them.
                let sign = if number < 0 { "-" } else { "" };
                write!(out, "{sign}{:0count$}", number.unsigned_abs())
            }
        }
    }
}

fn name(names: (&'static str, &'static str), is_long: bool) -> &'static str {
    if is_long { names.1 } else { names.0 }
}

fn number(letter: char, local: &NaiveDateTime) -> i64 {
    let year = i64::from(local.year());
    let of_era = if year < 1 { 1 - year } else { year };
    let hour = i64::from(local.hour());
    // From 1 to `most`.
    let clock = |most: i64| match hour % most {
        0 => most,
        hour => hour,
    };
    match letter {
        'C' => of_era / 100,
        'Y' => of_era,
        'y' => year,
        'x' => i64::from(local.iso_week().year()),
        'w' => i64::from(local.iso_week().week()),
        'e' => i64::from(local.weekday().number_from_monday()),
        'D' => i64::from(local.ordinal()),
        'M' => i64::from(local.month()),
        'd' => i64::from(local.day()),
        'H' => hour,
        'k' => clock(24),
        'K' => hour % 12,
        'h' => clock(12),
        'm' => i64::from(local.minute()),
        _ => i64::from(local.second()),
    }
}

/// Reads quoted text up to its end; a doubled quote is one quote, inside and outside of quotes.
fn quoted(chars: &mut Chars<'_>, literal: &mut String) {
    if chars.as_str().starts_with('\'') {
        chars.next();
        literal.push('\'');
        return;
    }
    while let Some(next) = chars.next() {
        if next != '\'' {
            literal.push(next);
        } else if chars.as_str().starts_with('\'') {
            chars.next();
            literal.push('\'');
        } else {
            return;
        }
    }
}

fn check(letter: char, count: usize, language: Language, locale: &str) -> Result<(), String> {
    if !"GCYxweEyDMdaKhHkmsSzZ".contains(letter) {
        let component: String = std::iter::repeat_n(letter, count).collect();
        return Err(format!("Illegal pattern component: {component}"));
    }
    if 20 < count {
        return Err(format!("{count} times {letter} in a row is no date field"));
    }
    if letter == 'z' && 3 < count {
        return Err(
            "long names of time zones are not known; write z, or Z for the offset".to_owned()
        );
    }
    let is_text = letter == 'E' || (letter == 'M' && 2 < count);
    if is_text && language == Language::Other {
        return Err(format!(
            "names of months and days are not known for locale {locale}; write numbers (MM, dd, e) \
             or locale en, fr or de"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(time: &str) -> i64 {
        DateTime::parse_from_rfc3339(time).unwrap().timestamp_millis()
    }

    #[test]
    fn every_letter_is_written_as_by_the_original() {
        let rows = [
            (
                "'year'=YYYY/'month'=MM/'day'=dd/'hour'=HH",
                "en",
                "year=2026/month=11/day=22/hour=06",
            ),
            ("YYYY-yyyy-YY-y", "en", "2026-2026-26-2026"),
            ("xxxx-'W'ww-e", "en", "2026-W47-7"),
            ("D DDD d", "en", "326 326 22"),
            ("MMM MMMM", "fr", "nov. novembre"),
            ("E EEE EEEE", "en", "Sun Sun Sunday"),
            ("EEEE d. MMMM", "de", "Sonntag 22. November"),
            ("MMM", "en-US", "Nov"),
            ("H k K h a", "en", "6 6 6 6 AM"),
            ("mm:ss.SSS SSSSS S", "en", "31:20.123 12300 1"),
            ("Z ZZ ZZZ z", "en", "+0100 +01:00 Europe/Paris CET"),
            ("G CC", "en", "AD 20"),
            ("'o''clock' '' ''HH''", "en", "o'clock ' '06'"),
            ("YYYYYY", "en", "002026"),
        ];
        let zone = Zone::parse("Europe/Paris").unwrap();
        for (pattern, locale, expected) in rows {
            let mut out = String::new();
            let pattern_ = Pattern::new(pattern, locale).unwrap();
            pattern_.format(ms("2026-11-22T05:31:20.123Z"), zone, &mut out).unwrap();
            assert_eq!(out, expected, "{pattern}");
        }
    }

    #[test]
    fn hours_of_midnight_and_noon() {
        let pattern = Pattern::new("H k K h a", "en").unwrap();
        for (at, expected) in
            [("2026-01-01T00:00:00Z", "0 24 0 12 AM"), ("2026-01-01T12:00:00Z", "12 12 0 12 PM")]
        {
            let mut out = String::new();
            pattern.format(ms(at), Zone::Fixed(0), &mut out).unwrap();
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn what_cannot_be_written_is_refused() {
        let rows = [
            ("year=YYYY", "en", "Illegal pattern component: r"),
            ("'year'=YYYY/b", "en", "Illegal pattern component: b"),
            ("zzzz", "en", "long names of time zones are not known; write z, or Z for the offset"),
            (
                "MMM",
                "ja",
                "names of months and days are not known for locale ja; write numbers (MM, dd, e) or \
                 locale en, fr or de",
            ),
        ];
        for (pattern, locale, expected) in rows {
            assert_eq!(Pattern::new(pattern, locale).unwrap_err(), expected, "{pattern}");
        }
    }
}
