"""Launch templates, Auto Scaling groups, load balancers and functions, driven and looked at by boto3 and the AWS CLI."""

import copy
import json
import unittest


from local_cloud import LocalCloud


def fleet(image="ami-00000000000000001", size=3, policy=None, creation=None):
    """Three zones, a launch template, a group of instances that names the template's version by number."""
    zones = {
        f"Subnet{letter}": {
            "Type": "AWS::EC2::Subnet",
            "Properties": {
                "VpcId": {"Ref": "Vpc"},
                "CidrBlock": f"10.9.{position}.0/24",
                "AvailabilityZone": f"ap-southeast-2{letter.lower()}",
            },
        }
        for position, letter in enumerate("ABC")
    }
    group = {
        "Type": "AWS::AutoScaling::AutoScalingGroup",
        "Properties": {
            "MinSize": str(size),
            "MaxSize": str(size + 1),
            "DesiredCapacity": str(size),
            "VPCZoneIdentifier": [{"Ref": name} for name in zones],
            "LaunchTemplate": {
                "LaunchTemplateId": {"Ref": "Template"},
                "Version": {"Fn::GetAtt": ["Template", "LatestVersionNumber"]},
            },
            "TargetGroupARNs": [{"Ref": "Targets"}],
            "Tags": [{"Key": "Name", "Value": "node", "PropagateAtLaunch": True}],
        },
    }
    if policy:
        group["UpdatePolicy"] = {"AutoScalingRollingUpdate": policy}
    if creation:
        group["CreationPolicy"] = {"ResourceSignal": creation}
    return {
        "Resources": {
            "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.9.0.0/16"}},
            **zones,
            "Template": {
                "Type": "AWS::EC2::LaunchTemplate",
                "Properties": {"LaunchTemplateData": {"ImageId": image, "InstanceType": "t4g.small"}},
            },
            "Targets": {
                "Type": "AWS::ElasticLoadBalancingV2::TargetGroup",
                "Properties": {"VpcId": {"Ref": "Vpc"}, "Port": 80, "Protocol": "HTTP"},
            },
            "Group": group,
        },
        "Outputs": {"Group": {"Value": {"Ref": "Group"}}, "Targets": {"Value": {"Ref": "Targets"}}, "Template": {"Value": {"Ref": "Template"}}},
    }


def with_balancer(bucket_policy=True):
    template = fleet(size=1)
    resources = template["Resources"]
    resources["Logs"] = {"Type": "AWS::S3::Bucket"}
    depends = ["LogsPolicy"] if bucket_policy else []
    if bucket_policy:
        resources["LogsPolicy"] = {
            "Type": "AWS::S3::BucketPolicy",
            "Properties": {
                "Bucket": {"Ref": "Logs"},
                "PolicyDocument": {
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"},
                            "Action": "s3:PutObject",
                            "Resource": {"Fn::Sub": "${Logs.Arn}/*"},
                        }
                    ]
                },
            },
        }
    resources["Balancer"] = {
        "Type": "AWS::ElasticLoadBalancingV2::LoadBalancer",
        "DependsOn": depends,
        "Properties": {
            "Scheme": "internal",
            "Subnets": [{"Ref": "SubnetA"}, {"Ref": "SubnetB"}],
            "LoadBalancerAttributes": [
                {"Key": "access_logs.s3.enabled", "Value": "true"},
                {"Key": "access_logs.s3.bucket", "Value": {"Ref": "Logs"}},
            ],
        },
    }
    resources["Listener"] = {
        "Type": "AWS::ElasticLoadBalancingV2::Listener",
        "Properties": {
            "LoadBalancerArn": {"Ref": "Balancer"},
            "Port": 80,
            "Protocol": "HTTP",
            "DefaultActions": [{"Type": "forward", "TargetGroupArn": {"Ref": "Targets"}}],
        },
    }
    template["Outputs"]["Name"] = {"Value": {"Fn::GetAtt": ["Balancer", "DNSName"]}}
    return template


