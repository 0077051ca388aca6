//! `render`: what CloudFormation would be given, on stdout or in files.

use std::fs;

use expect_test::expect;

use crate::support::{LAB, STORE, STORE_INPUTS, Scenario};

/// `lab` with a second stack, which takes an output of the first.
fn two_stacks() -> Scenario {
    let inputs = "type: object\nproperties:\n  source: {type: string, x-parameter: Source, description: Where it comes from}\n  kept: {type: string, x-parameter: Kept, description: What stays}\n";
    let template = "Parameters: {Source: {Type: String}, Kept: {Type: String, NoEcho: true}}\nResources:\n  Policy:\n    Type: AWS::SNS::Subscription\n    Properties: {TopicArn: !Ref Source, Protocol: sqs, Endpoint: !Ref Kept}\n";
    Scenario::small()
        .lab(&format!(
            "{LAB}  reader:\n    values: {{source: {{output: store.TopicArn}}, kept: {{previous: true}}}}\ntags: {{team: '${{project}}'}}\n"
        ))
        .file("templates/reader/inputs.yaml", inputs)
        .file("templates/reader/stack.yaml", template)
}

#[test]
fn one_stack_goes_to_stdout_as_yaml() {
    Scenario::small().run(["render", "lab"]).expect(expect![[r#"
        exit 0
        -- stdout
        Resources:
          Topic:
            Type: AWS::SNS::Topic
            Properties:
              TopicName: papers
              DisplayName: papers of 3
        Outputs:
          TopicArn:
            Value: !Ref Topic
    "#]]);
}

#[test]
fn one_stack_goes_to_stdout_as_json() {
    Scenario::small().run(["render", "lab", "--format", "json"]).expect(expect![[r#"
        exit 0
        -- stdout
        {
          "Resources": {
            "Topic": {
              "Type": "AWS::SNS::Topic",
              "Properties": {
                "TopicName": "papers",
                "DisplayName": "papers of 3"
              }
            }
          },
          "Outputs": {
            "TopicArn": {
              "Value": {
                "Ref": "Topic"
              }
            }
          }
        }
    "#]]);
}

#[test]
fn several_stacks_are_four_files_each() {
    let scenario = two_stacks();
    scenario.run(["render", "lab", "--out", "out"]).expect(expect![[r#"
        exit 0
        -- stdout
        wrote out/store.yaml
        wrote out/store.json
        wrote out/store.parameters.json
        wrote out/store.tags.json
        wrote out/reader.yaml
        wrote out/reader.json
        wrote out/reader.parameters.json
        wrote out/reader.tags.json
        note: reader waits for Source, known at deployment
    "#]]);
    let files: Vec<String> = scenario.files().into_iter().filter(|file| file.starts_with("out/")).collect();
    let all: String = files.iter().map(|file| format!("== {file}\n{}", scenario.read(file))).collect();
    expect![[r#"
        == out/reader.json
        {
          "Parameters": {
            "Source": {
              "Type": "String"
            },
            "Kept": {
              "Type": "String",
              "NoEcho": true
            }
          },
          "Resources": {
            "Policy": {
              "Type": "AWS::SNS::Subscription",
              "Properties": {
                "TopicArn": {
                  "Ref": "Source"
                },
                "Protocol": "sqs",
                "Endpoint": {
                  "Ref": "Kept"
                }
              }
            }
          }
        }
        == out/reader.parameters.json
        [
          {
            "ParameterKey": "Source",
            "ParameterValue": "<output: store.TopicArn>"
          },
          {
            "ParameterKey": "Kept",
            "UsePreviousValue": true
          }
        ]
        == out/reader.tags.json
        [
          {
            "Key": "greenroom:environment",
            "Value": "lab"
          },
          {
            "Key": "greenroom:project",
            "Value": "demo"
          },
          {
            "Key": "greenroom:stack",
            "Value": "reader"
          },
          {
            "Key": "team",
            "Value": "demo"
          }
        ]
        == out/reader.yaml
        Parameters: {Source: {Type: String}, Kept: {Type: String, NoEcho: true}}
        Resources:
          Policy:
            Type: AWS::SNS::Subscription
            Properties: {TopicArn: !Ref Source, Protocol: sqs, Endpoint: !Ref Kept}
        == out/store.json
        {
          "Resources": {
            "Topic": {
              "Type": "AWS::SNS::Topic",
              "Properties": {
                "TopicName": "papers",
                "DisplayName": "papers of 3"
              }
            }
          },
          "Outputs": {
            "TopicArn": {
              "Value": {
                "Ref": "Topic"
              }
            }
          }
        }
        == out/store.parameters.json
        []
        == out/store.tags.json
        [
          {
            "Key": "greenroom:environment",
            "Value": "lab"
          },
          {
            "Key": "greenroom:project",
            "Value": "demo"
          },
          {
            "Key": "greenroom:stack",
            "Value": "store"
          },
          {
            "Key": "team",
            "Value": "demo"
          }
        ]
        == out/store.yaml
        Resources:
          Topic:
            Type: AWS::SNS::Topic
            Properties:
              TopicName: papers
              DisplayName: papers of 3
        Outputs:
          TopicArn:
            Value: !Ref Topic
    "#]]
    .assert_eq(&all);
}

#[test]
fn quoted_and_plain_text_stay_what_they_are() {
    let inputs = "type: object\nproperties:\n  words: {type: array, items: {type: string}, description: Words}\n";
    let store = "Resources:\n{% for word in words %}\n  W{{ loop.index }}: {Type: Custom::Word, Properties: {Word: {{ word }}}}\n{% endfor %}\n";
    let lab = LAB.replace(
        "{topic: papers}",
        "{words: [7.10, 012345678901, 12:30, \"ON\", no, '{{resolve:ssm:/a}}', 'a: b', '', ~x, '$${A}']}",
    );
    Scenario::small().store_inputs(inputs).store(store).lab(&lab).run(["render", "lab"]).expect(expect![[r#"
        exit 0
        -- stdout
        Resources:

          W1: {Type: Custom::Word, Properties: {Word: '7.10'}}

          W2: {Type: Custom::Word, Properties: {Word: '012345678901'}}

          W3: {Type: Custom::Word, Properties: {Word: '12:30'}}

          W4: {Type: Custom::Word, Properties: {Word: 'ON'}}

          W5: {Type: Custom::Word, Properties: {Word: 'no'}}

          W6: {Type: Custom::Word, Properties: {Word: '{{resolve:ssm:/a}}'}}

          W7: {Type: Custom::Word, Properties: {Word: 'a: b'}}

          W8: {Type: Custom::Word, Properties: {Word: ''}}

          W9: {Type: Custom::Word, Properties: {Word: ~x}}

          W10: {Type: Custom::Word, Properties: {Word: '${A}'}}

    "#]]);
}

#[test]
fn a_named_environment_is_rendered_by_its_name() {
    let store = STORE.replace("{{ topic }} of {{ size }}", "{{ environment }}");
    let scenario = Scenario::small().lab(&format!("{LAB}named: true\n")).store(&store);
    scenario.run(["render", "lab@jane"]).expect(expect![[r#"
        exit 0
        -- stdout
        Resources:
          Topic:
            Type: AWS::SNS::Topic
            Properties:
              TopicName: papers
              DisplayName: lab-jane
        Outputs:
          TopicArn:
            Value: !Ref Topic
    "#]]);
}

#[test]
fn a_plain_template_is_not_touched_by_tera() {
    let plain = "# {{ not ours }}\nParameters: {Name: {Type: String}}\nResources:\n  Topic: {Type: AWS::SNS::Topic, Properties: {TopicName: !Ref Name, DisplayName: \"{% if %} {{resolve:ssm:/a}}\"}}\n";
    let scenario = Scenario::small()
        .lab(&format!("{LAB}  old: {{values: {{Name: a}}}}\n"))
        .file("templates/old/stack.yaml", plain);
    assert_eq!(scenario.run(["render", "lab", "old"]).stdout(), plain);
}

#[test]
fn all_mistakes_of_all_stacks_are_told_and_nothing_is_written() {
    let scenario = two_stacks().edit("environments/lab.yaml", "topic: papers", "size: 0");
    let scenario = scenario.edit("environments/lab.yaml", "kept:", "keptt:");
    let before = scenario.files();
    scenario.run(["render", "lab", "--out", "out"]).expect(expect![[r#"
        exit 2
        -- stderr
        error: `store` lacks the input `topic`
         --> environments/lab.yaml:5:3
          |
        5 |   store:
          |   ^^^^^
          |
         ::: templates/store/inputs.yaml:4:3
          |
        4 |   topic: {type: string, description: What the topic is called}
          |   ----- What the topic is called
          |
          = hint: say `topic:` under `stacks.store.values`

        error: `store.size`: at least 1 expected, but this is 0
         --> environments/lab.yaml:6:20
          |
        6 |     values: {size: 0}
          |                    ^
          |
          = hint: How many there are

        error: the template `reader` has no input `keptt`
         --> environments/lab.yaml:8:48
          |
        8 |     values: {source: {output: store.TopicArn}, keptt: {previous: true}}
          |                                                ^^^^^
          |
          = hint: did you mean `kept`?

        3 mistakes
    "#]]);
    assert_eq!(scenario.files(), before);
}

/// Once the files before the one that failed stayed behind under their hidden names.
#[test]
fn files_that_cannot_be_written_leave_nothing_behind() {
    let scenario = two_stacks().directory("out/reader.json");
    scenario.run(["render", "lab", "--out", "out"]).expect(expect![[r#"
        exit 1
        -- stderr
        error: cannot write `out/reader.json`
          because is a directory
    "#]]);
    let written: Vec<String> = scenario.files().into_iter().filter(|file| file.starts_with("out/")).collect();
    assert_eq!(written, [""; 0]);
}

#[test]
fn a_directory_that_cannot_be_made() {
    let scenario = Scenario::small().file("file", "mine");
    let before = scenario.files();
    scenario.run(["render", "lab", "--out", "file/out"]).expect(expect![[r#"
        exit 1
        -- stderr
        error: cannot create `file/out`
          because not a directory
    "#]]);
    assert_eq!((scenario.files(), scenario.read("file")), (before, "mine".to_string()));
}

#[test]
fn paths_with_spaces_and_other_letters_simply_work() {
    let scenario = Scenario::small()
        .file(
            "environments/große-probe.yaml",
            format!("{}stack_name: ${{project}}-grosse-${{stack}}\n", LAB.replace("1111", "2222")),
        )
        .file("templates/store/ein Teil.yaml", "  Part: {Type: Custom::Part}\n")
        .store(&STORE.replace("Outputs:", "{% include \"store/ein Teil.yaml\" %}\nOutputs:"))
        .within("mein Projekt ü");
    scenario.run(["check"]).expect_silence();
    let ran = scenario.run(["render", "große-probe", "--out", "aus gabe/é"]);
    expect![[r#"
        exit 0
        -- stdout
        wrote aus gabe/é/store.yaml
        wrote aus gabe/é/store.json
        wrote aus gabe/é/store.parameters.json
        wrote aus gabe/é/store.tags.json
    "#]]
    .assert_eq(&ran.to_string());
}

#[test]
fn old_files_are_replaced_whole() {
    let scenario = Scenario::small().file("out/store.yaml", "old ".repeat(10_000));
    scenario.run(["render", "lab", "--out", "out"]).stdout();
    assert_eq!(scenario.read("out/store.yaml"), scenario.run(["render", "lab"]).stdout());
}

/// A link in the place of a file is replaced, and what it led to is left alone.
#[test]
fn never_writes_through_a_link() {
    let scenario = Scenario::small().file("mine.yaml", "mine").directory("out").link("out/store.yaml", "../mine.yaml");
    scenario.run(["render", "lab", "--out", "out"]).stdout();
    assert_eq!(scenario.read("mine.yaml"), "mine");
    assert!(!fs::symlink_metadata(scenario.root().join("out/store.yaml")).unwrap().is_symlink());
}

#[test]
fn a_template_over_the_limit_of_a_call_is_told_apart() {
    let inputs = STORE_INPUTS.replace("minimum: 1", "minimum: 1, maximum: 100000");
    let store = STORE.replace("{{ topic }} of {{ size }}", "\"{% for n in range(end=size) %}x{% endfor %}\"");
    let lab = LAB.replace("topic: papers", "topic: papers, size: 60000") + "deploy: {template_bucket: b}\n";
    let scenario = Scenario::small().store_inputs(&inputs).store(&store).lab(&lab);
    scenario.run(["render", "lab", "--out", "out"]).expect(expect![[r#"
        exit 0
        -- stdout
        wrote out/store.yaml
        wrote out/store.json
        wrote out/store.parameters.json
        wrote out/store.tags.json
        note: store has 60152 bytes, over the 51200 of a call: it goes through a bucket
    "#]]);
}
