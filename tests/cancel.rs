//! `cancel` stops what can be stopped, and says what cannot.

use std::process::Stdio;

use expect_test::expect;

use crate::support::Ran;
use crate::support::cloud::{Cloud, pair, redacted};

/// Both stacks are there, and from here on time passes only when the test says so.
pub(crate) fn deployed() -> Cloud {
    let mut cloud = Cloud::of(pair());
    cloud.ends("deploy lab --yes", 0);
    let saved = cloud.saved();
    cloud.choose(&["--pace", "manual"]);
    cloud.restore(&saved);
    cloud
}

pub(crate) const OTHER: &str =
    r#"{"Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": 99}}}}"#;

pub(crate) fn update(cloud: &Cloud) {
    cloud.by_hand("UpdateStack", &[("StackName", "demo-lab-store"), ("TemplateBody", OTHER)]);
    cloud.control("advance", r#"{"seconds": 2}"#);
}

/// Runs a command, and lets time pass once it has asked for what it waits for.
pub(crate) fn run_past(cloud: &Cloud, line: &str, operation: &str) -> Ran {
    let mut command = cloud.command(line);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while cloud.calls(operation) == 0 {
        std::thread::yield_now();
    }
    cloud.come_to_rest();
    redacted(cloud.scenario.ended(child.wait_with_output().unwrap()))
}

#[test]
fn an_update_is_stopped_and_rolled_back() {
    let cloud = deployed();
    update(&cloud);
    cloud.run("cancel lab --dry-run").expect(expect![[r#"
        exit 0
        -- stdout
        store  UPDATE_IN_PROGRESS  would be stopped and rolled back
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
    "#]]);
    cloud.run("cancel lab").expect(expect![[r#"
        exit 3
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
        store  UPDATE_IN_PROGRESS  would be stopped and rolled back
        error: this needs a confirmation, and there is no terminal to ask on

        hint: `--yes` answers it
    "#]]);
    run_past(&cloud, "cancel lab --yes", "CancelUpdateStack").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        store  UPDATE_ROLLBACK_COMPLETE  undone

        lab is as it was before
    "#]]);
    assert!(cloud.ends("status lab", 0).stdout.contains("UPDATE_ROLLBACK_COMPLETE"));
    cloud.run("cancel lab --yes").expect(expect![[r#"
        exit 0
        -- stdout
        nothing runs in lab; nothing to cancel
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
    "#]]);
    assert_eq!(cloud.calls("CancelUpdateStack"), 1);
}

#[test]
fn a_creation_cannot_be_cancelled() {
    let cloud = deployed();
    cloud.by_hand("DeleteStack", &[("StackName", "demo-lab-api")]);
    cloud.come_to_rest();
    cloud.by_hand("CreateStack", &[("StackName", "demo-lab-api"), ("TemplateBody", OTHER)]);
    cloud.run("cancel lab --yes").last_words().expect(expect![[r#"
        exit 3
        -- stderr
        error: the cancellation of what runs in `lab` is refused
          stack `api` is CREATE_IN_PROGRESS: a creation cannot be cancelled, only deleted

        hint: `greenroom status lab --until-rest` waits for it; if it fails, `greenroom recover lab` knows the ways out
    "#]]);
}

#[test]
fn a_way_back_that_fails_leads_to_recover() {
    let cloud = deployed();
    cloud.faults(&serde_json::json!([{
        "logical_id": "Queue", "effect": {"fail_resource": {"during": "rollback", "reason": "the queue is locked"}},
    }]));
    update(&cloud);
    run_past(&cloud, "cancel lab store --yes", "CancelUpdateStack").last_words().expect(expect![[r#"
        exit 1
        -- stderr
        error: the cancellation of what runs in `lab` failed
          the update of stack `store` was stopped and could not be undone because of `Queue`: the queue is locked

        hint: `greenroom recover lab` knows the ways out
    "#]]);
}
