//! Points in virtual time. Whole milliseconds since 1970, because that is the finest grain AWS shows.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A point in virtual time, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Moment(pub u64);

const MILLISECONDS_A_SECOND: u64 = 1000;
const SECONDS_A_DAY: u64 = 86_400;

impl Moment {
    /// The moment this many seconds later.
    #[must_use]
    pub fn after_seconds(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(MILLISECONDS_A_SECOND)))
    }

    /// The moment this many seconds earlier.
    #[must_use]
    pub fn before_seconds(self, seconds: u64) -> Self {
        Self(self.0.saturating_sub(seconds.saturating_mul(MILLISECONDS_A_SECOND)))
    }

    /// The milliseconds from an earlier moment to this one.
    pub(crate) fn milliseconds_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Whole seconds since 1970, the form of time in AWS's JSON protocols.
    pub fn epoch_seconds(self) -> u64 {
        self.0 / MILLISECONDS_A_SECOND
    }

    /// The day and time in the shape HTTP headers want: `Wed, 25 Nov 2026 07:08:59 GMT`.
    pub fn http_date(self) -> String {
        const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let date = Calendar::of(self);
        let weekday = (self.epoch_seconds() / SECONDS_A_DAY) % 7;
        let weekday = DAYS.iter().cycle().nth(usize::try_from(weekday).unwrap_or(0)).copied().unwrap_or("Thu");
        let month = date.month.checked_sub(1).and_then(|m| usize::try_from(m).ok()).and_then(|m| MONTHS.get(m));
        format!(
            "{weekday}, {:02} {} {:04} {:02}:{:02}:{:02} GMT",
            date.day,
            month.copied().unwrap_or("Jan"),
            date.year,
            date.hour,
            date.minute,
            date.second
        )
    }

    /// The day as `2026-11-25-07-08`, which RDS puts into the names of automated snapshots.
    pub(crate) fn snapshot_stamp(self) -> String {
        let date = Calendar::of(self);
        format!("{:04}-{:02}-{:02}-{:02}-{:02}", date.year, date.month, date.day, date.hour, date.minute)
    }
}

impl fmt::Display for Moment {
    /// ISO 8601 with milliseconds, as CloudFormation and RDS write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = Calendar::of(*self);
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            date.year,
            date.month,
            date.day,
            date.hour,
            date.minute,
            date.second,
            self.0 % MILLISECONDS_A_SECOND
        )
    }
}

struct Calendar {
    year: u64,
    month: u64,
    day: u64,
    hour: u64,
    minute: u64,
    second: u64,
}

impl Calendar {
    /// Howard Hinnant's `civil_from_days`, for days after 1970 only.
    fn of(moment: Moment) -> Self {
        let seconds = moment.epoch_seconds();
        let days = seconds / SECONDS_A_DAY + 719_468;
        let era = days / 146_097;
        let day_of_era = days % 146_097;
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let second_of_day = seconds % SECONDS_A_DAY;
        Self {
            year: year_of_era + era * 400 + u64::from(month <= 2),
            month,
            day: day_of_year - (153 * shifted_month + 2) / 5 + 1,
            hour: second_of_day / 3600,
            minute: second_of_day / 60 % 60,
            second: second_of_day % 60,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_like_an_aws_timestamp() {
        assert_eq!(Moment(1_795_590_539_007).to_string(), "2026-11-25T07:08:59.007Z");
        assert_eq!(Moment(951_782_400_000).to_string(), "2000-02-29T00:00:00.000Z");
    }

    #[test]
    fn reads_like_an_http_date() {
        assert_eq!(Moment(1_795_590_539_007).http_date(), "Wed, 25 Nov 2026 07:08:59 GMT");
    }
}
