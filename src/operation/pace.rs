//! How often to look, how long to be patient, and how much to do at once.

use std::num::NonZeroUsize;
use std::time::Duration;

use tokio::time::Instant;

/// The tempo of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The pause after which [`drive`](super::drive()) looks again while there is news. More than
    /// zero.
    pub shortest_pause: Duration,
    /// What the pause grows to while there is none.
    pub longest_pause: Duration,
    /// How long there may be no news before the run gives up waiting.
    pub patience: Duration,
    /// How many steps are in flight at most.
    pub steps_at_once: NonZeroUsize,
}

impl Pace {
    /// One look is a handful of calls. AWS publishes no limit; users report five `DescribeStacks` a
    /// second for an account and Region, unconfirmed, and colleagues share it.
    const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

    /// What is silent for minutes is watched by people who have turned away. Longer would save few
    /// calls and make every dependent stack start that much later.
    const LONGEST_PAUSE: Duration = Duration::from_secs(20);

    /// Meant to be longer than any silence of a healthy service; creating a large database under
    /// one unchanging status is the longest we expect. Chosen, not measured: shorter makes healthy
    /// runs end unfinished, longer makes stuck ones cost an evening.
    const PATIENCE: Duration = Duration::from_hours(1);

    /// A burst of writes is what an account's limits feel first, and they are not published. Chosen,
    /// not measured: enough for the independent stacks of an ordinary environment.
    const STEPS_AT_ONCE: NonZeroUsize = NonZeroUsize::new(8).expect("eight is not zero");

    /// A pause is this part of the silence so far: what took a minute is noticed within eight
    /// seconds of its end, after some two dozen looks, and what takes an hour costs no more calls
    /// than are worth it.
    const SILENCE_PER_PAUSE: u32 = 8;

    /// Says how long to pause after a silence.
    pub fn pause(&self, silence: Duration) -> Duration {
        (silence / Self::SILENCE_PER_PAUSE).min(self.longest_pause).max(self.shortest_pause)
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            shortest_pause: Self::SHORTEST_PAUSE,
            longest_pause: Self::LONGEST_PAUSE,
            patience: Self::PATIENCE,
            steps_at_once: Self::STEPS_AT_ONCE,
        }
    }
}

/// The patience of one run. News renew it, and news are what this run has not heard before.
///
/// That a plan merely differs from the last one is not enough: a world that goes back and forth
/// between two plans would be waited for without end.
#[derive(Debug)]
pub(super) struct Patience<News> {
    pace: Pace,
    heard: Vec<News>,
    renewed: Instant,
}

impl<News: Clone + PartialEq> Patience<News> {
    pub(super) fn new(pace: Pace) -> Self {
        Self { pace, heard: Vec::new(), renewed: Instant::now() }
    }

    pub(super) fn hear(&mut self, news: &News) {
        if self.heard.contains(news) {
            return;
        }
        self.heard.push(news.clone());
        self.renewed = Instant::now();
    }

    /// The pause to make before the next look; none when patience has run out. The last pause ends
    /// with it.
    pub(super) fn pause(&self) -> Option<Duration> {
        let silence = self.renewed.elapsed();
        let left = self.pace.patience.checked_sub(silence).filter(|left| !left.is_zero())?;
        Some(self.pace.pause(silence).min(left))
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn looks_often_at_first_and_less_often_the_longer_nothing_happens() {
        let pace = Pace::default();
        let pauses = [0, 4, 16, 80, 3_000].map(|silence| pace.pause(seconds(silence)));
        assert_eq!(pauses, [1, 1, 2, 10, 20].map(seconds));
    }

    #[test]
    fn a_pause_longer_at_its_shortest_than_at_its_longest_is_no_panic() {
        let pace = Pace { shortest_pause: seconds(30), ..Pace::default() };
        assert_eq!(pace.pause(seconds(3_000)), seconds(30));
    }

    #[tokio::test(start_paused = true)]
    async fn runs_out_when_there_is_no_news() {
        let patience = Patience::<u8>::new(Pace { patience: seconds(60), ..Pace::default() });
        advance(seconds(59)).await;
        assert_eq!(patience.pause(), Some(seconds(1)), "the last pause ends with the patience");
        advance(seconds(1)).await;
        assert_eq!(patience.pause(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn is_renewed_by_news() {
        let mut patience = Patience::new(Pace { patience: seconds(60), ..Pace::default() });
        for percent in 0..100 {
            advance(seconds(59)).await;
            patience.hear(&percent);
            assert_eq!(patience.pause(), Some(seconds(1)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn is_not_renewed_by_what_was_heard_before() {
        let mut patience = Patience::new(Pace { patience: seconds(60), ..Pace::default() });
        for news in ["there", "back", "there", "back"] {
            patience.hear(&news);
            advance(seconds(20)).await;
        }
        assert_eq!(patience.pause(), None);
    }
}
