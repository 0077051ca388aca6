//! `status --watch`: a picture redrawn in place on a terminal, a line a change anywhere else. Both on stdout: they are the result.

use std::io::Write;

use super::board::{Canvas, can_redraw, size};
use super::table::{Line, Tone, fit};
use super::{Style, View, Volume, deployment};
use crate::status::Status;
use crate::status::watch::Change;

/// Where environments are watched.
#[derive(Debug)]
pub struct Watch {
    view: View,
    canvas: Option<Canvas>,
    /// The trouble that was told last, so that it is told once.
    trouble: Option<String>,
}

impl Watch {
    pub(super) fn new(view: View) -> Self {
        let stdout = std::io::stdout();
        let is_live = view.style == Style::Human && view.volume != Volume::Verbose && can_redraw(&stdout);
        Self { view, canvas: is_live.then(Canvas::default), trouble: None }
    }

    /// Shows how things are, what of it is new, and what keeps it from being seen.
    ///
    /// # Errors
    /// When stdout cannot be written: then nobody watches any more.
    pub fn show(&mut self, statuses: &[Status], changes: &[Change], trouble: Option<&str>) -> std::io::Result<()> {
        if let Some(canvas) = &mut self.canvas {
            return draw(canvas, statuses, trouble);
        }
        if let Some(trouble) = trouble.filter(|trouble| self.trouble.as_deref() != Some(trouble)) {
            self.view.note(&format!("! {trouble}"));
        }
        self.trouble = trouble.map(ToOwned::to_owned);
        let text: String = changes.iter().map(|change| line(self.view.style, change) + "\n").collect();
        let mut stdout = anstream::stdout();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }
}

fn line(style: Style, change: &Change) -> String {
    match style {
        Style::Human => deployment::changed(change),
        Style::Json => serde_json::json!({ "schema": 1, "changed": change }).to_string(),
    }
}

fn draw(canvas: &mut Canvas, statuses: &[Status], trouble: Option<&str>) -> std::io::Result<()> {
    let stdout = std::io::stdout();
    let size = size(&stdout);
    let text = statuses.iter().map(deployment::status).collect::<Vec<_>>().join("\n");
    let trouble = trouble.map(|trouble| format!("! {trouble}"));
    let all: Vec<&str> = text.lines().chain(trouble.as_deref()).collect();
    let room = size.rows.saturating_sub(1).max(1);
    let (shown, hidden) = if all.len() > room { all.split_at(room - 1) } else { (all.as_slice(), &[][..]) };
    let more = (!hidden.is_empty()).then(|| format!("… and {} more lines", hidden.len()));
    let lines: Vec<Line> = shown
        .iter()
        .copied()
        .chain(more.as_deref())
        .map(|text| Line { tone: Tone::Lively, text: fit(text, size.columns.saturating_sub(1)) })
        .collect();
    let text = canvas.redraw(&[], &lines, size.columns, false);
    let mut stdout = stdout.lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}
