//! `diff --live`: whether two environments that should be alike are so in fact. Hands from outside change one of them.

use expect_test::expect;
use serde_json::{Value, json};

use crate::support::Scenario;
use crate::support::cloud::Cloud;

const INPUTS: &str = r"type: object
properties:
  size: {type: integer, default: 2, description: How many instances}
";

const STACK: &str = r#"Resources:
  Vpc: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.0.0.0/16}}
  SubnetA:
    Type: AWS::EC2::Subnet
    Properties: {VpcId: !Ref Vpc, CidrBlock: 10.0.0.0/24, AvailabilityZone: !Select [0, !GetAZs ""]}
  SubnetB:
    Type: AWS::EC2::Subnet
    Properties: {VpcId: !Ref Vpc, CidrBlock: 10.0.1.0/24, AvailabilityZone: !Select [1, !GetAZs ""]}
  Access:
    Type: AWS::EC2::SecurityGroup
    Properties:
      GroupDescription: access
      VpcId: !Ref Vpc
      SecurityGroupIngress: [{IpProtocol: tcp, FromPort: 443, ToPort: 443, CidrIp: 10.0.0.0/8}]
  Key: {Type: AWS::KMS::Key, DeletionPolicy: Delete, UpdateReplacePolicy: Delete, Properties: {KeyPolicy: {}}}
  Subnets:
    Type: AWS::RDS::DBSubnetGroup
    Properties: {DBSubnetGroupDescription: d, SubnetIds: [!Ref SubnetA, !Ref SubnetB]}
  Settings:
    Type: AWS::RDS::DBParameterGroup
    Properties: {Family: postgres16, Description: d, Parameters: {track_io_timing: "1"}}
  Database:
    Type: AWS::RDS::DBInstance
    DeletionPolicy: Delete
    UpdateReplacePolicy: Delete
    Properties:
      Engine: postgres
      EngineVersion: "16.3"
      DBInstanceClass: db.r7g.large
      AllocatedStorage: "100"
      StorageType: gp3
      StorageEncrypted: true
      KmsKeyId: !GetAtt Key.Arn
      MasterUsername: master
      ManageMasterUserPassword: true
      DBName: sync
      MultiAZ: false
      MonitoringInterval: 0
      BackupRetentionPeriod: 1
      DBSubnetGroupName: !Ref Subnets
      DBParameterGroupName: !Ref Settings
      VPCSecurityGroups: [!Ref Access]
  Balancer:
    Type: AWS::ElasticLoadBalancingV2::LoadBalancer
    Properties:
      Scheme: internal
      Subnets: [!Ref SubnetA, !Ref SubnetB]
      SecurityGroups: [!Ref Access]
      LoadBalancerAttributes: [{Key: idle_timeout.timeout_seconds, Value: "60"}]
  Targets:
    Type: AWS::ElasticLoadBalancingV2::TargetGroup
    Properties:
      VpcId: !Ref Vpc
      Port: 80
      Protocol: HTTP
      HealthCheckPath: /health
      TargetGroupAttributes: [{Key: deregistration_delay.timeout_seconds, Value: "30"}]
  Listener:
    Type: AWS::ElasticLoadBalancingV2::Listener
    Properties:
      LoadBalancerArn: !Ref Balancer
      Port: 80
      Protocol: HTTP
      DefaultActions: [{Type: forward, TargetGroupArn: !Ref Targets}]
  Launch:
    Type: AWS::EC2::LaunchTemplate
    Properties:
      LaunchTemplateData:
        ImageId: ami-0abc1234def567890
        InstanceType: t4g.small
        SecurityGroupIds: [!Ref Access]
        UserData: !Base64 {Fn::Sub: "endpoint=${Database.Endpoint.Address} stack=${AWS::StackName}"}
  Group:
    Type: AWS::AutoScaling::AutoScalingGroup
    Properties:
      MinSize: "1"
      MaxSize: "4"
      DesiredCapacity: "{{ size }}"
      VPCZoneIdentifier: [!Ref SubnetA, !Ref SubnetB]
      TargetGroupARNs: [!Ref Targets]
      LaunchTemplate: {LaunchTemplateId: !Ref Launch, Version: !GetAtt Launch.LatestVersionNumber}
  Topic: {Type: AWS::SNS::Topic, Properties: {DisplayName: alarms}}
