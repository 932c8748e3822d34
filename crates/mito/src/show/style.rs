//! Text style: for a person at a terminal, or for a program behind a pipe.

use std::io::{self, IsTerminal as _};

use jiff::tz::TimeZone;
use mitosis_domain::clock::{Clock as _, SystemClock};
use mitosis_protocol::Timestamp;

use crate::config::Environment;

/// The style of the output.
#[derive(Debug, Clone)]
pub(crate) struct TerminalStyle {
    /// Whether standard output is a terminal.
    pub(super) terminal: bool,
    pub(super) colour: bool,
    /// The width of the terminal; lines are not truncated without one.
    pub(super) width: Option<usize>,
    /// The time that ages are relative to.
    pub(super) now: Timestamp,
    /// The local time zone.
    pub(super) zone: TimeZone,
    /// Whether times are reduced to their age, for lack of space.
    pub(super) brief: bool,
}

/// The meaning of a text that is shown as a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Title,
    Good,
    Bad,
    Busy,
    Dim,
}

impl TerminalStyle {
    /// The style for this process.
    pub(super) fn detect(environment: &Environment) -> Self {
        let terminal = io::stdout().is_terminal();
        let width = || terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0));
        Self {
            terminal,
            colour: terminal
                && environment.text("NO_COLOR").is_none()
                && environment.text("TERM") != Some("dumb"),
            width: terminal.then(width).flatten().filter(|width| *width > 0),
            now: SystemClock.now(),
            zone: if terminal { TimeZone::system() } else { TimeZone::UTC },
            brief: false,
        }
    }

    /// A copy for now and for the present size of the terminal; `past` is a lower bound of now.
    pub(super) fn again(&self, past: Timestamp) -> Self {
        let size = self.terminal.then(|| terminal_size::terminal_size_of(io::stdout())).flatten();
        let width = size.map(|(width, _)| usize::from(width.0)).filter(|width| *width > 0);
        Self { width: width.or(self.width), now: SystemClock.now().max(past), ..self.clone() }
    }

    /// Formats a time: local with its age for a person, in the wire format for a program.
    pub(super) fn time(&self, at: Timestamp) -> String {
        match (self.terminal, self.brief) {
            (true, false) => format!("{}, {}", self.local(at), age(at, self.now)),
            (true, true) => age(at, self.now),
            (false, _) => at.to_string(),
        }
    }

    /// Formats the age of a time: `5m`; in the wire format for a program.
    pub(super) fn age(&self, at: Timestamp) -> String {
        match self.terminal {
            true => age(at, self.now).trim_end_matches(" ago").to_owned(),
            false => at.to_string(),
        }
    }

    fn local(&self, at: Timestamp) -> String {
        match jiff::Timestamp::from_microsecond(at.unix_micros()) {
            Ok(instant) => instant.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
            Err(_) => at.to_string(),
        }
    }

    pub(crate) fn paint(&self, text: &str, tone: Tone) -> String {
        let code = match tone {
            _ if !self.colour || text.is_empty() => return text.to_owned(),
            Tone::Plain => return text.to_owned(),
            Tone::Title => "1",
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Busy => "36",
            Tone::Dim => "2",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// The age of a time, or the time until it, in the largest suitable unit.
fn age(at: Timestamp, now: Timestamp) -> String {
    const UNITS: [(&str, u64); 5] = [("y", 31_557_600), ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
    let (seconds, before) = match now >= at {
        true => (now.since(at).as_secs(), true),
        false => (at.since(now).as_secs(), false),
    };
    // A unit is used from 2 on, so that rounding loses little: 90m, but 2d.
    let fitting = UNITS.iter().find(|(_, length)| seconds >= length * 2);
    match (fitting, before) {
        (None, _) => "now".to_owned(),
        (Some((unit, length)), true) => format!("{}{unit} ago", seconds / length),
        (Some((unit, length)), false) => format!("in {}{unit}", seconds / length),
    }
}

#[cfg(test)]
impl TerminalStyle {
    /// A style for tests: a terminal in UTC, or a pipe, at a fixed time.
    pub(super) fn fixed(terminal: bool) -> Self {
        let now = Timestamp::from_unix_micros(1_928_423_045_250_000);
        Self { terminal, colour: false, width: None, now, zone: TimeZone::UTC, brief: false }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn terminal_shows_local_times_and_a_pipe_the_wire_format() {
        let style = TerminalStyle::fixed(true);
        let at = style.now - Duration::from_secs(200);
        assert_eq!(style.time(at), "2031-02-09 17:00:45, 3m ago");
        let east = TerminalStyle { zone: TimeZone::fixed(jiff::tz::offset(2)), ..style };
        assert_eq!(east.time(at), "2031-02-09 19:00:45, 3m ago");
        assert_eq!(TerminalStyle::fixed(false).time(at), "2031-02-09 17:00:45.25 +00:00:00");
    }

    #[test]
    fn ages_have_a_suitable_unit() {
        let now = TerminalStyle::fixed(true).now;
        for (seconds, text) in [
            (0, "now"),
            (1, "now"),
            (2, "2s ago"),
            (119, "119s ago"),
            (120, "2m ago"),
            (7_200, "2h ago"),
            (172_800, "2d ago"),
            (70_000_000, "2y ago"),
        ] {
            assert_eq!(age(now - Duration::from_secs(seconds), now), text);
        }
        assert_eq!(age(now + Duration::from_secs(600), now), "in 10m");
    }

    #[test]
    fn disabled_colour_paints_nothing() {
        let style = TerminalStyle::fixed(true);
        assert_eq!(style.paint("x", Tone::Bad), "x");
        assert_eq!(TerminalStyle { colour: true, ..style }.paint("x", Tone::Bad), "\x1b[31mx\x1b[0m");
    }
}
