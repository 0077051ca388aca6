//! `reap`: environments whose lifetime is over go, one after the other; `--extend` lets one stay.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::Timestamp;

use crate::aws::Clients;
use crate::cli::{Common, Destroy, Reap as Request};
use crate::clone::SOURCE_SNAPSHOT;
use crate::clone::observe::made_for;
use crate::clone::removal::Removed;
use crate::commands::cloud::{arrive, ask, block_on, failed, guard, interrupted, settings, whereabouts};
use crate::commands::deploy::{Consent, Run};
use crate::commands::{Done, Ended, Stop, destroy, environment, name, project, templates};
use crate::deploy::Place;
use crate::deploy::desired::place;
use crate::deploy::lifetime::{after, mark};
use crate::deploy::marks::is_of_environment;
use crate::destroy::{Doomed, DoomedStack};
use crate::environment::resolve::name_to_try;
use crate::environment::shape::parse_duration;
use crate::environment::{Environment, Project};
use crate::error::{Exit, Failure};
use crate::reap::extension;
use crate::reap::observe::look;
use crate::reap::plan::plan;
use crate::reap::report::{Extended, Outcome, Reaped, Reaping};
use crate::reap::{Copy, Endless, Found, Judged, Known, Unread, Verdict, World};
use crate::view::{Report, View};

pub(super) fn run(common: &Common, request: &Request, view: View) -> Ended {
    match request.extend.as_deref() {
        Some([environment, duration]) => extend(common, request, environment, duration, view),
        Some(_) | None => reap(common, request, view),
    }
}

fn reap(common: &Common, request: &Request, view: View) -> Ended {
    let project = project(common)?;
    let environments = environments(&project)?;
    let known = environments.iter().map(known).collect();
    let clients = Clients::new(settings(common, &project.root)?);
    let reaper = Reaper { project: &project, environments: &environments, known, clients: &clients, request, view };
    let (found, exit) = block_on(reaper.reap())??;
    Ok(Done { report: Report::Reaped(found), sources: project.sources, exit })
}

/// Every environment that the files describe; of one of many, the one that is tried out. A file that cannot be understood may be of
/// an account that nobody would look at, or protected: then nothing is done at all.
pub(super) fn environments(project: &Project) -> Result<Vec<Environment>, Stop> {
    let concrete = project.files.values().filter(|file| !file.is_abstract);
    concrete.map(|file| self::environment(project, &name_to_try(project, &file.name))).collect()
}

fn known(environment: &Environment) -> Known {
    Known {
        file: environment.name.file.clone(),
        project: environment.project.clone(),
        is_named: environment.name.instance.is_some(),
        is_protected: environment.is_protected,
        lifetime: environment.lifetime.as_ref().map(|lifetime| lifetime.value),
        places: own_places(environment),
    }
}

/// Where the stacks of an environment live.
pub(super) fn own_places(environment: &Environment) -> BTreeSet<Place> {
    environment.stacks.iter().filter(|stack| stack.is_managed).map(place).collect()
}

/// How a run ends that had nothing to do but to say this.
fn exit(verdict: &Verdict) -> Exit {
    match verdict {
        Verdict::Doubtful { .. } => Exit::Refused,
        Verdict::Unknown { .. } => Exit::CouldNotCheck,
        Verdict::Over | Verdict::Lives | Verdict::Endless { .. } | Verdict::Protected => Exit::Done,
    }
}

/// What was done about an environment, and how a run ends that had only this to do.
type Ending = (Outcome, Exit);

fn not_gone(exit: Exit, reasons: Vec<String>) -> Ending {
    (Outcome::NotGone { reasons, exit_code: exit.code() }, exit)
}

/// What all parts of a run share.
struct Reaper<'a> {
    project: &'a Project,
    environments: &'a [Environment],
    known: Vec<Known>,
    clients: &'a Clients,
    request: &'a Request,
    view: View,
}

