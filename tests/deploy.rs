//! `plan`, `deploy`, `status` and `destroy` where they end before any cloud: what is refused, and what nobody answers.

use expect_test::{Expect, expect};

use crate::support::{LAB, Scenario};

fn says(arguments: &[&str], expected: Expect) {
    Scenario::small().run(arguments.iter().copied()).expect(expected);
}

#[test]
fn a_placeholder_account_is_refused_outside_of_rehearsals() {
    says(
        &["deploy", "lab", "--yes"],
        expect![[r#"
        exit 3
        -- stderr
        lab · 111111111111 · eu-west-1
        error: 111111111111 is a placeholder, not an account of yours

        hint: put your account's id into the environment file, or rehearse with `--local`
    "#]],
    );
}

#[test]
fn a_protected_environment_wants_its_name() {
    let scenario = || Scenario::small().lab(&format!("protected: true\n{LAB}"));
    scenario().run(["deploy", "lab", "--yes"]).expect(expect![[r#"
        exit 3
        -- stderr
        error: `lab` is protected: `--yes` is not enough

        hint: `--confirm lab`, or confirm on a terminal
    "#]]);
    scenario().run(["deploy", "lab", "--confirm", "labb"]).expect(expect![[r#"
        exit 3
        -- stderr
        error: `--confirm labb` is not the name of this environment, `lab`
    "#]]);
}

#[test]
fn there_is_no_built_in_cloud_unless_one_runs() {
    says(
        &["plan", "lab", "--local"],
        expect![[r#"
        exit 2
        -- stderr
        error: the built-in cloud does not run

        hint: say where it listens: `--local-endpoint http://127.0.0.1:PORT`
    "#]],
    );
}

#[test]
fn an_endpoint_that_does_not_answer_is_told_before_anything_is_done() {
    says(
        &["status", "lab", "--local", "--local-endpoint", "http://127.0.0.1:9"],
        expect![[r#"
        exit 1
        -- stderr
        lab · local cloud, nothing is real · eu-west-1
        error: it could not be made sure that these credentials are for 111111111111
          because AWS could not be reached: dispatch failure: io error: client error (Connect): tcp connect error: Connection refused (os error 111)

        hint: is there a network, and does the endpoint answer?
    "#]],
    );
}

#[test]
fn the_same_for_programs() {
    says(
        &["destroy", "lab", "--yes", "--format", "json"],
        expect![[r#"
        exit 3
        -- stderr
        {"schema":1,"error":{"message":"111111111111 is a placeholder, not an account of yours","causes":[],"reasons":[],"still_running":[],"hints":["put your account's id into the environment file, or rehearse with `--local`"],"exit_code":3}}
    "#]],
    );
}

#[test]
fn an_environment_with_mistakes_gets_no_further() {
    let scenario = Scenario::small().lab(&LAB.replace("topic", "topik"));
    scenario.run(["deploy", "lab", "--local", "--local-endpoint", "http://127.0.0.1:9", "--yes"]).expect(expect![[
        r#"
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

            error: the template `store` has no input `topik`
             --> environments/lab.yaml:6:14
              |
            6 |     values: {topik: papers}
              |              ^^^^^
              |
              = hint: did you mean `topic`?

            2 mistakes
        "#
    ]]);
}

#[test]
fn a_stack_that_is_not_there_is_told() {
    says(
        &["plan", "lab", "stor"],
        expect![[r#"
        exit 2
        -- stderr
        error: `lab` has no stack `stor`

        hint: did you mean `store`?
    "#]],
    );
}
