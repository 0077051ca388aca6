//! Parses what was typed, runs it, and ends with its exit code; nothing else.

use std::process::ExitCode;

use clap::{Parser, ValueEnum as _};
use greenroom::cli::{Cli, Color, Common, Format};
use greenroom::commands;
use greenroom::error::{Exit, Failure};
use greenroom::view::{Document, Style, View, Volume};

fn main() -> ExitCode {
    let (style, document) = drawn_as(asked_format());
    let view = View { style, volume: Volume::Usual, document };
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return not_understood(&error, view),
    };
    match cli.common.color {
        Color::Auto => {}
        Color::Always => anstream::ColorChoice::Always.write_global(),
        Color::Never => anstream::ColorChoice::Never.write_global(),
    }
    let (style, document) = drawn_as(cli.common.format);
    let view = View { style, volume: volume(&cli.common), document };
    let folder = if document.is_some() { commands::folder(&cli.common) } else { String::new() };
    let exit = match commands::run(cli, view) {
        Ok(done) => match view.result(&done.report, &done.sources, done.exit, &folder) {
            Ok(()) => done.exit,
            Err(error) => ended(view, &Failure::new(Exit::Failed, "stdout cannot be written").because(error)),
        },
        Err(failure) => ended(view, &failure),
    };
    ExitCode::from(exit.code())
}

fn ended(view: View, failure: &Failure) -> Exit {
    view.failure(failure);
    failure.exit
}

/// How things are told, and what the result is drawn as.
fn drawn_as(format: Format) -> (Style, Option<Document>) {
    match format {
        Format::Human => (Style::Human, None),
        Format::Json => (Style::Json, None),
        Format::Junit => (Style::Human, Some(Document::Junit)),
        Format::Sarif => (Style::Human, Some(Document::Sarif)),
        Format::Github => (Style::Human, Some(Document::Github)),
        Format::Markdown => (Style::Human, Some(Document::Markdown)),
    }
}

fn volume(common: &Common) -> Volume {
    match (common.quiet, common.verbose) {
        (true, _) => Volume::Quiet,
        (false, true) => Volume::Verbose,
        (false, false) => Volume::Usual,
    }
}

/// The view is chosen before the arguments are judged, so that usage errors honour `--format` too.
fn asked_format() -> Format {
    let arguments: Vec<String> = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect();
    let joined = arguments.iter().find_map(|argument| argument.strip_prefix("--format="));
    let apart = || arguments.windows(2).find(|pair| pair[0] == "--format").map(|pair| pair[1].as_str());
    joined.or_else(apart).and_then(|name| Format::from_str(name, false).ok()).unwrap_or(Format::Human)
}

/// `--help`, `--version`, and what clap does not understand.
fn not_understood(error: &clap::Error, view: View) -> ExitCode {
    if view.style == Style::Human && view.document.is_none() || !error.use_stderr() {
        // Nobody is left to tell if the terminal is gone.
        let _ = error.print();
        return ExitCode::from(if error.use_stderr() { Exit::Usage.code() } else { Exit::Done.code() });
    }
    let text = error.render().to_string();
    let first_paragraph = text.lines().map(str::trim).take_while(|line| !line.is_empty());
    let what = first_paragraph.collect::<Vec<_>>().join(" ").trim_start_matches("error: ").to_string();
    ExitCode::from(ended(view, &Failure::new(Exit::Usage, what).hint("`greenroom --help` lists the verbs")).code())
}
