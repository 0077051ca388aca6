//! `clone`, before its first change and after its bad ends: what stands in the way is said at once, and whatever happens the
//! source is as it was.

use expect_test::expect;
use serde_json::{Value, json};

use crate::clone::{CLONE, twins, with_source};
use crate::support::Ran;
use crate::support::cloud::Cloud;

/// Calls that change something in a place, since there were so many in the journal.
fn changes(cloud: &Cloud, since: usize, account: &str) -> Vec<String> {
    let journal = cloud.control("journal", "");
    let looks = ["Describe", "Get", "List", "Validate", "Assume", "HEAD", "GET"];
    let entries = journal.as_array().unwrap().iter().skip(since);
    let here = entries.filter(|entry| entry["account"] == account && entry["region"] == "eu-west-1");
    let here = here.filter(|entry| entry["status"] == 200);
    let operations = here.map(|entry| entry["operation"].as_str().unwrap().to_owned());
    operations.filter(|operation| !looks.iter().any(|look| operation.starts_with(look))).collect()
}

fn length(cloud: &Cloud) -> usize {
    cloud.control("journal", "").as_array().unwrap().len()
}

/// Of the source nothing was asked but a copy of a snapshot, and that the target may read it.
#[track_caller]
fn source_is_untouched(cloud: &Cloud, since: usize) {
    let allowed = ["CopyDBSnapshot", "ModifyDBSnapshotAttribute"];
    let changes = changes(cloud, since, "222222222222");
    assert!(changes.iter().all(|operation| allowed.contains(&operation.as_str())), "{changes:?}");
}

