//! `destroy`: what goes, and its going.

use std::collections::BTreeSet;
use std::path::Path;

use crate::aws::{self, Clients};
use crate::cli::{Common, Destroy};
use crate::clone::observe::{databases, made_for};
use crate::clone::removal::{self, Removed};
use crate::clone::{SOURCE_SNAPSHOT, SeenSnapshot};
use crate::commands::cloud::{Telling, arrive, ask, block_on, drive, failed, interrupted, pace, settings};
use crate::commands::writing::{NewFile, write};
use crate::commands::{Done, Ended, Stop, display, environment, mistakes, name, project, stacks, templates};
use crate::deploy::desired::{named, place};
use crate::deploy::observe::target;
use crate::deploy::world::Wish;
use crate::deploy::{Place, World};
use crate::destroy::evidence::{Circumstances, CopyEvidence, Ending, Evidence, Fate, Trace, evidence};
use crate::destroy::observe::{DoomedObserver, trace, trace_again};
use crate::destroy::report::{Demolition, demolition};
use crate::destroy::{Doomed, DoomedStack, Reason, Step, apply, plan};
use crate::environment::{Environment, Project, Stack};
use crate::error::{Exit, Failure};
use crate::operation::{Operation, Plan};
use crate::template::Templates;
use crate::template::wiring::{flows, needs, order};
use crate::view::{Afterwards, Expected, Report, View};

/// A demolition as an operation: the three verbs of `destroy`, with clients.
struct Demolishing<'a> {
    doomed: &'a Doomed,
    clients: &'a Clients,
    observer: &'a DoomedObserver<'a>,
}

impl Operation for Demolishing<'_> {
    type World = World;
    type Step = Step;
    type Reason = Reason;
    type Fault = aws::Fault;

    async fn observe(&self) -> Result<World, aws::Fault> {
        self.observer.observe(self.doomed).await
    }

    fn plan(&self, first: &World, now: &World) -> Plan<Step, Reason> {
        plan::plan(self.doomed, first, now)
    }

    async fn apply(&self, step: &Step) -> Result<(), aws::Fault> {
        apply::apply(self.clients, step).await
    }
}

/// The deletion of what was copied for a clone, as an operation.
struct Removing<'a> {
    removed: &'a Removed,
    clients: &'a Clients,
}

impl Operation for Removing<'_> {
    type World = removal::World;
    type Step = removal::Step;
    type Reason = removal::Reason;
    type Fault = aws::Fault;

    async fn observe(&self) -> Result<removal::World, aws::Fault> {
        let mut all = removal::World::new();
        for place in &self.removed.places {
            let found = made_for(self.clients, place, &self.removed.project, &self.removed.word).await?;
            all.extend(found.into_iter().map(|snapshot| (place.clone(), snapshot)));
        }
        Ok(all)
    }

    fn plan(&self, _first: &removal::World, now: &removal::World) -> Plan<removal::Step, removal::Reason> {
        removal::plan(self.removed, now)
    }

    async fn apply(&self, step: &removal::Step) -> Result<(), aws::Fault> {
        crate::clone::apply::remove(self.clients, step).await
    }
}

pub(super) fn run(common: &Common, request: &Destroy, view: View) -> Ended {
    let mut project = project(common)?;
    let environment = environment(&project, &name(&request.environment)?)?;
    let templates = templates(&mut project, [&environment]);
    let doomed = Doomed {
        empties: resources(&environment, "--empty-bucket", &request.empty_bucket)?,
        retains: resources(&environment, "--retain", &request.retain)?,
        ..doomed(&environment, &templates, &project)?
    };
    let removed = removed(&project, &environment)?;
    let clients = Clients::new(settings(common, &project.root)?);
    let report = block_on(destroy(&doomed, removed.as_ref(), request, &clients, view))??;
    Ok(Done { report, sources: project.sources, exit: Exit::Done })
}

