//! What was meant: one file a verb, from the request to the report.

mod affected;
mod bootstrap;
mod cancel;
mod check;
mod clone;
mod cloud;
mod deploy;
mod destroy;
mod diff;
mod documents;
mod drift;
mod explain;
mod graph;
mod init;
mod inputs;
mod lines;
mod local;
mod log;
mod permissions;
mod read_only;
mod reap;
mod recover;
mod render;
mod schema;
mod sealed;
mod simulate;
mod since;
mod status;
mod writing;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jiff::civil::Date;

use crate::check::Findings;
use crate::cli::{Cli, Common, Format, Verb};
use crate::environment::project::{find, load};
use crate::environment::resolve::{resolve, resolve_as};
use crate::environment::source::{sentence, shown};
use crate::environment::{Environment, EnvironmentName, Mistake, Project, Sources, Stack, Words};
use crate::error::{Exit, Failure};
use crate::template::Templates;
use crate::template::secrets::secrets_in_clear;
use crate::view::{Report, View};

/// How a verb ended: what it has to say, the texts that its places are in, and the exit code.
pub struct Done {
    /// What it has to say.
    pub report: Report,
    /// The texts that places lead into.
    pub sources: Sources,
    /// How the process ends.
    pub exit: Exit,
}

impl Done {
    fn with(report: Report) -> Self {
        Self { report, sources: Sources::default(), exit: Exit::Done }
    }

    /// The files are wrong: all that is known of it.
    fn mistaken(findings: Findings, sources: Sources) -> Self {
        let exit = if findings.has_errors() { Exit::Usage } else { Exit::Done };
        Self { report: Report::Findings(findings.sorted()), sources, exit }
    }
}

