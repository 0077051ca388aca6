//! What a run shows on a terminal while it goes on: a row a stack. Pure: from the events so far, the time that has passed and the
//! size of the screen to lines; [`board`](super::board) puts them there.

use std::time::Duration;

use serde_json::Value as Json;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::operation::{Event, Statement};
use crate::view::deployment::{self, seconds};
use crate::view::human::plural;

/// A stack that may get a row, in the order of work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// The stack.
    pub stack: String,
    /// How many resources it has once it is created; nothing where that is not known before.
    pub resources: Option<usize>,
}

/// How much room there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    /// Cells in a line.
    pub(super) columns: usize,
    /// Lines.
    pub(super) rows: usize,
}

/// How a line is meant, for those who see colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// It went well.
    Good,
    /// It went badly.
    Bad,
    /// It goes on.
    Lively,
    /// It waits.
    Faint,
}

/// A line that fits on the screen. Its first character is the sign that wears the tone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) tone: Tone,
    pub(super) text: String,
}

/// One picture a tenth of a second, of dots that run round.
const SPINNER: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/// What has been heard so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    expected: Vec<Expected>,
    rows: Vec<Row>,
    /// What is waited for without being about a stack.
    notice: Option<String>,
    /// Nobody looks any more.
    is_over: bool,
}

#[derive(Clone, Debug)]
struct Row {
    stack: String,
    state: State,
    /// A failure that was told already, so that it is told once.
    failure: Option<String>,
    /// What it will be when what was begun has ended: a quick end is seen by no look.
    begun: Option<&'static str>,
    /// What it will be when what is computed is begun.
    intended: Option<&'static str>,
}

#[derive(Clone, Debug, PartialEq)]
enum State {
    Waiting { sentence: String },
    Running { doing: String, count: String, detail: String, since: Duration },
    Done { what: String, count: String, lasted: Duration },
    Failed { doing: String },
}

impl Table {
    /// Nothing has been heard; these stacks may be.
    pub(super) fn new(expected: &[Expected]) -> Self {
        Self { expected: expected.to_vec(), ..Self::default() }
    }

    /// Hears what happened, so long after the run began. Gives what is to be said for good, above the table.
    pub(super) fn hear(&mut self, event: &Event, at: Duration) -> Vec<String> {
        match event {
            Event::Began { .. } | Event::Planned { .. } | Event::Ended { error: None, .. } => Vec::new(),
            Event::Started { step } => {
                self.start(step, at);
                Vec::new()
            }
            Event::Waiting { reason, .. } => self.wait(reason, at),
            Event::Cleared { reason, .. } => {
                self.clear(reason, at);
                Vec::new()
            }
            Event::Ended { error: Some(_), .. } | Event::Refused { .. } | Event::Failed { .. } => {
                deployment::event(event).into_iter().collect()
            }
        }
    }

    /// The run stops before its goal, and these stacks are why; what goes on goes on unwatched.
    pub(super) fn stop(&mut self, stacks: &[String]) {
        self.is_over = true;
        for row in self.rows.iter_mut().filter(|row| stacks.contains(&row.stack)) {
            row.state = State::Failed { doing: "failed".to_owned() };
        }
    }

    /// The goal is reached: what was begun is done, and what was merely looked into is no news.
    pub(super) fn settle(&mut self, at: Duration) {
        for row in 0..self.rows.len() {
            let Row { stack, state, begun, .. } = &self.rows[row];
            if let (State::Running { since, .. }, Some(what)) = (state, *begun) {
                let (count, lasted) = (self.count(stack, what), at.saturating_sub(*since));
                self.rows[row].state = State::Done { what: what.to_owned(), count, lasted };
            }
        }
        self.rows.retain(|row| matches!(row.state, State::Done { .. } | State::Failed { .. }));
        self.notice = None;
    }

    fn wait(&mut self, reason: &Statement, at: Duration) -> Vec<String> {
        let Some(stack) = &reason.subject.stack else {
            self.notice = Some(reason.sentence.clone());
            return Vec::new();
        };
        match word(&reason.data, "reason") {
            "busy" | "deleting" => return self.progress(stack, &reason.data, at),
            "computing" => self.run(reason, COMPUTING, at),
            "beginning" => self.run(reason, "beginning", at),
            "clearing" => self.run(reason, CLEARING, at),
            "cannot_reach" => self.run(reason, &reason.sentence, at),
            "after" => {
                let sentence = format!("waiting for {}", reason.sentence.trim_start_matches("after "));
                self.row(stack).state = State::Waiting { sentence };
            }
            _ => self.row(stack).state = State::Waiting { sentence: format!("waiting: {}", reason.sentence) },
        }
        Vec::new()
    }

