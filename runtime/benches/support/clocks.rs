//! What time it is, and how much of the processor was used.

use std::time::{Duration, Instant};

/// Two clocks, started together.
#[derive(Debug)]
pub(crate) struct Clocks {
    time: Instant,
    processor_time: Option<Duration>,
}

impl Clocks {
    pub(crate) fn start() -> Self {
        Self {
            time: Instant::now(),
            processor_time: processor_time(),
        }
    }

    /// Seconds since the start.
    pub(crate) fn seconds(&self) -> f64 {
        self.time.elapsed().as_secs_f64()
    }

    /// Seconds of the processor that all threads of this process have used since the start, where that is known.
    pub(crate) fn processor_seconds(&self) -> Option<f64> {
        let before = self.processor_time?;
        Some((processor_time()? - before).as_secs_f64())
    }
}

#[cfg(target_os = "linux")]
fn processor_time() -> Option<Duration> {
    use rustix::time::{ClockId, clock_gettime};
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).ok()
}

#[cfg(not(target_os = "linux"))]
fn processor_time() -> Option<Duration> {
    None
}