impl Reaper<'_> {
    async fn reap(&self) -> Result<(Reaped, Exit), Failure> {
        let all = self.known.iter().flat_map(|known| known.places.iter().cloned()).collect();
        let projects: BTreeSet<&str> = self.known.iter().map(|known| known.project.as_str()).collect();
        let projects: Vec<&str> = projects.into_iter().collect();
        self.view.note(&whereabouts(&projects.join(", "), &all, self.clients.is_local()));
        let world = self.look(&all).await?;
        let judged: Vec<Judged> = plan(&self.known, &world).into_iter().filter(is_told).collect();
        let mut reaped = Reaped {
            is_rehearsal: self.request.dry_run,
            seen: world.now,
            environments: judged.iter().map(|judged| Reaping::of(judged, world.now)).collect(),
            looked_at: world.looked_at,
            unread: [world.unread, world.uncounted].concat(),
        };
        let unread = (!reaped.unread.is_empty()).then_some(Exit::CouldNotCheck);
        let found: Vec<Exit> = judged.iter().map(|judged| exit(&judged.verdict)).chain(unread).collect();
        let done = self.settle(&judged, &mut reaped).await?;
        Ok((reaped, Exit::foremost(found.into_iter().chain(done))))
    }

    /// Shows what is over, asks where it has to, and removes it.
    async fn settle(&self, judged: &[Judged], reaped: &mut Reaped) -> Result<Vec<Exit>, Failure> {
        let mut exits = Vec::new();
        let all = || judged.iter().enumerate().filter(|(_, judged)| judged.verdict == Verdict::Over);
        if self.request.dry_run || !self.request.yes {
            for (index, judged) in all() {
                let (outcome, exit) = self.rehearse(judged).await?;
                reaped.environments[index].outcome = Some(outcome);
                exits.push(exit);
            }
        }
        if self.request.dry_run || all().next().is_none() {
            return Ok(exits);
        }
        if !self.request.yes {
            self.view.reaped(reaped);
            let names: Vec<&str> = all().map(|(_, judged)| judged.environment.as_str()).collect();
            ask(self.view, &format!("Destroy {}? Type `yes`:", names.join(", ")), "yes", "--yes").await?;
        }
        exits.clear();
        for (index, judged) in all() {
            // One that fails keeps none of the others.
            let (outcome, exit) = self.remove(judged).await?;
            reaped.environments[index].outcome = Some(outcome);
            exits.push(exit);
        }
        Ok(exits)
    }

    /// Looks at places; what cannot be reached is told, and keeps nobody from the others.
    async fn look(&self, places: &BTreeSet<Place>) -> Result<World, Failure> {
        let mut world = World::default();
        for place in places {
            let seen = async {
                guard(self.clients, place, self.view).await?;
                let unseen = |fault| failed(fault, "its stacks could not be listed");
                look(self.clients, place, &mut world).await.map_err(unseen)
            };
            let seen = tokio::select! {
                seen = seen => seen,
                () = interrupted() => Err(Failure::new(Exit::Interrupted, "interrupted")),
            };
            match seen {
                Ok(()) => {}
                Err(failure) if failure.exit == Exit::Interrupted => return Err(failure),
                Err(failure) => world.unread.push(unread(place, &failure)),
            }
        }
        self.look_for_copies(&mut world).await?;
        Ok(world)
    }

    /// Looks for what was copied for clones of which no stack is there any more.
    async fn look_for_copies(&self, world: &mut World) -> Result<(), Failure> {
        let clones = self.environments.iter().filter(|environment| environment.lifetime.is_some());
        for environment in clones.filter(|it| it.name.instance.is_none() && !it.is_protected) {
            let Some(removed) = destroy::removed(self.project, environment).map_err(failure)? else { continue };
            let is_its_own = |found: &Found| is_of_environment(&found.stack.tags, &removed.project, &removed.word);
            let is_seen = |place: &Place| world.looked_at.contains(place);
            if world.stacks.iter().any(is_its_own) || !removed.places.iter().all(is_seen) {
                continue;
            }
            for place in &removed.places {
                match made_for(self.clients, place, &removed.project, &removed.word).await {
                    Ok(found) => world.copies.extend(
                        found
                            .into_iter()
                            .map(|snapshot| Copy { file: environment.name.file.clone(), created: snapshot.created }),
                    ),
                    Err(fault) => {
                        let what = format!("the snapshots of `{}` could not be looked for", removed.environment);
                        world.uncounted.push(unread(place, &failed(fault, what)));
                    }
                }
            }
        }
        Ok(())
    }

    async fn rehearse(&self, judged: &Judged) -> Result<Ending, Failure> {
        let rehearsal = Destroy { dry_run: true, ..self.request_for(judged) };
        self.outcome(judged, &rehearsal).await
    }

    /// Looks once more, because what came before may have taken hours, and removes what is still over.
    async fn remove(&self, judged: &Judged) -> Result<Ending, Failure> {
        let of_file = self.known.iter().filter(|known| judged.file.as_ref().is_none_or(|file| *file == known.file));
        let found = judged.stacks.iter().map(|found| found.place.clone());
        // What was copied for a clone lies with its source, too.
        let of_file = of_file.chain(self.known.iter().filter(|_| judged.stacks.is_empty()));
        let places = of_file.flat_map(|known| known.places.iter().cloned()).chain(found).collect();
        let world = self.look(&places).await?;
        let mut again = plan(&self.known, &world).into_iter();
        let again = again.find(|it| (&it.word, &it.project) == (&judged.word, &judged.project));
        let Some(again) = again else { return Ok((Outcome::Spared, Exit::Done)) };
        match &again.verdict {
            Verdict::Over => self.outcome(&again, &self.request_for(judged)).await,
            Verdict::Unknown { .. } | Verdict::Doubtful { .. } => {
                Ok(not_gone(exit(&again.verdict), vec![again.verdict.to_string()]))
            }
            Verdict::Lives | Verdict::Endless { .. } | Verdict::Protected => Ok((Outcome::Spared, Exit::Done)),
        }
    }

    fn request_for(&self, judged: &Judged) -> Destroy {
        Destroy {
            environment: judged.environment.clone(),
            yes: true,
            dry_run: false,
            report: self.request.report.as_ref().map(|directory| evidence_file(directory, &judged.word)),
            empty_bucket: Vec::new(),
            retain: Vec::new(),
        }
    }

    /// What `destroy` makes of it. Only Ctrl-C ends the whole run.
    async fn outcome(&self, judged: &Judged, request: &Destroy) -> Result<Ending, Failure> {
        let done = async {
            let (doomed, removed) = self.doomed(judged)?;
            Box::pin(destroy::destroy(&doomed, removed.as_ref(), request, self.clients, self.view)).await
        };
        match done.await {
            Ok(Report::Demolition(demolition)) if request.dry_run => Ok((Outcome::WouldGo { demolition }, Exit::Done)),
            Ok(Report::Demolition(demolition)) => Ok((Outcome::Gone { demolition }, Exit::Done)),
            Ok(_) => Ok((Outcome::Spared, Exit::Done)),
            Err(failure) if failure.exit == Exit::Interrupted => Err(failure),
            Err(failure) => {
                let (exit, reasons) = (failure.exit, reasons(&failure));
                // What its hints name are flags of that verb.
                let hint =
                    format!("`greenroom destroy {}` does this one by itself, with such flags", judged.environment);
                self.view.failure(&if judged.file.is_some() { failure.hint(hint) } else { failure });
                Ok(not_gone(exit, reasons))
            }
        }
    }

    /// What goes: what the file says, and what bears its marks elsewhere; without a file, what bears its marks.
    fn doomed(&self, judged: &Judged) -> Result<(Doomed, Option<Removed>), Failure> {
        if judged.file.is_none() {
            return Ok(self.doomed_by_marks(judged));
        }
        let environment = environment(self.project, &name(&judged.environment)?).map_err(failure)?;
        let templates = templates(&mut self.project.clone(), [&environment]);
        let mut doomed = destroy::doomed(&environment, &templates, self.project).map_err(failure)?;
        let removed = destroy::removed(self.project, &environment).map_err(failure)?;
        let looked: BTreeSet<_> =
            doomed.stacks.iter().map(|it| (it.place.account.clone(), it.place.region.clone())).collect();
        let is_elsewhere =
            |found: &&Found| !looked.contains(&(found.place.account.clone(), found.place.region.clone()));
        add(&mut doomed, judged.stacks.iter().filter(is_elsewhere));
        Ok((doomed, removed))
    }

    fn doomed_by_marks(&self, judged: &Judged) -> (Doomed, Option<Removed>) {
        let mut doomed = Doomed {
            environment: judged.environment.clone(),
            environment_word: judged.word.clone(),
            project: judged.project.clone(),
            ..Doomed::default()
        };
        add(&mut doomed, &judged.stacks);
        let is_clone = judged.stacks.iter().any(|found| found.stack.tags.contains_key(SOURCE_SNAPSHOT));
        let of_project = || self.environments.iter().filter(|environment| environment.project == judged.project);
        let stacks = || of_project().flat_map(|environment| &environment.stacks).filter(|stack| stack.is_managed);
        let removed = is_clone.then(|| {
            // Nobody says any more whose data it is: of all that the project has, none may be lost.
            let places: BTreeSet<Place> = stacks().map(place).collect();
            Removed {
                environment: judged.environment.clone(),
                word: judged.word.clone(),
                project: judged.project.clone(),
                places: places.into_iter().collect(),
                source: "the other environments".to_owned(),
                source_stacks: stacks().map(|stack| (stack.stack_name.value.clone(), place(stack))).collect(),
            }
        });
        (doomed, removed)
    }
}