    /// An operation of CloudFormation goes on.
    fn progress(&mut self, stack: &str, data: &Json, at: Duration) -> Vec<String> {
        let status = word(data, "status");
        let progress = &data["progress"];
        let number = |name: &str| progress[name].as_u64().and_then(|it| usize::try_from(it).ok()).unwrap_or_default();
        // What is still to come is known only of what is created; CloudFormation tells what has begun.
        let expected = if status == "CREATE_IN_PROGRESS" { self.expected_resources(stack) } else { None };
        let all = number("begun").max(expected.unwrap_or_default());
        let count = if all == 0 { String::new() } else { format!("{} of {all}", number("done")) };
        let (resource, news) = (word(progress, "resource"), word(progress, "news"));
        let is_news = !news.is_empty() && !PLATITUDES.contains(&news);
        let detail = if is_news { format!("{resource}: {news}") } else { resource.to_owned() };
        let failure = failure(progress);
        let row = self.row(stack);
        let since = row.since(at);
        row.state = State::Running { doing: doing(status).to_owned(), count, detail, since };
        let is_told = failure.is_none() || row.failure == failure;
        row.failure.clone_from(&failure);
        let told = failure.filter(|_| !is_told);
        told.map(|failure| format!("✗ {stack}  {failure}")).into_iter().collect()
    }

    fn start(&mut self, step: &Statement, at: Duration) {
        self.run(step, step_in_words(step), at);
        let Some(stack) = &step.subject.stack else { return };
        let row = self.row(stack);
        match word(&step.data, "step") {
            "create_change_set" if word(&step.data, "kind") == "create" => row.intended = Some("created"),
            "create_change_set" => row.intended = Some("updated"),
            "execute_change_set" => row.begun = row.intended.or(Some("updated")),
            "delete_stack" => row.begun = Some("deleted"),
            _ => {}
        }
    }

    fn run(&mut self, about: &Statement, doing: &str, at: Duration) {
        let Some(stack) = &about.subject.stack else { return };
        let row = self.row(stack);
        // What was done stays done while somebody makes sure of it.
        if matches!(row.state, State::Done { .. }) && LOOKING.contains(&doing) {
            return;
        }
        let since = row.since(at);
        row.state = State::Running { doing: doing.to_owned(), count: String::new(), detail: String::new(), since };
    }

    fn clear(&mut self, reason: &Statement, at: Duration) {
        let Some(stack) = &reason.subject.stack else {
            self.notice = None;
            return;
        };
        if !matches!(word(&reason.data, "reason"), "busy" | "deleting") {
            return;
        }
        let status = word(&reason.data, "status");
        let count = self.count(stack, done(status).unwrap_or_default());
        let row = self.row(stack);
        row.begun = None;
        let lasted = at.saturating_sub(row.since(at));
        row.state = match done(status) {
            Some(what) => State::Done { what: what.to_owned(), count, lasted },
            None => State::Failed { doing: "rolled back".to_owned() },
        };
    }

    /// How much was done, where that is known.
    fn count(&self, stack: &str, what: &str) -> String {
        let resources = if what == "created" { self.expected_resources(stack) } else { None };
        resources.map(|count| plural(count, "resource")).unwrap_or_default()
    }

    fn expected_resources(&self, stack: &str) -> Option<usize> {
        self.expected.iter().find(|expected| expected.stack == stack)?.resources
    }

    /// The row of a stack: in the order of work, and behind all of it if nobody expected it.
    fn row(&mut self, stack: &str) -> &mut Row {
        let place = |name: &str| self.expected.iter().position(|it| it.stack == name).unwrap_or(usize::MAX);
        let position = match self.rows.iter().position(|row| row.stack == stack) {
            Some(position) => position,
            None => {
                let position = self.rows.partition_point(|row| place(&row.stack) <= place(stack));
                let state = State::Waiting { sentence: String::new() };
                self.rows.insert(
                    position,
                    Row { stack: stack.to_owned(), state, failure: None, begun: None, intended: None },
                );
                position
            }
        };
        &mut self.rows[position]
    }

