//! Which snapshot a clone is made from, and by which way it comes to where it can be restored. Pure.
//!
//! The way is the shortest that RDS allows (RDS User Guide, "Sharing encrypted snapshots", "Copying a DB snapshot"): in its own
//! account and Region a snapshot is restored as it is, unless the clone is to be under a key of its own. For another account an
//! automated one is copied first, because only manual ones can be shared, and what is encrypted is copied once more, under a key
//! of the account and Region that restores it. One copy brings it to another account and Region at once. Somebody else's manual
//! snapshot is copied too: only what was made for this target is ever shared, so that taking it back takes nothing from anybody.

use super::{DATA_AS_OF, Desired, Reason, SOURCE_SNAPSHOT, SeenSnapshot, SeenSource, Step, Which, World, copy_prefix};
use crate::deploy::marks;

/// The key that every account has for its databases.
const DEFAULT_KEY: &str = "alias/aws/rds";

/// The origin of one that was taken for the purpose: it is its own, and its name in RDS is not known before it is there.
const FRESH: &str = "fresh";

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
    let seen = now.source.clone().unwrap_or_default();
    if let Some(copy) = arrived(desired, now) {
        let was_there = first.copies.iter().any(|known| known.arn == copy.arn);
        return judged(
            copy,
            || too_old(desired, copy, now).filter(|_| was_there),
            || Next::Ready { identifier: copy.name.clone() },
        );
    }
    let ours = foremost(desired, &seen);
    let chosen = match ours.map_or_else(|| choose(desired, &seen), Ok) {
        Ok(chosen) => chosen,
        Err(next) => return *next,
    };
    let was_there = ours.is_none()
        || first.source.as_ref().is_some_and(|seen| seen.snapshots.iter().any(|known| known.arn == chosen.arn));
    let objection = || too_old(desired, chosen, now).filter(|_| was_there);
    judged(chosen, objection, || bring(desired, now, &seen, chosen))
}

/// What was made for this target where it is restored, under the key that it is to be under.
fn arrived<'a>(desired: &Desired, now: &'a World) -> Option<&'a SeenSnapshot> {
    let own = own_key(desired, now);
    let is_under_it = |copy: &&SeenSnapshot| own.is_none() || copy.key == own;
    let wanted = wanted_origin(desired, now.source.as_ref());
    now.copies.iter().filter(|copy| is_made_of(desired, wanted.as_deref(), copy)).find(is_under_it)
}

/// What a copy must have come from first; nothing where anything will do, because the newest was chosen when it was made.
fn wanted_origin(desired: &Desired, seen: Option<&SeenSource>) -> Option<String> {
    let Which::Id(id) = &desired.choice.which else { return None };
    let named = seen.into_iter().flat_map(|seen| &seen.snapshots).find(|it| it.name == *id || it.arn == *id);
    Some(named.map_or(id, |named| origin(desired, named)).clone())
}

/// Whether a snapshot was made for this target of what is wanted. An earlier run may have made one of something else.
fn is_made_of(desired: &Desired, wanted: Option<&str>, snapshot: &SeenSnapshot) -> bool {
    let told = snapshot.tags.get(SOURCE_SNAPSHOT).map(String::as_str).unwrap_or_default();
    let taken = format!(":snapshot:{}", copy_prefix(&desired.target.word));
    let is_it = match &desired.choice.which {
        Which::Newest => true,
        // A copy of one that was taken for the purpose says which one that was.
        Which::Fresh => told == FRESH || told.contains(&taken),
        Which::Id(_) => wanted.is_some_and(|wanted| told == wanted || told.ends_with(&format!(":snapshot:{wanted}"))),
    };
    is_it && is_ours(desired, snapshot)
}

