//! The behaviour page of the local cloud, case by case, through requests: what foreign clients check over HTTP with
//! Python is checked here without a server, each rule with its source.

use crate::simulator::bench::{Bench, STACK};
use crate::simulator::settings::RepeatedToken;
use serde_json::{Value, json};

fn topic(name: &str, display: &str) -> Value {
    json!({"Type": "AWS::SNS::Topic", "Properties": {"TopicName": name, "DisplayName": display}})
}

fn template(resources: &Value) -> Value {
    json!({ "Resources": resources })
}

/// A stack with one topic, at rest.
fn settled() -> Bench {
    let mut bench = Bench::new(false);
    bench.deploy(&template(&json!({"A": topic("one", "x")})), false);
    assert!(bench.rest());
    bench
}

/// Logical ids and statuses from a position on.
fn statuses(bench: &Bench, from: usize) -> Vec<(String, String)> {
    bench.events().into_iter().skip(from).map(|(name, status, _)| (name, status)).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(name, status)| ((*name).to_owned(), (*status).to_owned())).collect()
}

fn reasons(bench: &Bench) -> Vec<String> {
    bench.events().into_iter().map(|(_, _, reason)| reason).collect()
}

fn status(bench: &Bench) -> &'static str {
    bench.status().map_or("none", super::stack::StackStatus::as_str)
}

