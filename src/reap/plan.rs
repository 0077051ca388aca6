//! Decides which environments are over. Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{Doubt, Endless, Found, Ignorance, Judged, Known, Verdict, World};
use crate::deploy::lifetime::{after, born, is_extension, lifetime, mark, until};
use crate::deploy::marks;
use crate::deploy::{LiveStack, Place};
use crate::environment::EnvironmentName;

/// Judges every environment of the project's that was seen, in order of their names.
pub fn plan(known: &[Known], world: &World) -> Vec<Judged> {
    let projects: BTreeSet<&str> = known.iter().map(|it| it.project.as_str()).collect();
    let mut environments: BTreeMap<Marked, Vec<Found>> = BTreeMap::new();
    for found in &world.stacks {
        if let Some(marked) = marked(&found.stack).filter(|it| projects.contains(it.project.as_str())) {
            environments.entry(marked).or_default().push(found.clone());
        }
    }
    let is_there = |known: &&Known| {
        environments.contains_key(&Marked { environment: known.file.clone(), project: known.project.clone() })
    };
    let left: Vec<Judged> = known.iter().filter(|it| !is_there(it)).filter_map(|it| judge_copies(it, world)).collect();
    let mut all: Vec<Judged> =
        environments.into_iter().map(|(marked, stacks)| judge(known, world, marked, stacks)).collect();
    all.extend(left);
    all.sort_by(|left, right| (&left.word, &left.project).cmp(&(&right.word, &right.project)));
    all
}

/// Whose a stack is, by its marks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Marked {
    environment: String,
    project: String,
}

/// What belongs to no environment, such as buckets for templates, bears a word that nobody can type.
fn marked(live: &LiveStack) -> Option<Marked> {
    let environment = mark(live, "environment")?;
    let is_one = environment.parse::<EnvironmentName>().is_ok_and(|name| name.instance.is_none());
    let project = mark(live, "project")?.to_owned();
    is_one.then(|| Marked { environment: environment.to_owned(), project })
}

/// A clone of which nothing is left but what was copied for it. What a clone has just begun with looks the same, and is young.
fn judge_copies(known: &Known, world: &World) -> Option<Judged> {
    if known.is_named || known.is_protected {
        return None;
    }
    let copies: Vec<Timestamp> =
        world.copies.iter().filter(|copy| copy.file == known.file).map(|copy| copy.created).collect::<Option<_>>()?;
    let born = copies.iter().min().copied()?;
    let ends = after(copies.iter().max().copied()?, known.lifetime?)?;
    let verdict = if ends > world.now? { Verdict::Lives } else { Verdict::Over };
    Some(Judged {
        environment: known.file.clone(),
        word: known.file.clone(),
        project: known.project.clone(),
        file: Some(known.file.clone()),
        is_file_gone: false,
        stacks: Vec::new(),
        born: Some(born),
        ends: Some(ends),
        extended_until: None,
        verdict,
    })
}

fn judge(known: &[Known], world: &World, marked: Marked, mut stacks: Vec<Found>) -> Judged {
    stacks.sort_by(|left, right| {
        right.stack.created.cmp(&left.stack.created).then_with(|| left.stack.name.cmp(&right.stack.name))
    });
    let candidates: Vec<(&Known, EnvironmentName)> =
        known.iter().filter_map(|it| Some((it, name_in(it, &marked)?))).collect();
    let one = match candidates.as_slice() {
        [(known, name)] => Some((*known, name)),
        _ => None,
    };
    let evidence = Evidence { world, stacks: &stacks, candidates: &candidates };
    let (ends, extended_until, verdict) = match evidence.end() {
        Ok(End { ends, extended_until }) => (Some(ends), extended_until, evidence.verdict(ends)),
        Err(verdict) => (None, None, verdict),
    };
    Judged {
        environment: one.map_or_else(|| marked.environment.clone(), |(_, name)| name.to_string()),
        file: one.map(|(known, _)| known.file.clone()),
        is_file_gone: candidates.is_empty(),
        born: born(stacks.iter().map(|found| &found.stack)),
        word: marked.environment,
        project: marked.project,
        stacks,
        ends,
        extended_until,
        verdict,
    }
}

/// The name under which a file stands for an environment, if it does. `scratch-pr-812` may be `scratch@pr-812`.
fn name_in(known: &Known, marked: &Marked) -> Option<EnvironmentName> {
    if known.project != marked.project {
        return None;
    }
    if !known.is_named {
        return (known.file == marked.environment)
            .then(|| EnvironmentName { file: known.file.clone(), instance: None });
    }
    let instance = marked.environment.strip_prefix(&known.file)?.strip_prefix('-')?;
    format!("{}@{instance}", known.file).parse().ok()
}

