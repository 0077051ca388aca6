//! `clone`: an environment on another's data, and what speaks against it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value as Json;

use crate::aws::{self, Clients};
use crate::cli::{Clone as Request, Common};
use crate::clone::frozen::{FROZEN, no_twins, unlike, written};
use crate::clone::observe::TwinObserver;
use crate::clone::outside::shared;
use crate::clone::proposal::{has_database, proposal, still_to_say};
use crate::clone::report::{Cloned, cloned, rehearsal};
use crate::clone::{Choice, Desired, Properties, Reason, Source, Step, Target, Which, World, apply, plan};
use crate::commands::cloud::{Reached, Telling, arrive, ask, block_on, drive, failed, pace, settings};
use crate::commands::deploy::{expected, others, places, revision};
use crate::commands::diff::side_by_side;
use crate::commands::drift::take_over;
use crate::commands::render::Work;
use crate::commands::writing::{NewFile, write};
use crate::commands::{
    Done, Ended, Stop, display, environment, local, mistakes, name, project, stacks, templates, today,
};
use crate::deploy::desired::{desired, place};
use crate::deploy::{self, Allowed, Goal};
use crate::drift::{Class, Finding};
use crate::environment::prices::prices;
use crate::environment::project::ENVIRONMENTS;
use crate::environment::shape::{is_name, parse_duration};
use crate::environment::{Content, Environment, Node, Project, Reference, Scalar, SnapshotChoice, Stack, Style, Value};
use crate::error::{Exit, Failure};
use crate::operation::{Operation, Plan};
use crate::parity::{Declared, Parity, declared};
use crate::template::{ParameterValue, Rendered, Templates};
use crate::view::{Afterwards, Report, View};

/// The input by which a template keeps everybody out of its database.
const QUARANTINED: &str = "quarantined";

/// The type of what is cloned.
const DATABASE: &str = "AWS::RDS::DBInstance";

/// A clone as an operation: the three verbs, with clients.
struct Twinning<'a> {
    desired: &'a Desired,
    clients: &'a Clients,
    observer: &'a TwinObserver<'a>,
}

impl Operation for Twinning<'_> {
    type World = World;
    type Step = Step;
    type Reason = Reason;
    type Fault = aws::Fault;

    async fn observe(&self) -> Result<World, aws::Fault> {
        Box::pin(self.observer.observe(self.desired)).await
    }

    fn plan(&self, first: &World, now: &World) -> Plan<Step, Reason> {
        plan::plan(self.desired, first, now)
    }

    fn withdraw(&self, _first: &World, now: &World) -> Plan<Step, Reason> {
        plan::withdraw(self.desired, now)
    }

    async fn apply(&self, step: &Step) -> Result<(), aws::Fault> {
        Box::pin(apply::apply(self.clients, self.desired, self.observer, step)).await
    }
}

pub(super) fn run(common: &Common, request: &Request, view: View) -> Ended {
    let mut project = self::project(common)?;
    let mut source = environment(&project, &name(&request.source)?)?;
    let target_name = name(&request.target)?;
    if target_name.instance.is_none() && !project.files.contains_key(&target_name.file) {
        return propose(&mut project, &source, &target_name.file, request, view);
    }
    let mut target = environment(&project, &target_name)?;
    let clients = Clients::new(settings(common, &project.root)?);
    let mut as_it_is = BTreeSet::new();
    if request.from_live {
        (project, as_it_is) = take_from_live(project, &source, &target, request, &clients, view)?;
        source = environment(&project, &source.name)?;
        target = environment(&project, &target_name)?;
    }
    let templates = templates(&mut project, [&source, &target]);
    let prices = prices(&mut project).map_err(|all| mistakes(all, None, &project))?;
    let declared = declared([&source, &target], &templates, &project.sources);
    let twins = Twins { source: &source, target: &target, declared: &declared };
    let mut wanted = Desired { prices, ..wanted(&project, &templates, &twins, request)? };
    wanted.source.ignored.extend(as_it_is);
    if clients.is_local() {
        local::stand(&project.root, &wanted.open)?;
    }
    let report = block_on(clone(&wanted, &twins, request, &clients, view))??;
    let exit = match &report {
        Report::Rehearsal(rehearsal) if !rehearsal.refusals.is_empty() => Exit::Refused,
        Report::Cloned(cloned) if cloned.parity.has_unknown() => Exit::CouldNotCheck,
        Report::Cloned(cloned) if cloned.parity.has_undeclared() => Exit::Differences,
        _ => Exit::Done,
    };
    Ok(Done { report, sources: project.sources, exit })
}

