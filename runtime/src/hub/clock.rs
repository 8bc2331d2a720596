//! A hub's clock: nanoseconds since the hub was made, in a `u64`.

use std::time::{Duration, Instant};

#[cfg(target_os = "linux")]
use rustix::time::ClockId;

use crate::fiber::slot::NEVER;

#[derive(Debug)]
pub(crate) struct Clock {
    start: Instant,
    /// `start` on the kernel's monotonic clock in nanoseconds, or a little later.
    #[cfg(target_os = "linux")]
    system_start: u64,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            #[cfg(target_os = "linux")]
            system_start: nanoseconds_of(ClockId::Monotonic),
        }
    }

    #[inline]
    pub(crate) fn now(&self) -> u64 {
        self.nanoseconds(Instant::now())
    }

    /// An instant on this clock; one that lies before its start is its start.
    pub(crate) fn nanoseconds(&self, instant: Instant) -> u64 {
        u64::try_from(instant.saturating_duration_since(self.start).as_nanos()).unwrap_or(NEVER)
    }

    /// A time on this clock as an instant, if there is one so late.
    pub(crate) fn instant(&self, nanoseconds: u64) -> Option<Instant> {
        self.start.checked_add(Duration::from_nanos(nanoseconds))
    }

    /// What the system's monotonic clock shows then, or a little later.
    pub(crate) fn system_time(&self, nanoseconds: u64) -> Duration {
        #[cfg(target_os = "linux")]
        let nanoseconds = nanoseconds.saturating_add(self.system_start);
        Duration::from_nanos(nanoseconds)
    }

    /// The end of a wait that starts now and lasts at least as long as asked.
    #[inline]
    pub(crate) fn deadline_after(&self, duration: Duration) -> u64 {
        u64::try_from(duration.as_nanos())
            .map_or(NEVER, |nanoseconds| self.now().saturating_add(nanoseconds))
    }

    /// The same for so many nanoseconds, and maybe a 64th more if that is 150 ms or more, at a fifth of the cost.
    #[inline]
    pub(crate) fn rough_deadline_after(&self, nanoseconds: u64) -> u64 {
        #[cfg(target_os = "linux")]
        if nanoseconds >= ROUGH_MIN {
            // What the kernel noted at its last tick, at most 10 ms ago; the 64th makes up for it.
            let now = nanoseconds_of(ClockId::MonotonicCoarse).saturating_sub(self.system_start);
            let longest = nanoseconds.saturating_add(nanoseconds / 64);
            return now.saturating_add(longest);
        }
        self.now().saturating_add(nanoseconds)
    }
}

/// Timeouts from here on are to keep a peer from occupying something for ever, and need not be exact.
#[cfg(target_os = "linux")]
const ROUGH_MIN: u64 = 10_000_000_000;

#[cfg(target_os = "linux")]
#[inline]
fn nanoseconds_of(clock: ClockId) -> u64 {
    let time = rustix::time::clock_gettime(clock);
    // The time since the system started is never negative, and no system runs for 584 years.
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rough_deadline_is_late_by_a_64th_and_never_early() {
        let clock = Clock::new();
        for seconds in [1, 9, 10, 64, 1_000_000] {
            let (timeout, sixty_fourth) = (
                Duration::from_secs(seconds),
                Duration::from_secs(seconds) / 64,
            );
            for _ in 0..1000 {
                let earliest = clock.deadline_after(timeout);
                let rough = clock.rough_deadline_after(timeout.as_nanos() as u64);
                let latest = clock.deadline_after(timeout + sixty_fourth);
                assert!(
                    (earliest..=latest).contains(&rough),
                    "{earliest} {rough} {latest}"
                );
            }
        }
        assert_eq!(clock.rough_deadline_after(NEVER), NEVER);
        assert_eq!(clock.rough_deadline_after(NEVER - 1), NEVER);
    }
}
