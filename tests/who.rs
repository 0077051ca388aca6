//! `drift --who`: who made a difference, when and by which call, as CloudTrail tells it.

use regex::Regex;
use serde_json::{Value, json};

use crate::support::cloud::Cloud;
use crate::support::{Ran, Scenario};

const LAB: &str = "project: demo\naccount: \"111111111111\"\nregion: eu-west-1\ndeploy: {capabilities: [CAPABILITY_IAM]}\nstacks: {all: {}}\n";

const ALL: &str = r#"Resources:
  Vpc: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.0.0.0/16}}
  Access:
    Type: AWS::EC2::SecurityGroup
    Properties:
      GroupDescription: access
      VpcId: !Ref Vpc
      SecurityGroupIngress: [{IpProtocol: tcp, FromPort: 443, ToPort: 443, CidrIp: 10.0.0.0/8}]
  Role:
    Type: AWS::IAM::Role
    Properties:
      Description: ours
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement: [{Effect: Allow, Principal: {Service: ec2.amazonaws.com}, Action: sts:AssumeRole}]
  Topic: {Type: AWS::SNS::Topic, Properties: {DisplayName: papers}}
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
      BackupRetentionPeriod: 7
      CopyTagsToSnapshot: false
"#;

fn deployed() -> Cloud {
    let scenario = Scenario::empty().file("environments/lab.yaml", LAB).file("templates/all/stack.yaml", ALL);
    let cloud = Cloud::with(scenario, &["--page-size", "2", "--pace", "auto"]);
    cloud.ends("deploy lab --yes", 0);
    cloud.come_to_rest();
    cloud
}

fn touch(cloud: &Cloud, resource: &str, change: &Value) -> String {
    crate::drift::touch(cloud, "all", resource, change)
}

/// The database is changed by RDS's own API.
fn modify_database(cloud: &Cloud, name: &str, value: &str) {
    let id = touch(cloud, "Database", &json!({"set": {}}));
    let parameters = [("DBInstanceIdentifier", id.as_str()), (name, value), ("ApplyImmediately", "true")];
    cloud.by_hand_in(["111111111111", "eu-west-1"], ["rds", "2014-10-31"], "ModifyDBInstance", &parameters);
    cloud.come_to_rest();
}

/// What is said of each difference: where, and by whom. When differs from run to run.
fn told(ran: &Ran) -> Vec<String> {
    let moment = Regex::new(r"at \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ").unwrap();
    let mut property = "";
    let mut told = Vec::new();
    for line in ran.stdout.lines().map(str::trim) {
        if line.contains(" → ") || line.starts_with("- ") {
            property = line.split("  ").next().unwrap();
        } else if line.starts_with("by ") || line.starts_with("the resource was") {
            told.push(format!("{property}: {}", moment.replace(line, "at …")));
        }
    }
    told
}

#[test]
fn a_difference_is_told_with_whoever_made_it() {
    let cloud = deployed();
    modify_database(&cloud, "BackupRetentionPeriod", "9");
    modify_database(&cloud, "DBInstanceClass", "db.t4g.large");
    touch(&cloud, "Database", &json!({"set": {"CopyTagsToSnapshot": true}, "by": "Admin/jane@example.com"}));
    touch(&cloud, "Topic", &json!({"delete": true, "by": "Operators/john"}));
    let ran = cloud.ends("drift lab --who", 4);
    assert_eq!(
        told(&ran),
        [
            "BackupRetentionPeriod: by local, at …: rds:ModifyDBInstance",
            "CopyTagsToSnapshot: by jane@example.com in role Admin, at …: rds:ModifyDBInstance",
            "DBInstanceClass: by local, at …: rds:ModifyDBInstance",
            "- Topic: by john in role Operators, at …: sns:DeleteTopic",
        ],
        "{ran}"
    );
    let found: Value = serde_json::from_str(&cloud.ends("drift lab --who --format json", 4).stdout).unwrap();
    let who = &found["drift"]["findings"][1]["who"];
    assert_eq!(who["arn"], "arn:aws:sts::111111111111:assumed-role/Admin/jane@example.com", "{who}");
    let without: Value = serde_json::from_str(&cloud.ends("drift lab --format json", 4).stdout).unwrap();
    assert_eq!(without["drift"]["findings"][1]["who"], Value::Null, "nobody asked");
}

