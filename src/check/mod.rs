//! Everything that can be known of a project without asking AWS. All of it, once, each at its place.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use serde_json::{Map, Value as Json, json};

use crate::environment::prices::prices;
use crate::environment::resolve::{mentions_instance, name_to_try, resolve};
use crate::environment::shape::json_schema;
use crate::environment::source::read_file;
use crate::environment::{
    Environment, EnvironmentName, Exception, Mistake, Project, Severity, Span, Stack, did_you_mean,
};
use crate::template::arguments::arguments;
use crate::template::inputs::{reference_definitions, value_schema};
use crate::template::rules::TemplateFault;
use crate::template::secrets::secrets_by_look;
use crate::template::{Rendered, Template, Templates, wiring};

/// Where the JSON Schema of environment files is kept, for editors.
pub const SCHEMA_FILE: &str = "environments/.schema.json";

/// A mistake and the environments, or stacks of environments, it was met in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What is wrong.
    pub mistake: Mistake,
    /// `production`, `production/database`; empty for what is wrong with the project itself.
    pub contexts: BTreeSet<String>,
}

/// All that is wrong with a project, in order of the places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// One by one; the same mistake, met twice, is there once.
    pub all: Vec<Found>,
    /// What must not be shown, though it stands in a line that is.
    pub concealed: Vec<Span>,
    /// What was looked at, with or without a mistake, as contexts name it.
    pub checked: BTreeSet<String>,
}

impl Findings {
    /// Adds a mistake, once.
    pub fn add(&mut self, mistake: Mistake, context: Option<&str>) {
        let context = context.map(str::to_string);
        match self.all.iter_mut().find(|found| found.mistake == mistake) {
            Some(found) => found.contexts.extend(context),
            None => self.all.push(Found { mistake, contexts: context.into_iter().collect() }),
        }
    }

    /// Adds mistakes that were met in one place.
    pub fn extend(&mut self, mistakes: impl IntoIterator<Item = Mistake>, context: Option<&str>) {
        for mistake in mistakes {
            self.add(mistake, context);
        }
    }

    /// Whether anything must be mended.
    pub fn has_errors(&self) -> bool {
        self.all.iter().any(|found| found.mistake.severity == Severity::Error)
    }

    /// In order of the files and the places in them; what has no place comes first.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.all.sort_by(|left, right| {
            let key = |found: &Found| (found.mistake.span, found.mistake.message.clone());
            key(left).cmp(&key(right))
        });
        self
    }
}

/// What can be wrong with a project beyond its files.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum ProjectWideFault {
    /// Two environments deploy one stack.
    #[error("`{0}` and `{1}` are the same stack, `{2}` in {3}")]
    SameStack(String, String, String, String),
    /// `scratch@jane` and `scratch@joe` would be one.
    #[error("every `{0}@NAME` would be the same stack, `{1}`")]
    SameForAllNames(String, String),
    /// The schema that editors use is of yesterday.
    #[error("`{SCHEMA_FILE}` is out of date")]
    StaleSchema,
    /// A secret by its look.
    #[error("this looks like a secret")]
    LooksSecret,
    /// An exception whose time is over.
    #[error("this exception ended on {0}")]
    Expired(Date),
    /// `clone.from` names nothing.
    #[error("there is no environment `{0}`")]
    UnknownEnvironment(String),
    /// A clone that would live for ever.
    #[error("`{0}` is a clone and says no `lifetime`")]
    CloneWithoutLifetime(String),
    /// The source does not agree.
    #[error("`{source_name}` may not be cloned into `{target}`")]
    CloneNotAllowed {
        /// The source.
        source_name: String,
        /// The target.
        target: String,
    },
    /// A clone may not live that long.
    #[error("`{source_name}` lets its clones live {most}, but this says {lifetime}")]
    CloneLivesTooLong {
        /// The source.
        source_name: String,
        /// The most it allows, in words.
        most: String,
        /// What the clone says, in words.
        lifetime: String,
    },
    /// A file that is named and not there.
    #[error("there is no file `{0}`")]
    NoSuchFile(String),
    /// `x-replaces` names a resource that no rendering has.
    #[error("no rendering of the template has a resource `{0}`")]
    ReplacesNothing(String),
}

/// An environment and what was rendered of it.
struct Tried {
    environment: Environment,
    rendered: BTreeMap<String, Rendered>,
}

/// Checks the whole project.
pub fn check(project: &mut Project, today: Date) -> Findings {
    let names: Vec<String> = project.files.keys().cloned().collect();
    check_environments(project, &names, true, today)
}

