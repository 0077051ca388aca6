//! `recover` frees a stack from each state that it can be stuck in.

use expect_test::expect;
use serde_json::{Value, json};

use crate::support::Ran;
use crate::support::cloud::{Cloud, pair};
use crate::support::stuck::{Stuck, fails};

fn told(cloud: &Cloud, line: &str) -> Ran {
    cloud.run(line)
}

/// Somebody who knows nothing and types what the screen says: the first choice that is named, then every command that is named
/// then. Gives the lines that were typed.
fn walked_out(cloud: &Cloud) -> Vec<String> {
    let mut typed = vec!["recover lab".to_owned()];
    let said = cloud.ends("recover lab", 3);
    let hint = said.stderr.lines().find_map(|line| line.strip_prefix("hint: ")).unwrap_or_else(|| panic!("{said}"));
    let words: Vec<&str> = hint.split('`').skip(1).step_by(2).collect();
    let choice = words.first().unwrap_or_else(|| panic!("{said}"));
    let agreement = words.last().unwrap_or_else(|| panic!("{said}"));
    typed.push(format!("recover lab {choice} {agreement}"));
    let done = cloud.ends(typed.last().unwrap(), 0);
    for command in done.stdout.split('`').skip(1).step_by(2) {
        typed.push(command.replacen("greenroom ", "", 1) + " --yes");
        cloud.ends(typed.last().unwrap(), 0);
    }
    typed
}

/// The state of a stack, how it is told, and that whoever reads only that gets out.
#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "an expectation is written where it is expected")]
fn check(stuck: Stuck, expectation: expect_test::Expect) {
    let cloud = stuck.cloud();
    let status = cloud.ends("status lab", 0);
    assert!(status.stdout.contains(stuck.status()), "{status}");
    let said = told(&cloud, "recover lab --dry-run");
    // What was in the way is mended; where nothing is, the ways lead out all the same.
    cloud.faults(&json!([]));
    let typed = walked_out(&cloud);
    assert_eq!(cloud.run("recover lab").stdout, "nothing is stuck in lab\n");
    cloud.ends("deploy lab --yes", 0);
    expectation.assert_eq(&format!("{said}-- typed\n{}\n", typed.join("\n")));
}