/// Why a verb stops before its end.
enum Stop {
    /// The project's files are wrong.
    Mistakes(Findings, Sources),
    /// Anything else.
    Failure(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

type Ended = Result<Done, Stop>;

/// Does what was typed. Progress is told to `view` as it happens.
///
/// # Errors
/// What could not be done, and why. Mistakes in the files are not a failure but a report.
pub fn run(cli: Cli, view: View) -> Result<Done, Failure> {
    let common = &cli.common;
    ensure_drawable(&cli)?;
    let ended = match cli.verb {
        Verb::Init(request) => init::run(&request),
        Verb::Render(request) => render::run(common, &request),
        Verb::Check(request) => check::run(common, &request),
        Verb::Inputs(request) => inputs::run(common, &request),
        Verb::Explain(request) => explain::run(common, &request),
        Verb::Diff(request) => diff::run(common, &request, view),
        Verb::Affected(request) => affected::run(common, &request, view),
        Verb::Plan(request) => deploy::run_plan(common, &request, view),
        Verb::Deploy(request) => deploy::run_deploy(common, &request, view),
        Verb::Status(request) => status::run_status(common, &request, view),
        Verb::Cancel(request) => cancel::run(common, &request, view),
        Verb::Recover(request) => recover::run(common, &request, view),
        Verb::Log(request) => log::run(common, &request, view),
        Verb::Outputs(request) => status::run_outputs(common, &request, view),
        Verb::Drift(request) => drift::run(common, &request, view),
        Verb::Clone(request) => clone::run(common, &request, view),
        Verb::Bootstrap(request) => bootstrap::run(common, &request, view),
        Verb::Destroy(request) => destroy::run(common, &request, view),
        Verb::Reap(request) => reap::run(common, &request, view),
        Verb::Permissions(request) => permissions::run(common, &request),
        Verb::Graph(request) => graph::run(common, &request),
        Verb::Schema(request) => schema::run(common, &request),
        Verb::Simulate(request) => simulate::run(common, &request, view),
        Verb::Completions(request) => Ok(documents::completions(&request)),
        Verb::Man(request) => documents::man(&request),
    };
    match ended {
        Ok(done) => Ok(done),
        Err(Stop::Mistakes(findings, sources)) => Ok(Done::mistaken(findings, sources)),
        Err(Stop::Failure(failure)) => Err(failure),
    }
}

/// The formats for pipelines are for what looks: what decides or changes something has no findings.
fn ensure_drawable(cli: &Cli) -> Result<(), Failure> {
    let is_drawable = match &cli.verb {
        Verb::Check(_) | Verb::Plan(_) => true,
        Verb::Drift(request) => request.adopt.is_none() && request.revert.is_none() && request.ignore.is_none(),
        _ => false,
    };
    match cli.common.format {
        Format::Junit | Format::Sarif | Format::Github | Format::Markdown if !is_drawable => {
            let what = "this has no such format: `junit`, `sarif`, `github` and `markdown` are for `check`, `plan` and `drift`";
            Err(Failure::new(Exit::Usage, what).hint("`--format json` is for programs, and every verb has it"))
        }
        _ => Ok(()),
    }
}

/// What leads from the root of the checkout to the project: empty, or ends with `/`. Pipelines name files from that root.
pub fn folder(common: &Common) -> String {
    let root = common.project.clone().or_else(|| find(&current_directory().ok()?).ok());
    let Some(root) = root.and_then(|root| root.canonicalize().ok()) else { return String::new() };
    let checkout = root.ancestors().find(|directory| directory.join(".git").exists());
    match checkout.map(|checkout| shown(checkout, &root)) {
        Some(path) if !path.is_empty() => format!("{path}/"),
        Some(_) | None => String::new(),
    }
}

/// Mistakes of one environment, ready to be shown.
fn mistakes(mistakes: impl IntoIterator<Item = Mistake>, context: Option<&str>, project: &Project) -> Stop {
    let mut findings = Findings::default();
    findings.extend(mistakes, context);
    Stop::Mistakes(discreet(findings, project), project.sources.clone())
}

/// Findings that may be shown: without the secrets that stand beside them.
fn discreet(findings: Findings, project: &Project) -> Findings {
    let concealed = if findings.all.is_empty() { Vec::new() } else { secrets_in_clear(project) };
    Findings { concealed, ..findings }
}

fn current_directory() -> Result<PathBuf, Failure> {
    std::env::current_dir().map_err(|error| {
        Failure::new(Exit::Failed, "the current directory cannot be told")
            .because(sentence(&error))
            .hint("change into a directory that exists")
    })
}

/// The directory of the project that the user stands in, or names.
fn project_root(common: &Common) -> Result<PathBuf, Stop> {
    Ok(project(common)?.root)
}

/// The project that the user stands in, or names.
fn project(common: &Common) -> Result<Project, Stop> {
    let root = match &common.project {
        Some(directory) => Ok(directory.clone()),
        None => find(&current_directory()?),
    };
    let found = root.and_then(|root| load(&root));
    found.map_err(|mistake| {
        let mut findings = Findings::default();
        findings.add(*mistake, None);
        Stop::Mistakes(findings, Sources::default())
    })
}

/// The name of an environment as it was typed.
fn name(text: &str) -> Result<EnvironmentName, Failure> {
    text.parse().map_err(|error: crate::environment::NameFault| {
        Failure::new(Exit::Usage, error.to_string()).hint("write `production`, or `scratch@NAME` for one of many")
    })
}

/// An environment of the project, without a mistake.
fn environment(project: &Project, name: &EnvironmentName) -> Result<Environment, Stop> {
    environment_as(project, name, None)
}

/// An environment of the project, with another's words.
fn environment_as(project: &Project, name: &EnvironmentName, words: Option<&Words>) -> Result<Environment, Stop> {
    let resolution = match words {
        None => resolve(project, name),
        Some(words) => resolve_as(project, name, Some(words)),
    };
    let context = name.file.as_str();
    match resolution.environment {
        Some(environment) if resolution.mistakes.is_empty() => Ok(environment),
        _ => Err(mistakes(resolution.mistakes, Some(context), project)),
    }
}

/// The templates that these environments are made of.
fn templates<'a>(project: &mut Project, environments: impl IntoIterator<Item = &'a Environment>) -> Templates {
    let stacks = environments.into_iter().flat_map(|environment| &environment.stacks).filter(|stack| stack.is_managed);
    let wanted: BTreeSet<String> = stacks.map(|stack| stack.template.value.clone()).collect();
    Templates::load(project, &wanted)
}

/// Every template of the project.
fn all_templates(project: &mut Project) -> Templates {
    Templates::load_all(project)
}

/// The stacks that were asked for, in the order of the environment; all that greenroom deploys if none was.
fn stacks<'a>(environment: &'a Environment, asked: &[String]) -> Result<Vec<&'a Stack>, Failure> {
    for name in asked {
        let Some(stack) = environment.stack(name) else {
            let names: Vec<&str> = environment.stacks.iter().map(|stack| stack.name.as_str()).collect();
            let near = crate::environment::did_you_mean(name, names.iter().copied());
            let hint = near.unwrap_or_else(|| format!("it has: {}", names.join(", ")));
            return Err(Failure::new(Exit::Usage, format!("`{}` has no stack `{name}`", environment.name)).hint(hint));
        };
        if !stack.is_managed {
            let what =
                format!("`{}/{name}` is not managed: its outputs are read, nothing is rendered", environment.name);
            return Err(Failure::new(Exit::Usage, what));
        }
    }
    let is_asked = |stack: &&Stack| stack.is_managed && (asked.is_empty() || asked.contains(&stack.name));
    Ok(environment.stacks.iter().filter(is_asked).collect())
}

/// The day it is, for exceptions that end. `SOURCE_DATE_EPOCH` (reproducible-builds.org) says another, in seconds since 1970.
fn today() -> Date {
    let said = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.parse::<i64>().ok());
    let now = said.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok()).unwrap_or_else(jiff::Timestamp::now);
    now.to_zoned(jiff::tz::TimeZone::UTC).date()
}

/// A path as it is shown: relative where the user stands.
fn display(path: &Path) -> String {
    path.display().to_string()
}
