//! `clone`: from a snapshot in one account to a twin in another, and its end.

use std::process::Stdio;

use expect_test::expect;
use serde_json::{Value, json};

use crate::support::Scenario;
use crate::support::cloud::Cloud;
use crate::support::proxy::Fate;

const LIVE: &str = r#"project: demo
account: "222222222222"
region: eu-west-1
protected: true
owner: platform@example.com
stacks:
  database:
    values: {reader: "444444444444"}
  store:
    values: {endpoint: {output: database.Endpoint}}
clone_policy: {targets: [twin], max_lifetime: 48h}
"#;

const TWIN: &str = r#"inherits: live
account: "444444444444"
lifetime: 24h
clone: {from: live, snapshot: {newest_within: 24h}}
stacks:
  database:
    values: {restored: true, snapshot: {previous: true}, reader: null}
"#;

const DATABASE_INPUTS: &str = r"type: object
properties:
  restored: {type: boolean, default: false, description: Whether it is made from a snapshot}
  quarantined: {type: boolean, default: false, description: Whether nobody comes in}
  class: {type: string, default: db.r7g.large, description: The class}
  reader: {type: string, default: nobody, description: The account that may read the snapshots}
  snapshot: {type: string, x-parameter: Snapshot, description: The snapshot it is made from}
";

const DATABASE: &str = r#"Parameters:
  {% if restored %}
  Snapshot: {Type: String}
  {% else %}
  Nothing: {Type: String, Default: nothing}
  {% endif %}
Resources:
  Key:
    Type: AWS::KMS::Key
    DeletionPolicy: Delete
    UpdateReplacePolicy: Delete
    Properties:
      KeyPolicy: {Statement: [{Effect: Allow, Principal: {AWS: "arn:aws:iam::{{ reader }}:root"}, Action: "kms:*", Resource: "*"}]}
  Database:
    Type: AWS::RDS::DBInstance
    DeletionPolicy: {% if restored %}Delete{% else %}Snapshot{% endif %}
    UpdateReplacePolicy: {% if restored %}Delete{% else %}Snapshot{% endif %}
    Properties:
      Engine: postgres
      EngineVersion: "16.9"
      DBInstanceClass: {{ class }}
      AllocatedStorage: "100"
      MaxAllocatedStorage: 200
      StorageType: gp2
      MultiAZ: true
      BackupRetentionPeriod: 7
      ManageMasterUserPassword: true
      {% if restored %}
      DBSnapshotIdentifier: !Ref Snapshot
      {% else %}
      MasterUsername: demo
      StorageEncrypted: true
      KmsKeyId: !GetAtt Key.Arn
      {% endif %}
  Door:
    Type: AWS::SNS::Topic
    Properties:
      DisplayName: {% if quarantined %}closed{% else %}open{% endif %}
Outputs:
  Endpoint:
    Value: !GetAtt Database.Endpoint.Address
"#;

const STORE_INPUTS: &str = r"type: object
properties:
  endpoint: {type: string, x-parameter: Endpoint, description: Where the database is}
";

const STORE: &str = r"Parameters:
  Endpoint: {Type: String}
Resources:
  Topic:
    Type: AWS::SNS::Topic
    Properties:
      DisplayName: !Ref Endpoint
";

pub(crate) fn twins() -> Scenario {
    Scenario::empty()
        .file("environments/live.yaml", LIVE)
        .file("environments/twin.yaml", TWIN)
        .file("templates/database/inputs.yaml", DATABASE_INPUTS)
        .file("templates/database/stack.yaml", DATABASE)
        .file("templates/store/inputs.yaml", STORE_INPUTS)
        .file("templates/store/stack.yaml", STORE)
}

/// A cloud in which the source runs.
fn with_source() -> Cloud {
    let cloud = Cloud::of(twins()).watched();
    cloud.ends("deploy live --confirm live", 0);
    cloud
}

/// What an account holds.
fn account<'a>(state: &'a Value, id: &str) -> Vec<(&'a String, &'a Value)> {
    state.as_object().unwrap().iter().filter(|(place, _)| place.contains(id)).collect()
}

const CLONE: &str = "clone live twin --yes";

