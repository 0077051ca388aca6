//! Progress on stderr: a table redrawn in place on a terminal, a line a change anywhere else.
//!
//! Nothing of the terminal is changed that would have to be changed back: no cursor is hidden, no mode is set. A run may be killed
//! at any moment and leaves whole lines behind.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anstream::{AutoStream, ColorChoice};
use terminal_size::{Height, Width};
use unicode_width::UnicodeWidthStr;

use super::table::{Expected, Line, Size, Table, Tone};
use super::{Style, View, Volume};
use crate::operation::Event;

/// What a terminal has that does not say: VT100.
const USUAL: Size = Size { columns: 80, rows: 24 };

/// Whether the table is of interest when the run is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Afterwards {
    /// It says what was done.
    Stays,
    /// It said what was looked at.
    Goes,
}

/// How a run ended, as far as the table shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The goal is reached.
    Reached,
    /// It is not, and these stacks are why.
    Stopped {
        /// The stacks that failed.
        failed: Vec<String>,
    },
}

/// Where progress is shown.
#[derive(Debug)]
pub struct Board {
    view: View,
    live: Option<Live>,
    figures: Figures,
}

#[derive(Debug)]
struct Live {
    table: Table,
    canvas: Canvas,
    began: Instant,
    afterwards: Afterwards,
}

impl Board {
    pub(super) fn new(view: View, expected: &[Expected], afterwards: Afterwards) -> Self {
        let live =
            || Live { table: Table::new(expected), canvas: Canvas::default(), began: Instant::now(), afterwards };
        Self { view, live: is_live(view).then(live), figures: Figures::default() }
    }

    /// Whether there is anything that moves by itself, and wants to be drawn again now and then.
    pub fn is_live(&self) -> bool {
        self.live.is_some()
    }

    /// Shows news.
    pub fn event(&mut self, event: &Event) {
        let Some(live) = &mut self.live else {
            if self.view.style == Style::Json || self.view.volume == Volume::Verbose || self.figures.is_news(event) {
                self.view.event(event);
            }
            return;
        };
        let above = live.table.hear(event, live.began.elapsed());
        live.draw(&above);
    }

    /// Shows that time has passed.
    pub fn tick(&mut self) {
        if let Some(live) = &mut self.live {
            live.draw(&[]);
        }
    }

    /// Shows how it ended, and leaves the cursor below.
    pub fn close(mut self, end: &End) {
        let Some(live) = &mut self.live else { return };
        match end {
            End::Stopped { failed } => live.table.stop(failed),
            End::Reached => live.table.settle(live.began.elapsed()),
        }
        if live.afterwards == Afterwards::Goes {
            live.table = Table::default();
        }
        live.draw(&[]);
    }
}

/// How often a line may follow another from which only figures tell it.
const FIGURES_EVERY: Duration = Duration::from_mins(1);

/// What was last told of each subject that is waited for, without its figures, and how long it had been waited for then.
#[derive(Debug, Default)]
struct Figures {
    told: BTreeMap<Option<String>, (String, Duration)>,
}

impl Figures {
    /// Whether an event says more than the last one about its subject: a percentage that grows is news now and then only.
    fn is_news(&mut self, event: &Event) -> bool {
        let Event::Waiting { reason, lasted } = event else { return true };
        let words: String = reason.sentence.chars().filter(|letter| !letter.is_ascii_digit()).collect();
        let told = self.told.get(&reason.subject.stack);
        if told.is_some_and(|(last, at)| *last == words && lasted.saturating_sub(*at) < FIGURES_EVERY) {
            return false;
        }
        self.told.insert(reason.subject.stack.clone(), (words, *lasted));
        true
    }
}

