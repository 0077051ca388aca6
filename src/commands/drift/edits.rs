//! What is decided about drift by a line in an environment's file: that it may stay for a while, or that it is right.
//!
//! Everything is done in memory first: the edit, the reading of what came of it, the renderings of all environments. Only what
//! has proved itself is written, and only over the file that was read.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde_json::Value as Json;

use super::{look, report};
use crate::check::Findings;
use crate::cli::{Common, Drift};
use crate::commands::cloud::block_on;
use crate::commands::deploy::{Wanted, reached, wanted};
use crate::commands::writing::{NewFile, write};
use crate::commands::{Done, Ended, Stop, all_templates, discreet, today};
use crate::drift::adopt::{Objection, Said, Setting, Source, is_same, setting};
use crate::drift::report::{Change, Edits, FileEdit};
use crate::drift::{Class, Finding, Settled, World};
use crate::environment::edit::{EditFault, New, append, set};
use crate::environment::project::ENVIRONMENTS;
use crate::environment::resolve::{name_to_try, resolve};
use crate::environment::shape::parse_date;
use crate::environment::source::{read_file, sentence};
use crate::environment::{Content, Entry, Environment, EnvironmentName, Exception, Node, Project, Style, did_you_mean};
use crate::error::{Exit, Failure};
use crate::template::compare::{Difference, compare};
use crate::template::inputs::plain;
use crate::template::{ParameterValue, Templates};
use crate::view::{Report, View};

/// Where exceptions stand in a file.
const IGNORES: [&str; 2] = ["drift", "ignore"];

pub(super) fn ignore(common: &Common, request: &Drift, path: &str) -> Ended {
    let wanted = wanted(common, &request.environment, &[])?;
    let until = last_day(request.until.as_deref().unwrap_or_default())?;
    let because = request.because.as_deref().unwrap_or_default().trim();
    if because.is_empty() {
        let failure = Failure::new(Exit::Usage, "`--because` says nothing");
        return Err(failure.hint("say why, for whoever reads it in a year").into());
    }
    known(&wanted, path)?;
    let environment = &wanted.written.environment;
    let file = &environment.name.file;
    let draft = Draft::of(&wanted.written.project);
    let text = draft.text(file);
    let own = draft.project.files.get(file).and_then(|file| file.root.at(IGNORES)?.as_sequence());
    let is_about = |item: &Node| item.get("path").and_then(Node::as_text) == Some(path);
    let position = own.and_then(|own| own.iter().position(is_about));
    let edited = match position {
        Some(position) => renewed(text, position, until, because),
        None => added(text, own.is_some(), &environment.drift_ignores, path, until, because),
    };
    let edited = edited.map_err(|fault| not_written(file, &fault))?;
    let draft = draft.with(file, &edited);
    let resolved = draft.resolved(&environment.name)?;
    let is_said = |ignore: &&Exception| ignore.path.value == path && ignore.until.value == until;
    if !resolved.drift_ignores.iter().any(|ignore| is_said(&ignore)) {
        return Err(not_written(file, &EditFault::MoreChanges(IGNORES.join("."))).into());
    }
    let settles = vec![format!("`{path}` is ignored until {until}")];
    draft.done(&wanted, request.agreement.dry_run, Edits { settles, ..Edits::default() })
}

/// A day that is still to come, or today.
fn last_day(text: &str) -> Result<Date, Failure> {
    let usage = |what: String, hint: &str| Failure::new(Exit::Usage, what).hint(hint);
    let date = parse_date(text).ok_or_else(|| usage(format!("`{text}` is not a date"), "write it as 2027-06-30"))?;
    if date < today() {
        return Err(usage(format!("{date} is over: it would be ignored no more"), "name a day that is still to come"));
    }
    Ok(date)
}

