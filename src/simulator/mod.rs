//! The local cloud: an HTTP server that speaks AWS's own wire protocols, for rehearsals without an account and for tests.
//!
//! A world is one value (`world.rs`), changed only by requests and by virtual time, so it can be stored, killed, replayed
//! and compared. `wire` turns HTTP into calls and answers into HTTP; each service has a file; `cloudformation` holds the
//! operations engine, `resources` what its handlers do. `control.rs` and `faults.rs` are for tests: what nobody may do to
//! AWS, and what AWS does to everybody.
//!
//! It imports nothing else of greenroom and is reached over HTTP only, so that other people's clients can judge it. It
//! proves nothing about AWS's latency, limits, prices, IAM or networks: nothing here evaluates them.

mod auto_scaling;
#[cfg(test)]
mod bench;
mod clock;
mod cloudcontrol;
mod cloudformation;
mod cloudtrail;
mod control;
mod ec2;
mod facts;
mod faults;
mod identifiers;
mod kms;
mod load_balancing;
mod moment;
mod paging;
mod parameters;
#[cfg(test)]
mod properties;
mod rds;
mod refusal;
mod resources;
mod s3;
mod secrets_manager;
mod server;
mod settings;
mod ssm;
mod store;
mod sts;
mod wire;
mod world;

pub use faults::Faults;
pub use moment::Moment;
pub use server::{Running, ServeError, serve};
pub use settings::{Durations, Pace, RepeatedToken, Rules, Settings};
pub use store::StoreError;
pub use wire::{Answer, Delivery, Request};
pub use world::World;