#[test]
fn out_of_a_creation_that_was_undone() {
    check(
        Stuck::RollbackComplete,
        expect![[r#"
            exit 0
            -- stdout
            store  demo-lab-store  ROLLBACK_COMPLETE
              its creation failed and was undone; it can only be deleted
              because of Queue (AWS::SQS::Queue): the name is taken

              1  delete the stack
                   aws cloudformation delete-stack --stack-name demo-lab-store --region eu-west-1
                   loses nothing: none of its resources is there
                   the next deploy creates it anew
            -- stderr
            lab · local cloud, nothing is real · eu-west-1
            -- typed
            recover lab
            recover lab --choose 1 --yes
            deploy lab store --yes
        "#]],
    );
}

#[test]
fn out_of_a_creation_that_could_not_be_undone() {
    check(
        Stuck::RollbackFailed,
        expect![[r#"
        exit 0
        -- stdout
        store  demo-lab-store  ROLLBACK_FAILED
          its creation failed, and so did undoing it
          because of Topic (AWS::SNS::Topic): the topic is in use

          1  delete the stack
               aws cloudformation delete-stack --stack-name demo-lab-store --region eu-west-1
               loses what the failed creation has left: Topic
               the next deploy creates it anew
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
        -- typed
        recover lab
        recover lab --choose 1 --yes
        deploy lab store --yes
    "#]],
    );
}

#[test]
fn out_of_a_creation_that_was_left_as_it_failed() {
    check(
        Stuck::CreateFailed,
        expect![[r#"
            exit 0
            -- stdout
            store  demo-lab-store  CREATE_FAILED
              its creation failed and was not undone
              because of Queue (AWS::SQS::Queue): the name is taken

              1  delete the stack
                   aws cloudformation delete-stack --stack-name demo-lab-store --region eu-west-1
                   loses nothing: none of its resources is there
                   the next deploy creates it anew
            -- stderr
            lab · local cloud, nothing is real · eu-west-1
            -- typed
            recover lab
            recover lab --choose 1 --yes
            deploy lab store --yes
        "#]],
    );
}

#[test]
fn out_of_an_update_that_was_left_as_it_failed() {
    check(
        Stuck::UpdateFailed,
        expect![[r#"
            exit 0
            -- stdout
            store  demo-lab-store  UPDATE_FAILED
              an update failed and was not undone
              because of Queue (AWS::SQS::Queue): the queue is locked

              1  undo the update
                   aws cloudformation rollback-stack --stack-name demo-lab-store --region eu-west-1
                   loses nothing: the failed update had changed nothing

              2  delete the stack
                   aws cloudformation delete-stack --stack-name demo-lab-store --region eu-west-1
                   loses the stack with Queue, Topic
            -- stderr
            lab · local cloud, nothing is real · eu-west-1
            -- typed
            recover lab
            recover lab --choose 1 --yes
            deploy lab store --retry --yes
        "#]],
    );
}

#[test]
fn out_of_an_update_that_could_not_be_undone() {
    check(
        Stuck::UpdateRollbackFailed,
        expect![[r#"
            exit 0
            -- stdout
            store  demo-lab-store  UPDATE_ROLLBACK_FAILED
              an update failed and could not be undone
              because of Queue (AWS::SQS::Queue): the queue is gone
              the update had failed because of Topic (AWS::SNS::Topic): no such name

              1  try again to undo the update
                   aws cloudformation continue-update-rollback --stack-name demo-lab-store --region eu-west-1
                   loses nothing; mend first what is in the way, or it ends here again

              2  undo the update without Queue
                   aws cloudformation continue-update-rollback --stack-name demo-lab-store --resources-to-skip Queue --region eu-west-1
                   Queue stays as it is, and CloudFormation takes it for undone: what it knows and what is there differ from then on

              3  delete the stack
                   aws cloudformation delete-stack --stack-name demo-lab-store --region eu-west-1
                   loses the stack with Queue, Topic
            -- stderr
            lab · local cloud, nothing is real · eu-west-1
            -- typed
            recover lab
            recover lab --choose 1 --yes
            deploy lab store --retry --yes
        "#]],
    );
}

#[test]
fn out_of_a_deletion_that_failed() {
    check(
        Stuck::DeleteFailed,
        expect![[r#"
            exit 0
            -- stdout
            store  demo-lab-store  DELETE_FAILED
              it could not be deleted
              because of Queue (AWS::SQS::Queue): the queue is in use

              1  delete the stack
                   aws cloudformation delete-stack --stack-name demo-lab-store --region eu-west-1
                   loses what its deletion was to take; mend first what is in the way, or it ends here again

              2  delete the stack and leave Queue behind
                   aws cloudformation delete-stack --stack-name demo-lab-store --retain-resources Queue --region eu-west-1
                   Queue (https://sqs.eu-west-1.amazonaws.com/111111111111/demo-lab-store-Queue-[id]) stays behind without a stack, and goes on costing until somebody deletes what is left by hand
            -- stderr
            lab · local cloud, nothing is real · eu-west-1
            -- typed
            recover lab
            recover lab --choose 1 --yes
            deploy lab store --yes
        "#]],
    );
}

#[test]
fn out_of_a_plan_that_was_never_carried_out() {
    check(
        Stuck::ReviewInProgress,
        expect![[r#"
        exit 0
        -- stdout
        store  demo-lab-store  REVIEW_IN_PROGRESS
          it was planned and never created

          1  delete the stack
               aws cloudformation delete-stack --stack-name demo-lab-store --region eu-west-1
               loses its change sets, r-0123456789abcdef; it was never created
               the next deploy creates it anew
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
        -- typed
        recover lab
        recover lab --choose 1 --yes
        deploy lab store --yes
    "#]],
    );
}

#[test]
fn out_of_an_import_that_could_not_be_undone() {
    check(
        Stuck::ImportRollbackFailed,
        expect![[r#"
        exit 0
        -- stdout
        store  demo-lab-store  IMPORT_ROLLBACK_FAILED
          an import failed and could not be undone

          1  delete the stack
               aws cloudformation delete-stack --stack-name demo-lab-store --region eu-west-1
               loses the stack with Queue, Topic
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
        -- typed
        recover lab
        recover lab --choose 1 --yes
        deploy lab store --yes
    "#]],
    );
}

#[test]
fn an_update_is_undone_without_what_keeps_failing() {
    let cloud = Stuck::UpdateRollbackFailed.cloud();
    cloud.run("recover lab --choose 1 --yes").last_words().expect(expect![[r#"
        exit 1
        -- stderr
        error: the recovery in `lab` failed
          stack `store` is still stuck, UPDATE_ROLLBACK_FAILED because of `Queue`: the queue is gone

        hint: mend what is in the way, or look for another way: `greenroom recover lab`
    "#]]);
    cloud.run("recover lab --choose 2 --yes").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        store  free, UPDATE_ROLLBACK_COMPLETE
          `greenroom drift lab store` shows in what Queue and the stack differ now
          `greenroom deploy lab store --retry` only after that

        nothing is stuck in lab
    "#]]);
    assert_eq!(cloud.calls("ContinueUpdateRollback"), 2);
}

#[test]
fn what_cannot_be_deleted_is_left_behind_by_name() {
    let cloud = Stuck::DeleteFailed.cloud();
    cloud.run("recover lab --choose 1 --yes").last_words().expect(expect![[r#"
        exit 1
        -- stderr
        error: the recovery in `lab` failed
          stack `store` is still stuck, DELETE_FAILED because of `Queue`: the queue is in use

        hint: mend what is in the way, or look for another way: `greenroom recover lab`
    "#]]);
    cloud.run("recover lab --choose 2 --yes").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        store  gone
          Queue is nobody's now: delete it by hand, or take it into a stack again

        nothing is stuck in lab
    "#]]);
    let objects = &cloud.state()["111111111111/eu-west-1"]["objects"];
    assert!(objects.to_string().contains("AWS::SQS::Queue"), "{objects}");
}

#[test]
fn nothing_is_done_that_was_not_chosen() {
    let cloud = Stuck::UpdateRollbackFailed.cloud();
    let before = cloud.state();
    cloud.run("recover lab --choose 1").last_words().expect(expect![[r#"
        exit 3
        -- stderr
        error: this needs a confirmation, and there is no terminal to ask on

        hint: `--yes` answers it
    "#]]);
    cloud.run("recover lab --yes").last_words().expect(expect![[r#"
        exit 3
        -- stderr
        error: somebody must choose a way, and there is no terminal to ask on

        hint: `--choose 1` or `--choose 2` or `--choose 3`, and `--yes`
    "#]]);
    cloud.run("recover lab --choose 7 --yes").last_words().expect(expect![[r#"
        exit 3
        -- stderr
        error: `store` has no way 7

        hint: its ways: 1, 2, 3; nothing was changed
    "#]]);
    cloud.run("recover lab --choose api=1 --yes").last_words().expect(expect![[r#"
        exit 3
        -- stderr
        error: `api` is not stuck

        hint: stuck: store
    "#]]);
    cloud.run("recover lab --choose first --yes").last_words().expect(expect![[r#"
        exit 2
        -- stderr
        error: `--choose first` names no way

        hint: write its number, `--choose 1`, or `--choose STACK=1`
    "#]]);
    assert_eq!(cloud.state(), before);
}

/// A stack in use with a bucket whose policy is to go with it: the way that would delete it is shown, and closed.
#[test]
fn data_is_never_deleted_on_the_way() {
    let bucket = "Resources:\n  Bucket:\n    Type: AWS::S3::Bucket\n    DeletionPolicy: Delete\n    UpdateReplacePolicy: Delete\n";
    let cloud = Stuck::UpdateRollbackFailed.cloud_of(pair().edit("templates/store/stack.yaml", "Resources:\n", bucket));
    cloud.run("recover lab --choose 3 --yes").last_words().expect(expect![[r#"
        exit 3
        -- stderr
        error: this way is closed for `store`: Bucket holds data, and nothing would be left of it

        hint: nothing was changed; the ways above it leave the stack where it is
    "#]]);
}

#[test]
fn a_protected_environment_wants_its_name() {
    let mut cloud = Stuck::UpdateRollbackFailed.cloud();
    cloud.edit("environments/lab.yaml", "project: demo\n", "project: demo\nprotected: true\n");
    cloud.run("recover lab --choose 2 --yes").last_words().expect(expect![[r#"
        exit 3
        -- stderr
        error: `lab` is protected: `--yes` is not enough

        hint: `--confirm lab`, or confirm on a terminal
    "#]]);
    cloud.ends("recover lab --choose 2 --confirm lab", 0);
}

#[test]
fn several_stuck_stacks_are_named_each_with_its_way() {
    let cloud = Stuck::DeleteFailed.cloud();
    cloud.faults(&json!([fails("Level", "delete", "no"), fails("Queue", "delete", "no")]));
    cloud.by_hand("DeleteStack", &[("StackName", "demo-lab-api")]);
    cloud.come_to_rest();
    cloud.run("recover lab --choose 2 --yes").last_words().expect(expect![[r#"
        exit 3
        -- stderr
        error: several stacks of `lab` are stuck

        hint: say which way for which: `--choose store=N --choose api=N`
    "#]]);
    cloud.ends("recover lab --choose store=2 --choose api=2 --yes", 0);
    assert_eq!(cloud.run("recover lab").stdout, "nothing is stuck in lab\n");
}

#[test]
fn programs_read_the_ways() {
    let cloud = Stuck::UpdateRollbackFailed.cloud();
    let ran = cloud.ends("recover lab --dry-run --format json", 0);
    let diagnosis: Value = serde_json::from_str(&ran.stdout).unwrap();
    let way = &diagnosis["diagnosis"]["stranded"][0]["ways"][1];
    assert_eq!(way["way"], "continue_rollback");
    assert_eq!(way["skip"], json!(["Queue"]));
}
