//! `cancel`: what stops, and its stopping.

use std::collections::BTreeSet;

use crate::aws::{self, Clients};
use crate::cancel::observe::observe;
use crate::cancel::report::{Fate, prospect, report};
use crate::cancel::{Reason, Scope, ScopedStack, Step, apply, plan};
use crate::cli::{Cancel as Request, Common};
use crate::commands::cloud::{Telling, arrive, ask, block_on, drive, failed, pace, settings};
use crate::commands::deploy::{Consent, consent};
use crate::commands::{Done, Ended, environment, name, project, stacks};
use crate::deploy::World;
use crate::deploy::desired::place;
use crate::deploy::observe::Observer;
use crate::environment::Environment;
use crate::error::{Exit, Failure};
use crate::operation::{Operation, Plan};
use crate::view::{Afterwards, Expected, Report, View};

/// A cancellation as an operation: the three verbs of `cancel`, with clients.
struct Cancelling<'a> {
    scope: &'a Scope,
    clients: &'a Clients,
    observer: &'a Observer<'a>,
}

impl Operation for Cancelling<'_> {
    type World = World;
    type Step = Step;
    type Reason = Reason;
    type Fault = aws::Fault;

    async fn observe(&self) -> Result<World, aws::Fault> {
        observe(self.observer, self.scope).await
    }

    fn plan(&self, first: &World, now: &World) -> Plan<Step, Reason> {
        plan::plan(self.scope, first, now)
    }

    async fn apply(&self, step: &Step) -> Result<(), aws::Fault> {
        apply::apply(self.clients, step).await
    }
}

pub(super) fn run(common: &Common, request: &Request, view: View) -> Ended {
    let project = project(common)?;
    let environment = environment(&project, &name(&request.environment)?)?;
    let consent = consent(&environment, &request.agreement)?;
    let scope = scope(&environment, &request.stacks)?;
    let clients = Clients::new(settings(common, &project.root)?);
    let report = block_on(cancel(&scope, environment.is_protected, consent, &clients, view))??;
    Ok(Done { report, sources: project.sources, exit: Exit::Done })
}

fn scope(environment: &Environment, asked: &[String]) -> Result<Scope, Failure> {
    let stacks = stacks(environment, asked)?.into_iter().map(|stack| ScopedStack {
        name: stack.name.clone(),
        stack_name: stack.stack_name.value.clone(),
        place: place(stack),
    });
    Ok(Scope { environment: environment.name.to_string(), stacks: stacks.collect() })
}

async fn cancel(
    scope: &Scope,
    is_protected: bool,
    consent: Consent,
    clients: &Clients,
    view: View,
) -> Result<Report, Failure> {
    let places: BTreeSet<_> = scope.stacks.iter().map(|stack| stack.place.clone()).collect();
    arrive(&scope.environment, &places, clients, view).await?;
    let observer = Observer::new(clients);
    if !matches!(consent, Consent::Given) {
        let seen = observe(&observer, scope).await;
        let seen = seen.map_err(|fault| failed(fault, format!("`{}` could not be looked at", scope.environment)))?;
        let prospect = prospect(scope, &seen);
        if matches!(consent, Consent::DryRun) {
            return Ok(Report::Cancellation(prospect));
        }
        if prospect.stacks.iter().any(|stack| stack.fate == Fate::ToStop) {
            view.cancellation(&prospect);
            agreed(scope, is_protected, view).await?;
        }
    }
    let operation = Cancelling { scope, clients, observer: &observer };
    let telling = Telling {
        what: format!("the cancellation of what runs in `{}`", scope.environment),
        hint: &|reason: &Reason| reason.hint(&scope.environment),
        pace: pace(clients),
        expected: scope.stacks.iter().map(expected).collect(),
        afterwards: Afterwards::Stays,
    };
    let reached = drive(&operation, view, &telling).await?;
    Ok(Report::Cancellation(report(scope, &reached.first, &reached.now)))
}

async fn agreed(scope: &Scope, is_protected: bool, view: View) -> Result<(), Failure> {
    let name = &scope.environment;
    if is_protected {
        let question = format!("`{name}` is protected. Type its name to cancel:");
        return ask(view, &question, name, &format!("--confirm {name}")).await;
    }
    ask(view, "Cancel this? Type `yes`:", "yes", "--yes").await
}

fn expected(stack: &ScopedStack) -> Expected {
    Expected { stack: stack.name.clone(), resources: None }
}
