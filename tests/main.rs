//! The one test binary: a second one would link everything a second time.

mod architecture;
mod readme;
