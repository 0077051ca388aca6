//! When an environment ends: counted from the creation of its oldest stack, unless it was extended.
//!
//! An extension is recorded where it cannot be lost: in a stack of its own beside those it is about. It bears the environment's marks,
//! so the one list that shows what would go shows also until when it may stay; nothing else has to be read, nothing is left behind,
//! and nobody needs a permission for one more service. A tag on the stacks themselves would reach every resource, and the next
//! deployment would take it back.

use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

use super::marks::TAG_PREFIX;
use super::world::{LiveStack, Phase};
use crate::environment::shape::parse_duration;

/// The mark `greenroom:stack` of an extension: nothing that a file can call a stack.
pub const EXTENSION: &str = "@extension";

/// The parameter of an extension that says until when.
pub const UNTIL: &str = "Until";

/// Whether a stack is no part of its environment, but says until when that may stay.
pub fn is_extension(live: &LiveStack) -> bool {
    mark(live, "stack") == Some(EXTENSION)
}

/// Until when an extension reaches; as it was written, where that is no moment.
///
/// # Errors
/// What stands in the moment's place.
pub fn until(extension: &LiveStack) -> Result<Timestamp, String> {
    // What was asked for, not what came of it: an extension that failed half-way is none that may be overlooked.
    let text = extension.parameters.get(UNTIL).cloned().unwrap_or_default();
    text.parse().map_err(|_| text)
}

/// When the oldest of these stacks was created, of those that ever were.
pub fn born<'a>(stacks: impl IntoIterator<Item = &'a LiveStack>) -> Option<Timestamp> {
    let is_alive = |live: &&LiveStack| !matches!(live.status.phase(), Phase::Gone | Phase::Empty);
    let stacks = stacks.into_iter().filter(is_alive).filter(|live| !is_extension(live));
    stacks.filter_map(|live| live.created).min()
}

/// The lifetime that a stack bears, as it was written where that is none.
///
/// # Errors
/// What stands in the lifetime's place.
pub fn lifetime(live: &LiveStack) -> Option<Result<Duration, String>> {
    let text = mark(live, "lifetime")?;
    Some(parse_duration(text).ok_or_else(|| text.to_owned()))
}

/// The moment so much later. A length of time that leaves the calendar never ends.
pub fn after(begin: Timestamp, duration: Duration) -> Option<Timestamp> {
    begin.checked_add(SignedDuration::try_from(duration).ok()?).ok()
}

/// One of the marks of a stack.
pub fn mark<'a>(live: &'a LiveStack, name: &str) -> Option<&'a str> {
    live.tags.get(&format!("{TAG_PREFIX}{name}")).map(String::as_str)
}
