//! `permissions`: the policies hold what the verbs really call, no less and no more.

use std::collections::{BTreeMap, BTreeSet};

use expect_test::expect;
use serde_json::{Value, json};

use crate::support::Scenario;
use crate::support::cloud::{Cloud, pair};
use crate::support::stuck::{Stuck, fails};

type Actions = BTreeMap<String, BTreeSet<String>>;

/// Actions that AWS asks for where another is called, so that no journal has them.
const IMPLIED: &[(&str, &str)] = &[
    // Without a name, DescribeStacks is a list of all.
    ("cloudformation:ListStacks", "cloudformation:DescribeStacks"),
    // CloudFormation takes the role that it is given, and reads the template, as whoever calls.
    ("iam:PassRole", "cloudformation:CreateChangeSet"),
    ("s3:GetObject", "s3:PutObject"),
    // A detection of a stack is one of each resource (User Guide, "Considerations when detecting drift").
    ("cloudformation:DetectStackResourceDrift", "cloudformation:DetectStackDrift"),
    // Who deletes a version must be allowed to delete at all (S3 API Reference, "DeleteObjects").
    ("s3:DeleteObject", "s3:DeleteObjectVersion"),
    // RDS copies with tags, and with a key, as whoever calls.
    ("rds:AddTagsToResource", "rds:CopyDBSnapshot"),
    ("rds:AddTagsToResource", "rds:CreateDBSnapshot"),
    ("kms:CreateGrant", "rds:CopyDBSnapshot"),
    ("kms:Decrypt", "rds:CopyDBSnapshot"),
    ("kms:DescribeKey", "rds:CopyDBSnapshot"),
];

/// The action that a call wants; nothing where everybody may make it.
fn action(service: &str, operation: &str) -> Option<String> {
    match (service, operation) {
        ("sts", "GetCallerIdentity") => None,
        // S3 has no names of operations on the wire.
        ("s3", "HEAD") => Some("s3:ListBucket".to_owned()),
        ("s3", "PUT") => Some("s3:PutObject".to_owned()),
        ("s3", "GET") => Some("s3:ListBucketVersions".to_owned()),
        ("s3", "POST") => Some("s3:DeleteObjectVersion".to_owned()),
        ("elasticloadbalancingv2" | "elbv2", _) => Some(format!("elasticloadbalancing:{operation}")),
        _ => Some(format!("{service}:{operation}")),
    }
}

/// What was called since, by account.
fn called(cloud: &Cloud, since: usize) -> Actions {
    let mut all = Actions::new();
    for entry in cloud.control("journal", "").as_array().unwrap().iter().skip(since) {
        let text = |name: &str| entry[name].as_str().unwrap();
        let of = all.entry(text("account").to_owned()).or_default();
        of.extend(action(text("service"), text("operation")));
    }
    all.retain(|_, of| !of.is_empty());
    all
}

/// What the callers' policies allow, by account, but for what CloudFormation alone may do as whoever calls it: no journal has that.
fn allowed(cloud: &Cloud, line: &str) -> Actions {
    let told: Value =
        serde_json::from_str(&cloud.scenario.run(format!("{line} --format json").split(' ')).stdout).unwrap();
    let mut all = Actions::new();
    for account in told["permissions"]["accounts"].as_array().unwrap() {
        let statements = account["caller"]["policy"]["Statement"].as_array().unwrap();
        let own = statements.iter().filter(|statement| statement["Condition"]["ForAnyValue:StringEquals"].is_null());
        let actions = own.flat_map(|statement| statement["Action"].as_array().unwrap());
        let of = all.entry(account["account"].as_str().unwrap().to_owned()).or_default();
        of.extend(actions.map(|action| action.as_str().unwrap().to_owned()));
    }
    all
}

/// The policies of a verb against what its runs have called.
#[track_caller]
fn holds(cloud: &Cloud, line: &str, called: &Actions) {
    let mut expected = called.clone();
    let allowed = allowed(cloud, line);
    for (account, of) in &mut expected {
        for (implied, by) in IMPLIED {
            let is_allowed = allowed.get(account).is_some_and(|of| of.contains(*implied));
            if of.contains(*by) && is_allowed {
                of.insert((*implied).to_owned());
            }
        }
    }
    assert_eq!(allowed, expected, "{line}");
}

fn merge(all: &mut Actions, more: Actions) {
    for (account, of) in more {
        all.entry(account).or_default().extend(of);
    }
}

/// Runs a command and gives what it called. On a watched cloud, where all is in one account, the resources of its calls are held
/// against those of the policy.
#[track_caller]
fn run(cloud: &Cloud, all: &mut Actions, line: &str, code: i32) {
    let since = cloud.operations().len();
    let _ = cloud.heard();
    cloud.ends(line, code);
    merge(all, called(cloud, since));
    reaches(cloud, &policy_of(line));
}

/// The line that prints the policy of another.
fn policy_of(line: &str) -> String {
    // What is over is found, and not named.
    let line = if line.starts_with("reap") { "reap lab" } else { line };
    let words: Vec<&str> = line.split(' ').collect();
    let flags = words.iter().filter(|word| ["--read-only", "--revert", "--who"].contains(*word));
    ["permissions"].iter().chain(&words[..2]).chain(flags).copied().collect::<Vec<_>>().join(" ")
}

