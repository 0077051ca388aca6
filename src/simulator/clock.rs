//! Virtual now, from the machine's clock and the chosen pace. Virtual time stands still while the server is down: it goes
//! on from what was stored.

use super::moment::Moment;
use super::settings::Pace;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Turns real time into virtual time.
#[derive(Debug)]
pub(crate) struct Clock {
    pace: Pace,
    began: Instant,
    at: Moment,
}

impl Clock {
    /// A clock that shows this moment now.
    pub(crate) fn from(at: Moment, pace: Pace) -> Self {
        Self { pace, began: Instant::now(), at }
    }

    /// What the clock shows now.
    pub(crate) fn now(&self) -> Moment {
        let factor = match self.pace {
            Pace::Scaled(factor) => u128::from(factor),
            Pace::Manual => 0,
            Pace::Auto => 1,
        };
        let passed = self.began.elapsed().as_millis().saturating_mul(factor);
        Moment(self.at.0.saturating_add(u64::try_from(passed).unwrap_or(u64::MAX)))
    }

    /// The world went ahead of the clock: a test advanced it, or a read jumped.
    pub(crate) fn catch_up(&mut self, with: Moment) {
        if with > self.now() {
            *self = Self::from(with, self.pace);
        }
    }
}

/// The machine's time.
pub(crate) fn machine_now() -> Moment {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Moment(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
