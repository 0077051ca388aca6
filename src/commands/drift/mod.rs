//! `drift`: what was changed past CloudFormation, and what is decided about it.

mod edits;
mod revert;

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join;

use crate::aws::{self, Clients};
use crate::cli::{Common, Drift};
use crate::commands::cloud::{Telling, arrive, block_on, drive, failed, pace};
use crate::commands::deploy::{Wanted, expected, places, reached, wanted};
use crate::commands::lines::Written;
use crate::commands::{Done, Ended, today};
use crate::deploy::changes::PropertyChange;
use crate::deploy::{Desired, DesiredStack};
use crate::drift::adopt::Said;
use crate::drift::beyond::KINDS;
use crate::drift::judge::Known;
use crate::drift::observe::Detector;
use crate::drift::{Asked, Finding, Reason, Report as DriftReport, Step, World, apply, judge, plan, who};
use crate::environment::Stack;
use crate::error::{Exit, Failure};
use crate::operation::{Operation, Pace, Plan};
use crate::parity::Side;
use crate::parity::observe::observe_some;
use crate::view::{Afterwards, Report, View};

pub(super) use edits::take_over;

/// A detection as an operation.
struct Looking<'a> {
    detector: &'a Detector<'a>,
}

impl Operation for Looking<'_> {
    type World = World;
    type Step = Step;
    type Reason = Reason;
    type Fault = aws::Fault;

    async fn observe(&self) -> Result<World, aws::Fault> {
        self.detector.observe().await
    }

    fn plan(&self, _first: &World, now: &World) -> Plan<Step, Reason> {
        plan::plan(now)
    }

    async fn apply(&self, step: &Step) -> Result<(), aws::Fault> {
        apply::apply(self.detector, step).await
    }
}

pub(super) fn run(common: &Common, request: &Drift, view: View) -> Ended {
    if let Some(path) = &request.ignore {
        return edits::ignore(common, request, path);
    }
    if let Some(asked) = &request.adopt {
        return edits::adopt(common, request, asked, view);
    }
    if let Some(asked) = &request.revert {
        return revert::revert(common, request, asked, view);
    }
    show(common, request, view)
}

fn show(common: &Common, request: &Drift, view: View) -> Ended {
    let wanted = wanted(common, &request.environment, &request.stacks)?;
    let clients = reached(common, &wanted.written.project.root, &wanted.desired)?;
    let seen = block_on(look(&wanted, &clients, view))?.map_err(Failure::of_looking)?;
    let mut report = report(&wanted, &seen);
    if request.who {
        let asked: Vec<Asked> = wanted.desired.stacks.iter().map(asked).collect();
        block_on(who::observe::observe(&clients, &asked, &seen.world, &mut report.findings))?;
    }
    let exit = match (report.has_unread(), report.has_drift()) {
        (true, _) => Exit::CouldNotCheck,
        (false, true) => Exit::Differences,
        (false, false) => Exit::Done,
    };
    Ok(Done { report: Report::Drift(report), sources: wanted.written.project.sources, exit })
}

/// What was seen: by CloudFormation, and beside it.
struct Sight {
    world: World,
    side: Side,
}

/// How long nobody looks at most: a detection takes seconds, and a look asks of few.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Has all stacks compared at once, and reads meanwhile what CloudFormation does not compare.
async fn look(wanted: &Wanted, clients: &Clients, view: View) -> Result<Sight, Failure> {
    arrive(&wanted.desired.environment, &places(&wanted.desired), clients, view).await?;
    let is_asked = |stack: &Stack| wanted.desired.stack(&stack.name).is_some();
    let mut environment = wanted.written.environment.clone();
    environment.stacks.retain(is_asked);
    let beside = observe_some(&environment, clients, |kind| KINDS.contains(&kind));
    let (world, side) = join(Box::pin(detect(&wanted.desired, clients, view)), Box::pin(beside)).await;
    let what = || format!("`{}` could not be looked at", environment.name);
    Ok(Sight { world: world?, side: side.map_err(|fault| failed(fault, what()))? })
}

async fn detect(desired: &Desired, clients: &Clients, view: View) -> Result<World, Failure> {
    let asked: Vec<Asked> = desired.stacks.iter().map(asked).collect();
    let detector = Detector::new(clients, &asked);
    let telling = Telling {
        what: format!("the drift detection of `{}`", desired.environment),
        hint: &|_| None,
        pace: Pace { longest_pause: pace(clients).longest_pause.min(LONGEST_PAUSE), ..pace(clients) },
        expected: desired.stacks.iter().map(expected).collect(),
        afterwards: Afterwards::Goes,
    };
    Ok(drive(&Looking { detector: &detector }, view, &telling).await?.now)
}

fn asked(stack: &DesiredStack) -> Asked {
    Asked { label: stack.name.clone(), stack_name: stack.stack_name.clone(), place: stack.place.clone() }
}

/// What was seen, judged, each difference with its place.
fn report(wanted: &Wanted, Sight { world: seen, side }: &Sight) -> DriftReport {
    let Wanted { written, desired } = wanted;
    let labels: Vec<String> = desired.stacks.iter().map(|stack| stack.name.clone()).collect();
    let said: BTreeMap<String, Said> = desired
        .stacks
        .iter()
        .map(|stack| {
            let live = seen.stacks.get(&stack.name).map(|seen| seen.parameters.clone()).unwrap_or_default();
            (stack.name.clone(), Said::new(&stack.template, &stack.parameters, &live))
        })
        .collect();
    let known = Known {
        environment: &desired.environment,
        stacks: &labels,
        said: &said,
        ignores: &written.environment.drift_ignores,
        sources: &written.project.sources,
        today: today(),
        is_whole: written
            .environment
            .stacks
            .iter()
            .all(|stack| !stack.is_managed || desired.stack(&stack.name).is_some()),
    };
    let mut report = judge(seen, side, &known);
    report.labels.clone_from(&labels);
    locate(written, &mut report.findings);
    report
}

/// Adds to every difference the value behind it, or the template's line.
fn locate(written: &Written, findings: &mut [Finding]) {
    let mut known = BTreeMap::new();
    for finding in findings {
        let behind = known.entry(finding.stack.clone()).or_insert_with(|| written.behind(&finding.stack));
        let argument = finding.property.as_ref().and_then(|property| {
            let change = PropertyChange {
                path: property.clone(),
                before: finding.actual.clone(),
                after: finding.expected.clone(),
                replaces: false,
                cause: None,
                place: None,
            };
            behind.as_ref()?.argument(&finding.resource, &change)
        });
        finding.place = match argument {
            Some(argument) => Some(written.project.sources.place(argument.node.span)),
            None => written.property(&finding.stack, &finding.resource, finding.property.as_deref()),
        };
    }
}
