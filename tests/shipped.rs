//! Claims over the project that is shipped. Whole outputs are compared on small projects: the shipped one's figures change.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use expect_test::{Expect, expect};

use crate::support::Scenario;
use crate::support::cloud::Cloud;

/// Every environment that can be deployed, as one would type it.
const ENVIRONMENTS: [&str; 4] = ["production", "staging", "performance", "scratch@jane"];

#[test]
fn nothing_is_wrong_with_it() {
    Scenario::shipped().run(["check"]).expect_silence();
}

#[test]
fn every_environment_is_checked_alone_and_together() {
    let scenario = Scenario::shipped();
    for environment in ENVIRONMENTS {
        scenario.run(["check", environment]).expect_silence();
    }
    scenario.run([["check"].as_slice(), &ENVIRONMENTS].concat()).expect_silence();
}

#[test]
fn every_environment_renders_four_files_a_stack() {
    let scenario = Scenario::shipped();
    for environment in ENVIRONMENTS {
        scenario.run(["render", environment, "--out", "out"]).stdout();
        let graph: serde_json::Value =
            serde_json::from_str(scenario.run(["graph", environment, "--format", "json"]).stdout()).unwrap();
        let stacks = graph["graph"]["stacks"].as_array().unwrap().len();
        let written = scenario.files().iter().filter(|file| file.starts_with("out/")).count();
        assert_eq!(written, stacks * 4, "{environment}");
        std::fs::remove_dir_all(scenario.root().join("out")).unwrap();
    }
}

#[test]
fn every_verb_has_something_to_say_about_it() {
    let scenario = Scenario::shipped();
    let verbs: [&[&str]; 9] = [
        &["inputs"],
        &["explain", "staging"],
        &["explain", "staging", "database.instance_class"],
        &["diff", "production", "staging"],
        &["diff", "scratch@jane", "scratch@joe"],
        &["graph", "production"],
        &["schema"],
        &["completions", "bash"],
        &["man"],
    ];
    for verb in verbs {
        for format in ["human", "json"] {
            let ran = scenario.run(verb.iter().copied().chain(["--format", format]));
            assert!(!ran.stdout().is_empty(), "{verb:?}");
        }
    }
}

#[test]
fn it_is_found_from_a_directory_below() {
    let scenario = Scenario::shipped();
    let output = scenario.command(["check"]).current_dir(scenario.root().join("templates/network")).output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), b"".as_slice()));
}

/// `greenroom render … | head -1`: the reader goes, and that is no error.
#[test]
fn a_reader_who_goes_is_no_error() {
    let scenario = Scenario::shipped();
    for verb in [["render", "production", "network"].as_slice(), &["inputs"], &["schema"]] {
        let mut child =
            scenario.command(verb.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::with_capacity(16, child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""), "{verb:?}");
    }
}

/// Killed at whatever moment: every file that is there is whole, the old one or the new one.
#[test]
fn killed_half_way_leaves_whole_files() {
    let scenario = Scenario::shipped();
    scenario.run(["render", "production", "--out", "new"]).stdout();
    scenario.run(["render", "staging", "--out", "old"]).stdout();
    for spins in (0..20).map(|step| step * 4_000) {
        scenario.run(["render", "staging", "--out", "out"]).stdout();
        let mut child =
            scenario.command(["render", "production", "--out", "out"]).stdout(Stdio::null()).spawn().unwrap();
        (0..spins).for_each(|_| std::thread::yield_now());
        child.kill().unwrap();
        child.wait().unwrap();
        for file in
            scenario.files().iter().filter_map(|file| file.strip_prefix("out/")).filter(|file| !file.starts_with('.'))
        {
            let is_like = |directory: &str| {
                std::fs::read(scenario.root().join(directory).join(file)).ok()
                    == Some(scenario.read(&format!("out/{file}")).into())
            };
            assert!(is_like("old") || is_like("new"), "{file} is neither old nor new");
        }
    }
    scenario.run(["render", "production", "--out", "out"]).stdout();
    let hidden: Vec<String> = scenario.files().into_iter().filter(|file| file.starts_with("out/.")).collect();
    assert_eq!(hidden, [""; 0], "the next run takes over what a killed one left");
}