impl Live {
    fn draw(&mut self, above: &[String]) {
        let size = size(std::io::stderr());
        let lines = self.table.lines(self.began.elapsed(), size);
        let is_colored = AutoStream::choice(&std::io::stderr()) != ColorChoice::Never;
        let text = self.canvas.redraw(above, &lines, size.columns, is_colored);
        // Nobody listens any more; the work goes on. Not through `anstream`, which without colours lets no cursor move either.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}

/// Whether progress is drawn: for people, on a terminal that can move its cursor.
pub(super) fn is_live(view: View) -> bool {
    view.style == Style::Human && view.volume == Volume::Usual && can_redraw(&std::io::stderr())
}

/// Whether what was written there can be written over.
pub(super) fn can_redraw(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var("TERM").is_ok_and(|term| !term.is_empty() && term != "dumb")
}

/// The size of the terminal as it is now: it may be another than a moment ago.
pub(super) fn size(stream: impl AsFd) -> Size {
    let asked = terminal_size::terminal_size_of(stream);
    asked.map_or(USUAL, |(Width(columns), Height(rows))| Size { columns: columns.into(), rows: rows.into() })
}

/// What stands on the screen and is to be drawn over. The cursor is always at the beginning of the line below.
#[derive(Debug, Default)]
pub(super) struct Canvas {
    /// How many cells each line takes.
    drawn: Vec<usize>,
}

impl Canvas {
    /// What to write so that these lines stand where the last ones did, and `above` for good above them.
    pub(super) fn redraw(&mut self, above: &[String], lines: &[Line], columns: usize, is_colored: bool) -> String {
        // A terminal that became narrower has broken our lines in two.
        let in_rows = |cells: &usize| cells.div_ceil(columns.max(1)).max(1);
        let up: usize = self.drawn.iter().map(in_rows).sum();
        let mut text = String::from("\r");
        if up > 0 {
            let _ = write!(text, "\x1b[{up}A");
        }
        // What is said for good may take more than a line, and would leave remains of ours beside it.
        if up != self.drawn.len() || !above.is_empty() {
            text.push_str("\x1b[J");
        }
        for line in above {
            text.push_str(line);
            text.push('\n');
        }
        for line in lines {
            text.push_str("\x1b[K");
            text.push_str(&painted(line, is_colored));
            text.push('\n');
        }
        text.push_str("\x1b[J");
        self.drawn = lines.iter().map(|line| line.text.width()).collect();
        text
    }
}

/// Its sign in colour.
fn painted(line: &Line, is_colored: bool) -> String {
    let Some(sign) = line.text.chars().next().filter(|_| is_colored) else { return line.text.clone() };
    let rest = &line.text[sign.len_utf8()..];
    match line.tone {
        Tone::Good => format!("\x1b[32m{sign}\x1b[0m{rest}"),
        Tone::Bad => format!("\x1b[31m{sign}\x1b[0m{rest}"),
        Tone::Lively => format!("\x1b[36m{sign}\x1b[0m{rest}"),
        Tone::Faint => format!("\x1b[2m{}\x1b[0m", line.text),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::operation::{Statement, Subject};

    #[test]
    fn figures_alone_are_news_once_a_minute() {
        let waiting = |sentence: &str, seconds| Event::Waiting {
            reason: Statement {
                subject: Subject { stack: Some("snapshot".to_owned()), resource: None },
                sentence: sentence.to_owned(),
                data: Value::Null,
            },
            lasted: Duration::from_secs(seconds),
        };
        let mut figures = Figures::default();
        let told: Vec<bool> = [
            ("snapshot `a-1` is copying, 2 %", 0),
            ("snapshot `a-1` is copying, 9 %", 30),
            ("snapshot `a-1` is copying, 11 %", 60),
            ("snapshot `a-1` is copying, 12 %", 61),
            ("snapshot `a-1` is available", 62),
        ]
        .map(|(sentence, seconds)| figures.is_news(&waiting(sentence, seconds)))
        .into();
        assert_eq!(told, [true, false, true, false, true]);
    }

    fn line(text: &str) -> Line {
        Line { tone: Tone::Good, text: text.to_owned() }
    }

    #[test]
    fn lines_are_written_over_the_last_ones() {
        let mut canvas = Canvas::default();
        assert_eq!(canvas.redraw(&[], &[line("one"), line("two")], 80, false), "\r\x1b[Kone\n\x1b[Ktwo\n\x1b[J");
        assert_eq!(canvas.redraw(&[], &[line("three")], 80, false), "\r\x1b[2A\x1b[Kthree\n\x1b[J");
        assert_eq!(canvas.redraw(&[], &[], 80, false), "\r\x1b[1A\x1b[J");
        assert_eq!(canvas.redraw(&[], &[], 80, false), "\r\x1b[J");
    }

    #[test]
    fn what_is_said_for_good_stands_above() {
        let mut canvas = Canvas::default();
        let _ = canvas.redraw(&[], &[line("one")], 80, false);
        let text = canvas.redraw(&["broken".to_owned()], &[line("one")], 80, true);
        assert_eq!(text, "\r\x1b[1A\x1b[Jbroken\n\x1b[K\x1b[32mo\x1b[0mne\n\x1b[J");
    }

    #[test]
    fn a_screen_that_became_narrower_has_broken_the_lines() {
        let mut canvas = Canvas::default();
        let _ = canvas.redraw(&[], &[line("0123456789"), line("01")], 80, false);
        assert_eq!(canvas.redraw(&[], &[line("0…")], 4, false), "\r\x1b[4A\x1b[J\x1b[K0…\n\x1b[J");
    }
}