/// Writes into the target's file what the source's database really is, where that is not what the source's file says; gives the
/// project with that, and the properties in which the source is not what its file says.
fn take_from_live(
    mut project: Project,
    source: &Environment,
    target: &Environment,
    request: &Request,
    clients: &Clients,
    view: View,
) -> Result<(Project, BTreeSet<String>), Stop> {
    let templates = templates(&mut project, [source, target]);
    let declared = declared([source, target], &templates, &project.sources);
    let twins = Twins { source, target, declared: &declared };
    let wanted = wanted(&project, &templates, &twins, request)?;
    if !wanted.objections.is_empty() {
        return Err(refused(source, target, &wanted.objections).into());
    }
    if clients.is_local() {
        local::stand(&project.root, &wanted.open)?;
    }
    let seen = block_on(async {
        let mut all = places(&wanted.open);
        all.insert(wanted.source.place.clone());
        arrive(&wanted.target.environment, &all, clients, view).await?;
        let observer = TwinObserver::new(clients);
        Box::pin(observer.observe(&wanted)).await.map_err(|fault| unseen(fault, &wanted))
    })??;
    let Some(live) = seen.source.and_then(|source| source.database) else {
        return Ok((project, BTreeSet::new()));
    };
    let is_allowed = |property: &String| wanted.target.declared.contains(property);
    let findings: Vec<Finding> = no_twins(&wanted.target.written, &live.properties)
        .into_iter()
        .filter(|it| !is_allowed(&it.property))
        .map(|it| Finding {
            stack: wanted.target.stack.clone(),
            resource: wanted.target.database.clone(),
            kind: DATABASE.to_owned(),
            property: Some(it.property),
            expected: Some(it.says),
            actual: Some(it.has),
            class: Class::ChangedByHand,
            because: format!("it is so in `{}`", source.name),
            place: None,
            settled: None,
            no_longer: None,
            who: None,
        })
        .collect();
    let (edits, project) = take_over(&project, &target.name, &findings, request.dry_run)?;
    for edit in edits {
        view.note(edit.to_string().trim_end());
    }
    let as_it_is = unlike(&wanted.source.written, &live.properties).into_iter().map(|it| it.property).collect();
    Ok((project, as_it_is))
}

/// Offers to write the file of a clone that has none. It is made by another run: somebody reads it first.
fn propose(project: &mut Project, source: &Environment, target: &str, request: &Request, view: View) -> Ended {
    let templates = templates(project, [source]);
    let missing = || {
        Failure::new(Exit::Usage, format!("there is no environment `{target}`"))
            .hint(format!("`greenroom status` names those of this project; or write environments/{target}.yaml"))
    };
    if !is_name(target) || !has_database(source, &templates) {
        return Err(missing().into());
    }
    let path = project.root.join(ENVIRONMENTS).join(format!("{target}.yaml"));
    let shown = format!("{ENVIRONMENTS}/{target}.yaml");
    let text = proposal(source, target, &templates, today());
    if !request.write_target {
        view.note(&format!("there is no environment `{target}`; {shown} could be\n\n{text}"));
        block_on(ask(view, "Write it? Type `yes`:", "yes", "--write-target"))??;
    }
    write(&[NewFile { path, text }])?;
    let mut notes =
        vec![String::new(), format!("Read {shown}, change what must be changed, and keep it with the others.")];
    notes.extend(still_to_say(source, target).map(|hint| format!("hint: {hint}")));
    notes.push(format!("hint: `greenroom check {target} && greenroom clone {} {target}`", source.name));
    let report = Report::Written { files: vec![shown], notes };
    Ok(Done { report, sources: std::mem::take(&mut project.sources), exit: Exit::Unfinished })
}

