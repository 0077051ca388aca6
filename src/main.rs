//! Parses what was typed, runs it, and ends with its exit code; nothing else.

use std::process::ExitCode;

use clap::Parser;
use greenroom::cli::{Cli, Color, Common, Format};
use greenroom::commands;
use greenroom::error::{Exit, Failure};
use greenroom::view::{Style, View, Volume};

fn main() -> ExitCode {
    let view = View { style: asked_style(), volume: Volume::Usual };
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return not_understood(&error, view),
    };
    match cli.common.color {
        Color::Auto => {}
        Color::Always => anstream::ColorChoice::Always.write_global(),
        Color::Never => anstream::ColorChoice::Never.write_global(),
    }
    let view = View { style: style(cli.common.format), volume: volume(&cli.common) };
    let exit = match commands::run(cli, view) {
        Ok(done) => match view.report(&done.report, &done.sources) {
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

fn style(format: Format) -> Style {
    match format {
        Format::Human => Style::Human,
        Format::Json => Style::Json,
    }
}

fn volume(common: &Common) -> Volume {
    match (common.quiet, common.verbose) {
        (true, _) => Volume::Quiet,
        (false, true) => Volume::Verbose,
        (false, false) => Volume::Usual,
    }
}

/// The view is chosen before the arguments are judged, so that usage errors honour `--format json` too.
fn asked_style() -> Style {
    let arguments: Vec<String> = std::env::args().collect();
    let is_json = arguments.iter().any(|argument| argument == "--format=json")
        || arguments.windows(2).any(|pair| pair == ["--format", "json"]);
    if is_json { Style::Json } else { Style::Human }
}

/// `--help`, `--version`, and what clap does not understand.
fn not_understood(error: &clap::Error, view: View) -> ExitCode {
    if view.style == Style::Human || !error.use_stderr() {
        // Nobody is left to tell if the terminal is gone.
        let _ = error.print();
        return ExitCode::from(if error.use_stderr() { Exit::Usage.code() } else { Exit::Done.code() });
    }
    let text = error.render().to_string();
    let first_paragraph = text.lines().map(str::trim).take_while(|line| !line.is_empty());
    let what = first_paragraph.collect::<Vec<_>>().join(" ").trim_start_matches("error: ").to_string();
    ExitCode::from(ended(view, &Failure::new(Exit::Usage, what).hint("`greenroom --help` lists the verbs")).code())
}