/// What lies outside of a stack's template is somebody's work, too.
#[test]
fn a_rule_from_outside_is_told_with_whoever_added_it() {
    let cloud = deployed();
    let id = touch(&cloud, "Access", &json!({"set": {}}));
    let rule = [
        ("GroupId", id.as_str()),
        ("IpPermissions.1.IpProtocol", "tcp"),
        ("IpPermissions.1.FromPort", "22"),
        ("IpPermissions.1.ToPort", "22"),
        ("IpPermissions.1.IpRanges.1.CidrIp", "203.0.113.0/24"),
    ];
    let place = ["111111111111", "eu-west-1"];
    cloud.by_hand_in(place, ["ec2", "2016-11-15"], "AuthorizeSecurityGroupIngress", &rule);
    let ran = cloud.ends("drift lab --who", 4);
    assert!(ran.stdout.contains("by local, at 20"), "{ran}");
    assert!(ran.stdout.contains(": ec2:AuthorizeSecurityGroupIngress\n"), "{ran}");
}

/// Services without Regions are told of in one.
#[test]
fn a_role_is_looked_up_where_its_calls_are_told_of() {
    let cloud = deployed();
    touch(&cloud, "Role", &json!({"set": {"Description": "theirs"}, "by": "Admin/jane"}));
    let ran = cloud.ends("drift lab --who", 4);
    assert_eq!(told(&ran), ["Description: by jane in role Admin, at …: iam:UpdateRole"], "{ran}");
    let looked: Vec<Value> = cloud.control("journal", "").as_array().unwrap().clone();
    let looked = looked.iter().filter(|call| call["operation"] == "LookupEvents");
    let regions: Vec<&str> = looked.filter_map(|call| call["region"].as_str()).collect();
    assert!(!regions.is_empty() && regions.iter().all(|region| *region == "us-east-1"), "{regions:?}");
}

#[test]
fn of_what_nobody_did_nobody_is_accused() {
    let cloud = deployed();
    // CloudFormation has made the topic, and that is in the trail; whoever changed it is not.
    touch(&cloud, "Topic", &json!({"set": {"DisplayName": "other"}}));
    let ran = cloud.ends("drift lab --who", 4);
    let unknown = "by whom is not known: of the last 90 days CloudTrail has no such call, and it learns of one some minutes later";
    assert_eq!(told(&ran), [format!("DisplayName: {unknown}")], "{ran}");
}

/// Drift is known without it: the gate is closed by what differs, and by nothing else.
#[test]
fn a_trail_that_may_not_be_read_is_said_and_changes_nothing_else() {
    let cloud = deployed();
    touch(&cloud, "Topic", &json!({"set": {"DisplayName": "other"}}));
    modify_database(&cloud, "BackupRetentionPeriod", "9");
    let denied = json!([{"operation": "LookupEvents", "effect": {"error": {"code": "AccessDeniedException", "message": "you may not look", "status": 400}}}]);
    cloud.control("faults", &denied.to_string());
    let ran = cloud.ends("drift lab --who", 4);
    let because = "by whom could not be read: you may not look";
    assert_eq!(told(&ran), [format!("BackupRetentionPeriod: {because}"), format!("DisplayName: {because}")], "{ran}");
    let looked = cloud.control("journal", "");
    let looked = looked.as_array().unwrap().iter().filter(|call| call["operation"] == "LookupEvents").count();
    assert_eq!(looked, 1, "who is refused once is refused again");
}

#[test]
fn who_is_for_looking_only() {
    let cloud = deployed();
    for with in ["--revert all/Topic", "--adopt all/Topic/DisplayName"] {
        let ran = cloud.ends(&format!("drift lab --who {with}"), 2);
        assert!(ran.stderr.contains("cannot be used with"), "{ran}");
    }
}