/// The two sides, and what may differ between them.
#[derive(Clone, Copy)]
struct Twins<'a> {
    source: &'a Environment,
    target: &'a Environment,
    declared: &'a [Declared],
}

async fn clone(
    desired: &Desired,
    twins: &Twins<'_>,
    request: &Request,
    clients: &Clients,
    view: View,
) -> Result<Report, Failure> {
    let mut all = places(&desired.open);
    all.insert(desired.source.place.clone());
    arrive(&desired.target.environment, &all, clients, view).await?;
    let observer = TwinObserver::new(clients);
    let is_asked = !request.yes && desired.objections.is_empty();
    let mut was_there = false;
    if request.dry_run || is_asked {
        let seen = Box::pin(observer.observe(desired)).await.map_err(|fault| unseen(fault, desired))?;
        let left = plan::plan(desired, &seen, &seen);
        was_there = left == Plan::Converged;
        let rehearsed = rehearsal(desired, &seen, &left);
        if request.dry_run {
            return Ok(Report::Rehearsal(rehearsed));
        }
        if !was_there && rehearsed.refusals.is_empty() {
            view.rehearsal(&rehearsed);
            ask(view, "Do this? Type `yes`:", "yes", "--yes").await?;
        }
    }
    let reached = reach(desired, clients, &observer, view).await?;
    let parity = compared(twins, clients).await;
    let parity =
        parity.map_err(|failure| failure.hint("the clone is there; run the command again to see how it compares"))?;
    let done = Cloned {
        was_there: was_there || plan::plan(desired, &reached.first, &reached.first) == Plan::Converged,
        ..cloned(desired, &reached.first, &reached.now, parity)
    };
    if let Some(path) = &request.report {
        report(path, &done)?;
        view.note(&format!("the evidence is in {}", display(path)));
    }
    Ok(Report::Cloned(done))
}

/// How often the twins are looked at before something is said to be unknown. Answers may be of a moment ago, and tell of a stack
/// that this run has just brought to rest as if it still moved.
const LOOKS_MAX: usize = 4;

async fn compared(twins: &Twins<'_>, clients: &Clients) -> Result<Parity, Failure> {
    let look = || Box::pin(side_by_side(twins.source, twins.target, twins.declared, clients));
    let mut parity = look().await?;
    for _ in 1..LOOKS_MAX {
        if !parity.has_unknown() {
            break;
        }
        tokio::time::sleep(pace(clients).shortest_pause).await;
        parity = look().await?;
    }
    Ok(parity)
}

fn unseen(fault: aws::Fault, desired: &Desired) -> Failure {
    failed(fault, format!("`{}` could not be looked at", desired.target.environment))
}

async fn reach(
    desired: &Desired,
    clients: &Clients,
    observer: &TwinObserver<'_>,
    view: View,
) -> Result<Reached<World>, Failure> {
    let operation = Twinning { desired, clients, observer };
    let (source, target) = (&desired.source.environment, &desired.target.environment);
    let telling = Telling {
        what: format!("the clone of `{source}` as `{target}`"),
        hint: &|reason: &Reason| reason.hint(source, target),
        pace: pace(clients),
        expected: desired.open.stacks.iter().map(expected).collect(),
        afterwards: Afterwards::Stays,
    };
    drive(&operation, view, &telling).await
}

fn report(path: &Path, done: &Cloned) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(done)
        .map_err(|error| Failure::new(Exit::Failed, "the evidence cannot be written").because(error))?;
    write(&[NewFile { path: path.to_owned(), text: text + "\n" }])
        .map_err(|failure| failure.hint("the clone is there; run the command again for the evidence"))
}