/// A path that means something: `STACK`, `STACK/RESOURCE` or `STACK/RESOURCE/PROPERTY`.
fn known(wanted: &Wanted, path: &str) -> Result<(), Failure> {
    let (stack, rest) = path.split_once('/').unwrap_or((path, ""));
    let environment = &wanted.desired.environment;
    if path.split('/').any(str::is_empty) {
        let what = format!("`{path}` leaves a name out");
        return Err(Failure::new(Exit::Usage, what).hint("write STACK, STACK/RESOURCE or STACK/RESOURCE/PROPERTY"));
    }
    let Some(desired) = wanted.desired.stack(stack) else {
        let names: Vec<&str> = wanted.desired.stacks.iter().map(|stack| stack.name.as_str()).collect();
        let hint =
            did_you_mean(stack, names.iter().copied()).unwrap_or_else(|| format!("it has: {}", names.join(", ")));
        return Err(Failure::new(Exit::Usage, format!("`{environment}` has no stack `{stack}`")).hint(hint));
    };
    let resource = rest.split('/').next().unwrap_or_default();
    let resources = desired.template.get("Resources").and_then(Json::as_object);
    if resource.is_empty() || resources.is_some_and(|resources| resources.contains_key(resource)) {
        return Ok(());
    }
    let names = resources.into_iter().flatten().map(|(name, _)| name.as_str());
    let hint = did_you_mean(resource, names);
    let hint = hint.unwrap_or_else(|| format!("`greenroom render {environment} {stack}` shows its resources"));
    Err(Failure::new(Exit::Usage, format!("stack `{stack}` has no resource `{resource}`")).hint(hint))
}

/// An exception that is there already holds longer, for another reason.
fn renewed(text: &str, position: usize, until: Date, because: &str) -> Result<String, EditFault> {
    let position = position.to_string();
    let text = set(text, &["drift", "ignore", &position, "until"], &New::Word(until.to_string()))?;
    set(&text, &["drift", "ignore", &position, "because"], &New::Text(because.to_owned()))
}

/// An exception more. A list of the file's own takes the place of an inherited one, and says all that it said.
fn added(
    text: &str,
    has_own: bool,
    inherited: &[Exception],
    path: &str,
    until: Date,
    because: &str,
) -> Result<String, EditFault> {
    let entry = |path: &str, because: &str, until: Date| {
        New::Map(vec![
            ("path".to_owned(), New::Text(path.to_owned())),
            ("because".to_owned(), New::Text(because.to_owned())),
            ("until".to_owned(), New::Word(until.to_string())),
        ])
    };
    let kept = inherited.iter().filter(|_| !has_own);
    let all = kept.map(|it| entry(&it.path.value, &it.because, it.until.value)).chain([entry(path, because, until)]);
    let mut text = text.to_owned();
    for item in all {
        text = append(&text, &IGNORES, &item)?;
    }
    Ok(text)
}

pub(super) fn adopt(common: &Common, request: &Drift, asked: &[String], view: View) -> Ended {
    let wanted = wanted(common, &request.environment, &request.stacks)?;
    let clients = reached(common, &wanted.written.project.root, &wanted.desired)?;
    let seen = block_on(look(&wanted, &clients, view))?.map_err(Failure::of_looking)?;
    let found = report(&wanted, &seen);
    let seen = seen.world;
    let chosen = chosen(&found.findings, asked, &wanted.desired.environment)?;
    if chosen.is_empty() {
        let edits = Edits { environment: wanted.desired.environment.clone(), is_written: true, ..Edits::default() };
        let settles = vec!["nothing was changed by hand that the files do not say".to_owned()];
        return Ok(Done::with(Report::Edits(Edits { settles, ..edits })));
    }
    let before = Draft::of(&wanted.written.project);
    let name = &wanted.written.environment.name;
    let mut draft = before.clone();
    let mut refused: Vec<String> = Vec::new();
    for finding in &chosen {
        match draft.adopted(name, finding, &seen) {
            Ok(next) => draft = next,
            Err(because) => refused.push(told(finding, &because, &wanted)),
        }
    }
    if !refused.is_empty() {
        let mut failure =
            Failure::new(Exit::Refused, format!("`{name}` cannot adopt all of it, so no file was touched"));
        failure.reasons = refused;
        let hint =
            "name what to adopt: `--adopt STACK/RESOURCE/PROPERTY`; change the template for the rest, or `--revert` it";
        return Err(failure.hint(hint).into());
    }
    let environment = draft.resolved(name)?;
    draft.proves(&environment, &chosen, &seen)?;
    let original = before.renderings();
    if request.pin_others {
        draft = draft.pinned(name, &original)?;
    }
    let changes = differing(&original, &draft.renderings());
    let (own, elsewhere): (Vec<Change>, Vec<Change>) =
        changes.into_iter().partition(|change| change.environment == name.to_string());
    let is_meant = |change: &Change| chosen.iter().any(|finding| overlaps(&finding.path(), &change.path));
    let settles = chosen.iter().map(|finding| {
        format!(
            "`{}` is {} in the files now, as it runs",
            finding.path(),
            finding.actual.as_deref().unwrap_or("nothing")
        )
    });
    let edits = Edits {
        settles: settles.collect(),
        also: own.into_iter().filter(|change| !is_meant(change)).collect(),
        elsewhere,
        ..Edits::default()
    };
    draft.done(&wanted, request.agreement.dry_run, edits)
}

