//! A change that failed before in just this shape is not tried again without a word.

use expect_test::expect;
use serde_json::json;

use crate::support::cloud::{Cloud, pair};

const TWICE: &str = r#"[{"logical_id": "Level", "times": 2, "effect": {"fail_resource": {"during": "update", "reason": "the parameter is locked"}}}]"#;

fn failed() -> Cloud {
    let mut cloud = Cloud::of(pair());
    cloud.ends("deploy lab --yes", 0);
    cloud.edit("environments/lab.yaml", "level: info", "level: debug");
    cloud.control("faults", TWICE);
    cloud.ends("deploy lab --yes", 1);
    cloud
}

#[test]
fn a_change_that_failed_is_tried_again_only_on_request() {
    let cloud = failed();
    cloud.run("plan lab").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        store                                                        no changes
        api                                                          modify 1
          ~ Level  AWS::SSM::Parameter
              Value  info → debug    environments/lab.yaml:10:14

        0 to add, 1 to modify, 0 to replace, 0 to remove
        deploy will refuse: just this change of `api` failed before because of `Level`: the parameter is locked
        hint: mend the cause, or try once more: `--retry`
    "#]]);
    let tried = cloud.calls("ExecuteChangeSet");
    cloud.run("deploy lab --yes").last_words().expect(expect![[r#"
        exit 3
        -- stderr
        error: the deployment of `lab` is refused
          just this change of `api` failed before because of `Level`: the parameter is locked

        hint: mend the cause, or try once more: `--retry`
    "#]]);
    assert_eq!(cloud.calls("ExecuteChangeSet"), tried);
    cloud.ends("deploy lab --yes --retry", 1);
    assert_eq!(cloud.calls("ExecuteChangeSet"), tried + 1);
    cloud.ends("deploy lab --yes", 3);
    cloud.ends("deploy lab --yes --retry", 0);
    cloud.ends("deploy lab --yes", 0);
}

#[test]
fn another_change_is_another() {
    let mut cloud = failed();
    cloud.control("faults", "[]");
    cloud.edit("environments/lab.yaml", "level: debug", "level: trace");
    cloud.ends("deploy lab --yes", 0);
    // What failed once and went well since is no failure any more.
    cloud.edit("environments/lab.yaml", "level: trace", "level: debug");
    cloud.ends("deploy lab --yes", 0);
}

/// Nothing is remembered here: another checkout knows it as well, and so does a sealed plan.
#[test]
fn what_failed_is_known_from_the_cloud() {
    let cloud = failed();
    cloud.ends("plan lab --out plan.json", 3);
    cloud.control("faults", &json!([]).to_string());
    cloud.ends("plan lab --out plan.json --retry", 0);
    cloud.ends("deploy --plan plan.json", 0);
}
