//! Friday's failure, rehearsed: every effect of a fault plan in a file as a user writes it, and what the screen says then.
//!
//! Each row is run by the real binary against `simulate --faults FILE`, and is published as `docs/faults.md`: `UPDATE_EXPECT=1`
//! writes the page anew; the test fails when it is not what happens. An effect or a word of the language without a row fails, too.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::thread;

use expect_test::{expect, expect_file};
use regex::Regex;
use serde_json::Value;

use crate::support::Scenario;
use crate::support::cloud::{Cloud, pair};

/// What goes wrong, and what becomes of it.
struct Row {
    title: &'static str,
    file: &'static str,
    stage: Stage,
    command: &'static str,
    code: i32,
    /// What the screen says on the way, which is not in the page: how often it looks differs from run to run.
    says: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Two stacks that are not there yet.
    New,
    /// The same, deployed; the faults are of the kind that leaves that alone.
    Deployed,
    /// Deployed, and then changed in the file.
    Edited,
    /// Deployed, and then changed by hand.
    Touched,
    /// A group of machines that is not there yet.
    Group,
    /// A database that is not there yet.
    Database,
}

impl Stage {
    fn told(self) -> &'static str {
        match self {
            Self::New => "Two new stacks, `store` and `api`.",
            Self::Deployed => "Two deployed stacks, `store` and `api`.",
            Self::Edited => "Two deployed stacks, `store` and `api`; both have another value in the file now.",
            Self::Touched => "Two deployed stacks, `store` and `api`; the queue of `store` was changed by hand.",
            Self::Group => "A new stack, `machines`, with an Auto Scaling group that waits for its signals.",
            Self::Database => "A new stack, `data`, with a database.",
        }
    }

    fn scenario(self) -> Scenario {
        let one = |name: &str, template: &str| {
            Scenario::empty()
                .file(
                    "environments/lab.yaml",
                    format!("project: demo\naccount: \"111111111111\"\nregion: eu-west-1\nstacks: {{{name}: {{}}}}\n"),
                )
                .file(&format!("templates/{name}/stack.yaml"), template)
        };
        match self {
            Self::New | Self::Deployed | Self::Edited | Self::Touched => pair(),
            Self::Group => one("machines", MACHINES),
            Self::Database => one("data", DATA),
        }
    }

    fn set(self, cloud: &mut Cloud) {
        if matches!(self, Self::New | Self::Group | Self::Database) {
            return;
        }
        cloud.ends("deploy lab --yes", 0);
        match self {
            Self::Edited => {
                cloud.edit("environments/lab.yaml", "{topic: papers}", "{topic: sheets, size: 4}");
                cloud.edit("environments/lab.yaml", "level: info", "level: debug");
            }
            Self::Touched => {
                let touch = r#"{"account": "111111111111", "region": "eu-west-1", "stack": "demo-lab-store", "logical_id": "Queue", "set": {"VisibilityTimeout": 99}}"#;
                cloud.control("touch", touch);
            }
            _ => {}
        }
    }
}

const MACHINES: &str = r"Resources:
  Vpc: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.0.0.0/16}}
  Subnet: {Type: AWS::EC2::Subnet, Properties: {VpcId: !Ref Vpc, CidrBlock: 10.0.0.0/24, AvailabilityZone: eu-west-1a}}
  Launch:
    Type: AWS::EC2::LaunchTemplate
    Properties: {LaunchTemplateData: {ImageId: ami-0abc1234def567890, InstanceType: t4g.small}}
  Group:
    Type: AWS::AutoScaling::AutoScalingGroup
    CreationPolicy: {ResourceSignal: {Count: 1, Timeout: PT10M}}
    Properties:
      MinSize: '1'
      MaxSize: '2'
      VPCZoneIdentifier: [!Ref Subnet]
      LaunchTemplate: {LaunchTemplateId: !Ref Launch, Version: !GetAtt Launch.LatestVersionNumber}
";

const DATA: &str = r"Resources:
  Database:
    Type: AWS::RDS::DBInstance
    DeletionPolicy: Delete
    UpdateReplacePolicy: Snapshot
    Properties:
      DBInstanceIdentifier: papers
      Engine: postgres
      DBInstanceClass: db.t4g.small
      AllocatedStorage: '20'
      StorageEncrypted: true
      MasterUsername: master
      ManageMasterUserPassword: true
