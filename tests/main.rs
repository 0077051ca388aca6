//! The one test binary: a second one would link everything a second time.
#![expect(clippy::unwrap_used, reason = "a test that cannot set its scene has nothing better to do than to stop")]
#![expect(clippy::needless_raw_string_hashes, reason = "expectations are written by `UPDATE_EXPECT=1`")]
#![expect(
    clippy::format_collect,
    clippy::format_push_string,
    reason = "scenes are short; how they are set must read well"
)]

mod affected;
mod architecture;
mod before_the_cloud;
mod bootstrap;
mod cancel;
mod clone;
mod consumers;
mod deploy;
mod destroy;
mod diff;
mod drift;
mod elk;
mod explain;
mod faults;
mod formats;
mod graph;
mod init;
mod kills;
mod log;
mod messages;
mod parity;
mod permissions;
mod pipeline;
mod preflight;
mod properties;
mod read_only;
mod readme;
mod reap;
mod recover;
mod render;
mod retry;
mod schema;
mod sealed;
mod shipped;
mod simulation;
mod states;
mod support;
mod who;