#[test]
fn a_clone_is_made_once_and_goes_without_a_trace() {
    let cloud = with_source();
    let before = cloud.state();
    cloud.ends(CLONE, 0);
    let copies = cloud.calls("CopyDBSnapshot");
    let again = cloud.ends(CLONE, 0);
    assert!(again.stdout.starts_with("twin is already a clone of live\n"), "{again}");
    assert_eq!(cloud.calls("CopyDBSnapshot"), copies);
    cloud.ends("plan twin --exit-code", 0);
    cloud.ends("plan live --exit-code", 0);
    cloud.ends("destroy twin --yes", 0);
    cloud.ends("plan live --exit-code", 0);
    assert_eq!(cloud.state(), before);
}

#[test]
fn a_rehearsal_changes_nothing() {
    let cloud = with_source();
    let before = cloud.state();
    let ran = cloud.ends("clone live twin --dry-run", 0);
    assert!(ran.stdout.starts_with("twin becomes a clone of live in 5 steps\n"), "{ran}");
    assert_eq!(cloud.state(), before);
}

#[test]
fn its_evidence_says_what_was_made_of_what() {
    let cloud = with_source();
    cloud.ends("clone live twin --yes --report evidence.json", 0);
    let evidence: Value = serde_json::from_str(&cloud.scenario.read("evidence.json")).unwrap();
    assert!(evidence["source_snapshot"].as_str().unwrap().contains(":222222222222:snapshot:rds:"), "{evidence}");
    assert!(evidence["data_as_of"].is_string(), "{evidence}");
}

#[test]
fn a_fresh_snapshot_is_taken_once_and_goes_with_the_clone() {
    let cloud = with_source();
    let before = cloud.state();
    cloud.ends("clone live twin --yes --snapshot fresh", 0);
    assert_eq!(cloud.calls("CreateDBSnapshot"), 1);
    cloud.ends("destroy twin --yes", 0);
    assert_eq!(cloud.state(), before);
}

