//! Which snapshot a clone is made from, and by which way it comes to where it can be restored. Pure.
//!
//! The way is the shortest that RDS allows (RDS User Guide, "Sharing encrypted snapshots"): in its own account a snapshot is
//! restored as it is. For another account an automated one is copied first, because only manual ones can be shared, and what is
//! encrypted is copied once more, under a key of the account that restores it. Somebody else's manual snapshot is copied too:
//! only what was made for this target is ever shared, so that taking it back takes nothing from anybody.

use super::{Desired, Reason, SOURCE_SNAPSHOT, SeenSnapshot, SeenSource, Step, Which, World, copy_prefix};
use crate::deploy::marks;

/// The key that every account has for its databases.
const DEFAULT_KEY: &str = "alias/aws/rds";

/// What is next for the snapshot.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// It can be restored by this name.
    Ready {
        /// Its name, or its ARN where another account shares it.
        identifier: String,
    },
    /// Something is to be done.
    Do(Step),
    /// It is being made.
    Wait(Reason),
    /// There is none that may be used.
    Refuse(Vec<Reason>),
}

/// Says what is next. `first` is how the world was when this run began: what was made before is judged by its age again.
pub fn next(desired: &Desired, first: &World, now: &World) -> Next {
    let (source, target) = (&desired.source.place, &desired.target.place);
    let seen = now.source.clone().unwrap_or_default();
    if let Some(copy) = now.copies.iter().find(|copy| is_ours(desired, copy)) {
        let was_there = first.copies.iter().any(|known| known.arn == copy.arn);
        return judged(
            copy,
            || too_old(desired, copy, now).filter(|_| was_there),
            || Next::Ready { identifier: copy.name.clone() },
        );
    }
    let ours = seen.snapshots.iter().find(|snapshot| is_ours(desired, snapshot));
    let chosen = match ours.map_or_else(|| choose(desired, &seen), Ok) {
        Ok(chosen) => chosen,
        Err(next) => return *next,
    };
    let was_there = ours.is_none()
        || first.source.as_ref().is_some_and(|seen| seen.snapshots.iter().any(|known| known.arn == chosen.arn));
    let objection = || too_old(desired, chosen, now).filter(|_| was_there);
    judged(chosen, objection, || {
        if source.account == target.account {
            return Next::Ready { identifier: chosen.name.clone() };
        }
        bring(desired, &seen, chosen, ours.is_some())
    })
}

/// What an available snapshot of an age that may be is good for.
fn judged(snapshot: &SeenSnapshot, objection: impl Fn() -> Option<Reason>, good: impl Fn() -> Next) -> Next {
    match snapshot.status.as_str() {
        "available" => objection().map_or_else(good, |reason| Next::Refuse(vec![reason])),
        "creating" | "copying" | "pending" => Next::Wait(Reason::Making {
            snapshot: snapshot.name.clone(),
            status: snapshot.status.clone(),
            percent: snapshot.percent,
        }),
        status => Next::Refuse(vec![Reason::Unusable { snapshot: snapshot.name.clone(), status: status.to_owned() }]),
    }
}

/// The next step towards another account.
fn bring(desired: &Desired, seen: &SeenSource, chosen: &SeenSnapshot, is_ours: bool) -> Next {
    let (source, target) = (&desired.source.place, &desired.target.place);
    let is_shareable = chosen.key.as_ref().is_none_or(|key| seen.keys.iter().any(|own| key.ends_with(own.as_str())));
    if !is_ours || !is_shareable {
        let own_key = seen.keys.first().map(|id| key_arn(desired, id));
        if !is_shareable && own_key.is_none() {
            return Next::Refuse(vec![Reason::KeyCannotBeShared { snapshot: chosen.name.clone() }]);
        }
        return Next::Do(copy(desired, chosen, &chosen.name, own_key.filter(|_| !is_shareable), source));
    }
    if !chosen.shared_with.contains(&target.account) {
        return Next::Do(Step::ShareSnapshot {
            snapshot: chosen.name.clone(),
            account: target.account.clone(),
            place: source.clone(),
        });
    }
    if chosen.key.is_none() {
        return Next::Ready { identifier: chosen.arn.clone() };
    }
    Next::Do(copy(desired, chosen, &chosen.arn, Some(DEFAULT_KEY.to_owned()), target))
}

