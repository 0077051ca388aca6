//! The one test binary: a second one would link everything a second time.
#![expect(clippy::unwrap_used, reason = "a test that cannot set its scene has nothing better to do than to stop")]

mod architecture;
mod diff;
mod explain;
mod graph;
mod init;
mod messages;
mod properties;
mod readme;
mod render;
mod schema;
mod shipped;
mod support;
