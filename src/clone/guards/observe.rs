//! Asks for everything that must be granted. Reads, and decides nothing.

use std::collections::BTreeMap;

use super::plan::{Subnets, keys_of_source, subnets, text_of};
use super::{Guards, Keys, Known, NOT_THERE, Offer, Quota, SeenKey, Unread, Zones};
use crate::aws::kms::Kms;
use crate::aws::query::{Query, Service};
use crate::aws::rds::Rds;
use crate::aws::{Clients, Fault};
use crate::clone::snapshot::key_to_share;
use crate::clone::{Desired, World};
use crate::deploy::Place;
use crate::deploy::observe::target;

/// Asks for everything. `world` says which snapshot it would be, and with it which keys.
///
/// # Errors
/// What a call ended with that would end otherwise at another time, or that concerns all calls alike. What the caller may not
/// see, and whatever else AWS refuses to say, is part of the answer.
pub async fn observe(clients: &Clients, desired: &Desired, world: &World) -> Result<Guards, Fault> {
    let (source, own) = (&desired.source.place, &desired.target.place);
    let rds = clients.rds(target(own)).await;
    let query = clients.query(target(own)).await;
    let source_room = if source == own { None } else { Some(room(&clients.rds(target(source)).await, source).await?) };
    Ok(Guards {
        room: room(&rds, own).await?,
        source_room,
        offers: offers(&rds, desired).await?,
        zones: zones(&query, desired, world).await?,
        keys: Box::pin(keys(clients, desired, world)).await?,
        is_name_taken: is_name_taken(&rds, desired).await?,
    })
}

/// What an answer tells, or why there is none.
fn known<T>(answer: Result<T, Fault>, unread: &Unread) -> Result<Known<T>, Fault> {
    match answer {
        Ok(told) => Ok(Ok(told)),
        // Everything else would end like this, too.
        Err(fault @ (Fault::Expired | Fault::NoCredentials { .. })) => Err(fault),
        Err(fault) if fault.is_momentary() => Err(fault),
        Err(fault) => {
            let is_denied = matches!(fault, Fault::Denied { .. });
            Ok(Err(Unread { is_denied, cause: fault.to_string(), ..unread.clone() }))
        }
    }
}

fn unread(what: &'static str, place: &Place, permission: &'static str) -> Unread {
    Unread { what, account: place.account.clone(), permission, is_denied: false, cause: String::new() }
}

async fn room(rds: &Rds, place: &Place) -> Result<Known<Vec<Quota>>, Fault> {
    let quotas = rds.quotas().await.map(|all| {
        let quota = |it: crate::aws::rds::Quota| Quota { name: it.name, used: it.used, max: it.max };
        all.into_iter().map(quota).collect()
    });
    known(quotas, &unread("quotas of RDS", place, "rds:DescribeAccountAttributes"))
}

async fn offers(rds: &Rds, desired: &Desired) -> Result<Known<Vec<Offer>>, Fault> {
    let of = |name: &str| text_of(&desired.target.written, name).unwrap_or_default();
    let all = rds.orderable(&of("Engine"), &of("EngineVersion"), &of("DBInstanceClass")).await.map(|all| {
        let offer = |it: crate::aws::rds::Orderable| Offer {
            storage_type: it.storage_type,
            zones: it.zones,
            can_be_multi_az: it.can_be_multi_az,
        };
        all.into_iter().map(offer).collect()
    });
    let permission = "rds:DescribeOrderableDBInstanceOptions";
    known(all, &unread("classes that RDS offers", &desired.target.place, permission))
}

async fn zones(query: &Query, desired: &Desired, world: &World) -> Result<Known<Zones>, Fault> {
    let place = &desired.target.place;
    match subnets(desired, world) {
        Subnets::Anywhere => Ok(Ok(Zones::Any)),
        Subnets::Ids(ids) => {
            let unread = unread("zones of the database's subnets", place, "ec2:DescribeSubnets");
            known(zones_of_subnets(query, &ids).await, &unread)
        }
        Subnets::Zones(zones) => {
            let unread = unread("names of the Region's zones", place, "ec2:DescribeAvailabilityZones");
            known(names_of_zones(query, &zones).await, &unread)
        }
    }
}