/// Every call that was heard is about something that the policy names.
#[track_caller]
fn reaches(cloud: &Cloud, line: &str) {
    let heard = cloud.heard();
    if heard.is_empty() {
        return;
    }
    let told: Value =
        serde_json::from_str(&cloud.scenario.run(format!("{line} --format json").split(' ')).stdout).unwrap();
    let accounts = told["permissions"]["accounts"].as_array().unwrap();
    let statements: Vec<&Value> = accounts
        .iter()
        .flat_map(|account| account["caller"]["policy"]["Statement"].as_array().unwrap())
        .filter(|statement| statement["Condition"]["ForAnyValue:StringEquals"].is_null())
        .collect();
    for call in &heard {
        let Some((action, resource)) = call_of(call) else { continue };
        let allows = |statement: &&&Value| {
            let marks = &statement["Condition"]["StringEquals"]["aws:ResourceTag/greenroom:environment"];
            let names = |text: &Value| matches(text.as_str().unwrap(), &resource);
            statement["Action"].as_array().unwrap().iter().any(|it| *it == action)
                && statement["Resource"].as_array().unwrap().iter().any(names)
                && (marks.is_null() || bears(cloud, &resource, marks.as_str().unwrap()))
        };
        assert!(statements.iter().find(allows).is_some(), "{line}: {action} on {resource}");
    }
}

/// The action of a call, and what it is about; nothing where that is not said by the call alone.
fn call_of(call: &str) -> Option<(String, String)> {
    let (head, body) = call.split_once("\r\n\r\n").unwrap();
    let words: Vec<&str> = head.split(' ').take(2).collect();
    let service = head.split('/').find(|part| ["cloudformation", "s3"].contains(part))?;
    if service == "s3" {
        let operation = words[0];
        let (path, _) = words[1].split_once('?').unwrap_or((words[1], ""));
        let bucket = format!("arn:aws:s3:::{}", path.trim_matches('/'));
        let resource = if operation == "POST" { bucket + "/any" } else { bucket };
        return Some((action(service, operation)?, resource));
    }
    let pair = |name: &str| body.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let stack = pair("StackName").map(|text| text.replace("%3A", ":").replace("%2F", "/"));
    let resource = match stack {
        Some(arn) if arn.starts_with("arn:") => arn,
        Some(name) => format!("arn:aws:cloudformation:eu-west-1:111111111111:stack/{name}/id"),
        // By its own ARN, which names no stack.
        None if pair("ChangeSetName").is_some() => return None,
        None => "everything".to_owned(),
    };
    Some((action(service, pair("Action")?)?, resource))
}

/// As IAM compares: a star is any text.
fn matches(pattern: &str, text: &str) -> bool {
    let parts: Vec<String> = pattern.split('*').map(regex::escape).collect();
    regex::Regex::new(&format!("^{}$", parts.join(".*"))).unwrap().is_match(text)
}

/// Whether a stack is an environment's, by its tags.
fn bears(cloud: &Cloud, arn: &str, environment: &str) -> bool {
    let state = cloud.control("state", "");
    let stacks = state["places"]["111111111111"]["eu-west-1"]["cloudformation"]["stacks"].as_object().unwrap();
    let name = arn.split('/').nth(1).unwrap_or_default();
    let is_meant =
        |stack: &&Value| stack["name"] == name && stack["deployed"]["tags"].to_string().contains(environment);
    stacks.values().find(is_meant).is_some()
}

const LAB: &str = r#"project: demo
account: "111111111111"
region: eu-west-1
deploy:
  template_bucket: "demo-${account}-${region}"
  service_role: cloudformation
  stack_policy: {Statement: [{Effect: Allow, Principal: "*", Action: "Update:*", Resource: "*"}]}
stacks:
  store: {values: {topic: papers}}
  api: {values: {topic: {export: words}, level: info}}
  extra: {values: {topic: more}}
"#;

const API: &str = "Parameters:\n  Topic: {Type: String}\nResources:\n  Level:\n    Type: AWS::SSM::Parameter\n    Properties: {Type: String, Value: {{ level }}}\n  Word:\n    Type: AWS::SSM::Parameter\n    Properties: {Type: String, Value: !Ref Topic}\n";
const API_INPUTS: &str = "type: object\nproperties:\n  topic: {type: string, description: Which, x-parameter: Topic}\n  level: {type: string, description: How much}\n";
const EXPORTS: &str = r#"{"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}, "Outputs": {"Word": {"Value": "words", "Export": {"Name": "words"}}}}"#;

/// An environment that wants all that a policy may have to allow: a bucket, a role, an export, a stack policy.
fn lab() -> Cloud {
    let filler = "x".repeat(60_000);
    let scenario = Scenario::small()
        .lab(LAB)
        .file("templates/api/stack.yaml", API)
        .file("templates/api/inputs.yaml", API_INPUTS)
        .file(
            "templates/extra/stack.yaml",
            "Resources:\n  Topic:\n    Type: AWS::SNS::Topic\n    Properties: {DisplayName: {{ topic }}}\nOutputs: {Topic: {Value: !Ref Topic, Export: {Name: extra-topic}}}\n",
        )
        .file("templates/extra/inputs.yaml", "type: object\nproperties: {topic: {type: string, description: Which}}\n")
        .store(&format!("Metadata:\n  Filler: {filler}\n{}", crate::support::STORE));
    let cloud = Cloud::of(scenario).watched();
    cloud.by_hand("CreateStack", &[("StackName", "words"), ("TemplateBody", EXPORTS)]);
    cloud.come_to_rest();
    cloud.ends("bootstrap lab --yes", 0);
    cloud
}