";

const DEPLOY: &str = "deploy lab --yes";

const ROWS: [Row; 28] = [
    Row {
        title: "Throttled calls",
        file: "- {operation: GetCallerIdentity, times: 7, effect: throttle}\n- {service: cloudformation, every: 3, effect: throttle}\n",
        stage: Stage::New,
        command: DEPLOY,
        code: 0,
        says: "out of reach for the moment: AWS takes no more calls for the moment (Throttling)",
    },
    Row {
        title: "Bad weather",
        file: "- {service: cloudformation, percent: 30, effect: throttle}\n",
        stage: Stage::New,
        command: DEPLOY,
        code: 0,
        says: "",
    },
    Row {
        title: "A call that is denied",
        file: "- {operation: ExecuteChangeSet, stack: demo-lab-api, effect: {error: {code: AccessDenied, message: you may not, status: 403}}}\n",
        stage: Stage::New,
        command: DEPLOY,
        code: 1,
        says: "",
    },
    Row {
        title: "So many calls in so many seconds, and no more",
        file: "- {operation: DescribeStacks, effect: {limit: {calls: 2, seconds: 20}}}\n",
        stage: Stage::New,
        command: DEPLOY,
        code: 0,
        says: "",
    },
    Row {
        title: "An error on AWS's side",
        file: "- {operation: CreateChangeSet, times: 2, effect: {error: {code: InternalFailure, status: 500}}}\n- {operation: DescribeStacks, every: 3, effect: {error: {code: ServiceUnavailable, status: 503}}}\n",
        stage: Stage::New,
        command: DEPLOY,
        code: 0,
        says: "",
    },
    Row {
        title: "An answer that is lost after the call took effect",
        file: "- {operation: CreateChangeSet, effect: lost_response, every: 2}\n- {operation: ExecuteChangeSet, effect: lost_response, nth: 1}\n",
        stage: Stage::New,
        command: DEPLOY,
        code: 0,
        says: "",
    },
    Row {
        title: "A call that is lost before it took effect",
        file: "- {operation: ExecuteChangeSet, effect: lost_request, times: 2}\n",
        stage: Stage::New,
        command: DEPLOY,
        code: 0,
        says: "",
    },
    Row {
        title: "An answer that is cut off",
        file: "- {operation: DescribeChangeSet, effect: truncated_body, nth: 1}\n- {operation: DescribeStacks, effect: truncated_body, every: 2}\n",
        stage: Stage::New,
        command: DEPLOY,
        code: 0,
        says: "",
    },
    Row {
        title: "An answer that takes its time",
        file: "- {operation: DescribeStacks, times: 2, effect: {delay: {milliseconds: 300}}}\n",
        stage: Stage::Deployed,
        command: "plan lab",
        code: 0,
        says: "",
    },
    Row {
        title: "An answer that never comes",
        file: "- {operation: CreateChangeSet, nth: 1, effect: hang}\n",
        stage: Stage::New,
        command: DEPLOY,
        code: 0,
        says: "",
    },
    Row {
        title: "Credentials that expire in the middle",
        file: "- {operation: ExecuteChangeSet, effect: expired_credentials}\n",
        stage: Stage::New,
        command: DEPLOY,
        code: 1,
        says: "",
    },
    Row {
        title: "Credentials that expire after a while",
        file: "- {after_seconds: 30, effect: expired_credentials}\n",
        stage: Stage::New,
        command: DEPLOY,
        code: 1,
        says: "",
    },
    Row {
        title: "Answers of a moment ago",
        file: "- {operation: DescribeStacks, every: 2, effect: {stale_read: {seconds: 20}}}\n",
        stage: Stage::New,
        command: DEPLOY,
        code: 0,
        says: "",
    },
    Row {
        title: "A resource that cannot be created",
        file: "- logical_id: Queue\n  effect: {fail_resource: {during: create, reason: the name is taken}}\n",
        stage: Stage::New,
        command: DEPLOY,
        code: 1,
        says: "",
    },
    Row {
        title: "A resource whose creation fails after a while",
        file: "- type: AWS::SQS::Queue\n  effect: {fail_resource: {during: create, reason: it did not stabilize, after_seconds: 300}}\n",
        stage: Stage::New,
        command: DEPLOY,
        code: 1,
        says: "",
    },
    Row {
        title: "A resource that cannot be updated",
        file: "- stack: demo-lab-store\n  logical_id: Queue\n  effect: {fail_resource: {during: update, reason: the queue is locked}}\n",
        stage: Stage::Edited,
        command: DEPLOY,
        code: 1,
        says: "",
    },
    Row {
        title: "A rollback that fails",
        file: "- logical_id: Topic\n  effect: {fail_resource: {during: update, reason: no such name, after_seconds: 60}}\n- logical_id: Queue\n  effect: {fail_resource: {during: rollback, reason: the queue is gone}}\n",
        stage: Stage::Edited,
        command: DEPLOY,
        code: 1,
        says: "",
    },
    Row {
        title: "A resource that cannot be deleted",
        file: "- logical_id: Queue\n  effect: {fail_resource: {during: delete, reason: the queue is in use}}\n",
        stage: Stage::Deployed,
        command: "destroy lab --yes",
        code: 1,
        says: "",
    },
    Row {
        title: "A resource whose drift cannot be read",
        file: "- {logical_id: Queue, effect: unreadable}\n",
        stage: Stage::Deployed,
        command: "drift lab",
        code: 6,
        says: "",
    },
    Row {
        title: "A stack that is called in sync, and is not",
        file: "- {stack: demo-lab-store, effect: hide_drift}\n",
        stage: Stage::Touched,
        command: "drift lab",
        code: 4,
        says: "",
    },
    Row {
        title: "A change against drift that is none",
        file: "- {logical_id: Topic, effect: {phantom_change: {replaces: true}}}\n",
        stage: Stage::Touched,
        command: "drift lab --revert store/Queue --yes",
        code: 3,
        says: "",
    },
    Row {
        title: "A group that can launch nothing",
        file: "- {logical_id: Group, effect: {cannot_launch: {}}}\n",
        stage: Stage::Group,
        command: DEPLOY,
        code: 1,
        says: "",
    },
    Row {
        title: "Machines that never become healthy",
        file: "- {logical_id: Group, effect: no_signal}\n",
        stage: Stage::Group,
        command: DEPLOY,
        code: 1,
        says: "",
    },
    Row {
        title: "A database with parameters that do not fit",
        file: "- {logical_id: papers, effect: {database_status: {status: incompatible-parameters}}}\n",
        stage: Stage::Database,
        command: DEPLOY,
        code: 1,
        says: "",
    },
    Row {
        title: "A restore that does not fit",
        file: "- effect: {database_status: {status: incompatible-restore}}\n",
        stage: Stage::Database,
        command: DEPLOY,
        code: 1,
        says: "",
    },
    Row {
        title: "A database without room",
        file: "- effect: {database_status: {status: storage-full}}\n",
        stage: Stage::Database,
        command: DEPLOY,
        code: 1,
        says: "",
    },
    Row {
        title: "A database that is long busy with its storage",
        file: "- effect: {database_status: {status: storage-optimization}}\n",
        stage: Stage::Database,
        command: DEPLOY,
        code: 0,
        says: "",
    },
    Row {
        title: "A database that has failed",
        file: "- effect: {database_status: {status: failed}}\n",
        stage: Stage::Database,
        command: DEPLOY,
        code: 1,
        says: "",
    },
];

