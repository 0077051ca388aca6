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

pub(crate) const DATABASE_INPUTS: &str = r"type: object
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
pub(crate) fn with_source() -> Cloud {
    let cloud = Cloud::of(twins()).watched();
    cloud.ends("deploy live --confirm live", 0);
    cloud
}

/// What an account holds.
fn account<'a>(state: &'a Value, id: &str) -> Vec<(&'a String, &'a Value)> {
    state.as_object().unwrap().iter().filter(|(place, _)| place.contains(id)).collect()
}

pub(crate) const CLONE: &str = "clone live twin --yes";

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
    cloud.ends("destroy twin --yes --report evidence.json", 0);
    cloud.ends("plan live --exit-code", 0);
    assert_eq!(cloud.state(), before);
    let evidence: Value = serde_json::from_str(&cloud.scenario.read("evidence.json")).unwrap();
    let copies = evidence["copies"].as_array().unwrap();
    let told: Vec<_> = copies.iter().map(|copy| (&copy["account"], &copy["fate"])).collect();
    assert_eq!(evidence["outcome"], "destroyed");
    assert_eq!(told, [(&json!("222222222222"), &json!("deleted")), (&json!("444444444444"), &json!("deleted"))]);
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
    assert!(evidence["source_database"].as_str().unwrap().starts_with("db-"), "{evidence}");
    assert_ne!(evidence["source_database"], evidence["database"]);
    assert_eq!(evidence["parity"]["score"], 1.0, "{evidence}");
}

/// Whose data it is was said once, when the data came, and a deployment neither forgets it nor changes it.
#[test]
fn a_deployment_leaves_what_says_whose_data_it_is() {
    let mut cloud = with_source();
    cloud.ends(CLONE, 0);
    let told =
        || cloud.by_hand_in(["444444444444", "eu-west-1"], ["cloudformation", "2010-05-15"], "DescribeStacks", &[]);
    let marks = |told: &str| -> Vec<String> {
        let tags = told.split("<member><Key>").map(|tag| tag.split("</Value>").next().unwrap().to_owned());
        tags.filter(|tag| tag.starts_with("greenroom:source-") || tag.starts_with("greenroom:data")).collect()
    };
    let before = marks(&told());
    assert_eq!(before.len(), 4, "{before:?}");
    cloud.edit("templates/database/stack.yaml", "DisplayName: ", "DisplayName: very-");
    cloud.ends("deploy twin --yes", 0);
    let told = cloud.by_hand_in(["444444444444", "eu-west-1"], ["cloudformation", "2010-05-15"], "DescribeStacks", &[]);
    assert_eq!(marks(&told), before);
}

/// Without a parameter group, a password, a version or a retention, nothing makes CloudFormation's second call come.
pub(crate) fn drop_on_restore(cloud: &mut Cloud) {
    let triggers = "      BackupRetentionPeriod: 7\n      ManageMasterUserPassword: true\n";
    let version = "      EngineVersion: \"16.9\"\n";
    let path = "templates/database/stack.yaml";
    cloud.edit(path, triggers, "");
    cloud.edit(path, version, "");
    cloud.edit(path, "      MasterUsername: demo\n", &format!("      MasterUsername: demo\n{triggers}{version}"));
}

