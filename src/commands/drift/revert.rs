//! Drift undone: by a change set that is shown, held against what was found, agreed to, carried out, and looked at again.

use std::collections::BTreeSet;

use super::edits::chosen;
use super::{look, report};
use crate::aws::Clients;
use crate::cli::{Common, Drift};
use crate::commands::cloud::{ask, block_on, failed};
use crate::commands::deploy::{Consent, Run, Wanted, consent, reached, wanted};
use crate::commands::{Done, Ended};
use crate::deploy::observe::Observer;
use crate::deploy::report::{Preview, approval};
use crate::deploy::{Desired, DesiredStack, Goal, ReadStack, Reason};
use crate::drift::revert::{Objection, objections, outputs};
use crate::drift::{Class, Finding, Report as DriftReport};
use crate::error::{Exit, Failure};
use crate::template::rules::holds_data;
use crate::view::{Report, View};

pub(super) fn revert(common: &Common, request: &Drift, asked: &[String], view: View) -> Ended {
    let wanted = wanted(common, &request.environment, &request.stacks)?;
    let consent = consent(&wanted.written.environment, &request.agreement)?;
    let clients = reached(common, &wanted.written.project.root, &wanted.desired)?;
    let ended = block_on(Undoing { wanted: &wanted, clients: &clients, view }.run(asked, &consent))?;
    let (report, exit) = ended?;
    Ok(Done { report, sources: wanted.written.project.sources, exit })
}

struct Undoing<'a> {
    wanted: &'a Wanted,
    clients: &'a Clients,
    view: View,
}

impl Undoing<'_> {
    async fn run(&self, asked: &[String], consent: &Consent) -> Result<(Report, Exit), Failure> {
        let found = self.look().await?;
        let chosen = meant(&found, asked, &self.wanted.desired.environment)?;
        if chosen.is_empty() {
            return Ok((Report::Drift(found), Exit::Done));
        }
        let desired = against_drift(&self.wanted.desired, &chosen);
        let run = Run { written: Some(&self.wanted.written), clients: self.clients, view: self.view };
        let observer = Observer::new(self.clients);
        let known = Desired { goal: Goal::Known, ..desired.clone() };
        // Before anything is made that would have to be cleared away.
        let outputs = self.outputs(&desired, &observer).await?;
        let shown = run.show(&known, &observer).await?;
        let withdraw = async || {
            let withdrawn = Desired { goal: Goal::Withdrawn, ..desired.clone() };
            run.drive(&withdrawn, &observer, "the clearing away").await.map(drop)
        };
        if let Err(refused) = self.is_only_that(&shown, &found, &chosen, &outputs) {
            withdraw().await?;
            return Err(refused);
        }
        match consent {
            Consent::DryRun => {
                withdraw().await?;
                return Ok((Report::Preview(shown), Exit::Done));
            }
            Consent::Given => self.view.preview(&shown),
            Consent::Ask => {
                self.view.preview(&shown);
                if let Err(refused) = self.agreed().await {
                    withdraw().await?;
                    return Err(refused);
                }
            }
        }
        let approved = Desired { approval: Some(approval(&desired, &shown)), ..desired };
        run.deploy(&approved, &observer).await?;
        self.prove(&chosen).await
    }

    async fn look(&self) -> Result<DriftReport, Failure> {
        let seen = look(self.wanted, self.clients, self.view).await.map_err(Failure::of_looking)?;
        Ok(report(self.wanted, &seen))
    }

    async fn agreed(&self) -> Result<(), Failure> {
        let name = &self.wanted.desired.environment;
        if self.wanted.desired.is_protected {
            let question = format!("`{name}` is protected. Type its name to undo this:");
            return ask(self.view, &question, name, &format!("--confirm {name}")).await;
        }
        ask(self.view, "Undo this? Type `yes`:", "yes", "--yes").await
    }

    /// What would become of the stacks' outputs beside.
    async fn outputs(&self, desired: &Desired, observer: &Observer<'_>) -> Result<Vec<Objection>, Failure> {
        let mut found = Vec::new();
        for stack in &desired.stacks {
            let deployed = observer.document(&stack.place, &stack.stack_name).await;
            let what = || format!("the template of `{}` could not be read", stack.name);
            let deployed = deployed.map_err(|fault| failed(fault, what()))?.unwrap_or_default();
            found.extend(outputs(&stack.name, &deployed, &stack.template));
        }
        Ok(found)
    }

    /// Whether what would be done is to undo what is meant, and nothing else.
    fn is_only_that(
        &self,
        shown: &Preview,
        found: &DriftReport,
        chosen: &[Finding],
        outputs: &[Objection],
    ) -> Result<(), Failure> {
        let name = &self.wanted.desired.environment;
        let against =
            shown.stacks.iter().flat_map(|stack| objections(&stack.stack, &stack.changes, &found.findings, chosen));
        let against = against.chain(outputs.iter().cloned()).map(|it| it.to_string());
        // No flag of ours allows a replacement here, so none is offered.
        let others: Vec<&Reason> =
            shown.refusals.iter().filter(|refusal| !matches!(refusal, Reason::HoldsData { .. })).collect();
        let reasons: Vec<String> = against.chain(others.iter().map(ToString::to_string)).collect();
        if reasons.is_empty() {
            return Ok(());
        }
        let mut failure = Failure::new(Exit::Refused, format!("the drift of `{name}` cannot be undone like this"));
        failure.reasons = reasons;
        failure.hints = others.iter().filter_map(|refusal| refusal.hint(name)).collect();
        Err(failure
            .hint("a change set undoes all drift of its stack: name what else may go, `--revert STACK/RESOURCE`")
            .hint(format!("`greenroom plan {name}` shows changes of the files that wait to be deployed")))
    }

    /// Looks again: what was to be undone must be found no more.
    async fn prove(&self, chosen: &[Finding]) -> Result<(Report, Exit), Failure> {
        let mut found = self.look().await?;
        let still: Vec<String> = found
            .findings
            .iter()
            .filter(|finding| chosen.iter().any(|chosen| chosen.path() == finding.path()))
            .map(|finding| format!("`{}` still differs", finding.path()))
            .collect();
        let resources: BTreeSet<String> = chosen.iter().map(Finding::resource_path).collect();
        let unread =
            found.unread.iter().filter(|unread| resources.contains(&unread.path) || is_stack_of(&unread.path, chosen));
        let unread: Vec<String> = unread.map(|unread| format!("`{}`: {}", unread.path, unread.because)).collect();
        let name = &self.wanted.desired.environment;
        if !still.is_empty() || !unread.is_empty() {
            let (exit, what) = if still.is_empty() {
                (Exit::CouldNotCheck, "whether it is undone could not be read")
            } else {
                (Exit::Failed, "the change set was carried out, and the drift is still there")
            };
            let mut failure = Failure::new(exit, what);
            failure.reasons = [still, unread].concat();
            return Err(failure.hint(format!("`greenroom drift {name}` shows what differs now")));
        }
        found.undone = chosen.iter().map(Finding::path).collect();
        Ok((Report::Drift(found), Exit::Done))
    }
}