async fn zones_of_subnets(query: &Query, ids: &[String]) -> Result<Zones, Fault> {
    let names: Vec<String> = (1..=ids.len()).map(|number| format!("SubnetId.{number}")).collect();
    let wanted: Vec<(&str, &str)> = names.iter().map(String::as_str).zip(ids.iter().map(String::as_str)).collect();
    let found = query.list(Service::Ec2, "DescribeSubnets", &wanted, "subnetSet").await?;
    if found.len() < ids.len() {
        return Err(Fault::Missing { message: format!("of the subnets {}, not all are there", ids.join(", ")) });
    }
    Ok(Zones::OfSubnets(distinct(found.iter().filter_map(|subnet| subnet.text_of("availabilityZone")))))
}

/// A template may name a zone by its id, which is the same place in every account; RDS answers with names.
async fn names_of_zones(query: &Query, zones: &[String]) -> Result<Zones, Fault> {
    let answer = query.call(Service::Ec2, "DescribeAvailabilityZones", &[]).await?;
    let pair =
        |it: &crate::aws::query::Element| Some((it.text_of("zoneId")?.to_owned(), it.text_of("zoneName")?.to_owned()));
    let by_id: BTreeMap<String, String> = answer.entries("availabilityZoneInfo").filter_map(pair).collect();
    Ok(Zones::OfSubnets(distinct(zones.iter().map(|zone| by_id.get(zone).unwrap_or(zone).as_str()))))
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut all: Vec<String> = names.map(str::to_owned).collect();
    all.sort();
    all.dedup();
    all
}

async fn keys(clients: &Clients, desired: &Desired, world: &World) -> Result<Keys, Fault> {
    let (source, own) = (&desired.source.place, &desired.target.place);
    let (at_source, at_target) = (clients.kms(target(source)).await, clients.kms(target(own)).await);
    let mut keys = Keys::default();
    for name in keys_of_source(desired, world) {
        let key = look(&at_source, &name, "key of the source's data", source).await?;
        keys.of_source.insert(name, key);
    }
    if let Some(name) = key_to_share(desired, world) {
        // A key is asked for in its own Region, whoever asks.
        let abroad = Place { region: source.region.clone(), ..own.clone() };
        let borrower = clients.kms(target(&abroad)).await;
        keys.lent = Some(look(&borrower, &name, "key of the source's data", own).await?);
        let unread = unread("policy of the source's key", source, "kms:GetKeyPolicy");
        keys.policy = Some(known(at_source.policy(&name).await, &unread)?);
    }
    if let Some(name) = &desired.target.key {
        keys.own = Some(look(&at_target, name, "key of the clone", own).await?);
    }
    Ok(keys)
}

async fn look(kms: &Kms, name: &str, what: &'static str, place: &Place) -> Result<Known<SeenKey>, Fault> {
    let key = match kms.key(name).await {
        Ok(key) => Ok(SeenKey { arn: key.arn, state: key.state }),
        Err(Fault::Missing { .. }) => Ok(SeenKey { arn: name.to_owned(), state: NOT_THERE.to_owned() }),
        Err(fault) => Err(fault),
    };
    known(key, &unread(what, place, "kms:DescribeKey"))
}

async fn is_name_taken(rds: &Rds, desired: &Desired) -> Result<Option<Known<bool>>, Fault> {
    let Some(id) = text_of(&desired.target.written, "DBInstanceIdentifier") else { return Ok(None) };
    let found = rds.database(&id).await.map(|found| found.is_some());
    Ok(Some(known(found, &unread("name of the database", &desired.target.place, "rds:DescribeDBInstances"))?))
}
