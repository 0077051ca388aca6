//! `destroy` empties what it may empty, says what stays, and survives deletions that fail.

use expect_test::expect;
use serde_json::json;

use crate::support::Scenario;
use crate::support::cloud::{Cloud, pair};
use crate::support::stuck::{Stuck, fails, marks_of_store};

/// One stack with two buckets: one that goes with it and keeps versions, one that stays.
fn with_buckets() -> Scenario {
    let buckets = "Resources:
  Papers:
    Type: AWS::S3::Bucket
    DeletionPolicy: Delete
    UpdateReplacePolicy: Delete
    Properties: {BucketName: papers-of-lab, VersioningConfiguration: {Status: Enabled}}
  Archive:
    Type: AWS::S3::Bucket
    DeletionPolicy: Retain
    UpdateReplacePolicy: Retain
    Properties: {BucketName: archive-of-lab}
";
    Scenario::small().edit("templates/store/stack.yaml", "Resources:\n", buckets)
}

fn filled() -> Cloud {
    let cloud = Cloud::of(with_buckets());
    cloud.ends("deploy lab --yes", 0);
    for (key, text) in [("a", "one"), ("a", "two"), ("b", "three"), ("c/d", "four")] {
        cloud.s3("PUT", &format!("/papers-of-lab/{key}"), text);
    }
    cloud.s3("DELETE", "/papers-of-lab/b", "");
    cloud.s3("PUT", "/archive-of-lab/old", "dust");
    cloud
}

