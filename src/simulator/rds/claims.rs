//! The life of databases and snapshots, case by case (RDS User Guide; RDS API), without a server.

use crate::simulator::bench::{Bench, signed};
use crate::simulator::cloudformation::StackStatus;
use serde_json::json;

impl Bench {
    fn rds(&mut self, form: &str) -> (u16, String) {
        let answer = self.send(&signed("rds", form));
        (answer.status, String::from_utf8_lossy(&answer.body).into_owned())
    }

    fn database_is(&mut self, status: &str) -> bool {
        let (_, answer) = self.rds("Action=DescribeDBInstances&DBInstanceIdentifier=d");
        answer.contains(&format!("<DBInstanceStatus>{status}</DBInstanceStatus>"))
    }
}

/// A database `d` that was just asked for.
fn begun() -> Bench {
    let mut bench = Bench::new(false);
    let (code, answer) = bench.rds(
        "Action=CreateDBInstance&DBInstanceIdentifier=d&DBInstanceClass=db.t4g.micro&Engine=postgres&EngineVersion=16.3\
         &AllocatedStorage=20&MasterUsername=m&MasterUserPassword=long-enough&DBName=n&BackupRetentionPeriod=1",
    );
    assert_eq!(code, 200, "{answer}");
    bench
}

fn available() -> Bench {
    let mut bench = begun();
    assert!(bench.rest());
    bench
}

#[test]
fn a_database_is_created_then_backed_up_then_available() {
    let mut bench = begun();
    assert!(bench.database_is("creating"));
    let durations = bench.world.rules.durations.clone();
    bench.advance(durations.database_create);
    assert!(bench.database_is("backing-up"));
    bench.advance(durations.database_backup);
    assert!(bench.database_is("available"));
    let (_, answer) = bench.rds("Action=DescribeDBSnapshots&SnapshotType=automated");
    assert!(answer.contains("<DBSnapshotIdentifier>rds:d-2023-11-"), "{answer}");
}

#[test]
fn a_snapshot_needs_an_available_database() {
    let mut bench = begun();
    let (code, answer) = bench.rds("Action=CreateDBSnapshot&DBInstanceIdentifier=d&DBSnapshotIdentifier=s");
    assert_eq!(code, 400);
    assert!(answer.contains("<Code>InvalidDBInstanceState</Code>"));
    assert!(
        answer.contains(
            "Cannot create a snapshot because the database instance d is not currently in the available state."
        )
    );
}

#[test]
fn a_snapshot_shows_its_progress() {
    let mut bench = available();
    bench.rds("Action=CreateDBSnapshot&DBInstanceIdentifier=d&DBSnapshotIdentifier=s");
    let half = bench.world.rules.durations.snapshot / 2;
    bench.advance(half);
    let (_, answer) = bench.rds("Action=DescribeDBSnapshots&DBSnapshotIdentifier=s");
    assert!(
        answer.contains("<Status>creating</Status>") && answer.contains("<PercentProgress>50</PercentProgress>"),
        "{answer}"
    );
}

#[test]
fn a_change_waits_for_its_window_unless_it_is_immediate() {
    let mut bench = available();
    bench.rds("Action=ModifyDBInstance&DBInstanceIdentifier=d&DBInstanceClass=db.r7g.large");
    let (_, answer) = bench.rds("Action=DescribeDBInstances&DBInstanceIdentifier=d");
    assert!(answer.contains("<PendingModifiedValues><DBInstanceClass>db.r7g.large</DBInstanceClass>"), "{answer}");
    bench.rds("Action=RebootDBInstance&DBInstanceIdentifier=d");
    assert!(bench.database_is("rebooting"));
    assert!(bench.rest());
    let (_, answer) = bench.rds("Action=DescribeDBInstances&DBInstanceIdentifier=d");
    assert!(answer.contains("<PendingModifiedValues></PendingModifiedValues>"), "{answer}");
    assert!(answer.contains("<DBInstanceClass>db.r7g.large</DBInstanceClass>"));
}

#[test]
fn a_busy_database_takes_no_change() {
    let mut bench = begun();
    let (_, answer) = bench.rds("Action=ModifyDBInstance&DBInstanceIdentifier=d&AllocatedStorage=30");
    assert!(answer.contains("Database instance is not in available state."), "{answer}");
}

