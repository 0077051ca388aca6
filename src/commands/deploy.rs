//! `plan` and `deploy`: what would change, and the change.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::aws::{self, Clients};
use crate::check::Findings;
use crate::cli::{Agreement, Allow, Common, Deploy, Plan as PlanRequest};
use crate::commands::cloud::{Reached, Telling, arrive, ask, block_on, drive, pace, settings};
use crate::commands::lines::Written;
use crate::commands::render::Work;
use crate::commands::{
    Done, Ended, Stop, discreet, environment, local, mistakes, name, project, read_only, sealed, stacks, templates,
};
use crate::deploy::desired::{Others, desired};
use crate::deploy::leftovers::withdraw;
use crate::deploy::observe::Observer;
use crate::deploy::report::{Preview, approval, preview, report};
use crate::deploy::{Allowed, Desired, DesiredStack, Goal, Phase, Place, Reason, Step, World, apply, plan};
use crate::environment::{Environment, Project, Reference, Stack};
use crate::error::{Exit, Failure};
use crate::operation::{Operation, Plan};
use crate::template::{ParameterValue, Rendered, Templates};
use crate::view::{Afterwards, Expected, Report, View};

/// A deployment as an operation: the three verbs of `deploy`, with clients.
struct Deployment<'a> {
    desired: &'a Desired,
    clients: &'a Clients,
    observer: &'a Observer<'a>,
}

impl Operation for Deployment<'_> {
    type World = World;
    type Step = Step;
    type Reason = Reason;
    type Fault = aws::Fault;

    async fn observe(&self) -> Result<World, aws::Fault> {
        self.observer.observe(self.desired).await
    }

    fn plan(&self, first: &World, now: &World) -> Plan<Step, Reason> {
        plan::plan(self.desired, first, now)
    }

    fn withdraw(&self, _first: &World, now: &World) -> Plan<Step, Reason> {
        withdraw(self.desired, now)
    }

    async fn apply(&self, step: &Step) -> Result<(), aws::Fault> {
        apply::apply(self.clients, self.desired, self.observer, step).await
    }
}

/// An environment with all that is wanted of it.
pub(super) struct Wanted {
    /// All that is written of it.
    pub(super) written: Written,
    /// What is wanted.
    pub(super) desired: Desired,
}

pub(super) fn run_plan(common: &Common, request: &PlanRequest, view: View) -> Ended {
    if request.read_only {
        return read_only::run(common, request, view);
    }
    if let Some(file) = &request.out {
        return sealed::seal(common, request, file, view);
    }
    let wanted = wanted(common, &request.environment, &request.stacks)?;
    let allowed = allowed(&request.allow, false);
    let desired = Desired { allowed, goal: Goal::Shown, ..wanted.desired };
    let clients = reached(common, &wanted.written.project.root, &desired)?;
    let run = Run { written: Some(&wanted.written), clients: &clients, view };
    let shown = block_on(async {
        arrive(&desired.environment, &places(&desired), &clients, view).await?;
        run.show(&desired, &Observer::new(&clients)).await
    })??;
    let is_told = request.exit_code && shown.has_changes();
    let exit = if is_told { Exit::Differences } else { Exit::Done };
    Ok(Done { report: Report::Preview(shown), sources: wanted.written.project.sources, exit })
}

pub(super) fn run_deploy(common: &Common, request: &Deploy, view: View) -> Ended {
    if let Some(file) = &request.plan {
        return sealed::deploy(common, request, file, view);
    }
    let environment = request.environment.as_deref().unwrap_or_default();
    let wanted = wanted(common, environment, &request.stacks)?;
    let consent = consent(&wanted.written.environment, &request.agreement)?;
    let desired = Desired { allowed: allowed(&request.allow, request.prune), ..wanted.desired };
    let clients = reached(common, &wanted.written.project.root, &desired)?;
    let run = Run { written: Some(&wanted.written), clients: &clients, view };
    let done = block_on(async {
        arrive(&desired.environment, &places(&desired), &clients, view).await?;
        run.converge(desired, consent).await
    })??;
    Ok(Done { report: done, sources: wanted.written.project.sources, exit: Exit::Done })
}

/// The clients; in the local cloud, with the networks that the file names as there already.
pub(super) fn reached(common: &Common, root: &Path, desired: &Desired) -> Result<Clients, Failure> {
    let clients = Clients::new(settings(common, root)?);
    if clients.is_local() {
        local::stand(root, desired)?;
    }
    Ok(clients)
}

/// Whether, and how, the user agrees to what will be done.
pub(super) enum Consent {
    /// Nothing will be done.
    DryRun,
    /// By a flag, before it is known.
    Given,
    /// On the terminal, once it is known.
    Ask,
}