/// What was prepared is cleared away when it cannot be executed.
fn cannot_execute() -> Value {
    let denied = json!({"error": {"code": "AccessDenied", "message": "you may not", "status": 403}});
    json!([{"operation": "ExecuteChangeSet", "effect": denied, "times": 1}])
}

/// `api` was changed, and the change was undone.
fn undo_a_change(cloud: &mut Cloud, all: &mut Actions) {
    let fails = json!({"fail_resource": {"during": "update", "reason": "no"}});
    cloud.faults(&json!([{"logical_id": "Level", "effect": fails, "times": 1}]));
    cloud.edit("environments/lab.yaml", "level: info", "level: debug");
    run(cloud, all, "deploy lab --yes", 1);
}

/// A stack of the environment that nobody has created yet, with a change set as ours are.
fn begin_by_hand(cloud: &Cloud, account: &str, name: &str) {
    let template = r#"{"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}"#;
    let parameters = [
        ("StackName", name),
        ("ChangeSetName", "r-0123456789abcdef"),
        ("ChangeSetType", "CREATE"),
        ("TemplateBody", template),
        ("Tags.member.1.Key", "greenroom:project"),
        ("Tags.member.1.Value", "demo"),
    ];
    cloud.by_hand_in([account, "eu-west-1"], ["cloudformation", "2010-05-15"], "CreateChangeSet", &parameters);
    cloud.come_to_rest();
}

#[test]
fn deploy_plan_and_status_may_do_what_they_do() {
    let mut cloud = lab();
    let mut deploys = Actions::new();
    run(&cloud, &mut deploys, "deploy lab --yes", 0);
    undo_a_change(&mut cloud, &mut deploys);

    let (mut plans, mut looks, mut status) = (Actions::new(), Actions::new(), Actions::new());
    cloud.edit("environments/lab.yaml", "topic: papers", "topic: letters");
    // Whether somebody imports it is asked before it goes.
    cloud.edit("templates/extra/stack.yaml", ", Export: {Name: extra-topic}", "");
    run(&cloud, &mut looks, "plan lab --read-only", 0);
    run(&cloud, &mut plans, "plan lab", 0);
    run(&cloud, &mut status, "status lab", 0);
    run(&cloud, &mut status, "outputs lab", 0);
    // With somebody's change set of ours in the way.
    cloud.ends("plan lab --out plan.json --retry", 0);
    run(&cloud, &mut looks, "plan lab --read-only", 0);
    holds(&cloud, "permissions plan lab", &plans);
    holds(&cloud, "permissions plan lab --read-only", &looks);

    // Nobody is there to ask, so what was prepared is cleared away.
    run(&cloud, &mut deploys, "deploy lab --retry", 3);
    run(&cloud, &mut deploys, "deploy lab --yes --retry", 0);
    cloud.edit("environments/lab.yaml", "  extra: {values: {topic: more}}\n", "");
    run(&cloud, &mut deploys, "deploy lab --yes --prune", 0);
    holds(&cloud, "permissions deploy lab", &deploys);
    cloud.edit("environments/lab.yaml", "stacks:", "protected: true\nstacks:");
    run(&cloud, &mut deploys, "deploy lab --confirm lab", 0);
    holds(&cloud, "permissions deploy lab", &deploys);
    holds(&cloud, "permissions status lab", &status);
    holds(&cloud, "permissions outputs lab", &status);
}

#[test]
fn destroy_may_do_what_it_does() {
    let mut cloud = lab();
    cloud.ends("deploy lab api store --yes", 0);
    undo_a_change(&mut cloud, &mut Actions::new());
    cloud.edit(
        "environments/lab.yaml",
        "  extra: {values: {topic: more}}\n",
        "  extra: {values: {topic: more}}\n  other: {template: extra, values: {topic: more}}\n",
    );
    begin_by_hand(&cloud, "111111111111", "demo-lab-other");
    let mut destroys = Actions::new();
    run(&cloud, &mut destroys, "destroy lab --yes --report evidence.json", 0);
    holds(&cloud, "permissions destroy lab", &destroys);
}

/// Its own account in full, and of the others' what shows what is there.
#[test]
fn reap_may_do_what_it_does() {
    let mut cloud = lab();
    cloud.edit("environments/lab.yaml", "stacks:", "lifetime: 8h\nstacks:");
    let other = LAB.replace("111111111111", "222222222222");
    std::fs::write(cloud.scenario.root().join("environments/other.yaml"), other).unwrap();
    cloud.ends("deploy lab api store --yes", 0);
    let mut reaps = Actions::new();
    run(&cloud, &mut reaps, "reap --extend lab 9h", 0);
    cloud.faults(&cannot_execute());
    run(&cloud, &mut reaps, "reap --extend lab 10h", 1);
    run(&cloud, &mut reaps, "reap --extend lab 11h", 0);
    undo_a_change(&mut cloud, &mut Actions::new());
    cloud.control("advance", &json!({"seconds": 12 * 3_600}).to_string());
    run(&cloud, &mut reaps, "reap --yes --report evidence", 0);
    holds(&cloud, "permissions reap lab", &reaps);
}

