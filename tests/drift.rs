//! `drift`: what was changed past CloudFormation is found, told with its line, and decided about. Hands from outside make the
//! changes, by the services' own APIs.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use expect_test::expect;
use serde_json::{Value, json};

use crate::support::cloud::Cloud;
use crate::support::{Ran, Scenario};

const ENVIRONMENT: &str = r#"project: demo
account: "111111111111"
region: eu-west-1
stacks:
  data:
    values:
      class: db.t4g.small # small is enough
      retention: 7
  web:
    values: {topic: papers, idle: 60, size: {min: 1, max: 4}}
"#;

const DATA_INPUTS: &str = r"type: object
properties:
  class: {type: string, default: db.t4g.micro, description: The class}
  retention: {type: integer, default: 1, description: Days that backups are kept}
  storage: {type: integer, default: 20, description: GiB}
";

const DATA: &str = r#"Resources:
  Vpc: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.0.0.0/16}}
  Access:
    Type: AWS::EC2::SecurityGroup
    Properties:
      GroupDescription: access
      VpcId: !Ref Vpc
      SecurityGroupIngress: [{IpProtocol: tcp, FromPort: 443, ToPort: 443, CidrIp: 10.0.0.0/8}]
  Database:
    Type: AWS::RDS::DBInstance
    DeletionPolicy: Delete
    UpdateReplacePolicy: Delete
    Properties:
      Engine: postgres
      EngineVersion: "16.3"
      DBInstanceClass: {{ class }}
      AllocatedStorage: "{{ storage }}"
      MaxAllocatedStorage: 100
      StorageType: gp3
      StorageEncrypted: true
      MasterUsername: master
      ManageMasterUserPassword: true
      BackupRetentionPeriod: {{ retention }}
      PreferredMaintenanceWindow: sun:0{{ retention }}:00-sun:0{{ retention }}:30
      VPCSecurityGroups: [!Ref Access]
Outputs:
  VpcId: {Value: !Ref Vpc}
"#;

const WEB_INPUTS: &str = r"type: object
required: [topic]
properties:
  topic: {type: string, description: What the topic is called}
  idle: {type: integer, description: Seconds, x-parameter: Idle}
  size:
    type: object
    description: How many
    properties: {min: {type: integer}, max: {type: integer}}
";

const WEB: &str = r#"Parameters:
  Idle: {Type: Number}
Resources:
  Topic:
    Type: AWS::SNS::Topic
    Properties:
      DisplayName: {{ topic }} of {{ size.min }}
  Queue:
    Type: AWS::SQS::Queue
    Properties: {VisibilityTimeout: !Ref Idle, MessageRetentionPeriod: {{ size.max * 3600 }}}
"#;

fn scenario() -> Scenario {
    Scenario::empty()
        .file("environments/lab.yaml", ENVIRONMENT)
        .file("templates/data/inputs.yaml", DATA_INPUTS)
        .file("templates/data/stack.yaml", DATA)
        .file("templates/web/inputs.yaml", WEB_INPUTS)
        .file("templates/web/stack.yaml", WEB)
}

fn deployed(scenario: Scenario) -> Cloud {
    let cloud = Cloud::with(scenario, &["--page-size", "2", "--pace", "auto"]);
    cloud.ends("deploy lab --yes", 0);
    cloud.come_to_rest();
    cloud
}

/// What somebody changes past CloudFormation.
pub(crate) fn touch(cloud: &Cloud, stack: &str, resource: &str, change: &Value) -> String {
    let mut body = json!({"account": "111111111111", "region": "eu-west-1", "stack": format!("demo-lab-{stack}"), "logical_id": resource});
    body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    cloud.control("touch", &body.to_string())["physical_id"].as_str().unwrap_or_default().to_owned()
}

/// The database is changed by RDS's own API.
fn modify_database(cloud: &Cloud, name: &str, value: &str) {
    let id = touch(cloud, "data", "Database", &json!({"set": {}}));
    let parameters = [("DBInstanceIdentifier", id.as_str()), (name, value), ("ApplyImmediately", "true")];
    cloud.by_hand_in(["111111111111", "eu-west-1"], ["rds", "2014-10-31"], "ModifyDBInstance", &parameters);
    cloud.come_to_rest();
}