/// Adds stacks that no file names: the newest goes first, because what is needed was made before.
fn add<'a>(doomed: &mut Doomed, stacks: impl IntoIterator<Item = &'a Found>) {
    let mut newer = BTreeSet::new();
    for Found { place, stack } in stacks {
        let called = mark(stack, "stack").unwrap_or(&stack.name);
        let is_taken = doomed.stacks.iter().any(|it| it.name == called);
        let name = if is_taken { format!("{called} in {} {}", place.account, place.region) } else { called.to_owned() };
        doomed.named.insert((place.account.clone(), place.region.clone(), stack.name.clone()));
        doomed.stacks.push(DoomedStack {
            name: name.clone(),
            stack_name: stack.name.clone(),
            place: place.clone(),
            needed_by: newer.clone(),
        });
        newer.insert(name);
    }
}

/// Mistakes that only this one of many has.
fn failure(stop: Stop) -> Failure {
    match stop {
        Stop::Failure(failure) => failure,
        Stop::Mistakes(..) => Failure::new(Exit::Usage, "the files have mistakes").hint("`greenroom check` says which"),
    }
}

fn evidence_file(directory: &Path, word: &str) -> std::path::PathBuf {
    directory.join(format!("{word}.json"))
}

/// What never ends is of interest only where somebody may believe that it does.
fn is_told(judged: &Judged) -> bool {
    let is_usual = matches!(judged.verdict, Verdict::Endless { because: Endless::NoLifetime });
    !is_usual || judged.is_file_gone
}