/// Everything that can be known without AWS.
fn wanted(project: &Project, templates: &Templates, twins: &Twins<'_>, request: &Request) -> Result<Desired, Stop> {
    let Twins { source, target, declared } = *twins;
    let open = rendered(project, target, templates, &[])?;
    let objections = objections(source, target);
    let (stack_name, database, parameter) = match database_of(target, &open) {
        Ok(found) => found,
        // The wrong environment has no such database, and what is wrong is the environment.
        Err(_) if !objections.is_empty() => return Err(refused(source, target, &objections).into()),
        Err(failure) => return Err(failure.into()),
    };
    let closed = closed(target, &stack_name, templates)?;
    let safe = upto(&deployment(project, target, &open, templates)?, &stack_name);
    let closed_rendered = rendered(project, &closed, templates, &safe)?;
    let twin = source.stack(&stack_name).filter(|stack| stack.is_managed).ok_or_else(|| {
        let what = format!("`{}` has no stack `{stack_name}` for `{}` to be a twin of", source.name, target.name);
        Failure::new(Exit::Usage, what)
    })?;
    let source_rendered = rendered(project, source, templates, std::slice::from_ref(&stack_name))?;
    let source_template = source_rendered.first().map(|it| it.document.json.clone()).unwrap_or_default();
    let own_stack = target.stack(&stack_name);
    let open_desired = deployment(project, target, &open, templates)?;
    // A clone that was stopped is made by trying again.
    let allowed = Allowed { recreate: request.recreate.iter().cloned().collect(), retries: true, ..Allowed::default() };
    let with = |it: deploy::Desired| deploy::Desired {
        allowed: allowed.clone(),
        goal: Goal::Deployed,
        revision: revision(project),
        ..it
    };
    let target_place = own_stack.map(place).unwrap_or_default();
    let target_template = open.iter().find(|it| it.stack == stack_name).map(|it| it.document.json.clone());
    let wanted = Desired {
        source: Source {
            environment: source.name.to_string(),
            place: place(twin),
            stack_name: twin.stack_name.value.clone(),
            database: database.clone(),
            written: of_database(&source_template, &database),
            ignored: ignored(source, &stack_name, &database),
            lets_target_in: lets_in(&source_template, &target_place.account),
        },
        target: Target {
            environment: target.name.to_string(),
            word: target.name.word(),
            project: target.project.clone(),
            place: target_place,
            stack: stack_name.clone(),
            database: database.clone(),
            parameter,
            key: target.clone.as_ref().and_then(|clone| clone.key.clone()),
            written: of_database(&target_template.unwrap_or_default(), &database),
            declared: differing(declared, &stack_name, &database),
            tags: tags(target, own_stack),
        },
        safe: with(deployment(project, &closed, &closed_rendered, templates)?),
        open: with(open_desired),
        choice: choice(target, request)?,
        max_cost: target.clone.as_ref().and_then(|clone| clone.max_cost),
        prices: None,
        objections,
    };
    Ok(Desired { objections: wanted.objections.iter().cloned().chain(between(&wanted)).collect(), ..wanted })
}

/// What stands between the places of both. RDS copies within a partition, and neither to nor from China (RDS User Guide,
/// "Copying a DB snapshot").
fn between(wanted: &Desired) -> Option<Reason> {
    let (source, target) = (&wanted.source.place.region, &wanted.target.place.region);
    let is_barred = |region: &str| aws::partition(region) == "aws-cn";
    let differ = source != target
        && (aws::partition(source) != aws::partition(target) || is_barred(source) || is_barred(target));
    differ.then(|| Reason::OtherRegion { source_region: source.clone(), target_region: target.clone() })
}

/// Stacks of an environment, rendered and checked; all if none is named.
fn rendered(
    project: &Project,
    environment: &Environment,
    templates: &Templates,
    asked: &[String],
) -> Result<Vec<Rendered>, Stop> {
    let asked = stacks(environment, asked)?;
    let work = Work { environment, asked: &asked, templates, project };
    let rendered = work.render_all(|_, rendered| rendered)?;
    super::deploy::checked(environment, &asked, &rendered, templates, project)?;
    Ok(rendered)
}

fn deployment(
    project: &Project,
    environment: &Environment,
    rendered: &[Rendered],
    templates: &Templates,
) -> Result<deploy::Desired, Stop> {
    let others = others(project, rendered)?;
    desired(environment, rendered, templates, &others)
        .map_err(|mistake| mistakes([*mistake], Some(&environment.name.file), project))
}

