//! Killed before and after every single call and run again, the end is that of a run that nobody disturbed.

use std::process::Stdio;

use regex::Regex;
use serde_json::{Value, json};

use crate::support::Scenario;
use crate::support::cloud::{Cloud, without_empty_stacks, without_operations};
use crate::support::proxy::Fate;
use crate::support::stuck::Stuck;

/// What is done, to what, and how it ends when nobody disturbs it.
struct Case {
    command: &'static str,
    code: i32,
    /// A failing command that is run again tries again, and that shows in the history.
    tries_again: bool,
}

const CHANGE: Case = Case { command: "deploy lab --yes", code: 0, tries_again: false };
const FAILING: Case = Case { command: "deploy lab --yes --retry", code: 1, tries_again: true };
const REFUSED: Case = Case { command: "deploy lab --yes", code: 3, tries_again: false };
const DESTROY: Case = Case { command: "destroy lab --yes", code: 0, tries_again: false };

fn run(cloud: &Cloud, case: &Case, fate: Fate) -> (usize, Option<i32>) {
    let mut command = cloud.command(case.command);
    cloud.proxy().run(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap(), fate)
}

fn seen(cloud: &Cloud, case: &Case) -> Value {
    let state = without_moments(&cloud.state());
    let state = if case.tries_again { without_operations(state) } else { state };
    if case.code == REFUSED.code { without_empty_stacks(state) } else { state }
}

/// Until when something may stay is counted from when it was asked for.
fn without_moments(state: &Value) -> Value {
    let moment = Regex::new("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z").unwrap();
    serde_json::from_str(&moment.replace_all(&state.to_string(), "…")).unwrap()
}

/// Runs it undisturbed, then killed at every call. Leaves the world as the last run left it.
fn sweep(cloud: &mut Cloud, case: &Case) {
    let start = cloud.saved();
    cloud.restore(&start);
    let (calls, code) = run(cloud, case, Fate::Lives);
    assert_eq!(code, Some(case.code), "{}", cloud.run(case.command));
    let expected = seen(cloud, case);
    // A run that is disturbed may need more calls than one that is not, but it is killed at none of those.
    for number in 1..=calls {
        for fate in [Fate::DiesBefore(number), Fate::DiesAfter(number)] {
            cloud.restore(&start);
            let (_, killed) = run(cloud, case, fate);
            // How often a run looks hangs on how fast it is: towards the end there may be no such call any more.
            let has_ended_before = killed == Some(case.code) && number * 3 > calls * 2;
            assert!(killed.is_none() || has_ended_before, "{fate:?} of {calls}: not killed, but ended with {killed:?}");
            let again = cloud.run(case.command);
            assert_eq!(again.code, Some(case.code), "{fate:?} of {calls}, then {again}");
            assert_eq!(seen(cloud, case), expected, "{fate:?} of {calls}, then {again}");
        }
    }
}

/// A project, a change of it, and a resource that the change updates.
struct Scene {
    scenario: fn() -> Scenario,
    old: &'static str,
    new: &'static str,
    updated: &'static str,
}

const ONE: Scene = Scene { scenario: Scenario::small, old: "papers}", new: "papers, size: 4}", updated: "Topic" };

impl Scene {
    fn cloud(&self) -> Cloud {
        Cloud::of((self.scenario)()).watched()
    }

    fn deployed(&self) -> Cloud {
        let cloud = self.cloud();
        cloud.ends(CHANGE.command, 0);
        cloud
    }

    fn edited(&self) -> Cloud {
        let mut cloud = self.deployed();
        cloud.edit("environments/lab.yaml", self.old, self.new);
        cloud
    }

    fn deployment(&self) {
        sweep(&mut self.cloud(), &CHANGE);
    }

    fn update(&self) {
        sweep(&mut self.edited(), &CHANGE);
    }

    fn failing_update(&self) {
        let mut cloud = self.edited();
        let fails = json!({"fail_resource": {"during": "update", "reason": "no"}});
        cloud.faults(&json!([{"logical_id": self.updated, "effect": fails}]));
        sweep(&mut cloud, &FAILING);
    }

    fn destruction(&self) {
        let mut cloud = self.deployed();
        sweep(&mut cloud, &DESTROY);
        assert_eq!(cloud.state(), json!({}));
    }
}

#[test]
fn a_deployment_may_be_killed_at_any_call() {
    ONE.deployment();
}

#[test]
fn an_update_may_be_killed_at_any_call() {
    ONE.update();
}

#[test]
fn a_failing_update_may_be_killed_at_any_call() {
    ONE.failing_update();
}

#[test]
fn a_destruction_may_be_killed_at_any_call() {
    ONE.destruction();
}

/// An environment that lives for eight hours, and so many hours later.
fn mortal(hours: u64) -> Cloud {
    let scenario = Scenario::small().edit("environments/lab.yaml", "stacks:", "lifetime: 8h\nstacks:");
    let cloud = Cloud::of(scenario).watched();
    cloud.ends(CHANGE.command, 0);
    cloud.control("advance", &json!({"seconds": hours * 3_600}).to_string());
    cloud
}

