//! When the runs of a schedule are due.
//!
//! A cron expression counts on the clocks of its time zone, which are set forward and back at a change of daylight saving
//! time. An expression that names hours runs once at each time that it names: at the first instant after the gap if the
//! clocks skip that time, and at the first of both if they repeat it. An expression for every hour (`*/15 * * * *`) runs
//! whenever the clocks show a matching minute, so its runs are evenly spaced.
//!
//! The time zones are those of the program, not of the machine, so all coordinators have the same.

use std::collections::VecDeque;
use std::time::Duration;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use mitosis_protocol::Timestamp;
use mitosis_protocol::schedule::{CatchUp, MAX_CATCH_UP};

/// Bytes of the longest cron expression.
pub const MAX_CRON_BYTES: usize = 1_000;

/// A run that begins this much later than it was due is missed, unless missed runs are made up for.
pub const ON_TIME: Duration = Duration::from_secs(60);

/// The first span before now that is searched for missed runs. It grows by [`SPAN_FACTOR`].
const FIRST_SPAN: Duration = Duration::from_secs(60 * 60);
const SPAN_FACTOR: u32 = 24;

/// Why an expression or a time zone can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTimetable {
    /// The expression has another number of fields.
    #[error("the cron expression `{text}` has {count} fields instead of 5")]
    Fields {
        /// The expression.
        text: String,
        /// The number of its fields.
        count: usize,
    },
    /// The expression is longer than [`MAX_CRON_BYTES`].
    #[error("a cron expression has at most {MAX_CRON_BYTES} characters, this one has {0}")]
    TooLong(usize),
    /// A field is wrong.
    #[error("`{text}` is not a cron expression: {why}")]
    Field {
        /// The expression.
        text: String,
        /// What is wrong.
        why: String,
    },
    /// No time matches, such as the 30th of February.
    #[error("no time matches the cron expression `{0}`")]
    Never(String),
    /// There is no such time zone.
    #[error("there is no time zone `{0}`")]
    Zone(String),
}

impl InvalidTimetable {
    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Zone(_) => "write `UTC`, or a region and a city such as `Europe/Oslo`",
            Self::Never(_) => "choose a day that exists in the month",
            Self::Fields { .. } | Self::TooLong(_) | Self::Field { .. } => {
                "the fields are minute, hour, day of the month, month and day of the week: `0 3 * * mon-fri` is 03:00 on workdays"
            }
        }
    }
}

/// What to do about the run that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DueStep {
    /// Run it.
    Run {
        /// The due time after it.
        next: Option<Timestamp>,
    },
    /// Leave out this run and all up to a time.
    Miss {
        /// The last due time that is left out.
        until: Timestamp,
        /// The due time after it.
        next: Option<Timestamp>,
    },
}

/// The times of a schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct Timetable {
    cron: Cron,
    text: String,
    zone: TimeZone,
}

impl Timetable {
    /// Parses a cron expression and the name of a time zone. It may never be due: see [`Self::check`].
    pub fn parse(cron: &str, zone: &str) -> Result<Self, InvalidTimetable> {
        Ok(Self { cron: parse_cron(cron)?, text: cron.trim().to_owned(), zone: find_zone(zone)? })
    }

    /// Parses a timetable, and checks that it is due after a time.
    pub fn check(cron: &str, zone: &str, now: Timestamp) -> Result<Self, InvalidTimetable> {
        let timetable = Self::parse(cron, zone)?;
        match timetable.next_after(now) {
            Some(_) => Ok(timetable),
            None => Err(InvalidTimetable::Never(timetable.text)),
        }
    }

    /// The cron expression.
    pub fn cron(&self) -> &str {
        &self.text
    }

    /// The name of the time zone, in its official spelling.
    pub fn zone(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }

    /// The first due time after another time.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let after = jiff::Timestamp::from_microsecond(after.unix_micros()).ok()?;
        let next = match self.is_hourly() {
            true => self.next_elapsed(after),
            false => self.next_named(after),
        };
        next.map(|at| Timestamp::from_unix_micros(at.as_microsecond()))
    }

    /// The due times after another time.
    pub fn after(&self, after: Timestamp) -> impl Iterator<Item = Timestamp> + '_ {
        std::iter::successors(self.next_after(after), |last| self.next_after(*last))
    }

    /// What to do about the run that was due at `due`, which is not later than `now`.
    pub fn step(&self, due: Timestamp, policy: CatchUp, now: Timestamp) -> DueStep {
        let most = match policy {
            CatchUp::None | CatchUp::One => 1,
            CatchUp::All => MAX_CATCH_UP,
        };
        // The one before them is the last that is left out.
        let last = self.latest(due, now, most + 1);
        let kept = match policy {
            CatchUp::None => usize::from(last.back().is_some_and(|last| now.since(*last) <= ON_TIME)),
            CatchUp::One | CatchUp::All => last.len().min(most),
        };
        match last.len().checked_sub(kept + 1).and_then(|place| last.get(place)) {
            Some(until) => DueStep::Miss { until: *until, next: self.next_after(*until) },
            None => DueStep::Run { next: self.next_after(due) },
        }
    }

    /// The latest due times from `due` to `now`, at most `count`.
    fn latest(&self, due: Timestamp, now: Timestamp, count: usize) -> VecDeque<Timestamp> {
        let mut span = FIRST_SPAN;
        loop {
            let is_all = now.since(due) <= span;
            let mut latest: VecDeque<Timestamp> = match is_all {
                true => [due].into(),
                false => VecDeque::new(),
            };
            let from = if is_all { due } else { now.saturating_sub(span) };
            for at in self.after(from).take_while(|at| *at <= now) {
                if latest.len() == count {
                    latest.pop_front();
                }
                latest.push_back(at);
            }
            if is_all || latest.len() == count {
                return latest;
            }
            span = span.saturating_mul(SPAN_FACTOR);
        }
    }

    /// Whether every hour matches.
    fn is_hourly(&self) -> bool {
        self.cron.pattern.hours.values().len() == 24
    }

    /// The first instant whose time on the clocks matches.
    fn next_elapsed(&self, after: jiff::Timestamp) -> Option<jiff::Timestamp> {
        let (mut from, mut inclusive) = (after, false);
        loop {
            let offset = self.zone.to_offset(from);
            let next = offset.to_timestamp(self.next_civil(offset.to_datetime(from), inclusive)?).ok()?;
            match self.zone.following(from).next() {
                // The clocks change before: search on from there.
                Some(change) if next >= change.timestamp() => (from, inclusive) = (change.timestamp(), true),
                _ => return Some(next),
            }
        }
    }

    /// The first instant that represents a matching time of the clocks.
    fn next_named(&self, after: jiff::Timestamp) -> Option<jiff::Timestamp> {
        let mut civil = self.zone.to_datetime(after);
        loop {
            civil = self.next_civil(civil, false)?;
            let at = self.instant(civil)?;
            if at > after {
                return Some(at);
            }
        }
    }

    /// The instant that represents a time of the clocks: the first of two, or the end of the gap.
    fn instant(&self, civil: DateTime) -> Option<jiff::Timestamp> {
        match self.zone.to_ambiguous_timestamp(civil).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(civil).ok(),
            AmbiguousOffset::Fold { before, .. } => before.to_timestamp(civil).ok(),
            AmbiguousOffset::Gap { after, .. } => {
                let before_the_gap = after.to_timestamp(civil).ok()?;
                self.zone.following(before_the_gap).next().map(|change| change.timestamp())
            }
        }
    }

    /// The first matching time on clocks that are never changed.
    fn next_civil(&self, from: DateTime, inclusive: bool) -> Option<DateTime> {
        let from = from.to_zoned(TimeZone::UTC).ok()?;
        self.cron.find_next_occurrence(&from, inclusive).ok().map(|at| at.datetime())
    }
}

fn parse_cron(text: &str) -> Result<Cron, InvalidTimetable> {
    let trimmed = text.trim();
    if trimmed.len() > MAX_CRON_BYTES {
        return Err(InvalidTimetable::TooLong(trimmed.len()));
    }
    let count = trimmed.split_whitespace().count();
    if count != 5 && !trimmed.starts_with('@') {
        return Err(InvalidTimetable::Fields { text: trimmed.to_owned(), count });
    }
    parse_fields(trimmed)
        .ok_or_else(|| InvalidTimetable::Field { text: trimmed.to_owned(), why: invalid_field(trimmed) })
}

