//! What a clone uses in a day and, by the user's own prices, what that costs. Pure.
//!
//! Counted is what files and quotas say: hours, GiB, IOPS. What only running shows is not counted, and named as such: a figure that
//! nobody has is not zero.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use serde_json::Value as Json;

use super::guards::plan::text_of;
use super::snapshot::needs_copy;
use super::{Desired, Reason, Which, World};
use crate::environment::Prices;

/// AWS's month, in hours (AWS Pricing Calculator, "Assumptions").
const MONTH_HOURS: f64 = 730.0;

/// A day of something that is priced by the month.
const DAY_OF_MONTH: f64 = 24.0 / MONTH_HOURS;

/// Something that is used.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Use {
    /// How much of it in a day.
    pub quantity: f64,
    /// Of what: `hours of db.r7g.xlarge`.
    pub unit: String,
    /// How it comes about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Where `prices.yaml` has its price: `database_hour.db.r7g.xlarge`.
    pub price_key: String,
    /// What it costs, if its price is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", figure(self.quantity), self.unit)?;
        if let Some(note) = &self.note {
            write!(f, " ({note})")?;
        }
        Ok(())
    }
}

/// A number with at most one digit behind the point.
fn figure(number: f64) -> String {
    let text = format!("{number:.1}");
    text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
}

/// A day of a clone.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Daily {
    /// What is used.
    pub uses: Vec<Use>,
    /// What they are priced in; nothing where there are no prices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// What all that has a price costs together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// What has no price, though there are prices.
    pub unpriced: Vec<String>,
    /// What is used, too, and cannot be counted beforehand.
    pub not_counted: Vec<String>,
}

impl Daily {
    /// In lines for people.
    pub fn lines(&self) -> Vec<String> {
        let currency = self.currency.clone().unwrap_or_default();
        let line = |it: &Use| match it.cost {
            Some(cost) => format!("{it}: {cost:.2} {currency}"),
            None if self.currency.is_some() => format!("{it}: no price"),
            None => it.to_string(),
        };
        let mut lines: Vec<String> = self.uses.iter().map(line).collect();
        if let Some(cost) = self.cost {
            let at_least = if self.unpriced.is_empty() { "" } else { "at least " };
            lines.push(format!("together {at_least}{cost:.2} {currency}"));
        }
        if !self.not_counted.is_empty() {
            lines.push(format!("not counted: {}", self.not_counted.join(", ")));
        }
        lines
    }
}

/// Says what a clone uses in a day.
pub fn daily(desired: &Desired, now: &World) -> Daily {
    let mut daily = Daily::default();
    database(desired, &mut daily);
    copies(desired, now, &mut daily);
    instances(desired, &mut daily);
    daily.not_counted.extend(
        ["traffic", "load balancers and NAT", "logs", "backups beyond the size of the database"].map(str::to_owned),
    );
    if let Some(prices) = &desired.prices {
        price(&mut daily, prices);
    }
    daily
}

/// What is against a clone by its cost.
pub fn objection(desired: &Desired, now: &World) -> Option<Reason> {
    let max = desired.max_cost?;
    let target = desired.target.environment.clone();
    let Some(prices) = &desired.prices else { return Some(Reason::NoPrices { target }) };
    let daily = daily(desired, now);
    let cost = daily.cost.unwrap_or(0.0);
    let currency = prices.currency.clone();
    // What costs too much without the rest costs too much with it.
    if cost > max {
        return Some(Reason::TooDear { target, cost, max, currency });
    }
    (!daily.unpriced.is_empty()).then_some(Reason::PricesMissing { target, keys: daily.unpriced })
}

fn price(daily: &mut Daily, prices: &Prices) {
    let mut unpriced = BTreeSet::new();
    for used in &mut daily.uses {
        let (section, name) = used.price_key.split_once('.').unwrap_or((&used.price_key, ""));
        used.cost = prices.of(section, name).map(|price| price * used.quantity);
        // Nothing of something costs nothing, whatever its price is.
        if used.quantity <= 0.0 {
            used.cost = Some(0.0);
        }
        if used.cost.is_none() {
            unpriced.insert(used.price_key.clone());
        }
    }
    daily.cost = Some(daily.uses.iter().filter_map(|used| used.cost).sum());
    daily.currency = Some(prices.currency.clone());
    daily.unpriced = unpriced.into_iter().collect();
}

fn number(desired: &Desired, name: &str) -> Option<f64> {
    text_of(&desired.target.written, name)?.parse().ok()
}

/// What gp3 includes, by size: IOPS and MiB/s. From 400 GiB on, PostgreSQL's volume is a stripe of four (RDS User Guide, "gp3
/// storage").
fn included(gib: f64) -> (f64, f64) {
    if gib < 400.0 { (3_000.0, 125.0) } else { (12_000.0, 500.0) }
}