/// Of what was made for this target where the source lives, that which has come furthest.
fn foremost<'a>(desired: &Desired, seen: &'a SeenSource) -> Option<&'a SeenSnapshot> {
    let wanted = wanted_origin(desired, Some(seen));
    let ours = || seen.snapshots.iter().filter(|snapshot| is_made_of(desired, wanted.as_deref(), snapshot));
    ours().find(|snapshot| is_shareable(seen, snapshot)).or_else(|| ours().next())
}

/// Whether another account can be let use its key. Only the keys of the source's own stack have a policy that we know.
fn is_shareable(seen: &SeenSource, snapshot: &SeenSnapshot) -> bool {
    snapshot.key.as_ref().is_none_or(|key| seen.keys.iter().any(|own| key.ends_with(own.as_str())))
}

/// The key that the file names for the clone, by its ARN where that is known.
fn own_key(desired: &Desired, now: &World) -> Option<String> {
    let name = desired.target.key.as_ref()?;
    let told = now.guards.as_ref().and_then(|guards| guards.keys.own.as_ref()).and_then(|key| key.as_ref().ok());
    Some(told.map_or_else(|| name.clone(), |key| key.arn.clone()))
}

/// The snapshot that the way begins at, if there is one.
pub fn begins_at(desired: &Desired, now: &World) -> Option<SeenSnapshot> {
    let seen = now.source.as_ref()?;
    foremost(desired, seen).or_else(|| choose(desired, seen).ok()).cloned()
}

/// The key that data is shared under with another account; nothing where it is not shared, or not encrypted.
pub fn key_to_share(desired: &Desired, now: &World) -> Option<String> {
    if desired.source.place.account == desired.target.place.account {
        return None;
    }
    let seen = now.source.as_ref()?;
    match begins_at(desired, now) {
        Some(snapshot) if is_shareable(seen, &snapshot) => snapshot.key,
        Some(_) => seen.keys.first().map(|id| key_arn(desired, id)),
        // A fresh one will be under the key of its database.
        None => {
            let key = seen.database.as_ref()?.properties.get("KmsKeyId")?.as_str()?.to_owned();
            let is_own = seen.keys.iter().any(|own| key.ends_with(own.as_str()));
            if is_own { Some(key) } else { seen.keys.first().map(|id| key_arn(desired, id)) }
        }
    }
}

