//! What the verbs do with a stack in each status: run, told in a table, and published as `docs/states.md`.
//!
//! Every cell is what the real binary said of a stack that the local cloud had brought into that status. `UPDATE_EXPECT=1` writes
//! the page anew; the test fails when it is not what the verbs do.

use std::fmt::Write as _;
use std::process::Stdio;

use expect_test::expect_file;
use greenroom::deploy::StackStatus;
use serde_json::{Value, json};

use crate::support::cloud::{Cloud, pair, redacted};
use crate::support::stuck::{Stuck, fails, marks_of_store, pose, store_template};
use crate::support::{Ran, Scenario};

const VERBS: [&str; 4] = ["plan lab", "deploy lab --yes", "destroy lab --yes", "recover lab"];

/// One stack, `store`.
fn alone() -> Scenario {
    let api = "  api:\n    values:\n      topic_arn: {output: store.TopicArn}\n      level: info\n";
    pair().edit("environments/lab.yaml", api, "")
}

/// How a stack comes to a status.
enum Way {
    /// There is none.
    Nothing,
    /// At rest, by what is done to a cloud.
    Rest(fn(&mut Cloud)),
    /// Stuck, as the tests of `recover` are.
    Stuck(Stuck),
    /// Busy, from a stack that is there or not, by calls and faults; time stands still at the status.
    Busy { is_there: bool, begin: fn(&Cloud) },
    /// Busy with what the local cloud does not model; it ends in another status once somebody waits for it.
    Posed { then: &'static str },
}

/// No `_`: a status that is new has to be given a row.
fn way(status: &StackStatus) -> Option<Way> {
    use StackStatus as Is;
    Some(match status {
        Is::DeleteComplete => Way::Nothing,
        Is::ReviewInProgress => Way::Stuck(Stuck::ReviewInProgress),
        Is::CreateComplete => Way::Rest(|_| {}),
        Is::UpdateComplete => Way::Rest(|cloud| {
            cloud.edit("environments/lab.yaml", "{topic: papers}", "{topic: papers, size: 4}");
            cloud.ends("deploy lab --yes", 0);
            cloud.edit("environments/lab.yaml", "{topic: papers, size: 4}", "{topic: papers}");
        }),
        Is::UpdateRollbackComplete => Way::Rest(|cloud| {
            cloud.faults(&json!([fails("Queue", "update", "no")]));
            cloud.by_hand("UpdateStack", &[STORE, ("TemplateBody", &store_template(99))]);
            cloud.come_to_rest();
        }),
        Is::ImportComplete => Way::Rest(|cloud| pose(cloud, "IMPORT_COMPLETE")),
        Is::ImportRollbackComplete => Way::Rest(|cloud| pose(cloud, "IMPORT_ROLLBACK_COMPLETE")),
        Is::RollbackComplete => Way::Stuck(Stuck::RollbackComplete),
        Is::RollbackFailed => Way::Stuck(Stuck::RollbackFailed),
        Is::CreateFailed => Way::Stuck(Stuck::CreateFailed),
        Is::UpdateFailed => Way::Stuck(Stuck::UpdateFailed),
        Is::UpdateRollbackFailed => Way::Stuck(Stuck::UpdateRollbackFailed),
        Is::DeleteFailed => Way::Stuck(Stuck::DeleteFailed),
        Is::ImportRollbackFailed => Way::Stuck(Stuck::ImportRollbackFailed),
        Is::CreateInProgress => Way::Busy { is_there: false, begin: create },
        Is::RollbackInProgress => Way::Busy {
            is_there: false,
            begin: |cloud| {
                cloud.faults(&json!([late("Queue", "create")]));
                create(cloud);
            },
        },
        Is::UpdateInProgress => Way::Busy { is_there: true, begin: |cloud| update(cloud, &store_template(99)) },
        Is::UpdateCompleteCleanupInProgress => Way::Busy {
            is_there: true,
            begin: |cloud| {
                let mut less: Value = serde_json::from_str(&store_template(30)).unwrap();
                less["Resources"].as_object_mut().unwrap().remove("Queue");
                update(cloud, &less.to_string());
            },
        },
        Is::UpdateRollbackInProgress => Way::Busy {
            is_there: true,
            begin: |cloud| {
                cloud.faults(&json!([late("Topic", "update")]));
                update(cloud, &store_template(99).replace("papers", "sheets"));
            },
        },
        Is::UpdateRollbackCompleteCleanupInProgress => Way::Busy {
            is_there: true,
            begin: |cloud| {
                cloud.faults(&json!([late("Topic", "update")]));
                let mut more: Value = serde_json::from_str(&store_template(30)).unwrap();
                more["Resources"]["Extra"] = json!({"Type": "AWS::SQS::Queue"});
                update(cloud, &more.to_string().replace("papers", "sheets"));
            },
        },
        Is::DeleteInProgress => Way::Busy {
            is_there: true,
            begin: |cloud| {
                cloud.by_hand("DeleteStack", &[STORE]);
            },
        },
        Is::ImportInProgress => Way::Posed { then: "IMPORT_COMPLETE" },
        Is::ImportRollbackInProgress => Way::Posed { then: "IMPORT_ROLLBACK_COMPLETE" },
        Is::Other(_) => return None,
    })
}

/// In the order of the handbook: from what is free to what is not.
const STATUSES: [&str; 23] = [
    "DELETE_COMPLETE",
    "REVIEW_IN_PROGRESS",
    "CREATE_COMPLETE",
    "UPDATE_COMPLETE",
    "UPDATE_ROLLBACK_COMPLETE",
    "IMPORT_COMPLETE",
    "IMPORT_ROLLBACK_COMPLETE",
    "ROLLBACK_COMPLETE",
    "ROLLBACK_FAILED",
    "CREATE_FAILED",
    "UPDATE_FAILED",
    "UPDATE_ROLLBACK_FAILED",
    "IMPORT_ROLLBACK_FAILED",
    "DELETE_FAILED",
    "CREATE_IN_PROGRESS",
    "ROLLBACK_IN_PROGRESS",
    "UPDATE_IN_PROGRESS",
    "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
    "UPDATE_ROLLBACK_IN_PROGRESS",
    "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
    "DELETE_IN_PROGRESS",
    "IMPORT_IN_PROGRESS",
    "IMPORT_ROLLBACK_IN_PROGRESS",
];

const STORE: (&str, &str) = ("StackName", "demo-lab-store");

fn create(cloud: &Cloud) {
    let template = store_template(30);
    cloud.by_hand("CreateStack", &[&[STORE, ("TemplateBody", &template)][..], &marks_of_store()].concat());
}

fn update(cloud: &Cloud, template: &str) {
    cloud.by_hand("UpdateStack", &[STORE, ("TemplateBody", template)]);
}

/// A failure after all else is done, so that there is something to undo.
fn late(resource: &str, during: &str) -> Value {
    let mut rule = fails(resource, during, "no");
    rule["effect"]["fail_resource"]["after_seconds"] = json!(100);
    rule
}

/// A cloud with the stack in that status, and a change of it in the file.
fn scene(status: &str, way: &Way) -> Cloud {
    let mut cloud = match way {
        Way::Stuck(stuck) => stuck.cloud_of(alone()),
        Way::Nothing | Way::Rest(_) | Way::Busy { .. } | Way::Posed { .. } => Cloud::of(alone()),
    };
    match way {
        Way::Nothing | Way::Stuck(_) => {}
        Way::Rest(bring) => {
            cloud.ends("deploy lab --yes", 0);
            bring(&mut cloud);
        }
        Way::Posed { .. } => {
            cloud.ends("deploy lab --yes", 0);
            hold(&mut cloud);
            pose(&cloud, status);
        }
        Way::Busy { is_there, begin } => {
            if *is_there {
                cloud.ends("deploy lab --yes", 0);
            }
            hold(&mut cloud);
            begin(&cloud);
            // Nothing here takes longer.
            for _ in 0..600 {
                if seen(&cloud) == status {
                    break;
                }
                cloud.control("advance", r#"{"seconds": 1}"#);
            }
        }
    }
    cloud.faults(&json!([]));
    if !matches!(way, Way::Nothing) {
        assert_eq!(seen(&cloud), status);
    }
    let values = if matches!(way, Way::Stuck(Stuck::UpdateRollbackFailed)) { "size: 4}" } else { "papers}" };
    cloud.edit(
        "environments/lab.yaml",
        values,
        &values.replace("size: 4}", "size: 5}").replace("papers}", "papers, size: 5}"),
    );
    cloud
}

/// From here on time passes only when it is told to.
fn hold(cloud: &mut Cloud) {
    let saved = cloud.saved();
    cloud.choose(&["--pace", "manual"]);
    cloud.restore(&saved);
}

fn seen(cloud: &Cloud) -> String {
    let state = cloud.control("state", "");
    let stacks = state["places"]["111111111111"]["eu-west-1"]["cloudformation"]["stacks"].clone();
    let alive = |stack: &&Value| stack["status"] != "DELETE_COMPLETE";
    let stacks: Vec<Value> = stacks.as_object().into_iter().flat_map(|all| all.values().cloned()).collect();
    stacks.iter().find(alive).map(|stack| stack["status"].as_str().unwrap().to_owned()).unwrap_or_default()
}

/// Runs a verb. Where time stands still, it passes once the verb has looked twice: the first look is what it begins with.
fn run(cloud: &Cloud, verb: &str, way: &Way) -> Ran {
    let then = match way {
        Way::Nothing | Way::Rest(_) | Way::Stuck(_) => return cloud.run(verb),
        Way::Busy { .. } => None,
        Way::Posed { then } => Some(*then),
    };
    let before = cloud.calls("DescribeStacks");
    let mut child = cloud.command(verb).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while child.try_wait().unwrap().is_none() && cloud.calls("DescribeStacks") < before + 2 {
        std::thread::yield_now();
    }
    if let Some(then) = then.filter(|_| child.try_wait().unwrap().is_none()) {
        pose(cloud, then);
    }
    while child.try_wait().unwrap().is_none() {
        cloud.come_to_rest();
    }
    redacted(cloud.scenario.ended(child.wait_with_output().unwrap()))
}

/// What a verb said, in a cell.
fn cell(verb: &str, ran: &Ran, way: &Way) -> String {
    let waited = match way {
        // What the verb itself has begun is waited for, too, and goes without saying.
        Way::Nothing | Way::Rest(_) | Way::Stuck(_) => String::new(),
        Way::Busy { .. } | Way::Posed { .. } => waited(&ran.stderr),
    };
    let said = match (verb, ran.code) {
        ("recover lab", Some(3)) => ways(&ran.stderr),
        (_, Some(0)) => result(verb, &ran.stdout),
        _ => refusal(&ran.stderr),
    };
    let code = ran.code.map_or("killed".to_owned(), |code| code.to_string());
    format!("`{code}` {waited}{said}").replace('|', "\\|")
}

/// What was waited for first, without how far it was.
fn waited(stderr: &str) -> String {
    let first = stderr.lines().find_map(|line| line.strip_prefix("· store ")).map(str::trim);
    let is_count = |part: &&str| part.starts_with(|first: char| first.is_ascii_digit());
    let doing = first.map(|said| said.split(", ").take_while(|part| !is_count(part)).collect::<Vec<_>>().join(", "));
    doing.map(|doing| format!("waits ({doing}), then: ")).unwrap_or_default()
}

fn result(verb: &str, stdout: &str) -> String {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines: Vec<&str> = stdout.lines().filter(|line| !line.trim().is_empty()).collect();
    let of_store = lines.iter().find_map(|line| line.strip_prefix("store ")).map(words);
    match verb {
        "plan lab" => {
            let is_refused = lines.iter().any(|line| line.starts_with("deploy will refuse: "));
            let more = if is_refused { "; says that deploy will refuse, and why" } else { "" };
            format!("{}{more}", of_store.unwrap_or_default())
        }
        "deploy lab --yes" => of_store.unwrap_or_else(|| lines.first().map(|line| words(line)).unwrap_or_default()),
        _ => lines.last().map(|line| words(line)).unwrap_or_default(),
    }
}

/// Each way with its number; of a closed one, why.
fn ways(stderr: &str) -> String {
    let mut ways: Vec<String> = Vec::new();
    for line in stderr.lines() {
        let is_way = line.starts_with("  ") && line.trim_start().starts_with(|first: char| first.is_ascii_digit());
        if let Some(closed) = line.trim().strip_prefix("closed: ") {
            if let Some(way) = ways.last_mut() {
                let _ = write!(way, " (closed: {closed})");
            }
        } else if is_way && !line.starts_with("   ") {
            ways.push(line.trim().replacen("  ", ". ", 1));
        }
    }
    if ways.is_empty() { refusal(stderr) } else { format!("asks: {}", ways.join("; ")) }
}

fn refusal(stderr: &str) -> String {
    let words = stderr.split("error: ").nth(1).unwrap_or_default();
    let lines: Vec<&str> = words.lines().skip(1).map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() { words.trim().to_owned() } else { lines.join("; ") }
}

const PAGE: &str = "# What the verbs do with a stack in each status

This page is written by the test `tests/states.rs`: every cell is what the binary did with a stack in that status in the local
cloud, and how it ended. Of the environment `lab` the file says something else than its only stack, `store`, is; what had failed
would succeed now. Exit codes: `0` done or shown, `1` failed, `3` refused or not chosen.

What an operation of CloudFormation in progress comes to is waited for, and what follows is told behind it.

| status | `plan` | `deploy` | `destroy` | `recover` |
|---|---|---|---|---|
";

#[test]
fn the_page_of_states_says_what_the_verbs_do() {
    let mut page = PAGE.to_owned();
    for name in STATUSES {
        let status: StackStatus = name.parse().unwrap();
        let way = way(&status).unwrap_or_else(|| panic!("{name} is a status"));
        let mut cloud = scene(name, &way);
        let saved = cloud.saved();
        let cells: Vec<String> = VERBS
            .iter()
            .map(|verb| {
                cloud.restore(&saved);
                cell(verb, &run(&cloud, verb, &way), &way)
            })
            .collect();
        let shown = if matches!(way, Way::Nothing) { "no stack" } else { name };
        let _ = writeln!(page, "| {shown} | {} |", cells.join(" | "));
    }
    expect_file!["../docs/states.md"].assert_eq(&page);
}
