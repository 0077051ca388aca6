//! `plan --out` and `deploy --plan`: what was shown in one place is done in another, exactly, or refused.

use std::fs;
use std::process::Stdio;

use expect_test::{Expect, expect};
use serde_json::{Value, json};

use crate::support::cloud::{Cloud, pair, redacted};
use crate::support::proxy::Fate;
use crate::support::{Ran, Scenario};

/// The pair, deployed, with a change of both stacks, the second of which waits for the first.
fn changed() -> Cloud {
    let mut cloud = Cloud::of(pair());
    cloud.ends("deploy lab --yes", 0);
    cloud.edit("environments/lab.yaml", "{topic: papers}", "{topic: letters}");
    cloud.edit("environments/lab.yaml", "level: info", "level: debug");
    cloud
}

fn sealed() -> Cloud {
    let cloud = changed();
    cloud.ends("plan lab --out plan.json", 0);
    cloud
}

/// An empty directory from which the same cloud is reached, with the sealed plan in it.
fn elsewhere(cloud: &Cloud) -> Scenario {
    Scenario::empty()
        .file(".greenroom/simulator.json", cloud.scenario.read(".greenroom/simulator.json"))
        .file("plan.json", cloud.scenario.read("plan.json"))
}

fn run(scenario: &Scenario, line: &str) -> Ran {
    let mut command = scenario.command(line.split(' ').chain(["--local"]));
    redacted(scenario.ended(command.stdin(Stdio::null()).output().unwrap()))
}