/// Whether the way ends with a copy where the target lives.
pub fn needs_copy(desired: &Desired, now: &World) -> bool {
    let (source, target) = (&desired.source.place, &desired.target.place);
    let is_encrypted = begins_at(desired, now).is_none_or(|snapshot| snapshot.key.is_some());
    let is_elsewhere = source.region != target.region || (source.account != target.account && is_encrypted);
    is_elsewhere || desired.target.key.is_some()
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

/// The next step towards where it is restored.
fn bring(desired: &Desired, now: &World, seen: &SeenSource, chosen: &SeenSnapshot) -> Next {
    let (source, target) = (&desired.source.place, &desired.target.place);
    let own = own_key(desired, now);
    let is_as_it_must_be = own.is_none() || chosen.key == own;
    // What is encrypted stays so, and a key is of one account and Region.
    let key = || own.clone().or_else(|| chosen.key.as_ref().map(|_| DEFAULT_KEY.to_owned()));
    if source.account == target.account {
        if source.region == target.region {
            return if is_as_it_must_be {
                Next::Ready { identifier: chosen.name.clone() }
            } else {
                Next::Do(copy(desired, chosen, &chosen.name, own, target))
            };
        }
        return Next::Do(copy(desired, chosen, &chosen.arn, key(), target));
    }
    if !is_ours(desired, chosen) || !is_shareable(seen, chosen) {
        let shared_under = seen.keys.first().map(|id| key_arn(desired, id)).filter(|_| !is_shareable(seen, chosen));
        if shared_under.is_none() && !is_shareable(seen, chosen) {
            return Next::Refuse(vec![Reason::KeyCannotBeShared { snapshot: chosen.name.clone() }]);
        }
        return Next::Do(copy(desired, chosen, &chosen.name, shared_under, source));
    }
    if !chosen.shared_with.contains(&target.account) {
        return Next::Do(Step::ShareSnapshot {
            snapshot: chosen.name.clone(),
            account: target.account.clone(),
            place: source.clone(),
        });
    }
    // Only what nobody encrypted, and nobody is to encrypt, can be restored from where it lies.
    if source.region == target.region && chosen.key.is_none() && own.is_none() {
        return Next::Ready { identifier: chosen.arn.clone() };
    }
    Next::Do(copy(desired, chosen, &chosen.arn, key(), target))
}

fn key_arn(desired: &Desired, id: &str) -> String {
    let place = &desired.source.place;
    // The partition of the snapshot's own ARN is not at hand here; that of a Region is its first part.
    let partition = if place.region.starts_with("cn-") { "aws-cn" } else { "aws" };
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
    let origin = origin(desired, chosen);
    let mut tags = desired.target.tags.clone();
    tags.insert(SOURCE_SNAPSHOT.to_owned(), origin.clone());
    tags.extend(chosen.data_as_of.map(|time| (DATA_AS_OF.to_owned(), time.to_string())));
    Step::CopySnapshot {
        from: from.to_owned(),
        name: format!("{}{}", copy_prefix(&desired.target.word), marks::digest([origin.as_str()])),
        account: place.account.clone(),
        key,
        place: place.clone(),
        tags,
    }
}

/// The snapshot that the data of one came from first.
pub fn origin<'a>(desired: &Desired, snapshot: &'a SeenSnapshot) -> &'a String {
    let told = snapshot.tags.get(SOURCE_SNAPSHOT).filter(|origin| *origin != FRESH && is_ours(desired, snapshot));
    told.unwrap_or(&snapshot.arn)
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
            tags.insert(SOURCE_SNAPSHOT.to_owned(), FRESH.to_owned());
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
    (age > max_age.as_secs()).then_some(Reason::TooOld { snapshot: name, data_as_of, max_seconds: max_age.as_secs() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clone::{Choice, SeenDatabase, Source, Target};
    use crate::deploy::{self, Place};

    const NOW: &str = "2026-11-25T12:00:00Z";

    /// `ACCOUNT`, or `ACCOUNT@REGION`.
    fn place(words: &str) -> Place {
        let (account, region) = words.split_once('@').unwrap_or((words, "eu-west-1"));
        Place { account: account.to_owned(), region: region.to_owned(), role: None }
    }

    /// The target in a place; with ` under KEY`, its file names a key.
    fn desired(target: &str) -> Desired {
        let (target, key) = target.split_once(" under ").map_or((target, None), |(target, key)| (target, Some(key)));
        let marks = [("greenroom:project", "sync"), ("greenroom:environment", "twin")];
        Desired {
            source: Source { environment: "production".to_owned(), place: place("2"), ..Source::default() },
            target: Target {
                word: "twin".to_owned(),
                project: "sync".to_owned(),
                place: place(target),
                key: key.map(str::to_owned),
                tags: marks.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
                ..Target::default()
            },
            choice: Choice { which: Which::Newest, max_age: Some(std::time::Duration::from_hours(24)) },
            ..Desired::default()
        }
    }

    /// A snapshot in words: its name, how many hours ago its data is of, and what is special about it.
    ///
    /// `ours`: made for the target of `rds:a`, or `fresh`. `own-key`, `aws-key`: encrypted, with a key of the stack or the account's. `shared`: with
    /// account 4. `clone-key`: encrypted with the key that the file names. Any other word is its status.
    fn snapshot(words: &str) -> SeenSnapshot {
        let mut words = words.split(' ');
        let name = words.next().unwrap_or_default();
        let hours: i64 = words.next().and_then(|text| text.parse().ok()).expect("an age in hours");
        let now: jiff::Timestamp = NOW.parse().expect("a time");
        let mut snapshot = SeenSnapshot {
            name: name.to_owned(),
            arn: format!("arn:{name}"),
            kind: if name.starts_with("rds:") { "automated" } else { "manual" }.to_owned(),
            status: "available".to_owned(),
            data_as_of: Some(now - jiff::SignedDuration::from_hours(hours)),
            ..SeenSnapshot::default()
        };
        for word in words {
            match word {
                "ours" => {
                    snapshot.tags = desired("4").target.tags;
                    snapshot.tags.insert(SOURCE_SNAPSHOT.to_owned(), "arn:rds:a".to_owned());
                }
                "fresh" => drop(snapshot.tags.insert(SOURCE_SNAPSHOT.to_owned(), FRESH.to_owned())),
                "own-key" => snapshot.key = Some("arn:key/own".to_owned()),
                "clone-key" => snapshot.key = Some("arn:key/clone".to_owned()),
                "aws-key" => snapshot.key = Some("arn:key/default".to_owned()),
                "shared" => snapshot.shared_with = vec!["4".to_owned()],
                status => status.clone_into(&mut snapshot.status),
            }
        }
        snapshot
    }

    fn world(snapshots: &[&str], copies: &[&str]) -> World {
        let deploy = deploy::World { now: NOW.parse().ok(), ..deploy::World::default() };
        let database = SeenDatabase {
            id: "db".to_owned(),
            resource_id: "db-1".to_owned(),
            status: "available".to_owned(),
            ..SeenDatabase::default()
        };
        let source = SeenSource {
            database: Some(database),
            snapshots: snapshots.iter().map(|it| snapshot(it)).collect(),
            keys: vec!["own".to_owned()],
        };
        let copies = copies.iter().map(|it| snapshot(it)).collect();
        World { deploy, source: Some(source), copies, ..World::default() }
    }

    fn told(next: Next) -> String {
        match next {
            Next::Ready { identifier } => format!("restore {identifier}"),
            Next::Do(Step::CopySnapshot { from, account, key, place, .. }) => {
                let key = key.map(|key| format!(" under {key}")).unwrap_or_default();
                let region = if place.region == "eu-west-1" { String::new() } else { format!("@{}", place.region) };
                format!("copy {from} to {account}{region}{key}")
            }
            Next::Do(Step::TakeSnapshot { database, .. }) => format!("take one of {database}"),
            Next::Do(step) => step.to_string(),
            Next::Wait(reason) => format!("wait: {reason}"),
            Next::Refuse(because) => because.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
        }
    }

    /// Source in account 2, with these snapshots; target in that account, with these copies made for it.
    #[track_caller]
    fn check(target: &str, snapshots: &[&str], copies: &[&str], expectation: &str) {
        let world = world(snapshots, copies);
        assert_eq!(told(next(&desired(target), &World::default(), &world)), expectation);
    }

    #[test]
    fn in_its_own_account_a_snapshot_is_restored_as_it_is() {
        check("2", &["rds:a 2 own-key", "rds:b 1 own-key", "mine 0"], &[], "restore rds:b");
        check("2", &["rds:a 2 aws-key"], &[], "restore rds:a");
    }

    #[test]
    fn for_another_account_it_is_copied_shared_and_copied_under_a_key_there() {
        check("4", &["rds:a 2 own-key"], &[], "copy rds:a to 2");
        check("4", &["rds:a 2", "twin-src-1 2 ours creating"], &[], "wait: snapshot `twin-src-1` is creating");
        let share = "share snapshot `twin-src-1` with account 4";
        check("4", &["rds:a 2 own-key", "twin-src-1 2 ours own-key"], &[], share);
        let shared = "twin-src-1 2 ours own-key shared";
        check("4", &[shared], &[], "copy arn:twin-src-1 to 4 under alias/aws/rds");
        check("4", &[shared], &["twin-src-1 2 ours copying"], "wait: snapshot `twin-src-1` is copying");
        check("4", &[shared], &["twin-src-1 2 ours"], "restore twin-src-1");
    }

    #[test]
    fn what_is_not_encrypted_is_restored_from_where_it_is_shared() {
        check("4", &["twin-src-1 2 ours shared"], &[], "restore arn:twin-src-1");
    }

    #[test]
    fn to_another_region_one_copy_is_enough() {
        let there = "2@eu-central-1";
        check(there, &["rds:a 2 own-key"], &[], "copy arn:rds:a to 2@eu-central-1 under alias/aws/rds");
        check(there, &["rds:a 2 aws-key"], &[], "copy arn:rds:a to 2@eu-central-1 under alias/aws/rds");
        check(there, &["rds:a 2"], &[], "copy arn:rds:a to 2@eu-central-1");
        check(there, &["mine 2", "rds:a 2"], &["twin-src-1 2 ours copying"], "wait: snapshot `twin-src-1` is copying");
        check(there, &["rds:a 2"], &["twin-src-1 2 ours"], "restore twin-src-1");
    }

    #[test]
    fn to_another_account_and_region_it_is_shared_first_and_copied_once() {
        let there = "4@eu-central-1";
        check(there, &["rds:a 2 own-key"], &[], "copy rds:a to 2");
        check(there, &["twin-src-1 2 ours own-key"], &[], "share snapshot `twin-src-1` with account 4");
        let shared = "copy arn:twin-src-1 to 4@eu-central-1";
        check(there, &["twin-src-1 2 ours own-key shared"], &[], &format!("{shared} under alias/aws/rds"));
        // Not encrypted, and yet not restored from where it lies: that is another Region.
        check(there, &["twin-src-1 2 ours shared"], &[], shared);
        check(there, &["twin-src-1 2 ours own-key shared"], &["twin-src-1 2 ours aws-key"], "restore twin-src-1");
    }

    #[test]
    fn what_is_to_be_under_a_key_is_copied_under_it_wherever_it_lies() {
        let key = "arn:key/clone";
        check(&format!("2 under {key}"), &["rds:a 2"], &[], "copy rds:a to 2 under arn:key/clone");
        check(&format!("2 under {key}"), &["rds:a 2 own-key"], &[], "copy rds:a to 2 under arn:key/clone");
        check(&format!("2 under {key}"), &["rds:a 2 clone-key"], &[], "restore rds:a");
        let (made, taken) = ("twin-src-1 2 ours clone-key", "twin-src-0 2 ours own-key");
        check(&format!("2 under {key}"), &[taken], &[taken], "copy twin-src-0 to 2 under arn:key/clone");
        check(&format!("2 under {key}"), &[taken, made], &[taken, made], "restore twin-src-1");
        check(
            &format!("4 under {key}"),
            &["twin-src-1 2 ours shared"],
            &[],
            "copy arn:twin-src-1 to 4 under arn:key/clone",
        );
        let there = format!("2@eu-central-1 under {key}");
        check(&there, &["rds:a 2"], &[], "copy arn:rds:a to 2@eu-central-1 under arn:key/clone");
    }

    // A fresh snapshot under the default key was copied under the stack's own, and then copied again and again.
    #[test]
    fn of_what_was_made_the_one_that_can_be_shared_goes_on() {
        let made = ["twin-src-0 2 ours aws-key", "twin-src-1 2 ours own-key"];
        check("4", &made, &[], "share snapshot `twin-src-1` with account 4");
    }

    #[test]
    fn what_is_under_the_accounts_default_key_is_copied_under_the_stacks_own() {
        check("4", &["rds:a 2 aws-key"], &[], "copy rds:a to 2 under arn:aws:kms:eu-west-1:2:key/own");
        let mut keyless = world(&["rds:a 2 aws-key"], &[]);
        keyless.source.as_mut().expect("a source").keys.clear();
        let said = told(next(&desired("4"), &World::default(), &keyless));
        assert_eq!(said, "snapshot `rds:a` is under a key that is no resource of its stack, and cannot be shared");
    }

    #[test]
    fn the_newest_that_is_available_and_automated_is_chosen() {
        check("2", &["rds:a 3", "rds:b 2 creating", "mine 1"], &[], "restore rds:a");
        check("2", &["mine 1"], &[], "`production` has no automated snapshot");
    }

    #[test]
    fn data_that_is_too_old_is_refused() {
        let said = "the data of snapshot `rds:a` is of 2026-11-24T11:00:00Z, older than 24 h";
        check("2", &["rds:a 25"], &[], said);
        check("2", &["rds:a 24"], &[], "restore rds:a");
    }

    // A copy takes hours. The run that began it with data young enough goes on with it; another one asks again.
    #[test]
    fn what_this_run_made_is_not_judged_by_its_age_again() {
        let now = world(&[], &["twin-src-1 25 ours"]);
        assert_eq!(told(next(&desired("4"), &World::default(), &now)), "restore twin-src-1");
        let said = "the data of snapshot `twin-src-1` is of 2026-11-24T11:00:00Z, older than 24 h";
        assert_eq!(told(next(&desired("4"), &now, &now)), said);
    }

    // After a restore that failed, a new snapshot is asked for by name: what was made of the old one is no answer to that.
    #[test]
    fn what_was_made_of_another_snapshot_is_not_taken_for_the_one_that_is_wanted() {
        let told_of = |which: Which, snapshots: &[&str], copies: &[&str]| {
            let mut wanted = desired("4");
            wanted.choice = Choice { which, max_age: None };
            told(next(&wanted, &World::default(), &world(snapshots, copies)))
        };
        let (made, copied) = ("twin-src-1 2 ours own-key shared", "twin-src-1 2 ours");
        let all = [made, "rds:a 2", "mine 9"];
        assert_eq!(told_of(Which::Newest, &all, &[copied]), "restore twin-src-1");
        assert_eq!(told_of(Which::Id("arn:rds:a".to_owned()), &all, &[copied]), "restore twin-src-1");
        assert_eq!(told_of(Which::Id("mine".to_owned()), &all, &[copied]), "copy mine to 2");
        assert_eq!(told_of(Which::Fresh, &all, &[copied]), "take one of db");
    }

    #[test]
    fn a_fresh_one_is_taken_once() {
        let mut wanted = desired("4");
        wanted.choice.which = Which::Fresh;
        assert_eq!(told(next(&wanted, &World::default(), &world(&["rds:a 2"], &[]))), "take one of db");
        let taken = world(&["rds:a 2", "twin-src-1 0 ours fresh creating"], &[]);
        let said = "wait: snapshot `twin-src-1` is creating";
        assert_eq!(told(next(&wanted, &World::default(), &taken)), said);
    }

    #[test]
    fn one_that_is_named_must_be_the_sources_and_usable() {
        let named = |id: &str, snapshots: &[&str]| {
            let mut wanted = desired("2");
            wanted.choice = Choice { which: Which::Id(id.to_owned()), max_age: None };
            told(next(&wanted, &World::default(), &world(snapshots, &[])))
        };
        assert_eq!(named("mine", &["rds:a 1", "mine 300"]), "restore mine");
        assert_eq!(named("arn:mine", &["mine 300"]), "restore mine");
        assert_eq!(named("nope", &["mine 300"]), "`production` has no snapshot `nope`");
        assert_eq!(named("mine", &["mine 300 failed"]), "snapshot `mine` is failed");
    }

    /// A person's snapshot is never shared: taking that back later might take it from somebody else.
    #[test]
    fn somebody_elses_manual_snapshot_is_copied_before_it_is_shared() {
        let mut wanted = desired("4");
        wanted.choice = Choice { which: Which::Id("mine".to_owned()), max_age: None };
        assert_eq!(told(next(&wanted, &World::default(), &world(&["mine 1 own-key"], &[]))), "copy mine to 2");
    }
}
