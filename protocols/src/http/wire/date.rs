//! The `Date` field, made once a second.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The length of a whole `Date` line with its CRLF.
pub(crate) const DATE_LINE_BYTES: usize = 37;

/// A `Date` line that is made anew only when the second changes.
///
/// # Source
///
/// RFC 9110 section 5.6.7. Days become a date by counting in years that begin in March, so that the leap day comes last.
#[derive(Debug, Clone)]
pub(crate) struct DateLine {
    second: u64,
    line: [u8; DATE_LINE_BYTES],
}

impl DateLine {
    /// Makes the line of 1 January 1970.
    pub(crate) fn new() -> Self {
        Self {
            second: 0,
            line: *b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n",
        }
    }

    /// Returns the line for `now`. A time before 1970 counts as 1970, one after 9999 as the last second of 9999.
    #[inline]
    pub(crate) fn at(&mut self, now: SystemTime) -> &[u8; DATE_LINE_BYTES] {
        self.advance(now.duration_since(UNIX_EPOCH).unwrap_or_default());
        &self.line
    }

    /// Makes the line for so long after 1970 and returns whether it is another.
    #[inline]
    pub(crate) fn advance(&mut self, since_1970: Duration) -> bool {
        let second = since_1970.as_secs();
        let is_another = second != self.second;
        if is_another {
            self.second = second;
            self.write(second.min(LAST_SECOND));
        }
        is_another
    }

    /// Returns the line as it was made last.
    #[inline]
    pub(crate) fn current(&self) -> &[u8; DATE_LINE_BYTES] {
        &self.line
    }

    #[cold]
    fn write(&mut self, second: u64) {
        let (days, time) = (second / 86_400, second % 86_400);
        // Day 0 of the count is 1 March of the year 0, which is 719,468 days before 1970.
        let since_march = days + 719_468;
        let (era, day_of_era) = (since_march / 146_097, since_march % 146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        // Months counted from March have 31, 30, 31, 30, 31 days, again and again: 153 days each five.
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = (month_from_march + 2) % 12;
        let year = era * 400 + year_of_era + u64::from(month < 2);

        // 1 January 1970 was a Thursday.
        self.line[6..9].copy_from_slice(WEEKDAYS[((days + 4) % 7) as usize]);
        self.line[11..13].copy_from_slice(&two_digits(day));
        self.line[14..17].copy_from_slice(MONTHS[month as usize]);
        self.line[18..20].copy_from_slice(&two_digits(year / 100));
        self.line[20..22].copy_from_slice(&two_digits(year % 100));
        self.line[23..25].copy_from_slice(&two_digits(time / 3_600));
        self.line[26..28].copy_from_slice(&two_digits(time / 60 % 60));
        self.line[29..31].copy_from_slice(&two_digits(time % 60));
    }
}

fn two_digits(value: u64) -> [u8; 2] {
    [b'0' + (value / 10) as u8, b'0' + (value % 10) as u8]
}

/// 31 December 9999, 23:59:59: the format has four digits for the year.
const LAST_SECOND: u64 = 253_402_300_799;

const WEEKDAYS: [&[u8; 3]; 7] = [b"Sun", b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat"];

const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn date_at(second: u64) -> String {
        let line = *DateLine::new().at(UNIX_EPOCH + Duration::from_secs(second));
        String::from_utf8(line.to_vec()).expect("a date is text")
    }

    #[test]
    fn seconds_become_dates() {
        // The expected texts are those of `date -u -d @SECOND`.
        for (second, date) in [
            (0, "Thu, 01 Jan 1970 00:00:00"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37"),
            (951_782_399, "Mon, 28 Feb 2000 23:59:59"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00"),
            (951_868_800, "Wed, 01 Mar 2000 00:00:00"),
            (1_709_164_800, "Thu, 29 Feb 2024 00:00:00"),
            (1_735_689_599, "Tue, 31 Dec 2024 23:59:59"),
            (1_735_689_600, "Wed, 01 Jan 2025 00:00:00"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00"),
            (253_402_300_799, "Fri, 31 Dec 9999 23:59:59"),
            (253_402_300_800, "Fri, 31 Dec 9999 23:59:59"),
        ] {
            assert_eq!(date_at(second), format!("Date: {date} GMT\r\n"), "{second}");
        }
    }

    #[test]
    fn every_day_of_four_hundred_years_follows_the_one_before() {
        let mut weekday = 4;
        let mut expected = (1970, 0, 1);
        for day in 0..146_097 {
            let (year, month, date) = expected;
            let text = date_at(day * 86_400);
            let month_name = String::from_utf8_lossy(MONTHS[month]);
            let weekday_name = String::from_utf8_lossy(WEEKDAYS[weekday]);
            assert!(
                text.starts_with(&format!(
                    "Date: {weekday_name}, {date:02} {month_name} {year} "
                )),
                "day {day}: {text}"
            );
            let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = [
                31,
                28 + i32::from(is_leap),
                31,
                30,
                31,
                30,
                31,
                31,
                30,
                31,
                30,
                31,
            ][month];
            weekday = (weekday + 1) % 7;
            expected = match (month, date) {
                (11, 31) => (year + 1, 0, 1),
                _ if date == length => (year, month + 1, 1),
                _ => (year, month, date + 1),
            };
        }
    }

    #[test]
    fn time_may_go_back() {
        let mut line = DateLine::new();
        line.at(UNIX_EPOCH + Duration::from_secs(784_111_777));
        assert_eq!(
            line.at(UNIX_EPOCH - Duration::from_secs(1)),
            DateLine::new().current()
        );
    }
}
