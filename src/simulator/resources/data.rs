//! Where things are kept, named and watched: S3, SSM, Route 53, Logs, `CloudWatch`, SNS, SQS and RDS's groups.

use super::modelled::{Modelled, made_up, named, named_lower};
use super::{Failure, Order, object, objects, says, text};
use crate::simulator::world::World;
use crate::simulator::{rds, s3};
use serde_json::Value;

pub(super) static TYPES: &[Modelled] = &[
    Modelled {
        attributes: |_, order, id| {
            let region = &order.place.region;
            vec![
                ("Arn", format!("arn:aws:s3:::{id}").into()),
                ("DomainName", format!("{id}.s3.amazonaws.com").into()),
                ("RegionalDomainName", format!("{id}.s3.{region}.amazonaws.com").into()),
                ("DualStackDomainName", format!("{id}.s3.dualstack.{region}.amazonaws.com").into()),
                ("WebsiteURL", format!("http://{id}.s3-website-{region}.amazonaws.com").into()),
            ]
        },
        check: check_bucket,
        check_delete: |world, place, id| {
            if s3::is_empty(world, place, id) {
                return Ok(());
            }
            let message = "The bucket you tried to delete is not empty (Service: S3, Status Code: 409)";
            Err(Failure::new("GeneralServiceException", message))
        },
        ..Modelled::plain("AWS::S3::Bucket", 20, |identifiers, order| named_lower(identifiers, order, "BucketName"))
    },
    Modelled {
        check: |world, order, _| {
            let bucket = text(&order.properties, "Bucket").unwrap_or_default();
            if object(world, &order.place, "AWS::S3::Bucket", &bucket).is_some() {
                return Ok(());
            }
            Err(Failure::new("NotFound", "The specified bucket does not exist (Service: S3, Status Code: 404)"))
        },
        ..Modelled::plain("AWS::S3::BucketPolicy", 5, |_, order| text(&order.properties, "Bucket").unwrap_or_default())
    },
    Modelled {
        attributes: |_, order, id| {
            let arn = order.place.arn("ssm", &format!("parameter/{}", id.trim_start_matches('/')));
            vec![("Arn", arn.into())]
        },
        ..Modelled::plain("AWS::SSM::Parameter", 4, |identifiers, order| {
            text(&order.properties, "Name").unwrap_or_else(|| format!("CFN-{}", made_up(identifiers, order)))
        })
    },
    Modelled::plain("AWS::Route53::RecordSet", 40, |_, order| {
        text(&order.properties, "Name").unwrap_or_default().trim_end_matches('.').to_lowercase()
    }),
    Modelled {
        attributes: |_, order, id| vec![("Arn", order.place.arn("logs", &format!("log-group:{id}:*")).into())],
        ..Modelled::plain("AWS::Logs::LogGroup", 5, |identifiers, order| named(identifiers, order, "LogGroupName"))
    },
    Modelled::plain("AWS::Logs::MetricFilter", 5, |identifiers, order| named(identifiers, order, "FilterName")),
    Modelled {
        attributes: |_, order, id| vec![("Arn", order.place.arn("cloudwatch", &format!("alarm:{id}")).into())],
        ..Modelled::plain("AWS::CloudWatch::Alarm", 5, |identifiers, order| named(identifiers, order, "AlarmName"))
    },
    Modelled {
        attributes: |_, _, id| {
            vec![("TopicArn", id.into()), ("TopicName", id.rsplit(':').next().unwrap_or_default().into())]
        },
        ..Modelled::plain("AWS::SNS::Topic", 10, |identifiers, order| {
            let name = named(identifiers, order, "TopicName");
            order.place.arn("sns", &name)
        })
    },
    Modelled {
        attributes: |_, _, id| vec![("Arn", id.into())],
        ..Modelled::plain("AWS::SNS::Subscription", 5, |identifiers, order| {
            format!("{}:{}", text(&order.properties, "TopicArn").unwrap_or_default(), identifiers.uuid())
        })
    },
    Modelled { attributes: |_, _, id| vec![("Id", id.into())], ..Modelled::plain("AWS::SNS::TopicPolicy", 5, made_up) },
    Modelled {
        attributes: |_, order, id| {
            let name = id.rsplit('/').next().unwrap_or_default();
            vec![("Arn", order.place.arn("sqs", name).into()), ("QueueUrl", id.into()), ("QueueName", name.into())]
        },
        ..Modelled::plain("AWS::SQS::Queue", 60, |identifiers, order| {
            let name = named(identifiers, order, "QueueName");
            format!("https://sqs.{}.amazonaws.com/{}/{name}", order.place.region, order.place.account)
        })
    },
    Modelled { attributes: |_, _, id| vec![("Id", id.into())], ..Modelled::plain("AWS::SQS::QueuePolicy", 5, made_up) },
    Modelled {
        attributes: |_, order, id| {
            let group = text(&order.properties, "GroupName").unwrap_or_else(|| "default".to_owned());
            vec![("Arn", order.place.arn("scheduler", &format!("schedule/{group}/{id}")).into())]
        },
        ..Modelled::plain("AWS::Scheduler::Schedule", 5, |identifiers, order| named(identifiers, order, "Name"))
    },
    Modelled {
        attributes: |_, order, id| vec![("DBSubnetGroupArn", order.place.arn("rds", &format!("subgrp:{id}")).into())],
        check_delete: |world, place, id| rds::check_group_unused(world, place, "DBSubnetGroupName", id),
        ..Modelled::plain("AWS::RDS::DBSubnetGroup", 10, |identifiers, order| {
            named_lower(identifiers, order, "DBSubnetGroupName")
        })
    },
    Modelled {
        attributes: |_, order, id| vec![("DBParameterGroupArn", order.place.arn("rds", &format!("pg:{id}")).into())],
        check: |_, order, _| {
            let parameters = order.properties.get("Parameters").and_then(Value::as_object);
            let wrong = parameters.into_iter().flatten().find(|(_, value)| value.is_array() || value.is_object());
            wrong.map_or(Ok(()), |(name, _)| {
                Err(Failure::new("InvalidRequest", format!("Invalid parameter value for {name}")))
            })
        },
        after_update: rds::parameters_changed,
        check_delete: |world, place, id| rds::check_group_unused(world, place, "DBParameterGroupName", id),
        ..Modelled::plain("AWS::RDS::DBParameterGroup", 10, |identifiers, order| {
            named_lower(identifiers, order, "DBParameterGroupName")
        })
    },
    Modelled {
        check_delete: |world, place, id| rds::check_group_unused(world, place, "OptionGroupName", id),
        ..Modelled::plain("AWS::RDS::OptionGroup", 10, |identifiers, order| {
            named_lower(identifiers, order, "OptionGroupName")
        })
    },
];