/// The one stack whose database comes from a snapshot: its name, its database, the parameter that takes the snapshot.
fn database_of(target: &Environment, rendered: &[Rendered]) -> Result<(String, String, String), Failure> {
    let mut found = rendered.iter().flat_map(|rendered| {
        let resources = rendered.document.json.get("Resources").and_then(Json::as_object);
        let databases =
            resources.into_iter().flatten().filter(|(_, it)| it.get("Type").is_some_and(|it| it == DATABASE));
        databases.filter_map(|(name, resource)| {
            let parameter = resource.pointer("/Properties/DBSnapshotIdentifier/Ref")?.as_str()?.to_owned();
            let given = rendered.parameters.iter().find(|it| it.name == parameter)?;
            let is_kept = given.value == ParameterValue::Reference(Reference::Previous);
            is_kept.then(|| (rendered.stack.clone(), name.clone(), parameter))
        })
    });
    let (first, second) = (found.next(), found.next());
    match (first, second) {
        (Some(one), None) => Ok(one),
        (None, _) => {
            let what = format!("`{}` has no database that is made from a snapshot", target.name);
            let hint = format!(
                "in environments/{}.yaml, stack of the database: `restored: true` and `snapshot_identifier: {{previous: true}}`",
                target.name.file
            );
            Err(Failure::new(Exit::Usage, what).hint(hint))
        }
        (Some(_), Some(_)) => {
            let what = format!("`{}` has more than one database that is made from a snapshot", target.name);
            Err(Failure::new(Exit::Usage, what).hint("one at a time: a clone has one database"))
        }
    }
}

/// The target with its database closed to its clients.
fn closed(target: &Environment, stack: &str, templates: &Templates) -> Result<Environment, Failure> {
    let mut closed = target.clone();
    let Some(stack) = closed.stacks.iter_mut().find(|it| it.name == stack) else { return Ok(closed) };
    let template = templates.get(&stack.template.value);
    if template.is_none_or(|template| template.inputs.get(QUARANTINED).is_none()) {
        let what = format!("template `{}` cannot keep clients out of its database", stack.template.value);
        let hint = format!("give it a boolean input `{QUARANTINED}` that leaves out the database's ingress rules");
        return Err(Failure::new(Exit::Usage, what).hint(hint));
    }
    let scalar = Scalar { text: "true".to_owned(), style: Style::Plain };
    let node = Node { content: Content::Scalar(scalar), tag: None, span: stack.span };
    stack.values.retain(|value| value.input != QUARANTINED);
    stack.values.push(Value { input: QUARANTINED.to_owned(), input_span: stack.span, node, is_shared: false });
    Ok(closed)
}

/// The names of a stack and of all that it needs.
fn upto(desired: &deploy::Desired, stack: &str) -> Vec<String> {
    let mut wanted: BTreeSet<&str> = [stack].into();
    for stack in desired.stacks.iter().rev() {
        if wanted.contains(stack.name.as_str()) {
            wanted.extend(stack.needs.iter().map(String::as_str));
        }
    }
    desired.stacks.iter().filter(|stack| wanted.contains(stack.name.as_str())).map(|it| it.name.clone()).collect()
}

fn of_database(template: &Json, database: &str) -> Properties {
    template.get("Resources").and_then(|all| all.get(database)).map(written).unwrap_or_default()
}

/// Whether the policies of a template's keys speak of an account.
fn lets_in(template: &Json, account: &str) -> bool {
    let resources = template.get("Resources").and_then(Json::as_object);
    let mut keys = resources.into_iter().flat_map(|all| all.values());
    keys.any(|it| {
        let is_key = it.get("Type").is_some_and(|kind| kind == "AWS::KMS::Key");
        let policy = it.pointer("/Properties/KeyPolicy");
        is_key && policy.is_some_and(|policy| policy.to_string().contains(account))
    })
}

fn ignored(source: &Environment, stack: &str, database: &str) -> BTreeSet<String> {
    let prefix = format!("{stack}/{database}/");
    let held = source.drift_ignores.iter().filter(|it| it.until.value >= today());
    held.filter_map(|it| it.path.value.strip_prefix(&prefix)).map(str::to_owned).collect()
}

fn differing(declared: &[Declared], stack: &str, database: &str) -> BTreeSet<String> {
    let held: Vec<_> = declared.iter().filter(|it| it.until >= today()).collect();
    let is_declared = |property: &&str| held.iter().any(|it| it.covers(&format!("{stack}/{database}/{property}")));
    FROZEN.iter().copied().filter(|property| is_declared(property)).map(str::to_owned).collect()
}