fn key_arn(desired: &Desired, id: &str) -> String {
    let place = &desired.source.place;
    let partition = desired.source.place.region.split('-').next().map_or("aws", |area| match area {
        "cn" => "aws-cn",
        _ => "aws",
    });
    if id.starts_with("arn:") {
        id.to_owned()
    } else {
        format!("arn:{partition}:kms:{}:{}:key/{id}", place.region, place.account)
    }
}

fn copy(
    desired: &Desired,
    chosen: &SeenSnapshot,
    from: &str,
    key: Option<String>,
    place: &crate::deploy::Place,
) -> Step {
    // What a copy was made from first is said by its tags; a copy of a copy says the same.
    let origin = chosen.tags.get(SOURCE_SNAPSHOT).filter(|_| is_ours(desired, chosen)).unwrap_or(&chosen.arn);
    let mut tags = desired.target.tags.clone();
    tags.insert(SOURCE_SNAPSHOT.to_owned(), origin.clone());
    tags.extend(chosen.data_as_of.map(|time| ("greenroom:data-as-of".to_owned(), time.to_string())));
    Step::CopySnapshot {
        from: from.to_owned(),
        name: format!("{}{}", copy_prefix(&desired.target.word), marks::digest([origin.as_str()])),
        account: place.account.clone(),
        key,
        place: place.clone(),
        tags,
    }
}

/// Whether a snapshot was made for this target: its marks, its origin and its name say so, all three.
pub fn is_ours(desired: &Desired, snapshot: &SeenSnapshot) -> bool {
    was_made_for(&desired.target.project, &desired.target.word, snapshot)
}

/// Whether a snapshot was made for an environment: its marks, its origin and its name say so, all three.
pub fn was_made_for(project: &str, word: &str, snapshot: &SeenSnapshot) -> bool {
    snapshot.kind == "manual"
        && snapshot.name.starts_with(&copy_prefix(word))
        && snapshot.tags.contains_key(SOURCE_SNAPSHOT)
        && marks::is_of_environment(&snapshot.tags, project, word)
}

/// The snapshot that a clone begins with, or what is to be done where there is none.
fn choose<'a>(desired: &Desired, seen: &'a SeenSource) -> Result<&'a SeenSnapshot, Box<Next>> {
    let source_environment = desired.source.environment.clone();
    let refuse = |reason| Box::new(Next::Refuse(vec![reason]));
    match &desired.choice.which {
        Which::Newest => {
            let usable = seen.snapshots.iter().filter(|it| it.kind == "automated" && it.status == "available");
            usable
                .max_by(|left, right| left.data_as_of.cmp(&right.data_as_of).then_with(|| left.name.cmp(&right.name)))
                .ok_or_else(|| refuse(Reason::NoSnapshot { source_environment, id: None }))
        }
        Which::Id(id) => seen
            .snapshots
            .iter()
            .find(|snapshot| snapshot.name == *id || snapshot.arn == *id)
            .ok_or_else(|| refuse(Reason::NoSnapshot { source_environment, id: Some(id.clone()) })),
        Which::Fresh => {
            let database = seen.database.as_ref();
            let Some(database) = database.filter(|database| database.status == "available") else {
                let status = database.map_or("not there", |database| database.status.as_str()).to_owned();
                return Err(refuse(Reason::Broken { database: desired.source.environment.clone(), status }));
            };
            let mut tags = desired.target.tags.clone();
            tags.insert(SOURCE_SNAPSHOT.to_owned(), "fresh".to_owned());
            let name =
                format!("{}{}", copy_prefix(&desired.target.word), marks::digest([database.resource_id.as_str()]));
            let place = desired.source.place.clone();
            Err(Box::new(Next::Do(Step::TakeSnapshot { database: database.id.clone(), name, place, tags })))
        }
    }
}

fn too_old(desired: &Desired, snapshot: &SeenSnapshot, now: &World) -> Option<Reason> {
    let max_age = desired.choice.max_age?;
    let name = snapshot.name.clone();
    let (Some(data_as_of), Some(time)) = (snapshot.data_as_of, now.deploy.now) else {
        return Some(Reason::AgeUnknown { snapshot: name });
    };
    let age = u64::try_from(time.duration_since(data_as_of).as_secs()).unwrap_or(0);
    (age > max_age.as_secs()).then(|| Reason::TooOld { snapshot: name, data_as_of, max_seconds: max_age.as_secs() })
}