fn database(desired: &Desired, daily: &mut Daily) {
    let written = &desired.target.written;
    let is_multi_az = text_of(written, "MultiAZ").as_deref() == Some("true");
    let times = if is_multi_az { 2.0 } else { 1.0 };
    let twice = || is_multi_az.then(|| "with its standby".to_owned());
    match text_of(written, "DBInstanceClass") {
        Some(class) => daily.uses.push(Use {
            quantity: 24.0 * times,
            unit: format!("hours of {class}"),
            note: twice(),
            price_key: format!("database_hour.{class}"),
            cost: None,
        }),
        None => daily.not_counted.push("the database, whose class the template does not say".to_owned()),
    }
    let (Some(gib), Some(kind)) = (number(desired, "AllocatedStorage"), text_of(written, "StorageType")) else {
        daily.not_counted.push("the database's storage, whose size or type the template does not say".to_owned());
        return;
    };
    daily.uses.push(Use {
        quantity: gib * times * DAY_OF_MONTH,
        unit: format!("GiB-months of {kind}"),
        note: Some(format!("{} GiB{}", figure(gib * times), if is_multi_az { " with its standby" } else { "" })),
        price_key: format!("storage_gib_month.{kind}"),
        cost: None,
    });
    let (iops_free, throughput_free) = if kind == "gp3" { included(gib) } else { (0.0, 0.0) };
    let provisioned = [
        ("Iops", "IOPS-months", "IOPS", "iops_month", iops_free),
        ("StorageThroughput", "MiB/s-months", "MiB/s", "throughput_mibps_month", throughput_free),
    ];
    for (property, unit, word, section, free) in provisioned {
        let Some(wanted) = number(desired, property) else { continue };
        let mut note = format!("{} {word}", figure(wanted));
        if free > 0.0 {
            note = format!("{note}, of which {} are included", figure(free.min(wanted)));
        }
        daily.uses.push(Use {
            quantity: (wanted - free).max(0.0) * times * DAY_OF_MONTH,
            unit: format!("{unit} of {kind}"),
            note: Some(note),
            price_key: format!("{section}.{kind}"),
            cost: None,
        });
    }
}

/// Snapshots stay for as long as the clone does. They hold no more than the database, and mostly less.
fn copies(desired: &Desired, now: &World, daily: &mut Daily) {
    let is_other_account = desired.source.place.account != desired.target.place.account;
    let at_source = is_other_account || desired.choice.which == Which::Fresh;
    let count = usize::from(at_source) + usize::from(needs_copy(desired, now));
    let Some(gib) = number(desired, "AllocatedStorage").filter(|_| count > 0) else { return };
    let all = if count == 1 { gib } else { gib * 2.0 };
    daily.uses.push(Use {
        quantity: all * DAY_OF_MONTH,
        unit: "GiB-months of snapshots".to_owned(),
        note: Some(format!("{count} of at most {} GiB", figure(gib))),
        price_key: "snapshot_gib_month".to_owned(),
        cost: None,
    });
}

/// The instances that the templates of all stacks say in numbers.
fn instances(desired: &Desired, daily: &mut Daily) {
    for stack in &desired.open.stacks {
        let resources = stack.template.get("Resources").and_then(Json::as_object);
        for (name, resource) in resources.into_iter().flatten() {
            let properties = resource.get("Properties").unwrap_or(&Json::Null);
            let found = match resource.get("Type").and_then(Json::as_str) {
                Some("AWS::EC2::Instance") => Some(1.0).zip(plain(properties.get("InstanceType"))),
                Some("AWS::AutoScaling::AutoScalingGroup") => {
                    size(properties).zip(type_of(&stack.template, properties))
                }
                _ => continue,
            };
            match found {
                Some((count, kind)) => daily.uses.push(Use {
                    quantity: 24.0 * count,
                    unit: format!("hours of {kind}"),
                    note: Some(format!("{} of `{}`", figure(count), stack.name)),
                    price_key: format!("instance_hour.{kind}"),
                    cost: None,
                }),
                None => daily.not_counted.push(format!("`{name}` of `{}`", stack.name)),
            }
        }
    }
}

fn plain(value: Option<&Json>) -> Option<String> {
    match value? {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => None,
    }
}

/// How many instances a group begins with.
fn size(group: &Json) -> Option<f64> {
    let said = plain(group.get("DesiredCapacity")).or_else(|| plain(group.get("MinSize")));
    said?.parse().ok()
}