/// Whether one path is the other, or lies in it.
fn overlaps(left: &str, right: &str) -> bool {
    let is_within = |inner: &str, outer: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    is_within(left, right) || is_within(right, left)
}

/// The differences that are meant: those that were named, or all that somebody made by hand.
pub(super) fn chosen(findings: &[Finding], asked: &[String], environment: &str) -> Result<Vec<Finding>, Failure> {
    let is_adopted = |finding: &&Finding| finding.settled == Some(Settled::Adopted);
    if asked.is_empty() {
        let is_meant = |finding: &&Finding| finding.is_open() && finding.class == Class::ChangedByHand;
        return Ok(findings.iter().filter(is_meant).cloned().collect());
    }
    let mut chosen: Vec<Finding> = Vec::new();
    for path in asked {
        let is_named = |finding: &&Finding| {
            let own = finding.path();
            own.strip_prefix(path.trim_end_matches('/')).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let named: Vec<&Finding> = findings.iter().filter(is_named).collect();
        if named.is_empty() {
            let paths: Vec<String> = findings.iter().map(Finding::path).collect();
            let near = did_you_mean(path, paths.iter().map(String::as_str));
            let hint = near.unwrap_or_else(|| format!("`greenroom drift {environment}` shows what differs"));
            return Err(Failure::new(Exit::Usage, format!("nothing differs at `{path}`")).hint(hint));
        }
        let fresh = named.into_iter().filter(|finding| !is_adopted(finding));
        let fresh: Vec<Finding> = fresh.filter(|finding| !chosen.contains(finding)).cloned().collect();
        chosen.extend(fresh);
    }
    Ok(chosen)
}

/// Why a difference cannot be adopted.
enum Refusal {
    /// No value can be found for it.
    Objection(Objection),
    /// A resource that is gone, or a difference that is none.
    Kind(Class),
    /// The file does not take it.
    Edit(String, EditFault),
    /// The files say something wrong with it.
    Mistaken(String),
}

/// With the line where somebody can do it by hand.
fn told(finding: &Finding, refusal: &Refusal, wanted: &Wanted) -> String {
    let path = finding.path();
    let place = wanted.written.property(&finding.stack, &finding.resource, finding.property.as_deref());
    let place = place.map(|place| format!(" ({place})")).unwrap_or_default();
    match refusal {
        Refusal::Objection(objection) => format!("`{path}`: {objection}{place}"),
        Refusal::Kind(Class::FalsePositive) => format!("`{path}`: the files say it already, in other words"),
        Refusal::Kind(Class::Deleted) => format!("`{path}` is gone: a template says what there is{place}"),
        Refusal::Kind(class) => format!("`{path}`: {class}, which no value of the files says{place}"),
        Refusal::Edit(file, fault) => format!("`{path}` would stand in `{ENVIRONMENTS}/{file}.yaml`, but {fault}"),
        Refusal::Mistaken(because) => format!("`{path}`: {because}"),
    }
}

/// Writes what another environment really has into an environment's own file, so that a clone is what its source is; gives what was
/// written and the project with it. Nothing is written unless all of it can be.
///
/// # Errors
/// Where a property cannot be set from a single key.
pub(in crate::commands) fn take_over(
    project: &Project,
    name: &EnvironmentName,
    findings: &[Finding],
    is_rehearsal: bool,
) -> Result<(Vec<FileEdit>, Project), Stop> {
    let seen = World::default();
    let mut draft = Draft::of(project);
    let mut refused = Vec::new();
    for finding in findings {
        let path = finding.path();
        match draft.adopted(name, finding, &seen) {
            Ok(next) => draft = next,
            Err(Refusal::Objection(objection)) => refused.push(format!("`{path}`: {objection}")),
            Err(Refusal::Kind(class)) => refused.push(format!("`{path}`: {class}")),
            Err(Refusal::Edit(file, fault)) => {
                refused.push(format!("`{path}` would stand in `{ENVIRONMENTS}/{file}.yaml`, but {fault}"));
            }
            Err(Refusal::Mistaken(because)) => refused.push(format!("`{path}`: {because}")),
        }
    }
    if !refused.is_empty() {
        let what = format!("`{name}` cannot say all that is, so no file was touched");
        let mut failure = Failure::new(Exit::Refused, what);
        failure.reasons = refused;
        return Err(failure
            .hint(format!("say it in {ENVIRONMENTS}/{}.yaml by hand, or in its template", name.file))
            .into());
    }
    let environment = draft.resolved(name)?;
    draft.proves(&environment, findings, &seen)?;
    let edits = draft.put(project, is_rehearsal)?;
    Ok((edits, draft.project))
}

/// A project with edits that nobody has written yet.
#[derive(Clone)]
struct Draft {
    project: Project,
    /// The new texts, by the name of the file.
    texts: BTreeMap<String, String>,
    /// What held before at the places that were written: where, and what.
    pins: Vec<(Vec<String>, New)>,
}

impl Draft {
    fn of(project: &Project) -> Self {
        Self { project: project.clone(), texts: BTreeMap::new(), pins: Vec::new() }
    }

    fn text(&self, file: &str) -> &str {
        self.project.files.get(file).map_or("", |file| self.project.sources.get(file.source).text.as_str())
    }

    fn with(&self, file: &str, text: &str) -> Self {
        let mut texts = self.texts.clone();
        texts.insert(file.to_owned(), text.to_owned());
        Self { project: self.project.with_text(file, text), texts, pins: self.pins.clone() }
    }

    /// An environment as the edited files say it.
    fn resolved(&self, name: &EnvironmentName) -> Result<Environment, Stop> {
        crate::commands::environment(&self.project, name)
    }

    /// The draft with one property as it is.
    fn adopted(&self, name: &EnvironmentName, finding: &Finding, seen: &World) -> Result<Self, Refusal> {
        let Some(property) = finding.property.as_deref().filter(|_| finding.class != Class::FalsePositive) else {
            return Err(Refusal::Kind(finding.class));
        };
        let mistaken = |because: &str| Refusal::Mistaken(because.to_owned());
        let resolution = resolve(&self.project, name);
        let environment = resolution.environment.ok_or_else(|| mistaken("the environment has mistakes with it"))?;
        let mut project = self.project.clone();
        let templates = all_templates(&mut project);
        let stack = environment.stack(&finding.stack).ok_or_else(|| mistaken("its stack is gone"))?;
        let template = templates.get(&stack.template.value).ok_or_else(|| mistaken("its template is gone"))?;
        let arguments = templates.arguments(&environment, stack).ok_or_else(|| mistaken("the stack has mistakes"))?;
        let live = seen.stacks.get(&finding.stack).map(|seen| seen.parameters.clone()).unwrap_or_default();
        let source = Source {
            templates: &templates,
            template,
            stack,
            arguments: &arguments,
            sources: &project.sources,
            live: &live,
        };
        let setting = setting(source, &finding.resource, property, finding.actual.as_deref());
        let setting = setting.map_err(Refusal::Objection)?;
        let edited = self.written(&environment, &finding.stack, &setting);
        let next = edited.map_err(|fault| Refusal::Edit(name.file.clone(), fault))?;
        let resolution = resolve(&next.project, name);
        match resolution.mistakes.first() {
            Some(mistake) => Err(mistaken(&mistake.message)),
            None => Ok(next),
        }
    }

    /// The draft with one value in the environment's own file: where the file says it already, or with the stack's values.
    fn written(&self, environment: &Environment, stack: &str, setting: &Setting) -> Result<Self, EditFault> {
        let root = self.project.files.get(&environment.name.file).map(|file| &file.root);
        let own = ["stacks", stack, "values", &setting.input].map(str::to_owned).to_vec();
        let shared = ["values", &setting.input].map(str::to_owned).to_vec();
        let exact = |base: &[String]| [base, &setting.below].concat();
        let is_said = |base: &[String]| {
            let path = exact(base);
            root.and_then(|root| root.at(path.iter().map(String::as_str))).is_some_and(|node| !node.is_null())
        };
        if is_said(&own) {
            return self.with_value(environment, exact(&own), &setting.value, inside(&setting.old, &setting.below));
        }
        // A value that several stacks share is theirs too.
        if is_said(&shared)
            && let old = inside(&setting.old, &setting.below)
            && let Ok(next) = self.with_value(environment, exact(&shared), &setting.value, old)
            && self.changes_only(&next, stack)
        {
            return Ok(next);
        }
        // A list takes the place of another as a whole.
        let is_before_a_list = |length: &usize| inside(&setting.whole, &setting.below[..*length]).is_array();
        let length = (0..=setting.below.len()).find(is_before_a_list).unwrap_or(setting.below.len());
        let below = &setting.below[..length];
        let path = [own.as_slice(), below].concat();
        self.with_value(environment, path, inside(&setting.whole, below), inside(&setting.old, below))
    }

    fn with_value(
        &self,
        environment: &Environment,
        path: Vec<String>,
        value: &Json,
        old: &Json,
    ) -> Result<Self, EditFault> {
        let parts: Vec<&str> = path.iter().map(String::as_str).collect();
        let file = &environment.name.file;
        let mut next = self.with(file, &set(self.text(file), &parts, &new(value))?);
        // As it is written somewhere, with its words; a default of the template is written nowhere.
        let held = environment.document.at(parts.iter().copied()).and_then(as_written).unwrap_or_else(|| new(old));
        next.pins.push((path, held));
        Ok(next)
    }

    /// Whether another draft differs only in stacks of that name.
    fn changes_only(&self, next: &Self, stack: &str) -> bool {
        let changes = differing(&self.renderings(), &next.renderings());
        changes.iter().all(|change| change.path.split('/').next() == Some(stack))
    }

    /// Makes sure that every property that was adopted comes out as it is, and that nothing is wrong with the environment.
    fn proves(&self, environment: &Environment, chosen: &[Finding], seen: &World) -> Result<(), Stop> {
        let mut project = self.project.clone();
        let templates = all_templates(&mut project);
        for finding in chosen {
            let Some(stack) = environment.stack(&finding.stack) else { continue };
            let rendered = templates.render(environment, stack, &project.sources).map_err(|found| {
                let mut findings = Findings::default();
                findings.extend(found, Some(&finding.stack));
                Stop::Mistakes(discreet(findings, &project), project.sources.clone())
            })?;
            let live = seen.stacks.get(&finding.stack).map(|seen| seen.parameters.clone()).unwrap_or_default();
            let said = Said::new(&rendered.document.json, &rendered.parameters, &live);
            let property = finding.property.as_deref().unwrap_or_default();
            if !is_same(&said.at(&finding.resource, property), finding.actual.as_deref()) {
                let what = format!("`{}` would not come out as it is, so no file was touched", finding.path());
                return Err(Failure::new(Exit::Refused, what).hint("adopt one after the other").into());
            }
        }
        Ok(())
    }

    /// Every environment that stands for one, rendered, as far as it can be.
    fn renderings(&self) -> Renderings {
        let mut project = self.project.clone();
        let templates = all_templates(&mut project);
        let concrete = project.files.values().filter(|file| !file.is_abstract);
        concrete.filter_map(|file| Self::rendering(&project, &templates, &file.name)).collect()
    }

    fn rendering(project: &Project, templates: &Templates, file: &str) -> Option<(String, Rendering)> {
        let environment = resolve(project, &name_to_try(project, file)).environment?;
        let managed = environment.stacks.iter().filter(|stack| stack.is_managed);
        let stacks = managed.filter_map(|stack| {
            let rendered = templates.render(&environment, stack, &project.sources).ok()?;
            let parameters = rendered.parameters.iter().map(|parameter| {
                let text = match &parameter.value {
                    ParameterValue::Text(text) => text.clone(),
                    ParameterValue::Reference(reference) => reference.to_string(),
                };
                (parameter.name.clone(), text)
            });
            Some((stack.name.clone(), (rendered.document.json, parameters.collect())))
        });
        Some((environment.name.to_string(), Rendering { file: file.to_owned(), stacks: stacks.collect() }))
    }

    /// The draft with old values written into the files of the environments that would change with this one: the nearest first,
    /// because others inherit from it.
    fn pinned(self, name: &EnvironmentName, original: &Renderings) -> Result<Self, Stop> {
        let mut draft = self;
        let own = name.file.clone();
        for _ in 0..draft.project.files.len() {
            let now = draft.renderings();
            let changed: Vec<&Rendering> = original
                .iter()
                .filter(|(environment, rendering)| {
                    rendering.file != own && now.get(*environment).is_some_and(|now| now.stacks != rendering.stacks)
                })
                .map(|(_, rendering)| rendering)
                .collect();
            let depth =
                |file: &str| crate::environment::layers::lineage(file, &draft.project.files).map_or(0, |it| it.len());
            let Some(nearest) = changed.into_iter().min_by_key(|rendering| depth(&rendering.file)) else {
                return Ok(draft);
            };
            let file = nearest.file.clone();
            for (path, old) in &draft.pins.clone() {
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                let text = set(draft.text(&file), &path, old).map_err(|fault| not_written(&file, &fault))?;
                draft = draft.with(&file, &text);
            }
        }
        let what = "the other environments cannot be kept as they are, so no file was touched";
        Err(Failure::new(Exit::Refused, what).hint("leave out `--pin-others`, and look at what changes").into())
    }

    /// Writes what was decided, unless it is only to be shown, or somebody else has written meanwhile.
    fn done(self, wanted: &Wanted, is_rehearsal: bool, edits: Edits) -> Ended {
        let project = &wanted.written.project;
        let files = self.put(project, is_rehearsal)?;
        let environment = wanted.desired.environment.clone();
        let edits = Edits { environment, is_written: !is_rehearsal, files, ..edits };
        Ok(Done { report: Report::Edits(edits), sources: project.sources.clone(), exit: Exit::Done })
    }

    /// Writes the files, unless it is only to be shown, or somebody else has written meanwhile; says what differs.
    fn put(&self, project: &Project, is_rehearsal: bool) -> Result<Vec<FileEdit>, Failure> {
        let mut files = Vec::new();
        let mut shown = Vec::new();
        for (name, text) in &self.texts {
            let Some(file) = project.files.get(name) else { continue };
            let source = project.sources.get(file.source);
            let path = project.root.join(&source.path);
            let on_disk = read_file(&project.root, &path);
            if on_disk.ok().as_ref() != Some(&source.text) {
                let what = format!("`{}` was changed meanwhile, so no file was touched", source.path);
                return Err(Failure::new(Exit::Refused, what).hint("run the command again"));
            }
            shown.push(FileEdit::between(&source.path, &source.text, text));
            // A link is followed, as it is when the file is read: it is not to become a file.
            let path = path.canonicalize().map_err(|error| {
                Failure::new(Exit::Failed, format!("cannot write `{}`", source.path)).because(sentence(&error))
            })?;
            files.push(NewFile { path, text: text.clone() });
        }
        if !is_rehearsal {
            write(&files)?;
        }
        Ok(shown)
    }
}

/// What an environment comes to: by stack, its template and its parameters.
struct Rendering {
    file: String,
    stacks: BTreeMap<String, (Json, BTreeMap<String, String>)>,
}

type Renderings = BTreeMap<String, Rendering>;

/// What differs between two states of the project, environment by environment.
fn differing(before: &Renderings, after: &Renderings) -> Vec<Change> {
    let mut found = Vec::new();
    for (environment, old) in before {
        let Some(new) = after.get(environment) else { continue };
        for (stack, (old, old_parameters)) in &old.stacks {
            let Some((new, new_parameters)) = new.stacks.get(stack) else { continue };
            let change = |path: String, before: Option<String>, after: Option<String>| Change {
                environment: environment.clone(),
                path: format!("{stack}/{path}"),
                before,
                after,
            };
            for difference in compare(old, new).resources {
                let resource = &difference.resource;
                match &difference.difference {
                    Difference::Added => found.push(change(resource.clone(), None, Some("there".to_owned()))),
                    Difference::Removed => found.push(change(resource.clone(), Some("there".to_owned()), None)),
                    Difference::Changed(properties) => found.extend(properties.iter().map(|it| {
                        let [before, after] = [&it.before, &it.after].map(|value| value.as_ref().map(plain));
                        change(format!("{resource}/{}", it.path), before, after)
                    })),
                }
            }
            for (name, value) in new_parameters {
                let old_value = old_parameters.get(name);
                if old_value != Some(value) {
                    let landings = crate::template::landing::uses(new, name);
                    found.extend(landings.into_iter().map(|landing| {
                        let property = landing.property.map(|property| format!("/{property}")).unwrap_or_default();
                        change(format!("{}{property}", landing.resource), old_value.cloned(), Some(value.clone()))
                    }));
                }
            }
        }
    }
    found
}

/// A value as it could be written anew; nothing for what a layer takes away.
fn as_written(node: &Node) -> Option<New> {
    if node.is_null() {
        return None;
    }
    match &node.content {
        Content::Scalar(scalar) if scalar.style == Style::Plain => Some(New::Word(scalar.text.clone())),
        Content::Scalar(scalar) => Some(New::Text(scalar.text.clone())),
        Content::Sequence(items) => items.iter().map(as_written).collect::<Option<Vec<New>>>().map(New::List),
        Content::Mapping(entries) => {
            let entry = |entry: &Entry| Some((entry.key.clone(), as_written(&entry.value)?));
            entries.iter().map(entry).collect::<Option<Vec<_>>>().map(New::Map)
        }
    }
}

/// A part of a value.
fn inside<'a>(value: &'a Json, path: &[String]) -> &'a Json {
    let inner = |value: &'a Json, part: &String| match value {
        Json::Array(items) => part.parse::<usize>().ok().and_then(|position| items.get(position)),
        other => other.get(part),
    };
    path.iter().try_fold(value, inner).unwrap_or(&Json::Null)
}

/// A value of an input as it is written: words in braces are words of ours only where they are meant.
fn new(value: &Json) -> New {
    match New::from(value) {
        New::Text(text) => New::Text(text.replace("${", "$${")),
        other => other,
    }
}

fn not_written(file: &str, fault: &EditFault) -> Failure {
    let what = format!("`{ENVIRONMENTS}/{file}.yaml` cannot be edited without touching more than that");
    Failure::new(Exit::Refused, what).because(fault.to_string()).hint("write it by hand; no file was touched")
}