/// Resources that are named on the command line, each `STACK/RESOURCE`.
fn resources(environment: &Environment, flag: &str, texts: &[String]) -> Result<BTreeSet<String>, Failure> {
    for text in texts {
        let Some((stack, _)) = text.split_once('/').filter(|(_, resource)| !resource.is_empty()) else {
            let what = format!("`{flag} {text}` names no resource");
            return Err(Failure::new(Exit::Usage, what).hint(format!("write `{flag} STACK/RESOURCE`")));
        };
        stacks(environment, &[stack.to_owned()])?;
    }
    Ok(texts.iter().cloned().collect())
}

pub(super) async fn destroy(
    doomed: &Doomed,
    removed: Option<&Removed>,
    request: &Destroy,
    clients: &Clients,
    view: View,
) -> Result<Report, Failure> {
    let mut places: BTreeSet<_> = doomed.stacks.iter().map(|stack| stack.place.clone()).collect();
    places.extend(removed.iter().flat_map(|removed| removed.places.iter().cloned()));
    arrive(&doomed.environment, &places, clients, view).await?;
    if let Some(removed) = removed.filter(|_| !doomed.is_protected) {
        Box::pin(prove(doomed, removed, clients)).await?;
    }
    // A protected environment is refused by the planner, which says so; there is nothing to ask.
    let is_asked = !request.yes && !doomed.is_protected;
    if request.dry_run || is_asked {
        let mut doom = look(doomed, &DoomedObserver::new(clients)).await?;
        doom.snapshots = match removed {
            Some(removed) => snapshots(&look_for_copies(removed, clients).await?),
            None => Vec::new(),
        };
        if request.dry_run || doom.is_empty() {
            return Ok(Report::Demolition(doom));
        }
        view.demolition(&doom);
        let question = format!("Destroy `{0}`? Type its name:", doomed.environment);
        ask(view, &question, &doomed.environment, "--yes").await?;
    }
    // What is refused anyway is no destruction, and leaves no evidence.
    let file = match request.report.as_ref().filter(|_| !doomed.is_protected) {
        Some(path) => Some(EvidenceFile::begin(path, doomed, removed, clients).await?),
        None => None,
    };
    let done = demolish(doomed, removed, clients, view).await;
    match file {
        Some(file) => file.finish(doomed, clients, view, done).await,
        None => done,
    }
}

/// A clone goes only if none of its databases is its source's own. What cannot be read proves nothing, and ends the run.
async fn prove(doomed: &Doomed, removed: &Removed, clients: &Clients) -> Result<(), Failure> {
    // Two accounts may have a stack of the same name.
    let wish = |stack_name: &String, place: &Place| Wish {
        label: format!("{}/{}/{stack_name}", place.account, place.region),
        stack_name: stack_name.clone(),
        place: place.clone(),
    };
    let own = doomed.stacks.iter().map(|it| Wish { label: it.stack_name.clone(), ..wish(&it.stack_name, &it.place) });
    let own: Vec<Wish> = own.collect();
    let others: Vec<Wish> = removed.source_stacks.iter().map(|(name, place)| wish(name, place)).collect();
    let unseen = |of: &str| {
        format!("`{of}` could not be looked at, so nobody knows whose database `{}` has", doomed.environment)
    };
    let own = databases(clients, &own).await.map_err(|fault| failed(fault, unseen(&doomed.environment)))?;
    if own.is_empty() {
        return Ok(());
    }
    let others = databases(clients, &others).await.map_err(|fault| failed(fault, unseen(&removed.source)))?;
    let because = removal::objections(&own, &others);
    if because.is_empty() {
        return Ok(());
    }
    let mut failure = Failure::new(Exit::Refused, format!("the destruction of `{}` is refused", doomed.environment));
    failure.reasons = because;
    Err(failure.hint(format!("take the database out of the stack first; nothing of `{}` was touched", removed.source)))
}