const OPTIONS: [&str; 4] = ["--page-size", "2", "--faults", "friday.yaml"];

const PAGE: &str = "# Faults on purpose

    greenroom simulate --faults friday.yaml &
    greenroom deploy lab --yes --local

The file is a list of rules. Each says where (`service`, `operation`, `stack`, or of resources `stack`, `logical_id`, `type`), when
(`nth`, `times`, `every`, `percent`, `after_seconds` of the local cloud's time, or `after`, milliseconds since 1970), and what
happens (`effect`). What is left out matches everything; of the rules for a call or resource the first that matches counts.

This page is written by the test `tests/faults.rs`: each file below was given to the local cloud, and below it stands what the
command said in the end.
";

/// What the page says of a row, once it has ended as it must.
fn section(row: &Row, calm: &Value) -> String {
    let Row { title, file, stage, command, code, says } = row;
    let mut cloud = Cloud::with(stage.scenario().file("friday.yaml", file), &OPTIONS);
    stage.set(&mut cloud);
    let ran = cloud.ends(command, *code);
    assert!(ran.stderr.contains(says), "{title}: {ran}");
    let fired = cloud.control("fired", "");
    let fired: BTreeSet<u64> = fired.as_array().unwrap().iter().filter_map(|it| it["rule"].as_u64()).collect();
    let rules = file.lines().filter(|line| line.starts_with("- ")).count();
    assert_eq!(fired.len(), rules, "{title}: not all of it happened: {ran}");
    if *stage == Stage::New && *code == 0 {
        assert_eq!(&cloud.state(), calm, "{title}: it left something behind");
    }
    let (told, said) = (stage.told(), ran.last_words());
    format!("\n## {title}\n\n{told}\n\n```yaml\n{file}```\n\n```\n$ greenroom {command} --local\n{said}```\n")
}

#[test]
fn the_page_of_faults_says_what_comes_of_each() {
    let calm = Cloud::of(pair());
    calm.ends(DEPLOY, 0);
    let calm = calm.state();
    // All at once: one of them waits for an answer that does not come until the client gives it up.
    let ended: Vec<String> = thread::scope(|scope| {
        let rows: Vec<_> = ROWS.iter().map(|row| scope.spawn(|| section(row, &calm))).collect();
        rows.into_iter().map(|row| row.join().unwrap()).collect()
    });
    let page = PAGE.to_owned() + &ended.concat();
    expect_file!["../docs/faults.md"].assert_eq(&page);
}

/// How `simulate` refuses a fault plan.
fn refusal(file: &str) -> String {
    let ran = Scenario::small().file("friday.yaml", file).run(["simulate", "--faults", "friday.yaml"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{file}: {ran}");
    ran.stderr
}

/// The names of a language as its refusal lists them.
fn listed(refusal: &str) -> Vec<String> {
    let (_, list) = refusal.split_once("expected one of ").unwrap();
    let (list, _) = list.split_once('\n').unwrap();
    Regex::new("`([a-z_]+)`").unwrap().captures_iter(list).map(|found| found[1].to_owned()).collect()
}

#[test]
fn every_word_of_a_fault_plan_has_a_row() {
    let effects = listed(&refusal("- effect: nonsense\n"));
    assert!(effects.len() > 10, "{effects:?}");
    let has_row = |word: &String| {
        let word = Regex::new(&format!(r"\b{word}\b")).unwrap();
        ROWS.iter().any(|row| word.is_match(row.file))
    };
    let mut without: Vec<String> = effects.into_iter().filter(|effect| !has_row(effect)).collect();
    without.extend(listed(&refusal("- {when: now, effect: hang}\n")).into_iter().filter(|word| !has_row(word)));
    // A moment since 1970 is for tests, which know what time it is there; people count from the beginning.
    assert_eq!(without, ["after"]);
}

#[test]
fn a_plan_that_is_wrong_is_refused_with_its_place_and_a_way_out() {
    let mut said = String::new();
    for file in [
        "",
        "effect: hang\n",
        "- effect: hang\n- effect: trottle\n",
        "- {operation: DescribeStacks}\n",
        "- {operation: DescribeStacks, tims: 2, effect: hang}\n",
        "- {operation: DescribeStacks, times: often, effect: hang}\n",
        "- {operation: CreateStack, effect: {fail_resource: {during: create, reason: taken}}}\n",
        "- {logical_id: Queue, effect: throttle}\n",
        "- {nth: 0, effect: hang}\n",
        "- {percent: 101, effect: hang}\n",
        "- {after: 1, after_seconds: 1, effect: hang}\n",
        "- effect: {error: {code: Fine, status: 200}}\n",
        "- effect: {limit: {calls: 1, seconds: 0}}\n",
        "- {effect: [\n",
    ] {
        let _ = writeln!(said, "{}\n{}", file.trim_end(), refusal(file));
    }
    expect![[r#"

        error: the fault plan `friday.yaml` cannot be read
          because it is no list of rules

        hint: a list of rules such as `- {operation: ExecuteChangeSet, times: 2, effect: throttle}`; `docs/faults.md` has one of each

        effect: hang
        error: the fault plan `friday.yaml` cannot be read
          because it is no list of rules

        hint: a list of rules such as `- {operation: ExecuteChangeSet, times: 2, effect: throttle}`; `docs/faults.md` has one of each

        - effect: hang
        - effect: trottle
        error: the fault plan `friday.yaml` cannot be read
          because rule 2: unknown variant `trottle`, expected one of `throttle`, `limit`, `error`, `lost_response`, `lost_request`, `truncated_body`, `delay`, `hang`, `expired_credentials`, `stale_read`, `fail_resource`, `unreadable`, `hide_drift`, `phantom_change`, `database_status`, `cannot_launch`, `no_signal`

        hint: a list of rules such as `- {operation: ExecuteChangeSet, times: 2, effect: throttle}`; `docs/faults.md` has one of each

        - {operation: DescribeStacks}
        error: the fault plan `friday.yaml` cannot be read
          because rule 1: missing field `effect`

        hint: a list of rules such as `- {operation: ExecuteChangeSet, times: 2, effect: throttle}`; `docs/faults.md` has one of each

        - {operation: DescribeStacks, tims: 2, effect: hang}
        error: the fault plan `friday.yaml` cannot be read
          because rule 1: unknown field `tims`, expected one of `service`, `operation`, `stack`, `logical_id`, `type`, `nth`, `times`, `every`, `percent`, `after`, `after_seconds`, `effect`

        hint: a list of rules such as `- {operation: ExecuteChangeSet, times: 2, effect: throttle}`; `docs/faults.md` has one of each

        - {operation: DescribeStacks, times: often, effect: hang}
        error: the fault plan `friday.yaml` cannot be read
          because rule 1: invalid type: string "often", expected u64

        hint: a list of rules such as `- {operation: ExecuteChangeSet, times: 2, effect: throttle}`; `docs/faults.md` has one of each

        - {operation: CreateStack, effect: {fail_resource: {during: create, reason: taken}}}
        error: the fault plan `friday.yaml` cannot be read
          because rule 1: `operation` says nothing to this effect, which is told where by `stack`, `logical_id`, `type`

        hint: a list of rules such as `- {operation: ExecuteChangeSet, times: 2, effect: throttle}`; `docs/faults.md` has one of each

        - {logical_id: Queue, effect: throttle}
        error: the fault plan `friday.yaml` cannot be read
          because rule 1: `logical_id` says nothing to this effect, which is told where by `service`, `operation`, `stack`

        hint: a list of rules such as `- {operation: ExecuteChangeSet, times: 2, effect: throttle}`; `docs/faults.md` has one of each

        - {nth: 0, effect: hang}
        error: the fault plan `friday.yaml` cannot be read
          because rule 1: `nth: 0` never takes effect

        hint: a list of rules such as `- {operation: ExecuteChangeSet, times: 2, effect: throttle}`; `docs/faults.md` has one of each

        - {percent: 101, effect: hang}
        error: the fault plan `friday.yaml` cannot be read
          because rule 1: `percent: 101` is more than 100

        hint: a list of rules such as `- {operation: ExecuteChangeSet, times: 2, effect: throttle}`; `docs/faults.md` has one of each

        - {after: 1, after_seconds: 1, effect: hang}
        error: the fault plan `friday.yaml` cannot be read
          because rule 1: `after` and `after_seconds` say the same, so only one of them can be right

        hint: a list of rules such as `- {operation: ExecuteChangeSet, times: 2, effect: throttle}`; `docs/faults.md` has one of each

        - effect: {error: {code: Fine, status: 200}}
        error: the fault plan `friday.yaml` cannot be read
          because rule 1: `status: 200` is no error: 400 to 599 are

        hint: a list of rules such as `- {operation: ExecuteChangeSet, times: 2, effect: throttle}`; `docs/faults.md` has one of each

        - effect: {limit: {calls: 1, seconds: 0}}
        error: the fault plan `friday.yaml` cannot be read
          because rule 1: `seconds: 0` is no time to count calls in

        hint: a list of rules such as `- {operation: ExecuteChangeSet, times: 2, effect: throttle}`; `docs/faults.md` has one of each

        - {effect: [
        error: the fault plan `friday.yaml` cannot be read
          because while parsing a node, did not find expected node content at byte 13 line 2 column 1

        hint: a list of rules such as `- {operation: ExecuteChangeSet, times: 2, effect: throttle}`; `docs/faults.md` has one of each

    "#]].assert_eq(&said);
    let missing = Scenario::small().run(["simulate", "--faults", "none.yaml"]);
    missing.expect(expect![[r#"
        exit 2
        -- stderr
        error: the fault plan `none.yaml` cannot be read
          because no such file or directory
    "#]]);
}