#[test]
fn what_is_not_granted_is_said_before_anything_is_made() {
    let cloud = with_source();
    for number in 0..40 {
        let id = format!("other-{number}");
        let parameters = [
            ("DBInstanceIdentifier", id.as_str()),
            ("DBInstanceClass", "db.t4g.micro"),
            ("Engine", "postgres"),
            ("MasterUsername", "demo"),
            ("MasterUserPassword", "long-enough"),
            ("AllocatedStorage", "20"),
        ];
        cloud.by_hand_in(["444444444444", "eu-west-1"], ["rds", "2014-10-31"], "CreateDBInstance", &parameters);
    }
    let key = json!({
        "account": "222222222222", "region": "eu-west-1", "stack": "demo-live-database", "logical_id": "Key",
        "set": {"Enabled": false},
    });
    cloud.control("touch", &key.to_string());
    let since = length(&cloud);
    let ran = cloud.ends(CLONE, 3);
    expect![[r#"
        twin · local cloud, nothing is real · eu-west-1
        error: the clone of `live` as `twin` is refused
          account 444444444444 has 40 of 40 databases in eu-west-1, and the clone needs 1 more
          key arn:aws:kms:eu-west-1:222222222222:key/[id] cannot be used: it is Disabled

        hint: ask for more under Service Quotas, or end a clone: `greenroom status` says when each ends
        hint: `aws kms enable-key`; or name another snapshot with `--snapshot ID`
    "#]]
    .assert_eq(&ran.stderr);
    assert_eq!(changes(&cloud, since, "222222222222"), Vec::<String>::new());
    assert_eq!(changes(&cloud, since, "444444444444"), Vec::<String>::new());
}

#[test]
fn a_class_that_nobody_offers_is_never_exchanged_for_another() {
    let inputs = crate::clone::DATABASE_INPUTS.replace("db.r7g.large", "db.r5.large");
    let cloud = Cloud::of(twins().file("templates/database/inputs.yaml", &inputs)).watched();
    cloud.ends("deploy live --confirm live", 0);
    let ran = cloud.ends(CLONE, 3);
    expect![[r#"
        twin · local cloud, nothing is real · eu-west-1
        error: the clone of `live` as `twin` is refused
          db.r5.large with gp2 is offered in 0 of the zones of eu-west-1; the database needs 2

        hint: `twin` needs another region than eu-west-1, or both a class that is offered there
    "#]]
    .assert_eq(&ran.stderr);
}

#[test]
fn what_may_not_be_read_keeps_a_clone_from_beginning() {
    let cloud = with_source();
    let denied = |operation: &str| {
        let error = json!({"code": "AccessDenied", "message": "may not", "status": 403});
        json!({"operation": operation, "effect": {"error": error}})
    };
    let operations = ["DescribeAccountAttributes", "DescribeOrderableDBInstanceOptions", "DescribeKey", "GetKeyPolicy"];
    cloud.faults(&operations.map(denied).into());
    let since = length(&cloud);
    let ran = cloud.ends(CLONE, 3);
    expect![[r#"
        twin · local cloud, nothing is real · eu-west-1
        error: the clone of `live` as `twin` is refused
          quotas of RDS in account 444444444444 could not be read: may not
          quotas of RDS in account 222222222222 could not be read: may not
          classes that RDS offers in account 444444444444 could not be read: may not
          key of the source's data in account 222222222222 could not be read: may not
          key of the source's data in account 444444444444 could not be read: may not
          policy of the source's key in account 222222222222 could not be read: may not

        hint: allow `rds:DescribeAccountAttributes` in account 444444444444; a clone is not begun while anything against it is unknown
        hint: allow `rds:DescribeAccountAttributes` in account 222222222222; a clone is not begun while anything against it is unknown
        hint: allow `rds:DescribeOrderableDBInstanceOptions` in account 444444444444; a clone is not begun while anything against it is unknown
        hint: allow `kms:DescribeKey` in account 222222222222; a clone is not begun while anything against it is unknown
        hint: allow `kms:DescribeKey` in account 444444444444; a clone is not begun while anything against it is unknown
        hint: allow `kms:GetKeyPolicy` in account 222222222222; a clone is not begun while anything against it is unknown
    "#]].assert_eq(&ran.stderr);
    assert_eq!(changes(&cloud, since, "444444444444"), Vec::<String>::new());
    cloud.faults(&json!([]));
    cloud.ends(CLONE, 0);
}

/// The whole way to a target in another place, and back.
fn goes_and_comes_back(target: &[(&str, &str)], copies: &[&str]) {
    let mut cloud = with_source();
    for (old, new) in target {
        cloud.edit("environments/twin.yaml", old, new);
    }
    let before = cloud.state();
    let since = length(&cloud);
    cloud.ends("clone live twin --dry-run", 0);
    assert_eq!(cloud.state(), before);
    cloud.ends(CLONE, 0);
    let journal = cloud.control("journal", "");
    let is_copy = |entry: &&Value| entry["operation"] == "CopyDBSnapshot" && entry["status"] == 200;
    let made = journal.as_array().unwrap().iter().skip(since).filter(is_copy);
    let made: Vec<String> = made
        .map(|entry| format!("{}/{}", entry["account"].as_str().unwrap(), entry["region"].as_str().unwrap()))
        .collect();
    assert_eq!(made, copies);
    source_is_untouched(&cloud, since);
    let again = cloud.ends(CLONE, 0);
    assert!(again.stdout.starts_with("twin is already a clone of live\n"), "{again}");
    cloud.ends("destroy twin --yes", 0);
    cloud.ends("plan live --exit-code", 0);
    assert_eq!(cloud.state(), before);
}

const REGION: (&str, &str) = ("lifetime: 24h", "lifetime: 24h\nregion: eu-central-1");
const ACCOUNT: (&str, &str) = ("account: \"444444444444\"", "account: \"222222222222\"");

#[test]
fn a_clone_in_another_region_is_made_of_one_copy_there() {
    goes_and_comes_back(&[REGION, ACCOUNT], &["222222222222/eu-central-1"]);
}

#[test]
fn a_clone_in_another_account_and_region_is_made_of_two_copies() {
    goes_and_comes_back(&[REGION], &["222222222222/eu-west-1", "444444444444/eu-central-1"]);
}

#[test]
fn a_region_that_no_snapshot_reaches_is_said() {
    let mut cloud = with_source();
    cloud.edit("environments/twin.yaml", "lifetime: 24h", "lifetime: 24h\nregion: cn-north-1");
    let ran = cloud.ends(CLONE, 3);
    expect![[r#"
        twin · local cloud, nothing is real · cn-north-1, eu-west-1
        error: the clone of `live` as `twin` is refused
          RDS copies no snapshots from eu-west-1 to cn-north-1

        hint: give `twin` a region of the same partition as that of `live`; in China, the same one
    "#]]
    .assert_eq(&ran.stderr);
}

/// RDS forgets a snapshot at the end of its retention, or somebody deletes it, after it was chosen: another one is.
#[test]
fn a_snapshot_that_is_gone_before_it_is_copied_is_chosen_anew() {
    let cloud = with_source();
    let gone = json!({"code": "DBSnapshotNotFound", "message": "DBSnapshot rds:x not found.", "status": 404});
    cloud.faults(&json!([{"operation": "CopyDBSnapshot", "nth": 1, "effect": {"error": gone}}]));
    cloud.ends(CLONE, 0);
    assert_eq!(cloud.control("fired", "").as_array().unwrap().len(), 1);
}

#[test]
fn a_copy_that_is_gone_before_it_is_restored_is_made_anew() {
    let cloud = with_source();
    let before = cloud.state();
    let since = length(&cloud);
    let reason = "DBSnapshot twin-src not found. (Service: Rds, Status Code: 404)";
    let fails = json!({"fail_resource": {"during": "create", "reason": reason}});
    cloud.faults(&json!([{"logical_id": "Database", "effect": fails}]));
    let ran = cloud.ends(CLONE, 1);
    assert!(ran.stderr.contains(reason), "{ran}");
    cloud.faults(&json!([]));
    let target = ["444444444444", "eu-west-1"];
    let told = cloud.by_hand_in(target, ["rds", "2014-10-31"], "DescribeDBSnapshots", &[]);
    let name = told.split("<DBSnapshotIdentifier>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    cloud.by_hand_in(target, ["rds", "2014-10-31"], "DeleteDBSnapshot", &[("DBSnapshotIdentifier", &name)]);
    let ran = cloud.ends(CLONE, 3);
    assert!(ran.stderr.contains("--recreate database"), "{ran}");
    cloud.ends("clone live twin --yes --recreate database", 0);
    source_is_untouched(&cloud, since);
    cloud.ends("destroy twin --yes", 0);
    assert_eq!(cloud.state(), before);
}

#[test]
fn credentials_that_expire_on_the_way_are_told_and_the_run_goes_on_with_new_ones() {
    let cloud = with_source();
    let since = length(&cloud);
    let now: jiff::Timestamp = cloud.control("health", "")["now"].as_str().unwrap().parse().unwrap();
    let after = (now.as_second() + 900) * 1000;
    cloud.faults(&json!([{"after": after, "effect": "expired_credentials"}]));
    let ran = cloud.ends(CLONE, 1);
    expect![[r#"
        twin · local cloud, nothing is real · eu-west-1
        error: the clone of `live` as `twin` failed
          the cloud could not be observed: the credentials have expired

        hint: `aws sso login`, or get new credentials, then run the command again
    "#]]
    .assert_eq(&ran.stderr);
    cloud.faults(&json!([]));
    cloud.ends(CLONE, 0);
    source_is_untouched(&cloud, since);
    assert_eq!(cloud.calls("CopyDBSnapshot"), 2);
}

/// A database that came back in a state which it does not leave by itself.
fn ends_in(status: &str, expectation: &expect_test::Expect) {
    let cloud = with_source();
    let before = cloud.state();
    let since = length(&cloud);
    cloud.faults(&json!([{"times": 1, "effect": {"database_status": {"status": status}}}]));
    let ran = cloud.run(CLONE);
    let again = cloud.run(CLONE);
    // How often progress is told is a matter of looks.
    let told = |ran: &Ran| ran.stderr[ran.stderr.find("error: ").unwrap()..].to_owned();
    assert_eq!((ran.code, again.code), (Some(1), Some(3)), "{ran}, then {again}");
    expectation.assert_eq(&format!("{}\n{}", told(&ran), told(&again)));
    source_is_untouched(&cloud, since);
    cloud.ends("destroy twin --yes", 0);
    source_is_untouched_but_for_its_copies(&cloud, since);
    cloud.ends(CLONE, 0);
    cloud.ends("destroy twin --yes", 0);
    assert_eq!(cloud.state(), before);
}

#[track_caller]
fn source_is_untouched_but_for_its_copies(cloud: &Cloud, since: usize) {
    let allowed = ["CopyDBSnapshot", "ModifyDBSnapshotAttribute", "DeleteDBSnapshot"];
    let changes = changes(cloud, since, "222222222222");
    assert!(changes.iter().all(|operation| allowed.contains(&operation.as_str())), "{changes:?}");
}

#[test]
fn a_restore_that_is_incompatible_says_what_to_type() {
    ends_in(
        "incompatible-restore",
        &expect![[r#"
            error: the clone of `live` as `twin` failed
              stack `database` ended in ROLLBACK_COMPLETE because of `Database`: Resource handler returned message: "DB Instance demo-twin-database-database-[id] is in state: incompatible-restore" (RequestToken: [id], HandlerErrorCode: NotStabilized)

            hint: the snapshot does not fit what the file says; from a new one: `greenroom clone live twin --snapshot fresh --recreate database`; `live` is untouched

            error: the clone of `live` as `twin` is refused
              stack `database` is ROLLBACK_COMPLETE: its creation failed and was undone, and it can only be deleted

            hint: `--recreate database` deletes what is left of it and creates it anew
        "#]],
    );
}

#[test]
fn a_restore_without_capacity_says_what_to_type() {
    ends_in(
        "insufficient-capacity",
        &expect![[r#"
            error: the clone of `live` as `twin` failed
              stack `database` ended in ROLLBACK_COMPLETE because of `Database`: Resource handler returned message: "DB Instance demo-twin-database-database-[id] is in state: insufficient-capacity" (RequestToken: [id], HandlerErrorCode: NotStabilized)

            hint: AWS has no room for that class at the moment; try again later: `greenroom clone live twin --recreate database`; `live` is untouched

            error: the clone of `live` as `twin` is refused
              stack `database` is ROLLBACK_COMPLETE: its creation failed and was undone, and it can only be deleted

            hint: `--recreate database` deletes what is left of it and creates it anew
        "#]],
    );
}

#[test]
fn a_restore_that_fills_its_storage_says_what_to_type() {
    ends_in(
        "storage-full",
        &expect![[r#"
            error: the clone of `live` as `twin` failed
              stack `database` ended in ROLLBACK_COMPLETE because of `Database`: Resource handler returned message: "DB Instance demo-twin-database-database-[id] is in state: storage-full" (RequestToken: [id], HandlerErrorCode: NotStabilized)

            hint: give the databases of `live` and `twin` more storage, then `greenroom clone live twin --recreate database`; `live` is untouched

            error: the clone of `live` as `twin` is refused
              stack `database` is ROLLBACK_COMPLETE: its creation failed and was undone, and it can only be deleted

            hint: `--recreate database` deletes what is left of it and creates it anew
        "#]],
    );
}

const PRICES: &str = "currency: EUR\n\
    database_hour: {db.r7g.large: 0.25}\n\
    storage_gib_month: {gp2: 0.115}\n\
    snapshot_gib_month: 0.095\n";

/// What a clone is said to use with these prices, or why it is not.
fn with_prices(prices: Option<&str>, max_cost: &str, code: i32) -> Ran {
    let twins = twins();
    let twins = match prices {
        Some(text) => twins.file("prices.yaml", text),
        None => twins,
    };
    let mut cloud = Cloud::of(twins);
    cloud.ends("deploy live --confirm live", 0);
    cloud.edit("environments/twin.yaml", "clone: {from: live,", &format!("clone: {{from: live,{max_cost}"));
    let before = cloud.state();
    let ran = cloud.ends("clone live twin --dry-run", code);
    assert_eq!(cloud.state(), before);
    ran
}

fn uses(ran: &Ran) -> String {
    let from = ran.stdout.find("uses, a day").unwrap();
    ran.stdout[from..].split("\n\n").next().unwrap().to_owned() + "\n"
}

#[test]
fn what_a_clone_uses_in_a_day_is_said_before_it_is_made() {
    expect![[r#"
        uses, a day
          48 hours of db.r7g.large (with its standby)
          6.6 GiB-months of gp2 (200 GiB with its standby)
          6.6 GiB-months of snapshots (2 of at most 100 GiB)
          not counted: traffic, load balancers and NAT, logs, backups beyond the size of the database
    "#]]
    .assert_eq(&uses(&with_prices(None, "", 0)));
    expect![[r#"
        uses, a day
          48 hours of db.r7g.large (with its standby): 12.00 EUR
          6.6 GiB-months of gp2 (200 GiB with its standby): 0.76 EUR
          6.6 GiB-months of snapshots (2 of at most 100 GiB): 0.62 EUR
          together 13.38 EUR
          not counted: traffic, load balancers and NAT, logs, backups beyond the size of the database
    "#]]
    .assert_eq(&uses(&with_prices(Some(PRICES), " max_cost: 20,", 0)));
}

#[test]
fn what_costs_too_much_is_refused() {
    expect![[r#"
        the clone of live as twin would be refused

        because
          `twin` would cost 13.38 EUR a day; `clone.max_cost` allows 10.00

        uses, a day
          48 hours of db.r7g.large (with its standby): 12.00 EUR
          6.6 GiB-months of gp2 (200 GiB with its standby): 0.76 EUR
          6.6 GiB-months of snapshots (2 of at most 100 GiB): 0.62 EUR
          together 13.38 EUR
          not counted: traffic, load balancers and NAT, logs, backups beyond the size of the database

        hint: `--dry-run` says what it costs; raise `clone.max_cost` in environments/twin.yaml, or declare something smaller under `differences`
    "#]].assert_eq(&with_prices(Some(PRICES), " max_cost: 10,", 3).stdout);
    expect![[r#"
        the clone of live as twin would be refused

        because
          `clone.max_cost` of `twin` cannot be judged: there is no prices.yaml

        uses, a day
          48 hours of db.r7g.large (with its standby)
          6.6 GiB-months of gp2 (200 GiB with its standby)
          6.6 GiB-months of snapshots (2 of at most 100 GiB)
          not counted: traffic, load balancers and NAT, logs, backups beyond the size of the database

        hint: write prices.yaml beside environments/ (`greenroom clone --help` shows one), or take `max_cost` out of environments/twin.yaml
    "#]].assert_eq(&with_prices(None, " max_cost: 10,", 3).stdout);
    let some = PRICES.replace("gp2", "gp3");
    expect![[r#"
        the clone of live as twin would be refused

        because
          `clone.max_cost` of `twin` cannot be judged: prices.yaml has no storage_gib_month.gp2

        uses, a day
          48 hours of db.r7g.large (with its standby): 12.00 EUR
          6.6 GiB-months of gp2 (200 GiB with its standby): no price
          6.6 GiB-months of snapshots (2 of at most 100 GiB): 0.62 EUR
          together at least 12.62 EUR
          not counted: traffic, load balancers and NAT, logs, backups beyond the size of the database

        hint: put them into prices.yaml; `greenroom clone --help` shows what stands there
    "#]]
    .assert_eq(&with_prices(Some(&some), " max_cost: 20,", 3).stdout);
}

#[test]
fn mistakes_in_prices_are_told_with_their_place() {
    let wrong = "database_hour: {db.r7g.large: cheap}\nstorage_gib_mnth: {gp2: 0.1}\nsnapshot_gib_month: -1\n";
    expect![[r#"
        error: prices without a currency
         --> prices.yaml:1:1
          |
        1 | database_hour: {db.r7g.large: cheap}
          | ^
          |
          = hint: its first line: `currency: USD`

        error: a number expected, but this is `cheap`
         --> prices.yaml:1:31
          |
        1 | database_hour: {db.r7g.large: cheap}
          |                               ^^^^^

        error: unknown key `storage_gib_mnth`
         --> prices.yaml:2:1
          |
        2 | storage_gib_mnth: {gp2: 0.1}
          | ^^^^^^^^^^^^^^^^
          |
          = hint: did you mean `storage_gib_month`?

        error: a number expected, but this is `-1`
         --> prices.yaml:3:21
          |
        3 | snapshot_gib_month: -1
          |                     ^^

        4 mistakes
    "#]]
    .assert_eq(&with_prices(Some(wrong), "", 2).stderr);
}

#[test]
fn a_key_of_its_own_is_put_to_all_data_of_a_clone() {
    let mut cloud = with_source();
    cloud.edit("environments/twin.yaml", "clone: {from: live,", "clone: {from: live, key: alias/none,");
    let ran = cloud.ends(CLONE, 3);
    expect![[r#"
        twin · local cloud, nothing is real · eu-west-1
        error: the clone of `live` as `twin` is refused
          key alias/none cannot be used: it is not there

        hint: name a key that is there under `clone.key` of environments/twin.yaml, or another snapshot with `--snapshot ID`
    "#]].assert_eq(&ran.stderr);
    let stack = json!({"Resources": {"Own": {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": {}}}}}).to_string();
    let target = ["444444444444", "eu-west-1"];
    let parameters = [("StackName", "keys"), ("TemplateBody", stack.as_str())];
    cloud.by_hand_in(target, ["cloudformation", "2010-05-15"], "CreateStack", &parameters);
    cloud.come_to_rest();
    let told = cloud.by_hand_in(
        target,
        ["cloudformation", "2010-05-15"],
        "DescribeStackResource",
        &[("StackName", "keys"), ("LogicalResourceId", "Own")],
    );
    let id = told.split("<PhysicalResourceId>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    cloud.edit("environments/twin.yaml", "alias/none", &id);
    cloud.ends(CLONE, 0);
    let told = cloud.by_hand_in(target, ["rds", "2014-10-31"], "DescribeDBInstances", &[]);
    assert!(told.contains(&format!("<KmsKeyId>arn:aws:kms:eu-west-1:444444444444:key/{id}</KmsKeyId>")), "{told}");
}
