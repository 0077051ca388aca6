//! Brings a stack into each state that it can be stuck in, by the faults that lead there.

use serde_json::{Value, json};

use super::Scenario;
use super::cloud::{Cloud, pair};

/// How a stack can be stuck. It is the stack `store` of the environment `lab`; only what is named here is out of order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stuck {
    RollbackComplete,
    RollbackFailed,
    CreateFailed,
    UpdateFailed,
    UpdateRollbackFailed,
    DeleteFailed,
    ReviewInProgress,
    ImportRollbackFailed,
}

/// A rule by which work on a resource fails.
pub(crate) fn fails(logical_id: &str, during: &str, reason: &str) -> Value {
    json!({"logical_id": logical_id, "effect": {"fail_resource": {"during": during, "reason": reason}}})
}

/// The template of `store` as somebody else sends it.
pub(crate) fn store_template(timeout: u32) -> String {
    json!({"Resources": {
        "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": "papers"}},
        "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": timeout}},
    }, "Outputs": {"TopicArn": {"Value": {"Ref": "Topic"}}}})
    .to_string()
}

const MARKS: [(&str, &str); 6] = [
    ("Tags.member.1.Key", "greenroom:project"),
    ("Tags.member.1.Value", "demo"),
    ("Tags.member.2.Key", "greenroom:environment"),
    ("Tags.member.2.Value", "lab"),
    ("Tags.member.3.Key", "greenroom:stack"),
    ("Tags.member.3.Value", "store"),
];

/// The marks of the stack `store` of `lab`, as parameters of a call.
pub(crate) fn marks_of_store() -> [(&'static str, &'static str); 6] {
    MARKS
}

const STORE: (&str, &str) = ("StackName", "demo-lab-store");

impl Stuck {
    /// The status that the stack is in.
    pub(crate) fn status(self) -> &'static str {
        match self {
            Self::RollbackComplete => "ROLLBACK_COMPLETE",
            Self::RollbackFailed => "ROLLBACK_FAILED",
            Self::CreateFailed => "CREATE_FAILED",
            Self::UpdateFailed => "UPDATE_FAILED",
            Self::UpdateRollbackFailed => "UPDATE_ROLLBACK_FAILED",
            Self::DeleteFailed => "DELETE_FAILED",
            Self::ReviewInProgress => "REVIEW_IN_PROGRESS",
            Self::ImportRollbackFailed => "IMPORT_ROLLBACK_FAILED",
        }
    }

    /// A cloud with the stack in that state.
    pub(crate) fn cloud(self) -> Cloud {
        self.cloud_of(pair())
    }

    /// The same with other templates. What led there still is in the way.
    pub(crate) fn cloud_of(self, scenario: Scenario) -> Cloud {
        let mut cloud = Cloud::of(scenario);
        match self {
            Self::RollbackComplete => {
                cloud.faults(&json!([fails("Queue", "create", "the name is taken")]));
                cloud.ends("deploy lab --yes", 1);
            }
            Self::RollbackFailed => {
                // Late enough for the topic to be there.
                let mut create = fails("Queue", "create", "the name is taken");
                create["effect"]["fail_resource"]["after_seconds"] = json!(30);
                cloud.faults(&json!([create, fails("Topic", "delete", "the topic is in use")]));
                cloud.ends("deploy lab --yes", 1);
            }
            Self::CreateFailed => {
                cloud.faults(&json!([fails("Queue", "create", "the name is taken")]));
                let template = store_template(30);
                let wanted = [STORE, ("TemplateBody", template.as_str()), ("OnFailure", "DO_NOTHING")];
                cloud.by_hand("CreateStack", &[&wanted[..], &MARKS].concat());
                cloud.come_to_rest();
            }
            Self::UpdateFailed => {
                cloud.ends("deploy lab --yes", 0);
                cloud.faults(&json!([fails("Queue", "update", "the queue is locked")]));
                let template = store_template(99);
                cloud.by_hand("UpdateStack", &[STORE, ("TemplateBody", &template), ("DisableRollback", "true")]);
                cloud.come_to_rest();
            }
            Self::UpdateRollbackFailed => {
                cloud.ends("deploy lab --yes", 0);
                cloud.edit("environments/lab.yaml", "topic: papers", "topic: sheets, size: 4");
                let update = fails("Topic", "update", "no such name");
                cloud.faults(&json!([update, fails("Queue", "rollback", "the queue is gone")]));
                cloud.ends("deploy lab --yes", 1);
            }
            Self::DeleteFailed => {
                cloud.ends("deploy lab --yes", 0);
                cloud.faults(&json!([fails("Queue", "delete", "the queue is in use")]));
                cloud.by_hand("DeleteStack", &[STORE]);
                cloud.come_to_rest();
            }
            Self::ReviewInProgress => {
                let template = store_template(30);
                let name = ("ChangeSetName", "r-0123456789abcdef");
                let wanted = [STORE, name, ("ChangeSetType", "CREATE"), ("TemplateBody", &template)];
                cloud.by_hand("CreateChangeSet", &wanted);
                cloud.come_to_rest();
            }
            Self::ImportRollbackFailed => {
                cloud.ends("deploy lab --yes", 0);
                pose(&cloud, self.status());
            }
        }
        cloud
    }
}

/// Puts the stack into a status that nothing leads to in the local cloud.
pub(crate) fn pose(cloud: &Cloud, status: &str) {
    let wanted = json!({"account": "111111111111", "region": "eu-west-1", "stack": "demo-lab-store", "status": status});
    cloud.control("pose", &wanted.to_string());
}