    /// The lines, each narrower than the screen, and fewer than it has: what is drawn over must not have wrapped or scrolled away.
    pub(super) fn lines(&self, at: Duration, size: Size) -> Vec<Line> {
        let room = size.rows.saturating_sub(1).max(1);
        let notice = self.notice.as_ref().map(|notice| Line { tone: Tone::Lively, text: format!("! {notice}") });
        let room = room.saturating_sub(notice.iter().len());
        let (shown, hidden) = self.shown(room);
        let cells: Vec<[String; 4]> = shown.iter().map(|row| row.cells(at)).collect();
        let is_wide = |row: &&Row| matches!(row.state, State::Waiting { .. });
        let width = |column: usize| {
            let cells = shown.iter().zip(&cells).filter(|(row, _)| column == 0 || !is_wide(row));
            cells.map(|(_, cells)| cells[column].width()).max().unwrap_or_default()
        };
        let widths = [width(0), width(1), width(2), width(3)];
        let lines = shown.iter().zip(&cells).map(|(row, cells)| row.line(cells, widths, self.spinner(at)));
        let more = (hidden > 0).then(|| Line { tone: Tone::Faint, text: format!("  … and {hidden} more") });
        let fitted = |line: Line| Line { text: fit(&line.text, size.columns.saturating_sub(1)), ..line };
        lines.chain(more).chain(notice).map(fitted).collect()
    }

    fn spinner(&self, at: Duration) -> char {
        let frame = usize::try_from(at.as_millis() / 100).unwrap_or_default() % SPINNER.len();
        if self.is_over { '·' } else { SPINNER[frame] }
    }

    /// The rows there is room for, and how many there are beside them: what is done goes first, then what waits.
    fn shown(&self, room: usize) -> (Vec<&Row>, usize) {
        let mut shown: Vec<&Row> = self.rows.iter().collect();
        if shown.len() <= room {
            return (shown, 0);
        }
        let dispensable: [fn(&State) -> bool; 3] =
            [|state| matches!(state, State::Done { .. }), |state| matches!(state, State::Waiting { .. }), |_| true];
        for is_dispensable in dispensable {
            while shown.len() + 1 > room
                && let Some(position) = shown.iter().position(|row| is_dispensable(&row.state))
            {
                shown.remove(position);
            }
        }
        let hidden = self.rows.len() - shown.len();
        (shown, hidden)
    }
}

impl Row {
    /// When its present work began.
    fn since(&self, at: Duration) -> Duration {
        match self.state {
            State::Running { since, .. } => since,
            State::Waiting { .. } | State::Done { .. } | State::Failed { .. } => at,
        }
    }

    /// What it does, how much of it, for how long, and what of it just now.
    fn cells(&self, at: Duration) -> [String; 4] {
        let stack = self.stack.clone();
        match &self.state {
            State::Waiting { .. } => [stack, String::new(), String::new(), String::new()],
            State::Running { doing, count, since, .. } => {
                [stack, doing.clone(), count.clone(), seconds(at.saturating_sub(*since))]
            }
            State::Done { what, count, lasted } => [stack, what.clone(), count.clone(), seconds(*lasted)],
            State::Failed { doing } => [stack, doing.clone(), String::new(), String::new()],
        }
    }

    fn line(&self, cells: &[String; 4], widths: [usize; 4], spinner: char) -> Line {
        let [stack, doing, count, time] = [0, 1, 2, 3].map(|column| padded(&cells[column], widths[column]));
        let (tone, text) = match &self.state {
            State::Waiting { sentence } => (Tone::Faint, format!("· {stack}  {sentence}")),
            State::Running { detail, .. } => {
                (Tone::Lively, format!("{spinner} {stack}  {doing}  {count}  {time}  {detail}"))
            }
            State::Done { .. } => (Tone::Good, format!("✔ {stack}  {doing}  {count}  {time}")),
            State::Failed { .. } => (Tone::Bad, format!("✗ {stack}  {doing}")),
        };
        Line { tone, text: text.trim_end().to_owned() }
    }
}

const COMPUTING: &str = "computing its changes";
const CLEARING: &str = "clearing away a change set";

/// What changes nothing that runs.
const LOOKING: [&str; 2] = [COMPUTING, CLEARING];

/// What CloudFormation says of every resource.
const PLATITUDES: [&str; 2] = ["Resource creation Initiated", "User Initiated"];

fn word<'a>(data: &'a Json, name: &str) -> &'a str {
    data[name].as_str().unwrap_or_default()
}

/// `Queue: name taken`.
fn failure(progress: &Json) -> Option<String> {
    let failure = progress.get("failure")?;
    let parts = ["resource", "reason"].map(|name| word(failure, name).trim_end_matches('.'));
    Some(parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": "))
}

fn step_in_words(step: &Statement) -> &str {
    match word(&step.data, "step") {
        "create_change_set" => COMPUTING,
        "execute_change_set" => "beginning",
        "delete_change_set" => CLEARING,
        "protect_stack" => "protecting it",
        "delete_stack" | "delete_failed_stack" => "deleting",
        _ => &step.sentence,
    }
}

