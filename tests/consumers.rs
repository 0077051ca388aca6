//! Exports and outputs that others use: who uses them is said, and the phases are put in order or told.

use expect_test::expect;
use serde_json::Value;

use crate::support::Scenario;
use crate::support::cloud::{Cloud, pair};

const LAB: &str = r#"project: demo
account: "111111111111"
region: eu-west-1
stacks:
  words: {values: {name: papers}}
  reader:
    needs: [words]
    values: {level: info}
"#;

const WORDS: &str = "Resources:\n  Topic:\n    Type: AWS::SNS::Topic\n    Properties: {TopicName: {{ name }}}\n  Queue:\n    Type: AWS::SQS::Queue\nOutputs:\n  Word:\n    Value: !Ref Topic\n    Export: {Name: !Sub '${AWS::StackName}-word'}\n";
const WITHOUT: &str = "Resources:\n  Topic:\n    Type: AWS::SNS::Topic\n    Properties: {TopicName: {{ name }}}\n";
const READER: &str = "Resources:\n  Level:\n    Type: AWS::SSM::Parameter\n    Properties: {Type: String, Value: {{ level }}}\n  Word:\n    Type: AWS::SSM::Parameter\n    Properties: {Type: String, Value: !ImportValue demo-lab-words-word}\n";

fn readers() -> Cloud {
    let scenario = Scenario::empty()
        .file("environments/lab.yaml", LAB)
        .file("templates/words/stack.yaml", WORDS)
        .file("templates/words/inputs.yaml", "type: object\nproperties: {name: {type: string, description: Which}}\n")
        .file("templates/reader/stack.yaml", READER)
        .file(
            "templates/reader/inputs.yaml",
            "type: object\nproperties: {level: {type: string, description: How much}}\n",
        );
    let cloud = Cloud::of(scenario);
    cloud.ends("deploy lab --yes", 0);
    cloud
}

#[test]
fn an_export_in_use_is_not_removed() {
    let mut cloud = readers();
    cloud.edit("templates/words/stack.yaml", WORDS, WITHOUT);
    let before = cloud.state();
    cloud.run("plan lab").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        words                                                        remove 1
          - Queue  AWS::SQS::Queue
        reader                                                       after words

        0 to add, 0 to modify, 0 to replace, 1 to remove
        deploy will refuse: export `demo-lab-words-word` of `words` would be removed, and `reader` imports it
        hint: two steps: deploy `reader` without `demo-lab-words-word` first, then `words`
    "#]]);
    cloud.run("deploy lab --yes").last_words().expect(expect![[r#"
        exit 3
        -- stderr
        error: the deployment of `lab` is refused
          export `demo-lab-words-word` of `words` would be removed, and `reader` imports it

        hint: two steps: deploy `reader` without `demo-lab-words-word` first, then `words`
    "#]]);
    cloud.come_to_rest();
    assert_eq!(cloud.state(), before);
    // The first of the two steps, and the second.
    cloud.edit("templates/reader/stack.yaml", "!ImportValue demo-lab-words-word", "nothing");
    cloud.ends("deploy lab reader --yes", 0);
    cloud.ends("deploy lab --yes", 0);
}

#[test]
fn whoever_lets_go_in_the_same_run_goes_first() {
    let mut cloud = readers();
    cloud.edit("templates/words/stack.yaml", WORDS, WITHOUT);
    cloud.edit("templates/reader/stack.yaml", "!ImportValue demo-lab-words-word", "nothing");
    // Still waited for, so that neither could begin.
    cloud.ends("deploy lab --yes", 3);
    cloud.edit("environments/lab.yaml", "    needs: [words]\n", "");
    cloud.run("plan lab").stdout_only().expect(expect![[r#"
        exit 0
        -- stdout
        words                                                        remove 1, after reader: lets go of demo-lab-words-word
          - Queue  AWS::SQS::Queue
        reader                                                       modify 1
          ~ Word  AWS::SSM::Parameter
              Value  arn:aws:sns:eu-west-1:111111111111:papers → nothing

        0 to add, 1 to modify, 0 to replace, 1 to remove
    "#]]);
    // The local cloud would refuse the other order, as AWS does.
    cloud.ends("deploy lab --yes", 0);
    cloud.ends("plan lab --exit-code", 0);
}

#[test]
fn an_export_in_use_is_not_changed() {
    let mut cloud = readers();
    cloud.edit("environments/lab.yaml", "name: papers", "name: letters");
    let before = cloud.state();
    cloud.run("deploy lab --yes").last_words().expect(expect![[r#"
        exit 3
        -- stderr
        error: the deployment of `lab` is refused
          export `demo-lab-words-word` of `words` would be changed, and `reader` imports it

        hint: two steps: deploy `reader` without `demo-lab-words-word` first, then `words`
    "#]]);
    cloud.come_to_rest();
    assert_eq!(cloud.state(), before);
}

#[test]
fn somebody_elses_import_counts() {
    let mut cloud = readers();
    let template = r#"{"Resources": {"P": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": {"Fn::ImportValue": "demo-lab-words-word"}}}}}"#;
    cloud.by_hand("CreateStack", &[("StackName", "theirs"), ("TemplateBody", template)]);
    cloud.come_to_rest();
    cloud.edit("templates/words/stack.yaml", WORDS, WITHOUT);
    cloud.edit("templates/reader/stack.yaml", "!ImportValue demo-lab-words-word", "nothing");
    cloud.edit("environments/lab.yaml", "    needs: [words]\n", "");
    cloud.run("deploy lab --yes").last_words().expect(expect![[r#"
        exit 3
        -- stderr
        error: the deployment of `lab` is refused
          export `demo-lab-words-word` of `words` would be removed, and `theirs` imports it

        hint: two steps: deploy `theirs` without `demo-lab-words-word` first, then `words`
    "#]]);
}

/// When something happened to a stack itself, in order.
fn times(cloud: &Cloud, name: &str, status: &str) -> Vec<String> {
    let state = cloud.control("state", "");
    let stacks = &state["places"]["111111111111"]["eu-west-1"]["cloudformation"]["stacks"];
    let stack = stacks.as_object().unwrap().values().find(|stack| stack["name"] == name).unwrap();
    let events = stack["events"].as_array().unwrap().iter();
    let meant = events.filter(|event| event["physical_id"] == stack["id"] && event["status"] == status);
    meant.map(|event: &Value| event["at"].to_string()).collect()
}

/// An output that became a parameter is nothing that CloudFormation knows of.
#[test]
fn who_was_given_an_output_lets_go_of_it_before_it_goes() {
    let mut cloud = Cloud::of(pair());
    cloud.ends("deploy lab --yes", 0);
    cloud.edit("templates/store/stack.yaml", "Outputs:\n  TopicArn:\n    Value: !Ref Topic\n", "");
    cloud.edit("environments/lab.yaml", "      topic_arn: {output: store.TopicArn}\n", "      topic_arn: none\n");
    let shown = cloud.ends("plan lab", 0).stdout;
    assert!(shown.contains("changes outside of resources, after api: lets go of TopicArn\n"), "{shown}");
    cloud.ends("deploy lab --yes", 0);
    let (freed, gone) =
        (times(&cloud, "demo-lab-api", "UPDATE_COMPLETE"), times(&cloud, "demo-lab-store", "UPDATE_IN_PROGRESS"));
    assert!(!freed.is_empty() && !gone.is_empty());
    assert!(freed[0] <= gone[0], "{freed:?} {gone:?}");
}