/// The type that the group's launch template names, where that is a resource beside it.
fn type_of(template: &Json, group: &Json) -> Option<String> {
    let name = group.pointer("/LaunchTemplate/LaunchTemplateId/Ref").and_then(Json::as_str)?;
    plain(template.pointer(&format!("/Resources/{name}/Properties/LaunchTemplateData/InstanceType")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clone::{SeenDatabase, SeenSnapshot, SeenSource};
    use crate::deploy::{DesiredStack, Place};

    fn place(account: &str) -> Place {
        Place { account: account.to_owned(), region: "eu-west-1".to_owned(), role: None }
    }

    /// A target in account 4 of a source in account 2, with this database and these resources in the stack `api`.
    fn desired(database: &Json, resources: &Json) -> Desired {
        let mut desired = Desired::default();
        desired.source.place = place("2");
        desired.target.place = place("4");
        desired.target.environment = "twin".to_owned();
        let properties = database.as_object().into_iter().flatten();
        desired.target.written = properties.map(|(name, value)| (name.clone(), value.clone())).collect();
        let template = json!({ "Resources": resources });
        desired.open.stacks = vec![DesiredStack { name: "api".to_owned(), template, ..DesiredStack::default() }];
        desired
    }

    fn world() -> World {
        let snapshot = SeenSnapshot {
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

    const NOT_COUNTED: &str = "traffic, load balancers and NAT, logs, backups beyond the size of the database";

    /// What is used, without the last line.
    #[track_caller]
    fn check(desired: &Desired, expectation: &[&str]) {
        let mut lines = daily(desired, &world()).lines();
        assert_eq!(lines.pop(), Some(format!("not counted: {NOT_COUNTED}")));
        assert_eq!(lines, expectation);
    }

    #[test]
    fn a_standby_is_another_database() {
        let single = json!({"DBInstanceClass": "db.r7g.large", "AllocatedStorage": "730", "StorageType": "gp2"});
        let copies = "48 GiB-months of snapshots (2 of at most 730 GiB)";
        let expectation = ["24 hours of db.r7g.large", "24 GiB-months of gp2 (730 GiB)", copies];
        check(&desired(&single, &json!({})), &expectation);
        let mut twice = single;
        twice["MultiAZ"] = json!(true);
        let expectation =
            ["48 hours of db.r7g.large (with its standby)", "48 GiB-months of gp2 (1460 GiB with its standby)", copies];
        check(&desired(&twice, &json!({})), &expectation);
    }

    #[test]
    fn copies_are_as_many_as_the_way_needs() {
        let database = json!({"DBInstanceClass": "c", "AllocatedStorage": "730", "StorageType": "gp2"});
        let count = |change: &dyn Fn(&mut Desired)| {
            let mut wanted = desired(&database, &json!({}));
            change(&mut wanted);
            let uses = daily(&wanted, &world()).uses;
            uses.iter().find(|used| used.price_key == "snapshot_gib_month").map(ToString::to_string)
        };
        let said = |count, months| Some(format!("{months} GiB-months of snapshots ({count} of at most 730 GiB)"));
        assert_eq!(count(&|wanted| wanted.target.place = place("2")), None);
        assert_eq!(
            count(&|wanted| (wanted.target.place, wanted.choice.which) = (place("2"), Which::Fresh)),
            said(1, 24)
        );
        assert_eq!(count(&|wanted| wanted.source.place.account = "4".to_owned()), None);
        assert_eq!(count(&|wanted| wanted.target.place.region = "eu-north-1".to_owned()), said(2, 48));
        let elsewhere = |wanted: &mut Desired| {
            wanted.target.place = Place { region: "eu-north-1".to_owned(), ..place("2") };
        };
        assert_eq!(count(&elsewhere), said(1, 24));
    }

    #[test]
    fn of_iops_and_throughput_only_what_is_beyond_the_included_counts() {
        let storage = |gib: &str, kind: &str, iops: u32, throughput: u32| {
            let wanted = desired(
                &json!({
                    "DBInstanceClass": "c", "AllocatedStorage": gib, "StorageType": kind, "Iops": iops,
                    "StorageThroughput": throughput,
                }),
                &json!({}),
            );
            let uses = daily(&wanted, &world()).uses;
            let of = |section: &str| {
                let found = uses.iter().find(|used| used.price_key.starts_with(section));
                found.map(ToString::to_string).unwrap_or_default()
            };
            [of("iops_month"), of("throughput")]
        };
        assert_eq!(
            storage("800", "gp3", 12_730, 500),
            [
                "24 IOPS-months of gp3 (12730 IOPS, of which 12000 are included)",
                "0 MiB/s-months of gp3 (500 MiB/s, of which 500 are included)",
            ]
        );
        assert_eq!(
            storage("100", "gp3", 3_730, 125)[0],
            "24 IOPS-months of gp3 (3730 IOPS, of which 3000 are included)"
        );
        assert_eq!(storage("100", "io2", 730, 0)[0], "24 IOPS-months of io2 (730 IOPS)");
    }

    fn group(size: &Json, template: &Json) -> Json {
        json!({
            "Group": {
                "Type": "AWS::AutoScaling::AutoScalingGroup",
                "Properties": {"MinSize": size, "LaunchTemplate": {"LaunchTemplateId": template}},
            },
            "Template": {"Properties": {"LaunchTemplateData": {"InstanceType": "m7g.xlarge"}}},
            "Jump": {"Type": "AWS::EC2::Instance", "Properties": {"InstanceType": "t4g.nano"}},
        })
    }

    const DATABASE: [&str; 3] =
        ["24 hours of db.x", "24 GiB-months of gp2 (730 GiB)", "48 GiB-months of snapshots (2 of at most 730 GiB)"];

    fn with_instances(resources: &Json) -> Desired {
        let database = json!({"DBInstanceClass": "db.x", "AllocatedStorage": "730", "StorageType": "gp2"});
        desired(&database, resources)
    }

    #[test]
    fn instances_are_counted_where_their_template_says_number_and_type() {
        let wanted = with_instances(&group(&json!("3"), &json!({"Ref": "Template"})));
        let instances = ["72 hours of m7g.xlarge (3 of `api`)", "24 hours of t4g.nano (1 of `api`)"];
        check(&wanted, &[&DATABASE[..], &instances[..]].concat());
    }

    #[test]
    fn what_a_template_leaves_open_is_named() {
        let wanted = with_instances(&group(&json!({"Ref": "Size"}), &json!({"Ref": "Template"})));
        assert_eq!(daily(&wanted, &world()).not_counted.first().map(String::as_str), Some("`Group` of `api`"));
        let wanted = with_instances(&group(&json!(3), &json!("lt-0123")));
        assert_eq!(daily(&wanted, &world()).not_counted.first().map(String::as_str), Some("`Group` of `api`"));
        let none = daily(&desired(&json!({}), &json!({})), &world());
        assert_eq!(none.uses, []);
        assert_eq!(none.not_counted[0], "the database, whose class the template does not say");
    }

    fn prices(all: &[(&'static str, &str, f64)]) -> Prices {
        let all = all.iter().map(|(section, name, price)| ((*section, (*name).to_owned()), *price)).collect();
        Prices { currency: "EUR".to_owned(), all }
    }

    const PRICES: [(&str, &str, f64); 4] = [
        ("database_hour", "db.x", 0.5),
        ("storage_gib_month", "gp2", 0.1),
        ("snapshot_gib_month", "", 0.05),
        ("instance_hour", "t4g.nano", 0.01),
    ];

    fn jump() -> Json {
        json!({"Jump": {"Type": "AWS::EC2::Instance", "Properties": {"InstanceType": "t4g.nano"}}})
    }

    #[test]
    fn with_prices_it_is_told_in_money() {
        let wanted = Desired { prices: Some(prices(&PRICES)), ..with_instances(&jump()) };
        check(
            &wanted,
            &[
                "24 hours of db.x: 12.00 EUR",
                "24 GiB-months of gp2 (730 GiB): 2.40 EUR",
                "48 GiB-months of snapshots (2 of at most 730 GiB): 2.40 EUR",
                "24 hours of t4g.nano (1 of `api`): 0.24 EUR",
                "together 17.04 EUR",
            ],
        );
        let wanted = Desired { prices: Some(prices(&PRICES[..3])), ..with_instances(&jump()) };
        let lines = daily(&wanted, &world()).lines();
        assert_eq!(lines[3..5], ["24 hours of t4g.nano (1 of `api`): no price", "together at least 16.80 EUR"]);
    }

    #[test]
    fn a_cost_that_is_too_high_or_not_known_refuses() {
        let judged = |known: Option<Prices>, max_cost: Option<f64>| {
            let wanted = Desired { prices: known, max_cost, ..with_instances(&jump()) };
            objection(&wanted, &world()).map(|reason| reason.to_string()).unwrap_or_default()
        };
        assert_eq!(judged(Some(prices(&PRICES)), None), "");
        assert_eq!(judged(Some(prices(&PRICES)), Some(17.05)), "");
        let dear = "`twin` would cost 17.04 EUR a day; `clone.max_cost` allows 17.00";
        assert_eq!(judged(Some(prices(&PRICES)), Some(17.0)), dear);
        let missing = "`clone.max_cost` of `twin` cannot be judged: prices.yaml has no instance_hour.t4g.nano";
        assert_eq!(judged(Some(prices(&PRICES[..3])), Some(17.0)), missing);
        assert_eq!(
            judged(Some(prices(&PRICES[..3])), Some(1.0)),
            "`twin` would cost 16.80 EUR a day; `clone.max_cost` allows 1.00"
        );
        assert_eq!(judged(None, Some(1.0)), "`clone.max_cost` of `twin` cannot be judged: there is no prices.yaml");
        assert_eq!(judged(None, None), "");
    }
}
