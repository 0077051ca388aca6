//! Decides what the guards say against a clone. Pure.

use serde_json::Value as Json;

use super::{Guards, Keys, Known, NOT_THERE, Offer, Quota, SeenKey, Unread, Zones};
use crate::clone::snapshot::{begins_at, is_ours, key_to_share, needs_copy};
use crate::clone::{Desired, Properties, Reason, Which, World};
use crate::deploy::plan::resolve;
use crate::deploy::{DesiredStack, Given, Place};
use crate::environment::Reference;
use crate::template::ParameterValue;

/// A text of a database's properties.
pub fn text_of(properties: &Properties, name: &str) -> Option<String> {
    match properties.get(name)? {
        Json::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// All that is against a clone, as far as the guards tell.
pub fn objections(desired: &Desired, now: &World, guards: &Guards) -> Vec<Reason> {
    let place = &desired.target.place;
    let mut all = Vec::new();
    said(&mut all, &guards.room, |quotas| room(desired, now, quotas));
    if let Some(quotas) = &guards.source_room {
        said(&mut all, quotas, |quotas| {
            let lacking = lacking(&desired.source.place, quotas, SNAPSHOTS, 1);
            lacking.filter(|_| makes_one_there(desired, now)).into_iter().collect()
        });
    }
    match (&guards.offers, &guards.zones) {
        (Ok(offers), Ok(zones)) => all.extend(class(desired, offers, zones)),
        (offers, zones) => all.extend(unread(offers).into_iter().chain(unread(zones))),
    }
    all.extend(keys(desired, &guards.keys));
    if let Some(taken) = &guards.is_name_taken {
        let id = text_of(&desired.target.written, "DBInstanceIdentifier").unwrap_or_default();
        let reason = || Reason::NameTaken { database: id, account: place.account.clone() };
        said(&mut all, taken, |is_taken| is_taken.then(reason).into_iter().collect());
    }
    all
}

fn said<T>(all: &mut Vec<Reason>, known: &Known<T>, judge: impl FnOnce(&T) -> Vec<Reason>) {
    match known {
        Ok(told) => all.extend(judge(told)),
        Err(_) => all.extend(unread(known)),
    }
}

fn unread<T>(known: &Known<T>) -> Option<Reason> {
    let Unread { what, account, permission, is_denied, cause } = known.as_ref().err()?;
    Some(Reason::Unread {
        what,
        account: account.clone(),
        permission: is_denied.then_some(*permission),
        cause: cause.clone(),
    })
}

/// RDS's names of quotas (RDS API Reference, `AccountQuota`).
const DATABASES: &str = "DBInstances";
const STORAGE: &str = "AllocatedStorage";
const SNAPSHOTS: &str = "ManualSnapshots";

/// Room for one more database of its size, and for the copy that it is made from.
fn room(desired: &Desired, now: &World, quotas: &[Quota]) -> Vec<Reason> {
    let place = &desired.target.place;
    let gib = text_of(&desired.target.written, STORAGE).and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut needs = vec![(DATABASES, 1), (STORAGE, gib)];
    let is_same_place = desired.source.place == *place;
    let makes_one = needs_copy(desired, now) || (is_same_place && desired.choice.which == Which::Fresh);
    if now.copies.is_empty() && makes_one {
        needs.push((SNAPSHOTS, 1));
    }
    needs.into_iter().filter_map(|(name, needed)| lacking(place, quotas, name, needed)).collect()
}

/// Whether a snapshot is still to be made where the source lives: to be shared, or because a fresh one is wanted.
fn makes_one_there(desired: &Desired, now: &World) -> bool {
    let is_other_account = desired.source.place.account != desired.target.place.account;
    let is_made = begins_at(desired, now).is_some_and(|snapshot| is_ours(desired, &snapshot));
    (is_other_account || desired.choice.which == Which::Fresh) && !is_made && now.copies.is_empty()
}

/// A quota that RDS does not tell of does not stand in the way: it tells of all that it has.
fn lacking(place: &Place, quotas: &[Quota], name: &str, needed: i64) -> Option<Reason> {
    let quota = quotas.iter().find(|quota| quota.name == name)?;
    (quota.used.saturating_add(needed) > quota.max).then(|| Reason::NoRoom {
        account: place.account.clone(),
        region: place.region.clone(),
        quota: name.to_owned(),
        used: quota.used,
        max: quota.max,
        needed,
    })
}

/// A class is never exchanged for another: the twin would be none. A standby stands in a zone of its own.
fn class(desired: &Desired, offers: &[Offer], zones: &Zones) -> Option<Reason> {
    let written = &desired.target.written;
    let class = text_of(written, "DBInstanceClass")?;
    let storage = text_of(written, "StorageType");
    let is_multi_az = text_of(written, "MultiAZ").as_deref() == Some("true");
    let of_storage =
        offers.iter().filter(|offer| storage.as_ref().is_none_or(|storage| *storage == offer.storage_type));
    let fitting = of_storage.filter(|offer| !is_multi_az || offer.can_be_multi_az);
    let stands_in = |zone: &&String| match zones {
        Zones::Any => true,
        Zones::OfSubnets(zones) => zones.contains(zone),
    };
    let needed = if is_multi_az { 2 } else { 1 };
    let most = fitting.map(|offer| offer.zones.iter().filter(stands_in).count()).max().unwrap_or(0);
    (most < needed).then(|| Reason::ClassNotOffered {
        class,
        storage: storage.unwrap_or_else(|| "any storage".to_owned()),
        zones: match zones {
            Zones::Any => None,
            Zones::OfSubnets(zones) => Some(zones.clone()),
        },
        region: desired.target.place.region.clone(),
        needed,
        found: most,
    })
}

fn keys(desired: &Desired, keys: &Keys) -> Vec<Reason> {
    let mut all = Vec::new();
    let working = |key: &SeenKey| {
        let reason = || Reason::KeyUnusable { key: key.arn.clone(), state: key.state.clone() };
        (key.state != "Enabled").then(reason).into_iter().collect()
    };
    for key in keys.of_source.values().chain(&keys.own) {
        said(&mut all, key, working);
    }
    let account = &desired.target.place.account;
    let not_shared =
        || Reason::KeyNotShared { source_environment: desired.source.environment.clone(), account: account.clone() };
    // Its state is its owner's answer; here it only matters that there is one.
    if let Some(lent) = &keys.lent {
        said(&mut all, lent, |key| if key.state == NOT_THERE { vec![not_shared()] } else { Vec::new() });
    }
    match &keys.policy {
        Some(Ok(policy)) if !lets_in(policy, account) => all.push(not_shared()),
        Some(known) => all.extend(unread(known)),
        None => {}
    }
    all
}

/// What the target's account must be let do with the key of a shared snapshot (RDS User Guide, "Sharing encrypted snapshots").
const NEEDED: [&str; 3] = ["kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey"];

/// Whether a key's policy lets an account use it for copies. Conditions are not weighed: those in use name the service by which
/// the key is used, which is RDS.
pub fn lets_in(policy: &str, account: &str) -> bool {
    let policy: Json = serde_json::from_str(policy).unwrap_or_default();
    let statements = listed(policy.get("Statement"));
    let about = |effect: &str, action: &str| {
        statements.iter().any(|statement| {
            statement.get("Effect").is_some_and(|it| it == effect)
                && names_account(statement.get("Principal"), account)
                && listed(statement.get("Action")).iter().any(|it| it.as_str().is_some_and(|it| covers(it, action)))
        })
    };
    NEEDED.iter().all(|action| about("Allow", action) && !about("Deny", action))
}

/// What may be one or a list of them.
fn listed(value: Option<&Json>) -> Vec<Json> {
    match value {
        Some(Json::Array(items)) => items.clone(),
        Some(one) => vec![one.clone()],
        None => Vec::new(),
    }
}

fn names_account(principal: Option<&Json>, account: &str) -> bool {
    let named = match principal {
        Some(Json::Object(kinds)) => listed(kinds.get("AWS")),
        other => listed(other),
    };
    let is_meant = |name: &str| name == "*" || name == account || name.split(':').nth(4) == Some(account);
    named.iter().any(|it| it.as_str().is_some_and(is_meant))
}

fn covers(pattern: &str, action: &str) -> bool {
    let (pattern, action) = (pattern.to_lowercase(), action.to_lowercase());
    match pattern.split_once('*') {
        Some((head, "")) => action.starts_with(head),
        Some((head, tail)) => action.starts_with(head) && action.ends_with(tail),
        None => pattern == action,
    }
}

/// The keys of the source's that a clone needs: the one that the data is under and, where it is to be shared, the one that it is
/// shared under.
pub fn keys_of_source(desired: &Desired, now: &World) -> Vec<String> {
    let of_database = || {
        let database = now.source.as_ref().and_then(|source| source.database.as_ref());
        database.and_then(|database| text_of(&database.properties, "KmsKeyId"))
    };
    let data = begins_at(desired, now).map_or_else(of_database, |snapshot| snapshot.key);
    let mut all: Vec<String> = data.into_iter().chain(key_to_share(desired, now)).collect();
    all.sort();
    all.dedup();
    all
}

/// Subnets that the target's database may stand in, as far as its files tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subnets {
    /// Those that are there, by id.
    Ids(Vec<String>),
    /// Those that the clone makes, by the names or ids of their zones.
    Zones(Vec<String>),
    /// Nobody says.
    Anywhere,
}

/// Finds the subnets of the target's database.
pub fn subnets(desired: &Desired, now: &World) -> Subnets {
    let found = desired.safe.stack(&desired.target.stack).and_then(|stack| {
        let group =
            stack.template.pointer(&format!("/Resources/{}/Properties/DBSubnetGroupName/Ref", desired.target.database));
        let group = group.and_then(Json::as_str)?;
        let ids = stack.template.pointer(&format!("/Resources/{group}/Properties/SubnetIds"))?;
        of_value(desired, now, stack, ids)
    });
    found.unwrap_or(Subnets::Anywhere)
}

fn of_value(desired: &Desired, now: &World, stack: &DesiredStack, ids: &Json) -> Option<Subnets> {
    if let Some(items) = ids.as_array() {
        let texts: Option<Vec<String>> = items.iter().map(|it| it.as_str().map(str::to_owned)).collect();
        return texts.map(Subnets::Ids).or_else(|| zones_of(stack, ids));
    }
    let name = ids.get("Ref").and_then(Json::as_str)?;
    let parameter = stack.parameters.iter().find(|parameter| parameter.name == name)?;
    // By itself: what else the stack is given may not be known yet.
    let alone = DesiredStack { parameters: vec![parameter.clone()], ..stack.clone() };
    let live = now.deploy.stacks.get(&stack.name);
    let given = resolve(&desired.safe, &alone, live, &now.deploy, &|name| now.deploy.stacks.contains_key(name)).given;
    let text = match (&parameter.value, given) {
        (ParameterValue::Text(text), _) => Some(text.clone()),
        (ParameterValue::Reference(_), given) => given.into_iter().flatten().find_map(|(key, value)| match value {
            Given::Text(text) if key == name => Some(text),
            Given::Text(_) | Given::Previous => None,
        }),
    };
    if let Some(text) = text {
        return Some(Subnets::Ids(text.split(',').map(|id| id.trim().to_owned()).collect()));
    }
    let ParameterValue::Reference(Reference::Output { environment: None, stack: upstream, output }) = &parameter.value
    else {
        return None;
    };
    let upstream = desired.safe.stack(upstream)?;
    zones_of(upstream, upstream.template.pointer(&format!("/Outputs/{output}/Value"))?)
}

/// The zones of the subnets that a value refers to; nothing where one of them does not say its own.
fn zones_of(stack: &DesiredStack, value: &Json) -> Option<Subnets> {
    let mut names = Vec::new();
    referred(value, &mut names);
    let zone = |name: &String| {
        let subnet = stack.template.pointer(&format!("/Resources/{name}/Properties"))?;
        let zone = subnet.get("AvailabilityZone").or_else(|| subnet.get("AvailabilityZoneId"))?;
        zone.as_str().map(str::to_owned)
    };
    let zones: Vec<String> = names.iter().map(zone).collect::<Option<_>>()?;
    (!zones.is_empty()).then_some(Subnets::Zones(zones))
}

fn referred(value: &Json, names: &mut Vec<String>) {
    match value {
        Json::Object(members) => {
            names.extend(members.get("Ref").and_then(Json::as_str).map(str::to_owned));
            members.values().for_each(|value| referred(value, names));
        }
        Json::Array(items) => items.iter().for_each(|item| referred(item, names)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clone::{Properties, SeenDatabase, SeenSnapshot, SeenSource, Target};
    use crate::deploy::{self, LiveStack};
    use crate::template::Parameter;

    fn place(account: &str) -> Place {
        Place { account: account.to_owned(), region: "eu-west-1".to_owned(), role: None }
    }

    fn properties(value: &Json) -> Properties {
        value.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    fn desired() -> Desired {
        let written = properties(&json!({
            "DBInstanceClass": "db.r7g.large", "AllocatedStorage": "100", "StorageType": "gp3", "MultiAZ": true,
        }));
        let target = Target {
            place: place("4"),
            stack: "database".to_owned(),
            database: "Database".to_owned(),
            written,
            ..Target::default()
        };
        let source = crate::clone::Source {
            environment: "production".to_owned(),
            place: place("2"),
            ..crate::clone::Source::default()
        };
        Desired { source, target, ..Desired::default() }
    }

    fn quota(name: &str, used: i64, max: i64) -> Quota {
        Quota { name: name.to_owned(), used, max }
    }

    fn offer(storage: &str, zones: &[&str]) -> Offer {
        let zones = zones.iter().map(|zone| (*zone).to_owned()).collect();
        Offer { storage_type: storage.to_owned(), zones, can_be_multi_az: true }
    }

    fn zones(names: &[&str]) -> Zones {
        Zones::OfSubnets(names.iter().map(|name| (*name).to_owned()).collect())
    }

    fn granted() -> Guards {
        Guards {
            room: Ok(vec![
                quota("DBInstances", 39, 40),
                quota("AllocatedStorage", 900, 1000),
                quota("ManualSnapshots", 99, 100),
            ]),
            source_room: Some(Ok(vec![quota("ManualSnapshots", 99, 100)])),
            offers: Ok(vec![offer("gp2", &["a"]), offer("gp3", &["a", "b"])]),
            zones: Ok(zones(&["a", "b"])),
            keys: Keys::default(),
            is_name_taken: Some(Ok(false)),
        }
    }

    fn world() -> World {
        let snapshot = SeenSnapshot {
            name: "rds:a".to_owned(),
            arn: "arn:rds:a".to_owned(),
            kind: "automated".to_owned(),
            status: "available".to_owned(),
            key: Some("arn:key/own".to_owned()),
            ..SeenSnapshot::default()
        };
        let source = SeenSource {
            database: Some(SeenDatabase::default()),
            snapshots: vec![snapshot],
            keys: vec!["own".to_owned()],
        };
        World { source: Some(source), ..World::default() }
    }

    /// What is said when one thing is not granted.
    #[track_caller]
    fn check(change: impl FnOnce(&mut Guards), expectation: &[&str]) {
        let mut guards = granted();
        change(&mut guards);
        let said: Vec<String> = objections(&desired(), &world(), &guards).iter().map(ToString::to_string).collect();
        assert_eq!(said, expectation);
    }

    fn unknown<T>(permission: &'static str) -> Known<T> {
        Err(Unread { what: "something", account: "4".to_owned(), permission, is_denied: true, cause: "no".to_owned() })
    }

    #[test]
    fn the_last_of_everything_is_enough() {
        check(|_| {}, &[]);
    }

    #[test]
    fn what_is_used_up_is_said_all_at_once() {
        check(
            |guards| {
                guards.room = Ok(vec![
                    quota("DBInstances", 40, 40),
                    quota("AllocatedStorage", 901, 1000),
                    quota("ManualSnapshots", 100, 100),
                ]);
                guards.source_room = Some(Ok(vec![quota("ManualSnapshots", 100, 100)]));
            },
            &[
                "account 4 has 40 of 40 databases in eu-west-1, and the clone needs 1 more",
                "account 4 has 901 of 1000 GiB of storage in eu-west-1, and the clone needs 100 more",
                "account 4 has 100 of 100 manual snapshots in eu-west-1, and the clone needs 1 more",
                "account 2 has 100 of 100 manual snapshots in eu-west-1, and the clone needs 1 more",
            ],
        );
    }

    #[test]
    fn snapshots_that_were_made_already_need_no_room() {
        let mut world = world();
        world.copies = vec![SeenSnapshot::default()];
        let full = Guards { room: Ok(vec![quota("ManualSnapshots", 100, 100)]), ..granted() };
        assert_eq!(objections(&desired(), &world, &full), []);
    }

    #[test]
    fn a_class_must_be_had_where_the_database_stands() {
        let said = |found: usize, zones: &str| {
            format!(
                "db.r7g.large with gp3 is offered in {found} of the zones of its subnets ({zones}); the database needs 2"
            )
        };
        check(|guards| guards.zones = Ok(zones(&["b", "c"])), &[&said(1, "b, c")]);
        check(|guards| guards.zones = Ok(zones(&["c"])), &[&said(0, "c")]);
        check(|guards| guards.zones = Ok(Zones::Any), &[]);
        check(|guards| guards.offers = Ok(Vec::new()), &[&said(0, "a, b")]);
        check(|guards| guards.offers = Ok(vec![offer("gp2", &["a", "b"])]), &[&said(0, "a, b")]);
        let single = Offer { can_be_multi_az: false, ..offer("gp3", &["a", "b"]) };
        check(|guards| guards.offers = Ok(vec![single]), &[&said(0, "a, b")]);
    }

    #[test]
    fn a_database_without_a_standby_needs_one_zone() {
        let mut wanted = desired();
        wanted.target.written.insert("MultiAZ".to_owned(), json!(false));
        assert_eq!(objections(&wanted, &world(), &Guards { zones: Ok(zones(&["b", "c"])), ..granted() }), []);
    }

    fn key(state: &str) -> SeenKey {
        SeenKey { arn: "arn:key/own".to_owned(), state: state.to_owned() }
    }

    #[test]
    fn a_key_must_work() {
        for state in ["Disabled", "PendingDeletion", "PendingImport", "Unavailable", NOT_THERE] {
            let said = format!("key arn:key/own cannot be used: it is {state}");
            let of_source = [("own".to_owned(), Ok(key(state)))];
            check(|guards| guards.keys.of_source = of_source.into(), &[&said]);
            check(|guards| guards.keys.own = Some(Ok(key(state))), &[&said]);
        }
        check(|guards| guards.keys.own = Some(Ok(key("Enabled"))), &[]);
        check(|guards| guards.keys.lent = Some(Ok(key("Disabled"))), &[]);
        let said = ["the key of `production`'s database does not let account 4 in"];
        check(|guards| guards.keys.lent = Some(Ok(key(NOT_THERE))), &said);
    }

    #[test]
    fn a_key_that_is_shared_must_let_the_target_in() {
        let policy = |principal: &str, action: Json| {
            let statement =
                json!({"Effect": "Allow", "Principal": {"AWS": principal}, "Action": action, "Resource": "*"});
            Some(Ok(json!({ "Statement": [statement] }).to_string()))
        };
        let said = ["the key of `production`'s database does not let account 4 in"];
        let all = json!("kms:*");
        check(|guards| guards.keys.policy = policy("arn:aws:iam::4:root", all.clone()), &[]);
        check(
            |guards| guards.keys.policy = policy("4", json!(["kms:CreateGrant", "kms:Decr*", "kms:DescribeKey"])),
            &[],
        );
        check(|guards| guards.keys.policy = policy("arn:aws:iam::4:root", json!("kms:DescribeKey")), &said);
        check(|guards| guards.keys.policy = policy("arn:aws:iam::2:root", all), &said);
        let denied = json!({"Statement": [
            {"Effect": "Allow", "Principal": "*", "Action": "kms:*"},
            {"Effect": "Deny", "Principal": {"AWS": ["4"]}, "Action": "kms:Decrypt"},
        ]});
        check(|guards| guards.keys.policy = Some(Ok(denied.to_string())), &said);
        check(|guards| guards.keys.policy = Some(Ok("no JSON".to_owned())), &said);
    }

    #[test]
    fn a_name_that_is_taken_is_said() {
        let mut wanted = desired();
        wanted.target.written.insert("DBInstanceIdentifier".to_owned(), json!("twin"));
        let taken = Guards { is_name_taken: Some(Ok(true)), ..granted() };
        let said: Vec<String> = objections(&wanted, &world(), &taken).iter().map(ToString::to_string).collect();
        assert_eq!(said, ["account 4 has a database called `twin` already, which is not the clone's"]);
    }

    #[test]
    fn what_cannot_be_read_is_as_bad_as_a_no() {
        let said = "something in account 4 could not be read: no";
        check(|guards| guards.room = unknown("x"), &[said]);
        check(|guards| guards.source_room = Some(unknown("x")), &[said]);
        check(|guards| guards.offers = unknown("x"), &[said]);
        check(|guards| guards.zones = unknown("x"), &[said]);
        check(|guards| guards.keys.of_source = [("own".to_owned(), unknown("x"))].into(), &[said]);
        check(|guards| guards.keys.lent = Some(unknown("x")), &[said]);
        check(|guards| guards.keys.policy = Some(unknown("x")), &[said]);
        check(|guards| guards.keys.own = Some(unknown("x")), &[said]);
        check(|guards| guards.is_name_taken = Some(unknown("x")), &[said]);
        let hint =
            objections(&desired(), &world(), &Guards { room: unknown("rds:Look"), ..granted() })[0].hint("a", "b");
        let expected = "allow `rds:Look` in account 4; a clone is not begun while anything against it is unknown";
        assert_eq!(hint.as_deref(), Some(expected));
    }

    /// The database's stack takes its subnets from here.
    fn with_subnets(subnet_ids: &Json, value: ParameterValue, outputs: &Json) -> Desired {
        let group = json!({"Properties": {"SubnetIds": subnet_ids}});
        let database = json!({"Properties": {"DBSubnetGroupName": {"Ref": "Group"}}});
        let network = json!({
            "Resources": {
                "One": {"Properties": {"AvailabilityZoneId": "euw1-az1"}},
                "Two": {"Properties": {"AvailabilityZone": "eu-west-1b"}},
                "Chosen": {"Properties": {"AvailabilityZone": {"Fn::Select": [0, {"Fn::GetAZs": ""}]}}},
            },
            "Outputs": {"Subnets": {"Value": outputs}},
        });
        let stack = |name: &str, template: Json, parameters: Vec<Parameter>| DesiredStack {
            name: name.to_owned(),
            template,
            parameters,
            ..DesiredStack::default()
        };
        let parameters = vec![
            Parameter { name: "Snapshot".to_owned(), value: ParameterValue::Reference(Reference::Previous) },
            Parameter { name: "Subnets".to_owned(), value },
        ];
        let template = json!({"Resources": {"Database": database, "Group": group}});
        let stacks = vec![stack("network", network, Vec::new()), stack("database", template, parameters)];
        Desired { safe: deploy::Desired { stacks, ..deploy::Desired::default() }, ..desired() }
    }

    fn output() -> ParameterValue {
        let (stack, output) = ("network".to_owned(), "Subnets".to_owned());
        ParameterValue::Reference(Reference::Output { environment: None, stack, output })
    }

    fn ids(all: &[&str]) -> Subnets {
        Subnets::Ids(all.iter().map(|id| (*id).to_owned()).collect())
    }

    #[test]
    fn subnets_are_those_that_the_files_name() {
        let reference = json!({"Ref": "Subnets"});
        let text = ParameterValue::Text("subnet-1, subnet-2".to_owned());
        let wanted = with_subnets(&reference, text.clone(), &json!(""));
        assert_eq!(subnets(&wanted, &World::default()), ids(&["subnet-1", "subnet-2"]));
        let wanted = with_subnets(&json!(["subnet-1"]), text, &json!(""));
        assert_eq!(subnets(&wanted, &World::default()), ids(&["subnet-1"]));
        assert_eq!(subnets(&desired(), &World::default()), Subnets::Anywhere);
    }

    #[test]
    fn subnets_that_are_not_there_yet_are_in_the_zones_that_their_template_says() {
        let of = |names: &[&str]| json!({"Fn::Join": [",", names.iter().map(|name| json!({"Ref": name})).collect::<Vec<_>>()]});
        let wanted = with_subnets(&json!({"Ref": "Subnets"}), output(), &of(&["One", "Two"]));
        let zones = ["euw1-az1", "eu-west-1b"].map(str::to_owned).into();
        assert_eq!(subnets(&wanted, &World::default()), Subnets::Zones(zones));
        let mut world = World::default();
        let live = LiveStack {
            status: "CREATE_COMPLETE".parse().unwrap_or_default(),
            outputs: [("Subnets".to_owned(), "subnet-1,subnet-2".to_owned())].into(),
            ..LiveStack::default()
        };
        world.deploy.stacks.insert("network".to_owned(), live);
        assert_eq!(subnets(&wanted, &world), ids(&["subnet-1", "subnet-2"]));
        let chosen_by_aws = with_subnets(&json!({"Ref": "Subnets"}), output(), &of(&["One", "Chosen"]));
        assert_eq!(subnets(&chosen_by_aws, &World::default()), Subnets::Anywhere);
    }
}