#[test]
fn a_bucket_that_goes_with_its_stack_is_emptied_versions_and_all() {
    let cloud = filled();
    cloud.run("destroy lab --dry-run").expect(expect![[r#"
        exit 0
        -- stdout
        store        3 resources
          - Archive (archive-of-lab)  AWS::S3::Bucket  left to itself, outside of the stack: 1 object version, 4 bytes
          - Papers (papers-of-lab)  AWS::S3::Bucket  DELETED with all it holds: 4 object versions, 15 bytes, 1 delete marker

        1 stack to delete
        will stay, and goes on costing: store/Archive (archive-of-lab), 1 object version, 4 bytes
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
    "#]]);
    cloud.run("destroy lab --yes").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        store        3 resources
          - Archive (archive-of-lab)  AWS::S3::Bucket  left to itself, outside of the stack: 1 object version, 4 bytes
          - Papers (papers-of-lab)  AWS::S3::Bucket  DELETED with all it holds: 4 object versions, 15 bytes, 1 delete marker

        lab is destroyed: 1 stack
        stays, and goes on costing: store/Archive (archive-of-lab), 1 object version, 4 bytes
    "#]]);
    let state = cloud.state();
    assert_eq!(state["111111111111/aws-global"]["objects"], json!([["AWS::S3::Bucket", 1]]), "{state}");
}

/// What CloudFormation's default says nobody has written: nothing is emptied without being named.
fn by_default() -> Cloud {
    let cloud = Cloud::of(Scenario::small());
    let template =
        json!({"Resources": {"Papers": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "papers-of-lab"}}}});
    let wanted = [("StackName", "demo-lab-store"), ("TemplateBody", &template.to_string())];
    cloud.by_hand("CreateStack", &[&wanted[..], &marks_of_store()].concat());
    cloud.come_to_rest();
    cloud.s3("PUT", "/papers-of-lab/a", "one");
    cloud
}

#[test]
fn a_bucket_that_is_not_empty_keeps_its_stack_until_it_is_named() {
    let cloud = by_default();
    cloud.run("destroy lab --dry-run").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        store        1 resource
          - Papers (papers-of-lab)  AWS::S3::Bucket  DELETED with all it holds: 1 object version, 3 bytes
              keeps its stack while it is not empty; `--empty-bucket store/Papers` empties it, `--retain store/Papers` leaves it behind

        1 stack to delete
    "#]]);
    cloud.run("destroy lab --yes").last_words().expect(expect![[r#"
        exit 1
        -- stderr
        error: the destruction of `lab` failed
          stack `store` could not be deleted because of `Papers`: Resource handler returned message: "The bucket you tried to delete is not empty (Service: S3, Status Code: 409)" (RequestToken: [id], HandlerErrorCode: GeneralServiceException)

        hint: clear it away and run the command again; or `--empty-bucket store/Papers` empties it, or `--retain store/Papers` leaves it behind
    "#]]);
    cloud.run("destroy lab --yes --empty-bucket store/Papers").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        store        1 resource
          - Papers (papers-of-lab)  AWS::S3::Bucket  DELETED with all it holds: 1 object version, 3 bytes

        lab is destroyed: 1 stack
    "#]]);
    assert_eq!(cloud.state(), json!({}));
}

#[test]
fn what_keeps_a_stack_is_left_behind_by_name() {
    let cloud = by_default();
    cloud.run("destroy lab --yes --retain store/Papers").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        store        1 resource
          - Papers (papers-of-lab)  AWS::S3::Bucket  left to itself, outside of the stack: 1 object version, 3 bytes

        lab is destroyed: 1 stack
        stays, and goes on costing: store/Papers (papers-of-lab), 1 object version, 3 bytes
    "#]]);
    assert_eq!(cloud.calls("DeleteStack"), 2, "it is left behind only once it is known to be in the way");
    assert_eq!(cloud.state()["111111111111/aws-global"]["objects"], json!([["AWS::S3::Bucket", 1]]));
}

#[test]
fn a_deletion_that_failed_is_tried_again_by_the_next_run() {
    let cloud = Stuck::DeleteFailed.cloud();
    cloud.run("destroy lab --yes").last_words().expect(expect![[r#"
        exit 1
        -- stderr
        error: the destruction of `lab` failed
          stack `store` could not be deleted because of `Queue`: the queue is in use

        hint: clear it away and run the command again; or `--retain store/Queue` leaves it behind
    "#]]);
    cloud.faults(&json!([]));
    cloud.ends("destroy lab --yes", 0);
    assert_eq!(cloud.state(), json!({}));
}

#[test]
fn a_full_bucket_is_a_way_out_of_recover() {
    let cloud = by_default();
    cloud.ends("destroy lab --yes", 1);
    cloud.run("recover lab --choose 3 --yes").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        store  gone
          `greenroom deploy lab store` creates it anew, if it is wanted

        nothing is stuck in lab
    "#]]);
    assert_eq!(cloud.state(), json!({}));
}

#[test]
fn resources_are_named_with_their_stacks() {
    let cloud = Cloud::of(pair());
    cloud.run("destroy lab --yes --retain Queue").last_words().expect(expect![[r#"
        exit 2
        -- stderr
        error: `--retain Queue` names no resource

        hint: write `--retain STACK/RESOURCE`
    "#]]);
    cloud.run("destroy lab --yes --empty-bucket stoer/Papers").last_words().expect(expect![[r#"
        exit 2
        -- stderr
        error: `lab` has no stack `stoer`

        hint: did you mean `store`?
    "#]]);
}

/// A bucket that somebody goes on filling cannot be emptied; nobody tries for ever.
#[test]
fn what_cannot_be_emptied_ends_the_run() {
    let cloud = filled();
    cloud.faults(&json!([fails("Papers", "delete", "The bucket you tried to delete is not empty")]));
    let ran = cloud.ends("destroy lab --yes", 1);
    assert!(ran.stderr.contains("could not be deleted because of `Papers`"), "{ran}");
}

#[test]
fn whatever_is_left_behind_is_told() {
    let cloud = Stuck::DeleteFailed.cloud();
    cloud.run("destroy lab --yes --retain store/Queue").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        api          2 resources
        store        1 resource

        lab is destroyed: 2 stacks
        stays, and goes on costing: store/Queue (https://sqs.eu-west-1.amazonaws.com/111111111111/demo-lab-store-Queue-[id])
    "#]]);
}