#[test]
fn without_a_clone_a_deployment_says_how_to_make_one() {
    let cloud = with_source();
    let ran = cloud.ends("deploy twin --yes", 3);
    expect![[r#"
        twin · local cloud, nothing is real · eu-west-1
        error: the deployment of `twin` is refused
          parameter `Snapshot` of `database` is to be {previous: true}, but the stack has none yet

        hint: `greenroom clone SOURCE twin` makes it from a snapshot first
    "#]]
    .assert_eq(&ran.stderr);
}

#[test]
fn swapped_environments_are_told_so() {
    let cloud = with_source();
    let ran = cloud.ends("clone twin live --yes", 3);
    expect![[r#"
        error: the clone of `twin` as `live` is refused
          `live` is not made from `twin`: it is the other way round

        hint: they are the wrong way round: `greenroom clone live twin`
    "#]]
    .assert_eq(&ran.stderr);
}

#[test]
fn all_that_is_against_it_is_said_at_once() {
    let mut cloud = with_source();
    cloud.edit("environments/twin.yaml", "lifetime: 24h", "lifetime: 72h");
    cloud.edit("environments/twin.yaml", "restored: true", "restored: true, class: db.t4g.large");
    cloud.edit("environments/live.yaml", "{reader: \"444444444444\"}", "{reader: \"111111111111\"}");
    let before = cloud.state();
    let ran = cloud.ends("clone live twin --yes --snapshot nope", 3);
    expect![[r#"
        twin · local cloud, nothing is real · eu-west-1
        error: the clone of `live` as `twin` is refused
          `twin` lives for 72 h; `live` allows 48 h
          `twin` would not be a twin: DBInstanceClass would be db.t4g.large, the source has db.r7g.large
          the key of `live`'s database does not let account 444444444444 in
          `live` has no snapshot `nope`

        hint: shorten `lifetime` in environments/twin.yaml
        hint: take the line out of environments/twin.yaml, or declare it there under `differences`
        hint: in environments/live.yaml, stack of the database: `clone_account_ids: ["444444444444"]`, and deploy it
        hint: `--snapshot fresh` takes one now; `--max-age` says how old it may be
    "#]]
    .assert_eq(&ran.stderr);
    assert_eq!(cloud.state(), before);
}

#[test]
fn a_source_that_was_changed_by_hand_is_not_cloned() {
    let mut cloud = with_source();
    cloud.edit("templates/database/stack.yaml", "AllocatedStorage: \"100\"", "AllocatedStorage: \"150\"");
    let ran = cloud.ends(CLONE, 3);
    expect![[r#"
        twin · local cloud, nothing is real · eu-west-1
        error: the clone of `live` as `twin` is refused
          `live` is not what its file says: AllocatedStorage is 100, the file says 150

        hint: bring file and cloud together first: `greenroom plan live`
    "#]]
    .assert_eq(&ran.stderr);
}

#[test]
fn a_restore_that_fails_leaves_the_source_alone() {
    let cloud = with_source();
    let source = cloud.state();
    let fails = json!({"fail_resource": {"during": "create", "reason": "DB instance is in insufficient-capacity"}});
    cloud.faults(&json!([{"logical_id": "Database", "effect": fails}]));
    let ran = cloud.ends(CLONE, 1);
    assert!(ran.stderr.contains("insufficient-capacity"), "{ran}");
    let ran = cloud.ends(CLONE, 3);
    assert!(ran.stderr.contains("--recreate database"), "{ran}");
    cloud.faults(&json!([]));
    cloud.ends("clone live twin --yes --recreate database", 0);
    cloud.ends("destroy twin --yes", 0);
    assert_eq!(cloud.state(), source);
}

/// Names and tags like ours, one of the three proofs missing each.
#[test]
fn what_only_looks_like_a_clones_stays() {
    let cloud = with_source();
    let by_hand = |operation: &str, parameters: &[(&str, &str)]| {
        cloud.by_hand_in(["222222222222", "eu-west-1"], ["rds", "2014-10-31"], operation, parameters)
    };
    let told = by_hand("DescribeDBInstances", &[]);
    let id = told.split("<DBInstanceIdentifier>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    by_hand("CreateDBSnapshot", &[("DBInstanceIdentifier", &id), ("DBSnapshotIdentifier", "twin-src-decoy")]);
    let tag = [
        ("DBInstanceIdentifier", id.as_str()),
        ("DBSnapshotIdentifier", "twin-src-another"),
        ("Tags.Tag.1.Key", "greenroom:environment"),
        ("Tags.Tag.1.Value", "twin"),
    ];
    by_hand("CreateDBSnapshot", &tag);
    cloud.come_to_rest();
    let before = cloud.state();
    cloud.ends(CLONE, 0);
    cloud.ends("destroy twin --yes", 0);
    assert_eq!(cloud.state(), before);
}

fn run(cloud: &Cloud, line: &str, fate: Fate) -> (usize, Option<i32>) {
    let mut command = cloud.command(line);
    cloud.proxy().run(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap(), fate)
}

/// A clone makes hundreds of calls, most of them looks. `GREENROOM_EVERY_CALL=1` takes them all, in minutes.
const CALLS_BETWEEN_DEATHS: usize = 7;

/// Killed before and after a call and run again, the end is that of a run that nobody disturbed.
fn sweep(cloud: &mut Cloud, line: &str) {
    let start = cloud.saved();
    cloud.restore(&start);
    let (calls, code) = run(cloud, line, Fate::Lives);
    assert_eq!(code, Some(0));
    let expected = cloud.state();
    let stride = if std::env::var_os("GREENROOM_EVERY_CALL").is_some() { 1 } else { CALLS_BETWEEN_DEATHS };
    for number in (1..=calls).step_by(stride) {
        for fate in [Fate::DiesBefore(number), Fate::DiesAfter(number)] {
            cloud.restore(&start);
            run(cloud, line, fate);
            let again = cloud.run(line);
            assert_eq!(again.code, Some(0), "{fate:?} of {calls}, then {again}");
            assert_eq!(cloud.state(), expected, "{fate:?} of {calls}, then {again}");
        }
    }
}

#[test]
fn a_clone_may_be_killed_and_run_again() {
    sweep(&mut with_source(), CLONE);
}

#[test]
fn the_end_of_a_clone_may_be_killed_and_run_again() {
    let mut cloud = with_source();
    cloud.ends(CLONE, 0);
    sweep(&mut cloud, "destroy twin --yes");
    assert!(account(&cloud.state(), "444444444444").is_empty(), "{}", cloud.state());
}