"#;

fn environment(account: &str, rest: &str) -> String {
    format!("project: demo\naccount: \"{account}\"\nregion: eu-west-1\nstacks:\n  all: {{template: all{rest}\n")
}

/// `original` and `twin`, both deployed. The twin's file ends as given.
pub(crate) fn twins(rest: &str) -> Cloud {
    let scenario = Scenario::empty()
        .file("templates/all/inputs.yaml", INPUTS)
        .file("templates/all/stack.yaml", STACK)
        .file("environments/original.yaml", environment("111111111111", "}"))
        .file("environments/twin.yaml", environment("222222222222", rest));
    let cloud = Cloud::with(scenario, &["--pace", "auto"]);
    cloud.ends("deploy original --yes", 0);
    cloud.ends("deploy twin --yes", 0);
    cloud.come_to_rest();
    cloud
}

/// What somebody does to the twin, past CloudFormation.
fn touch(cloud: &Cloud, resource: &str, change: &Value) -> String {
    let mut body =
        json!({"account": "222222222222", "region": "eu-west-1", "stack": "demo-twin-all", "logical_id": resource});
    body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    cloud.control("touch", &body.to_string())["physical_id"].as_str().unwrap().to_owned()
}

/// The same by a service's own API. The local cloud knows one version of each.
fn by_hand(cloud: &Cloud, service: &str, operation: &str, parameters: &[(&str, &str)]) {
    cloud.by_hand_in(["222222222222", "eu-west-1"], [service, "latest"], operation, parameters);
}