/// Times and digests differ from run to run.
fn timeless(ran: Ran) -> Ran {
    let clean = |text: String| {
        let text =
            regex::Regex::new(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC").unwrap().replace_all(&text, "[time]").into_owned();
        let text =
            regex::Regex::new(r"digest [0-9a-f]{12}").unwrap().replace_all(&text, "digest [digest]").into_owned();
        regex::Regex::new(r"r-[0-9a-f]{16}-until-\d{8}T\d{6}Z").unwrap().replace_all(&text, "r-[sealed]").into_owned()
    };
    Ran { code: ran.code, stdout: clean(ran.stdout), stderr: clean(ran.stderr) }
}

#[track_caller]
fn refused(cloud: &Cloud, expected: Expect) {
    let before = cloud.calls("ExecuteChangeSet");
    timeless(run(&elsewhere(cloud), "deploy --plan plan.json")).last_words().expect(expected);
    assert_eq!(cloud.calls("ExecuteChangeSet"), before, "nothing is done");
}

#[test]
fn a_seal_made_in_one_folder_is_executed_in_an_empty_one() {
    let cloud = changed();
    timeless(cloud.run("plan lab --out plan.json")).stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        store                                                        modify 1
          ~ Topic  AWS::SNS::Topic
              DisplayName  papers of 3 → letters of 3
        api                                                          modify 1, after store: TopicArn
          ~ Level  AWS::SSM::Parameter
              Value  info → debug    environments/lab.yaml:10:14

        0 to add, 2 to modify, 0 to replace, 0 to remove

        api waits: what its change will be is estimated, and it may do no more than
          ? change Target  AWS::SSM::Parameter  (Value)

        sealed in plan.json until [time], digest [digest]
    "#]]);
    let there = elsewhere(&cloud);
    run(&there, "deploy --plan plan.json").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        store  updated
        api    updated

        store.TopicArn  arn:aws:sns:eu-west-1:111111111111:demo-lab-store-Topic-[id]
        api.Level       debug
    "#]]);
    let done = cloud.state();
    // Once is all: nothing of it is done twice.
    run(&there, "deploy --plan plan.json").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        lab is as its file says; nothing to do
    "#]]);
    assert_eq!(cloud.state(), done);
    cloud.run("plan lab --exit-code").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        store                                                        no changes
        api                                                          no changes

        0 to add, 0 to modify, 0 to replace, 0 to remove
    "#]]);
}

#[test]
fn new_stacks_are_sealed_before_anything_of_them_exists() {
    let cloud = Cloud::of(pair());
    cloud.ends("plan lab --out plan.json", 0);
    assert_eq!(cloud.state(), json!({}), "a plan leaves nothing of a stack that is new");
    let ran = run(&elsewhere(&cloud), "deploy --plan plan.json");
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(cloud.calls("ExecuteChangeSet"), 2);
    cloud.ends("plan lab --exit-code", 0);
}

#[test]
fn a_seal_holds_no_output_and_no_secret() {
    let cloud = sealed();
    let text = cloud.scenario.read("plan.json");
    assert!(!text.contains("arn:aws:sns"), "what a reference leads to is not in it: {text}");
    assert!(text.contains("\"output\": \"TopicArn\""), "the reference is: {text}");
}

#[test]
fn a_hidden_parameter_in_clear_is_not_sealed() {
    let plain = "Parameters:\n  Word: {Type: String, NoEcho: true, Default: x}\n  Open: {Type: String}\nResources:\n  Queue:\n    Type: AWS::SQS::Queue\n    Properties: {QueueName: !Ref Open}\n";
    let scenario = Scenario::small().file("templates/plain/stack.yaml", plain).edit(
        "environments/lab.yaml",
        "stacks:\n",
        "stacks:\n  plain: {values: {Open: AKIAIOSFODNN7EXAMPLE}}\n",
    );
    let cloud = Cloud::of(scenario);
    cloud.run("plan lab --out plan.json").last_words().expect(expect![[r#"
        exit 3
        -- stderr
        error: the plan of `lab` cannot be sealed
          because parameter `Word` of `plain` is hidden (`NoEcho`) and given in clear, and a seal holds no secrets

        hint: give a reference in its place: `{secret: NAME, key: KEY}`, `{ssm: /path}` or `{previous: true}`
    "#]]);
    assert_eq!(cloud.operations(), Vec::<String>::new(), "and nobody was asked anything");
}

#[test]
fn what_looks_like_a_key_is_not_sealed() {
    let cloud = Cloud::of(Scenario::small().edit("environments/lab.yaml", "papers", "AKIAIOSFODNN7EXAMPLE"));
    cloud.run("plan lab --out plan.json").last_words().expect(expect![[r#"
        exit 3
        -- stderr
        error: the plan of `lab` cannot be sealed
          because the plan of `store` holds what looks like an access key or a private key, and a seal holds no secrets

        hint: give a reference in its place: `{secret: NAME, key: KEY}`, `{ssm: /path}` or `{previous: true}`
    "#]]);
}

/// Killed half-way, the seal is of use still: what its first run did is no hand-made change.
#[test]
fn a_sealed_deployment_that_was_killed_half_way_goes_on() {
    let mut cloud = sealed().watched();
    let start = cloud.saved();
    cloud.restore(&start);
    let sealed_run = |cloud: &Cloud, fate| {
        let mut command = cloud.command("deploy --plan plan.json");
        cloud.proxy().run(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap(), fate)
    };
    let (calls, code) = sealed_run(&cloud, Fate::Lives);
    assert_eq!(code, Some(0));
    let done = cloud.state();
    for number in [calls / 4, calls / 3, calls / 2, calls * 2 / 3] {
        cloud.restore(&start);
        assert_eq!(sealed_run(&cloud, Fate::DiesAfter(number)).1, None, "killed at call {number} of {calls}");
        cloud.ends("deploy --plan plan.json", 0);
        assert_eq!(cloud.state(), done, "killed at call {number} of {calls}");
    }
}

/// A creation or an update that failed is history: what is to be done about it is a new question.
#[test]
fn a_seal_whose_change_failed_is_not_tried_again() {
    let cloud = sealed();
    let fails = json!({"fail_resource": {"during": "update", "reason": "no"}});
    cloud.faults(&json!([{"logical_id": "Topic", "effect": fails, "times": 1}]));
    let there = elsewhere(&cloud);
    assert_eq!(run(&there, "deploy --plan plan.json").code, Some(1));
    refused(
        &cloud,
        expect![[r#"
        exit 3
        -- stderr
        error: the deployment of `lab` is refused
          stack `store` has changed since the plan was sealed

        hint: `greenroom plan lab --out FILE` seals what is to be done now
    "#]],
    );
}

#[test]
fn what_deploy_would_refuse_is_not_sealed_and_leaves_nothing() {
    let keeper = "Resources:\n  Bucket:\n    Type: AWS::S3::Bucket\n    DeletionPolicy: Delete\n    UpdateReplacePolicy: Delete\n    Properties: {BucketName: {{ name }}}\n";
    let inputs = "type: object\nrequired: [name]\nproperties: {name: {type: string, description: What it is called}}\n";
    let scenario = Scenario::small()
        .file("templates/store/stack.yaml", keeper)
        .file("templates/store/inputs.yaml", inputs)
        .edit("environments/lab.yaml", "{topic: papers}", "{name: one-bucket}");
    let mut cloud = Cloud::of(scenario);
    cloud.ends("deploy lab --yes", 0);
    let before = cloud.state();
    cloud.edit("environments/lab.yaml", "one-bucket", "other-bucket");
    cloud.run("plan lab --out plan.json").last_words().expect(expect![[r#"
        exit 3
        -- stderr
        error: the plan of `lab` is not sealed: deploy would refuse
          `store/Bucket` holds data and would be replaced by an EMPTY bucket; the old one is DELETED with all it holds
    "#]]);
    assert!(!cloud.scenario.root().join("plan.json").exists());
    cloud.come_to_rest();
    assert_eq!(cloud.state(), before);
    // What was allowed when it was sealed is allowed when it is executed, and nothing else can be.
    cloud.ends("plan lab --out plan.json --allow-replacement store/Bucket", 0);
    let ran = run(&elsewhere(&cloud), "deploy --plan plan.json");
    assert_eq!(ran.code, Some(0), "{ran}");
}

#[test]
fn a_seal_is_refused_after_a_change_by_hand() {
    let cloud = sealed();
    cloud.by_hand(
        "UpdateStack",
        &[
            ("StackName", "demo-lab-api"),
            ("UsePreviousTemplate", "true"),
            ("Parameters.member.1.ParameterKey", "TopicArn"),
            ("Parameters.member.1.ParameterValue", "arn:by:hand"),
        ],
    );
    cloud.come_to_rest();
    refused(
        &cloud,
        expect![[r#"
        exit 3
        -- stderr
        error: the deployment of `lab` is refused
          stack `api` has changed since the plan was sealed

        hint: `greenroom plan lab --out FILE` seals what is to be done now
    "#]],
    );
}

#[test]
fn a_seal_is_refused_when_its_change_set_is_gone() {
    let cloud = sealed();
    let state = cloud.control("state", "");
    let stacks = &state["places"]["111111111111"]["eu-west-1"]["cloudformation"]["stacks"];
    let store = stacks.as_object().unwrap().values().find(|stack| stack["name"] == "demo-lab-store").unwrap();
    let name = store["change_sets"].as_array().unwrap().last().unwrap()["name"].as_str().unwrap().to_owned();
    cloud.by_hand("DeleteChangeSet", &[("StackName", "demo-lab-store"), ("ChangeSetName", &name)]);
    cloud.come_to_rest();
    refused(
        &cloud,
        expect![[r#"
        exit 3
        -- stderr
        error: the deployment of `lab` is refused
          change set `r-[sealed]` of stack `store`, which was sealed, is gone or of no use any more

        hint: `greenroom plan lab --out FILE` seals what is to be done now
    "#]],
    );
}

#[test]
fn a_seal_is_refused_when_a_stack_is_gone_or_has_appeared() {
    let cloud = sealed();
    cloud.by_hand("DeleteStack", &[("StackName", "demo-lab-api")]);
    cloud.come_to_rest();
    refused(
        &cloud,
        expect![[r#"
        exit 3
        -- stderr
        error: the deployment of `lab` is refused
          stack `api` does not exist any more

        hint: `greenroom plan lab --out FILE` seals what is to be done now
    "#]],
    );
    let cloud = Cloud::of(pair());
    cloud.ends("plan lab --out plan.json", 0);
    let template = r#"{"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}"#;
    cloud.by_hand("CreateStack", &[("StackName", "demo-lab-api"), ("TemplateBody", template)]);
    cloud.come_to_rest();
    refused(
        &cloud,
        expect![[r#"
        exit 3
        -- stderr
        error: the deployment of `lab` is refused
          stack `api` exists, and did not when the plan was sealed

        hint: `greenroom plan lab --out FILE` seals what is to be done now
    "#]],
    );
}

/// The reference leads into another environment, which was deployed in between.
#[test]
fn a_seal_is_refused_when_a_reference_leads_elsewhere() {
    let shared =
        "project: demo\naccount: \"111111111111\"\nregion: eu-west-1\nstacks:\n  store: {values: {topic: papers}}\n";
    let scenario = Scenario::small()
        .file("environments/shared.yaml", shared)
        .file("templates/api/inputs.yaml", "type: object\nrequired: [topic_arn]\nproperties:\n  topic_arn: {type: string, description: Where it sends, x-parameter: TopicArn}\n  level: {type: string, default: info, description: How much it says}\n")
        .file("templates/api/stack.yaml", "Parameters:\n  TopicArn: {Type: String}\nResources:\n  Target:\n    Type: AWS::SSM::Parameter\n    Properties:\n      Type: String\n      Value: !Ref TopicArn\n      Description: {{ level }}\n")
        .edit("environments/lab.yaml", "  store:\n    values: {topic: papers}\n", "  api:\n    values: {topic_arn: {output: shared/store.TopicArn}}\n");
    let mut cloud = Cloud::of(scenario);
    cloud.ends("deploy shared --yes", 0);
    cloud.ends("deploy lab --yes", 0);
    cloud.edit("environments/lab.yaml", "TopicArn}}", "TopicArn}, level: debug}");
    cloud.ends("plan lab --out plan.json", 0);
    cloud.edit("environments/shared.yaml", "papers", "letters");
    cloud.ends("deploy shared --yes", 0);
    refused(
        &cloud,
        expect![[r#"
        exit 3
        -- stderr
        error: the deployment of `lab` is refused
          parameter `TopicArn` of `api` is to be {output: shared/store.TopicArn}, which is not what it was when the plan was sealed

        hint: `greenroom plan lab --out FILE` seals what is to be done now
    "#]],
    );
}

#[test]
fn a_seal_expires_by_the_clouds_clock_and_its_change_sets_are_cleared_away_then() {
    let mut cloud = changed();
    cloud.ends("plan lab --out plan.json --expires 8h", 0);
    let kept = cloud.state();
    cloud.ends("plan lab", 0);
    assert_eq!(cloud.state(), kept, "somebody else's look spares what is kept for a seal");
    cloud.control("advance", r#"{"seconds": 28900}"#);
    refused(
        &cloud,
        expect![[r#"
        exit 3
        -- stderr
        error: the sealed plan of `lab` has expired: it held until [time]

        hint: `greenroom plan lab --out FILE` seals what is to be done now
    "#]],
    );
    cloud.edit("environments/lab.yaml", "level: debug", "level: trace");
    cloud.ends("plan lab", 0);
    cloud.come_to_rest();
    assert!(!cloud.state().to_string().contains("-until-"), "{}", cloud.state());
}

#[test]
fn a_file_that_is_not_as_it_was_sealed_is_refused() {
    let cloud = sealed();
    let whole = cloud.scenario.read("plan.json");
    let there = elsewhere(&cloud);
    let calls = cloud.operations().len();
    let says = |text: &str, expected: Expect| {
        fs::write(there.root().join("plan.json"), text).unwrap();
        run(&there, "deploy --plan plan.json").last_words().expect(expected);
    };
    says(
        &whole.replace("letters of 3", "letters of 4"),
        expect![[r#"
        exit 3
        -- stderr
        error: the sealed plan `plan.json` cannot be read
          because it is not as it was sealed: its digest is not that of what it holds

        hint: seal it anew: a sealed plan is not edited
    "#]],
    );
    says(
        &whole[..whole.len() / 2],
        expect![[r#"
            exit 2
            -- stderr
            error: the sealed plan `plan.json` cannot be read
              because it is not a whole sealed plan: EOF while parsing a value at line 96 column 12

            hint: was all of it brought here?
        "#]],
    );
    says(
        &whole.replace("\"greenroom_seal\": 1", "\"greenroom_seal\": 2"),
        expect![[r#"
        exit 2
        -- stderr
        error: the sealed plan `plan.json` cannot be read
          because it has version 2, and this greenroom reads 1

        hint: take the greenroom that sealed it, or a newer one
    "#]],
    );
    says(
        "{}",
        expect![[r#"
        exit 2
        -- stderr
        error: the sealed plan `plan.json` cannot be read
          because it is not a sealed plan

        hint: was all of it brought here?
    "#]],
    );
    fs::remove_file(there.root().join("plan.json")).unwrap();
    run(&there, "deploy --plan plan.json").last_words().expect(expect![[r#"
        exit 2
        -- stderr
        error: the sealed plan `plan.json` cannot be read
          because no such file or directory
    "#]]);
    assert_eq!(cloud.operations().len(), calls, "nobody was asked anything");
    // White space is not what was sealed.
    let compact: Value = serde_json::from_str(&whole).unwrap();
    fs::write(there.root().join("plan.json"), compact.to_string()).unwrap();
    let ran = run(&there, "deploy lab --plan plan.json");
    assert_eq!(ran.code, Some(0), "{ran}");
}

#[test]
fn a_seal_is_of_one_environment_one_cloud_and_one_account() {
    let cloud = sealed();
    let there = elsewhere(&cloud);
    run(&there, "deploy staging --plan plan.json").last_words().expect(expect![[r#"
        exit 3
        -- stderr
        error: `plan.json` is a plan of `lab`, not of `staging`
    "#]]);
    let real = Cloud::of(Scenario::small().edit("environments/lab.yaml", "111111111111", "210987654321"));
    crate::deploy::abroad(&real, "plan lab --out plan.json", &real.url(), Some("210987654321")).stdout_only();
    crate::deploy::abroad(&real, "deploy --plan plan.json", &real.url(), Some("987654321098")).last_words().expect(
        expect![[r#"
            exit 3
            -- stderr
            error: these credentials are for 987654321098, but the environment is in 210987654321

            hint: use a profile of 210987654321: `--profile NAME`
        "#]],
    );
    real.run("deploy --plan plan.json").last_words().expect(expect![[r#"
        exit 3
        -- stderr
        error: `plan.json` was sealed in AWS, and this is the local cloud
    "#]]);
    let ran = crate::deploy::abroad(&real, "deploy --plan plan.json", &real.url(), Some("210987654321"));
    assert_eq!(ran.code, Some(0), "{ran}");
}

#[test]
fn a_protected_environment_takes_a_sealed_plan_for_its_confirmation() {
    let mut cloud = Cloud::of(Scenario::small().edit("environments/lab.yaml", "stacks:", "protected: true\nstacks:"));
    cloud.ends("plan lab --out plan.json", 0);
    cloud.ends("deploy --plan plan.json", 0);
    assert_eq!(cloud.calls("ExecuteChangeSet"), 1);
    cloud.edit("environments/lab.yaml", "papers", "letters");
    cloud.ends("deploy lab --yes", 3);
}

#[test]
fn a_program_reads_what_was_sealed() {
    let cloud = changed();
    let ran = cloud.ends("plan lab --out plan.json --exit-code --format json", 4);
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    let sealed: Value = serde_json::from_str(&cloud.scenario.read("plan.json")).unwrap();
    assert_eq!(told["seal"]["digest"], sealed["digest"]);
    assert_eq!(told["seal"]["expires"], sealed["plan"]["expires"]);
    assert_eq!((&told["schema"], &sealed["greenroom_seal"]), (&json!(1), &json!(1)));
}