#[test]
fn a_protected_database_is_not_deleted() {
    let mut bench = available();
    bench.rds("Action=ModifyDBInstance&DBInstanceIdentifier=d&DeletionProtection=true");
    let (_, answer) = bench.rds("Action=DeleteDBInstance&DBInstanceIdentifier=d&SkipFinalSnapshot=true");
    assert!(answer.contains("<Code>InvalidParameterCombination</Code>"));
    assert!(answer.contains("Cannot delete protected DB Instance, please disable deletion protection and try again."));
}

#[test]
fn automated_snapshots_die_with_their_database_and_manual_ones_do_not() {
    let mut bench = available();
    bench.rds("Action=DeleteDBInstance&DBInstanceIdentifier=d&FinalDBSnapshotIdentifier=last");
    assert!(bench.rest());
    let (_, answer) = bench.rds("Action=DescribeDBSnapshots");
    assert!(
        answer.contains("<DBSnapshotIdentifier>last</DBSnapshotIdentifier>") && !answer.contains("rds:d-"),
        "{answer}"
    );
    let (code, answer) = bench.rds("Action=DescribeDBInstances&DBInstanceIdentifier=d");
    assert!(code == 404 && answer.contains("<Code>DBInstanceNotFound</Code>"), "{answer}");
}

#[test]
fn a_restore_to_less_storage_is_refused() {
    let mut bench = available();
    bench.rds("Action=CreateDBSnapshot&DBInstanceIdentifier=d&DBSnapshotIdentifier=s");
    assert!(bench.rest());
    let restore = "Action=RestoreDBInstanceFromDBSnapshot&DBInstanceIdentifier=c&DBSnapshotIdentifier=s";
    let (code, _) = bench.rds(&format!("{restore}&AllocatedStorage=10"));
    assert_eq!(code, 400);
    assert_eq!(bench.rds(restore).0, 200);
}

// clone.md 2.5: terminal statuses end a wait; the fault makes one.
#[test]
fn a_broken_restore_fails_the_stack_with_its_status() {
    let mut bench = available();
    bench.rds("Action=CreateDBSnapshot&DBInstanceIdentifier=d&DBSnapshotIdentifier=s");
    assert!(bench.rest());
    bench.plan_faults(&json!([{"effect": {"database_status": {"status": "incompatible-restore"}}}]));
    let database = json!({"Type": "AWS::RDS::DBInstance", "DeletionPolicy": "Delete", "Properties": {"DBSnapshotIdentifier": "s", "DBInstanceClass": "db.t4g.micro"}});
    bench.deploy(&json!({"Resources": {"D": database}}), false);
    assert!(bench.rest());
    assert_eq!(bench.status(), Some(StackStatus::RollbackComplete));
    let told = bench.events();
    assert!(told.iter().any(|(_, _, reason)| reason.contains("is in state: incompatible-restore")), "{told:?}");
}

// RDS User Guide, "Working with parameters": a static parameter waits for a reboot.
#[test]
fn a_static_parameter_waits_for_a_reboot() {
    let mut bench = Bench::new(false);
    let template = |connections: &str| {
        json!({"Resources": {
            "G": {"Type": "AWS::RDS::DBParameterGroup", "Properties": {"Family": "postgres16", "Description": "d", "Parameters": {"max_connections": connections}}},
            "D": {"Type": "AWS::RDS::DBInstance", "DeletionPolicy": "Delete", "Properties": {
                "DBInstanceIdentifier": "d", "DBInstanceClass": "db.t4g.micro", "Engine": "postgres", "AllocatedStorage": "20",
                "MasterUsername": "m", "MasterUserPassword": "long-enough", "DBParameterGroupName": {"Ref": "G"}}},
        }})
    };
    bench.deploy(&template("100"), false);
    assert!(bench.rest());
    bench.deploy(&template("200"), false);
    assert!(bench.rest());
    let (_, answer) = bench.rds("Action=DescribeDBInstances&DBInstanceIdentifier=d");
    assert!(answer.contains("<ParameterApplyStatus>pending-reboot</ParameterApplyStatus>"), "{answer}");
}

impl Bench {
    /// The names of all snapshots of `d`, in order.
    fn snapshots(&mut self, kind: &str) -> Vec<String> {
        let (_, answer) = self.rds(&format!("Action=DescribeDBSnapshots&SnapshotType={kind}"));
        let parts = answer.split("<DBSnapshotIdentifier>").skip(1);
        parts.filter_map(|part| Some(part.split_once('<')?.0.to_owned())).collect()
    }

