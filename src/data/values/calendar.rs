//! Civil dates of instants and back, in the proleptic Gregorian calendar and UTC.

/// Milliseconds of a day.
pub const DAY_MS: i64 = 86_400_000;

/// An instant's parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateTime {
    pub year: i64,
    /// From 1.
    pub month: i64,
    pub day: i64,
    /// Sunday is 0.
    pub weekday: i64,
    pub hour: i64,
    pub minute: i64,
    pub second: i64,
    pub milli: i64,
}

impl DateTime {
    /// The parts of `millis` since the epoch.
    pub fn of(millis: i64) -> Self {
        let (days, rest) = (millis.div_euclid(DAY_MS), millis.rem_euclid(DAY_MS));
        let (year, month, day) = civil(days);
        Self {
            year,
            month,
            day,
            weekday: (days + 4).rem_euclid(7),
            hour: rest / 3_600_000,
            minute: rest / 60_000 % 60,
            second: rest / 1000 % 60,
            milli: rest % 1000,
        }
    }
}

/// Year, month and day of a day since the epoch. Counted in eras of 400 years that begin in March,
/// so that the leap day is the last of a year.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// The day since the epoch. Lenient: months and days beyond their range go on into the next ones.
pub fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year + (month - 1).div_euclid(12);
    let month = (month - 1).rem_euclid(12) + 1;
    let year = year - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
        + day
        - 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn overflowing_parts_go_on() {
        assert_eq!(days(1970, 1, 1), 0);
        assert_eq!(days(2024, 13, 45), days(2025, 2, 14));
        assert_eq!(days(2024, 1, 0), days(2023, 12, 31));
        assert_eq!(days(2024, 0, 1), days(2023, 12, 1));
    }

    proptest! {
        #[test]
        fn dates_come_back(day in -700_000..2_900_000_i64) {
            let (year, month, day_of_month) = civil(day);
            prop_assert_eq!(days(year, month, day_of_month), day);
            let chrono = chrono::NaiveDate::from_epoch_days(i32::try_from(day).unwrap()).unwrap();
            let parts = DateTime::of(day * DAY_MS);
            prop_assert_eq!(chrono.format("%-Y %-m %-d %w").to_string(),
                format!("{year} {month} {day_of_month} {}", parts.weekday));
        }
    }
}
