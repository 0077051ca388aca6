//! `reap`: what is over goes, also without its file; whatever is not, is not ours, or could not be read stays.

use expect_test::expect;
use regex::Regex;
use serde_json::json;

use crate::support::cloud::{Cloud, pair};
use crate::support::{Ran, Scenario};

/// Without moments and lengths of time: how often a run looked is in them.
fn timeless(ran: &Ran) -> Ran {
    let clean = |text: &str| {
        let text = Regex::new("[0-9]{4}-[0-9-]{5} [0-9:]{8} UTC").unwrap().replace_all(text, "[moment]").into_owned();
        Regex::new("[0-9]+ (d|h|min|s)( [0-9]+ (h|min))?\\b").unwrap().replace_all(&text, "[time]").into_owned()
    };
    Ran { code: ran.code, stdout: clean(&ran.stdout), stderr: clean(&ran.stderr) }
}

const HOURS: u64 = 3_600;

/// `lab`, two stacks that live for 8 h; `scratch@NAME`, one of many, for 4 h; `live`, which stays.
fn three() -> Scenario {
    pair()
        .edit("environments/lab.yaml", "region:", "lifetime: 8h\nregion:")
        .file("environments/scratch.yaml", SCRATCH)
        .file("environments/live.yaml", LIVE)
}

const SCRATCH: &str = r#"project: demo
account: "333333333333"
region: eu-west-1
named: true
lifetime: 4h
stacks:
  store:
    values: {topic: drafts}
"#;

const LIVE: &str = r#"project: demo
account: "222222222222"
region: eu-west-1
protected: true
lifetime: 1h
stacks:
  store:
    values: {topic: papers}
"#;

fn later(cloud: &Cloud, hours: u64) {
    cloud.control("advance", &json!({"seconds": hours * HOURS}).to_string());
}

/// All three, five hours old.
fn aged() -> Cloud {
    let cloud = Cloud::of(three());
    cloud.ends("deploy lab --yes", 0);
    cloud.ends("deploy scratch@pr-812 --yes", 0);
    cloud.ends("deploy live --confirm live", 0);
    later(&cloud, 5);
    cloud
}

/// The stacks that are there, by name.
fn stacks(cloud: &Cloud) -> Vec<String> {
    let state = cloud.state();
    let places = state.as_object().unwrap().values();
    places.flat_map(|here| here["stacks"].as_object().unwrap().keys().cloned()).collect()
}

#[test]
fn what_is_over_goes_and_the_rest_stays() {
    let cloud = aged();
    timeless(&cloud.run("reap --yes")).expect(expect![[r#"
        exit 0
        -- stdout
        looked at 111111111111 eu-west-1
        looked at 222222222222 eu-west-1
        looked at 333333333333 eu-west-1

        lab             ends in [time]
        live            ended [time] ago  it is protected
        scratch@pr-812  ended [time] ago  destroyed: 1 stack
        -- stderr
        demo · local cloud, nothing is real · eu-west-1
        scratch@pr-812 · local cloud, nothing is real · eu-west-1
        · store        deleting, 2 of 2 resources
        ✔ store        gone after [time]
    "#]]);
    assert_eq!(stacks(&cloud), ["demo-lab-api", "demo-lab-store", "demo-live-store"]);
    timeless(&cloud.run("reap --yes")).stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        looked at 111111111111 eu-west-1
        looked at 222222222222 eu-west-1
        looked at 333333333333 eu-west-1

        lab   ends in [time]
        live  ended [time] ago  it is protected
    "#]]);
    // A deployment does not extend it.
    cloud.ends("deploy lab --yes", 0);
    later(&cloud, 4);
    timeless(&cloud.run("reap --yes")).stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        looked at 111111111111 eu-west-1
        looked at 222222222222 eu-west-1
        looked at 333333333333 eu-west-1

        lab   ended [time] ago  destroyed: 2 stacks
        live  ended [time] ago  it is protected
    "#]]);
    assert_eq!(stacks(&cloud), ["demo-live-store"]);
}

#[test]
fn a_rehearsal_says_what_would_go_and_changes_nothing() {
    let cloud = aged();
    let before = cloud.state();
    timeless(&cloud.run("reap --dry-run")).expect(expect![[r#"
        exit 0
        -- stdout
        looked at 111111111111 eu-west-1
        looked at 222222222222 eu-west-1
        looked at 333333333333 eu-west-1

        lab             ends in [time]
        live            ended [time] ago  it is protected
        scratch@pr-812  ended [time] ago  to be destroyed: 1 stack

        scratch@pr-812
        store        2 resources

        1 stack to delete
        -- stderr
        demo · local cloud, nothing is real · eu-west-1
        scratch@pr-812 · local cloud, nothing is real · eu-west-1
    "#]]);
    timeless(&cloud.run("reap")).last_words().expect(expect![[r#"
        exit 3
        -- stderr
        error: this needs a confirmation, and there is no terminal to ask on

        hint: `--yes` answers it
    "#]]);
    assert_eq!(cloud.state(), before);
}

#[test]
fn an_extension_is_recorded_beside_the_stacks_and_goes_with_them() {
    let cloud = aged();
    timeless(&cloud.run("reap --extend scratch@pr-812 24h --dry-run")).stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        scratch@pr-812 would live until [moment], not [moment]
    "#]]);
    assert_eq!(cloud.calls("ExecuteChangeSet"), 4);
    cloud.ends("reap --extend scratch@pr-812 24h", 0);
    // Nobody takes it for a stack that is gone from the file.
    cloud.ends("plan scratch@pr-812 --exit-code", 0);
    cloud.ends("deploy scratch@pr-812 --yes --prune", 0);
    timeless(&cloud.run("status scratch@pr-812")).stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        scratch@pr-812  expires in [time]
          store  CREATE_COMPLETE  [time] [age]

          store.TopicArn  arn:aws:sns:eu-west-1:333333333333:demo-scratch-pr-812-stor-Topic-[id]
    "#]]);
    timeless(&cloud.run("reap --yes")).stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        looked at 111111111111 eu-west-1
        looked at 222222222222 eu-west-1
        looked at 333333333333 eu-west-1

        lab             ends in [time]
        live            ended [time] ago  it is protected
        scratch@pr-812  ends in [time]  extended
    "#]]);
    assert_eq!(cloud.calls("DeleteStack"), 0);
    // Shorter than what it has: it stays as it is.
    assert!(cloud.ends("reap --extend scratch@pr-812 1h", 0).stdout.ends_with(" already\n"));
    later(&cloud, 12);
    cloud.ends("reap --extend scratch@pr-812 24h", 0);
    later(&cloud, 23);
    cloud.ends("reap --yes", 0);
    assert!(stacks(&cloud).contains(&"demo-scratch-pr-812-store".to_owned()));
    later(&cloud, 2);
    cloud.ends("reap --yes", 0);
    assert_eq!(stacks(&cloud), ["demo-live-store"]);
}
