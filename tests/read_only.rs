//! `plan --read-only`: what the deployed templates and the registry's facts tell, and not one call that changes anything.

use expect_test::expect;
use serde_json::Value;

use crate::support::Scenario;
use crate::support::cloud::{Cloud, pair};

/// What somebody may do who may only look.
#[track_caller]
fn only_looks(cloud: &Cloud, already: usize) {
    let made = cloud.operations().split_off(already);
    assert!(!made.is_empty());
    let looks = ["Get", "Describe", "List", "Head"];
    let others: Vec<&String> = made.iter().filter(|name| !looks.iter().any(|look| name.starts_with(look))).collect();
    assert_eq!(others, Vec::<&String>::new());
}

#[test]
fn an_estimate_says_so_and_changes_nothing() {
    let mut cloud = Cloud::of(pair());
    cloud.run("plan lab --read-only").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        store                                                        new, 2 resources
          + Topic  AWS::SNS::Topic
          + Queue  AWS::SQS::Queue
        api                                                          new, 2 resources, after store: TopicArn
          + Level  AWS::SSM::Parameter
          + Target  AWS::SSM::Parameter

        4 to add, 0 to modify, 0 to replace, 0 to remove
        estimated from the deployed templates and the registry's facts; a change set, which `plan` makes, knows more
    "#]]);
    cloud.ends("deploy lab --yes", 0);
    cloud.edit("environments/lab.yaml", "{topic: papers}", "{topic: letters, size: 4}");
    cloud.edit("environments/lab.yaml", "level: info", "level: debug");
    let (before, calls) = (cloud.state(), cloud.operations().len());
    cloud.run("plan lab --read-only --exit-code").expect(expect![[r#"
        exit 4
        -- stdout
        store                                                        modify 2
          ~ Topic  AWS::SNS::Topic
              DisplayName  papers of 3 → letters of 4
          ~ Queue  AWS::SQS::Queue
              VisibilityTimeout  30 → 40    environments/lab.yaml:6:36
        api                                                          modify 1, after store: TopicArn
          ~ Level  AWS::SSM::Parameter
              Value  info → debug    environments/lab.yaml:10:14

        0 to add, 3 to modify, 0 to replace, 0 to remove
        estimated from the deployed templates and the registry's facts; a change set, which `plan` makes, knows more
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
    "#]]);
    only_looks(&cloud, calls);
    assert_eq!(cloud.state(), before);
    cloud.ends("deploy lab --yes", 0);
    cloud.ends("plan lab --read-only --exit-code", 0);
    let told: Value = serde_json::from_str(&cloud.ends("plan lab --read-only --format json", 0).stdout).unwrap();
    assert_eq!(told["plan"]["is_estimated"], true);
}

/// What happens to which resource, by stack.
fn told(cloud: &Cloud, line: &str) -> Vec<String> {
    let ran = cloud.ends(&format!("{line} --format json"), 0);
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    let mut all = Vec::new();
    for stack in told["plan"]["stacks"].as_array().unwrap() {
        let name = stack["stack"].as_str().unwrap();
        all.push(format!("{name} {}", stack["outlook"]));
        for change in stack["changes"].as_array().into_iter().flatten() {
            let properties: Vec<&str> = change["properties"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|property| property["path"].as_str().unwrap().split('/').next().unwrap())
                .collect();
            let mut properties = properties;
            properties.dedup();
            all.push(format!(
                "{name}/{} {} {}",
                change["resource"].as_str().unwrap(),
                change["action"],
                properties.join(" ")
            ));
        }
    }
    all
}

/// One edit after the other, each estimated and then computed: the two say the same.
#[test]
fn an_estimate_says_what_a_change_set_says() {
    let mut cloud = Cloud::with(Scenario::shipped(), &[]);
    cloud.ends("deploy scratch@me --yes", 0);
    let edits: [&[[&str; 3]]; 4] = [
        &[
            ["scratch", "storage_gib: 20", "storage_gib: 30"],
            ["scratch", "instance_class: db.t4g.micro", "instance_class: db.t4g.small"],
            ["base", "engine_version: \"16.15\"", "engine_version: \"16.14\""],
            ["scratch", "instances: {min: 1, max: 1}", "instances: {min: 1, max: 2}"],
        ],
        &[
            ["scratch", "data_gib: 20", "data_gib: 30"],
            ["scratch", "logstash_instances: 1", "logstash_instances: 2"],
            ["base", "elasticsearch_version: 8.19.4", "elasticsearch_version: 8.19.5"],
            ["base", "ami-0def567890abc1234", "ami-0def567890abc1235"],
            ["scratch", "deletion_policy: Delete", "deletion_policy: Snapshot"],
        ],
        // Replaces the network, and so all that is in it.
        &[["scratch", "vpc_cidr: 10.48.0.0/20", "vpc_cidr: 10.49.0.0/20"]],
        &[["base", "tags: {", "tags: {kind: test, "]],
    ];
    for step in edits {
        for [file, old, new] in step {
            cloud.edit(&format!("environments/{file}.yaml"), old, new);
        }
        let calls = cloud.operations().len();
        let estimated = told(&cloud, "plan scratch@me --read-only");
        only_looks(&cloud, calls);
        assert_eq!(estimated, told(&cloud, "plan scratch@me"), "{step:?}");
    }
}