fn unread(place: &Place, failure: &Failure) -> Unread {
    Unread { place: place.clone(), because: reasons(failure).join("; "), hints: failure.hints.clone() }
}

/// What went wrong, with its causes.
fn reasons(failure: &Failure) -> Vec<String> {
    if !failure.reasons.is_empty() {
        return failure.reasons.clone();
    }
    let mut text = failure.what.clone();
    let mut cause = std::error::Error::source(failure);
    while let Some(because) = cause {
        text = format!("{text}: {because}");
        cause = because.source();
    }
    vec![text]
}

fn extend(common: &Common, request: &Request, text: &str, duration: &str, view: View) -> Ended {
    let project = project(common)?;
    let environment = environment(&project, &name(text)?)?;
    let Some(wanted) = parse_duration(duration) else {
        let what = format!("`{duration}` is no length of time");
        return Err(Failure::new(Exit::Usage, what).hint("write `90m`, `24h` or `2d`").into());
    };
    if environment.is_protected {
        let what = format!("`{text}` is protected, and never ends by itself");
        return Err(Failure::new(Exit::Refused, what).into());
    }
    if environment.lifetime.is_none() {
        let what = format!("`{text}` has no lifetime, so there is nothing to extend");
        let hint = format!("`lifetime: 8h` in environments/{}.yaml gives it one", environment.name.file);
        return Err(Failure::new(Exit::Usage, what).hint(hint).into());
    }
    let most = most(&project, &environment)?;
    let clients = Clients::new(settings(common, &project.root)?);
    let extending = Extending { environment: &environment, most, clients: &clients, view };
    let extended = block_on(extending.extend(wanted, duration, request.dry_run))??;
    Ok(Done { report: Report::Extended(extended), sources: project.sources, exit: Exit::Done })
}