async fn demolish(
    doomed: &Doomed,
    removed: Option<&Removed>,
    clients: &Clients,
    view: View,
) -> Result<Report, Failure> {
    let observer = DoomedObserver::new(clients);
    let operation = Demolishing { doomed, clients, observer: &observer };
    let telling = Telling {
        what: format!("the destruction of `{}`", doomed.environment),
        hint: &Reason::hint,
        pace: pace(clients),
        expected: doomed.stacks.iter().map(expected).collect(),
        afterwards: Afterwards::Stays,
    };
    let reached = drive(&operation, view, &telling).await?;
    let mut done = demolition(doomed, &reached.first, Some(&reached.now));
    // Last: a database that is still being restored needs its snapshot.
    if let Some(removed) = removed.filter(|_| !doomed.is_protected) {
        done.snapshots = snapshots(&remove(removed, clients, view).await?);
    }
    Ok(Report::Demolition(done))
}

/// Deletes what was copied for a clone; gives what there was.
async fn remove(removed: &Removed, clients: &Clients, view: View) -> Result<removal::World, Failure> {
    let telling = Telling {
        what: format!("the deletion of the snapshots of `{}`", removed.environment),
        hint: &|_: &removal::Reason| None,
        pace: pace(clients),
        expected: Vec::new(),
        afterwards: Afterwards::Goes,
    };
    Ok(drive(&Removing { removed, clients }, view, &telling).await?.first)
}

async fn look_for_copies(removed: &Removed, clients: &Clients) -> Result<removal::World, Failure> {
    let seen = Removing { removed, clients }.observe().await;
    seen.map_err(|fault| failed(fault, format!("the snapshots of `{}` could not be looked at", removed.environment)))
}

fn snapshots(world: &removal::World) -> Vec<String> {
    world.iter().map(|(place, snapshot)| format!("{} in {}", snapshot.name, place.account)).collect()
}

/// Whose copies go with an environment that is a clone: those in its own account, and those in its source's.
pub(super) fn removed(project: &Project, target: &Environment) -> Result<Option<Removed>, Stop> {
    let Some(clone) = &target.clone else { return Ok(None) };
    let source = self::environment(project, &name(&clone.from.value)?)?;
    let places = [target, &source].into_iter().flat_map(|environment| &environment.stacks).filter(|it| it.is_managed);
    let mut places: Vec<_> = places.map(place).collect();
    places.sort();
    places.dedup();
    Ok(Some(Removed {
        environment: target.name.to_string(),
        word: target.name.word(),
        project: target.project.clone(),
        places,
        source: source.name.to_string(),
        source_stacks: source.stacks.iter().map(|it| (it.stack_name.value.clone(), place(it))).collect(),
    }))
}

/// The file of `--report`. It is there before the first step, so that a run that is killed has left the truth behind.
struct EvidenceFile<'a> {
    path: &'a Path,
    circumstances: Circumstances,
    before: Vec<Trace>,
    removed: Option<&'a Removed>,
    copies: removal::World,
}

impl<'a> EvidenceFile<'a> {
    /// Writes what exists. A file that cannot be written ends the run here, before anything is deleted.
    async fn begin(
        path: &'a Path,
        doomed: &Doomed,
        removed: Option<&'a Removed>,
        clients: &Clients,
    ) -> Result<Self, Failure> {
        let unseen = |fault| failed(fault, format!("`{}` could not be looked at", doomed.environment));
        let mut callers = BTreeSet::new();
        for stack in &doomed.stacks {
            callers.insert(clients.caller_arn(target(&stack.place)).await.map_err(unseen)?);
        }
        let before = trace(clients, doomed).await.map_err(unseen)?;
        let callers = callers.into_iter().collect();
        let circumstances = Circumstances { is_rehearsal: clients.is_local(), callers, began: clients.now() };
        let copies = match removed {
            Some(removed) => look_for_copies(removed, clients).await?,
            None => removal::World::new(),
        };
        let file = Self { path, circumstances, before, removed, copies };
        let begun = evidence(doomed, &file.circumstances, &file.before, &Ending::Unknown);
        let all = arns(&file.copies);
        file.write(&begun.with_copies(copies_seen(&file.copies), Some(&all))).map_err(|failure| {
            let refused = Failure { exit: Exit::Refused, ..failure };
            refused.hint("nothing was deleted; name a file that can be written")
        })?;
        Ok(file)
    }