/// Checks some environments, and with `is_whole` the project around them.
pub fn check_environments(project: &mut Project, names: &[String], is_whole: bool, today: Date) -> Findings {
    let mut findings = Findings::default();
    if is_whole {
        findings.extend(project.mistakes.clone(), None);
        findings.extend(prices(project).err().unwrap_or_default(), None);
    }
    let environments = resolved(project, names, &mut findings);
    let used =
        environments.iter().flat_map(|environment| &environment.stacks).map(|stack| stack.template.value.clone());
    let wanted: BTreeSet<String> = used.collect();
    let wanted = if is_whole { all_templates(project) } else { wanted };
    let templates = Templates::load(project, &wanted);
    if is_whole {
        for template in templates.iter() {
            findings.extend(template.mistakes.clone(), None);
        }
    }
    let tried: Vec<Tried> =
        environments.into_iter().map(|environment| try_out(environment, &templates, project, &mut findings)).collect();
    check_wiring(&tried, &templates, project, &mut findings);
    for tried in &tried {
        check_exceptions(&tried.environment, today, &mut findings);
        check_clone(&tried.environment, project, &mut findings);
    }
    if is_whole {
        check_same_stacks(&tried, &mut findings);
        let is_complete = tried.len() == project.files.values().filter(|file| !file.is_abstract).count();
        if is_complete {
            check_declarations(&tried, &templates, &mut findings);
        }
        check_schema_file(project, &templates, &mut findings);
        check_looks(project, &mut findings);
    }
    findings.sorted()
}

fn all_templates(project: &mut Project) -> BTreeSet<String> {
    Templates::load(project, &BTreeSet::new()).names().iter().cloned().collect()
}

/// Environments are made of their files; abstract ones are checked by themselves.
fn resolved(project: &Project, names: &[String], findings: &mut Findings) -> Vec<Environment> {
    let mut environments = Vec::new();
    for name in names {
        let Some(file) = project.files.get(name) else { continue };
        if file.is_abstract {
            findings.extend(file.mistakes.clone(), None);
            if let Err(mistakes) = crate::environment::layers::lineage(name, &project.files) {
                findings.extend(mistakes, None);
            }
            continue;
        }
        let resolution = resolve(project, &name_to_try(project, name));
        findings.checked.insert(name.clone());
        findings.extend(resolution.mistakes, Some(name));
        environments.extend(resolution.environment);
    }
    environments
}

fn try_out(environment: Environment, templates: &Templates, project: &Project, findings: &mut Findings) -> Tried {
    let mut rendered = BTreeMap::new();
    for stack in environment.stacks.iter().filter(|stack| stack.is_managed) {
        let context = format!("{}/{}", environment.name.file, stack.name);
        findings.checked.insert(context.clone());
        match try_stack(&environment, stack, templates, project) {
            Ok((one, mistakes)) => {
                findings.extend(mistakes, Some(&context));
                rendered.insert(stack.name.clone(), one);
            }
            Err(mistakes) => findings.extend(mistakes, Some(&context)),
        }
    }
    Tried { environment, rendered }
}

/// Renders one stack and checks what came of it.
fn try_stack(
    environment: &Environment,
    stack: &Stack,
    templates: &Templates,
    project: &Project,
) -> Result<(Rendered, Vec<Mistake>), Vec<Mistake>> {
    let template = templates.of(stack).map_err(|mistake| vec![*mistake])?;
    let mut mistakes = template.mistakes.clone();
    let arguments = arguments(environment, stack, template, &|input| templates.is_declared(input), &mut mistakes);
    if mistakes.iter().any(|mistake| mistake.severity == Severity::Error) {
        return Err(mistakes);
    }
    let rendered = templates.render_with(template, stack, &arguments, &project.sources)?;
    mistakes.extend(templates.check(&rendered, stack, &arguments, &project.sources));
    Ok((rendered, mistakes))
}

/// Stacks and outputs that values come from.
fn check_wiring(tried: &[Tried], templates: &Templates, project: &Project, findings: &mut Findings) {
    let mut outputs = wiring::Outputs::new();
    for Tried { environment, rendered } in tried {
        for stack in &environment.stacks {
            let known = rendered
                .get(&stack.name)
                .map(|rendered| rendered.document.section("Outputs").iter().map(|entry| entry.key.clone()).collect());
            outputs.insert((environment.name.to_string(), stack.name.clone()), known);
        }
    }
    for Tried { environment, .. } in tried {
        let flows = wiring::flows(environment, templates);
        let context = environment.name.file.as_str();
        let others = |name: &EnvironmentName| stacks_of(project, name);
        findings.extend(wiring::check(environment, &flows, &others, &outputs), Some(context));
        if let Err(mistake) = wiring::order(&flows, environment) {
            findings.add(*mistake, Some(context));
        }
    }
}