/// `CREATE_IN_PROGRESS` is "creating".
fn doing(status: &str) -> &'static str {
    match status {
        "CREATE_IN_PROGRESS" => "creating",
        "UPDATE_IN_PROGRESS" => "updating",
        "DELETE_IN_PROGRESS" => "deleting",
        "IMPORT_IN_PROGRESS" => "importing",
        "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS" | "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS" => "clearing away",
        "ROLLBACK_IN_PROGRESS" | "UPDATE_ROLLBACK_IN_PROGRESS" | "IMPORT_ROLLBACK_IN_PROGRESS" => "rolling back",
        _ => "changing",
    }
}

/// What is done when that has come to its end; nothing where it was the undoing of something.
fn done(status: &str) -> Option<&'static str> {
    match status {
        "CREATE_IN_PROGRESS" => Some("created"),
        "DELETE_IN_PROGRESS" => Some("deleted"),
        "IMPORT_IN_PROGRESS" => Some("imported"),
        status if status.contains("ROLLBACK") => None,
        _ => Some("updated"),
    }
}

fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

/// A text as it may be put on a terminal, in so many cells at most: what comes from elsewhere moves no cursor and breaks no line.
pub(super) fn fit(text: &str, columns: usize) -> String {
    let plain: String = text.chars().map(|it| if it.is_control() { ' ' } else { it }).collect();
    if plain.width() <= columns {
        return plain;
    }
    let mut fitted = String::new();
    let mut taken = 0;
    for character in plain.chars() {
        taken += character.width().unwrap_or_default();
        if taken >= columns {
            break;
        }
        fitted.push(character);
    }
    if columns > 0 {
        fitted.push('…');
    }
    fitted
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::operation::Subject;

    fn about(stack: Option<&str>, sentence: &str, data: Json) -> Statement {
        let subject = Subject { stack: stack.map(ToOwned::to_owned), resource: None };
        Statement { subject, sentence: sentence.to_owned(), data }
    }

    fn busy(stack: &str, status: &str, progress: &Json) -> Statement {
        about(Some(stack), "busy", json!({"reason": "busy", "status": status, "progress": progress}))
    }

    fn waiting(reason: Statement) -> Event {
        Event::Waiting { reason, lasted: Duration::ZERO }
    }

    fn cleared(reason: Statement) -> Event {
        Event::Cleared { reason, lasted: Duration::ZERO }
    }

    fn after(stack: &str, whom: &str) -> Statement {
        about(Some(stack), &format!("after {whom}"), json!({"reason": "after"}))
    }

    const WIDE: Size = Size { columns: 100, rows: 40 };

    fn tenths(tenths: u64) -> Duration {
        Duration::from_millis(tenths * 100)
    }

    fn expected() -> Vec<Expected> {
        [("network", Some(11)), ("elk", Some(31)), ("sync-api", None)]
            .map(|(stack, resources)| Expected { stack: stack.to_owned(), resources })
            .into()
    }

    /// The network is there, the cluster is on its way, the API waits for it.
    fn table() -> Table {
        let mut table = Table::new(&expected());
        let network = busy("network", "CREATE_IN_PROGRESS", &json!({"done": 3, "begun": 4}));
        let news = "1 of 1 instances in service";
        let progress = json!({"done": 22, "begun": 25, "resource": "DataNodes", "news": news});
        for (at, event) in [
            (0, waiting(after("sync-api", "elk (LogstashUrl)"))),
            (1, waiting(network.clone())),
            (5, cleared(network)),
            (6, waiting(busy("elk", "CREATE_IN_PROGRESS", &progress))),
        ] {
            assert_eq!(table.hear(&event, tenths(at)), [""; 0]);
        }
        table
    }

    #[track_caller]
    fn check(table: &Table, at: u64, size: Size, expectation: &[&str]) {
        let lines: Vec<String> = table.lines(tenths(at), size).into_iter().map(|line| line.text).collect();
        assert_eq!(lines, expectation);
    }

    #[test]
    fn a_row_a_stack_in_the_order_of_work() {
        let expectation = [
            "✔ network   created   11 resources  0.4 s",
            "⠹ elk       creating  22 of 31      1.6 s  DataNodes: 1 of 1 instances in service",
            "· sync-api  waiting for elk (LogstashUrl)",
        ];
        check(&table(), 22, WIDE, &expectation);
    }

    #[test]
    fn a_narrow_screen_cuts_and_never_wraps() {
        let size = Size { columns: 30, rows: 40 };
        let expectation =
            ["✔ network   created   11 res…", "⠹ elk       creating  22 of …", "· sync-api  waiting for elk …"];
        check(&table(), 22, size, &expectation);
        for columns in 0..60 {
            let lines = table().lines(tenths(22), Size { columns, rows: 40 });
            assert!(lines.iter().all(|line| line.text.width() <= columns.saturating_sub(1)), "{columns}: {lines:?}");
        }
    }

    #[test]
    fn a_low_screen_keeps_what_goes_on() {
        check(
            &table(),
            22,
            Size { columns: 100, rows: 3 },
            &["⠹ elk  creating  22 of 31  1.6 s  DataNodes: 1 of 1 instances in service", "  … and 2 more"],
        );
        for rows in 0..6 {
            assert!(table().lines(tenths(22), Size { columns: 80, rows }).len() <= rows.saturating_sub(1).max(1));
        }
    }

    #[test]
    fn a_failure_is_told_above_with_its_cause_and_once() {
        let mut table = table();
        let failure = json!({"resource": "DataNodes", "reason": "no capacity."});
        let progress = json!({"done": 1, "begun": 3, "failure": failure});
        let event = waiting(busy("elk", "ROLLBACK_IN_PROGRESS", &progress));
        assert_eq!(table.hear(&event, tenths(30)), ["✗ elk  DataNodes: no capacity"]);
        assert_eq!(table.hear(&event, tenths(31)), [""; 0]);
        check(&table, 32, Size { columns: 100, rows: 3 }, &["⠹ elk  rolling back  1 of 3  2.6 s", "  … and 2 more"]);
        let _ = table.hear(&cleared(busy("elk", "ROLLBACK_IN_PROGRESS", &json!({}))), tenths(40));
        let expectation = [
            "✔ network   created      11 resources  0.4 s",
            "✗ elk       rolled back",
            "· sync-api  waiting for elk (LogstashUrl)",
        ];
        check(&table, 40, WIDE, &expectation);
    }

    /// The last look may have missed the rollback: the end of the run knows better than the end of the wait.
    #[test]
    fn what_made_the_run_fail_is_not_ticked_off() {
        let mut table = table();
        table.stop(&["network".to_owned()]);
        let expectation = [
            "✗ network   failed",
            "· elk       creating  22 of 31  3.4 s  DataNodes: 1 of 1 instances in service",
            "· sync-api  waiting for elk (LogstashUrl)",
        ];
        check(&table, 40, WIDE, &expectation);
    }

    #[test]
    fn at_a_good_end_only_what_was_done_is_left() {
        let mut table = table();
        let _ = table.hear(&cleared(busy("elk", "CREATE_IN_PROGRESS", &json!({}))), tenths(46));
        table.settle(tenths(50));
        let expectation = ["✔ network  created  11 resources  0.4 s", "✔ elk      created  31 resources  4.0 s"];
        check(&table, 50, WIDE, &expectation);
    }

    /// Between two looks a small stack may be made or deleted: nobody waited for it.
    #[test]
    fn what_ended_unseen_is_done_all_the_same() {
        let step = |stack: &str, data: Json| Event::Started { step: about(Some(stack), "do it", data) };
        let mut table = Table::new(&expected());
        for event in [
            step("network", json!({"step": "create_change_set", "kind": "create"})),
            step("network", json!({"step": "execute_change_set"})),
            step("elk", json!({"step": "create_change_set", "kind": "update"})),
            step("sync-api", json!({"step": "delete_stack"})),
        ] {
            assert_eq!(table.hear(&event, tenths(0)), [""; 0]);
        }
        table.settle(tenths(5));
        let expectation = ["✔ network   created  11 resources  0.5 s", "✔ sync-api  deleted                0.5 s"];
        check(&table, 9, WIDE, &expectation);
    }

    #[test]
    fn what_is_out_of_reach_stands_below_until_it_is_reached() {
        let mut table = Table::new(&[]);
        let reason = about(None, "out of reach for the moment: rate exceeded", json!({"reason": "cannot_reach"}));
        let _ = table.hear(&waiting(reason.clone()), tenths(0));
        check(&table, 0, WIDE, &["! out of reach for the moment: rate exceeded"]);
        let _ = table.hear(&cleared(reason), tenths(1));
        check(&table, 1, WIDE, &[]);
    }

    #[test]
    fn text_from_elsewhere_moves_no_cursor_and_wide_characters_count_twice() {
        assert_eq!(fit("a\x1b[2Jb\nc", 20), "a [2Jb c");
        assert_eq!(fit("日本語", 5), "日本…");
        assert_eq!(fit("日本語", 6), "日本語");
        assert_eq!([fit("abc", 0), fit("abc", 1)], ["", "…"]);
    }
}