    /// Writes what became of it, however the run ended.
    async fn finish(
        &self,
        doomed: &Doomed,
        clients: &Clients,
        view: View,
        done: Result<Report, Failure>,
    ) -> Result<Report, Failure> {
        let ids: Vec<_> =
            self.before.iter().map(|it| (it.stack.clone(), it.place.clone(), it.live.id.clone())).collect();
        let look_again = async {
            let left = match self.removed {
                Some(removed) => look_for_copies(removed, clients).await.ok().map(|left| arns(&left)),
                None => Some(BTreeSet::new()),
            };
            (trace_again(clients, &ids).await.map_err(|fault| fault.to_string()), left)
        };
        let (after, left) = tokio::select! {
            seen = look_again => seen,
            () = interrupted() => (Err("interrupted".to_owned()), None),
        };
        let because = done.as_ref().err().map(|failure| {
            let why = failure.reasons.join("; ");
            if why.is_empty() { failure.what.clone() } else { format!("{}: {why}", failure.what) }
        });
        let ending = Ending::Known { because, after: after.as_deref().map_err(Clone::clone), at: clients.now() };
        let ended = evidence(doomed, &self.circumstances, &self.before, &ending);
        let written = self.write(&ended.with_copies(copies_seen(&self.copies), left.as_ref()));
        if written.is_ok() {
            view.note(&format!("the evidence is in {}", display(self.path)));
        }
        match (done, written) {
            (Ok(_), Err(failure)) => Err(failure.hint("it is destroyed; run the command again for the evidence")),
            (done, _) => done,
        }
    }

    fn write(&self, evidence: &Evidence) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(evidence)
            .map_err(|error| Failure::new(Exit::Failed, "the evidence cannot be written").because(error))?;
        write(&[NewFile { path: self.path.to_owned(), text: text + "\n" }])
    }
}

fn arns(copies: &removal::World) -> BTreeSet<String> {
    copies.iter().map(|(_, snapshot)| snapshot.arn.clone()).collect()
}

fn copies_seen(copies: &removal::World) -> Vec<CopyEvidence> {
    let copy = |(place, snapshot): &(Place, SeenSnapshot)| CopyEvidence {
        snapshot: snapshot.arn.clone(),
        account: place.account.clone(),
        source_snapshot: snapshot.tags.get(SOURCE_SNAPSHOT).cloned(),
        data_as_of: snapshot.data_as_of,
        fate: Fate::StillThere,
    };
    copies.iter().map(copy).collect()
}

fn expected(stack: &DoomedStack) -> Expected {
    Expected { stack: stack.name.clone(), resources: None }
}

async fn look(doomed: &Doomed, observer: &DoomedObserver<'_>) -> Result<Demolition, Failure> {
    let seen = observer.observe(doomed).await;
    let seen = seen.map_err(|fault| failed(fault, format!("`{}` could not be looked at", doomed.environment)))?;
    Ok(demolition(doomed, &seen, None))
}

/// What is to go: every managed stack, each before those it needs.
pub(super) fn doomed(environment: &Environment, templates: &Templates, project: &Project) -> Result<Doomed, Stop> {
    let flows = flows(environment, templates);
    let needs = needs(&flows, environment);
    let order =
        order(&flows, environment).map_err(|mistake| mistakes([*mistake], Some(&environment.name.file), project))?;
    let needed_by = |name: &str| -> BTreeSet<String> {
        let users = needs.iter().filter(|(_, needed)| needed.iter().any(|it| it == name));
        users.map(|(user, _)| user.clone()).collect()
    };
    let stack = |stack: &Stack| DoomedStack {
        name: stack.name.clone(),
        stack_name: stack.stack_name.value.clone(),
        place: place(stack),
        needed_by: needed_by(&stack.name),
    };
    let managed = order.iter().rev().filter_map(|name| environment.stack(name)).filter(|stack| stack.is_managed);
    Ok(Doomed {
        environment: environment.name.to_string(),
        environment_word: environment.name.word(),
        project: environment.project.clone(),
        is_protected: environment.is_protected,
        stacks: managed.map(stack).collect(),
        named: named(environment),
        ..Doomed::default()
    })
}
