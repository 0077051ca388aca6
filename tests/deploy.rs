//! `plan` and `deploy` against the local cloud: the whole life of an environment, and what may go wrong in it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use expect_test::expect;
use serde_json::json;

use crate::support::cloud::{Cloud, both, pair, redacted, without_operations};
use crate::support::{Ran, Scenario};

const LEVEL_FAILS: &str = r#"[{"logical_id": "Level", "effect": {"fail_resource": {"during": "update", "reason": "the parameter is locked"}}}]"#;

fn deployed() -> Cloud {
    let cloud = Cloud::of(pair());
    cloud.ends("deploy lab --yes", 0);
    cloud
}

#[test]
fn an_environment_lives() {
    let mut cloud = Cloud::of(pair());
    cloud.run("deploy lab --yes").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        store  created
        api    created

        store.TopicArn  arn:aws:sns:eu-west-1:111111111111:demo-lab-store-Topic-[id]
        api.Level       info
    "#]]);
    let before = cloud.state();
    cloud.run("deploy lab --yes").expect(expect![[r#"
        exit 0
        -- stdout
        lab is as its file says; nothing to do
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
    "#]]);
    assert_eq!(cloud.state(), before);
    cloud.run("status lab").expect(expect![[r#"
        exit 0
        -- stdout
        lab
          store  CREATE_COMPLETE  [age]
          api    CREATE_COMPLETE  [age]

          store.TopicArn  arn:aws:sns:eu-west-1:111111111111:demo-lab-store-Topic-[id]
          api.Level       info
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
    "#]]);
    cloud.edit("environments/lab.yaml", "level: info", "level: debug");
    cloud.run("plan lab").expect(expect![[r#"
        exit 0
        -- stdout
        store                                                        no changes
        api                                                          modify 1
          ~ Level  AWS::SSM::Parameter
              Value  info → debug    environments/lab.yaml:10:14

        0 to add, 1 to modify, 0 to replace, 0 to remove
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
    "#]]);
    assert_eq!(cloud.state(), before, "a plan changes nothing");
    cloud.run("deploy lab --yes").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        store  unchanged
        api    updated

        store.TopicArn  arn:aws:sns:eu-west-1:111111111111:demo-lab-store-Topic-[id]
        api.Level       debug
    "#]]);
    assert_eq!(cloud.calls("ExecuteChangeSet"), 3, "two stacks were made, and one of them changed");
    cloud.run("outputs lab").expect(expect![[r#"
        exit 0
        -- stdout
        store.TopicArn=arn:aws:sns:eu-west-1:111111111111:demo-lab-store-Topic-[id]
        api.Level=debug
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
    "#]]);
    cloud.run("outputs lab api.Level").expect(expect![[r#"
        exit 0
        -- stdout
        debug
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
    "#]]);
    cloud.run("destroy lab --yes").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        api          2 resources
        store        2 resources

        lab is destroyed: 2 stacks
    "#]]);
    assert_eq!(cloud.state(), json!({}));
}

#[test]
fn the_shipped_sandbox_lives() {
    let mut cloud = Cloud::with(Scenario::shipped(), &[]);
    cloud.run("deploy scratch@me --yes").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        network   created
        database  created
        elk       created
        sync-api  created

        network.NatAddresses            203.0.113.22
        network.PrivateRouteTableIds    rtb-[id],rtb-[id]
        network.PrivateSubnetIds        subnet-[id],subnet-[id]
        network.PublicRouteTableId      rtb-[id]
        network.PublicSubnetIds         subnet-[id],subnet-[id]
        network.VpcCidr                 10.48.0.0/20
        network.VpcId                   vpc-[id]
        database.ClientSecurityGroupId  sg-[id]
        database.DatabaseId             sync-scratch-me-database-database-[id]
        database.Endpoint               sync-scratch-me-database-database-[id].[id].ap-southeast-2.rds.amazonaws.com
        database.KeyArn                 arn:aws:kms:ap-southeast-2:333333333333:key/[id]
        database.Port                   5432
        database.ResourceId             db-[id]
        database.SecretArn              arn:aws:secretsmanager:ap-southeast-2:333333333333:secret:rds!db-[id]
        database.SecurityGroupId        sg-[id]
        elk.ClientSecurityGroupId       sg-[id]
        elk.ElasticSecretArn            arn:aws:secretsmanager:ap-southeast-2:333333333333:secret:sync-scratch-me-elk-ElasticSecret-[id]
        elk.ElasticsearchUrl            https://elk-scratch-me.scratch.sync.example.internal:9200
        elk.KibanaUrl                   https://elk-scratch-me.scratch.sync.example.internal
        elk.LogBucketName               sync-scratch-me-elk-logbucket-[id]
        elk.LogstashUrl                 https://elk-scratch-me.scratch.sync.example.internal:8443
        sync-api.GroupName              sync-scratch-me-sync-api-Group-[id]
        sync-api.TargetGroupArn         arn:aws:elasticloadbalancing:ap-southeast-2:333333333333:targetgroup/sync-scrat-Targets-[id]/[id]
        sync-api.Url                    http://internal-sync-scrat-Balance-[id]-[id].ap-southeast-2.elb.amazonaws.com
    "#]]);
    cloud.run("deploy scratch@me --yes").expect(expect![[r#"
        exit 0
        -- stdout
        scratch@me is as its file says; nothing to do
        -- stderr
        scratch@me · local cloud, nothing is real · ap-southeast-2
    "#]]);
    cloud.edit("environments/scratch.yaml", "storage_gib: 20", "storage_gib: 30");
    cloud.run("plan scratch@me").expect(expect![[r#"
        exit 0
        -- stdout
        network                                                      no changes
        database                                                     modify 1
          ~ Database  AWS::RDS::DBInstance
              AllocatedStorage  20 → 30    environments/scratch.yaml:20:20
        elk                                                          no changes
        sync-api                                                     after database: Endpoint, SecretArn, KeyArn, ClientSecurityGroupId

        0 to add, 1 to modify, 0 to replace, 0 to remove
        -- stderr
        scratch@me · local cloud, nothing is real · ap-southeast-2
    "#]]);
    cloud.run("deploy scratch@me --yes").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        network   unchanged
        database  updated
        elk       unchanged
        sync-api  unchanged

        network.NatAddresses            203.0.113.22
        network.PrivateRouteTableIds    rtb-[id],rtb-[id]
        network.PrivateSubnetIds        subnet-[id],subnet-[id]
        network.PublicRouteTableId      rtb-[id]
        network.PublicSubnetIds         subnet-[id],subnet-[id]
        network.VpcCidr                 10.48.0.0/20
        network.VpcId                   vpc-[id]
        database.ClientSecurityGroupId  sg-[id]
        database.DatabaseId             sync-scratch-me-database-database-[id]
        database.Endpoint               sync-scratch-me-database-database-[id].[id].ap-southeast-2.rds.amazonaws.com
        database.KeyArn                 arn:aws:kms:ap-southeast-2:333333333333:key/[id]
        database.Port                   5432
        database.ResourceId             db-[id]
        database.SecretArn              arn:aws:secretsmanager:ap-southeast-2:333333333333:secret:rds!db-[id]
        database.SecurityGroupId        sg-[id]
        elk.ClientSecurityGroupId       sg-[id]
        elk.ElasticSecretArn            arn:aws:secretsmanager:ap-southeast-2:333333333333:secret:sync-scratch-me-elk-ElasticSecret-[id]
        elk.ElasticsearchUrl            https://elk-scratch-me.scratch.sync.example.internal:9200
        elk.KibanaUrl                   https://elk-scratch-me.scratch.sync.example.internal
        elk.LogBucketName               sync-scratch-me-elk-logbucket-[id]
        elk.LogstashUrl                 https://elk-scratch-me.scratch.sync.example.internal:8443
        sync-api.GroupName              sync-scratch-me-sync-api-Group-[id]
        sync-api.TargetGroupArn         arn:aws:elasticloadbalancing:ap-southeast-2:333333333333:targetgroup/sync-scrat-Targets-[id]/[id]
        sync-api.Url                    http://internal-sync-scrat-Balance-[id]-[id].ap-southeast-2.elb.amazonaws.com
    "#]]);
    cloud.run("destroy scratch@me --yes").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        sync-api     11 resources
        elk          33 resources
          - ElasticSecret (arn:aws:secretsmanager:ap-southeast-2:333333333333:secret:sync-scratch-me-elk-ElasticSecret-[id])  AWS::SecretsManager::Secret  DELETED with all it holds
          - EncryptionSecret (arn:aws:secretsmanager:ap-southeast-2:333333333333:secret:sync-scratch-me-elk-EncryptionSecret-[id])  AWS::SecretsManager::Secret  DELETED with all it holds
          - KibanaSecret (arn:aws:secretsmanager:ap-southeast-2:333333333333:secret:sync-scratch-me-elk-KibanaSecret-[id])  AWS::SecretsManager::Secret  DELETED with all it holds
          - LogBucket (sync-scratch-me-elk-logbucket-[id])  AWS::S3::Bucket  DELETED with all it holds
          - LogstashSecret (arn:aws:secretsmanager:ap-southeast-2:333333333333:secret:sync-scratch-me-elk-LogstashSecret-[id])  AWS::SecretsManager::Secret  DELETED with all it holds
          - SnapshotBucket (sync-scratch-me-elk-snapshotbucket-[id])  AWS::S3::Bucket  DELETED with all it holds
        database     7 resources
          - Database (sync-scratch-me-database-database-[id])  AWS::RDS::DBInstance  DELETED with all it holds
          - Key ([id])  AWS::KMS::Key  DELETED with all it holds
        network      20 resources

        scratch@me is destroyed: 4 stacks
    "#]]);
    assert_eq!(cloud.state(), json!({}));
}

#[test]
fn a_failing_update_ends_once_with_its_cause() {
    let mut cloud = deployed();
    let before = without_operations(cloud.state());
    cloud.edit("environments/lab.yaml", "level: info", "level: debug");
    cloud.control("faults", LEVEL_FAILS);
    let first = cloud.run("deploy lab --yes");
    first.last_words().expect(expect![[r#"
        exit 1
        -- stderr
        error: the deployment of `lab` failed
          stack `api` ended in UPDATE_ROLLBACK_COMPLETE because of `Level`: the parameter is locked

        hint: `Level` is written in templates/api/stack.yaml:4:3
    "#]]);
    assert_eq!(cloud.calls("ExecuteChangeSet"), 3, "it was tried once");
    cloud.run("status lab").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        lab
          store  CREATE_COMPLETE           [age]
          api    UPDATE_ROLLBACK_COMPLETE  [age]  because of `Level`: the parameter is locked

          store.TopicArn  arn:aws:sns:eu-west-1:111111111111:demo-lab-store-Topic-[id]
          api.Level       info
    "#]]);
    let rolled_back = |state: serde_json::Value| {
        let text = state.to_string().replace("UPDATE_ROLLBACK_COMPLETE", "CREATE_COMPLETE");
        serde_json::from_str::<serde_json::Value>(&text.replace("UPDATE_COMPLETE", "CREATE_COMPLETE")).unwrap()
    };
    assert_eq!(rolled_back(without_operations(cloud.state())), before, "the rollback was followed to its end");
    let second = cloud.run("deploy lab --yes --retry");
    assert_eq!(second.last_words(), first.last_words());
    assert_eq!(cloud.calls("ExecuteChangeSet"), 4, "and once more");
    cloud.faults(&json!([]));
    cloud.ends("deploy lab --yes --retry", 0);
    cloud.run("outputs lab api.Level").expect(expect![[r#"
        exit 0
        -- stdout
        debug
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
    "#]]);
}

/// Whatever the network does, the environment comes to what its file says, and no operation is done twice.
#[track_caller]
fn weathers(seed: &'static str, faults: &serde_json::Value) {
    let mut calm = deployed();
    calm.edit("environments/lab.yaml", "level: info", "level: debug");
    calm.ends("deploy lab --yes", 0);
    let mut cloud = Cloud::with(pair(), &["--seed", seed, "--page-size", "2"]);
    cloud.faults(faults);
    cloud.ends("deploy lab --yes", 0);
    cloud.edit("environments/lab.yaml", "level: info", "level: debug");
    cloud.ends("deploy lab --yes", 0);
    cloud.come_to_rest();
    assert_eq!(cloud.state(), calm.state(), "seed {seed}");
    let fired = cloud.control("fired", "").as_array().unwrap().len();
    assert!(fired > 0, "nothing went wrong, so nothing was weathered");
    cloud.ends("destroy lab --yes", 0);
    assert_eq!(cloud.state(), json!({}));
}

#[test]
fn three_calls_in_ten_may_be_throttled() {
    weathers("3", &json!([{"percent": 30, "effect": "throttle"}]));
}

#[test]
fn answers_may_be_lost_after_taking_effect() {
    let lost = |operation: &str| json!({"operation": operation, "every": 2, "effect": "lost_response"});
    weathers(
        "4",
        &json!([lost("CreateChangeSet"), lost("ExecuteChangeSet"), lost("DeleteChangeSet"), lost("DeleteStack")]),
    );
    let first = |operation: &str| json!({"operation": operation, "nth": 1, "effect": "lost_response"});
    weathers(
        "5",
        &json!([first("CreateChangeSet"), first("ExecuteChangeSet"), first("DeleteChangeSet"), first("DeleteStack")]),
    );
}

#[test]
fn reads_may_be_stale() {
    weathers("6", &json!([{"percent": 40, "effect": {"stale_read": {"seconds": 10}}}]));
}

#[test]
fn all_of_it_may_happen_at_once() {
    weathers("7", &bad_weather());
}

#[test]
#[cfg(feature = "long-tests")]
fn all_of_it_may_happen_at_once_under_many_seeds() {
    for seed in ["10", "11", "12", "13", "14", "15", "16", "17", "18", "19"] {
        weathers(seed, &bad_weather());
        two_at_once(seed, &bad_weather());
    }
}

fn bad_weather() -> serde_json::Value {
    json!([
        {"percent": 30, "effect": "throttle"},
        {"service": "cloudformation", "percent": 15, "effect": "lost_response"},
        {"service": "cloudformation", "percent": 30, "effect": {"stale_read": {"seconds": 10}}},
    ])
}

#[test]
fn two_runs_at_once_do_nothing_twice() {
    two_at_once("8", &json!([]));
}

#[test]
fn two_runs_at_once_do_nothing_twice_in_bad_weather() {
    two_at_once("9", &bad_weather());
}

#[track_caller]
fn two_at_once(seed: &'static str, faults: &serde_json::Value) {
    let mut alone = deployed();
    let mut cloud = Cloud::with(pair(), &["--seed", seed, "--page-size", "2"]);
    cloud.faults(faults);
    for (line, change) in [("deploy lab --yes", false), ("deploy lab --yes", true), ("destroy lab --yes", false)] {
        if change {
            alone.edit("environments/lab.yaml", "level: info", "level: debug");
            cloud.edit("environments/lab.yaml", "level: info", "level: debug");
            alone.ends(line, 0);
        }
        for output in both(&mut cloud.command(line), &mut cloud.command(line)) {
            let ran = cloud.scenario.ended(output);
            assert_eq!(ran.code, Some(0), "{line}: {ran}");
        }
        if line.starts_with("deploy") {
            cloud.come_to_rest();
            assert_eq!(cloud.state(), alone.state(), "seed {seed}");
        }
    }
    assert_eq!(cloud.state(), json!({}));
}

// It told of a stack that had not begun as "still running".
#[test]
fn ctrl_c_says_what_still_runs_and_the_next_run_attaches() {
    // Time stands still, so that something is running when the signal comes.
    let mut cloud = Cloud::with(pair(), &["--pace", "manual"]);
    let mut child = cloud.command("deploy lab --yes").stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    while cloud.calls("CreateChangeSet") == 0 && child.try_wait().unwrap().is_none() {
        thread::sleep(Duration::from_millis(5));
    }
    // What the change set takes to be computed, and no more.
    cloud.control("advance", r#"{"seconds": 5}"#);
    assert!(lines.any(|line| line.contains("creating, ")), "it ended instead");
    let signalled = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(signalled.success());
    let stderr = lines.map(|line| line + "\n").collect();
    let ended = Ran { code: child.wait().unwrap().code(), stdout: String::new(), stderr };
    ended.last_words().expect(expect![[r#"
        exit 130
        -- stderr
        error: the deployment of `lab` was interrupted

        still running in the cloud:
          store: creating, 0 of 2 resources, Topic

        hint: run the command again to go on from here
    "#]]);
    let saved = cloud.saved();
    cloud.choose(&["--page-size", "2"]);
    cloud.restore(&saved);
    cloud.ends("deploy lab --yes", 0);
    assert_eq!(cloud.calls("ExecuteChangeSet"), 2, "what was running was not started again");
    assert_eq!(cloud.state(), deployed().state());
}

const PROTECTED: &str = r#"project: demo
account: "111111111111"
region: eu-west-1
protected: true
stacks:
  store:
    values: {topic: papers}
"#;

#[test]
fn a_protected_environment_wants_its_name() {
    let cloud = Cloud::of(Scenario::small().lab(PROTECTED));
    cloud.run("deploy lab --yes").expect(expect![[r#"
        exit 3
        -- stderr
        error: `lab` is protected: `--yes` is not enough

        hint: `--confirm lab`, or confirm on a terminal
    "#]]);
    cloud.run("deploy lab --confirm lap").expect(expect![[r#"
        exit 3
        -- stderr
        error: `--confirm lap` is not the name of this environment, `lab`
    "#]]);
    cloud.run("deploy lab").expect(expect![[r#"
        exit 3
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
        store                                                        new, 1 resource
          + Topic  AWS::SNS::Topic

        1 to add, 0 to modify, 0 to replace, 0 to remove
        error: this needs a confirmation, and there is no terminal to ask on

        hint: `--confirm lab` answers it
    "#]]);
    assert_eq!(cloud.state(), json!({}), "nothing was done");
    cloud.run("deploy lab --confirm lab").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        store  created

        store.TopicArn  arn:aws:sns:eu-west-1:111111111111:papers
    "#]]);
    let order: Vec<String> = cloud.operations();
    let place = |operation: &str| order.iter().position(|it| it == operation);
    assert!(place("UpdateTerminationProtection").is_some());
    assert!(place("UpdateTerminationProtection") < place("ExecuteChangeSet"), "{order:?}");
    let before = cloud.state();
    cloud.run("destroy lab --yes").expect(expect![[r#"
        exit 3
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
        error: the destruction of `lab` is refused
          `lab` is protected

        hint: if it is really meant to go, take `protected: true` out of its file first
    "#]]);
    assert_eq!(cloud.state(), before, "nothing was done");
}

#[test]
fn what_holds_data_is_replaced_only_on_purpose() {
    let mut cloud = Cloud::with(Scenario::shipped(), &[]);
    cloud.ends("deploy scratch@me --yes", 0);
    cloud.edit("environments/base.yaml", "database_name: sync", "database_name: sink");
    let before = cloud.state();
    cloud.run("plan scratch@me database").expect(expect![[r#"
        exit 0
        -- stdout
        database                                                     replace 1
          ± Database  AWS::RDS::DBInstance  replaced by an EMPTY database; the old one is DELETED with all it holds
              DBName  sync → sink  replaces it  environments/base.yaml:29:22

        0 to add, 0 to modify, 1 to replace, 0 to remove
        deploy will refuse: `database/Database` holds data and would be replaced by an EMPTY database; the old one is DELETED with all it holds
        hint: undo that change, or allow it: `--allow-replacement database/Database`
        -- stderr
        scratch@me · local cloud, nothing is real · ap-southeast-2
    "#]]);
    cloud.run("deploy scratch@me database --yes").expect(expect![[r#"
        exit 3
        -- stderr
        scratch@me · local cloud, nothing is real · ap-southeast-2
        error: the deployment of `scratch@me` is refused
          `database/Database` holds data and would be replaced by an EMPTY database; the old one is DELETED with all it holds

        hint: undo that change, or allow it: `--allow-replacement database/Database`
    "#]]);
    assert_eq!(cloud.calls("ExecuteChangeSet"), 4, "nothing was done");
    assert_eq!(cloud.state(), before, "what the refused run had prepared is cleared away");
    cloud.ends("deploy scratch@me database --yes --allow-replacement database/Database", 0);
}

#[test]
fn an_environment_that_check_refuses_gets_nowhere() {
    let cloud = Cloud::of(Scenario::small().edit("environments/lab.yaml", "topic:", "tropic:"));
    cloud.run("deploy lab --yes").expect(expect![[r#"
        exit 2
        -- stderr
        error: `store` lacks the input `topic`
         --> environments/lab.yaml:5:3
          |
        5 |   store:
          |   ^^^^^
          |
         ::: templates/store/inputs.yaml:4:3
          |
        4 |   topic: {type: string, description: What the topic is called}
          |   ----- What the topic is called
          |
          = hint: say `topic:` under `stacks.store.values`

        error: the template `store` has no input `tropic`
         --> environments/lab.yaml:6:14
          |
        6 |     values: {tropic: papers}
          |              ^^^^^^
          |
          = hint: did you mean `topic`?

        2 mistakes
    "#]]);
    assert_eq!(cloud.operations(), Vec::<String>::new());
}

#[test]
fn a_stack_of_somebody_else_is_left_alone() {
    let cloud = deployed();
    let before = cloud.state();
    let other = r#"project: other
account: "111111111111"
region: eu-west-1
stacks:
  store:
    stack_name: demo-lab-store
    values: {topic: papers}
"#;
    fs::remove_file(cloud.scenario.root().join("environments/lab.yaml")).unwrap();
    fs::write(cloud.scenario.root().join("environments/other.yaml"), other).unwrap();
    cloud.run("deploy other --yes").expect(expect![[r#"
        exit 3
        -- stderr
        other · local cloud, nothing is real · eu-west-1
        error: the deployment of `other` is refused
          stack `demo-lab-store` exists and belongs to demo/lab/store

        hint: give `store` another `stack_name`, or take it from its owner with `--take-over store`
    "#]]);
    cloud.run("destroy other --yes").expect(expect![[r#"
        exit 3
        -- stderr
        other · local cloud, nothing is real · eu-west-1
        error: the destruction of `other` is refused
          stack `demo-lab-store` exists and does not bear the marks of this environment

        hint: deploy it with `--take-over store` first, or take `store` out of the file
    "#]]);
    assert_eq!(cloud.state(), before);
}

#[test]
fn a_template_that_is_too_large_needs_a_bucket() {
    let outputs: String = (0..150).map(|n| format!("  O{n}: {{Value: {}}}\n", "x".repeat(400))).collect();
    let text = crate::support::STORE.to_owned() + &outputs;
    let cloud = Cloud::of(Scenario::small().store(&text));
    cloud.run("deploy lab --yes").expect(expect![[r#"
        exit 2
        -- stderr
        error: the template of `store` has 63053 bytes, more than the 51200 that a call can carry
         --> environments/lab.yaml:5:3
          |
        5 |   store:
          |   ^^^^^
          |
          = hint: name a bucket for it: `deploy.template_bucket`
    "#]]);
    assert_eq!(cloud.state(), json!({}));
}

#[test]
fn state_that_cannot_be_read_is_left_alone() {
    let mut cloud = deployed();
    let saved = String::from_utf8(cloud.saved()).unwrap();
    let path = cloud.scenario.root().join(".greenroom/state.json");
    for (damaged, expected) in [
        (
            saved.replacen("\"version\":1", "\"version\":2", 1),
            expect![[r#"
            exit 1
            -- stderr
            error: the local cloud cannot be started
              because the local cloud cannot be served
              because the state file `[project]/.greenroom/state.json` is of version 2, newer than version 1 which this program knows

            hint: use the greenroom that wrote it, or move it away: then the local cloud begins empty, and nothing real is lost
        "#]],
        ),
        (
            saved[..saved.len() / 2].to_owned(),
            expect![[r#"
                exit 1
                -- stderr
                error: the local cloud cannot be started
                  because the local cloud cannot be served
                  because the state file `[project]/.greenroom/state.json` is damaged:

                hint: move it away: then the local cloud begins empty, and nothing real is lost
            "#]],
        ),
    ] {
        fs::write(&path, &damaged).unwrap();
        let mut ran = cloud.run("deploy lab --yes");
        // Where the half ends depends on how often it was looked.
        ran.stderr =
            ran.stderr.lines().map(|line| line.split(" EOF").next().unwrap_or(line).to_owned() + "\n").collect();
        ran.expect(expected);
        assert_eq!(fs::read_to_string(&path).unwrap(), damaged);
    }
}

/// An environment of a real account, and the command without `--local`: what it would call is on this machine all the same.
pub(crate) fn abroad(cloud: &Cloud, line: &str, endpoint: &str, access_key: Option<&str>) -> Ran {
    let mut command = cloud.scenario.command(line.split(' '));
    let variables: Vec<String> = std::env::vars().map(|(name, _)| name).collect();
    for name in variables.iter().filter(|name| name.starts_with("AWS_") || name.to_lowercase().ends_with("_proxy")) {
        command.env_remove(name);
    }
    command.env_remove("GREENROOM_LOCAL");
    // No files of a user, and no machine in a cloud to ask.
    command.env("HOME", cloud.scenario.root()).env("AWS_EC2_METADATA_DISABLED", "true");
    command.env("AWS_ENDPOINT_URL", endpoint);
    if let Some(key) = access_key {
        command.env("AWS_ACCESS_KEY_ID", key).env("AWS_SECRET_ACCESS_KEY", "secret");
    }
    redacted(cloud.scenario.ended(command.stdin(Stdio::null()).output().unwrap()))
}

#[test]
fn a_placeholder_is_no_account() {
    let cloud = Cloud::of(Scenario::small());
    abroad(&cloud, "deploy lab --yes", &cloud.url(), Some("111111111111")).expect(expect![[r#"
        exit 3
        -- stderr
        lab · 111111111111 · eu-west-1
        error: 111111111111 is a placeholder, not an account of yours

        hint: put your account's id into the environment file, or rehearse with `--local`
    "#]]);
    assert_eq!(cloud.operations(), Vec::<String>::new());
}

fn real() -> Cloud {
    Cloud::of(Scenario::small().edit("environments/lab.yaml", "111111111111", "210987654321"))
}

/// The account's authority throttled five times in a row, and a nightly run was over before it began.
#[test]
fn the_question_whose_account_it_is_is_asked_until_it_is_answered() {
    let cloud = Cloud::of(Scenario::small());
    cloud.faults(&json!([{"operation": "GetCallerIdentity", "times": 7, "effect": "throttle"}]));
    let ran = cloud.ends("deploy lab --yes", 0);
    assert!(
        ran.stderr.contains("out of reach for the moment: AWS takes no more calls for the moment (Throttling)"),
        "{ran}"
    );
    let asked = cloud.operations().iter().filter(|operation| *operation == "GetCallerIdentity").count();
    assert_eq!(asked, 8);
}

/// Who asks for something to be done has not got it; who asks how things are knows nothing.
#[test]
fn no_answer_has_its_exit_code() {
    let denied = json!({"error": {"code": "AccessDenied", "message": "you may not", "status": 403}});
    let nobody = "http://127.0.0.1:9";
    for (line, code) in
        [("plan lab", 1), ("deploy lab --yes", 1), ("destroy lab --yes", 1), ("status lab", 6), ("outputs lab", 6)]
    {
        let cloud = real();
        let ended = |url: &str, key: Option<&str>| abroad(&cloud, line, url, key);
        let mut runs = vec![ended(&cloud.url(), None)];
        // The SDK takes its time before it gives up, so one of each kind must do.
        if ["deploy lab --yes", "status lab"].contains(&line) {
            runs.push(ended(nobody, Some("210987654321")));
        }
        for (operation, effect) in [
            ("GetCallerIdentity", json!("expired_credentials")),
            ("GetCallerIdentity", denied.clone()),
            ("DescribeStacks", json!("expired_credentials")),
            ("DescribeStacks", denied.clone()),
        ] {
            cloud.faults(&json!([{"operation": operation, "effect": effect}]));
            runs.push(ended(&cloud.url(), Some("210987654321")));
        }
        for ran in runs {
            assert_eq!(ran.code, Some(code), "{line}: {ran}");
            assert!(ran.stderr.contains("error: "), "{line}: {ran}");
        }
        assert_eq!(cloud.state(), json!({}), "{line}");
    }
}

#[test]
fn what_is_not_confirmed_leaves_nothing_behind() {
    let mut cloud = deployed();
    cloud.edit("environments/lab.yaml", "level: info", "level: debug");
    let before = cloud.state();
    cloud.ends("deploy lab", 3);
    assert!(cloud.calls("CreateChangeSet") > 2, "it was shown before it was asked for");
    assert_eq!(cloud.state(), before);
}

#[test]
fn a_change_set_that_cannot_be_made_takes_the_others_with_it() {
    let cloud = Cloud::of(Scenario::small().edit(
        "environments/lab.yaml",
        "stacks:\n",
        "stacks:\n  second: {template: store, values: {topic: pens}}\n",
    ));
    let denied = json!({"error": {"code": "AccessDenied", "message": "you may not", "status": 403}});
    cloud.faults(&json!([{"operation": "CreateChangeSet", "nth": 2, "effect": denied}]));
    cloud.ends("deploy lab --yes", 1);
    assert_eq!(cloud.calls("CreateChangeSet"), 1);
    assert_eq!(cloud.state(), json!({}));
}

#[test]
fn the_wrong_account_is_refused() {
    let cloud = real();
    for line in ["plan lab", "deploy lab --yes", "status lab", "destroy lab --yes"] {
        let ran = abroad(&cloud, line, &cloud.url(), Some("210987654322"));
        assert_eq!(ran.code, Some(3), "{line}: {ran}");
    }
    abroad(&cloud, "deploy lab --yes", &cloud.url(), Some("210987654322")).expect(expect![[r#"
        exit 3
        -- stderr
        lab · 210987654321 · eu-west-1
        error: these credentials are for 210987654322, but the environment is in 210987654321

        hint: use a profile of 210987654321: `--profile NAME`
    "#]]);
    assert_eq!(cloud.operations(), ["GetCallerIdentity"; 5]);
}

#[test]
fn without_credentials_nothing_is_called() {
    let cloud = real();
    abroad(&cloud, "deploy lab --yes", &cloud.url(), None).expect(expect![[r#"
        exit 1
        -- stderr
        lab · 210987654321 · eu-west-1
        error: it could not be made sure that these credentials are for 210987654321
          because no credentials: the credential provider was not enabled: no credentials found in chain

        hint: `--profile NAME`, or `--local` to rehearse without an account
    "#]]);
    assert_eq!(cloud.operations(), Vec::<String>::new());
}

#[test]
fn expired_credentials_are_told() {
    let cloud = real();
    cloud.faults(&json!([{"effect": "expired_credentials"}]));
    abroad(&cloud, "deploy lab --yes", &cloud.url(), Some("210987654321")).expect(expect![[r#"
        exit 1
        -- stderr
        lab · 210987654321 · eu-west-1
        error: it could not be made sure that these credentials are for 210987654321
          because the credentials have expired

        hint: `aws sso login`, or get new credentials, then run the command again
    "#]]);
    assert_eq!(cloud.state(), json!({}));
    // In the middle of a run, too.
    cloud.faults(&json!([{"operation": "ExecuteChangeSet", "effect": "expired_credentials"}]));
    abroad(&cloud, "deploy lab --yes", &cloud.url(), Some("210987654321")).expect(expect![[r#"
        exit 1
        -- stderr
        lab · 210987654321 · eu-west-1
        ! store        could not execute change set `r-dd60d53f550f5d9b` of stack `store`: the credentials have expired
        error: the deployment of `lab` failed
          could not execute change set `r-dd60d53f550f5d9b` of stack `store`: the credentials have expired

        hint: `aws sso login`, or get new credentials, then run the command again
    "#]]);
    cloud.faults(&json!([]));
    let ran = abroad(&cloud, "deploy lab --yes", &cloud.url(), Some("210987654321"));
    assert_eq!(ran.code, Some(0), "{ran}");
}

#[test]
fn an_endpoint_where_nobody_is_is_told() {
    let cloud = real();
    // Port 9 is `discard`, and nobody serves it.
    abroad(&cloud, "deploy lab --yes", "http://127.0.0.1:9", Some("210987654321")).expect(expect![[r#"
        exit 1
        -- stderr
        lab · 210987654321 · eu-west-1
        error: it could not be made sure that these credentials are for 210987654321
          because AWS could not be reached: dispatch failure: io error: client error (Connect): tcp connect error: Connection refused (os error 111)

        hint: is there a network, and does the endpoint answer?
    "#]]);
}

// Stack policies.

const KEEPS_LEVEL: &str = r#"deploy:
  stack_policy:
    Statement:
      - {Effect: Allow, Action: "Update:*", Principal: "*", Resource: "*"}
      - {Effect: Deny, Action: "Update:*", Principal: "*", Resource: LogicalResourceId/Level}
"#;

#[test]
fn a_stack_policy_is_put_in_force_and_kept_to() {
    let mut cloud = Cloud::of(pair());
    cloud.edit("environments/lab.yaml", "stacks:\n", &format!("{KEEPS_LEVEL}stacks:\n"));
    cloud.ends("deploy lab --yes", 0);
    assert_eq!(cloud.calls("SetStackPolicy"), 2, "each stack has it once it is there");
    cloud.run("deploy lab --yes").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        lab is as its file says; nothing to do
    "#]]);
    assert_eq!(cloud.calls("SetStackPolicy"), 2, "and is not given it again");
    cloud.edit("environments/lab.yaml", "level: info", "level: debug");
    cloud.run("plan lab").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        store                                                        no changes
        api                                                          modify 1
          ~ Level  AWS::SSM::Parameter
              statement 2 of the stack policy denies Update:Modify
              Value  info → debug    environments/lab.yaml:15:14

        0 to add, 1 to modify, 0 to replace, 0 to remove
        deploy will refuse: `api/Level` may not be changed: statement 2 of the stack policy denies Update:Modify
        hint: allow it in `deploy.stack_policy` of the environment file for this one deploy
    "#]]);
    cloud.run("deploy lab --yes").expect(expect![[r#"
        exit 3
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
        error: the deployment of `lab` is refused
          `api/Level` may not be changed: statement 2 of the stack policy denies Update:Modify

        hint: allow it in `deploy.stack_policy` of the environment file for this one deploy
    "#]]);
    assert_eq!(cloud.calls("ExecuteChangeSet"), 2, "nothing was tried");
    cloud.edit("environments/lab.yaml", "LogicalResourceId/Level", "LogicalResourceId/Target");
    cloud.run("plan lab").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        store                                                        changes outside of resources
          ~ the stack policy of the file is put in force
        api                                                          modify 1
          ~ Level  AWS::SSM::Parameter
              Value  info → debug    environments/lab.yaml:15:14
          ~ the stack policy of the file is put in force

        0 to add, 1 to modify, 0 to replace, 0 to remove
    "#]]);
    cloud.ends("deploy lab --yes", 0);
    cloud.ends("plan lab --exit-code", 0);
}

#[test]
fn a_policy_that_somebody_else_set_is_kept_to() {
    let mut cloud = deployed();
    let policy =
        r#"{"Statement": [{"Effect": "Allow", "Action": "Update:Delete", "Principal": "*", "Resource": "*"}]}"#;
    cloud.by_hand("SetStackPolicy", &[("StackName", "demo-lab-api"), ("StackPolicyBody", policy)]);
    cloud.ends("deploy lab --yes", 0);
    cloud.edit("environments/lab.yaml", "level: info", "level: debug");
    cloud.run("deploy lab --yes").expect(expect![[r#"
        exit 3
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
        error: the deployment of `lab` is refused
          `api/Level` may not be changed: no statement of the stack policy allows Update:Modify

        hint: the policy of `api` is not from the file: put one that allows it under `deploy.stack_policy`
    "#]]);
}

// The local cloud judges policies by code of its own: what it lets happen is what we say it will.
#[test]
fn what_is_said_of_a_policy_is_what_happens() {
    let deny = |rest: &str| {
        format!(
            r#"{{"Statement": [{{"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"}}, {{"Effect": "Deny", "Principal": "*", {rest}}}]}}"#
        )
    };
    let policies = [
        ("{}".to_owned(), true),
        (r#"{"Statement": []}"#.to_owned(), false),
        (deny(r#""Action": "Update:Delete", "Resource": "*""#), true),
        (deny(r#""Action": "Update:Modify", "Resource": "LogicalResourceId/L*l""#), false),
        (deny(r#""Action": "Update:Modify", "Resource": ["LogicalResourceId/Target", "LogicalResourceId/Lev"]"#), true),
        (deny(r#""NotAction": ["Update:Delete", "Update:Replace"], "Resource": "*""#), false),
        (deny(r#""Action": "Update:*", "NotResource": "LogicalResourceId/Level""#), true),
        (deny(r#""Action": "*", "Condition": {"StringLike": {"ResourceType": "AWS::SSM::*"}}"#), false),
        (deny(r#""Action": "*", "Condition": {"StringEquals": {"ResourceType": ["AWS::SNS::Topic"]}}"#), true),
    ];
    for (policy, is_allowed) in policies {
        let mut cloud = deployed();
        cloud.by_hand("SetStackPolicy", &[("StackName", "demo-lab-api"), ("StackPolicyBody", &policy)]);
        cloud.edit("environments/lab.yaml", "level: info", "level: debug");
        let said = cloud.ends("plan lab --format json", 0).stdout_only();
        let said = !said.stdout().contains("denied_by_policy");
        let rendered = cloud.scenario.run(["render", "lab", "api"]);
        let parameters = [
            ("StackName", "demo-lab-api"),
            ("TemplateBody", rendered.stdout()),
            ("Parameters.member.1.ParameterKey", "TopicArn"),
            ("Parameters.member.1.UsePreviousValue", "true"),
        ];
        cloud.by_hand("UpdateStack", &parameters);
        cloud.come_to_rest();
        let stacks = cloud.by_hand("DescribeStacks", &[("StackName", "demo-lab-api")]);
        let happened = stacks.contains("<StackStatus>UPDATE_COMPLETE<");
        assert_eq!([said, happened], [is_allowed; 2], "{policy}");
    }
}

fn evidence(cloud: &Cloud) -> serde_json::Value {
    serde_json::from_str(&cloud.scenario.read("evidence.json")).unwrap()
}

/// Outcome, and of each stack its status before and after, and what became of its resources.
fn told(evidence: &serde_json::Value) -> String {
    let stacks = evidence["stacks"].as_array().unwrap().iter().map(|stack| {
        let resources = stack["resources"].as_array().unwrap().iter();
        let fates: Vec<String> =
            resources.map(|it| format!("{} {}", it["resource"], it["fate"]).replace('"', "")).collect();
        format!("{}: {} → {}: {}\n", stack["stack"], stack["status_before"], stack["status"], fates.join(", "))
    });
    let left = evidence["left"].as_array().unwrap().iter().map(|left| format!("left: {left}\n"));
    format!("{}\n", evidence["outcome"]) + &stacks.chain(left).collect::<String>().replace('"', "")
}

#[test]
fn evidence_tells_what_existed_and_what_became_of_it() {
    let keeps = "Queue:\n    Type: AWS::SQS::Queue\n    DeletionPolicy: Retain\n    UpdateReplacePolicy: Retain";
    let scenario = pair().edit("templates/store/stack.yaml", "Queue:\n    Type: AWS::SQS::Queue", keeps);
    let cloud = Cloud::of(scenario);
    cloud.ends("deploy lab --yes", 0);
    let ran = cloud.ends("destroy lab --yes --report evidence.json", 0);
    assert!(ran.stderr.ends_with("the evidence is in evidence.json\n"), "{ran}");
    let evidence = evidence(&cloud);
    let text = crate::support::cloud::redacted(Ran { code: None, stdout: told(&evidence), stderr: String::new() });
    expect![[r#"
        "destroyed"
        api: CREATE_COMPLETE → DELETE_COMPLETE: Level deleted, Target deleted
        store: CREATE_COMPLETE → DELETE_COMPLETE: Queue retained, Topic deleted
        left: {left:resource,resource:store/Queue,kind:AWS::SQS::Queue,physical_id:https://sqs.eu-west-1.amazonaws.com/111111111111/demo-lab-store-Queue-[id]}
    "#]]
    .assert_eq(&text.stdout);
    assert_eq!(evidence["callers"], json!(["arn:aws:iam::111111111111:user/local"]));
    assert!(evidence["began"].as_str() < evidence["ended"].as_str(), "by the cloud's clock");
}

#[test]
fn evidence_of_a_run_that_fails_says_what_is_left_and_that_of_the_next_is_whole() {
    let cloud = deployed();
    cloud.faults(&json!([{"logical_id": "Topic", "times": 1, "effect": {"fail_resource": {"during": "delete", "reason": "it is locked"}}}]));
    cloud.ends("destroy lab --yes --report evidence.json", 1);
    let failed = evidence(&cloud);
    expect![[r#"
        "incomplete"
        api: CREATE_COMPLETE → DELETE_COMPLETE: Level deleted, Target deleted
        store: CREATE_COMPLETE → DELETE_FAILED: Queue deleted, Topic not_deleted
        left: {left:stack,id:[id],status:DELETE_FAILED}
        left: {left:resource,resource:store/Topic,kind:AWS::SNS::Topic,physical_id:[id]}
    "#]]
    .assert_eq(&without_arns(&told(&failed)));
    assert!(failed["because"].as_str().unwrap().contains("it is locked"), "{failed}");
    cloud.faults(&json!([]));
    cloud.ends("destroy lab --yes --report evidence.json", 0);
    let whole = evidence(&cloud);
    expect![[r#"
        "destroyed"
        api: DELETE_COMPLETE → DELETE_COMPLETE: Level deleted, Target deleted
        store: DELETE_FAILED → DELETE_COMPLETE: Queue deleted, Topic deleted
    "#]]
    .assert_eq(&without_arns(&told(&whole)));
    assert_eq!(whole["not_known"][0], "who deleted `api`: it was gone when this run began; CloudTrail knows");
}

fn without_arns(text: &str) -> String {
    regex::Regex::new(r"arn:aws:[^,}]*").unwrap().replace_all(text, "[id]").into_owned()
}

/// The file is there before the first step: a run that is killed has said what existed, and that it does not know the end.
#[test]
fn evidence_of_a_run_that_is_killed_claims_nothing() {
    let mut cloud = deployed();
    // Time stands still, so that the run does not come to its end.
    let saved = cloud.saved();
    cloud.choose(&["--pace", "manual"]);
    cloud.restore(&saved);
    let mut command = cloud.command("destroy lab --yes --report evidence.json");
    let mut run = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while cloud.calls("DeleteStack") == 0 && run.try_wait().unwrap().is_none() {
        thread::sleep(Duration::from_millis(5));
    }
    run.kill().unwrap();
    run.wait().unwrap();
    let begun = evidence(&cloud);
    assert_eq!(begun["outcome"], "begun");
    let saved = cloud.saved();
    cloud.choose(&["--page-size", "2"]);
    cloud.restore(&saved);
    cloud.ends("destroy lab --yes --report evidence.json", 0);
    assert_eq!(evidence(&cloud)["outcome"], "destroyed");
}

#[test]
fn evidence_that_cannot_be_written_is_refused_before_anything_is_deleted() {
    let cloud = deployed();
    let before = cloud.state();
    cloud.run("destroy lab --yes --report environments").expect(expect![[r#"
        exit 3
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
        error: cannot write `environments`
          because is a directory

        hint: nothing was deleted; name a file that can be written
    "#]]);
    assert_eq!(cloud.state(), before);
}

#[test]
fn a_watch_tells_each_change_in_a_line_and_ends_at_rest() {
    let mut cloud = Cloud::with(pair(), &["--pace", "manual"]);
    let mut deploy = cloud.command("deploy lab --yes").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while cloud.calls("CreateChangeSet") == 0 && deploy.try_wait().unwrap().is_none() {
        thread::sleep(Duration::from_millis(5));
    }
    let mut watch = cloud.command("status lab --watch --format json").stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines().map_while(Result::ok);
    let status = |line: String| {
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        format!("{} {}", line["changed"]["stack"], line["changed"]["status"]).replace('"', "")
    };
    assert_eq!([(); 2].map(|()| status(lines.next().unwrap())), ["store REVIEW_IN_PROGRESS", "api null"]);
    cloud.control("advance", r#"{"seconds": 5}"#);
    assert_eq!(status(lines.next().unwrap()), "store CREATE_IN_PROGRESS");
    let signalled = Command::new("kill").args(["-INT", &watch.id().to_string()]).status().unwrap();
    assert!(signalled.success());
    assert_eq!(watch.wait().unwrap().code(), Some(130));
    deploy.kill().unwrap();
    deploy.wait().unwrap();
    let saved = cloud.saved();
    cloud.choose(&["--page-size", "2"]);
    cloud.restore(&saved);
    let rest = cloud.ends("status lab --until-rest", 0);
    let last = rest.stdout.lines().map(|line| line.split("  ").skip(1).collect::<Vec<_>>().join("  ")).next_back();
    assert_eq!(last.as_deref(), Some("lab  store        CREATE_COMPLETE"), "{rest}");
}

/// The store is in the environment's own Region, the api in another account, Region and role.
const SPREAD: &str = r#"project: demo
account: "111111111111"
region: eu-west-1
deploy: {role: deployer}
stacks:
  store:
    values: {topic: papers}
  api:
    account: "222222222222"
    region: us-east-1
    role: hub
    values:
      topic_arn: {output: store.TopicArn}
      level: info
"#;

#[test]
fn an_environment_may_be_spread_over_accounts_and_regions() {
    let mut cloud = Cloud::of(pair().lab(SPREAD));
    cloud.run("deploy lab --yes").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        store  created
        api    created

        store.TopicArn  arn:aws:sns:eu-west-1:111111111111:demo-lab-store-Topic-[id]
        api.Level       info
    "#]]);
    let state = cloud.control("state", "").to_string();
    assert!(state.contains("arn:aws:cloudformation:us-east-1:222222222222:stack/demo-lab-api/"));
    cloud.run("status lab").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        lab
          store  CREATE_COMPLETE  [age]
          api    CREATE_COMPLETE  [age]

          store.TopicArn  arn:aws:sns:eu-west-1:111111111111:demo-lab-store-Topic-[id]
          api.Level       info
    "#]]);
    cloud.run("deploy lab --yes").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        lab is as its file says; nothing to do
    "#]]);
    cloud.edit("environments/lab.yaml", "level: info", "level: debug");
    cloud.run("plan lab").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        store                                                        no changes
        api                                                          modify 1
          ~ Level  AWS::SSM::Parameter
              Value  info → debug    environments/lab.yaml:14:14

        0 to add, 1 to modify, 0 to replace, 0 to remove
    "#]]);
    cloud.ends("deploy lab --yes", 0);
    cloud.run("destroy lab --yes").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        api          2 resources
        store        2 resources

        lab is destroyed: 2 stacks
    "#]]);
    assert_eq!(cloud.state(), json!({}));
}

/// A missing export does not keep a change set from being made: without the warning only the failing deploy would tell.
#[test]
fn what_cloudformation_warns_of_is_passed_on() {
    let mut cloud = deployed();
    cloud.edit(
        "templates/api/stack.yaml",
        "Value: {{ level }}",
        "Value: !ImportValue nowhere\n      Description: {{ level }}",
    );
    cloud.run("plan lab").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        store                                                        no changes
        api                                                          modify 1
          ~ Level  AWS::SSM::Parameter
              Description  nothing → info                          environments/lab.yaml:10:14
              Value        info → {"Fn::ImportValue":"nowhere"}
          ! CloudFormation warns: --include-property-values option can return incomplete ChangeSet data because: ChangeSet prediction failed for certain resources with reason: No export named nowhere found.

        0 to add, 1 to modify, 0 to replace, 0 to remove
    "#]]);
}