#[test]
fn a_live_comparison_may_do_what_it_does() {
    let mut cloud = crate::parity::twins("}");
    let mut looks = Actions::new();
    // Of an undone change the events are read.
    let fails = json!({"fail_resource": {"during": "update", "reason": "no"}});
    cloud.faults(&json!([{"logical_id": "Access", "effect": fails}]));
    cloud.edit("templates/all/stack.yaml", "10.0.0.0/8", "10.0.0.0/9");
    cloud.ends("deploy original --yes", 1);
    cloud.ends("deploy twin --yes", 1);
    run(&cloud, &mut looks, "diff original twin --live", 0);
    let of = |account: &str| Actions::from([(account.to_owned(), looks[account].clone())]);
    holds(&cloud, "permissions diff original", &of("111111111111"));
    holds(&cloud, "permissions diff twin", &of("222222222222"));
}

#[test]
fn a_clone_may_do_what_it_does() {
    let scenario = crate::clone::twins().edit(
        "environments/live.yaml",
        "protected: true",
        "protected: true\ndeploy: {service_role: cloudformation}",
    );
    let mut cloud = Cloud::of(scenario);
    crate::clone::drop_on_restore(&mut cloud);
    cloud.ends("deploy live --confirm live", 0);
    let mut clones = Actions::new();
    cloud.faults(&cannot_execute());
    run(&cloud, &mut clones, "clone live twin --yes --snapshot fresh", 1);
    run(&cloud, &mut clones, "clone live twin --yes", 0);
    let mut destroys = Actions::new();
    run(&cloud, &mut destroys, "destroy twin --yes", 0);
    begin_by_hand(&cloud, "444444444444", "demo-twin-store");
    run(&cloud, &mut destroys, "destroy twin --yes", 0);
    // A snapshot that RDS has taken by itself is copied before it is shared.
    run(&cloud, &mut clones, "clone live twin --yes", 0);
    holds(&cloud, "permissions clone twin", &clones);
    holds(&cloud, "permissions destroy twin", &destroys);
}

#[test]
fn destroy_may_empty_what_it_empties() {
    let bucket = "Resources:\n  Bucket:\n    Type: AWS::S3::Bucket\n    DeletionPolicy: Delete\n    UpdateReplacePolicy: Delete\n    Properties: {BucketName: papers-of-lab}\n";
    let cloud = Cloud::of(Scenario::small().edit("templates/store/stack.yaml", "Resources:\n", bucket)).watched();
    cloud.ends("deploy lab --yes", 0);
    let mut destroys = Actions::new();
    undo_by_hand(&cloud, "Topic");
    cloud.s3("PUT", "/papers-of-lab/one", "text");
    run(&cloud, &mut destroys, "destroy lab --yes", 0);
    begin_by_hand(&cloud, "111111111111", "demo-lab-store");
    run(&cloud, &mut destroys, "destroy lab --yes", 0);
    holds(&cloud, "permissions destroy lab", &destroys);
}