/// When an environment ends.
struct End {
    ends: Timestamp,
    extended_until: Option<Timestamp>,
}

/// All that is known of one environment.
struct Evidence<'a> {
    world: &'a World,
    stacks: &'a [Found],
    candidates: &'a [(&'a Known, EnvironmentName)],
}

impl Evidence<'_> {
    /// The latest of the ends that its stacks, its file and its extensions know.
    fn end(&self) -> Result<End, Verdict> {
        let unknown = |because| Verdict::Unknown { because };
        let no_time = |live: &LiveStack, text| unknown(Ignorance::NoTime { stack: live.name.clone(), text });
        let mut longest = None;
        for live in self.own() {
            let Some(borne) = lifetime(live) else { return Err(Verdict::Endless { because: self.unmarked() }) };
            longest = longest.max(Some(borne.map_err(|text| no_time(live, text))?));
        }
        let mut extended_until = None;
        for live in self.stacks.iter().map(|found| &found.stack).filter(|live| is_extension(live)) {
            extended_until = extended_until.max(Some(until(live).map_err(|text| no_time(live, text))?));
        }
        // All else of the environment is gone already.
        if let (None, Some(ends)) = (longest, extended_until) {
            return Ok(End { ends, extended_until });
        }
        let Some(mut longest) = longest else { return Err(Verdict::Endless { because: Endless::NoLifetime }) };
        for (known, _) in self.candidates {
            let Some(said) = known.lifetime else { return Err(Verdict::Endless { because: Endless::NotInFile }) };
            longest = longest.max(said);
        }
        let Some(born) = born(self.own()) else { return Err(unknown(Ignorance::NoClock)) };
        let Some(ends) = after(born, longest) else { return Err(Verdict::Endless { because: Endless::NoLifetime }) };
        Ok(End { ends: extended_until.map_or(ends, |until| until.max(ends)), extended_until })
    }

    fn verdict(&self, ends: Timestamp) -> Verdict {
        let Some(now) = self.world.now else { return Verdict::Unknown { because: Ignorance::NoClock } };
        if ends > now {
            return Verdict::Lives;
        }
        if self.candidates.iter().any(|(known, _)| known.is_protected) {
            return Verdict::Protected;
        }
        let unread = self.unread();
        if !unread.is_empty() {
            return Verdict::Unknown { because: Ignorance::Unread { places: unread } };
        }
        match self.doubt() {
            Some(because) => Verdict::Doubtful { because },
            None => Verdict::Over,
        }
    }

    fn doubt(&self) -> Option<Doubt> {
        if self.candidates.len() > 1 {
            let files = self.candidates.iter().map(|(known, _)| known.file.clone()).collect();
            return Some(Doubt::SeveralFiles { files });
        }
        // Tags are easily copied. What was deployed says so at the end of its description, too.
        let is_made_by_us = |live: &&LiveStack| live.description.as_deref().and_then(marks::read).is_some();
        let foreign = self.stacks.iter().map(|found| &found.stack).filter(|live| !is_made_by_us(live));
        let stacks: Vec<String> = foreign.map(|live| live.name.clone()).collect();
        (!stacks.is_empty()).then_some(Doubt::NotMadeByUs { stacks })
    }

    fn own(&self) -> impl Iterator<Item = &LiveStack> {
        self.stacks.iter().map(|found| &found.stack).filter(|live| !is_extension(live))
    }

    fn unmarked(&self) -> Endless {
        let has_lifetime = self.candidates.iter().any(|(known, _)| known.lifetime.is_some());
        if has_lifetime { Endless::NotDeployed } else { Endless::NoLifetime }
    }

    /// Where something of it may be and nobody could look. Without a file, that is anywhere.
    fn unread(&self) -> Vec<String> {
        let is_its_own = |place: &Place| self.candidates.iter().any(|(known, _)| known.places.contains(place));
        let unread = self.world.unread.iter().map(|unread| &unread.place);
        let unread = unread.filter(|place| self.candidates.is_empty() || is_its_own(place));
        unread.map(|place| format!("{} {}", place.account, place.region)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::StackStatus;
    use crate::deploy::lifetime::UNTIL;
    use crate::reap::{Copy, Unread};

    /// It is ten o'clock on the first day.
    const NOW: i64 = 10;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(hour * 3_600).expect("a moment")
    }

    fn place(account: &str) -> Place {
        Place { account: account.to_owned(), region: "r".to_owned(), role: None }
    }

    /// `name account words…`: `named`, `protected`, `8h`.
    fn known(words: &str) -> Known {
        let words: Vec<&str> = words.split(' ').collect();
        Known {
            file: words[0].to_owned(),
            project: "sync".to_owned(),
            is_named: words.contains(&"named"),
            is_protected: words.contains(&"protected"),
            lifetime: words.iter().find_map(|word| crate::environment::shape::parse_duration(word)),
            places: [place(words[1])].into(),
        }
    }

    /// `environment/stack account born [lifetime] words…`: `other` (project), `unmade` (by us), `planned`, `until=HOUR`.
    fn found(words: &str) -> Found {
        let words: Vec<&str> = words.split(' ').collect();
        let has = |word: &str| words.contains(&word);
        let (environment, stack) = words[0].split_once('/').expect("a stack");
        let mark = |name: &str, value: &str| (format!("greenroom:{name}"), value.to_owned());
        let project = if has("other") { "other" } else { "sync" };
        let lifetime = words.iter().skip(3).find(|word| word.ends_with('h')).map(|text| mark("lifetime", text));
        let marks = [mark("project", project), mark("environment", environment), mark("stack", stack)];
        let until = words.iter().find_map(|word| word.strip_prefix("until="));
        let until = until.map(|text| text.parse().map_or_else(|_| text.to_owned(), |hour| at(hour).to_string()));
        let stack = LiveStack {
            id: words[0].to_owned(),
            name: words[0].replace('/', "-"),
            status: if has("planned") { StackStatus::ReviewInProgress } else { StackStatus::CreateComplete },
            created: Some(at(words[2].parse().expect("an hour"))),
            description: (!has("unmade")).then(|| "x [greenroom 0123456789abcdef]".to_owned()),
            tags: marks.into_iter().chain(lifetime).collect(),
            parameters: until.map(|until| (UNTIL.to_owned(), until)).into_iter().collect(),
            ..LiveStack::default()
        };
        Found { place: place(words[1]), stack }
    }

    fn world(stacks: &[&str], unread: &[&str]) -> World {
        let unread = unread.iter().map(|it| Unread { place: place(it), because: String::new(), hints: Vec::new() });
        World {
            now: Some(at(NOW)),
            stacks: stacks.iter().map(|it| found(it)).collect(),
            unread: unread.collect(),
            ..World::default()
        }
    }

    fn reads(files: &[&str], world: &World) -> Vec<String> {
        let files: Vec<Known> = files.iter().map(|it| known(it)).collect();
        let hour = |moment: Timestamp| moment.as_second() / 3_600;
        let told = |it: &Judged| match it.ends {
            Some(ends) => format!("{} {}: {}", it.environment, hour(ends), it.verdict),
            None => format!("{}: {}", it.environment, it.verdict),
        };
        plan(&files, world).iter().map(told).collect()
    }

    #[track_caller]
    fn check(files: &[&str], stacks: &[&str], expectation: &[&str]) {
        assert_eq!(reads(files, &world(stacks, &[])), expectation);
    }

    #[track_caller]
    fn check_unread(files: &[&str], stacks: &[&str], unread: &[&str], expectation: &[&str]) {
        assert_eq!(reads(files, &world(stacks, unread)), expectation);
    }

    #[test]
    fn a_lifetime_is_counted_from_the_oldest_stack_that_was_ever_created() {
        let young = ["lab/store a 3 8h", "lab/api a 9 8h"];
        check(&["lab a 8h"], &young, &["lab 11: it has time left"]);
        let old = ["lab/store a 2 8h", "lab/api a 9 8h"];
        check(&["lab a 8h"], &old, &["lab 10: its lifetime is over"]);
        check(&["lab a 8h"], &["lab/store a 3 8h", "lab/api a 1 8h planned"], &["lab 11: it has time left"]);
    }

    #[test]
    fn file_and_stacks_must_agree_that_it_is_over() {
        check(&["lab a 24h"], &["lab/store a 1 8h"], &["lab 25: it has time left"]);
        check(&["lab a 1h"], &["lab/store a 3 8h"], &["lab 11: it has time left"]);
        let gone = "lab: it never ends by itself: its file has no lifetime any more";
        check(&["lab a"], &["lab/store a 1 8h"], &[gone]);
        let fresh = "lab: it never ends by itself: its stacks do not bear the lifetime of its file yet; deploy it";
        check(&["lab a 1h"], &["lab/store a 1"], &[fresh]);
        check(&["lab a 1h"], &["lab/store a 1 1h", "lab/api a 1"], &[fresh]);
        check(&["lab a"], &["lab/store a 1"], &["lab: it never ends by itself: it has no lifetime"]);
    }

    #[test]
    fn an_extension_counts_where_it_is_later() {
        let extended = |until: &str| ["lab/store a 1 8h".to_owned(), format!("lab/@extension a 5 8h until={until}")];
        let check = |until: &str, expectation: &str| {
            let stacks = extended(until);
            check(&["lab a 8h"], &stacks.each_ref().map(String::as_str), &[expectation]);
        };
        check("11", "lab 11: it has time left");
        check("10", "lab 10: its lifetime is over");
        check("3", "lab 9: its lifetime is over");
        check("soon", "lab: stack `lab-@extension` says `soon`, which is no time");
    }

    #[test]
    fn an_extension_that_was_left_behind_ends_when_it_says() {
        check(&["lab a 8h"], &["lab/@extension a 1 8h until=9"], &["lab 9: its lifetime is over"]);
        check(&[], &["lab/@extension a 1 8h until=9"], &[]);
    }

    #[test]
    fn one_of_many_is_known_by_its_marks() {
        check(&["scratch a named 4h"], &["scratch-pr-812/store a 1 4h"], &["scratch@pr-812 5: its lifetime is over"]);
        // Nobody can type `scratch@`, nor `scratchy` for `scratch@y`.
        check(&["scratch a named 4h", "x b"], &["scratchy/store a 1 4h"], &["scratchy 5: its lifetime is over"]);
    }

    #[test]
    fn a_file_that_is_gone_keeps_nothing_alive() {
        check(&["lab a 8h"], &["old/store a 1 8h"], &["old 9: its lifetime is over"]);
        check(&["lab a 8h"], &["old/store a 1"], &["old: it never ends by itself: it has no lifetime"]);
    }

    #[test]
    fn what_is_protected_stays() {
        check(&["lab a 8h protected"], &["lab/store a 1 8h"], &["lab 9: it is protected"]);
    }

    #[test]
    fn what_is_not_ours_is_not_seen() {
        check(&["lab a 8h"], &["lab/store a 1 8h other", "@bootstrap/bucket a 1 8h"], &[]);
    }

    #[test]
    fn what_bears_our_marks_and_was_made_by_others_is_doubtful() {
        let told = "lab 9: `lab-copy` bears its marks, but greenroom did not make it";
        check(&["lab a 8h"], &["lab/store a 1 8h", "lab/copy a 1 8h unmade"], &[told]);
    }

    #[test]
    fn what_may_be_of_two_files_is_doubtful() {
        let told = "scratch-pr 9: it may be that of environments/scratch.yaml or of environments/scratch-pr.yaml";
        check(&["scratch a named 8h", "scratch-pr a 8h"], &["scratch-pr/store a 1 8h"], &[told]);
    }

    #[test]
    fn what_could_not_be_read_keeps_what_it_may_be_about() {
        let unknown = |name: &str| format!("{name} 9: part of it may be in b r, which could not be looked at");
        let (lab, old) = (["lab/store a 1 8h"], ["old/store a 1 8h"]);
        check_unread(&["lab a 8h", "live b"], &lab, &["b"], &["lab 9: its lifetime is over"]);
        check_unread(&["lab b 8h", "live a"], &lab, &["b"], &[&unknown("lab")]);
        check_unread(&["live b"], &old, &["b"], &[&unknown("old")]);
    }

    #[test]
    fn copies_of_a_clone_go_when_they_are_old_and_alone() {
        let with = |created: &[Option<i64>], stacks: &[&str]| {
            let copy = |hour: &Option<i64>| Copy { file: "twin".to_owned(), created: hour.map(at) };
            World { copies: created.iter().map(copy).collect(), ..world(stacks, &[]) }
        };
        let files = ["twin a 4h"];
        assert_eq!(reads(&files, &with(&[Some(1), Some(5)], &[])), ["twin 9: its lifetime is over"]);
        assert_eq!(reads(&files, &with(&[Some(1), Some(7)], &[])), ["twin 11: it has time left"]);
        assert_eq!(reads(&files, &with(&[Some(1), None], &[])), Vec::<String>::new());
        assert_eq!(reads(&["twin a 4h protected"], &with(&[Some(1)], &[])), Vec::<String>::new());
        assert_eq!(reads(&files, &with(&[Some(1)], &["twin/store a 8 4h"])), ["twin 12: it has time left"]);
    }

    #[test]
    fn without_a_clock_nothing_is_over() {
        let world = World { now: None, ..world(&["lab/store a 1 8h"], &[]) };
        assert_eq!(reads(&["lab a 8h"], &world), ["lab 9: the cloud did not say how old it is"]);
    }
}