class Compute(LocalCloud):
    def setUp(self):
        super().setUp()
        self.autoscaling = self.client("autoscaling")
        self.ec2 = self.client("ec2")
        self.balancing = self.client("elbv2")

    def group(self):
        [group] = self.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[self.outputs("s")["Group"]])["AutoScalingGroups"]
        return group

    def in_service(self):
        """The group once nothing is coming or going."""
        for _ in range(200):
            group = self.group()
            if len(group["Instances"]) == group["DesiredCapacity"] and all(it["LifecycleState"] == "InService" for it in group["Instances"]):
                return group
        self.fail("the group does not come to rest")

    def versions(self, group):
        return sorted(instance["LaunchTemplate"]["Version"] for instance in group["Instances"])

    def first_failure(self):
        events = reversed(self.cloudformation.describe_stack_events(StackName="s")["StackEvents"])
        return next(event["ResourceStatusReason"] for event in events if event["ResourceStatus"].endswith("_FAILED"))

    def test_a_group_has_its_instances_spread_over_the_zones(self):
        self.deploy("s", fleet(), "CREATE", Tags=[{"Key": "team", "Value": "platform"}])
        group = self.group()
        self.assertEqual({instance["AvailabilityZone"] for instance in group["Instances"]}, {f"ap-southeast-2{zone}" for zone in "abc"})
        self.assertEqual(self.versions(group), ["1", "1", "1"])
        ids = [instance["InstanceId"] for instance in group["Instances"]]
        reservations = self.ec2.describe_instances(InstanceIds=ids)["Reservations"]
        instances = [instance for reservation in reservations for instance in reservation["Instances"]]
        self.assertEqual(len({instance["PrivateIpAddress"] for instance in instances}), 3)
        self.assertTrue(all(instance["State"]["Name"] == "running" for instance in instances))
        tags = {tag["Key"]: tag["Value"] for tag in instances[0]["Tags"]}
        self.assertEqual((tags["Name"], tags["team"], tags["aws:autoscaling:groupName"]), ("node", "platform", group["AutoScalingGroupName"]))
        self.assertEqual(tags["aws:cloudformation:logical-id"], "Group")
        health = self.balancing.describe_target_health(TargetGroupArn=self.outputs("s")["Targets"])["TargetHealthDescriptions"]
        self.assertEqual([target["TargetHealth"]["State"] for target in health], ["healthy"] * 3)
        activities = self.autoscaling.describe_scaling_activities(AutoScalingGroupName=group["AutoScalingGroupName"])["Activities"]
        self.assertEqual([activity["StatusCode"] for activity in activities], ["Successful"] * 3)

    def test_without_an_update_policy_a_new_version_touches_no_instance(self):
        self.deploy("s", fleet(), "CREATE")
        before = {instance["InstanceId"] for instance in self.group()["Instances"]}
        made = self.deploy("s", fleet(image="ami-00000000000000002"))
        changes = {row["ResourceChange"]["LogicalResourceId"]: row["ResourceChange"] for row in made["Changes"]}
        self.assertEqual({name: change["Replacement"] for name, change in changes.items()}, {"Template": "False", "Group": "Conditional"})
        group = self.group()
        self.assertEqual({instance["InstanceId"] for instance in group["Instances"]}, before)
        self.assertEqual((group["LaunchTemplate"]["Version"], self.versions(group)), ("2", ["1", "1", "1"]))
        # What is ended is followed by one of the current version.
        gone = sorted(before)[0]
        self.aws("autoscaling", "terminate-instance-in-auto-scaling-group", "--instance-id", gone, "--no-should-decrement-desired-capacity")
        group = self.in_service()
        self.assertNotIn(gone, [instance["InstanceId"] for instance in group["Instances"]])
        self.assertEqual(self.versions(group), ["1", "1", "2"])

    def test_with_an_update_policy_the_instances_are_rolled(self):
        policy = {"MinInstancesInService": "2", "MaxBatchSize": "1", "WaitOnResourceSignals": True, "PauseTime": "PT10M"}
        self.deploy("s", fleet(policy=policy), "CREATE")
        before = {instance["InstanceId"] for instance in self.group()["Instances"]}
        self.deploy("s", fleet(image="ami-00000000000000002", policy=policy))
        group = self.group()
        self.assertEqual(self.versions(group), ["2", "2", "2"])
        self.assertFalse(before & {instance["InstanceId"] for instance in group["Instances"]})

    def test_a_rolling_update_without_a_signal_is_rolled_back(self):
        policy = {"MinInstancesInService": "2", "WaitOnResourceSignals": True, "PauseTime": "PT5M"}
        self.deploy("s", fleet(policy=policy), "CREATE")
        self.control("faults", [{"logical_id": "Group", "times": 1, "effect": "no_signal"}])
        made = self.change_set("s", fleet(image="ami-00000000000000002", policy=policy))
        self.cloudformation.execute_change_set(ChangeSetName=made["ChangeSetId"])
        self.assertEqual(self.settle("s"), "UPDATE_ROLLBACK_COMPLETE")
        self.assertIn("Received 0 SUCCESS signal(s) out of 1", self.first_failure())
        group = self.group()
        self.assertEqual((group["LaunchTemplate"]["Version"], self.versions(group)), ("1", ["1", "1", "1"]))

    def test_a_creation_waits_for_signals_and_gives_up(self):
        self.control("faults", [{"logical_id": "Group", "effect": "no_signal"}])
        made = self.change_set("s", fleet(creation={"Count": 3, "Timeout": "PT15M"}), "CREATE")
        self.cloudformation.execute_change_set(ChangeSetName=made["ChangeSetId"])
        self.assertEqual(self.settle("s"), "ROLLBACK_COMPLETE")
        self.assertIn("Received 0 SUCCESS signal(s) out of 3.", self.first_failure())
        self.assertEqual(self.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"], [])

    def test_a_group_that_cannot_launch_says_why(self):
        self.control("faults", [{"logical_id": "Group", "effect": {"cannot_launch": {}}}])
        made = self.change_set("s", fleet(), "CREATE")
        self.cloudformation.execute_change_set(ChangeSetName=made["ChangeSetId"])
        self.assertEqual(self.settle("s"), "ROLLBACK_COMPLETE")
        self.assertIn("InsufficientInstanceCapacity", self.first_failure())

    def test_sizes_processes_and_words(self):
        self.deploy("s", fleet(), "CREATE")
        name = self.group()["AutoScalingGroupName"]
        self.refused("ValidationError", "above max value 4", self.autoscaling.set_desired_capacity, AutoScalingGroupName=name, DesiredCapacity=9)
        self.autoscaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=4)
        self.assertEqual(len(self.in_service()["Instances"]), 4)
        self.autoscaling.suspend_processes(AutoScalingGroupName=name, ScalingProcesses=["Launch"])
        [victim, *_] = self.group()["Instances"]
        self.ec2.terminate_instances(InstanceIds=[victim["InstanceId"]])
        for _ in range(50):
            group = self.group()
        self.assertEqual((len(group["Instances"]), [it["ProcessName"] for it in group["SuspendedProcesses"]]), (3, ["Launch"]))
        self.autoscaling.resume_processes(AutoScalingGroupName=name, ScalingProcesses=["Launch"])
        self.assertEqual(len(self.in_service()["Instances"]), 4)
        self.refused("ValidationError", "not found", self.autoscaling.suspend_processes, AutoScalingGroupName="nobody")
        self.assertEqual(self.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=["nobody"])["AutoScalingGroups"], [])
        self.refused("InvalidInstanceID.NotFound", "does not exist", self.ec2.describe_instances, InstanceIds=["i-00000000000000000"])

    def test_versions_of_a_template_made_by_hand(self):
        self.deploy("s", fleet(size=1), "CREATE")
        template = self.outputs("s")["Template"]
        self.ec2.create_launch_template_version(LaunchTemplateId=template, SourceVersion="1", LaunchTemplateData={"ImageId": "ami-00000000000000009"})
        versions = self.ec2.describe_launch_template_versions(LaunchTemplateId=template)["LaunchTemplateVersions"]
        self.assertEqual([(it["VersionNumber"], it["LaunchTemplateData"]["ImageId"]) for it in versions], [(2, "ami-00000000000000009"), (1, "ami-00000000000000001")])
        self.assertEqual(versions[0]["LaunchTemplateData"]["InstanceType"], "t4g.small")
        [shown] = self.ec2.describe_launch_templates(LaunchTemplateIds=[template])["LaunchTemplates"]
        self.assertEqual((shown["DefaultVersionNumber"], shown["LatestVersionNumber"]), (1, 2))

    def test_a_load_balancer_needs_a_bucket_that_lets_it_write(self):
        made = self.change_set("s", with_balancer(bucket_policy=False), "CREATE")
        self.cloudformation.execute_change_set(ChangeSetName=made["ChangeSetId"])
        self.assertEqual(self.settle("s"), "ROLLBACK_COMPLETE")
        self.assertIn("Access Denied for bucket", self.first_failure())
        self.cloudformation.delete_stack(StackName="s")
        self.wait("stack_delete_complete", StackName="s")
        self.deploy("s", with_balancer(), "CREATE")
        [balancer] = self.balancing.describe_load_balancers()["LoadBalancers"]
        self.assertEqual((balancer["DNSName"], balancer["Scheme"]), (self.outputs("s")["Name"], "internal"))
        self.assertTrue(balancer["DNSName"].startswith("internal-"))
        self.assertEqual(len(balancer["AvailabilityZones"]), 2)
        [listener] = self.balancing.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
        self.assertEqual((listener["Port"], listener["DefaultActions"][0]["Type"]), (80, "forward"))
        [targets] = self.balancing.describe_target_groups(LoadBalancerArn=balancer["LoadBalancerArn"])["TargetGroups"]
        self.assertEqual(targets["TargetGroupArn"], self.outputs("s")["Targets"])
        self.refused("LoadBalancerNotFound", "not found", self.balancing.describe_load_balancers, Names=["nobody"])
        self.cloudformation.delete_stack(StackName="s")
        self.wait("stack_delete_complete", StackName="s")
        self.assertEqual(self.balancing.describe_load_balancers()["LoadBalancers"], [])

    def test_everything_goes_with_its_stack(self):
        self.deploy("s", fleet(), "CREATE")
        self.cloudformation.delete_stack(StackName="s")
        self.wait("stack_delete_complete", StackName="s")
        self.assertEqual(self.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"], [])
        states = [instance["State"]["Name"] for it in self.ec2.describe_instances()["Reservations"] for instance in it["Instances"]]
        self.assertEqual(set(states) - {"terminated"}, set())

    def test_a_function_needs_its_package_and_a_patient_queue(self):
        s3 = self.client("s3")
        s3.create_bucket(Bucket="packages", CreateBucketConfiguration={"LocationConstraint": "ap-southeast-2"})
        template = {
            "Resources": {
                "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {"Statement": []}}},
                "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": 30}},
                "Ship": {
                    "Type": "AWS::Lambda::Function",
                    "Properties": {
                        "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                        "Runtime": "provided.al2023",
                        "Handler": "bootstrap",
                        "Timeout": 60,
                        "Code": {"S3Bucket": "packages", "S3Key": "ship.zip"},
                    },
                },
                "Feed": {
                    "Type": "AWS::Lambda::EventSourceMapping",
                    "Properties": {"FunctionName": {"Ref": "Ship"}, "EventSourceArn": {"Fn::GetAtt": ["Queue", "Arn"]}},
                },
            }
        }
        for expected in ["NoSuchKey", "Queue visibility timeout: 30 seconds is less than Function timeout: 60 seconds"]:
            made = self.change_set("s", template, "CREATE", Capabilities=["CAPABILITY_IAM"])
            self.cloudformation.execute_change_set(ChangeSetName=made["ChangeSetId"])
            self.assertEqual(self.settle("s"), "ROLLBACK_COMPLETE")
            self.assertIn(expected, self.first_failure())
            self.cloudformation.delete_stack(StackName="s")
            self.wait("stack_delete_complete", StackName="s")
            s3.put_object(Bucket="packages", Key="ship.zip", Body=b"PK")
        patient = copy.deepcopy(template)
        patient["Resources"]["Queue"]["Properties"]["VisibilityTimeout"] = 360
        self.deploy("s", patient, "CREATE", Capabilities=["CAPABILITY_IAM"])
        resources = {it["LogicalResourceId"]: it["PhysicalResourceId"] for it in self.cloudformation.list_stack_resources(StackName="s")["StackResourceSummaries"]}
        self.assertTrue(resources["Ship"].startswith("s-Ship-"), json.dumps(resources))

    def test_a_bucket_tells_only_a_queue_that_lets_it(self):
        template = {
            "Resources": {
                "Queue": {"Type": "AWS::SQS::Queue"},
                "Bucket": {
                    "Type": "AWS::S3::Bucket",
                    "Properties": {
                        "NotificationConfiguration": {
                            "QueueConfigurations": [{"Event": "s3:ObjectCreated:*", "Queue": {"Fn::GetAtt": ["Queue", "Arn"]}}]
                        }
                    },
                },
            }
        }
        made = self.change_set("s", template, "CREATE")
        self.cloudformation.execute_change_set(ChangeSetName=made["ChangeSetId"])
        self.assertEqual(self.settle("s"), "ROLLBACK_COMPLETE")
        self.assertIn("Unable to validate the following destination configurations", self.first_failure())
        template["Resources"]["Bucket"]["DependsOn"] = "Policy"
        template["Resources"]["Policy"] = {
            "Type": "AWS::SQS::QueuePolicy",
            "Properties": {
                "Queues": [{"Ref": "Queue"}],
                "PolicyDocument": {"Statement": [{"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": "*"}]},
            },
        }
        self.deploy("t", template, "CREATE")


if __name__ == "__main__":
    unittest.main()