// REC, test_replacement and test_change_set_ref: the order of an update with a replacement.
#[test]
fn a_replacement_is_made_before_the_old_one_goes() {
    let mut bench = settled();
    let from = bench.events().len();
    bench.deploy(&template(&json!({"A": topic("two", "x")})), false);
    assert!(bench.rest());
    assert_eq!(
        statuses(&bench, from),
        pairs(&[
            (STACK, "UPDATE_IN_PROGRESS"),
            ("A", "UPDATE_IN_PROGRESS"),
            ("A", "UPDATE_IN_PROGRESS"),
            ("A", "UPDATE_COMPLETE"),
            (STACK, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"),
            ("A", "DELETE_IN_PROGRESS"),
            ("A", "DELETE_COMPLETE"),
            (STACK, "UPDATE_COMPLETE"),
        ])
    );
    let why = "Requested update requires the creation of a new physical resource; hence creating one.";
    assert!(reasons(&bench).iter().any(|reason| reason == why));
}

// cloudformation.md 2: a create that fails cancels its siblings and goes back in reverse.
#[test]
fn a_failed_create_names_the_cause_and_cancels_the_rest() {
    let mut bench = Bench::new(false);
    bench.plan_faults(
        &json!([{"logical_id": "A", "effect": {"fail_resource": {"during": "create", "reason": "no room"}}}]),
    );
    bench.deploy(&template(&json!({"A": topic("one", "x"), "B": topic("two", "x")})), false);
    assert!(bench.rest());
    assert_eq!(status(&bench), "ROLLBACK_COMPLETE");
    let told = reasons(&bench);
    for reason in [
        "no room",
        "Resource creation cancelled",
        "The following resource(s) failed to create: [A, B]. Rollback requested by user.",
    ] {
        assert!(told.iter().any(|known| known == reason), "{reason}: {told:?}");
    }
}

// cloudformation.md 2: a failed deploy that rolls back spans two operations.
#[test]
fn a_rollback_is_an_operation_of_its_own() {
    let mut bench = settled();
    bench.plan_faults(&json!([{"logical_id": "A", "effect": {"fail_resource": {"during": "update", "reason": "no"}}}]));
    bench.deploy(&template(&json!({"A": topic("one", "y")})), false);
    assert!(bench.rest());
    assert_eq!(status(&bench), "UPDATE_ROLLBACK_COMPLETE");
    let stacks = bench.stacks();
    let kinds: Vec<&str> = stacks
        .first()
        .and_then(|stack| stack["last_operations"].as_array())
        .into_iter()
        .flatten()
        .filter_map(|operation| operation[0].as_str())
        .collect();
    assert_eq!(kinds, ["ROLLBACK", "UPDATE_STACK", "CREATE_STACK"]);
}

// API: RollbackStack deletes a stack that has no last stable state; aws-cdk-cli: replacement fails without rollback.
#[test]
fn with_rollback_disabled_a_replacement_fails_and_the_stack_waits() {
    let mut bench = settled();
    bench.deploy(&template(&json!({"A": topic("two", "x")})), true);
    assert!(bench.rest());
    assert_eq!(status(&bench), "UPDATE_FAILED");
    assert!(
        reasons(&bench)
            .iter()
            .any(|reason| reason == "Replacement type updates not supported on stack with disable-rollback.")
    );
    bench.call("RollbackStack", &[("StackName", STACK)]);
    assert!(bench.rest());
    assert_eq!(status(&bench), "UPDATE_ROLLBACK_COMPLETE");
}

// cloudformation.md 1: CancelUpdateStack only in UPDATE_IN_PROGRESS.
#[test]
fn an_update_can_be_cancelled_and_a_rest_cannot() {
    let mut bench = settled();
    let (code, body) = bench.call("CancelUpdateStack", &[("StackName", STACK)]);
    assert!(code == 400 && body.contains("CancelUpdateStack cannot be called from current stack status"));
    bench.deploy(&template(&json!({"A": topic("one", "y")})), false);
    assert_eq!(bench.call("CancelUpdateStack", &[("StackName", STACK)]).0, 200);
    assert!(bench.rest());
    assert_eq!(status(&bench), "UPDATE_ROLLBACK_COMPLETE");
}

// cloudformation.md 1: a stack that is busy and one that is dead share a text.
#[test]
fn a_busy_stack_takes_no_update() {
    let mut bench = Bench::new(false);
    bench.deploy(&template(&json!({"A": topic("one", "x")})), false);
    let body = template(&json!({"A": topic("one", "y")})).to_string();
    let (code, answer) =
        bench.call("CreateChangeSet", &[("StackName", STACK), ("ChangeSetName", "x"), ("TemplateBody", &body)]);
    assert!(code == 400 && answer.contains("is in CREATE_IN_PROGRESS state and can not be updated."), "{answer}");
}

// User Guide, DeletionPolicy; REC: DELETE_SKIPPED.
#[test]
fn a_retained_resource_outlives_its_stack() {
    let mut bench = Bench::new(false);
    let mut kept = topic("kept", "x");
    kept["DeletionPolicy"] = "Retain".into();
    bench.deploy(&template(&json!({"A": kept})), false);
    assert!(bench.rest());
    bench.call("DeleteStack", &[("StackName", STACK)]);
    assert!(bench.rest());
    assert_eq!(
        statuses(&bench, 6),
        pairs(&[(STACK, "DELETE_IN_PROGRESS"), ("A", "DELETE_SKIPPED"), (STACK, "DELETE_COMPLETE")])
    );
    // The name is free again for a stack, but not the topic's.
    bench.deploy(&template(&json!({"A": topic("kept", "x")})), false);
    assert!(bench.rest());
    assert_eq!(status(&bench), "ROLLBACK_COMPLETE");
    assert!(reasons(&bench).iter().any(|reason| reason.contains("HandlerErrorCode: AlreadyExists")));
}

// User Guide, RetainExceptOnCreate: a failed create leaves nothing that would stand in the way of the next.
#[test]
fn retain_except_on_create_deletes_what_a_failed_create_made() {
    let mut bench = Bench::new(false);
    let mut kept = topic("kept", "x");
    kept["DeletionPolicy"] = "RetainExceptOnCreate".into();
    let mut broken = topic("two", "x");
    broken["DependsOn"] = "A".into();
    bench.plan_faults(&json!([{"logical_id": "B", "effect": {"fail_resource": {"during": "create", "reason": "no"}}}]));
    bench.deploy(&template(&json!({"A": kept, "B": broken})), false);
    assert!(bench.rest());
    assert!(statuses(&bench, 0).contains(&("A".to_owned(), "DELETE_COMPLETE".to_owned())));
}

// REC: DELETE_FAILED and its reason; a second deletion may retain what failed.
#[test]
fn a_failed_deletion_can_retain_what_failed() {
    let mut bench = settled();
    bench.plan_faults(
        &json!([{"logical_id": "A", "effect": {"fail_resource": {"during": "delete", "reason": "in use"}}}]),
    );
    bench.call("DeleteStack", &[("StackName", STACK)]);
    assert!(bench.rest());
    assert_eq!(status(&bench), "DELETE_FAILED");
    assert!(reasons(&bench).iter().any(|reason| reason == "The following resource(s) failed to delete: [A]. "));
    bench.call("DeleteStack", &[("StackName", STACK), ("RetainResources.member.1", "A")]);
    assert!(bench.rest());
    assert_eq!(status(&bench), "none");
}

// API: RetainResources and FORCE_DELETE_STACK are valid in DELETE_FAILED only.
#[test]
fn force_is_for_failed_deletions_only() {
    let mut bench = settled();
    let (code, body) = bench.call("DeleteStack", &[("StackName", STACK), ("DeletionMode", "FORCE_DELETE_STACK")]);
    assert!(code == 400 && body.contains("Invalid operation on stack"));
}

// API: executing one change set deletes all the others; a direct update makes them obsolete.
#[test]
fn executing_one_change_set_deletes_the_others() {
    let mut bench = settled();
    let body = template(&json!({"A": topic("one", "y")})).to_string();
    let make = [("StackName", STACK), ("ChangeSetName", "mine"), ("TemplateBody", &body)];
    assert_eq!(bench.call("CreateChangeSet", &make).0, 200);
    bench.advance(10);
    bench.deploy(&template(&json!({"A": topic("one", "z")})), false);
    let (code, answer) = bench.call("DescribeChangeSet", &[("StackName", STACK), ("ChangeSetName", "mine")]);
    assert!(code == 404 && answer.contains("<Code>ChangeSetNotFound</Code>"), "{answer}");
    assert!(bench.rest());
    assert_eq!(bench.call("CreateChangeSet", &make).0, 200);
    bench.advance(10);
    let direct = template(&json!({"A": topic("one", "direct")})).to_string();
    assert_eq!(bench.call("UpdateStack", &[("StackName", STACK), ("TemplateBody", &direct)]).0, 200);
    let (_, answer) = bench.call("ExecuteChangeSet", &[("StackName", STACK), ("ChangeSetName", "mine")]);
    assert!(answer.contains("cannot be executed in its current execution status of [OBSOLETE]"), "{answer}");
}

// (?) A repeated token: every setting, since nobody has proved one.
#[test]
fn a_repeated_token_meets_what_is_set() {
    let answers = [
        (RepeatedToken::SameAnswer, "<StackId>"),
        (RepeatedToken::TokenAlreadyExists, "<Code>TokenAlreadyExistsException</Code>"),
        (RepeatedToken::AlreadyExists, "<Code>AlreadyExistsException</Code>"),
    ];
    for (rule, expected) in answers {
        let mut bench = Bench::new(false);
        bench.world.rules.repeated_token = rule;
        let body = template(&json!({"A": topic("one", "x")})).to_string();
        let call = [("StackName", STACK), ("TemplateBody", body.as_str()), ("ClientRequestToken", "t")];
        bench.call("CreateStack", &call);
        let (_, answer) = bench.call("CreateStack", &call);
        assert!(answer.contains(expected), "{rule:?}: {answer}");
    }
}

// (?) Both settings of what a refused deletion leaves.
#[test]
fn an_export_in_use_cancels_the_deletion() {
    for (keeps, expected) in [(true, "CREATE_COMPLETE"), (false, "DELETE_FAILED")] {
        let mut bench = Bench::new(false);
        bench.world.rules.refused_delete_keeps_status = keeps;
        let mut body = template(&json!({"A": topic("one", "x")}));
        body["Outputs"] = json!({"O": {"Value": "v", "Export": {"Name": "e"}}});
        bench.deploy(&body, false);
        assert!(bench.rest());
        let user = template(
            &json!({"B": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Fn::ImportValue": "e"}}}}),
        );
        bench.call("CreateStack", &[("StackName", "user"), ("TemplateBody", &user.to_string())]);
        assert!(bench.rest());
        bench.call("DeleteStack", &[("StackName", STACK)]);
        assert_eq!(status(&bench), expected);
    }
}

// REC: a missing export shows up as a warning; the deploy then fails.
#[test]
fn a_missing_export_is_a_warning_first_and_a_failure_later() {
    let mut bench = Bench::new(false);
    let body = template(
        &json!({"A": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Fn::ImportValue": "none"}}}}),
    );
    let make = [
        ("StackName", STACK),
        ("ChangeSetName", "c"),
        ("ChangeSetType", "CREATE"),
        ("TemplateBody", &body.to_string()),
    ];
    bench.call("CreateChangeSet", &make);
    bench.advance(10);
    let (_, answer) = bench
        .call("DescribeChangeSet", &[("StackName", STACK), ("ChangeSetName", "c"), ("IncludePropertyValues", "true")]);
    assert!(
        answer.contains("<Status>CREATE_COMPLETE</Status>") && answer.contains("[WARN] --include-property-values"),
        "{answer}"
    );
    bench.call("ExecuteChangeSet", &[("StackName", STACK), ("ChangeSetName", "c")]);
    assert!(bench.rest());
    assert_eq!(status(&bench), "ROLLBACK_COMPLETE");
    assert!(reasons(&bench).iter().any(|reason| reason.contains("No export named none found")));
}

// cloudformation.md 4: NoEcho comes back hidden in stacks and change sets.
#[test]
fn secrets_come_back_hidden() {
    let mut bench = Bench::new(false);
    let mut body = template(&json!({"A": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": "x"}}}));
    body["Parameters"] = json!({"P": {"Type": "String", "NoEcho": true}});
    let call = [
        ("StackName", STACK),
        ("TemplateBody", &body.to_string()),
        ("Parameters.member.1.ParameterKey", "P"),
        ("Parameters.member.1.ParameterValue", "hunter2"),
    ];
    bench.call("CreateStack", &call);
    let (_, answer) = bench.call("DescribeStacks", &[("StackName", STACK)]);
    assert!(answer.contains("<ParameterValue>****</ParameterValue>") && !answer.contains("hunter2"));
}

// cloudformation.md 4: a parameter left out of an update takes the template's default.
#[test]
fn a_parameter_left_out_takes_the_default_again() {
    let mut bench = Bench::new(false);
    let mut body = template(&json!({"A": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Ref": "P"}}}}));
    body["Parameters"] = json!({"P": {"Type": "String", "Default": "default"}});
    let body = body.to_string();
    let given = [("Parameters.member.1.ParameterKey", "P"), ("Parameters.member.1.ParameterValue", "given")];
    bench.call("CreateStack", &[&[("StackName", STACK), ("TemplateBody", body.as_str())][..], &given[..]].concat());
    assert!(bench.rest());
    bench.call("UpdateStack", &[("StackName", STACK), ("UsePreviousTemplate", "true")]);
    assert!(bench.rest());
    let (_, answer) = bench.call("DescribeStacks", &[("StackName", STACK)]);
    assert!(answer.contains("<ParameterValue>default</ParameterValue>"), "{answer}");
    let (_, answer) = bench.call("UpdateStack", &[("StackName", STACK), ("TemplateBody", &body), given[0]]);
    assert!(answer.contains("No updates are to be performed."), "{answer}");
}

// cloudformation.md 4: tags reach the resources, so a change of tags alone is a real update.
#[test]
fn a_change_of_tags_is_an_update() {
    let mut bench = settled();
    let tagged = [
        ("StackName", STACK),
        ("UsePreviousTemplate", "true"),
        ("Tags.member.1.Key", "k"),
        ("Tags.member.1.Value", "v"),
    ];
    assert_eq!(bench.call("UpdateStack", &tagged).0, 200);
    assert!(bench.rest());
    assert_eq!(status(&bench), "UPDATE_COMPLETE");
    assert!(statuses(&bench, 6).contains(&("A".to_owned(), "UPDATE_COMPLETE".to_owned())));
}

// cloudformation.md 4: dynamic references are shown unresolved, and a rotated secret is not a change.
#[test]
fn a_dynamic_reference_is_resolved_only_where_it_is_used() {
    let mut bench = Bench::new(false);
    let resources = json!({
        "Parameter": {"Type": "AWS::SSM::Parameter", "Properties": {"Name": "p", "Type": "String", "Value": "secret-value"}},
        "A": {"Type": "AWS::SNS::Topic", "DependsOn": "Parameter", "Properties": {"DisplayName": "{{resolve:ssm:p}}"}},
    });
    bench.deploy(&template(&resources), false);
    assert!(bench.rest());
    let live = bench.world.services_at(&Bench::place()).expect("a place");
    let topics = live.objects.get("AWS::SNS::Topic").expect("a topic");
    assert!(topics.values().all(|topic| topic.properties["DisplayName"] == "secret-value"));
    let recorded = &bench.stacks()[0]["resources"]["A"]["properties"]["DisplayName"];
    assert_eq!(recorded, "{{resolve:ssm:p}}");
}

// simulator.md 3: a bad GetAtt in Outputs rolls the create back.
#[test]
fn a_bad_attribute_in_an_output_rolls_the_create_back() {
    let mut bench = Bench::new(false);
    let mut body = template(&json!({"A": topic("one", "x")}));
    body["Outputs"] = json!({"O": {"Value": {"Fn::GetAtt": ["A", "Nothing"]}}});
    bench.deploy(&body, false);
    assert!(bench.rest());
    assert_eq!(status(&bench), "ROLLBACK_COMPLETE");
}

// AWS::EC2::Subnet: why a replacement under the same block fails, and the update comes back.
#[test]
fn a_subnet_cannot_be_replaced_under_its_own_block() {
    let mut bench = Bench::new(false);
    let network = |zone: &str| {
        template(&json!({
            "V": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}},
            "S": {"Type": "AWS::EC2::Subnet", "Properties": {"VpcId": {"Ref": "V"}, "CidrBlock": "10.0.0.0/24", "AvailabilityZone": zone}},
        }))
    };
    bench.deploy(&network("ap-southeast-2a"), false);
    assert!(bench.rest());
    bench.deploy(&network("ap-southeast-2b"), false);
    assert!(bench.rest());
    assert_eq!(status(&bench), "UPDATE_ROLLBACK_COMPLETE");
    assert!(
        reasons(&bench).iter().any(|reason| reason.contains("The CIDR '10.0.0.0/24' conflicts with another subnet"))
    );
}

// API: OnStackFailure DELETE, for change sets of type CREATE.
#[test]
fn a_failed_create_can_take_its_stack_with_it() {
    let mut bench = Bench::new(false);
    bench.plan_faults(&json!([{"logical_id": "A", "effect": {"fail_resource": {"during": "create", "reason": "no"}}}]));
    let body = template(&json!({"A": topic("one", "x")})).to_string();
    let make = [
        ("StackName", STACK),
        ("ChangeSetName", "c"),
        ("ChangeSetType", "CREATE"),
        ("TemplateBody", &body),
        ("OnStackFailure", "DELETE"),
    ];
    bench.call("CreateChangeSet", &make);
    bench.advance(10);
    bench.call("ExecuteChangeSet", &[("StackName", STACK), ("ChangeSetName", "c")]);
    assert!(bench.rest());
    assert_eq!(status(&bench), "none");
}

// User Guide, "Using drift-aware change sets"; the recreation of a deleted resource is (?).
#[test]
fn reverting_drift_makes_a_deleted_resource_again() {
    let mut bench = settled();
    let place = Bench::place();
    let id = bench.stacks()[0]["resources"]["A"]["physical_id"].as_str().expect("an id").to_owned();
    crate::simulator::resources::vanish(&mut bench.world, &place, "AWS::SNS::Topic", &id);
    let body = template(&json!({"A": topic("one", "x")})).to_string();
    let make =
        [("StackName", STACK), ("ChangeSetName", "c"), ("TemplateBody", &body), ("DeploymentMode", "REVERT_DRIFT")];
    bench.call("CreateChangeSet", &make);
    bench.advance(10);
    let describe = [("StackName", STACK), ("ChangeSetName", "c"), ("IncludePropertyValues", "true")];
    let (_, answer) = bench.call("DescribeChangeSet", &describe);
    assert!(
        answer.contains("<Action>Add</Action>")
            && answer.contains("<ResourceDriftStatus>DELETED</ResourceDriftStatus>"),
        "{answer}"
    );
    bench.call("ExecuteChangeSet", &[("StackName", STACK), ("ChangeSetName", "c")]);
    assert!(bench.rest());
    assert_eq!(status(&bench), "UPDATE_COMPLETE");
    let topics = bench.world.services_at(&place).and_then(|services| services.objects.get("AWS::SNS::Topic"));
    assert_eq!(topics.map(std::collections::BTreeMap::len), Some(1));
}

fn detected(bench: &mut Bench) -> String {
    let (_, answer) = bench.call("DetectStackDrift", &[("StackName", STACK)]);
    let id = answer.split("StackDriftDetectionId>").nth(1).and_then(|rest| rest.split('<').next()).expect("an id");
    let id = id.to_owned();
    assert!(bench.rest());
    bench.call("DescribeStackDriftDetectionStatus", &[("StackDriftDetectionId", &id)]).1
}

// roadmap#2283: the stack is said to be in sync while a resource is not.
#[test]
fn a_fault_hides_drift_from_the_stack_and_not_from_its_resources() {
    let mut bench = settled();
    let place = Bench::place();
    let id = bench.stacks()[0]["resources"]["A"]["physical_id"].as_str().expect("an id").to_owned();
    crate::simulator::resources::vanish(&mut bench.world, &place, "AWS::SNS::Topic", &id);
    assert!(detected(&mut bench).contains("<StackDriftStatus>DRIFTED</StackDriftStatus>"));
    bench.plan_faults(&json!([{"effect": "hide_drift"}]));
    let answer = detected(&mut bench);
    assert!(answer.contains("<StackDriftStatus>IN_SYNC</StackDriftStatus>"), "{answer}");
    let (_, drifts) = bench.call("DescribeStackResourceDrifts", &[("StackName", STACK)]);
    assert!(drifts.contains("<StackResourceDriftStatus>DELETED</StackResourceDriftStatus>"), "{drifts}");
}

// roadmap#2505, #2559: a change set against drift shows a replacement where nothing has drifted.
#[test]
fn a_phantom_change_is_shown_and_touches_nothing() {
    let mut bench = settled();
    bench.plan_faults(&json!([{"logical_id": "A", "effect": {"phantom_change": {"replaces": true}}}]));
    let before = bench.stacks()[0]["resources"]["A"]["physical_id"].clone();
    let body = template(&json!({"A": topic("one", "x")})).to_string();
    let make =
        [("StackName", STACK), ("ChangeSetName", "c"), ("TemplateBody", &body), ("DeploymentMode", "REVERT_DRIFT")];
    bench.call("CreateChangeSet", &make);
    bench.advance(10);
    let describe = [("StackName", STACK), ("ChangeSetName", "c"), ("IncludePropertyValues", "true")];
    let (_, answer) = bench.call("DescribeChangeSet", &describe);
    assert!(answer.contains("<Replacement>True</Replacement>"), "{answer}");
    assert!(answer.contains("<ResourceDriftStatus>IN_SYNC</ResourceDriftStatus>"), "{answer}");
    bench.call("ExecuteChangeSet", &[("StackName", STACK), ("ChangeSetName", "c")]);
    assert!(bench.rest());
    assert_eq!(status(&bench), "UPDATE_COMPLETE");
    assert_eq!(bench.stacks()[0]["resources"]["A"]["physical_id"], before);
}

#[test]
fn a_resource_can_fail_after_its_work_has_begun() {
    let mut bench = Bench::new(true);
    bench.plan_faults(&json!([
        {"logical_id": "A", "effect": {"fail_resource": {"during": "create", "reason": "no", "after_seconds": 300}}}
    ]));
    let body = template(&json!({"A": topic("one", "x")})).to_string();
    bench.call("CreateStack", &[("StackName", STACK), ("TemplateBody", &body)]);
    bench.advance(200);
    assert_eq!(status(&bench), "CREATE_IN_PROGRESS");
    let id = bench.stacks()[0]["resources"]["A"]["physical_id"].clone();
    assert!(id.is_string(), "the work has begun: {id}");
    bench.advance(200);
    assert!(bench.rest());
    assert_eq!(status(&bench), "ROLLBACK_COMPLETE");
    let topics = bench.world.services_at(&Bench::place()).and_then(|it| it.objects.get("AWS::SNS::Topic"));
    assert_eq!(topics.map_or(0, std::collections::BTreeMap::len), 0, "what was begun is cleared away");
}

#[test]
fn calls_beyond_a_rate_are_throttled_for_each_region_and_operation() {
    let mut bench = settled();
    bench.plan_faults(&json!([{"effect": {"limit": {"calls": 2, "seconds": 10}}}]));
    let described = |bench: &mut Bench| bench.call("DescribeStacks", &[("StackName", STACK)]).0;
    assert_eq!([(); 3].map(|()| described(&mut bench)), [200, 200, 400]);
    assert_eq!(bench.call("ListStacks", &[]).0, 200, "another operation has a bucket of its own");
    bench.advance(5);
    assert_eq!([(); 2].map(|()| described(&mut bench)), [200, 400], "it fills with time");
    bench.advance(1000);
    assert_eq!([(); 3].map(|()| described(&mut bench)), [200, 200, 400], "and never runs over");
}