fn findings(ran: &Ran) -> Vec<String> {
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    let rows = report["drift"]["findings"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap_or("nothing").to_owned();
    rows.map(|row| {
        let settled = row["settled"]["settled"].as_str().map(|it| format!(", {it}")).unwrap_or_default();
        format!(
            "{}/{}/{} {} → {}: {}{settled}",
            text(&row["stack"]),
            text(&row["resource"]),
            text(&row["property"]),
            text(&row["expected"]),
            text(&row["actual"]),
            text(&row["class"]),
        )
    })
    .collect()
}

#[test]
fn what_nobody_touched_has_no_drift() {
    let cloud = deployed(scenario());
    cloud.run("drift lab").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        lab: no drift; 5 resources in sync, in 2 stacks
    "#]]);
}

#[test]
fn every_difference_is_told_with_the_line_that_decides_it() {
    let cloud = deployed(scenario());
    modify_database(&cloud, "DBInstanceClass", "db.t4g.large");
    modify_database(&cloud, "BackupRetentionPeriod", "3");
    touch(&cloud, "web", "Queue", &json!({"set": {"VisibilityTimeout": 90}}));
    touch(&cloud, "web", "Topic", &json!({"delete": true}));
    cloud.run("drift lab").stdout_only().expect(expect![[r#"
        exit 4
        -- stdout
        data
          ~ Database  AWS::RDS::DBInstance
              BackupRetentionPeriod  7 → 3   environments/lab.yaml:8:18
                  changed by hand: past CloudFormation, since the last deployment
              DBInstanceClass  db.t4g.small → db.t4g.large   environments/lab.yaml:7:14
                  changed by hand: past CloudFormation, since the last deployment
        web
          ~ Queue  AWS::SQS::Queue
              VisibilityTimeout  60 → 90   environments/lab.yaml:10:35
                  changed by hand: past CloudFormation, since the last deployment
          - Topic  AWS::SNS::Topic   templates/web/stack.yaml:4:3
                  deleted: it is not there any more, and no operation of its stack deleted it

        lab: 4 differences; 2 resources in sync, in 2 stacks
        hint: keep it: `greenroom drift lab --adopt data/Database/BackupRetentionPeriod`
        hint: undo it: `greenroom drift lab --revert data/Database`
        hint: let it be: `greenroom drift lab --ignore data/Database/BackupRetentionPeriod --until DATE --because TEXT`
    "#]]);
}

/// The summary of a stack has been seen to say "in sync" of one whose resources are not (coverage roadmap, 2283).
#[test]
fn the_summary_of_a_stack_is_never_believed() {
    let cloud = deployed(scenario());
    modify_database(&cloud, "DBInstanceClass", "db.t4g.large");
    cloud.control("faults", r#"[{"effect": "hide_drift"}]"#);
    let ran = cloud.ends("drift lab --format json", 4);
    assert_eq!(findings(&ran), ["data/Database/DBInstanceClass db.t4g.small → db.t4g.large: changed_by_hand"]);
}

#[test]
fn what_could_not_be_read_is_never_fine() {
    let cloud = deployed(scenario());
    cloud.control("faults", r#"[{"logical_id": "Queue", "effect": "unreadable"}]"#);
    cloud.run("drift lab").stdout_only().expect(expect![[r#"
        exit 6
        -- stdout
        could not be read
          web/Queue  AWS::SQS::Queue  Failed to detect drift on resource(s) [Queue]

        lab: 1 unread; 4 resources in sync, in 2 stacks
        hint: let it be: `greenroom drift lab --ignore web/Queue --until DATE --because TEXT`
    "#]]);
}

/// What was never deployed need not be ignored.
#[test]
fn a_stack_that_is_not_there_is_to_be_made() {
    let cloud = Cloud::of(scenario());
    cloud.ends("deploy lab data --yes", 0);
    cloud.run("drift lab").stdout_only().expect(expect![[r#"
        exit 6
        -- stdout
        could not be read
          web    it does not exist

        lab: 1 unread; 3 resources in sync, in 2 stacks
        hint: make what is not there: `greenroom deploy lab`
    "#]]);
    let ran = cloud.ends("drift lab data --ignore web/Queue --until 2099-06-30 --because x", 2);
    assert!(ran.stderr.contains("cannot be used with"), "{ran}");
}

const LAB: &str = "environments/lab.yaml";

/// The lines of a file that an edit took out and put in.
fn edited(cloud: &Cloud, path: &str, before: &str) -> Vec<String> {
    let after = cloud.scenario.read(path);
    let lines = |text: &str| text.split_inclusive('\n').map(str::to_owned).collect::<Vec<_>>();
    let (old, new) = (lines(before), lines(&after));
    let gone = old.iter().filter(|line| !new.contains(line)).map(|line| format!("-{line}"));
    let come = new.iter().filter(|line| !old.contains(line)).map(|line| format!("+{line}"));
    gone.chain(come).collect()
}

#[test]
fn a_difference_is_ignored_by_a_line_in_the_file_until_its_day() {
    let cloud = deployed(scenario());
    modify_database(&cloud, "DBInstanceClass", "db.t4g.large");
    let decide = |rest: &[&str]| {
        let line = ["drift", "lab", "--ignore", "data/Database/DBInstanceClass", "--until", "2026-12-01", "--because"];
        cloud.scenario.run(line.iter().chain(rest).copied())
    };
    decide(&["a sale, until Monday"]).expect(expect![[r#"
        exit 0
        -- stdout
        environments/lab.yaml
           11 + drift:
           12 +   ignore:
           13 +     - {path: data/Database/DBInstanceClass, because: "a sale, until Monday", until: 2026-12-01}
        `data/Database/DBInstanceClass` is ignored until 2026-12-01
    "#]]);
    cloud.run("drift lab").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        needs no decision
          data/Database/DBInstanceClass  db.t4g.small → db.t4g.large  ignored until 2026-12-01, 6 days left (environments/lab.yaml:13:14): a sale, until Monday

        lab: 1 without need of a decision; 4 resources in sync, in 2 stacks
    "#]]);
    decide(&["a sale, until Tuesday"]).expect(expect![[r#"
        exit 0
        -- stdout
        environments/lab.yaml
           13 -     - {path: data/Database/DBInstanceClass, because: "a sale, until Monday", until: 2026-12-01}
           13 +     - {path: data/Database/DBInstanceClass, because: "a sale, until Tuesday", until: 2026-12-01}
        `data/Database/DBInstanceClass` is ignored until 2026-12-01
    "#]]);
}

#[test]
fn an_exception_that_is_over_says_nothing_and_is_told() {
    let ignore = "drift:\n  ignore:\n    - {path: data/Database, because: a sale, until: 2026-11-24}\n    - {path: web/Queue, because: over, until: 2026-11-01}\n";
    let cloud = deployed(scenario().file(LAB, format!("{ENVIRONMENT}{ignore}")));
    modify_database(&cloud, "DBInstanceClass", "db.t4g.large");
    cloud.run("drift lab").stdout_only().expect(expect![[r#"
        exit 4
        -- stdout
        data
          ~ Database  AWS::RDS::DBInstance
              DBInstanceClass  db.t4g.small → db.t4g.large   environments/lab.yaml:7:14
                  changed by hand: past CloudFormation, since the last deployment
                  `data/Database` was ignored until 2026-11-24, and is no longer (environments/lab.yaml:13:14)

        lab: 1 difference; 4 resources in sync, in 2 stacks
        warning: `web/Queue` was ignored until 2026-11-01, and is no longer (environments/lab.yaml:14:14)
        hint: keep it: `greenroom drift lab --adopt data/Database/DBInstanceClass`
        hint: undo it: `greenroom drift lab --revert data/Database`
        hint: let it be: `greenroom drift lab --ignore data/Database/DBInstanceClass --until DATE --because TEXT`
    "#]]);
}

#[test]
fn an_exception_that_means_nothing_is_refused() {
    let scenario = scenario();
    for rest in [
        ["dta/Database", "2027-06-30", "x"],
        ["data/Databse", "2027-06-30", "x"],
        ["data/Database", "2027-06-31", "x"],
        ["data/Database", "2026-11-24", "x"],
        ["data/Database", "2027-06-30", " "],
    ] {
        let [path, until, because] = rest;
        let ran = scenario.run(["drift", "lab", "--local", "--ignore", path, "--until", until, "--because", because]);
        assert_eq!(ran.code, Some(2), "{ran}");
    }
    for path in ["", "data/", "data/Database/", "data//StorageType", "/Database"] {
        let rest = ["--ignore", path, "--until", "2027-06-30", "--because", "x"];
        let ran = scenario.run(["drift", "lab", "--local"].into_iter().chain(rest));
        let said = format!(
            "error: `{path}` leaves a name out\n\nhint: write STACK, STACK/RESOURCE or STACK/RESOURCE/PROPERTY\n"
        );
        assert_eq!((ran.code, ran.stderr), (Some(2), said));
    }
    assert_eq!(scenario.read(LAB), ENVIRONMENT);
}

#[test]
fn what_is_right_is_adopted_in_the_right_line() {
    let cloud = deployed(scenario());
    modify_database(&cloud, "BackupRetentionPeriod", "9");
    touch(&cloud, "web", "Queue", &json!({"set": {"VisibilityTimeout": 90}}));
    cloud.run("drift lab --adopt").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        environments/lab.yaml
            8 -       retention: 7
            8 +       retention: 9
           10 -     values: {topic: papers, idle: 60, size: {min: 1, max: 4}}
           10 +     values: {topic: papers, idle: 90, size: {min: 1, max: 4}}
        `data/Database/BackupRetentionPeriod` is 9 in the files now, as it runs
        `web/Queue/VisibilityTimeout` is 90 in the files now, as it runs
        also changes here
          lab  data/Database/PreferredMaintenanceWindow  sun:07:00-sun:07:30 → sun:09:00-sun:09:30
    "#]]);
    let lines = edited(&cloud, LAB, ENVIRONMENT);
    assert_eq!(
        lines,
        [
            "-      retention: 7\n",
            "-    values: {topic: papers, idle: 60, size: {min: 1, max: 4}}\n",
            "+      retention: 9\n",
            "+    values: {topic: papers, idle: 90, size: {min: 1, max: 4}}\n"
        ]
    );
    cloud.run("drift lab").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        needs no decision
          data/Database/BackupRetentionPeriod  7 → 9    adopted: the files say so, and the next deployment records it
          web/Queue/VisibilityTimeout          60 → 90  adopted: the files say so, and the next deployment records it

        lab: 2 without need of a decision; 3 resources in sync, in 2 stacks
    "#]]);
}

#[test]
fn a_value_that_only_the_template_says_is_written_into_the_environments_own_file() {
    let cloud = deployed(scenario());
    modify_database(&cloud, "AllocatedStorage", "50");
    cloud.ends("drift lab --adopt data/Database/AllocatedStorage", 0);
    assert_eq!(edited(&cloud, LAB, ENVIRONMENT), ["+      storage: 50\n"]);
}

#[test]
fn what_the_template_works_out_is_refused_with_its_line() {
    let cloud = deployed(scenario());
    touch(&cloud, "web", "Queue", &json!({"set": {"MessageRetentionPeriod": 5000}}));
    touch(&cloud, "web", "Topic", &json!({"delete": true}));
    cloud.run("drift lab --adopt web/Topic").last_words().expect(expect![[r#"
        exit 3
        -- stderr
        error: `lab` cannot adopt all of it, so no file was touched
          `web/Topic` is gone: a template says what there is (templates/web/stack.yaml:4:3)

        hint: name what to adopt: `--adopt STACK/RESOURCE/PROPERTY`; change the template for the rest, or `--revert` it
    "#]]);
    cloud.run("drift lab --adopt web").last_words().expect(expect![[r#"
        exit 3
        -- stderr
        error: `lab` cannot adopt all of it, so no file was touched
          `web/Queue/MessageRetentionPeriod`: the template makes it, and no single value of the environment would make it `5000` (templates/web/stack.yaml:10:48)
          `web/Topic` is gone: a template says what there is (templates/web/stack.yaml:4:3)

        hint: name what to adopt: `--adopt STACK/RESOURCE/PROPERTY`; change the template for the rest, or `--revert` it
    "#]]);
    assert_eq!(cloud.scenario.read(LAB), ENVIRONMENT);
}

const TWIN: &str = "inherits: lab\naccount: \"222222222222\" # its own\nstacks: {web: {values: {idle: 30}}}\n";

#[test]
fn others_that_inherit_are_told_and_can_be_kept_as_they_are() {
    let cloud = deployed(scenario().file("environments/twin.yaml", TWIN));
    modify_database(&cloud, "DBInstanceClass", "db.t4g.large");
    cloud.run("drift lab --adopt --dry-run").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        environments/lab.yaml
            7 -       class: db.t4g.small # small is enough
            7 +       class: db.t4g.large # small is enough
        `data/Database/DBInstanceClass` is db.t4g.large in the files now, as it runs
        also changes where this environment is inherited
          twin  data/Database/DBInstanceClass  db.t4g.small → db.t4g.large
        hint: `--pin-others` keeps those as they are
        nothing was written
    "#]]);
    cloud.run("drift lab --adopt --pin-others").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        environments/lab.yaml
            7 -       class: db.t4g.small # small is enough
            7 +       class: db.t4g.large # small is enough
        environments/twin.yaml
            3 - stacks: {web: {values: {idle: 30}}}
            3 + stacks: {web: {values: {idle: 30}}, data: {values: {class: db.t4g.small}}}
        `data/Database/DBInstanceClass` is db.t4g.large in the files now, as it runs
    "#]]);
}

#[test]
fn what_is_undone_is_shown_agreed_to_and_proved() {
    let cloud = deployed(scenario());
    modify_database(&cloud, "DBInstanceClass", "db.t4g.large");
    touch(&cloud, "web", "Topic", &json!({"delete": true}));
    let before = cloud.state();
    cloud.run("drift lab --revert --dry-run").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        data                                                         modify 1
          ~ Database  AWS::RDS::DBInstance
              DBInstanceClass  db.t4g.large → db.t4g.small    environments/lab.yaml:7:14
        web                                                          add 1
          + Topic  AWS::SNS::Topic

        1 to add, 1 to modify, 0 to replace, 0 to remove
    "#]]);
    cloud.run("drift lab --revert").last_words().expect(expect![[r#"
        exit 3
        -- stderr
        error: this needs a confirmation, and there is no terminal to ask on

        hint: `--yes` answers it
    "#]]);
    assert_eq!(cloud.state(), before);
    cloud.run("drift lab --revert --yes").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        `data/Database/DBInstanceClass` is as the files say again
        `web/Topic` is as the files say again
        lab: no drift; 5 resources in sync, in 2 stacks
    "#]]);
    cloud.run("drift lab").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        lab: no drift; 5 resources in sync, in 2 stacks
    "#]]);
    cloud.run("plan lab --exit-code").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        data                                                         no changes
        web                                                          no changes

        0 to add, 0 to modify, 0 to replace, 0 to remove
    "#]]);
}

/// A change set against drift undoes all of it: what is ignored in the same stack would go with what is not.
#[test]
fn nothing_is_undone_that_nobody_named() {
    let ignore = "drift:\n  ignore:\n    - {path: web/Topic, because: on purpose, until: 2027-06-30}\n";
    let cloud = deployed(scenario().file(LAB, format!("{ENVIRONMENT}{ignore}")));
    touch(&cloud, "web", "Topic", &json!({"set": {"DisplayName": "other"}}));
    touch(&cloud, "web", "Queue", &json!({"set": {"VisibilityTimeout": 90}}));
    let before = cloud.state();
    cloud.run("drift lab --revert --yes").last_words().expect(expect![[r#"
        exit 3
        -- stderr
        error: the drift of `lab` cannot be undone like this
          `web/Topic/DisplayName` would be undone too, which is ignored until 2027-06-30

        hint: a change set undoes all drift of its stack: name what else may go, `--revert STACK/RESOURCE`
        hint: `greenroom plan lab` shows changes of the files that wait to be deployed
    "#]]);
    assert_eq!(cloud.state(), before);
    cloud.ends("drift lab --revert web/Topic web/Queue --yes", 0);
    cloud.ends("drift lab", 0);
}

/// A template is sent whole, and a change set does not show outputs: what waits in the files is not smuggled in.
#[test]
fn an_output_that_waits_in_the_files_is_not_changed_by_the_way() {
    let mut cloud = deployed(scenario());
    modify_database(&cloud, "DBInstanceClass", "db.t4g.large");
    cloud.edit("templates/data/stack.yaml", "Outputs:\n", "Outputs:\n  Access: {Value: !Ref Access}\n");
    cloud.run("drift lab --revert data/Database --yes").expect(expect![[r#"
        exit 3
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
        error: the drift of `lab` cannot be undone like this
          output `Access` of `data` would change too, as the files say by now

        hint: a change set undoes all drift of its stack: name what else may go, `--revert STACK/RESOURCE`
        hint: `greenroom plan lab` shows changes of the files that wait to be deployed
    "#]]);
    let outputs = cloud.ends("outputs lab", 0);
    assert!(!outputs.stdout.contains("Access"), "{outputs}");
}

/// The service shows changes that are none, even replacements (coverage roadmap, 2505 and 2559).
#[test]
fn a_phantom_change_is_never_carried_out() {
    let cloud = deployed(scenario());
    touch(&cloud, "web", "Queue", &json!({"set": {"VisibilityTimeout": 90}}));
    let before = cloud.state();
    for replaces in ["false", "true"] {
        cloud.control(
            "faults",
            &format!(r#"[{{"logical_id": "Topic", "effect": {{"phantom_change": {{"replaces": {replaces}}}}}}}]"#),
        );
        let ran = cloud.ends("drift lab --revert --yes", 3);
        assert!(ran.stderr.contains("web/Topic"), "{ran}");
    }
    cloud.control("faults", "[]");
    assert_eq!(cloud.state(), before);
}

#[test]
fn a_database_that_is_gone_is_made_again_only_by_name() {
    let cloud = deployed(scenario());
    touch(&cloud, "data", "Database", &json!({"delete": true}));
    cloud.run("drift lab --revert --yes").last_words().expect(expect![[r#"
        exit 3
        -- stderr
        error: `data/Database` was deleted with all it held, and would be made again with nothing in it

        hint: restore a snapshot, or name it to have an empty one: `--revert data/Database`
    "#]]);
}

#[test]
fn a_revert_that_would_replace_is_refused() {
    let cloud = deployed(scenario());
    touch(&cloud, "data", "Database", &json!({"set": {"StorageEncrypted": false}}));
    let before = cloud.state();
    cloud.run("drift lab --revert --yes").last_words().expect(expect![[r#"
        exit 3
        -- stderr
        error: the drift of `lab` cannot be undone like this
          `data/Database` would be replaced or removed, and no drift is undone at that price

        hint: a change set undoes all drift of its stack: name what else may go, `--revert STACK/RESOURCE`
        hint: `greenroom plan lab` shows changes of the files that wait to be deployed
    "#]]);
    assert_eq!(cloud.state(), before);
}

/// Adopting sends nothing: the template says what is, and the next deployment records it.
#[test]
fn what_was_adopted_is_recorded_and_never_sent_again() {
    let cloud = deployed(scenario());
    modify_database(&cloud, "AllocatedStorage", "50");
    cloud.ends("drift lab --adopt data/Database/AllocatedStorage", 0);
    cloud.run("plan lab --exit-code").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        data                                                         no changes; what was adopted is recorded
          = Database  AWS::RDS::DBInstance  recorded as it is, and not touched
        web                                                          no changes

        0 to add, 0 to modify, 0 to replace, 0 to remove
    "#]]);
    cloud.run("deploy lab --yes").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        data  updated
        web   unchanged

        data.VpcId  vpc-[id]
    "#]]);
    // In sync without having been sent: RDS was asked to modify the database by hand alone.
    cloud.run("drift lab").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        lab: no drift; 5 resources in sync, in 2 stacks
    "#]]);
    cloud.run("plan lab --exit-code").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        data                                                         no changes
        web                                                          no changes

        0 to add, 0 to modify, 0 to replace, 0 to remove
    "#]]);
}

#[test]
fn a_plan_tells_what_it_would_write_over() {
    let mut cloud = deployed(scenario());
    modify_database(&cloud, "DBInstanceClass", "db.t4g.large");
    cloud.edit(LAB, "class: db.t4g.small", "class: db.t4g.medium");
    cloud.run("plan lab data").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        data                                                         modify 1
          ~ Database  AWS::RDS::DBInstance
              DBInstanceClass  db.t4g.small → db.t4g.medium    environments/lab.yaml:7:14
          ! `Database/DBInstanceClass` was changed by hand to db.t4g.large, and is written over

        0 to add, 1 to modify, 0 to replace, 0 to remove
    "#]]);
    cloud.edit(LAB, "class: db.t4g.medium", "class: db.t4g.small");
    cloud.edit(LAB, "retention: 7", "retention: 8");
    cloud.run("plan lab data").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        data                                                         modify 1
          ~ Database  AWS::RDS::DBInstance
              BackupRetentionPeriod       7 → 8                                        environments/lab.yaml:8:18
              PreferredMaintenanceWindow  sun:07:00-sun:07:30 → sun:08:00-sun:08:30    environments/lab.yaml:8:18
          ! `Database/DBInstanceClass` was changed by hand to db.t4g.large, and may be written over

        0 to add, 1 to modify, 0 to replace, 0 to remove
    "#]]);
    cloud.edit(LAB, "project: demo", "project: demo\nprotected: true");
    cloud.run("plan lab data").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        data                                                         modify 1
          ~ Database  AWS::RDS::DBInstance
              BackupRetentionPeriod       7 → 8                                        environments/lab.yaml:9:18
              PreferredMaintenanceWindow  sun:07:00-sun:07:30 → sun:08:00-sun:08:30    environments/lab.yaml:9:18
          ~ termination protection is set
          ! `Database/DBInstanceClass` was changed by hand to db.t4g.large, and may be written over

        0 to add, 1 to modify, 0 to replace, 0 to remove
        deploy will refuse: `data/Database` was changed by hand, and may be written over: DBInstanceClass
        hint: `greenroom drift lab data` shows it; adopt it, or let it go: `--overwrite-drift data/Database`
    "#]]);
    cloud.run("deploy lab data --confirm lab").last_words().expect(expect![[r#"
        exit 3
        -- stderr
        error: the deployment of `lab` is refused
          `data/Database` was changed by hand, and may be written over: DBInstanceClass

        hint: `greenroom drift lab data` shows it; adopt it, or let it go: `--overwrite-drift data/Database`
    "#]]);
    cloud.ends("deploy lab data --confirm lab --overwrite-drift data/Database", 0);
}

const PRODUCTION: &str = "environments/production.yaml";

/// The id by which a resource of production is known to its service.
fn id_of(cloud: &Cloud, stack: &str, resource: &str) -> String {
    let body = json!({"account": "222222222222", "region": "ap-southeast-2", "stack": stack, "logical_id": resource, "set": {}});
    cloud.control("touch", &body.to_string())["physical_id"].as_str().unwrap().to_owned()
}

/// The story that `drift` is for: three changes by hand, one right, one wrong, one noise; each is settled, and two lines tell it.
#[test]
fn three_changes_by_hand_come_to_a_decision_each() {
    let cloud = Cloud::with(Scenario::shipped(), &["--page-size", "5", "--pace", "auto"]);
    cloud.ends("deploy production --confirm production", 0);
    cloud.come_to_rest();
    cloud.run("drift production").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        production: no drift; 115 resources in sync, in 4 stacks
    "#]]);
    let hand = |service: [&str; 2], operation: &str, parameters: &[(&str, &str)]| {
        cloud.by_hand_in(["222222222222", "ap-southeast-2"], service, operation, parameters);
    };
    let database = id_of(&cloud, "sync-db-prod", "Database");
    let retention =
        [("DBInstanceIdentifier", database.as_str()), ("BackupRetentionPeriod", "21"), ("ApplyImmediately", "true")];
    hand(["rds", "2014-10-31"], "ModifyDBInstance", &retention);
    let group = id_of(&cloud, "sync-production-sync-api", "Group");
    let more = [("AutoScalingGroupName", group.as_str()), ("MaxSize", "20")];
    hand(["autoscaling", "2011-01-01"], "UpdateAutoScalingGroup", &more);
    let group = id_of(&cloud, "sync-production-elk", "Logstash");
    let slower = [("AutoScalingGroupName", group.as_str()), ("HealthCheckGracePeriod", "999")];
    hand(["autoscaling", "2011-01-01"], "UpdateAutoScalingGroup", &slower);
    cloud.come_to_rest();

    let before = cloud.scenario.read(PRODUCTION);
    let found = cloud.run("drift production").stdout_only();
    // The README tells this story, too.
    let readme = include_str!("../README.md");
    let differences = found.stdout.split("hint:").next().unwrap();
    assert!(readme.contains(&format!("$ greenroom drift production\n{differences}```\n")), "{differences}");
    found.expect(expect![[r#"
        exit 4
        -- stdout
        database
          ~ Database  AWS::RDS::DBInstance
              BackupRetentionPeriod  14 → 21   environments/production.yaml:31:30
                  changed by hand: past CloudFormation, since the last deployment
        elk
          ~ Logstash  AWS::AutoScaling::AutoScalingGroup
              HealthCheckGracePeriod  900 → 999   templates/elk/stack.yaml:354:7
                  changed by hand: past CloudFormation, since the last deployment
        sync-api
          ~ Group  AWS::AutoScaling::AutoScalingGroup
              MaxSize  12 → 20   environments/production.yaml:50:18
                  changed by hand: past CloudFormation, since the last deployment

        production: 3 differences; 112 resources in sync, in 4 stacks
        hint: keep it: `greenroom drift production --adopt database/Database/BackupRetentionPeriod`
        hint: undo it: `greenroom drift production --revert database/Database`
        hint: let it be: `greenroom drift production --ignore database/Database/BackupRetentionPeriod --until DATE --because TEXT`
    "#]]);
    let decisions: Vec<&str> =
        readme.lines().filter_map(|line| line.strip_prefix("$ greenroom drift production --")).collect();
    assert_eq!(decisions.len(), 3, "{decisions:?}");
    for decision in decisions {
        // A reason is the one thing with spaces.
        let (words, because) = decision.split_once(" \"").unwrap_or((decision, ""));
        let words = format!("drift production --{words}");
        let because = because.strip_suffix('"');
        let ran = cloud.scenario.run(words.split(' ').chain(because).chain(["--local"]));
        assert_eq!(ran.code, Some(0), "{ran}");
    }
    let lines = [
        "-      backup_retention_days: 14\n",
        "+      backup_retention_days: 21\n",
        "+    - {path: elk/Logstash/HealthCheckGracePeriod, because: slow disks until the move, until: 2027-06-30}\n",
    ];
    assert_eq!(edited(&cloud, PRODUCTION, &before), lines);
    cloud.ends("drift production", 0);
    cloud.ends("plan production --exit-code", 0);
}

const BEYOND: &str = r#"Resources:
  Vpc: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.0.0.0/16}}
  Subnet:
    Type: AWS::EC2::Subnet
    Properties: {VpcId: !Ref Vpc, CidrBlock: 10.0.0.0/24, AvailabilityZone: !Select [0, !GetAZs ""]}
  Clients: {Type: AWS::EC2::SecurityGroup, Properties: {GroupDescription: clients, VpcId: !Ref Vpc}}
  Servers: {Type: AWS::EC2::SecurityGroup, Properties: {GroupDescription: servers, VpcId: !Ref Vpc}}
  FromClients:
    Type: AWS::EC2::SecurityGroupIngress
    Properties:
      GroupId: !GetAtt Servers.GroupId
      IpProtocol: tcp
      FromPort: 5432
      ToPort: 5432
      SourceSecurityGroupId: !GetAtt Clients.GroupId
  Database:
    Type: AWS::RDS::DBInstance
    DeletionPolicy: Delete
    UpdateReplacePolicy: Delete
    Properties:
      Engine: postgres
      EngineVersion: "16.3"
      DBInstanceClass: db.t4g.small
      AllocatedStorage: "20"
      StorageEncrypted: true
      MasterUsername: master
      ManageMasterUserPassword: true
      VPCSecurityGroups: [!Ref Servers]
  Launch:
    Type: AWS::EC2::LaunchTemplate
    Properties: {LaunchTemplateData: {ImageId: ami-0abc1234def567890, InstanceType: t4g.small}}
  Group:
    Type: AWS::AutoScaling::AutoScalingGroup
    Properties:
      MinSize: "1"
      MaxSize: "2"
      VPCZoneIdentifier: [!Ref Subnet]
      LaunchTemplate: {LaunchTemplateId: !Ref Launch, Version: !GetAtt Launch.LatestVersionNumber}
"#;

/// A stack with all that is read beyond the detection.
pub(crate) fn beyond() -> Cloud {
    let lab = "project: demo\naccount: \"111111111111\"\nregion: eu-west-1\nstacks: {all: {}}\n";
    deployed(Scenario::empty().file(LAB, lab).file("templates/all/stack.yaml", BEYOND))
}

/// What CloudFormation does not compare, and we can read all the same.
#[test]
fn what_cloudformation_does_not_see_is_seen() {
    let cloud = beyond();
    cloud.run("drift lab").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        lab: no drift; 8 resources in sync, in 1 stack
    "#]]);
    let id = |resource: &str| touch(&cloud, "all", resource, &json!({"set": {}}));
    let hand = |service: [&str; 2], operation: &str, parameters: &[(&str, &str)]| {
        cloud.by_hand_in(["111111111111", "eu-west-1"], service, operation, parameters);
    };
    let servers = id("Servers");
    let rule = [
        ("GroupId", servers.as_str()),
        ("IpPermissions.1.IpProtocol", "tcp"),
        ("IpPermissions.1.FromPort", "22"),
        ("IpPermissions.1.ToPort", "22"),
        ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0"),
    ];
    hand(["ec2", "2016-11-15"], "AuthorizeSecurityGroupIngress", &rule);
    let launch = id("Launch");
    let version = [
        ("LaunchTemplateId", launch.as_str()),
        ("SourceVersion", "1"),
        ("LaunchTemplateData.InstanceType", "t4g.large"),
    ];
    hand(["ec2", "2016-11-15"], "CreateLaunchTemplateVersion", &version);
    let database = id("Database");
    let exposed =
        [("DBInstanceIdentifier", database.as_str()), ("PubliclyAccessible", "true"), ("ApplyImmediately", "true")];
    hand(["rds", "2014-10-31"], "ModifyDBInstance", &exposed);
    cloud.come_to_rest();
    cloud.run("drift lab").stdout_only().expect(expect![[r#"
        exit 4
        -- stdout
        all
          ~ Database  AWS::RDS::DBInstance
              PubliclyAccessible  false → true   templates/all/stack.yaml:20:5
                  beyond CloudFormation's detection: the template leaves it out, and it is not RDS's default
          ~ Launch  AWS::EC2::LaunchTemplate
              LatestVersionNumber  the stack's version → a later one   templates/all/stack.yaml:31:5
                  beyond CloudFormation's detection: a later version was made past CloudFormation; the next change of the template builds on neither
          ~ Servers  AWS::EC2::SecurityGroup
              SecurityGroupIngress  nothing → tcp 22 · 0.0.0.0/0   templates/all/stack.yaml:7:44
                  beyond CloudFormation's detection: no template of this environment has such a rule

        lab: 3 differences; 8 resources in sync, in 1 stack
        hint: let it be: `greenroom drift lab --ignore all/Database/PubliclyAccessible --until DATE --because TEXT`
    "#]]);
    cloud.run("drift lab --revert all/Servers --yes").last_words().expect(expect![[r#"
        exit 3
        -- stderr
        error: `all/Servers/SecurityGroupIngress` cannot be undone by CloudFormation, which does not compare it

        hint: undo it where it was done
    "#]]);
}

/// Somebody saves the file while CloudFormation still compares.
#[test]
fn a_file_that_was_changed_meanwhile_is_not_written_over() {
    let mut cloud = deployed(scenario());
    modify_database(&cloud, "DBInstanceClass", "db.t4g.large");
    cloud.control("faults", r#"[{"operation": "DescribeStackDriftDetectionStatus", "effect": "throttle"}]"#);
    let mut adopting = cloud.command("drift lab --adopt");
    let mut child = adopting.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().contains("takes no more calls")), "it waits until it may look");
    cloud.edit(LAB, "retention: 7", "retention: 6");
    let meanwhile = cloud.scenario.read(LAB);
    cloud.control("faults", "[]");
    let rest: Vec<String> = said.map(Result::unwrap).collect();
    let ended = child.wait().unwrap();
    assert_eq!(ended.code(), Some(3), "{rest:?}");
    assert!(rest.iter().any(|line| line.contains("was changed meanwhile, so no file was touched")), "{rest:?}");
    assert_eq!(cloud.scenario.read(LAB), meanwhile);
}

/// Types of which CloudFormation compares nothing that our templates say: a launch template's data is never read back.
const NOTHING_COMPARED: &[&str] = &["AWS::EC2::LaunchTemplate"];

/// Types of which everything is said at the creation, and no API changes it afterwards.
const FIXED: &[&str] = &["AWS::EC2::SubnetRouteTableAssociation"];

/// Types of which our templates say nothing that could be the same in other words: texts and names alone.
const SAID_IN_ONE_WAY: &[&str] = &[
    "AWS::EC2::EIP",
    "AWS::EC2::InternetGateway",
    "AWS::EC2::LaunchTemplate",
    "AWS::EC2::NatGateway",
    "AWS::EC2::Route",
    "AWS::EC2::RouteTable",
    "AWS::EC2::SecurityGroup",
    "AWS::EC2::SubnetRouteTableAssociation",
    "AWS::EC2::VPCGatewayAttachment",
    "AWS::IAM::InstanceProfile",
    "AWS::KMS::Alias",
    "AWS::RDS::DBParameterGroup",
    "AWS::Route53::RecordSet",
    "AWS::SecretsManager::Secret",
];

/// A resource that stands for its type.
struct Example {
    stack: String,
    logical_id: String,
    physical_id: String,
    /// A property and another value of it, if it has one that can be changed and is compared.
    change: Option<(String, Value)>,
    /// A property and the same value in other words.
    same: Option<(String, Value)>,
}

/// A value that is surely another.
fn another(value: &Value) -> Option<Value> {
    match value {
        Value::String(text) if !text.contains("{{") => Some(json!(format!("{text}-other"))),
        Value::Number(number) => Some(json!(number.as_i64()? + 1)),
        Value::Bool(is) => Some(json!(!is)),
        Value::Array(items) if !items.is_empty() => Some(json!([])),
        Value::Object(entries) => {
            let (name, inner) = entries.iter().find_map(|(name, value)| Some((name, another(value)?)))?;
            let mut entries = entries.clone();
            entries.insert(name.clone(), inner);
            Some(Value::Object(entries))
        }
        Value::String(_) | Value::Null | Value::Array(_) => None,
    }
}

/// The same in other words, as services give it back: a list in another order, a whole number with its fraction, a truth with a
/// capital letter, a policy's only action in a list.
fn alike(value: &Value) -> Option<Value> {
    match value {
        Value::Number(number) => Some(json!(format!("{number}.0"))),
        Value::Bool(is) => Some(json!(if *is { "True" } else { "False" })),
        Value::Array(items) if items.len() > 1 && items.first() != items.last() => {
            Some(items.iter().rev().cloned().collect())
        }
        Value::Array(items) => {
            let (position, inner) = items.iter().enumerate().find_map(|(at, value)| Some((at, alike(value)?)))?;
            let mut items = items.clone();
            items[position] = inner;
            Some(Value::Array(items))
        }
        Value::Object(entries) if entries.get("Action").is_some_and(Value::is_string) => {
            let mut entries = entries.clone();
            entries["Action"] = json!([entries["Action"]]);
            Some(Value::Object(entries))
        }
        Value::Object(entries) => {
            let (name, inner) = entries.iter().find_map(|(name, value)| Some((name, alike(value)?)))?;
            let mut entries = entries.clone();
            entries.insert(name.clone(), inner);
            Some(Value::Object(entries))
        }
        Value::String(_) | Value::Null => None,
    }
}

/// One resource for every type that a deployed cloud has.
fn examples(cloud: &Cloud) -> BTreeMap<String, Example> {
    let facts: Value = serde_json::from_str(include_str!("../data/resource-types.json")).unwrap();
    let state = cloud.control("state", "");
    let stacks = state["places"]["222222222222"]["ap-southeast-2"]["cloudformation"]["stacks"].as_object().unwrap();
    let mut examples: BTreeMap<String, Example> = BTreeMap::new();
    for stack in stacks.values() {
        for (id, resource) in stack["resources"].as_object().unwrap() {
            let kind = resource["type_name"].as_str().unwrap();
            let listed = |list: &str| facts["types"][kind][list].as_array().cloned().unwrap_or_default();
            let (hidden, fixed) = (listed("write_only"), listed("create_only"));
            let compared =
                resource["properties"].as_object().unwrap().iter().filter(|(name, _)| {
                    !name.ends_with("KmsKeyId") && *name != "Tags" && !hidden.contains(&json!(name))
                });
            let changeable = compared.clone().filter(|(name, _)| !fixed.contains(&json!(name)));
            let example = Example {
                stack: stack["name"].as_str().unwrap().to_owned(),
                logical_id: id.clone(),
                physical_id: resource["physical_id"].as_str().unwrap().to_owned(),
                change: changeable
                    .clone()
                    .find_map(|(name, value)| Some((name.clone(), another(value)?)))
                    .or_else(|| Some(("Tags".to_owned(), another(resource["properties"].get("Tags")?)?))),
                same: compared.clone().find_map(|(name, value)| Some((name.clone(), alike(value)?))),
            };
            match examples.get_mut(kind) {
                None => drop(examples.insert(kind.to_owned(), example)),
                Some(known) => {
                    let says_more = |own: bool, others: bool| others && !own;
                    if says_more(known.change.is_some(), example.change.is_some())
                        || says_more(known.same.is_some(), example.same.is_some()) && known.change.is_none()
                    {
                        *known = example;
                    }
                }
            }
        }
    }
    examples
}

/// For every type that production ships: a changed property, a deleted resource, one that is the same in other words and one that
/// cannot be read are found, each as itself. The hands are those of whoever uses Cloud Control.
#[test]
fn every_shipped_type_is_found_changed_deleted_alike_and_unreadable() {
    const HOME: [&str; 2] = ["222222222222", "ap-southeast-2"];
    let mut cloud = Cloud::with(Scenario::shipped(), &["--page-size", "50", "--pace", "auto"]);
    cloud.ends("deploy production --confirm production", 0);
    cloud.come_to_rest();
    let examples = examples(&cloud);
    let saved = cloud.saved();
    let kinds = |ran: &Ran, list: &str, class: &str| -> BTreeSet<String> {
        let report: Value = serde_json::from_str(&ran.stdout).unwrap();
        let rows =
            report["drift"][list].as_array().unwrap().iter().filter(|row| class.is_empty() || row["class"] == class);
        rows.map(|row| row["kind"].as_str().unwrap().to_owned()).collect()
    };
    let all: BTreeSet<String> = examples.keys().cloned().collect();
    let without = |some: &BTreeSet<String>| -> Vec<String> { all.difference(some).cloned().collect() };

    cloud.restore(&saved);
    for (kind, example) in &examples {
        if let Some((name, value)) = &example.change {
            let patch = json!([{"op": "add", "path": format!("/{name}"), "value": value}]).to_string();
            let parameters = json!({"TypeName": kind, "Identifier": example.physical_id, "PatchDocument": patch});
            cloud.by_cloud_control(HOME, "UpdateResource", &parameters);
        }
    }
    let changed = kinds(&cloud.ends("drift production --format json", 4), "findings", "changed_by_hand");
    assert_eq!(without(&changed), [NOTHING_COMPARED, FIXED].concat());

    cloud.restore(&saved);
    for (kind, example) in &examples {
        let parameters = json!({"TypeName": kind, "Identifier": example.physical_id});
        cloud.by_cloud_control(HOME, "DeleteResource", &parameters);
    }
    let ran = cloud.run("drift production --format json");
    assert_eq!(without(&kinds(&ran, "findings", "deleted")), Vec::<String>::new(), "{ran}");

    // Nobody does this by hand: it is how services tell what they were told.
    cloud.restore(&saved);
    for example in examples.values() {
        if let Some((name, value)) = &example.same {
            let body = json!({
                "account": HOME[0], "region": HOME[1], "stack": example.stack, "logical_id": example.logical_id,
                "set": {name: value},
            });
            cloud.control("touch", &body.to_string());
        }
    }
    let ran = cloud.run("drift production --format json");
    assert_eq!(kinds(&ran, "findings", "changed_by_hand"), BTreeSet::new(), "{ran}");
    assert_eq!(without(&kinds(&ran, "findings", "false_positive")), SAID_IN_ONE_WAY);

    cloud.restore(&saved);
    cloud.control("faults", r#"[{"effect": "unreadable"}]"#);
    let unread = kinds(&cloud.ends("drift production --format json", 6), "unread", "");
    assert_eq!(unread, all);
}
