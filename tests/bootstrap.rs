//! `bootstrap`, and the templates that go through the bucket it makes.

use expect_test::expect;
use serde_json::json;

use crate::support::cloud::Cloud;
use crate::support::{STORE, Scenario};

const LAB: &str = r#"project: demo
account: "111111111111"
region: eu-west-1
deploy: {template_bucket: "demo-${account}-${region}"}
stacks:
  store:
    values: {topic: papers}
"#;

/// A template of at least so many bytes.
fn store_of(bytes: usize) -> String {
    format!("Metadata:\n  Filler: {}\n{STORE}", "x".repeat(bytes))
}

/// A stack whose template no call can carry, and a bucket that is not there yet.
pub(crate) fn large() -> Scenario {
    Scenario::small().lab(LAB).store(&store_of(60_000))
}

#[test]
fn makes_the_bucket_once_for_all_environments_of_an_account() {
    let other = LAB.replace("papers", "notes");
    let cloud = Cloud::of(Scenario::small().lab(LAB).file("environments/other.yaml", other));
    cloud.run("bootstrap lab --dry-run").expect(expect![[r#"
        exit 0
        -- stdout
        demo-[id]-eu-west-1                                  new, 2 resources
          + Bucket  AWS::S3::Bucket
          + BucketPolicy  AWS::S3::BucketPolicy

        2 to add, 0 to modify, 0 to replace, 0 to remove
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
    "#]]);
    assert_eq!(cloud.state(), json!({}));
    cloud.run("bootstrap lab --yes").expect(expect![[r#"
        exit 0
        -- stdout
        demo-[id]-eu-west-1  created

        demo-[id]-eu-west-1.BucketName  demo-[id]-eu-west-1
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
        · demo-[id]-eu-west-1 creating, 1 of 2 resources, BucketPolicy
        ✔ demo-[id]-eu-west-1 at rest after [time]
    "#]]);
    let made = cloud.state();
    cloud.run("bootstrap lab --yes").expect(expect![[r#"
        exit 0
        -- stdout
        lab is as its file says; nothing to do
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
    "#]]);
    cloud.run("bootstrap other --yes").expect(expect![[r#"
        exit 0
        -- stdout
        other is as its file says; nothing to do
        -- stderr
        other · local cloud, nothing is real · eu-west-1
    "#]]);
    assert_eq!(cloud.state(), made);
}

#[test]
fn no_environment_takes_the_bucket_for_its_own() {
    let cloud = Cloud::of(Scenario::small().lab(LAB));
    cloud.ends("bootstrap lab --yes", 0);
    let made = cloud.state();
    cloud.ends("deploy lab --yes --prune", 0);
    cloud.run("status lab").expect(expect![[r#"
        exit 0
        -- stdout
        lab
          store  CREATE_COMPLETE  [age]

          store.TopicArn  arn:aws:sns:eu-west-1:111111111111:papers
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
    "#]]);
    cloud.ends("destroy lab --yes", 0);
    assert_eq!(cloud.state(), made);
}

#[test]
fn nothing_is_made_without_being_agreed_to() {
    let protected = LAB.replace("deploy:", "protected: true\ndeploy:");
    let cloud = Cloud::of(Scenario::small().lab(&protected));
    cloud.run("bootstrap lab").expect(expect![[r#"
        exit 3
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
        demo-[id]-eu-west-1                                  new, 2 resources
          + Bucket  AWS::S3::Bucket
          + BucketPolicy  AWS::S3::BucketPolicy

        2 to add, 0 to modify, 0 to replace, 0 to remove
        error: this needs a confirmation, and there is no terminal to ask on

        hint: `--confirm lab` answers it
    "#]]);
    cloud.run("bootstrap lab --yes").expect(expect![[r#"
        exit 3
        -- stderr
        error: `lab` is protected: `--yes` is not enough

        hint: `--confirm lab`, or confirm on a terminal
    "#]]);
    assert_eq!(cloud.state(), json!({}));
    cloud.ends("bootstrap lab --confirm lab", 0);
}

#[test]
fn a_large_template_goes_through_the_bucket() {
    let mut cloud = Cloud::of(large());
    cloud.run("plan lab").expect(expect![[r#"
        exit 0
        -- stdout
        store                                                        new, 1 resource
          + Topic  AWS::SNS::Topic

        1 to add, 0 to modify, 0 to replace, 0 to remove
        deploy will refuse: the template of `store` goes through the bucket `demo-[id]-eu-west-1`, which does not exist
        hint: `greenroom bootstrap lab` makes it
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
    "#]]);
    cloud.run("deploy lab --yes").expect(expect![[r#"
        exit 3
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
        error: the deployment of `lab` is refused
          the template of `store` goes through the bucket `demo-[id]-eu-west-1`, which does not exist

        hint: `greenroom bootstrap lab` makes it
    "#]]);
    assert_eq!(cloud.state(), json!({}), "nothing is begun that cannot be ended");
    cloud.ends("bootstrap lab --yes", 0);
    cloud.run("deploy lab --yes").expect(expect![[r#"
        exit 0
        -- stdout
        store  created

        store.TopicArn  arn:aws:sns:eu-west-1:111111111111:papers
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
        · store        creating, 1 of 1 resources
        ✔ store        at rest after [time]
    "#]]);
    assert_eq!(cloud.calls("PUT"), 1);
    cloud.run("deploy lab --yes").expect(expect![[r#"
        exit 0
        -- stdout
        lab is as its file says; nothing to do
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
    "#]]);
    assert_eq!(cloud.calls("PUT"), 1, "what is as wanted is not sent");
    cloud.edit("environments/lab.yaml", "papers}", "papers, size: 4}");
    cloud.run("plan lab").expect(expect![[r#"
        exit 0
        -- stdout
        store                                                        modify 1
          ~ Topic  AWS::SNS::Topic
              DisplayName  papers of 3 → papers of 4

        0 to add, 1 to modify, 0 to replace, 0 to remove
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
    "#]]);
    cloud.ends("deploy lab --yes", 0);
    assert_eq!(cloud.calls("PUT"), 3, "once for each change set");
}

#[test]
fn a_small_template_asks_for_no_bucket() {
    let cloud = Cloud::of(Scenario::small().lab(LAB));
    cloud.ends("deploy lab --yes", 0);
    assert_eq!(cloud.calls("HEAD") + cloud.calls("PUT"), 0);
}

#[test]
fn a_template_that_is_larger_than_any_may_be() {
    let cloud = Cloud::of(large().store(&store_of(1_010_000)));
    cloud.run("deploy lab --yes").expect(expect![[r#"
        exit 2
        -- stderr
        error: 1010188 bytes of template, but CloudFormation takes 1000000
         --> templates/store/stack.yaml:1:1
          |
        1 | Metadata:
          | ^^^^^^^^^
          |
          = note: met in `lab/store`
          = hint: split the stack
    "#]]);
}

#[test]
fn somebody_elses_bucket_is_not_used() {
    let theirs = LAB.replace("111111111111", "222222222222").replace("demo-${account}-${region}", "taken");
    let ours = LAB.replace("demo-${account}-${region}", "taken");
    let cloud = Cloud::of(large().lab(&ours).file("environments/theirs.yaml", theirs));
    cloud.ends("bootstrap theirs --yes", 0);
    let before = cloud.state();
    cloud.run("bootstrap lab --yes").expect(expect![[r#"
        exit 3
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
        error: the bucket `taken` belongs to another account, or may not be used

        hint: names of buckets are the whole world's: choose another, or get `s3:ListBucket` for it
    "#]]);
    cloud.run("deploy lab --yes").expect(expect![[r#"
        exit 3
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
        error: the deployment of `lab` is refused
          the template of `store` goes through the bucket `taken`, which belongs to another account or may not be used

        hint: names of buckets are the whole world's: choose another, `deploy.template_bucket`, or get `s3:ListBucket` for it
    "#]]);
    assert_eq!(cloud.state(), before);
}

#[test]
fn a_bucket_that_somebody_made_by_hand_is_used_as_it_is() {
    let cloud = Cloud::of(large());
    cloud.s3("PUT", "/demo-111111111111-eu-west-1", "");
    cloud.run("bootstrap lab --yes").expect(expect![[r#"
        exit 0
        -- stdout
        lab is as its file says; nothing to do
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
        the bucket `demo-[id]-eu-west-1` was not made for `demo`, and is used as it is
    "#]]);
    cloud.ends("deploy lab --yes", 0);
    assert_eq!(cloud.calls("PUT"), 2, "the bucket and the template");
}

#[test]
fn a_bucket_that_another_project_of_the_account_has_made_stays_its_own() {
    let other = LAB.replace("project: demo", "project: notes").replace("demo-${account}-${region}", "shared");
    let ours = LAB.replace("demo-${account}-${region}", "shared");
    let cloud = Cloud::of(large().lab(&ours).file("environments/other.yaml", other));
    cloud.ends("bootstrap other --yes", 0);
    let made = cloud.state();
    cloud.run("bootstrap lab --yes").expect(expect![[r#"
        exit 0
        -- stdout
        lab is as its file says; nothing to do
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
        the bucket `shared` was not made for `demo`, and is used as it is
    "#]]);
    assert_eq!(cloud.state(), made);
    cloud.ends("deploy lab --yes", 0);
}

#[test]
fn a_bucket_that_is_gone_without_its_stack() {
    let cloud = Cloud::of(Scenario::small().lab(LAB));
    cloud.ends("bootstrap lab --yes", 0);
    cloud.s3("DELETE", "/demo-111111111111-eu-west-1", "");
    cloud.run("bootstrap lab --yes").expect(expect![[r#"
        exit 3
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
        error: the bucket `demo-[id]-eu-west-1` is gone, but its stack `greenroom-demo-[id]-eu-west-1` is there

        hint: delete that stack in the AWS console, and run this again
    "#]]);
}

#[test]
fn a_creation_that_fails_leaves_nothing_in_the_way() {
    let cloud = Cloud::of(Scenario::small().lab(LAB));
    cloud.faults(&json!([{"logical_id": "BucketPolicy", "times": 1, "effect": {"fail_resource": {"during": "create", "reason": "no"}}}]));
    cloud.run("bootstrap lab --yes").expect(expect![[r#"
        exit 1
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
        · demo-[id]-eu-west-1 creating, 1 of 2 resources, BucketPolicy
        ✔ demo-[id]-eu-west-1 at rest after [time]
        error: the deployment of `lab` failed
          stack `demo-[id]-eu-west-1` ended in ROLLBACK_COMPLETE because of `BucketPolicy`: no

        hint: `--recreate demo-[id]-eu-west-1` deletes what is left of it and creates it anew
    "#]]);
    cloud.run("bootstrap lab --yes").expect(expect![[r#"
        exit 3
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
        error: the deployment of `lab` is refused
          stack `demo-[id]-eu-west-1` is ROLLBACK_COMPLETE: its creation failed and was undone, and it can only be deleted

        hint: `--recreate demo-[id]-eu-west-1` deletes what is left of it and creates it anew
    "#]]);
    cloud.ends("bootstrap lab --yes --recreate demo-111111111111-eu-west-1", 0);
}

#[track_caller]
fn refused(lab: &str, expected: &expect_test::Expect) {
    let scenario = Scenario::small().lab(lab);
    let ran = scenario.run("bootstrap lab --yes --local".split(' '));
    expected.assert_eq(&ran.to_string());
    assert!(!scenario.root().join(".greenroom").exists(), "nothing was called");
}

#[test]
fn what_no_bucket_can_come_of_is_said_before_anything_is_called() {
    refused(
        &LAB.replace("deploy: {template_bucket: \"demo-${account}-${region}\"}\n", ""),
        &expect![[r#"
        exit 2
        -- stderr
        error: `lab` names no bucket

        hint: say one: `deploy: {template_bucket: NAME-${account}-${region}}`
    "#]],
    );
    refused(
        &LAB.replace("demo-${account}-${region}", "Demo_bucket"),
        &expect![[r#"
        exit 2
        -- stderr
        error: `Demo_bucket` cannot be a bucket's name: lower-case letters, digits, hyphens and dots, 3 to 63 of them

        hint: `deploy.template_bucket` and `deploy.package_bucket` say it
    "#]],
    );
    let in_two = LAB.replace("demo-${account}-${region}", "demo")
        + "  other: {template: store, region: us-east-1, values: {topic: a}}\n";
    refused(
        &in_two,
        &expect![[r#"
        exit 2
        -- stderr
        error: the bucket `demo` is wanted in 111111111111/eu-west-1 and in 111111111111/us-east-1, but there is only one of that name

        hint: have its name say where it is: `NAME-${account}-${region}`
    "#]],
    );
}