/// A stack's update was undone, so that its events are of interest.
fn undo_by_hand(cloud: &Cloud, resource: &str) {
    cloud.faults(&json!([fails(resource, "update", "no")]));
    let template =
        json!({"Resources": {resource: {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": "other"}}}});
    let update = [("StackName", "demo-lab-store"), ("TemplateBody", &template.to_string())];
    cloud.by_hand("UpdateStack", &update);
    cloud.come_to_rest();
    cloud.faults(&json!([]));
}

#[test]
fn drift_may_do_what_it_does() {
    let mut cloud = crate::drift::beyond().watched();
    // Of an undone change the events are read.
    cloud.faults(&json!([fails("Group", "update", "no")]));
    cloud.edit("templates/all/stack.yaml", r#"MaxSize: "2""#, r#"MaxSize: "3""#);
    cloud.ends("deploy lab --yes", 1);
    crate::drift::touch(&cloud, "all", "Group", &json!({"set": {"MaxSize": "4"}}));
    let mut looks = Actions::new();
    run(&cloud, &mut looks, "drift lab", 4);
    // Its template alone says how many.
    run(&cloud, &mut looks, "drift lab --adopt all/Group/MaxSize --yes", 3);
    holds(&cloud, "permissions drift lab", &looks);
    run(&cloud, &mut looks, "drift lab --who", 4);
    holds(&cloud, "permissions drift lab --who", &looks);
}

#[test]
fn a_revert_may_do_what_it_does() {
    let mut cloud = lab();
    cloud.ends("deploy lab --yes", 0);
    let mut reverts = Actions::new();
    undo_a_change(&mut cloud, &mut Actions::new());
    cloud.edit("environments/lab.yaml", "level: debug", "level: info");
    let touch = |cloud: &Cloud, stack: &str, resource: &str, value: &Value| {
        crate::drift::touch(cloud, stack, resource, &json!({"set": value}));
    };
    touch(&cloud, "api", "Level", &json!({"Value": "by hand"}));
    touch(&cloud, "extra", "Topic", &json!({"DisplayName": "by hand"}));
    touch(&cloud, "store", "Topic", &json!({"DisplayName": "by hand"}));
    run(&cloud, &mut reverts, "drift lab --revert --dry-run", 0);
    // Whether somebody imports it is asked before it goes.
    cloud.edit("templates/extra/stack.yaml", ", Export: {Name: extra-topic}", "");
    run(&cloud, &mut reverts, "drift lab --revert --yes", 3);
    cloud.edit("templates/extra/stack.yaml", "!Ref Topic}", "!Ref Topic, Export: {Name: extra-topic}}");
    // What is to be protected is protected again, and the stack policy is as the file says.
    cloud.edit("environments/lab.yaml", "stacks:", "protected: true\nstacks:");
    let open = r#"{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "Update:*", "Resource": "*"}]}"#;
    for stack in ["store", "api", "extra"] {
        let name = format!("demo-lab-{stack}");
        cloud.by_hand(
            "SetStackPolicy",
            &[("StackName", &name), ("StackPolicyBody", &open.replace("Update:*", "Update:Modify"))],
        );
    }
    run(&cloud, &mut reverts, "drift lab --revert --confirm lab", 0);
    holds(&cloud, "permissions drift lab --revert", &reverts);
}

const API_OF_PAIR: &str = "  api:\n    values:\n      topic_arn: {output: store.TopicArn}\n      level: info\n";

/// The stacks of `pair`, the first with a bucket that goes with it.
fn with_bucket() -> Scenario {
    let bucket = "Resources:\n  Bucket:\n    Type: AWS::S3::Bucket\n    DeletionPolicy: Delete\n    UpdateReplacePolicy: Delete\n    Properties: {BucketName: papers-of-lab}\n";
    pair().edit("templates/store/stack.yaml", "Resources:\n", bucket)
}

#[test]
fn recover_may_do_what_it_does() {
    let mut ways = Actions::new();
    for (stuck, way) in [
        (Stuck::RollbackComplete, 1),
        (Stuck::UpdateFailed, 1),
        (Stuck::UpdateRollbackFailed, 2),
        (Stuck::DeleteFailed, 2),
        (Stuck::ReviewInProgress, 1),
        (Stuck::ImportRollbackFailed, 1),
    ] {
        let cloud = stuck.cloud().watched();
        if stuck == Stuck::RollbackComplete {
            let guarded = [("StackName", "demo-lab-store"), ("EnableTerminationProtection", "true")];
            cloud.by_hand("UpdateTerminationProtection", &guarded);
        }
        run(&cloud, &mut ways, &format!("recover lab --choose {way} --yes"), 0);
        holds_no_more(&cloud, "permissions recover lab", &ways);
    }
    // One that the file names no more is known by its tags alone.
    let mut cloud = Stuck::DeleteFailed.cloud().watched();
    cloud.faults(&json!([fails("Level", "delete", "no")]));
    cloud.by_hand("DeleteStack", &[("StackName", "demo-lab-api")]);
    cloud.come_to_rest();
    cloud.edit("environments/lab.yaml", API_OF_PAIR, "");
    run(&cloud, &mut ways, "recover lab --choose api=2 --yes", 0);

    let cloud = Cloud::of(with_bucket()).watched();
    cloud.ends("deploy lab --yes", 0);
    cloud.s3("PUT", "/papers-of-lab/one", "text");
    cloud.by_hand("DeleteStack", &[("StackName", "demo-lab-store")]);
    cloud.come_to_rest();
    run(&cloud, &mut ways, "recover lab --choose 3 --yes", 0);
    holds(&cloud, "permissions recover lab", &ways);
}

/// Nothing was called that is not allowed.
#[track_caller]
fn holds_no_more(cloud: &Cloud, line: &str, called: &Actions) {
    let allowed = allowed(cloud, line);
    for (account, of) in called {
        let denied: Vec<&String> = of.difference(&allowed[account]).collect();
        assert!(denied.is_empty(), "{line}: {denied:?}");
    }
}

#[test]
fn cancel_may_do_what_it_does() {
    let cloud = crate::cancel::deployed().watched();
    let mut cancels = Actions::new();
    crate::cancel::update(&cloud);
    run(&cloud, &mut cancels, "cancel lab --dry-run", 0);
    let since = cloud.operations().len();
    let _ = cloud.heard();
    crate::cancel::run_past(&cloud, "cancel lab --yes", "CancelUpdateStack");
    merge(&mut cancels, called(&cloud, since));
    reaches(&cloud, "permissions cancel lab");
    cloud.by_hand("DeleteStack", &[("StackName", "demo-lab-api")]);
    cloud.come_to_rest();
    cloud.by_hand("CreateStack", &[("StackName", "demo-lab-api"), ("TemplateBody", crate::cancel::OTHER)]);
    run(&cloud, &mut cancels, "cancel lab --yes", 3);
    holds(&cloud, "permissions cancel lab", &cancels);
}

#[test]
fn log_may_do_what_it_does() {
    let mut cloud = lab();
    cloud.ends("deploy lab --yes", 0);
    undo_a_change(&mut cloud, &mut Actions::new());
    let mut looks = Actions::new();
    run(&cloud, &mut looks, "log lab", 0);
    run(&cloud, &mut looks, "log lab api --operation 1", 0);
    cloud.ends("destroy lab --yes", 0);
    run(&cloud, &mut looks, "log lab", 0);
    holds(&cloud, "permissions log lab", &looks);
}

/// What the environment does not manage, it looks at all the same.
#[test]
fn looks_may_look_at_what_is_not_managed() {
    let cloud =
        Cloud::of(Scenario::small().edit("environments/lab.yaml", "stacks:", "stacks:\n  old: {managed: false}"));
    let cloud = cloud.watched();
    cloud.ends("deploy lab --yes", 0);
    let template =
        |name: &str| json!({"Resources": {"Topic": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": name}}}});
    let old = ("StackName", "demo-lab-old");
    cloud.by_hand("CreateStack", &[old, ("TemplateBody", &template("one").to_string())]);
    cloud.come_to_rest();
    cloud.faults(&json!([fails("Topic", "update", "no")]));
    cloud.by_hand("UpdateStack", &[old, ("TemplateBody", &template("two").to_string())]);
    cloud.come_to_rest();
    let (mut status, mut log) = (Actions::new(), Actions::new());
    run(&cloud, &mut status, "status lab", 0);
    run(&cloud, &mut log, "log lab", 0);
    holds(&cloud, "permissions status lab", &status);
    holds_no_more(&cloud, "permissions log lab", &log);
}

/// Whoever asks for a detection reads every resource through CloudFormation, whichever role the stack has. A failure is followed into
/// nested stacks, which have names of their own.
#[test]
fn a_detection_reads_as_whoever_asks_for_it() {
    let nested = "Resources:\n  Inner: {Type: AWS::CloudFormation::Stack, DeletionPolicy: Delete, UpdateReplacePolicy: Delete, Properties: {TemplateURL: https://x.s3.amazonaws.com/t.json}}\n";
    let scenario = Scenario::small()
        .edit(
            "environments/lab.yaml",
            "stacks:",
            "deploy: {service_role: cloudformation, capabilities: [CAPABILITY_IAM]}\nstacks:",
        )
        .edit("templates/store/stack.yaml", "Resources:\n", nested);
    scenario.run("permissions drift lab".split(' ')).expect(expect![[r#"
        exit 0
        -- stdout
        # 111111111111 · the caller's
        {
          "Version": "2012-10-17",
          "Statement": [
            {
              "Sid": "Look",
              "Effect": "Allow",
              "Action": [
                "cloudformation:DescribeStacks",
                "cloudformation:ListStacks"
              ],
              "Resource": [
                "*"
              ]
            },
            {
              "Sid": "Stacks",
              "Effect": "Allow",
              "Action": [
                "cloudformation:DescribeStackEvents",
                "cloudformation:DescribeStackResourceDrifts",
                "cloudformation:DetectStackDrift",
                "cloudformation:DetectStackResourceDrift",
                "cloudformation:GetTemplate",
                "cloudformation:ListStackResources"
              ],
              "Resource": [
                "arn:aws:cloudformation:eu-west-1:111111111111:stack/demo-lab-store/*"
              ]
            },
            {
              "Sid": "Nested",
              "Effect": "Allow",
              "Action": [
                "cloudformation:DescribeStackEvents"
              ],
              "Resource": [
                "arn:aws:cloudformation:eu-west-1:111111111111:stack/demo-lab-store-Inner-*/*"
              ]
            },
            {
              "Sid": "Detection",
              "Effect": "Allow",
              "Action": [
                "cloudformation:DescribeStackDriftDetectionStatus"
              ],
              "Resource": [
                "*"
              ]
            },
            {
              "Sid": "ThroughCloudFormation",
              "Effect": "Allow",
              "Action": [
                "sns:GetDataProtectionPolicy",
                "sns:GetTopicAttributes",
                "sns:ListSubscriptionsByTopic",
                "sns:ListTagsForResource"
              ],
              "Resource": [
                "*"
              ],
              "Condition": {
                "ForAnyValue:StringEquals": {
                  "aws:CalledVia": [
                    "cloudformation.amazonaws.com"
                  ]
                }
              }
            }
          ]
        }

        # AWS::CloudFormation::Stack is not known: what it needs is missing above
    "#]]);
}

#[test]
fn bootstrap_may_do_what_it_does() {
    let bucket = "demo-111111111111-eu-west-1";
    let cloud = Cloud::of(Scenario::small().lab(LAB_OF_A_BUCKET)).watched();
    let mut made = Actions::new();
    run(&cloud, &mut made, "bootstrap lab --dry-run", 0);
    cloud.faults(&json!([fails("BucketPolicy", "create", "no")]));
    run(&cloud, &mut made, "bootstrap lab --yes", 1);
    cloud.faults(&json!([]));
    run(&cloud, &mut made, &format!("bootstrap lab --yes --recreate {bucket}"), 0);
    holds_no_more(&cloud, "permissions bootstrap lab", &made);
    // One of the same name, made by hand, that lets others use what ours does not.
    let mut cloud = Cloud::of(Scenario::small().lab(LAB_OF_A_BUCKET)).watched();
    let template = json!({
        "Resources": {"Bucket": {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Retain", "Properties": {"BucketName": bucket}}},
        "Outputs": {"Word": {"Value": "word", "Export": {"Name": "word"}}},
    });
    let by_hand = [("StackName", format!("greenroom-{bucket}")), ("TemplateBody", template.to_string())];
    cloud.by_hand("CreateStack", &by_hand.each_ref().map(|(name, value)| (*name, value.as_str())));
    cloud.come_to_rest();
    cloud.edit("environments/lab.yaml", "stacks:", "protected: true\nstacks:");
    cloud.faults(&cannot_execute());
    run(&cloud, &mut made, &format!("bootstrap lab --confirm lab --take-over {bucket}"), 1);
    run(&cloud, &mut made, &format!("bootstrap lab --confirm lab --take-over {bucket}"), 0);
    holds(&cloud, "permissions bootstrap lab", &made);
}

const LAB_OF_A_BUCKET: &str = r#"project: demo
account: "111111111111"
region: eu-west-1
deploy: {template_bucket: "demo-${account}-${region}", service_role: cloudformation}
stacks:
  store: {values: {topic: papers}}
"#;

#[test]
fn policies_are_printed_to_be_copied() {
    let scenario = Scenario::small().edit(
        "environments/lab.yaml",
        "stacks:",
        "deploy: {role: pipeline, service_role: cloudformation}\nstacks:",
    );
    scenario.run("permissions deploy lab --trust github:acme/sync --branch main".split(' ')).expect(expect![[r#"
        exit 0
        -- stdout
        # 111111111111 · the caller's, the role `pipeline`
        {
          "Version": "2012-10-17",
          "Statement": [
            {
              "Sid": "Look",
              "Effect": "Allow",
              "Action": [
                "cloudformation:DescribeStacks",
                "cloudformation:ListImports",
                "cloudformation:ListStacks"
              ],
              "Resource": [
                "*"
              ]
            },
            {
              "Sid": "Stacks",
              "Effect": "Allow",
              "Action": [
                "cloudformation:CreateChangeSet",
                "cloudformation:DeleteChangeSet",
                "cloudformation:DeleteStack",
                "cloudformation:DescribeChangeSet",
                "cloudformation:DescribeStackEvents",
                "cloudformation:DetectStackResourceDrift",
                "cloudformation:ExecuteChangeSet",
                "cloudformation:GetStackPolicy",
                "cloudformation:ListChangeSets"
              ],
              "Resource": [
                "arn:aws:cloudformation:eu-west-1:111111111111:stack/demo-lab-store/*"
              ]
            },
            {
              "Sid": "GoneFromTheFile",
              "Effect": "Allow",
              "Action": [
                "cloudformation:DeleteStack",
                "cloudformation:DescribeStackEvents",
                "cloudformation:GetTemplate",
                "cloudformation:ListStackResources"
              ],
              "Resource": [
                "arn:aws:cloudformation:eu-west-1:111111111111:stack/*/*"
              ],
              "Condition": {
                "StringEquals": {
                  "aws:ResourceTag/greenroom:project": "demo",
                  "aws:ResourceTag/greenroom:environment": "lab"
                }
              }
            },
            {
              "Sid": "ServiceRole",
              "Effect": "Allow",
              "Action": [
                "iam:PassRole"
              ],
              "Resource": [
                "arn:aws:iam::111111111111:role/cloudformation"
              ],
              "Condition": {
                "StringEquals": {
                  "iam:PassedToService": "cloudformation.amazonaws.com"
                }
              }
            },
            {
              "Sid": "ThroughCloudFormation",
              "Effect": "Allow",
              "Action": [
                "sns:GetDataProtectionPolicy",
                "sns:GetTopicAttributes",
                "sns:ListSubscriptionsByTopic",
                "sns:ListTagsForResource"
              ],
              "Resource": [
                "*"
              ],
              "Condition": {
                "ForAnyValue:StringEquals": {
                  "aws:CalledVia": [
                    "cloudformation.amazonaws.com"
                  ]
                }
              }
            },
            {
              "Sid": "ItsRole",
              "Effect": "Allow",
              "Action": [
                "sts:AssumeRole"
              ],
              "Resource": [
                "arn:aws:iam::111111111111:role/pipeline"
              ]
            }
          ]
        }

        # 111111111111 · the caller's, the role `pipeline`: who may be it
        {
          "Version": "2012-10-17",
          "Statement": [
            {
              "Effect": "Allow",
              "Principal": {
                "Federated": "arn:aws:iam::111111111111:oidc-provider/token.actions.githubusercontent.com"
              },
              "Action": "sts:AssumeRoleWithWebIdentity",
              "Condition": {
                "StringEquals": {
                  "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
                  "token.actions.githubusercontent.com:sub": "repo:acme/sync:ref:refs/heads/main"
                }
              }
            },
            {
              "Effect": "Allow",
              "Principal": {
                "AWS": "arn:aws:iam::111111111111:root"
              },
              "Action": "sts:AssumeRole",
              "Condition": {
                "ArnEquals": {
                  "aws:PrincipalArn": "arn:aws:iam::111111111111:role/pipeline"
                }
              }
            }
          ]
        }

        # 111111111111 · CloudFormation's, the role `cloudformation`
        {
          "Version": "2012-10-17",
          "Statement": [
            {
              "Sid": "Resources",
              "Effect": "Allow",
              "Action": [
                "iam:GetRole",
                "iam:PassRole",
                "sns:CreateTopic",
                "sns:DeleteTopic",
                "sns:GetDataProtectionPolicy",
                "sns:GetTopicAttributes",
                "sns:ListSubscriptionsByTopic",
                "sns:ListTagsForResource",
                "sns:PutDataProtectionPolicy",
                "sns:SetTopicAttributes",
                "sns:Subscribe",
                "sns:TagResource",
                "sns:Unsubscribe",
                "sns:UntagResource"
              ],
              "Resource": [
                "*"
              ]
            }
          ]
        }

        # 111111111111 · CloudFormation's, the role `cloudformation`: who may be it
        {
          "Version": "2012-10-17",
          "Statement": [
            {
              "Effect": "Allow",
              "Principal": {
                "Service": "cloudformation.amazonaws.com"
              },
              "Action": "sts:AssumeRole"
            }
          ]
        }

    "#]]);
    scenario.run("permissions plan lab --trust github:acme/sync --pull-requests".split(' ')).expect(expect![[r#"
        exit 0
        -- stdout
        # 111111111111 · the caller's, the role `pipeline`
        {
          "Version": "2012-10-17",
          "Statement": [
            {
              "Sid": "Look",
              "Effect": "Allow",
              "Action": [
                "cloudformation:DescribeStacks",
                "cloudformation:ListImports",
                "cloudformation:ListStacks"
              ],
              "Resource": [
                "*"
              ]
            },
            {
              "Sid": "Stacks",
              "Effect": "Allow",
              "Action": [
                "cloudformation:CreateChangeSet",
                "cloudformation:DeleteChangeSet",
                "cloudformation:DescribeChangeSet",
                "cloudformation:DescribeStackEvents",
                "cloudformation:DetectStackResourceDrift",
                "cloudformation:GetStackPolicy",
                "cloudformation:ListChangeSets"
              ],
              "Resource": [
                "arn:aws:cloudformation:eu-west-1:111111111111:stack/demo-lab-store/*"
              ]
            },
            {
              "Sid": "ServiceRole",
              "Effect": "Allow",
              "Action": [
                "iam:PassRole"
              ],
              "Resource": [
                "arn:aws:iam::111111111111:role/cloudformation"
              ],
              "Condition": {
                "StringEquals": {
                  "iam:PassedToService": "cloudformation.amazonaws.com"
                }
              }
            },
            {
              "Sid": "ThroughCloudFormation",
              "Effect": "Allow",
              "Action": [
                "sns:GetDataProtectionPolicy",
                "sns:GetTopicAttributes",
                "sns:ListSubscriptionsByTopic",
                "sns:ListTagsForResource"
              ],
              "Resource": [
                "*"
              ],
              "Condition": {
                "ForAnyValue:StringEquals": {
                  "aws:CalledVia": [
                    "cloudformation.amazonaws.com"
                  ]
                }
              }
            },
            {
              "Sid": "ItsRole",
              "Effect": "Allow",
              "Action": [
                "sts:AssumeRole"
              ],
              "Resource": [
                "arn:aws:iam::111111111111:role/pipeline"
              ]
            }
          ]
        }

        # 111111111111 · the caller's, the role `pipeline`: who may be it
        {
          "Version": "2012-10-17",
          "Statement": [
            {
              "Effect": "Allow",
              "Principal": {
                "Federated": "arn:aws:iam::111111111111:oidc-provider/token.actions.githubusercontent.com"
              },
              "Action": "sts:AssumeRoleWithWebIdentity",
              "Condition": {
                "StringEquals": {
                  "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
                  "token.actions.githubusercontent.com:sub": "repo:acme/sync:pull_request"
                }
              }
            },
            {
              "Effect": "Allow",
              "Principal": {
                "AWS": "arn:aws:iam::111111111111:root"
              },
              "Action": "sts:AssumeRole",
              "Condition": {
                "ArnEquals": {
                  "aws:PrincipalArn": "arn:aws:iam::111111111111:role/pipeline"
                }
              }
            }
          ]
        }

    "#]]);
}

#[test]
fn nobody_is_trusted_by_mistake() {
    let scenario = Scenario::small();
    for (line, expected) in [
        (
            "permissions deploy lab --trust github:acme/sync --pull-requests",
            expect![[r#"
            exit 3
            -- stderr
            error: a pull request may come from anybody, and this changes what runs

            hint: `--branch main`, or a GitHub environment that wants a review
        "#]],
        ),
        (
            "permissions deploy lab --trust github:acme/*",
            expect![[r#"
            exit 2
            -- stderr
            error: `--trust github:acme/*` names no pipeline

            hint: write it as `github:ORG/REPO`
        "#]],
        ),
        (
            "permissions deploy lab --trust gitlab:acme/sync",
            expect![[r#"
            exit 2
            -- stderr
            error: `--trust gitlab:acme/sync` names no pipeline

            hint: write it as `github:ORG/REPO`
        "#]],
        ),
        (
            "permissions status lab --read-only",
            expect![[r#"
            exit 2
            -- stderr
            error: `--read-only` is for `plan`
        "#]],
        ),
        (
            "permissions plan lab --revert",
            expect![[r#"
            exit 2
            -- stderr
            error: `--revert` is for `drift`
        "#]],
        ),
        (
            "permissions drift lab --revert --trust github:acme/sync --pull-requests",
            expect![[r#"
            exit 3
            -- stderr
            error: a pull request may come from anybody, and this changes what runs

            hint: `--branch main`, or a GitHub environment that wants a review
        "#]],
        ),
        (
            "permissions bootstrap lab",
            expect![[r#"
            exit 2
            -- stderr
            error: `lab` names no bucket

            hint: say one: `deploy: {template_bucket: NAME-${account}-${region}}`
        "#]],
        ),
        (
            "permissions clone lab",
            expect![[r#"
            exit 2
            -- stderr
            error: `lab` is made of nobody's data

            hint: say in its file whose: `clone: {from: production}`
        "#]],
        ),
    ] {
        scenario.run(line.split(' ')).expect(expected);
    }
}