/// The instances of every group of an account, by the group's stack and logical id.
fn instances(cloud: &Cloud, account: &str) -> BTreeMap<String, BTreeSet<String>> {
    let state = cloud.control("state", "");
    let groups = state["places"][account]["ap-southeast-2"]["auto_scaling"]["groups"].as_object().cloned();
    let name = |life: &serde_json::Value| {
        format!("{}/{}", life["stack_name"].as_str().unwrap(), life["logical_id"].as_str().unwrap())
    };
    let members = |life: &serde_json::Value| life["members"].as_object().unwrap().keys().cloned().collect();
    groups.unwrap_or_default().values().map(|life| (name(life), members(life))).collect()
}

/// Deploys it, changes the version and the images of its machines, and looks at whose instances were replaced.
fn lives(cloud: &mut Cloud, environment: &str, consent: &str, account: &str) {
    cloud.ends(&format!("deploy {environment} {consent}"), 0);
    cloud.ends(&format!("plan {environment} --exit-code"), 0);
    let before = instances(cloud, account);
    cloud.edit("environments/base.yaml", "elasticsearch_version: 8.19.4", "elasticsearch_version: 8.19.5");
    cloud.edit("environments/base.yaml", "ami-0def567890abc1234", "ami-0def567890abc1235");
    cloud.ends(&format!("plan {environment} --exit-code"), 4);
    cloud.ends(&format!("deploy {environment} {consent}"), 0);
    cloud.ends(&format!("plan {environment} --exit-code"), 0);
    let after = instances(cloud, account);
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    for (group, instances) in &before {
        let is_api = group.ends_with("sync-api/Group");
        let stayed = instances.intersection(&after[group]).count();
        assert_eq!(stayed, if is_api { 0 } else { instances.len() }, "{environment}: {group}");
    }
    let has = |end: &str| before.keys().any(|group| group.ends_with(end));
    assert!(has("sync-api/Group") && (environment == "performance" || has("elk/Logstash")), "{before:?}");
    cloud.edit("environments/base.yaml", "elasticsearch_version: 8.19.5", "elasticsearch_version: 8.19.4");
    cloud.edit("environments/base.yaml", "ami-0def567890abc1235", "ami-0def567890abc1234");
}

#[test]
fn production_lives_and_cannot_be_destroyed() {
    let mut cloud = Cloud::with(Scenario::shipped(), &[]);
    lives(&mut cloud, "production", "--confirm production", "222222222222");
    cloud.ends("destroy production --yes", 3);
}

// Performance's logs go to staging's Logstash, and its data come from a snapshot; `clone` will find one, here it is made by hand.
#[test]
fn staging_and_performance_live_and_are_destroyed() {
    let mut cloud = Cloud::with(Scenario::shipped(), &[]);
    lives(&mut cloud, "staging", "--yes", "333333333333");
    let (place, rds) = (["444444444444", "ap-southeast-2"], ["rds", "2014-10-31"]);
    let database = [
        ("DBInstanceIdentifier", "source"),
        ("DBInstanceClass", "db.t4g.micro"),
        ("Engine", "postgres"),
        ("EngineVersion", "16.15"),
        ("AllocatedStorage", "20"),
        ("MasterUsername", "master"),
        ("MasterUserPassword", "long-enough-for-this"),
    ];
    cloud.by_hand_in(place, rds, "CreateDBInstance", &database);
    cloud.come_to_rest();
    let snapshot = [("DBInstanceIdentifier", "source"), ("DBSnapshotIdentifier", "by-hand")];
    cloud.by_hand_in(place, rds, "CreateDBSnapshot", &snapshot);
    cloud.come_to_rest();
    cloud.edit(
        "environments/performance.yaml",
        "snapshot_identifier: {previous: true}",
        "snapshot_identifier: by-hand",
    );
    lives(&mut cloud, "performance", "--yes", "444444444444");
    cloud.ends("destroy performance --yes", 0);
    assert!(instances(&cloud, "444444444444").is_empty());
    // Kept on purpose are what holds data, and the networks that were there before.
    cloud.ends("destroy staging --yes", 0);
    assert!(instances(&cloud, "333333333333").is_empty());
}

/// What `check production` says once a text in a file was changed.
fn says(file: &str, old: &str, new: &str, expected: Expect) {
    Scenario::shipped().edit(file, old, new).run(["check", "production"]).expect(expected);
}

const PRODUCTION: &str = "environments/production.yaml";