fn is_stack_of(path: &str, chosen: &[Finding]) -> bool {
    chosen.iter().any(|finding| finding.stack == path)
}

/// What is to be undone: what was named, with all that differs of it, or all that nobody has decided about.
fn meant(found: &DriftReport, asked: &[String], environment: &str) -> Result<Vec<Finding>, Failure> {
    let is_undoable = |finding: &&Finding| finding.class != Class::Beyond;
    if asked.is_empty() {
        let open: Vec<Finding> =
            found.findings.iter().filter(|finding| finding.is_open()).filter(is_undoable).cloned().collect();
        let lost = open.iter().find(|finding| finding.class == Class::Deleted && holds_data(&finding.kind));
        return match lost {
            Some(lost) => {
                let path = lost.path();
                let what = format!("`{path}` was deleted with all it held, and would be made again with nothing in it");
                let hint = format!("restore a snapshot, or name it to have an empty one: `--revert {path}`");
                Err(Failure::new(Exit::Refused, what).hint(hint))
            }
            None => Ok(open),
        };
    }
    let named = chosen(&found.findings, asked, environment)?;
    if let Some(beyond) = named.iter().find(|finding| !is_undoable(finding)) {
        let what = format!("`{}` cannot be undone by CloudFormation, which does not compare it", beyond.path());
        return Err(Failure::new(Exit::Refused, what).hint("undo it where it was done"));
    }
    Ok(named)
}

/// The stacks with something to undo, each against what is. The others are only read.
fn against_drift(desired: &Desired, chosen: &[Finding]) -> Desired {
    let has_some = |stack: &&DesiredStack| chosen.iter().any(|finding| finding.stack == stack.name);
    let stacks =
        desired.stacks.iter().filter(has_some).map(|stack| DesiredStack { is_drift_aware: true, ..stack.clone() });
    let others = desired.stacks.iter().filter(|stack| !has_some(stack));
    let read = others.map(|stack| ReadStack {
        label: stack.name.clone(),
        stack_name: stack.stack_name.clone(),
        place: stack.place.clone(),
    });
    let read = desired.read.iter().cloned().chain(read).collect();
    let mut stacks: Vec<DesiredStack> = stacks.collect();
    let names: BTreeSet<String> = stacks.iter().map(|stack| stack.name.clone()).collect();
    for stack in &mut stacks {
        stack.needs.retain(|needed| names.contains(needed));
    }
    Desired { stacks, read, ..desired.clone() }
}
