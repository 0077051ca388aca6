//! AWS's query protocols: a form body in, XML out. `awsQuery` names its lists (`Tags.member.1.Key`, in RDS
//! `Tags.Tag.1.Key`), `ec2Query` only numbers them (`InstanceId.1`).

use super::{Request, Service};
use crate::simulator::refusal::Refusal;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// How a protocol spells lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lists {
    Named,
    Numbered,
}

/// The operation and its parameters as a tree.
pub(super) fn call(request: &Request, lists: Lists) -> Result<(String, Value), Refusal> {
    let body = String::from_utf8_lossy(&request.body);
    let form = if body.is_empty() { request.query.as_str() } else { body.trim() };
    let mut operation = None;
    let mut tree = Node::default();
    for (name, value) in pairs(form) {
        match name.as_str() {
            "Action" => operation = Some(value),
            "Version" => {}
            _ => tree.insert(&name, value),
        }
    }
    let operation =
        operation.ok_or_else(|| Refusal::new("MissingAction", "The request must contain the parameter Action"))?;
    Ok((operation, tree.into_value(lists)))
}

/// The pairs of a form or query, decoded.
pub(super) fn pairs(form: &str) -> Vec<(String, String)> {
    form.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (percent_decoded(&name.replace('+', " ")), percent_decoded(&value.replace('+', " ")))
        })
        .collect()
}

/// Undoes percent encoding; what is not an escape stays as it is.
pub(crate) fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escape = if first == b'%' { tail.get(..2) } else { None };
        let decoded = escape
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let Some(byte) = decoded {
            bytes.push(byte);
            rest = tail.get(2..).unwrap_or_default();
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Form names are at most a dozen levels deep; a crafted one must not exhaust the stack.
const DEPTH_MAX: usize = 32;

#[derive(Default)]
struct Node {
    value: Option<String>,
    children: BTreeMap<String, Node>,
}

impl Node {
    fn insert(&mut self, path: &str, value: String) {
        let leaf =
            path.splitn(DEPTH_MAX, '.').fold(self, |node, part| node.children.entry(part.to_owned()).or_default());
        leaf.value = Some(value);
    }

    fn is_numbered(&self) -> bool {
        !self.children.is_empty() && self.children.keys().all(|key| key.parse::<u32>().is_ok())
    }

    fn into_value(mut self, lists: Lists) -> Value {
        if self.children.is_empty() {
            return self.value.map_or_else(|| Value::Object(Map::new()), Value::String);
        }
        if self.is_numbered() {
            let mut entries: Vec<(u32, Node)> =
                self.children.into_iter().filter_map(|(key, node)| Some((key.parse().ok()?, node))).collect();
            entries.sort_by_key(|(number, _)| *number);
            return Value::Array(entries.into_iter().map(|(_, node)| node.into_value(lists)).collect());
        }
        if lists == Lists::Named && self.children.len() == 1 {
            let is_list = self.children.values().all(Node::is_numbered);
            if is_list && let Some((_, list)) = self.children.pop_first() {
                return list.into_value(lists);
            }
        }
        Value::Object(self.children.into_iter().map(|(key, node)| (key, node.into_value(lists))).collect())
    }
}

/// What an entry of a list is called: `member`, but RDS has a name for each.
pub(super) fn entry_name(service: Service, list: &str) -> &'static str {
    if service != Service::Rds {
        return "member";
    }
    match list {
        "DBInstances" => "DBInstance",
        "DBSnapshots" => "DBSnapshot",
        "TagList" => "Tag",
        "VpcSecurityGroups" => "VpcSecurityGroupMembership",
        "DBParameterGroups" => "DBParameterGroup",
        "OptionGroupMemberships" => "OptionGroupMembership",
        "DBSubnetGroups" => "DBSubnetGroup",
        "Subnets" => "Subnet",
        "DBSecurityGroups" => "DBSecurityGroup",
        "Parameters" => "Parameter",
        "Events" => "Event",
        "ReadReplicaDBInstanceIdentifiers" => "ReadReplicaDBInstanceIdentifier",
        "EventCategories" => "EventCategory",
        "DBSnapshotAttributes" => "DBSnapshotAttribute",
        "AttributeValues" => "AttributeValue",
        "OptionGroupsList" => "OptionGroup",
        "Options" => "Option",
        "OptionSettings" => "OptionSetting",
        "OrderableDBInstanceOptions" => "OrderableDBInstanceOption",
        "AvailabilityZones" => "AvailabilityZone",
        "AccountQuotas" => "AccountQuota",
        "AssociatedRoles" => "DBInstanceRole",
        "StatusInfos" => "DBInstanceStatusInfo",
        "DomainMemberships" => "DomainMembership",
        _ => "member",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parameters(form: &str, lists: Lists) -> Value {
        let request = Request { body: form.into(), ..Request::default() };
        call(&request, lists).expect("an action").1
    }

    // API: the awsQuery serialisation of lists, structures and empty lists.
    #[test]
    fn reads_named_lists_and_structures() {
        let form = "Action=CreateChangeSet&Version=2010-05-15&Tags.member.1.Key=a&Tags.member.1.Value=b+c%26d&Tags.member.2.Key=e\
                    &RollbackConfiguration.RollbackTriggers.member.1.Arn=x&Capabilities=";
        assert_eq!(
            parameters(form, Lists::Named),
            json!({
                "Capabilities": "",
                "RollbackConfiguration": {"RollbackTriggers": [{"Arn": "x"}]},
                "Tags": [{"Key": "a", "Value": "b c&d"}, {"Key": "e"}]
            })
        );
    }

    #[test]
    fn reads_the_lists_rds_names_itself() {
        let form =
            "Action=DescribeDBSnapshots&Filters.Filter.1.Name=db&Filters.Filter.1.Values.Value.1=x&Tags.Tag.1.Key=k";
        assert_eq!(
            parameters(form, Lists::Named),
            json!({"Filters": [{"Name": "db", "Values": ["x"]}], "Tags": [{"Key": "k"}]})
        );
    }

    #[test]
    fn reads_the_bare_numbers_of_ec2() {
        let form = "Action=AuthorizeSecurityGroupIngress&GroupId=sg-1&IpPermissions.1.FromPort=80&IpPermissions.1.IpRanges.1.CidrIp=0.0.0.0%2F0";
        assert_eq!(
            parameters(form, Lists::Numbered),
            json!({"GroupId": "sg-1", "IpPermissions": [{"FromPort": "80", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]})
        );
    }
}
