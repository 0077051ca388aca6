//! `plan --read-only`: the plan without a change set, for those who may look and nothing else.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::aws;
use crate::cli::{Common, Plan as PlanRequest};
use crate::commands::cloud::{Telling, arrive, block_on, drive, pace};
use crate::commands::deploy::{Wanted, allowed, places, reached, wanted};
use crate::commands::{Done, Ended};
use crate::deploy::estimate::estimated;
use crate::deploy::observe::Observer;
use crate::deploy::report::{Preview, preview};
use crate::deploy::{Desired, Goal, Reason, Step, World};
use crate::error::Exit;
use crate::operation::{Operation, Plan};
use crate::view::{Afterwards, Report, View};

/// A look, as patient as all others. There is nothing to do.
struct Looking<'a> {
    desired: &'a Desired,
    observer: &'a Observer<'a>,
}

impl Operation for Looking<'_> {
    type World = (World, BTreeMap<String, Json>);
    type Step = Step;
    type Reason = Reason;
    type Fault = aws::Fault;

    async fn observe(&self) -> Result<Self::World, aws::Fault> {
        let world = self.observer.observe(self.desired).await?;
        let deployed = self.observer.templates(self.desired, &world).await?;
        Ok((world, deployed))
    }

    fn plan(&self, _first: &Self::World, _now: &Self::World) -> Plan<Step, Reason> {
        Plan::Converged
    }

    async fn apply(&self, _step: &Step) -> Result<(), aws::Fault> {
        Ok(())
    }
}

pub(super) fn run(common: &Common, request: &PlanRequest, view: View) -> Ended {
    let Wanted { written, desired } = wanted(common, &request.environment, &request.stacks)?;
    let desired = Desired { allowed: allowed(&request.allow, false), goal: Goal::Shown, ..desired };
    let clients = reached(common, &written.project.root, &desired)?;
    let observer = Observer::new(&clients);
    let (world, deployed) = block_on(async {
        arrive(&desired.environment, &places(&desired), &clients, view).await?;
        let telling = Telling {
            what: format!("the plan of `{}`", desired.environment),
            hint: &|_| None,
            pace: pace(&clients),
            expected: Vec::new(),
            afterwards: Afterwards::Goes,
        };
        let looking = Looking { desired: &desired, observer: &observer };
        drive(&looking, view, &telling).await.map(|reached| reached.now)
    })??;
    let mut shown = Preview { is_estimated: true, ..preview(&desired, &estimated(&desired, &world, &deployed)) };
    written.locate(&mut shown);
    let is_told = request.exit_code && shown.has_changes();
    let exit = if is_told { Exit::Differences } else { Exit::Done };
    Ok(Done { report: Report::Preview(shown), sources: written.project.sources, exit })
}