#[test]
fn two_data_nodes_are_no_cluster() {
    says(
        PRODUCTION,
        "data_nodes: 6",
        "data_nodes: 2",
        expect![[r#"
        exit 2
        -- stderr
        error: `elk.data_nodes`: at least 3 expected, but this is 2
          --> environments/production.yaml:42:19
           |
        42 |       data_nodes: 2
           |                   ^
           |
           = hint: A cluster needs three data nodes to spare one; `topology: single` does without
    "#]],
    );
}

#[test]
fn an_even_number_of_masters_is_refused() {
    says(
        PRODUCTION,
        "data_nodes: 6",
        "masters: 4",
        expect![[r#"
        exit 2
        -- stderr
        error: `elk.masters`: `3`, `5` or `7` expected, but this is 4
          --> environments/production.yaml:42:16
           |
        42 |       masters: 4
           |                ^
    "#]],
    );
}

#[test]
fn the_latest_image_is_no_image() {
    says(
        "environments/base.yaml",
        "ami-0abc1234def567890",
        "latest",
        expect![[r#"
        exit 2
        -- stderr
        error: `elk.ami`: `ami-0abc1234def567890` expected, in "latest" the "l" does not fit
          --> environments/base.yaml:43:12
           |
        43 |       ami: latest
           |            ^
           |
           = note: inherited by `production/elk`
           = hint: The image of all instances, Amazon Linux 2023 by its id; "latest" would make two launches of one template differ
    "#]],
    );
}

#[test]
fn a_load_balancer_needs_its_certificate() {
    let line = "      certificate_arn: arn:aws:acm:${region}:${account}:certificate/0a1b2c3d-4e5f-6789-abcd-ef0123456789\n      ca_";
    says(
        "environments/base.yaml",
        line,
        "      ca_",
        expect![[r#"
        exit 2
        -- stderr
        error: `elk` lacks the input `certificate_arn`
          --> environments/production.yaml:38:3
           |
        38 |   elk:
           |   ^^^
           |
          ::: templates/elk/inputs.yaml:46:3
           |
        46 |   certificate_arn:
           |   --------------- The certificate (ACM) by which the load balancer proves that it is dns_name.
           |
           = hint: say `certificate_arn:` under `stacks.elk.values`
    "#]],
    );
}

#[test]
fn an_instance_type_without_disks_needs_a_volume() {
    says(
        PRODUCTION,
        "      data_gib: 500\n",
        "",
        expect![[r#"
        exit 2
        -- stderr
        error: `data_gib` is missing
          --> environments/production.yaml:38:3
           |
        38 |   elk:
           |   ^^^
           |
           = hint: Types with disks of their own (i4i, d3, r6gd, …) take no data_gib; all others need one
    "#]],
    );
}

#[test]
fn an_instance_type_with_disks_takes_no_volume() {
    says(
        PRODUCTION,
        "r7g.xlarge\n      data",
        "i4i.xlarge\n      data",
        expect![[r#"
        exit 2
        -- stderr
        error: `elk.data_gib`: this cannot be said here, given the other values
          --> environments/production.yaml:44:17
           |
        44 |       data_gib: 500
           |                 ^^^
           |
           = hint: Types with disks of their own (i4i, d3, r6gd, …) take no data_gib; all others need one
    "#]],
    );
}

#[test]
fn more_sessions_than_the_database_takes_are_warned_of_and_stop_nobody() {
    says(
        PRODUCTION,
        "max: 12",
        "max: 21",
        expect![[r#"
        exit 0
        -- stderr
        warning: 21 instances with 100 sessions each want 2100, but the database takes 2000
           --> environments/production.yaml:50:18
            |
         50 |       instances: {min: 6, max: 21}
            |                  ^^^^^^^^^^^^^^^^^
            |
           ::: templates/sync-api/inputs.yaml:286:5
            |
        286 |   - at: instances
            |     ------------- the template's rule
    "#]],
    );
}

#[test]
fn a_warning_that_cannot_be_judged_is_a_mistake() {
    let inputs = "templates/sync-api/inputs.yaml";
    says(
        inputs,
        "if: instances.min > instances.max",
        "about: few",
        expect![[r#"
        exit 2
        -- stderr
        error: a warning has `at`, `if` and `description`
           --> templates/sync-api/inputs.yaml:283:5
            |
        283 |   - at: instances
            |     ^^^^^^^^^^^^^
            |
            = note: met in `production/sync-api`
    "#]],
    );
    says(
        inputs,
        "at: instances",
        "at: instancess",
        expect![[r#"
        exit 2
        -- stderr
        error: this warning is `at: instancess`, but there is no such input
           --> templates/sync-api/inputs.yaml:283:5
            |
        283 |   - at: instancess
            |     ^^^^^^^^^^^^^^
            |
            = note: met in `production/sync-api`
            = hint: did you mean `instances`?
    "#]],
    );
}
