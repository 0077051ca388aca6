"""One stack through change sets: created, described, updated in place and by replacement, failed and rolled back, deleted."""

import unittest

from local_cloud import LocalCloud


def topics(display="one", name="topic-one"):
    return {
        "Description": "two topics",
        "Parameters": {"Display": {"Type": "String", "Default": display}},
        "Resources": {
            "First": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": name, "DisplayName": {"Ref": "Display"}}},
            "Second": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Fn::GetAtt": ["First", "TopicName"]}}},
        },
        "Outputs": {"Topic": {"Value": {"Ref": "First"}, "Export": {"Name": "first-topic"}}},
    }


class Lifecycle(LocalCloud):
    def test_creates_describes_updates_and_deletes(self):
        made = self.deploy("s", topics(), "CREATE")
        self.assertEqual([row["ResourceChange"]["Action"] for row in made["Changes"]], ["Add", "Add"])
        stack = self.stack("s")
        self.assertEqual(stack["StackStatus"], "CREATE_COMPLETE")
        self.assertEqual(stack["NotificationARNs"], [])
        self.assertEqual(stack["Description"], "two topics")
        self.assertEqual(self.outputs("s"), {"Topic": "arn:aws:sns:ap-southeast-2:123456789012:topic-one"})

        changed = self.deploy("s", topics(display="two"))
        [row] = changed["Changes"]
        change = row["ResourceChange"]
        self.assertEqual((change["Action"], change["Replacement"], change["Scope"]), ("Modify", "False", ["Properties"]))
        self.assertEqual(
            [(detail["Evaluation"], detail["ChangeSource"], detail.get("CausingEntity")) for detail in change["Details"]],
            [("Static", "ParameterReference", "Display"), ("Dynamic", "DirectModification", None)],
        )
        target = change["Details"][0]["Target"]
        self.assertEqual((target["BeforeValue"], target["AfterValue"]), ("one", "two"))
        self.assertEqual(self.stack("s")["StackStatus"], "UPDATE_COMPLETE")

        replaced = self.deploy("s", topics(display="two", name="topic-two"))
        verdicts = {row["ResourceChange"]["LogicalResourceId"]: row["ResourceChange"] for row in replaced["Changes"]}
        self.assertEqual(verdicts["First"]["Replacement"], "True")
        self.assertEqual(verdicts["First"]["PolicyAction"], "ReplaceAndDelete")
        self.assertEqual(verdicts["Second"]["Details"][0]["Target"]["AfterValue"], "{{changeSet:KNOWN_AFTER_APPLY}}")
        self.assertTrue(self.outputs("s")["Topic"].endswith("topic-two"))
        events = self.cloudformation.describe_stack_events(StackName="s")["StackEvents"]
        statuses = [(event["LogicalResourceId"], event["ResourceStatus"]) for event in events][:5]
        self.assertEqual(
            statuses,
            [
                ("s", "UPDATE_COMPLETE"),
                ("First", "DELETE_COMPLETE"),
                ("First", "DELETE_IN_PROGRESS"),
                ("s", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"),
                ("Second", "UPDATE_COMPLETE"),
            ],
        )

        stack_id = self.stack("s")["StackId"]
        self.cloudformation.delete_stack(StackName="s")
        self.wait("stack_delete_complete", StackName=stack_id)
        self.refused("ValidationError", "Stack with id s does not exist", self.cloudformation.describe_stacks, StackName="s")
        self.assertEqual(self.stack(stack_id)["StackStatus"], "DELETE_COMPLETE")

    def test_create_events_come_in_the_recorded_order(self):
        template = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}
        self.deploy("s", template, "CREATE")
        events = self.cloudformation.describe_stack_events(StackName="s")["StackEvents"][::-1]
        self.assertEqual(
            [(event["LogicalResourceId"], event["ResourceStatus"], event.get("ResourceStatusReason")) for event in events],
            [
                ("s", "REVIEW_IN_PROGRESS", "User Initiated"),
                ("s", "CREATE_IN_PROGRESS", "User Initiated"),
                ("Topic", "CREATE_IN_PROGRESS", None),
                ("Topic", "CREATE_IN_PROGRESS", "Resource creation Initiated"),
                ("Topic", "CREATE_COMPLETE", None),
                ("s", "CREATE_COMPLETE", None),
            ],
        )
        self.assertEqual([bool(event["PhysicalResourceId"]) for event in events[2:5]], [False, True, True])

    def test_says_so_when_nothing_changes(self):
        self.deploy("s", topics(), "CREATE")
        made = self.cloudformation.create_change_set(StackName="s", ChangeSetName="again", UsePreviousTemplate=True)
        self.settle_change_set(made["Id"])
        found = self.cloudformation.describe_change_set(ChangeSetName=made["Id"])
        self.assertEqual((found["Status"], found["ExecutionStatus"], found["Changes"]), ("FAILED", "UNAVAILABLE", []))
        self.assertEqual(
            found["StatusReason"],
            "The submitted information didn't contain changes. Submit different information to create a change set.",
        )

    def settle_change_set(self, change_set):
        for _ in range(100):
            if self.cloudformation.describe_change_set(ChangeSetName=change_set)["Status"] in ("FAILED", "CREATE_COMPLETE"):
                return

    def test_a_failing_update_rolls_back_to_what_was(self):
        self.deploy("s", topics(), "CREATE")
        before = self.cloudformation.describe_stack_resources(StackName="s")["StackResources"]
        broken = topics(display="two")
        broken["Resources"]["Third"] = {
            "Type": "AWS::EC2::SecurityGroup",
            "DependsOn": "First",
            "Properties": {"VpcId": "vpc-1"},
        }
        made = self.change_set("s", broken)
        self.cloudformation.execute_change_set(ChangeSetName=made["ChangeSetId"])
        self.assertEqual(self.settle("s"), "UPDATE_ROLLBACK_COMPLETE")
        after = self.cloudformation.describe_stack_resources(StackName="s")["StackResources"]
        self.assertEqual([r["PhysicalResourceId"] for r in before], [r["PhysicalResourceId"] for r in after])
        reasons = [
            event.get("ResourceStatusReason", "")
            for event in self.cloudformation.describe_stack_events(StackName="s")["StackEvents"]
        ]
        self.assertIn("Property validation failure: [The property {/GroupDescription} is required]", reasons)
        self.assertIn("The following resource(s) failed to create: [Third]. ", reasons)
        attributes = self.outputs("s")
        self.assertTrue(attributes["Topic"].endswith("topic-one"))

    def test_a_failing_create_rolls_back_and_can_only_be_deleted(self):
        broken = {"Resources": {"Good": {"Type": "AWS::SNS::Topic"}, "Bad": {"Type": "AWS::EC2::SecurityGroup", "DependsOn": "Good"}}}
        made = self.change_set("s", broken, "CREATE")
        self.cloudformation.execute_change_set(ChangeSetName=made["ChangeSetId"])
        self.assertEqual(self.settle("s"), "ROLLBACK_COMPLETE")
        self.refused(
            "ValidationError",
            "is in ROLLBACK_COMPLETE state and can not be updated.",
            self.cloudformation.create_change_set,
            StackName="s",
            ChangeSetName="x",
            TemplateBody="{}",
        )
        self.cloudformation.delete_stack(StackName="s")

    def test_exports_in_use_neither_change_nor_go(self):
        self.deploy("s", topics(), "CREATE")
        consumer = {"Resources": {"T": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Fn::ImportValue": "first-topic"}}}}}
        self.deploy("c", consumer, "CREATE")
        self.assertEqual(self.cloudformation.list_imports(ExportName="first-topic")["Imports"], ["c"])
        self.cloudformation.delete_stack(StackName="s")
        self.assertEqual(self.settle("s"), "CREATE_COMPLETE")
        self.assertIn("Cannot delete export first-topic as it is in use by c", self.stack("s")["StackStatusReason"])
        made = self.change_set("s", topics(name="topic-two"))
        self.cloudformation.execute_change_set(ChangeSetName=made["ChangeSetId"])
        self.assertEqual(self.settle("s"), "UPDATE_ROLLBACK_COMPLETE")

    def test_protection_holds(self):
        self.deploy("s", topics(), "CREATE")
        self.cloudformation.update_termination_protection(StackName="s", EnableTerminationProtection=True)
        self.refused(
            "ValidationError",
            "Stack [s] cannot be deleted while TerminationProtection is enabled",
            self.cloudformation.delete_stack,
            StackName="s",
        )

    def test_a_stack_policy_binds_updates(self):
        self.deploy("s", topics(), "CREATE")
        policy = '{"Statement": [{"Effect": "Deny", "Action": "Update:Replace", "Principal": "*", "Resource": "*"},' \
                 '{"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"}]}'
        self.cloudformation.set_stack_policy(StackName="s", StackPolicyBody=policy)
        self.assertEqual(self.cloudformation.get_stack_policy(StackName="s")["StackPolicyBody"], policy)
        made = self.change_set("s", topics(name="topic-two"))
        self.cloudformation.execute_change_set(ChangeSetName=made["ChangeSetId"])
        self.assertEqual(self.settle("s"), "UPDATE_ROLLBACK_COMPLETE")
        reasons = [e.get("ResourceStatusReason") for e in self.cloudformation.describe_stack_events(StackName="s")["StackEvents"]]
        self.assertIn(
            "Action denied by stack policy: Statement [#1] does not allow [Update:Replace] for resource [LogicalResourceId/First]",
            reasons,
        )
        self.refused(
            "ValidationError", "Invalid stack policy", self.cloudformation.set_stack_policy, StackName="s", StackPolicyBody="[]"
        )


if __name__ == "__main__":
    unittest.main()
