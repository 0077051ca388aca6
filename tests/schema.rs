//! `schema`: what an environment file may say, for editors.

use expect_test::expect;
use serde_json::Value as Json;

use crate::support::{LAB, STORE_INPUTS, Scenario, shipped};

fn schema_of(scenario: &Scenario) -> Json {
    serde_json::from_str(scenario.run(["schema"]).stdout()).unwrap()
}

/// What an editor would say about an environment file written in JSON.
fn judged(scenario: &Scenario, environment: &Json) -> Vec<String> {
    let validator = jsonschema::draft202012::new(&schema_of(scenario)).unwrap();
    validator.iter_errors(environment).map(|error| error.instance_path().to_string()).collect()
}

#[test]
fn every_input_is_in_it() {
    let schema = schema_of(&Scenario::small());
    let text = serde_json::to_string_pretty(&schema["$defs"]).unwrap();
    expect![[r##"
        {
          "reference": {
            "anyOf": [
              {
                "type": "object",
                "properties": {
                  "ssm": {
                    "type": "string"
                  }
                },
                "required": [
                  "ssm"
                ],
                "additionalProperties": false
              },
              {
                "type": "object",
                "properties": {
                  "secret": {
                    "type": "string"
                  },
                  "key": {
                    "type": "string"
                  }
                },
                "required": [
                  "secret"
                ],
                "additionalProperties": false
              }
            ]
          },
          "reference_at_deployment": {
            "anyOf": [
              {
                "type": "object",
                "properties": {
                  "output": {
                    "type": "string"
                  }
                },
                "required": [
                  "output"
                ],
                "additionalProperties": false
              },
              {
                "type": "object",
                "properties": {
                  "export": {
                    "type": "string"
                  }
                },
                "required": [
                  "export"
                ],
                "additionalProperties": false
              },
              {
                "type": "object",
                "properties": {
                  "previous": {
                    "const": true
                  }
                },
                "required": [
                  "previous"
                ],
                "additionalProperties": false
              }
            ]
          },
          "store.topic": {
            "description": "What the topic is called",
            "anyOf": [
              {
                "type": [
                  "string",
                  "number"
                ]
              },
              {
                "type": "null"
              },
              {
                "$ref": "#/$defs/reference"
              }
            ]
          },
          "store.size": {
            "description": "How many there are",
            "anyOf": [
              {
                "type": "integer",
                "minimum": 1
              },
              {
                "type": "null"
              },
              {
                "$ref": "#/$defs/reference"
              }
            ]
          }
        }"##]]
    .assert_eq(&text);
}

#[test]
fn takes_what_is_right_and_refuses_what_is_not() {
    let scenario = Scenario::small();
    let lab = |values: Json| serde_json::json!({"project": "demo", "account": "111111111111", "region": "eu-west-1", "stacks": {"store": {"values": values}}});
    assert_eq!(judged(&scenario, &lab(serde_json::json!({"topic": "papers", "size": 3}))), [""; 0]);
    assert_eq!(judged(&scenario, &lab(serde_json::json!({"topic": {"ssm": "/name"}, "size": null}))), [""; 0]);
    assert_eq!(judged(&scenario, &lab(serde_json::json!({"topic": "papers", "sise": 3}))), ["/stacks/store/values"]);
    assert_eq!(judged(&scenario, &lab(serde_json::json!({"size": 0}))), ["/stacks/store/values/size"]);
    assert_eq!(judged(&scenario, &serde_json::json!({"acount": "1"})), [""]);
}

#[test]
fn is_written_where_check_keeps_an_eye_on_it() {
    let scenario = Scenario::small();
    scenario.run(["schema", "--write"]).expect(expect![[r#"
        exit 0
        -- stdout
        wrote [project]/environments/.schema.json
    "#]]);
    assert_eq!(scenario.read("environments/.schema.json"), scenario.run(["schema"]).stdout());
    scenario.run(["check"]).expect_silence();
}

#[test]
fn what_is_shipped_is_of_today() {
    let written = std::fs::read_to_string(shipped("environments/.schema.json")).unwrap();
    assert_eq!(Scenario::shipped().run(["schema"]).stdout(), written, "`greenroom schema --write` renews it");
}

/// Ten definitions that refer to ten others each, fifteen levels deep, once were written out one by one.
#[test]
fn a_billion_references_have_an_end() {
    let mut inputs = STORE_INPUTS.to_string() + "  deep: {$ref: '#/$defs/d0', description: Deep}\n$defs:\n";
    for level in 0..15 {
        let keys: Vec<String> = (0..10).map(|key| format!("k{key}: {{$ref: '#/$defs/d{}'}}", level + 1)).collect();
        inputs.push_str(&format!("  d{level}: {{type: object, properties: {{{}}}}}\n", keys.join(", ")));
    }
    let scenario = Scenario::small().store_inputs(&(inputs + "  d15: {type: string}\n"));
    let schema = schema_of(&scenario);
    assert!(schema["$defs"]["store.deep"].is_object());
}

#[test]
fn a_broken_template_leaves_the_rest() {
    let scenario =
        Scenario::small().file("templates/broken/stack.yaml", "{{").file("templates/broken/inputs.yaml", "a: [");
    let schema = schema_of(&scenario.lab(LAB));
    assert!(schema["$defs"]["store.topic"].is_object());
}