/// Names of buckets are the whole world's (S3 User Guide, "Bucket naming rules").
fn check_bucket(world: &World, order: &Order, existing: Option<&str>) -> Result<(), Failure> {
    let name = text(&order.properties, "BucketName").filter(|_| existing.is_none());
    let owner = name.as_ref().and_then(|name| s3::owner(world, name));
    if let Some(name) = name.filter(|_| owner.is_some_and(|owner| owner != order.place.account)) {
        return Err(Failure::new("AlreadyExists", format!("{name} already exists (Service: S3, Status Code: 0)")));
    }
    check_notifications(world, order, existing)
}

/// A bucket tells a queue only if the queue is there and a policy of its lets S3 send (S3 User Guide, "Granting permissions
/// to publish event notification messages to a destination"). S3 tries when it is asked to, which is why the policy comes
/// before the bucket.
fn check_notifications(world: &World, order: &Order, _: Option<&str>) -> Result<(), Failure> {
    let notifications = order.properties.get("NotificationConfiguration");
    let queues = notifications.and_then(|it| it.get("QueueConfigurations")).and_then(Value::as_array);
    let mut wanted = queues.into_iter().flatten().filter_map(|it| it.get("Queue")?.as_str());
    let may_send = |arn: &str| {
        let queue = objects(world, &order.place, "AWS::SQS::Queue")
            .find(|(_, queue)| text(&queue.attributes, "Arn").as_deref() == Some(arn));
        queue.is_some_and(|(url, _)| {
            objects(world, &order.place, "AWS::SQS::QueuePolicy").any(|(_, policy)| {
                let is_its = policy.properties.get("Queues").is_some_and(|queues| says(queues, url));
                is_its
                    && policy
                        .properties
                        .get("PolicyDocument")
                        .is_some_and(|document| says(document, "s3.amazonaws.com"))
            })
        })
    };
    if wanted.all(may_send) {
        return Ok(());
    }
    let message = "Unable to validate the following destination configurations (Service: S3, Status Code: 400)";
    Err(Failure::new("InvalidRequest", message))
}
