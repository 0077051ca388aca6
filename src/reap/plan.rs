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
    let mut environments: BTreeMap<(String, String), Vec<Found>> = BTreeMap::new();
    for found in &world.stacks {
        let (Some(project), Some(word)) = (mark(&found.stack, "project"), mark(&found.stack, "environment")) else {
            continue;
        };
        // What belongs to no environment, such as buckets for templates, bears a word that nobody can type.
        if projects.contains(project) && word.parse::<EnvironmentName>().is_ok_and(|name| name.instance.is_none()) {
            environments.entry((word.to_owned(), project.to_owned())).or_default().push(found.clone());
        }
    }
    environments.into_iter().map(|((word, project), stacks)| judge(known, world, word, project, stacks)).collect()
}

fn judge(known: &[Known], world: &World, word: String, project: String, mut stacks: Vec<Found>) -> Judged {
    stacks.sort_by(|left, right| {
        right.stack.created.cmp(&left.stack.created).then_with(|| left.stack.name.cmp(&right.stack.name))
    });
    let candidates: Vec<(&Known, EnvironmentName)> =
        known.iter().filter_map(|it| Some((it, name_in(it, &project, &word)?))).collect();
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
        environment: one.map_or_else(|| word.clone(), |(_, name)| name.to_string()),
        file: one.map(|(known, _)| known.file.clone()),
        born: born(stacks.iter().map(|found| &found.stack)),
        word,
        project,
        stacks,
        ends,
        extended_until,
        verdict,
    }
}

/// The name under which a file stands for an environment, if it does. `scratch-pr-812` may be `scratch@pr-812`.
fn name_in(known: &Known, project: &str, word: &str) -> Option<EnvironmentName> {
    if known.project != project {
        return None;
    }
    if !known.is_named {
        return (known.file == word).then(|| EnvironmentName { file: known.file.clone(), instance: None });
    }
    let instance = word.strip_prefix(&known.file)?.strip_prefix('-')?;
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