/// The longest that a source lets its clones live.
struct Most {
    source: String,
    lifetime: std::time::Duration,
}

fn most(project: &Project, environment: &Environment) -> Result<Option<Most>, Stop> {
    let Some(clone) = &environment.clone else { return Ok(None) };
    let source = self::environment(project, &name(&clone.from.value)?)?;
    let lifetime = source.clone_policy.as_ref().and_then(|policy| policy.max_lifetime);
    Ok(lifetime.map(|lifetime| Most { source: source.name.to_string(), lifetime }))
}

/// The extension of one environment.
struct Extending<'a> {
    environment: &'a Environment,
    most: Option<Most>,
    clients: &'a Clients,
    view: View,
}

impl Extending<'_> {
    async fn extend(&self, wanted: std::time::Duration, text: &str, is_rehearsal: bool) -> Result<Extended, Failure> {
        let environment = self.environment.name.to_string();
        arrive(&environment, &own_places(self.environment), self.clients, self.view).await?;
        let judged = self.judged().await?;
        let (Some(ended), Some(now)) = (judged.ends, self.clients.now()) else {
            let failure = Failure::new(Exit::Refused, format!("`{environment}` cannot be extended"));
            return Err(failure.because(judged.verdict.to_string()));
        };
        let Some(ends) = after(now, wanted).and_then(whole_seconds) else {
            return Err(Failure::new(Exit::Usage, format!("`{text}` from now is beyond the calendar")));
        };
        let extended = Extended { environment, ended, ends: ends.max(ended), is_rehearsal };
        if ends <= ended {
            return Ok(extended);
        }
        self.allow(judged.born, ends)?;
        let Some(desired) = extension::desired(self.environment, ends).filter(|_| !is_rehearsal) else {
            return Ok(extended);
        };
        let run = Run { written: None, clients: self.clients, view: self.view };
        run.converge(desired, Consent::Given).await?;
        Ok(extended)
    }

    /// The environment as it is, by its marks.
    async fn judged(&self) -> Result<Judged, Failure> {
        let mut world = World::default();
        for place in own_places(self.environment) {
            let unseen = |fault| failed(fault, format!("`{}` could not be looked at", self.environment.name));
            look(self.clients, &place, &mut world).await.map_err(unseen)?;
        }
        let all = plan(&[known(self.environment)], &world);
        let is_it = |judged: &Judged| judged.word == self.environment.name.word();
        all.into_iter().find(is_it).ok_or_else(|| {
            let what = format!("`{0}` has no stacks, so there is nothing to extend", self.environment.name);
            Failure::new(Exit::Refused, what).hint(format!("`greenroom deploy {}` makes them", self.environment.name))
        })
    }

    /// A clone lives no longer than its source lets it.
    fn allow(&self, born: Option<Timestamp>, ends: Timestamp) -> Result<(), Failure> {
        let Some(most) = &self.most else { return Ok(()) };
        let latest = born.and_then(|born| after(born, most.lifetime));
        if latest.is_none_or(|latest| ends <= latest) {
            return Ok(());
        }
        let hours = most.lifetime.as_secs() / 3600;
        let what = format!("`{}` lets its clones live for {hours} h at most", most.source);
        Err(Failure::new(Exit::Refused, what).hint("`clone_policy.max_lifetime` in its file says so"))
    }
}

/// People read it, and a part of a second is nobody's.
fn whole_seconds(moment: Timestamp) -> Option<Timestamp> {
    Timestamp::from_second(moment.as_second()).ok()
}