/// `--yes` is for what is easily made again; a protected environment wants its name.
pub(super) fn consent(environment: &Environment, agreement: &Agreement) -> Result<Consent, Failure> {
    let name = environment.name.to_string();
    if agreement.dry_run {
        return Ok(Consent::DryRun);
    }
    match &agreement.confirm {
        Some(confirmed) if *confirmed == name => return Ok(Consent::Given),
        Some(confirmed) => {
            let what = format!("`--confirm {confirmed}` is not the name of this environment, `{name}`");
            return Err(Failure::new(Exit::Refused, what));
        }
        None => {}
    }
    match (agreement.yes, environment.is_protected) {
        (true, true) => {
            let what = format!("`{name}` is protected: `--yes` is not enough");
            Err(Failure::new(Exit::Refused, what).hint(format!("`--confirm {name}`, or confirm on a terminal")))
        }
        (true, false) => Ok(Consent::Given),
        (false, _) => Ok(Consent::Ask),
    }
}

/// What the parts of a run share.
pub(super) struct Run<'a> {
    /// The environment with all that is written of it; nothing where a sealed plan is all there is.
    pub(super) written: Option<&'a Written>,
    /// The way to the cloud.
    pub(super) clients: &'a Clients,
    /// Where it is told.
    pub(super) view: View,
}

impl Run<'_> {
    /// Brings everything to what is wanted, as far as it was agreed to.
    ///
    /// # Errors
    /// How it ended otherwise.
    pub(super) async fn converge(&self, desired: Desired, consent: Consent) -> Result<Report, Failure> {
        match consent {
            Consent::DryRun => {
                let desired = Desired { goal: Goal::Shown, ..desired };
                self.show(&desired, &Observer::new(self.clients)).await.map(Report::Preview)
            }
            Consent::Given => self.deploy(&desired, &Observer::new(self.clients)).await,
            Consent::Ask => self.deploy_asking(desired).await,
        }
    }

    /// Goes to a goal of a deployment.
    ///
    /// # Errors
    /// How it ended otherwise.
    pub(super) async fn drive(
        &self,
        desired: &Desired,
        observer: &Observer<'_>,
        what: &str,
    ) -> Result<Reached<World>, Failure> {
        let operation = Deployment { desired, clients: self.clients, observer };
        let telling = Telling {
            what: format!("{what} of `{}`", desired.environment),
            hint: &|reason| self.hint(desired, reason),
            pace: pace(self.clients),
            expected: desired.stacks.iter().map(expected).collect(),
            afterwards: if desired.goal == Goal::Deployed { Afterwards::Stays } else { Afterwards::Goes },
        };
        drive(&operation, self.view, &telling).await
    }

    fn hint(&self, desired: &Desired, reason: &Reason) -> Option<String> {
        let Reason::EndedBadly { stack, failure, status } = reason else { return reason.hint(&desired.environment) };
        let way_out = Reason::Stuck { stack: stack.clone(), status: status.clone() }.hint(&desired.environment);
        let way_out = way_out.filter(|_| matches!(status.phase(), Phase::Stuck(_)));
        let resource = failure.own_resource();
        let place = resource.zip(self.written).and_then(|(resource, written)| written.resource(stack, resource));
        let written = place.zip(resource).map(|(place, resource)| format!("`{resource}` is written in {place}"));
        let hints: Vec<String> = written.into_iter().chain(way_out).collect();
        Some(hints.join("; ")).filter(|hint| !hint.is_empty())
    }

    /// What would change, with its places.
    ///
    /// # Errors
    /// How the looking ended otherwise.
    pub(super) async fn show(&self, desired: &Desired, observer: &Observer<'_>) -> Result<Preview, Failure> {
        let reached = self.drive(desired, observer, "the plan").await?;
        let mut preview = preview(desired, &reached.now);
        if let Some(written) = self.written {
            written.locate(&mut preview);
        }
        Ok(preview)
    }

    /// Brings everything to what is wanted.
    ///
    /// # Errors
    /// How it ended otherwise.
    pub(super) async fn deploy(&self, desired: &Desired, observer: &Observer<'_>) -> Result<Report, Failure> {
        let reached = self.drive(desired, observer, "the deployment").await?;
        Ok(Report::Deployed(report(desired, &reached.first, &reached.now)))
    }

    /// Shows first, asks, and does what was agreed to: no more, and through the very change sets that were shown.
    async fn deploy_asking(&self, desired: Desired) -> Result<Report, Failure> {
        let observer = Observer::new(self.clients);
        let known = Desired { goal: Goal::Known, ..desired.clone() };
        let shown = self.show(&known, &observer).await?;
        if !shown.refusals.is_empty() || !shown.has_changes() {
            return self.deploy(&desired, &observer).await;
        }
        self.view.preview(&shown);
        if let Err(refused) = agreed(&desired, self.view).await {
            let withdrawn = Desired { goal: Goal::Withdrawn, ..desired };
            self.drive(&withdrawn, &observer, "the clearing away").await?;
            return Err(refused);
        }
        let desired = Desired { approval: Some(approval(&desired, &shown)), ..desired };
        self.deploy(&desired, &observer).await
    }
}