fn stacks_of(project: &Project, name: &EnvironmentName) -> Result<Vec<String>, Box<Mistake>> {
    project.file(&name.file)?;
    let resolution = resolve(project, name);
    match resolution.environment {
        Some(environment) => Ok(environment.stacks.into_iter().map(|stack| stack.name).collect()),
        None => Err(Box::new(
            resolution
                .mistakes
                .into_iter()
                .next()
                .unwrap_or_else(|| Mistake::new(&ProjectWideFault::UnknownEnvironment(name.to_string()))),
        )),
    }
}

fn check_exceptions(environment: &Environment, today: Date, findings: &mut Findings) {
    let is_over = |exception: &&Exception| exception.until.value < today;
    for exception in environment.drift_ignores.iter().chain(&environment.differences).filter(is_over) {
        let mistake = Mistake::at(exception.until.span, &ProjectWideFault::Expired(exception.until.value));
        findings.add(mistake.hint("take it out, or say until when it holds").warning(), Some(&environment.name.file));
    }
}

fn check_clone(environment: &Environment, project: &Project, findings: &mut Findings) {
    let name = &environment.name.file;
    let context = Some(name.as_str());
    for target in environment.clone_policy.iter().flat_map(|policy| &policy.targets) {
        if !project.files.contains_key(target) {
            let span = environment.document.at(["clone_policy", "targets"]).map(|node| node.span);
            let mistake = Mistake::new(&ProjectWideFault::UnknownEnvironment(target.clone()));
            let hint = did_you_mean(target, project.files.keys().map(String::as_str));
            findings.add(Mistake { span, ..mistake.maybe_hint(hint) }, context);
        }
    }
    let Some(clone) = &environment.clone else { return };
    // A lifetime of a wrong form has its mistake already.
    if environment.document.get("lifetime").is_none() {
        let mistake = Mistake::at(clone.from.span, &ProjectWideFault::CloneWithoutLifetime(name.clone()));
        findings.add(mistake.hint("production's data must not lie about for ever: say `lifetime: 48h`"), context);
    }
    for path in clone.quiesce.values().filter(|path| *path != "none") {
        if read_file(&project.root, &project.root.join(path)).is_err() {
            let span = environment.document.at(["clone", "quiesce"]).map(|node| node.span);
            findings.add(Mistake { span, ..Mistake::new(&ProjectWideFault::NoSuchFile(path.clone())) }, context);
        }
    }
    let source = &clone.from.value;
    if !project.files.contains_key(source) {
        let hint = did_you_mean(source, project.files.keys().map(String::as_str));
        findings.add(
            Mistake::at(clone.from.span, &ProjectWideFault::UnknownEnvironment(source.clone())).maybe_hint(hint),
            context,
        );
        return;
    }
    let Some(origin) = resolve(project, &name_to_try(project, source)).environment else { return };
    let policy = origin.clone_policy.filter(|policy| policy.targets.contains(name));
    let Some(policy) = policy else {
        let fault = ProjectWideFault::CloneNotAllowed { source_name: source.clone(), target: name.clone() };
        let hint =
            format!("environments/{source}.yaml must agree: `clone_policy: {{targets: [{name}], max_lifetime: 72h}}`");
        findings.add(Mistake::at(clone.from.span, &fault).hint(hint), context);
        return;
    };
    if let (Some(most), Some(lifetime)) = (policy.max_lifetime, &environment.lifetime)
        && lifetime.value > most
    {
        let hours = |duration: std::time::Duration| format!("{} hours", duration.as_secs() / 3600);
        let fault = ProjectWideFault::CloneLivesTooLong {
            source_name: source.clone(),
            most: hours(most),
            lifetime: hours(lifetime.value),
        };
        findings.add(Mistake::at(lifetime.span, &fault), context);
    }
}

/// Two environments that resolve to one account, Region and stack name would undo each other.
fn check_same_stacks(tried: &[Tried], findings: &mut Findings) {
    let mut seen: BTreeMap<(String, String, String), (String, Span)> = BTreeMap::new();
    for Tried { environment, .. } in tried {
        for stack in environment.stacks.iter().filter(|stack| stack.is_managed) {
            let here = format!("{}/{}", environment.name.file, stack.name);
            let key = (stack.account.value.clone(), stack.region.value.clone(), stack.stack_name.value.clone());
            let is_same_for_all = environment.name.instance.is_some() && !mentions_instance(environment, stack);
            if is_same_for_all {
                let fault =
                    ProjectWideFault::SameForAllNames(environment.name.file.clone(), stack.stack_name.value.clone());
                findings.add(Mistake::at(stack.stack_name.span, &fault).hint("the name needs `${environment}`"), None);
            }
            if let Some((other, span)) =
                seen.get(&key).filter(|(other, _)| other.split('/').next() != here.split('/').next())
            {
                let place = format!("account {}, {}", stack.account.value, stack.region.value);
                let fault =
                    ProjectWideFault::SameStack(other.clone(), here.clone(), stack.stack_name.value.clone(), place);
                let mistake = Mistake::at(stack.stack_name.span, &fault);
                let is_elsewhere = *span != stack.stack_name.span;
                let mistake = if is_elsewhere { mistake.related(*span, "named here as well") } else { mistake };
                findings.add(mistake.hint("give one of them another account, Region or `stack_name`"), None);
            }
            seen.entry(key).or_insert((here, stack.stack_name.span));
        }
    }
}