    fn is_refused(&mut self, form: &str, code: &str) {
        let (_, answer) = self.rds(form);
        assert!(answer.contains(&format!("<Code>{code}</Code>")), "{answer}");
    }
}

const DAY: u64 = 86_400;

// RDS User Guide, "Introduction to backups": one a day, kept for the retention period.
#[test]
fn an_automated_snapshot_is_taken_each_day_and_kept_for_the_retention() {
    let mut bench = available();
    bench.rds("Action=ModifyDBInstance&DBInstanceIdentifier=d&BackupRetentionPeriod=3");
    let first = bench.snapshots("automated");
    assert_eq!(first.len(), 1);
    bench.advance(2 * DAY);
    let later = bench.snapshots("automated");
    assert_eq!((later.len(), &later[0]), (3, &first[0]));
    bench.advance(30 * DAY);
    let last = bench.snapshots("automated");
    assert!(last.len() <= 4 && !last.contains(&first[0]), "{last:?}");
    assert_eq!(bench.snapshots("automated"), last, "a look changes nothing");
}

#[test]
fn a_database_without_retention_has_no_automated_snapshots() {
    let mut bench = available();
    bench.rds("Action=ModifyDBInstance&DBInstanceIdentifier=d&BackupRetentionPeriod=0");
    bench.advance(3 * DAY);
    assert_eq!(bench.snapshots("automated"), Vec::<String>::new());
}

// clone.md 2.3: what the call does not say comes from RDS's defaults, but for size, port, class, retention and tags.
#[test]
fn a_restore_drops_what_the_real_one_drops() {
    let mut bench = available();
    bench.rds(
        "Action=ModifyDBInstance&DBInstanceIdentifier=d&MultiAZ=true&StorageType=io2&Iops=3000&MonitoringInterval=60\
         &EnablePerformanceInsights=true&DeletionProtection=true&MaxAllocatedStorage=500&ApplyImmediately=true",
    );
    assert!(bench.rest());
    bench.rds("Action=CreateDBSnapshot&DBInstanceIdentifier=d&DBSnapshotIdentifier=s");
    assert!(bench.rest());
    bench.rds("Action=RestoreDBInstanceFromDBSnapshot&DBInstanceIdentifier=c&DBSnapshotIdentifier=s");
    assert!(bench.rest());
    let (_, answer) = bench.rds("Action=DescribeDBInstances&DBInstanceIdentifier=c");
    for kept in ["<EngineVersion>16.3<", "<DBName>n<", "<MasterUsername>m<", "<AllocatedStorage>20<"] {
        assert!(answer.contains(kept), "{kept} in {answer}");
    }
    for dropped in [
        "<MultiAZ>false<",
        "<StorageType>gp3<",
        "<MonitoringInterval>0<",
        "<PerformanceInsightsEnabled>false<",
        "<DeletionProtection>false<",
        "<DBParameterGroupName>default.postgres16<",
        "<OptionGroupName>default:postgres-16<",
    ] {
        assert!(answer.contains(dropped), "{dropped} in {answer}");
    }
    assert!(!answer.contains("MaxAllocatedStorage"), "{answer}");
}

// RDS User Guide, "Sharing encrypted snapshots", "Copying a DB snapshot".
#[test]
fn what_lies_under_the_accounts_own_key_or_under_none_here_goes_nowhere() {
    let mut bench = begun();
    bench.rds(
        "Action=CreateDBInstance&DBInstanceIdentifier=e&DBInstanceClass=db.t4g.micro&Engine=postgres&EngineVersion=16.3\
         &AllocatedStorage=20&MasterUsername=m&MasterUserPassword=long-enough&StorageEncrypted=true",
    );
    assert!(bench.rest());
    bench.rds("Action=CreateDBSnapshot&DBInstanceIdentifier=e&DBSnapshotIdentifier=s");
    assert!(bench.rest());
    let share =
        "Action=ModifyDBSnapshotAttribute&DBSnapshotIdentifier=s&AttributeName=restore&ValuesToAdd.AttributeValue.1=";
    bench.is_refused(&format!("{share}222222222222"), "InvalidDBSnapshotState");
    let copy = "Action=CopyDBSnapshot&SourceDBSnapshotIdentifier=s&TargetDBSnapshotIdentifier=t&KmsKeyId=no-such-key";
    bench.is_refused(copy, "KMSKeyNotAccessibleFault");
}
