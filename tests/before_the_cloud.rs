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
    scenario.run(["deploy", "lab", "--local", "--yes"]).expect(expect![[r#"
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
        "#]]);
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