#[test]
fn a_reaping_may_be_killed_at_any_call() {
    let mut cloud = mortal(1);
    // With what extends it, so that two stacks go.
    cloud.ends("reap --extend lab 24h", 0);
    cloud.control("advance", &json!({"seconds": 25 * 3_600}).to_string());
    sweep(&mut cloud, &Case { command: "reap --yes", code: 0, tries_again: false });
    assert_eq!(cloud.state(), json!({}));
}

#[test]
fn an_extension_may_be_killed_at_any_call() {
    let mut cloud = mortal(1);
    // A second run asks for a moment that is later by as much as the first one took, and changes what that one has made.
    cloud.ends("reap --extend lab 9h", 0);
    sweep(&mut cloud, &Case { command: "reap --extend lab 24h", code: 0, tries_again: true });
}

#[test]
fn a_recovery_may_be_killed_at_any_call() {
    let mut cloud = Stuck::UpdateRollbackFailed.cloud().watched();
    sweep(&mut cloud, &Case { command: "recover lab --choose 2 --yes", code: 0, tries_again: false });
}

#[test]
fn a_sealed_deployment_may_be_killed_at_any_call() {
    sealed(&ONE);
}

/// What was sealed is done by the runs together: what a killed one has done is known again by the next.
fn sealed(scene: &Scene) {
    let mut cloud = scene.edited();
    cloud.ends("plan lab --out plan.json", 0);
    sweep(&mut cloud, &Case { command: "deploy --plan plan.json", code: 0, tries_again: false });
}

/// A bucket that would be replaced, and a new stack beside it: both change sets are made before the refusal is known.
#[test]
fn a_refused_deployment_may_be_killed_at_any_call_and_leaves_nothing() {
    let keeper = "Resources:\n  Bucket:\n    Type: AWS::S3::Bucket\n    DeletionPolicy: Delete\n    UpdateReplacePolicy: Delete\n    Properties: {BucketName: {{ name }}}\n";
    let inputs = "type: object\nrequired: [name]\nproperties: {name: {type: string, description: What it is called}}\n";
    let scenario = Scenario::small()
        .file("templates/keeper/stack.yaml", keeper)
        .file("templates/keeper/inputs.yaml", inputs)
        .edit("environments/lab.yaml", "stacks:\n", "stacks:\n  keeper: {values: {name: one-bucket}}\n")
        .edit("environments/lab.yaml", "  store:\n    values: {topic: papers}\n", "");
    let mut cloud = Cloud::of(scenario).watched();
    cloud.ends(CHANGE.command, 0);
    let before = cloud.state();
    let with_store = "{name: other-bucket}}\n  store: {values: {topic: papers}}";
    cloud.edit("environments/lab.yaml", "{name: one-bucket}}", with_store);
    let start = cloud.saved();
    cloud.restore(&start);
    cloud.ends(REFUSED.command, REFUSED.code);
    assert_eq!(cloud.state(), before, "neither the change set nor the empty stack is left");
    cloud.restore(&start);
    // Killed between the two, the next run cannot know that the empty stack was ours, and leaves it to the next deployment.
    sweep(&mut cloud, &REFUSED);
    assert_eq!(without_empty_stacks(cloud.state()), before);
}

#[test]
fn the_making_of_a_bucket_and_a_deployment_through_it_may_be_killed_at_any_call() {
    let mut cloud = Cloud::of(crate::bootstrap::large()).watched();
    sweep(&mut cloud, &Case { command: "bootstrap lab --yes", code: 0, tries_again: false });
    sweep(&mut cloud, &CHANGE);
}

/// The same over two stacks that wait for each other takes minutes.
#[cfg(feature = "long-tests")]
mod of_two_stacks {
    use super::*;
    use crate::support::cloud::pair;

    const TWO: Scene = Scene { scenario: pair, old: "level: info", new: "level: debug", updated: "Level" };

    #[test]
    fn a_deployment_may_be_killed_at_any_call() {
        TWO.deployment();
    }

    #[test]
    fn an_update_may_be_killed_at_any_call() {
        TWO.update();
    }

    #[test]
    fn a_failing_update_may_be_killed_at_any_call() {
        TWO.failing_update();
    }

    #[test]
    fn a_destruction_may_be_killed_at_any_call() {
        TWO.destruction();
    }

    #[test]
    fn a_sealed_deployment_may_be_killed_at_any_call() {
        sealed(&TWO);
    }

    #[test]
    fn a_recovery_that_leaves_something_behind_may_be_killed_at_any_call() {
        let mut cloud = Stuck::DeleteFailed.cloud().watched();
        sweep(&mut cloud, &Case { command: "recover lab --choose 2 --yes", code: 0, tries_again: false });
    }
}