fn parse_fields(text: &str) -> Option<Cron> {
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    parser.parse(text).ok()
}

/// The fields of an expression, and their values.
const FIELDS: [(&str, &str); 5] = [
    ("minute", "0-59"),
    ("hour", "0-23"),
    ("day of the month", "1-31"),
    ("month", "1-12 or jan-dec"),
    ("day of the week", "0-7 or sun-sat"),
];

/// What is wrong with an expression: the first field that can't be parsed beside asterisks.
fn invalid_field(text: &str) -> String {
    let is_valid = |position: usize, field: &str| {
        let mut fields = ["*"; FIELDS.len()];
        fields[position] = field;
        parse_fields(&fields.join(" ")).is_some()
    };
    let fields = text.split_whitespace().enumerate().zip(FIELDS);
    let wrong = fields.into_iter().find(|((position, field), _)| !is_valid(*position, field));
    match wrong {
        _ if text.starts_with('@') => {
            "the short forms are @hourly, @daily, @weekly, @monthly and @yearly".to_owned()
        }
        Some(((_, field), (name, values))) => {
            format!("invalid {name} `{field}`: expected {values}, `*`, or lists, ranges and steps of them")
        }
        None => "these fields can't be combined".to_owned(),
    }
}

fn find_zone(name: &str) -> Result<TimeZone, InvalidTimetable> {
    TimeZoneDatabase::bundled().get(name).map_err(|_| InvalidTimetable::Zone(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(cron: &str, zone: &str) -> Timetable {
        Timetable::parse(cron, zone).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    /// The first due times after a time, as clocks of the zone show them, with their offset.
    fn due(cron: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
        let table = table(cron, zone);
        let shown = |at: Timestamp| {
            let at = jiff::Timestamp::from_microsecond(at.unix_micros()).unwrap();
            at.to_zoned(table.zone.clone()).strftime("%d %H:%M %z").to_string()
        };
        table.after(at(after)).take(count).map(shown).collect()
    }

    /// 31 March 2030 in Oslo: 02:00 becomes 03:00.
    const OSLO_FORWARD: &str = "2030-03-30T12:00:00+01:00";
    /// 27 October 2030 in Oslo: 03:00 becomes 02:00.
    const OSLO_BACK: &str = "2030-10-26T12:00:00+02:00";
    /// 10 March 2030 in New York: 02:00 becomes 03:00.
    const NEW_YORK_FORWARD: &str = "2030-03-09T12:00:00-05:00";
    /// 3 November 2030 in New York: 02:00 becomes 01:00.
    const NEW_YORK_BACK: &str = "2030-11-02T12:00:00-04:00";

    #[test]
    fn invalid_field_is_named_with_its_values() {
        for (cron, words) in [
            ("61 * * * *", "invalid minute `61`: expected 0-59"),
            ("0 24 * * *", "invalid hour `24`: expected 0-23"),
            ("0 3 32 * *", "invalid day of the month `32`"),
            ("0 3 * foo *", "invalid month `foo`: expected 1-12 or jan-dec"),
            ("0 3 * * mon-xyz", "invalid day of the week `mon-xyz`"),
            ("*/0 * * * *", "invalid minute `*/0`"),
            ("@sometimes", "the short forms are @hourly"),
        ] {
            let error = Timetable::parse(cron, "UTC").unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{cron}` is not a cron expression: ")), "{error}");
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn skipped_time_runs_once_after_the_gap() {
        assert_eq!(
            due("30 2 * * *", "Europe/Oslo", OSLO_FORWARD, 3),
            ["31 03:00 +0200", "01 02:30 +0200", "02 02:30 +0200"]
        );
        assert_eq!(
            due("30 2 * * *", "America/New_York", NEW_YORK_FORWARD, 2),
            ["10 03:00 -0400", "11 02:30 -0400"]
        );
        // All skipped times are one run, together with the one at the end of the gap.
        assert_eq!(
            due("*/20 1-3 * * *", "Europe/Oslo", "2030-03-31T00:30:00Z", 5),
            ["31 01:40 +0100", "31 03:00 +0200", "31 03:20 +0200", "31 03:40 +0200", "01 01:00 +0200"]
        );
    }

    #[test]
    fn repeated_time_runs_once() {
        assert_eq!(due("30 2 * * *", "Europe/Oslo", OSLO_BACK, 2), ["27 02:30 +0200", "28 02:30 +0100"]);
        assert_eq!(
            due("30 1 * * *", "America/New_York", NEW_YORK_BACK, 2),
            ["03 01:30 -0400", "04 01:30 -0500"]
        );
        // At the second 02:10, the run of 02:30 has been due.
        assert_eq!(due("30 2 * * *", "Europe/Oslo", "2030-10-27T02:10:00+01:00", 1), ["28 02:30 +0100"]);
    }

    #[test]
    fn every_hour_is_evenly_spaced() {
        for (zone, change) in [
            ("Europe/Oslo", "2030-03-31T00:00:00Z"),
            ("Europe/Oslo", "2030-10-26T23:00:00Z"),
            ("America/New_York", "2030-03-10T06:00:00Z"),
            ("America/New_York", "2030-11-03T04:00:00Z"),
        ] {
            for (cron, minutes) in [("*/15 * * * *", 15), ("0 * * * *", 60), ("* * * * *", 1)] {
                let times: Vec<Timestamp> = table(cron, zone).after(at(change)).take(200).collect();
                let spacing = Duration::from_secs(60 * minutes);
                assert!(times.windows(2).all(|pair| pair[1].since(pair[0]) == spacing), "{cron} in {zone}");
                assert_eq!(times[0].since(at(change)), spacing, "{cron} in {zone}");
            }
        }
        assert_eq!(
            due("30 * * * *", "Europe/Oslo", "2030-10-27T00:00:00Z", 3),
            ["27 02:30 +0200", "27 02:30 +0100", "27 03:30 +0100"]
        );
    }

    /// Apia skipped a day in 2011, Lord Howe changes its clocks by half an hour, Casablanca twice around Ramadan.
    #[test]
    fn due_times_increase_in_unusual_zones() {
        for zone in
            ["Pacific/Apia", "Australia/Lord_Howe", "Africa/Casablanca", "America/Sao_Paulo", "Asia/Kolkata"]
        {
            for cron in ["*/20 * * * *", "*/20 0-4 * * *", "15 2 * * *", "0 0 30 12 *", "0 12 L * *"] {
                let times: Vec<Timestamp> =
                    table(cron, zone).after(at("2011-12-01T00:00:00Z")).take(1_000).collect();
                assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{cron} in {zone}");
                assert_eq!(times.len(), 1_000, "{cron} in {zone}");
            }
        }
        assert_eq!(due("0 9 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", 1), ["31 00:00 +1400"]);
    }

    #[test]
    fn days_and_names_are_understood() {
        assert_eq!(
            due("0 9 * * mon-fri", "UTC", "2031-02-07T12:00:00Z", 2),
            ["10 09:00 +0000", "11 09:00 +0000"]
        );
        assert_eq!(due("0 0 29 feb *", "UTC", "2031-02-07T12:00:00Z", 1), ["29 00:00 +0000"]);
        assert_eq!(due("0 0 13 * 5", "UTC", "2031-02-07T00:00:00Z", 2), ["13 00:00 +0000", "14 00:00 +0000"]);
        assert_eq!(due("0 0 L * *", "UTC", "2031-02-07T12:00:00Z", 2), ["28 00:00 +0000", "31 00:00 +0000"]);
        assert_eq!(
            due("0 12 * * fri#2", "UTC", "2031-02-07T00:00:00Z", 2),
            ["14 12:00 +0000", "14 12:00 +0000"]
        );
        assert_eq!(due("@daily", "Asia/Tokyo", "2031-02-07T12:00:00Z", 1), ["08 00:00 +0900"]);
        // A time is not due again after itself.
        assert_eq!(due("5 4 * * *", "UTC", "2031-02-07T04:05:00Z", 1), ["08 04:05 +0000"]);
        assert_eq!(due("5 4 * * *", "UTC", "2031-02-07T04:04:59.5Z", 1), ["07 04:05 +0000"]);
    }

    #[test]
    fn name_of_a_zone_gets_its_official_spelling() {
        let table = table(" 0  3 * * * ", "europe/oslo");
        assert_eq!((table.zone(), table.cron()), ("Europe/Oslo", "0  3 * * *"));
        assert_eq!(super::tests::table("* * * * *", "utc").zone(), "UTC");
    }

    #[test]
    fn wrong_expressions_are_refused_with_the_reason() {
        for (cron, zone, message) in [
            ("0 3 * *", "UTC", "the cron expression `0 3 * *` has 4 fields instead of 5"),
            ("0 0 3 * * *", "UTC", "the cron expression `0 0 3 * * *` has 6 fields instead of 5"),
            ("", "UTC", "the cron expression `` has 0 fields instead of 5"),
            ("0 0 30 2 *", "UTC", "no time matches the cron expression `0 0 30 2 *`"),
            ("0 3 * * *", "Oslo", "there is no time zone `Oslo`"),
            ("0 3 * * *", "", "there is no time zone ``"),
            ("0 3 * * *", "../etc/passwd", "there is no time zone `../etc/passwd`"),
        ] {
            let error = Timetable::check(cron, zone, at("2031-02-07T12:00:00Z")).unwrap_err();
            assert_eq!(error.to_string(), message);
            assert!(!error.hint().is_empty());
        }
        for cron in
            ["60 3 * * *", "x 3 * * *", "0 24 * * *", "0 3 32 * *", "*/0 * * * *", "@never", "5-1 * * * *"]
        {
            let error = Timetable::check(cron, "UTC", at("2031-02-07T12:00:00Z")).unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{cron}` is not a cron expression: ")), "{error}");
        }
        let long = format!("{} 3 * * *", "1,".repeat(600));
        assert!(matches!(Timetable::parse(&long, "UTC"), Err(InvalidTimetable::TooLong(_))));
    }

    #[test]
    fn due_run_is_run_and_followed_by_the_next() {
        let table = table("0 3 * * *", "UTC");
        let (due, next) = (at("2031-02-07T03:00:00Z"), Some(at("2031-02-08T03:00:00Z")));
        for policy in [CatchUp::None, CatchUp::One, CatchUp::All] {
            assert_eq!(table.step(due, policy, due), DueStep::Run { next }, "{policy:?}");
            assert_eq!(table.step(due, policy, due + ON_TIME), DueStep::Run { next }, "{policy:?}");
        }
    }

    #[test]
    fn missed_runs_are_made_up_for_by_policy() {
        let table = table("0 3 * * *", "UTC");
        let day = |day: u32| at(&format!("2031-02-{day:02}T03:00:00Z"));
        let now = at("2031-02-10T12:00:00Z");
        let none = DueStep::Miss { until: day(10), next: Some(day(11)) };
        assert_eq!(table.step(day(7), CatchUp::None, now), none);
        assert_eq!(table.step(day(10), CatchUp::None, now), none);
        let on_time = DueStep::Miss { until: day(9), next: Some(day(10)) };
        assert_eq!(table.step(day(7), CatchUp::None, day(10) + ON_TIME), on_time);
        assert_eq!(table.step(day(7), CatchUp::One, now), on_time);
        assert_eq!(table.step(day(10), CatchUp::One, now), DueStep::Run { next: Some(day(11)) });
        assert_eq!(table.step(day(7), CatchUp::All, now), DueStep::Run { next: Some(day(8)) });
    }

    #[test]
    fn long_gaps_are_bounded() {
        let table = table("* * * * *", "Europe/Oslo");
        let (due, now) = (at("2021-01-01T00:00:00Z"), at("2031-02-10T12:00:30Z"));
        let until = at("2031-02-10T10:20:00Z");
        let next = Some(at("2031-02-10T10:21:00Z"));
        assert_eq!(table.step(due, CatchUp::All, now), DueStep::Miss { until, next });
        let last = table.step(due, CatchUp::One, now);
        let minute = at("2031-02-10T12:00:00Z");
        assert_eq!(last, DueStep::Miss { until: at("2031-02-10T11:59:00Z"), next: Some(minute) });
        let rare = super::tests::table("0 0 29 2 *", "UTC");
        let due = at("2004-02-29T00:00:00Z");
        let last = at("2028-02-29T00:00:00Z");
        let until = at("2024-02-29T00:00:00Z");
        assert_eq!(rare.step(due, CatchUp::One, now), DueStep::Miss { until, next: Some(last) });
    }
}
