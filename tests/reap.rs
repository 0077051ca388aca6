//! `reap`: what is over goes, also without its file; whatever is not, is not ours, or could not be read stays.

use std::fs;

use expect_test::expect;
use regex::Regex;
use serde_json::{Value, json};

use crate::support::cloud::{Cloud, both, pair};
use crate::support::{Ran, Scenario};

/// Without moments, lengths of time and what is waited for: how often a run looked is in them.
fn timeless(ran: &Ran) -> Ran {
    let clean = |text: &str| {
        let text = Regex::new("[0-9]{4}-[0-9-]{5} [0-9:]{8} UTC").unwrap().replace_all(text, "[moment]").into_owned();
        Regex::new("[0-9]+ (d|h|min|s)( [0-9]+ (h|min))?\\b").unwrap().replace_all(&text, "[time]").into_owned()
    };
    let news = |line: &&str| !line.starts_with("· ");
    let stderr: String = clean(&ran.stderr).lines().filter(news).map(|line| format!("{line}\n")).collect();
    Ran { code: ran.code, stdout: clean(&ran.stdout), stderr }
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

fn remove(cloud: &Cloud, file: &str) {
    fs::remove_file(cloud.scenario.root().join(file)).unwrap();
}

/// `lab` beside `old`, which has the same two stacks, and whose file is gone since.
fn without_a_file() -> Cloud {
    let scenario = pair().edit("environments/lab.yaml", "region:", "lifetime: 8h\nregion:");
    let old = scenario.read("environments/lab.yaml");
    let cloud = Cloud::of(scenario.file("environments/old.yaml", old));
    cloud.ends("deploy old --yes", 0);
    remove(&cloud, "environments/old.yaml");
    cloud
}

#[test]
fn what_has_no_file_any_more_goes_by_its_marks_the_newest_stack_first() {
    let cloud = without_a_file();
    timeless(&cloud.run("reap --yes")).stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        looked at 111111111111 eu-west-1

        old  ends in [time]  its file is gone
    "#]]);
    later(&cloud, 9);
    timeless(&cloud.run("reap --yes --report proof")).expect(expect![[r#"
        exit 0
        -- stdout
        looked at 111111111111 eu-west-1

        old  ended [time] ago  its file is gone; destroyed: 2 stacks
        -- stderr
        demo · local cloud, nothing is real · eu-west-1
        old · local cloud, nothing is real · eu-west-1
        ✔ store        gone after [time]
        the evidence is in proof/old.json
    "#]]);
    assert_eq!(cloud.state(), json!({}));
    let evidence: Value = serde_json::from_str(&cloud.scenario.read("proof/old.json")).unwrap();
    assert_eq!((&evidence["environment"], &evidence["outcome"]), (&json!("old"), &json!("destroyed")));
}

/// A stack that somebody else has made, with these tags.
fn made_by_hand(cloud: &Cloud, name: &str, tags: &[(&str, &str)]) {
    let template = json!({"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}).to_string();
    let mut parameters = vec![("StackName".to_owned(), name.to_owned()), ("TemplateBody".to_owned(), template)];
    for (number, (key, value)) in tags.iter().enumerate() {
        parameters.push((format!("Tags.member.{}.Key", number + 1), (*key).to_owned()));
        parameters.push((format!("Tags.member.{}.Value", number + 1), (*value).to_owned()));
    }
    let parameters: Vec<(&str, &str)> = parameters.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    cloud.by_hand("CreateStack", &parameters);
    cloud.come_to_rest();
}

fn tags<'a>(project: &'a str, environment: &'a str) -> [(&'static str, &'a str); 4] {
    [
        ("greenroom:project", project),
        ("greenroom:environment", environment),
        ("greenroom:stack", "store"),
        ("greenroom:lifetime", "1h"),
    ]
}

#[test]
fn what_only_looks_alike_stays() {
    let cloud = Cloud::of(three());
    cloud.ends("deploy lab --yes", 0);
    made_by_hand(&cloud, "demo-lab-cache", &[("environment", "lab")]);
    made_by_hand(&cloud, "demo-lab-2", &tags("demo-2", "lab"));
    made_by_hand(&cloud, "demo-lab2-store", &tags("demo", "lab2"));
    later(&cloud, 9);
    timeless(&cloud.run("reap --yes")).stdout_only().expect(expect![[r#"
        exit 3
        -- stdout
        looked at 111111111111 eu-west-1
        looked at 222222222222 eu-west-1
        looked at 333333333333 eu-west-1

        lab   ended [time] ago  destroyed: 2 stacks
        lab2  ended [time] ago  its file is gone; left alone: `demo-lab2-store` bears its marks, but greenroom did not make it
    "#]]);
    assert_eq!(stacks(&cloud), ["demo-lab-2", "demo-lab-cache", "demo-lab2-store"]);
}

#[test]
fn copied_marks_keep_the_environment_they_were_copied_from() {
    let cloud = aged();
    made_by_hand(&cloud, "demo-lab-copy", &tags("demo", "lab"));
    later(&cloud, 4);
    let before = stacks(&cloud);
    timeless(&cloud.run("reap --yes")).stdout_only().expect(expect![[r#"
        exit 3
        -- stdout
        looked at 111111111111 eu-west-1
        looked at 222222222222 eu-west-1
        looked at 333333333333 eu-west-1

        lab             ended [time] ago  left alone: `demo-lab-copy` bears its marks, but greenroom did not make it
        live            ended [time] ago  it is protected
        scratch@pr-812  ended [time] ago  destroyed: 1 stack
    "#]]);
    let stays = |name: &String| !name.contains("scratch");
    assert_eq!(stacks(&cloud), before.into_iter().filter(stays).collect::<Vec<_>>());
}

#[test]
fn an_account_that_cannot_be_looked_at_is_named_and_keeps_nobody_else() {
    let cloud = aged();
    later(&cloud, 4);
    let denied = json!({"error": {"code": "AccessDenied", "message": "you may not", "status": 403}});
    // The first list is that of `lab`'s account.
    cloud.faults(&json!([{"operation": "DescribeStacks", "times": 1, "effect": denied}]));
    timeless(&cloud.run("reap --yes")).stdout_only().expect(expect![[r#"
        exit 6
        -- stdout
        looked at 222222222222 eu-west-1
        looked at 333333333333 eu-west-1
        could not look at 111111111111 eu-west-1: its stacks could not be listed: you may not

        live            ended [time] ago  it is protected
        scratch@pr-812  ended [time] ago  destroyed: 1 stack
    "#]]);
    assert_eq!(stacks(&cloud), ["demo-lab-api", "demo-lab-store", "demo-live-store"]);
    cloud.ends("reap --yes", 0);
    assert_eq!(stacks(&cloud), ["demo-live-store"]);
}

/// What has no file may have a part, or an extension, wherever nobody could look.
#[test]
fn what_has_no_file_stays_until_all_could_be_looked_at() {
    let cloud = without_a_file();
    fs::write(cloud.scenario.root().join("environments/live.yaml"), LIVE).unwrap();
    later(&cloud, 9);
    let before = cloud.state();
    let denied = json!({"error": {"code": "AccessDenied", "message": "you may not", "status": 403}});
    cloud.faults(&json!([{"operation": "GetCallerIdentity", "nth": 2, "effect": denied}]));
    timeless(&cloud.run("reap --yes")).stdout_only().expect(expect![[r#"
        exit 6
        -- stdout
        looked at 111111111111 eu-west-1
        could not look at 222222222222 eu-west-1: it could not be made sure that these credentials are for 222222222222: you may not

        old  ended [time] ago  its file is gone; left alone: part of it may be in 222222222222 eu-west-1, which could not be looked at
    "#]]);
    assert_eq!(cloud.state(), before);
}

#[test]
fn one_that_fails_keeps_none_of_the_others() {
    let cloud = aged();
    later(&cloud, 4);
    // Of `lab` alone: `scratch` has such a queue, too.
    cloud.faults(&json!([{"stack": "demo-lab-store", "logical_id": "Queue", "effect": {"fail_resource": {"during": "delete", "reason": "the queue is in use"}}}]));
    timeless(&cloud.run("reap --yes")).expect(expect![[r#"
        exit 1
        -- stdout
        looked at 111111111111 eu-west-1
        looked at 222222222222 eu-west-1
        looked at 333333333333 eu-west-1

        lab             ended [time] ago  NOT destroyed: stack `store` could not be deleted because of `Queue`: the queue is in use
        live            ended [time] ago  it is protected
        scratch@pr-812  ended [time] ago  destroyed: 1 stack
        -- stderr
        demo · local cloud, nothing is real · eu-west-1
        lab · local cloud, nothing is real · eu-west-1
        error: the destruction of `lab` failed
          stack `store` could not be deleted because of `Queue`: the queue is in use

        hint: clear it away and run the command again; or `--retain store/Queue` leaves it behind
        hint: `greenroom destroy lab` does this one by itself, with such flags
        scratch@pr-812 · local cloud, nothing is real · eu-west-1
        ✔ store        gone after [time]
    "#]]);
    assert_eq!(stacks(&cloud), ["demo-lab-store", "demo-live-store"]);
    cloud.faults(&json!([]));
    cloud.ends("reap --yes", 0);
    assert_eq!(stacks(&cloud), ["demo-live-store"]);
}

#[test]
fn a_stack_that_is_guarded_stays() {
    let cloud = aged();
    later(&cloud, 4);
    cloud.by_hand(
        "UpdateTerminationProtection",
        &[("StackName", "demo-lab-api"), ("EnableTerminationProtection", "true")],
    );
    timeless(&cloud.run("reap --yes --quiet")).expect(expect![[r#"
        exit 3
        -- stdout
        looked at 111111111111 eu-west-1
        looked at 222222222222 eu-west-1
        looked at 333333333333 eu-west-1

        lab             ended [time] ago  NOT destroyed: stack `api` is guarded by termination protection
        live            ended [time] ago  it is protected
        scratch@pr-812  ended [time] ago  destroyed: 1 stack
        -- stderr
        error: the destruction of `lab` is refused
          stack `api` is guarded by termination protection

        hint: take the protection off `api` in the AWS console first, if it is meant to go
        hint: `greenroom destroy lab` does this one by itself, with such flags
    "#]]);
    assert_eq!(stacks(&cloud), ["demo-lab-api", "demo-lab-store", "demo-live-store"]);
}

#[test]
fn programs_read_the_same() {
    let cloud = aged();
    let ran = cloud.ends("reap --yes --format json", 0);
    let mut told: Value = serde_json::from_str(&ran.stdout).unwrap();
    for environment in told["reap"]["environments"].as_array_mut().unwrap() {
        for moment in ["born", "ends", "ends_in_seconds"] {
            assert!(!environment[moment].is_null(), "{moment}");
            environment[moment] = json!("…");
        }
    }
    assert!(told["reap"]["seen"].is_string());
    told["reap"]["seen"] = json!("…");
    expect![[r#"
        {
          "schema": 1,
          "reap": {
            "is_rehearsal": false,
            "seen": "…",
            "looked_at": [
              {
                "account": "111111111111",
                "region": "eu-west-1",
                "role": null
              },
              {
                "account": "222222222222",
                "region": "eu-west-1",
                "role": null
              },
              {
                "account": "333333333333",
                "region": "eu-west-1",
                "role": null
              }
            ],
            "unread": [],
            "environments": [
              {
                "environment": "lab",
                "file": "environments/lab.yaml",
                "is_file_gone": false,
                "born": "…",
                "ends": "…",
                "ends_in_seconds": "…",
                "extended_until": null,
                "verdict": "lives",
                "sentence": "it has time left"
              },
              {
                "environment": "live",
                "file": "environments/live.yaml",
                "is_file_gone": false,
                "born": "…",
                "ends": "…",
                "ends_in_seconds": "…",
                "extended_until": null,
                "verdict": "protected",
                "sentence": "it is protected"
              },
              {
                "environment": "scratch@pr-812",
                "file": "environments/scratch.yaml",
                "is_file_gone": false,
                "born": "…",
                "ends": "…",
                "ends_in_seconds": "…",
                "extended_until": null,
                "verdict": "over",
                "sentence": "its lifetime is over",
                "outcome": "gone",
                "demolition": {
                  "environment": "scratch@pr-812",
                  "is_done": true,
                  "stacks": [
                    {
                      "stack": "store",
                      "resources": 2,
                      "data": []
                    }
                  ]
                }
              }
            ]
          }
        }"#]]
    .assert_eq(&format!("{told:#}"));
}

/// The snapshots that were made for `twin`, in both accounts.
fn copies(cloud: &Cloud) -> Vec<String> {
    let state = cloud.control("state", "");
    let regions =
        state["places"].as_object().unwrap().values().flat_map(|regions| regions.as_object().unwrap().values());
    let snapshots = regions.filter_map(|here| here["rds"]["snapshots"].as_object());
    snapshots.flat_map(|all| all.keys().cloned()).filter(|name| name.starts_with("twin-src-")).collect()
}

#[test]
fn a_clone_goes_with_what_was_copied_for_it() {
    let cloud = crate::clone::with_source();
    let before = cloud.state();
    cloud.ends(crate::clone::CLONE, 0);
    timeless(&cloud.run("reap --extend twin 72h")).last_words().expect(expect![[r#"
        exit 3
        -- stderr
        error: `live` lets its clones live for [time] at most

        hint: `clone_policy.max_lifetime` in its file says so
    "#]]);
    later(&cloud, 25);
    // Its stacks go, and then it is killed, as far as anybody can see.
    let denied = json!({"error": {"code": "AccessDenied", "message": "you may not", "status": 403}});
    cloud.faults(&json!([{"operation": "DeleteDBSnapshot", "effect": denied}]));
    cloud.ends("reap --yes", 1);
    assert_eq!((cloud.state(), copies(&cloud).len()), (before, 2));
    cloud.faults(&json!([]));
    timeless(&cloud.run("reap --yes")).stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        looked at 222222222222 eu-west-1
        looked at 444444444444 eu-west-1

        twin  ended [time] ago  destroyed: 2 snapshots
    "#]]);
    assert_eq!(copies(&cloud), Vec::<String>::new());
    timeless(&cloud.run("reap --yes")).stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        looked at 222222222222 eu-west-1
        looked at 444444444444 eu-west-1

        nothing here ends by itself
    "#]]);
}

#[test]
fn a_clone_without_a_file_goes_with_what_was_copied_for_it() {
    let cloud = crate::clone::with_source();
    let before = cloud.state();
    // Its account is looked at for the sake of another.
    let beside = "project: demo\naccount: \"444444444444\"\nregion: eu-west-1\nstacks: {store: {}}\n";
    cloud.ends(crate::clone::CLONE, 0);
    remove(&cloud, "environments/twin.yaml");
    fs::write(cloud.scenario.root().join("environments/beside.yaml"), beside).unwrap();
    later(&cloud, 25);
    timeless(&cloud.run("reap --yes")).stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        looked at 222222222222 eu-west-1
        looked at 444444444444 eu-west-1

        twin  ended [time] ago  its file is gone; destroyed: 2 stacks, 2 snapshots
    "#]]);
    assert_eq!((cloud.state(), copies(&cloud)), (before, Vec::new()));
}

#[test]
fn what_cannot_be_extended_says_why() {
    let plain = LIVE.replace("protected: true\nlifetime: 1h\n", "");
    let mut cloud = Cloud::of(three().file("environments/plain.yaml", &plain).file("environments/young.yaml", &plain));
    cloud.ends("deploy young --yes", 0);
    cloud.edit("environments/young.yaml", "stacks:", "lifetime: 1h\nstacks:");
    cloud.ends("deploy lab --yes", 0);
    let before = cloud.state();
    let ran = |line: &str| timeless(&cloud.run(line)).last_words().to_string();
    let told: String = [
        "reap --extend lba 24h",
        "reap --extend scratch 24h",
        "reap --extend lab tomorrow",
        "reap --extend lab 0h",
        "reap --extend lab 99999999999d",
        "reap --extend plain 24h",
        "reap --extend live 24h",
        "reap --extend scratch@jane 24h",
        "reap --extend young 24h",
        "reap --extend lab",
    ]
    .into_iter()
    .map(|line| format!("$ greenroom {line}\n{}\n", ran(line)))
    .collect();
    expect![[r#"
        $ greenroom reap --extend lba 24h
        exit 2
        -- stderr
        error: there is no environment `lba`

        hint: did you mean `lab`?

        $ greenroom reap --extend scratch 24h
        exit 2
        -- stderr
        error: `scratch` stands for many: say which one, `scratch@NAME`

        $ greenroom reap --extend lab tomorrow
        exit 2
        -- stderr
        error: `tomorrow` is no length of time

        hint: write `90m`, `24h` or `2d`

        $ greenroom reap --extend lab 0h
        exit 2
        -- stderr
        error: `0h` is no length of time

        hint: write `90m`, `24h` or `2d`

        $ greenroom reap --extend lab 99999999999d
        exit 2
        -- stderr
        error: `99999999999d` from now is beyond the calendar

        $ greenroom reap --extend plain 24h
        exit 2
        -- stderr
        error: `plain` has no lifetime, so there is nothing to extend

        hint: `lifetime: 8h` in environments/plain.yaml gives it one

        $ greenroom reap --extend live 24h
        exit 3
        -- stderr
        error: `live` is protected, and never ends by itself

        $ greenroom reap --extend scratch@jane 24h
        exit 3
        -- stderr
        error: `scratch@jane` has no stacks, so there is nothing to extend

        hint: `greenroom deploy scratch@jane` makes them

        $ greenroom reap --extend young 24h
        exit 3
        -- stderr
        error: `young` cannot be extended
          because it never ends by itself: its stacks do not bear the lifetime of its file yet; deploy it

        $ greenroom reap --extend lab
        exit 2
        -- stderr
        error: 2 values required for '--extend <ENV> <DURATION>' but 1 was provided

        Usage: greenroom reap [OPTIONS]

        For more information, try '--help'.

    "#]]
    .assert_eq(&told);
    assert_eq!(cloud.state(), before);
}

/// Nobody knows which accounts a file names that cannot be understood, nor whether it protects anything.
#[test]
fn a_mistake_in_any_file_stops_it() {
    let mut cloud = aged();
    cloud.edit("environments/lab.yaml", "account: \"111111111111\"", "account: \"1\"");
    let before = cloud.state();
    cloud.ends("reap --yes", 2);
    assert_eq!(cloud.state(), before);
}

#[test]
fn where_nothing_ends_that_is_said() {
    Cloud::of(pair()).run("reap").expect(expect![[r#"
        exit 0
        -- stdout
        looked at 111111111111 eu-west-1

        nothing here ends by itself
        -- stderr
        demo · local cloud, nothing is real · eu-west-1
    "#]]);
}

/// A pipeline that is slow is overtaken by its next run.
#[test]
fn two_runs_at_once_do_what_one_does() {
    let cloud = aged();
    later(&cloud, 4);
    let ended = both(&mut cloud.command("reap --yes"), &mut cloud.command("reap --yes"));
    for output in ended {
        assert_eq!(output.status.code(), Some(0), "{}", cloud.scenario.ended(output));
    }
    assert_eq!(stacks(&cloud), ["demo-live-store"]);
}