/// What `inputs.yaml` says of parameters and resources must be true of some rendering.
fn check_declarations(tried: &[Tried], templates: &Templates, findings: &mut Findings) {
    for template in templates.iter() {
        let renderings: Vec<&Rendered> = renderings(tried, template).collect();
        let uses = tried.iter().flat_map(|tried| &tried.environment.stacks);
        let uses = uses.filter(|stack| stack.is_managed && stack.template.value == template.name).count();
        // What could not be rendered might have had them.
        if renderings.is_empty() || renderings.len() < uses {
            continue;
        }
        let has = |section: &str, name: &str| {
            renderings.iter().any(|rendered| rendered.document.section(section).iter().any(|entry| entry.key == name))
        };
        for input in &template.inputs.all {
            if let Some(parameter) = input.parameter.as_ref().filter(|parameter| !has("Parameters", parameter)) {
                let is_given = tried.iter().any(|tried| {
                    tried
                        .environment
                        .stacks
                        .iter()
                        .any(|stack| stack.template.value == template.name && stack.value(&input.name).is_some())
                });
                // An input that nobody gives may stand for a parameter that is declared only when it is given.
                if is_given {
                    findings
                        .add(Mistake::at(input.span, &TemplateFault::ParameterNotDeclared(parameter.clone())), None);
                }
            }
            for resource in input.replaces.iter().filter(|resource| !has("Resources", resource)) {
                findings.add(Mistake::at(input.span, &ProjectWideFault::ReplacesNothing(resource.clone())), None);
            }
        }
    }
}

fn renderings<'a>(tried: &'a [Tried], template: &'a Template) -> impl Iterator<Item = &'a Rendered> {
    tried.iter().flat_map(|tried| {
        let of_template = tried.environment.stacks.iter().filter(|stack| stack.template.value == template.name);
        of_template.filter_map(|stack| tried.rendered.get(&stack.name))
    })
}

/// Editors would help with yesterday's keys. A project without the file has none to be out of date.
fn check_schema_file(project: &Project, templates: &Templates, findings: &mut Findings) {
    let path = project.root.join(SCHEMA_FILE);
    if !path.exists() {
        return;
    }
    let is_current = read_file(&project.root, &path).is_ok_and(|text| text == schema_text(templates));
    if !is_current {
        findings.add(Mistake::new(&ProjectWideFault::StaleSchema).hint("`greenroom schema --write` renews it"), None);
    }
}

/// The JSON Schema of environment files, as it is written.
pub fn schema_text(templates: &Templates) -> String {
    let schema = schema(templates);
    format!("{schema:#}\n")
}

/// The JSON Schema of environment files, all inputs included: each input once, as a definition that stacks and shared values name.
pub fn schema(templates: &Templates) -> Json {
    let mut definitions = reference_definitions();
    let mut shared: BTreeMap<String, Vec<Json>> = BTreeMap::new();
    let mut stacks = Vec::new();
    for template in templates.iter() {
        let mut values = Map::new();
        for input in &template.inputs.all {
            let name = format!("{}.{}", template.name, input.name);
            let reference = json!({ "$ref": format!("#/$defs/{name}") });
            definitions.insert(name, value_schema(input, &template.inputs));
            shared.entry(input.name.clone()).or_default().push(reference.clone());
            values.insert(input.name.clone(), reference);
        }
        stacks.push((template.name.clone(), closed(&values)));
    }
    let either = |mut forms: Vec<Json>| if forms.len() == 1 { forms.remove(0) } else { json!({ "anyOf": forms }) };
    let shared = shared.into_iter().map(|(input, forms)| (input, either(forms))).collect();
    let mut schema = json_schema(&closed(&shared), &stacks);
    schema["$defs"] = Json::Object(definitions);
    schema
}

fn closed(properties: &Map<String, Json>) -> Json {
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

fn check_looks(project: &Project, findings: &mut Findings) {
    for span in secrets_by_look(&project.sources) {
        let mistake = Mistake::at(span, &ProjectWideFault::LooksSecret).concealed();
        findings.add(mistake.hint("take it out, and revoke it: it is in the repository's history"), None);
    }
}