/// What differs, and nobody says that it may: path by path.
fn undeclared(cloud: &Cloud) -> Vec<String> {
    let ran = cloud.run("diff original twin --live --exit-code --format json");
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    let rows = report["parity"]["rows"].as_array().unwrap().iter();
    let found: Vec<String> =
        rows.filter(|row| row["verdict"] == "undeclared").map(|row| row["path"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ran.code, Some(if found.is_empty() { 0 } else { 4 }), "{ran}");
    found
}

#[test]
fn twins_have_nothing_between_them() {
    let cloud = twins("}");
    cloud.run("diff original twin --live --exit-code").expect(expect![[r#"
        exit 0
        -- stdout
        original → twin: 90 equal
        4 of these are resources of which only their being there was compared
        -- stderr
        original · local cloud, nothing is real · eu-west-1
        twin · local cloud, nothing is real · eu-west-1
    "#]]);
}

/// A change from outside, and the one path at which it must be found.
const SEEDS: &[(&str, &str, &str)] = &[
    ("Database", r#"{"DBInstanceClass": "db.r7g.xlarge"}"#, "DBInstanceClass"),
    ("Database", r#"{"EngineVersion": "16.4"}"#, "EngineVersion"),
    ("Database", r#"{"StorageType": "gp2"}"#, "StorageType"),
    ("Database", r#"{"AllocatedStorage": "120"}"#, "AllocatedStorage"),
    ("Database", r#"{"MaxAllocatedStorage": 500}"#, "MaxAllocatedStorage"),
    ("Database", r#"{"Iops": 6000}"#, "Iops"),
    ("Database", r#"{"StorageThroughput": 500}"#, "StorageThroughput"),
    ("Database", r#"{"MultiAZ": true}"#, "MultiAZ"),
    ("Database", r#"{"MonitoringInterval": 60}"#, "MonitoringInterval"),
    ("Database", r#"{"EnablePerformanceInsights": true}"#, "EnablePerformanceInsights"),
    ("Database", r#"{"DatabaseInsightsMode": "advanced"}"#, "DatabaseInsightsMode"),
    ("Database", r#"{"CACertificateIdentifier": "rds-ca-ecc384-g1"}"#, "CACertificateIdentifier"),
    ("Database", r#"{"EnableIAMDatabaseAuthentication": true}"#, "EnableIAMDatabaseAuthentication"),
    ("Database", r#"{"EnableCloudwatchLogsExports": ["postgresql"]}"#, "EnableCloudwatchLogsExports"),
    ("Database", r#"{"AutoMinorVersionUpgrade": false}"#, "AutoMinorVersionUpgrade"),
    ("Database", r#"{"CopyTagsToSnapshot": true}"#, "CopyTagsToSnapshot"),
    ("Database", r#"{"PubliclyAccessible": true}"#, "PubliclyAccessible"),
    ("Database", r#"{"StorageEncrypted": false}"#, "StorageEncrypted"),
    ("Database", r#"{"Port": "5433"}"#, "Port"),
    ("Database", r#"{"DBName": "other"}"#, "DBName"),
    ("Database", r#"{"MasterUsername": "other"}"#, "MasterUsername"),
    (
        "Database",
        r#"{"EngineLifecycleSupport": "open-source-rds-extended-support-disabled"}"#,
        "EngineLifecycleSupport",
    ),
    ("Database", r#"{"PreferredBackupWindow": "01:00-01:30"}"#, "PreferredBackupWindow"),
    ("Group", r#"{"MinSize": "2"}"#, "MinSize"),
    ("Group", r#"{"MaxSize": "8"}"#, "MaxSize"),
    ("Group", r#"{"HealthCheckType": "ELB"}"#, "HealthCheckType"),
    ("Group", r#"{"HealthCheckGracePeriod": 300}"#, "HealthCheckGracePeriod"),
    ("Group", r#"{"Cooldown": "60"}"#, "Cooldown"),
    ("Group", r#"{"TerminationPolicies": ["OldestInstance"]}"#, "TerminationPolicies"),
    ("Group", r#"{"TargetGroupARNs": []}"#, "TargetGroupARNs"),
    ("Balancer", r#"{"Scheme": "internet-facing"}"#, "Scheme"),
    (
        "Balancer",
        r#"{"LoadBalancerAttributes": [{"Key": "idle_timeout.timeout_seconds", "Value": "120"}]}"#,
        "LoadBalancerAttributes/idle_timeout.timeout_seconds",
    ),
    ("Targets", r#"{"HealthCheckPath": "/"}"#, "HealthCheckPath"),
    ("Targets", r#"{"HealthCheckIntervalSeconds": "10"}"#, "HealthCheckIntervalSeconds"),
    ("Targets", r#"{"Port": "8080"}"#, "Port"),
    (
        "Targets",
        r#"{"TargetGroupAttributes": [{"Key": "deregistration_delay.timeout_seconds", "Value": "300"}]}"#,
        "TargetGroupAttributes/deregistration_delay.timeout_seconds",
    ),
    ("Listener", r#"{"Port": "443"}"#, "Port"),
    ("Listener", r#"{"SslPolicy": "ELBSecurityPolicy-TLS13-1-2-2021-06"}"#, "SslPolicy"),
    ("Vpc", r#"{"CidrBlock": "10.9.0.0/16"}"#, "CidrBlock"),
    ("SubnetA", r#"{"MapPublicIpOnLaunch": true}"#, "MapPublicIpOnLaunch"),
    ("Access", r#"{"SecurityGroupIngress": []}"#, "SecurityGroupIngress"),
];

// Thirty kinds of difference and more: all found, each at its own path and at no other.
#[test]
fn every_kind_of_difference_is_found_where_it_is() {
    let mut cloud = twins("}");
    let saved = cloud.saved();
    for (resource, change, property) in SEEDS {
        cloud.restore(&saved);
        let set: Value = serde_json::from_str(change).unwrap();
        touch(&cloud, resource, &json!({ "set": set }));
        assert_eq!(undeclared(&cloud), [format!("all/{resource}/{property}")], "{change}");
    }
    cloud.restore(&saved);
    assert!(undeclared(&cloud).is_empty());
}

#[test]
fn what_hangs_together_is_told_together() {
    let mut cloud = twins("}");
    let saved = cloud.saved();
    let mut check = |act: &dyn Fn(&Cloud), expected: &[&str]| {
        cloud.restore(&saved);
        act(&cloud);
        assert_eq!(undeclared(&cloud), expected);
    };
    // From 400 GiB on the storage is another: four volumes.
    check(
        &|cloud| {
            touch(cloud, "Database", &json!({"set": {"AllocatedStorage": "400"}}));
        },
        &["all/Database/AllocatedStorage", "all/Database/StorageVolumes"],
    );
    // A group of parameters is compared by what is in it, whatever it is called.
    check(
        &|cloud| {
            touch(cloud, "Settings", &json!({"set": {"Parameters": {"track_io_timing": "0", "work_mem": "1"}}}));
        },
        &["all/Database/ParameterGroup/track_io_timing", "all/Database/ParameterGroup/work_mem"],
    );
    check(
        &|cloud| {
            touch(cloud, "Settings", &json!({"set": {"Family": "postgres17"}}));
        },
        &["all/Database/ParameterGroup/Family"],
    );
    check(
        &|cloud| {
            touch(cloud, "Targets", &json!({"delete": true}));
        },
        &["all/Targets"],
    );
    check(
        &|cloud| {
            let group = touch(cloud, "Group", &json!({}));
            by_hand(
                cloud,
                "autoscaling",
                "SuspendProcesses",
                &[("AutoScalingGroupName", &group), ("ScalingProcesses.member.1", "AZRebalance")],
            );
        },
        &["all/Group/SuspendedProcesses"],
    );
    check(
        &|cloud| {
            let group = touch(cloud, "Group", &json!({}));
            by_hand(
                cloud,
                "autoscaling",
                "SetDesiredCapacity",
                &[("AutoScalingGroupName", &group), ("DesiredCapacity", "3")],
            );
            cloud.come_to_rest();
        },
        &["all/Group/DesiredCapacity", "all/Group/Instances/InService"],
    );
    // A version that nobody runs yet.
    check(
        &|cloud| {
            let template = touch(cloud, "Launch", &json!({}));
            by_hand(
                cloud,
                "ec2",
                "CreateLaunchTemplateVersion",
                &[
                    ("LaunchTemplateId", &template),
                    ("SourceVersion", "1"),
                    ("LaunchTemplateData.ImageId", "ami-0fff"),
                    ("LaunchTemplateData.UserData", "c2VjcmV0"),
                ],
            );
        },
        &[
            "all/Group/Instances/OfAnOlderVersion",
            "all/Group/LaunchTemplate/Version",
            "all/Launch/LaunchTemplateData/ImageId",
            "all/Launch/LaunchTemplateData/UserData",
        ],
    );
    // A change that waits for its window.
    check(
        &|cloud| {
            let database = touch(cloud, "Database", &json!({}));
            by_hand(
                cloud,
                "rds",
                "ModifyDBInstance",
                &[("DBInstanceIdentifier", &database), ("AllocatedStorage", "200")],
            );
        },
        &["all/Database/PendingModifications"],
    );
}

const DECLARED: &str = r#"}
differences:
  - {path: all/size, because: half of the traffic, until: 2027-01-31}
  - {path: all/Settings, because: other settings are tried, until: 2027-01-31}
  - {path: all/Database/MultiAZ, because: was tried, until: 2026-11-24}
  - {path: all/Database/Iops, because: nothing differs, until: 2027-01-31}"#;

// product.md, `differences`: with a reason and a day; what is over, or says nothing, is a finding.
#[test]
fn what_is_declared_may_differ_until_its_day() {
    let cloud = twins(DECLARED);
    touch(&cloud, "Settings", &json!({"set": {"Parameters": {"track_io_timing": "0"}}}));
    touch(&cloud, "Database", &json!({"set": {"MultiAZ": true, "BackupRetentionPeriod": 7}}));
    let group = touch(&cloud, "Group", &json!({}));
    let wanted = [("AutoScalingGroupName", group.as_str()), ("DesiredCapacity", "3")];
    by_hand(&cloud, "autoscaling", "SetDesiredCapacity", &wanted);
    cloud.come_to_rest();
    cloud.run("diff original twin --live --exit-code").expect(expect![[r#"
        exit 4
        -- stdout
        differs, and nobody says that it may
          all/Database/MultiAZ  false → true

        differs as declared
          all/Database/ParameterGroup/track_io_timing  1 → 0  until 2027-01-31: other settings are tried
          all/Group/DesiredCapacity                    2 → 3  until 2027-01-31: half of the traffic
          all/Group/Instances/InService                2 → 3  until 2027-01-31: half of the traffic

        original → twin: 85 equal, 1 differing by nature, 3 as declared, 1 undeclared
        4 of these are resources of which only their being there was compared

        warning: `all/Database/Iops` declares a difference that is not there (environments/twin.yaml:10:12)

        warning: `all/Database/MultiAZ` ended on 2026-11-24 and is not honoured (environments/twin.yaml:9:12)
        -- stderr
        original · local cloud, nothing is real · eu-west-1
        twin · local cloud, nothing is real · eu-west-1
    "#]]);
}

// "Could not read" is never "fine": neither a resource that is denied, nor one that is on its way.
#[test]
fn what_cannot_be_read_is_not_comparable() {
    let cloud = twins("}");
    let denied = json!({"error": {"status": 403, "code": "AccessDenied", "message": "User is not authorized to perform: elasticloadbalancing:DescribeTargetGroups"}});
    cloud.faults(&json!([{"operation": "DescribeTargetGroups", "effect": denied}]));
    cloud.run("diff original twin --live").expect(expect![[r#"
        exit 6
        -- stdout
        not comparable
          all/Targets  `original`: User is not authorized to perform: elasticloadbalancing:DescribeTargetGroups

        original → twin: 78 equal, 1 not comparable
        4 of these are resources of which only their being there was compared
        -- stderr
        original · local cloud, nothing is real · eu-west-1
        twin · local cloud, nothing is real · eu-west-1
    "#]]);
}

#[test]
fn a_database_that_changes_is_not_comparable() {
    let mut cloud = twins("}");
    let saved = cloud.saved();
    cloud.choose(&["--pace", "manual"]);
    cloud.restore(&saved);
    let database = touch(&cloud, "Database", &json!({}));
    by_hand(&cloud, "rds", "RebootDBInstance", &[("DBInstanceIdentifier", &database)]);
    let ran = cloud.ends("diff original twin --live --format json", 6);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    let because = "`twin`: database `demo-twin-all-database-[id]` is rebooting";
    let row = json!({"path": "all/Database", "kind": "AWS::RDS::DBInstance", "verdict": "not_comparable", "because": because});
    assert_eq!(report["parity"]["rows"], json!([row]));
}

#[test]
fn a_stack_that_one_side_lacks_is_a_difference() {
    let cloud = twins("}");
    cloud.ends("destroy twin --yes", 0);
    cloud.run("diff original twin --live --exit-code").expect(expect![[r#"
        exit 4
        -- stdout
        differs, and nobody says that it may
          all  there → nothing

        original → twin: 1 undeclared
        -- stderr
        original · local cloud, nothing is real · eu-west-1
        twin · local cloud, nothing is real · eu-west-1
    "#]]);
}