/// The tags of every copy: the target's own, and whose data it is.
fn tags(target: &Environment, stack: Option<&Stack>) -> BTreeMap<String, String> {
    let mut tags = stack.map(|stack| stack.tags.clone()).unwrap_or_default();
    tags.insert("greenroom:data".to_owned(), "unmasked".to_owned());
    tags.extend(target.owner.clone().map(|owner| ("greenroom:owner".to_owned(), owner)));
    tags
}

fn choice(target: &Environment, request: &Request) -> Result<Choice, Failure> {
    let of_file = target.clone.as_ref().map(|clone| &clone.snapshot);
    let mut choice = match of_file {
        None => Choice::default(),
        Some(SnapshotChoice::Newest { within }) => Choice { which: Which::Newest, max_age: *within },
        Some(SnapshotChoice::Fresh) => Choice { which: Which::Fresh, max_age: None },
        Some(SnapshotChoice::Id(id)) => Choice { which: Which::Id(id.clone()), max_age: None },
    };
    match request.snapshot.as_deref() {
        None => {}
        Some("newest") => choice.which = Which::Newest,
        Some("fresh") => choice.which = Which::Fresh,
        Some("") => {
            let hint = "write `newest`, `fresh`, or the id of a snapshot";
            return Err(Failure::new(Exit::Usage, "`--snapshot` names none").hint(hint));
        }
        // Who names a snapshot knows how old it is.
        Some(id) => choice = Choice { which: Which::Id(id.to_owned()), max_age: None },
    }
    if let Some(text) = &request.max_age {
        let max_age = parse_duration(text).ok_or_else(|| {
            Failure::new(Exit::Usage, format!("`--max-age {text}` is no duration")).hint("write `90m`, `24h` or `7d`")
        })?;
        choice.max_age = Some(max_age);
    }
    Ok(choice)
}

fn refused(source: &Environment, target: &Environment, because: &[Reason]) -> Failure {
    let (source, target) = (source.name.to_string(), target.name.to_string());
    let mut failure = Failure::new(Exit::Refused, format!("the clone of `{source}` as `{target}` is refused"));
    failure.reasons = because.iter().map(ToString::to_string).collect();
    for hint in because.iter().filter_map(|reason| reason.hint(&source, &target)) {
        if !failure.hints.contains(&hint) {
            failure = failure.hint(hint);
        }
    }
    failure
}

/// What the files alone say against it, all at once.
fn objections(source: &Environment, target: &Environment) -> Vec<Reason> {
    let (source_environment, name) = (source.name.to_string(), target.name.to_string());
    let mut all = Vec::new();
    let from = target.clone.as_ref().map(|clone| clone.from.value.clone());
    if from.as_ref() != Some(&source_environment) {
        let is_swapped = source.clone.as_ref().is_some_and(|clone| clone.from.value == name);
        let reason =
            |from| Reason::NotItsSource { source_environment: source_environment.clone(), target: name.clone(), from };
        if is_swapped {
            // Whatever else is wrong is right the other way round.
            return vec![reason(Some(name.clone()))];
        }
        all.push(reason(from));
    }
    let policy = source.clone_policy.as_ref();
    let is_allowed =
        policy.is_some_and(|policy| policy.targets.iter().any(|it| *it == name || *it == target.name.file));
    if !is_allowed {
        all.push(Reason::NotAllowed { source_environment: source_environment.clone(), target: name.clone() });
    }
    if target.is_protected {
        all.push(Reason::Protected { target: name.clone() });
    }
    match &target.lifetime {
        None => all.push(Reason::NoLifetime { target: name.clone() }),
        Some(lifetime) => {
            let seconds = lifetime.value.as_secs();
            let max = policy.and_then(|policy| policy.max_lifetime).map(|max| max.as_secs());
            all.extend(max.filter(|max| seconds > *max).map(|max_seconds| Reason::LivesTooLong {
                source_environment: source_environment.clone(),
                target: name.clone(),
                seconds,
                max_seconds,
            }));
        }
    }
    all.extend(shared(source, target));
    all
}