/// A stack as a table of progress knows it. What a condition decides is known to CloudFormation alone.
pub(super) fn expected(stack: &DesiredStack) -> Expected {
    let resources = stack.template.get("Resources").and_then(serde_json::Value::as_object);
    let certain = resources.filter(|all| all.values().all(|resource| resource.get("Condition").is_none()));
    Expected { stack: stack.name.clone(), resources: certain.map(serde_json::Map::len) }
}

async fn agreed(desired: &Desired, view: View) -> Result<(), Failure> {
    let name = &desired.environment;
    if desired.is_protected {
        let question = format!("`{name}` is protected. Type its name to deploy:");
        return ask(view, &question, name, &format!("--confirm {name}")).await;
    }
    ask(view, "Deploy this? Type `yes`:", "yes", "--yes").await
}

pub(super) fn allowed(allow: &Allow, prunes: bool) -> Allowed {
    Allowed {
        replacements: allow.allow_replacement.iter().cloned().collect(),
        take_over: allow.take_over.iter().cloned().collect(),
        recreate: allow.recreate.iter().cloned().collect(),
        overwrite_drift: allow.overwrite_drift.iter().cloned().collect(),
        prunes,
        retries: allow.retry,
    }
}

pub(super) fn places(desired: &Desired) -> BTreeSet<Place> {
    let deployed = desired.stacks.iter().map(|stack| stack.place.clone());
    deployed.chain(desired.read.iter().map(|read| read.place.clone())).collect()
}

/// Everything that can be known without AWS; an environment that `check` refuses gets no further.
pub(super) fn wanted(common: &Common, text: &str, asked: &[String]) -> Result<Wanted, Stop> {
    let mut project = project(common)?;
    let environment = environment(&project, &name(text)?)?;
    let asked = stacks(&environment, asked)?;
    let templates = templates(&mut project, [&environment]);
    let work = Work { environment: &environment, asked: &asked, templates: &templates, project: &project };
    let rendered = work.render_all(|_, rendered| rendered)?;
    checked(&environment, &asked, &rendered, &templates, &project)?;
    let others = others(&project, &rendered)?;
    let desired = desired(&environment, &rendered, &templates, &others)
        .map_err(|mistake| mistakes([*mistake], Some(text), &project))?;
    let desired = Desired { revision: revision(&project), ..desired };
    Ok(Wanted { desired, written: Written { project, environment, templates } })
}

pub(super) fn checked(
    environment: &Environment,
    asked: &[&Stack],
    rendered: &[Rendered],
    templates: &Templates,
    project: &Project,
) -> Result<(), Stop> {
    let mut findings = Findings::default();
    for (stack, rendered) in asked.iter().zip(rendered) {
        let arguments = templates.arguments(environment, stack).unwrap_or_default();
        let context = format!("{}/{}", environment.name, stack.name);
        findings.extend(templates.check(rendered, stack, &arguments, &project.sources), Some(&context));
    }
    if findings.has_errors() {
        Err(Stop::Mistakes(discreet(findings, project), project.sources.clone()))
    } else {
        Ok(())
    }
}

/// The other environments that parameters refer to.
pub(super) fn others(project: &Project, rendered: &[Rendered]) -> Result<Others, Stop> {
    let mut others = BTreeMap::new();
    for parameter in rendered.iter().flat_map(|rendered| &rendered.parameters) {
        if let ParameterValue::Reference(Reference::Output { environment: Some(name), .. }) = &parameter.value {
            others.insert(name.to_string(), environment(project, name)?);
        }
    }
    Ok(others)
}

/// The revision of the repository, where it is one and git is there. Told, never decided upon.
pub(super) fn revision(project: &Project) -> Option<String> {
    let answer = std::process::Command::new("git")
        .args(["rev-parse", "--short", "HEAD"])
        .current_dir(&project.root)
        .stderr(std::process::Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(answer.stdout).ok()?.trim().to_owned();
    let is_revision = answer.status.success() && !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_revision.then_some(text)
}