#[test]
fn what_the_restore_dropped_is_given_afterwards() {
    let mut cloud = Cloud::of(twins()).watched();
    drop_on_restore(&mut cloud);
    cloud.ends("deploy live --confirm live", 0);
    let ran = cloud.ends("clone live twin --yes --verbose", 0);
    assert!(ran.stderr.contains("what its restore dropped: MaxAllocatedStorage"), "{ran}");
    assert_eq!(cloud.calls("ModifyDBInstance"), 1);
    cloud.ends("plan twin --exit-code", 0);
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
fn a_clone_that_is_there_is_not_taken_for_one_of_another_snapshot() {
    let cloud = with_source();
    cloud.ends(CLONE, 0);
    let ran = cloud.ends("clone live twin --snapshot nope-1 --yes", 3);
    assert!(ran.stderr.contains("`twin` is there, and was made from snapshot `arn:aws:rds:"), "{ran}");
    assert!(ran.stderr.contains("not from `nope-1`\n\nhint: leave it as it is: without `--snapshot`"), "{ran}");
    cloud.ends("clone live twin --snapshot= --yes", 2);
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
fn a_clone_that_is_there_is_nobody_elses() {
    let mut cloud = with_source();
    cloud.ends("clone live twin --yes", 0);
    cloud.edit("environments/live.yaml", "targets: [twin]", "targets: [other]");
    cloud.edit("environments/twin.yaml", "from: live", "from: other");
    let before = cloud.state();
    let ran = cloud.ends("clone live twin --yes", 3);
    expect![[r#"
        twin · local cloud, nothing is real · eu-west-1
        error: the clone of `live` as `twin` is refused
          `twin` is not made from `live`: its file says `clone: {from: other}`
          `live` does not allow clones called `twin`

        hint: in environments/twin.yaml: `clone: {from: live}`
        hint: in environments/live.yaml: `clone_policy: {targets: [twin]}`
    "#]]
    .assert_eq(&ran.stderr);
    assert_eq!(cloud.state(), before);
}

#[test]
fn one_of_many_is_mended_in_the_file_of_all_of_them() {
    let mut cloud = Cloud::of(twins().file("environments/lab.yaml", TWIN));
    cloud.edit("environments/lab.yaml", "lifetime: 24h", "named: true");
    let ran = cloud.ends("clone live lab@jane --yes", 3);
    expect![[r#"
        lab@jane · local cloud, nothing is real · eu-west-1
        error: the clone of `live` as `lab@jane` is refused
          `live` does not allow clones called `lab@jane`
          `lab@jane` has no lifetime; a clone of customers' data must end
          `live` has no database to clone: stack `demo-live-database` is not there

        hint: in environments/live.yaml: `clone_policy: {targets: [lab@jane]}`
        hint: in environments/lab.yaml: `lifetime: 48h`
        hint: `greenroom deploy live` first
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

        hint: bring file and cloud together first: `greenroom drift live`; or clone it as it is: `--from-live`
    "#]]
    .assert_eq(&ran.stderr);
}

/// What was changed at night is taken over by the twin's file alone, in one line, and the source's stays what it was.
#[test]
fn a_source_that_was_changed_by_hand_is_cloned_as_it_is_if_wanted() {
    let cloud = with_source();
    let by_hand = |operation: &str, parameters: &[(&str, &str)]| {
        cloud.by_hand_in(["222222222222", "eu-west-1"], ["rds", "2014-10-31"], operation, parameters)
    };
    let told = by_hand("DescribeDBInstances", &[]);
    let id = told.split("<DBInstanceIdentifier>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let class = ("DBInstanceClass", "db.r7g.xlarge");
    by_hand("ModifyDBInstance", &[("DBInstanceIdentifier", &id), class, ("ApplyImmediately", "true")]);
    cloud.come_to_rest();
    let (live, twin) = (cloud.scenario.read("environments/live.yaml"), cloud.scenario.read("environments/twin.yaml"));
    let refused = cloud.ends(CLONE, 3);
    assert!(refused.stderr.contains("DBInstanceClass is db.r7g.xlarge, the file says db.r7g.large"), "{refused}");
    assert!(refused.stderr.contains("`--from-live`"), "{refused}");
    cloud.ends("clone live twin --from-live --dry-run", 0);
    assert_eq!(cloud.scenario.read("environments/twin.yaml"), twin);
    let made = cloud.ends("clone live twin --from-live --yes", 0);
    assert!(
        made.stderr
            .contains("+     values: {restored: true, snapshot: {previous: true}, reader: null, class: db.r7g.xlarge}"),
        "{made}"
    );
    assert_eq!(cloud.scenario.read("environments/live.yaml"), live);
    cloud.ends("plan twin --exit-code", 0);
    let again = cloud.ends(CLONE, 0);
    assert!(again.stdout.starts_with("twin is already a clone of live\n"), "{again}");
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

/// Whose database it is that goes must be known; a refusal to say so proves nothing.
#[test]
fn nothing_goes_before_it_is_known_whose_it_is() {
    let cloud = with_source();
    cloud.ends(CLONE, 0);
    let before = cloud.state();
    let denied = json!({"error": {"code": "AccessDenied", "message": "you may not", "status": 403}});
    cloud.faults(&json!([{"operation": "DescribeDBInstances", "effect": denied}]));
    let ran = cloud.ends("destroy twin --yes", 1);
    expect![[r#"
        twin · local cloud, nothing is real · eu-west-1
        error: `twin` could not be looked at, so nobody knows whose database `twin` has
          because you may not
    "#]]
    .assert_eq(&ran.stderr);
    assert_eq!(cloud.state(), before);
}

/// The file that is written where there is none needs no change to be a twin's, in the source's own account.
#[test]
fn a_target_without_a_file_is_given_one_to_read_first() {
    let cloud = Cloud::with(Scenario::shipped(), &[]);
    let path = cloud.scenario.root().join("environments/performance.yaml");
    std::fs::remove_file(&path).unwrap();
    let asked = cloud.ends("clone production performance", 3);
    assert!(asked.stderr.ends_with("hint: `--write-target` answers it\n"), "{asked}");
    assert!(!path.exists());
    let written = cloud.ends("clone production performance --write-target", 5);
    assert!(written.stdout.starts_with("wrote environments/performance.yaml\n"), "{written}");
    assert!(asked.stderr.contains(&std::fs::read_to_string(&path).unwrap()), "{asked}");
    cloud.ends("check", 0);
    cloud.ends("deploy production --confirm production", 0);
    let made = cloud.ends("clone production performance --yes", 0);
    assert!(made.stdout.starts_with("performance is now a clone of production\n"), "{made}");
    assert!(!made.stdout.contains("warning"), "{made}");
    cloud.ends("destroy performance --yes", 0);
    cloud.ends("plan production --exit-code", 0);
}

/// A name that is no environment and a source that no clone is made of.
#[test]
fn no_file_is_offered_where_it_would_be_no_clones() {
    let cloud = with_source();
    for target in ["../elsewhere", "Two Words", ".hidden", "twin@one"] {
        let mut command = cloud.scenario.command(["clone", "live", target, "--write-target", "--local"]);
        let ended = command.output().unwrap();
        assert_eq!(ended.status.code(), Some(2), "{target}: {ended:?}");
    }
    let mut named: Vec<_> = std::fs::read_dir(cloud.scenario.root().join("environments")).unwrap().collect();
    assert_eq!(named.drain(..).filter_map(Result::ok).count(), 2);
}

fn run(cloud: &Cloud, line: &str, fate: Fate) -> (usize, Option<i32>) {
    let mut command = cloud.command(line);
    cloud.proxy().run(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap(), fate)
}

/// A clone makes hundreds of calls, most of them looks. `GREENROOM_EVERY_CALL=1` takes them all, in minutes.
const CALLS_BETWEEN_DEATHS: usize = 7;

/// Killed before and after a call and run again, the end is that of a run that nobody disturbed.
fn sweep(cloud: &mut Cloud, line: &str, stride: usize) {
    let start = cloud.saved();
    cloud.restore(&start);
    let (calls, code) = run(cloud, line, Fate::Lives);
    assert_eq!(code, Some(0));
    cloud.come_to_rest();
    let expected = cloud.state();
    let stride = if std::env::var_os("GREENROOM_EVERY_CALL").is_some() { 1 } else { stride };
    for number in (1..=calls).step_by(stride) {
        for fate in [Fate::DiesBefore(number), Fate::DiesAfter(number)] {
            cloud.restore(&start);
            run(cloud, line, fate);
            let again = cloud.run(line);
            assert_eq!(again.code, Some(0), "{fate:?} of {calls}, then {again}");
            cloud.come_to_rest();
            assert_eq!(cloud.state(), expected, "{fate:?} of {calls}, then {again}");
        }
    }
}

#[test]
fn a_clone_may_be_killed_and_run_again() {
    sweep(&mut with_source(), CLONE, CALLS_BETWEEN_DEATHS);
}

#[test]
fn the_end_of_a_clone_may_be_killed_and_run_again() {
    let mut cloud = with_source();
    cloud.ends(CLONE, 0);
    sweep(&mut cloud, "destroy twin --yes", CALLS_BETWEEN_DEATHS);
    assert!(account(&cloud.state(), "444444444444").is_empty(), "{}", cloud.state());
}

/// In one account only names keep a clone and its source apart. Neither its making nor its end, killed on the way, touches the source.
#[test]
fn a_clone_may_live_beside_its_source() {
    let beside = twins().edit("environments/twin.yaml", "444444444444", "222222222222");
    let mut cloud = Cloud::of(beside).watched();
    cloud.ends("deploy live --confirm live", 0);
    let before = cloud.state();
    sweep(&mut cloud, CLONE, 60);
    sweep(&mut cloud, "destroy twin --yes", 60);
    assert_eq!(cloud.state(), before);
    cloud.ends("plan live --exit-code", 0);

    // What CloudTrail tells of it, creation included.
    let state = || cloud.control("state", "")["places"]["222222222222"]["eu-west-1"].clone();
    let stacks = state()["cloudformation"]["stacks"].clone();
    let mut of_source = stacks.as_object().unwrap().values().filter(|stack| stack["name"] == "demo-live-database");
    let database = of_source.next().unwrap()["resources"]["Database"]["physical_id"].clone();
    let calls = || -> Vec<Value> {
        let names_it = |event: &&Value| event["resources"].as_array().unwrap().iter().any(|it| it[1] == database);
        state()["trail"].as_array().unwrap().iter().filter(names_it).map(|event| event["name"].clone()).collect()
    };
    assert_eq!(calls(), ["CreateDBInstance"]);
    cloud.ends(CLONE, 0);
    cloud.ends("destroy twin --yes", 0);
    assert_eq!(calls(), ["CreateDBInstance"]);
}

/// Calls are throttled, answers are lost after taking effect, lists are of a moment ago, and the run is killed besides.
fn killed_in_bad_weather(seed: &'static str, stride: usize) {
    let mut cloud = Cloud::with(twins(), &["--seed", seed, "--page-size", "2"]).watched();
    cloud.ends("deploy live --confirm live", 0);
    let before = cloud.state();
    cloud.faults(&json!([
        {"percent": 8, "effect": "throttle"},
        {"service": "cloudformation", "percent": 15, "effect": "lost_response"},
        {"operation": "CopyDBSnapshot", "every": 2, "effect": "lost_response"},
        {"operation": "ModifyDBSnapshotAttribute", "every": 2, "effect": "lost_response"},
        {"operation": "DeleteDBSnapshot", "every": 2, "effect": "lost_response"},
        {"service": "cloudformation", "percent": 20, "effect": {"stale_read": {"seconds": 10}}},
    ]));
    sweep(&mut cloud, CLONE, stride);
    sweep(&mut cloud, "destroy twin --yes", stride);
    assert_eq!(cloud.state(), before);
    assert!(!cloud.control("fired", "").as_array().unwrap().is_empty(), "nothing went wrong, so nothing was weathered");
}

#[test]
fn a_clone_weathers_what_comes() {
    killed_in_bad_weather("21", 120);
}

#[test]
#[cfg(feature = "long-tests")]
fn a_clone_weathers_what_comes_under_three_seeds() {
    for seed in ["22", "23", "24"] {
        killed_in_bad_weather(seed, 20);
    }
}
