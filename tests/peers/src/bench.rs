//! The operations measured without any I/O, and the clock around them.
//!
//! Every system runs the same batches: as many as fit into a given time after one that is thrown away, which fills pools
//! and caches. The clock is read once a batch, so it costs the operations nothing.

use std::time::{Duration, Instant};

/// How many tasks take turns in [`YIELD`].
pub const YIELDING_TASKS: u64 = 100;

/// Tasks of one thread that do nothing but let the next one run.
pub const YIELD: Benchmark = Benchmark {
    name: "yield x100",
    operations: YIELDING_TASKS * YIELDS_PER_TASK,
};

/// How often each task of [`YIELD`] yields in one batch; large enough that spawning the tasks does not count.
pub const YIELDS_PER_TASK: u64 = 1_000;

/// A task that does nothing is spawned and waited for before the next one is.
pub const SPAWN_AND_JOIN: Benchmark = Benchmark {
    name: "spawn+join one at a time",
    operations: 10_000,
};

/// All tasks are spawned before the first is waited for; both are counted.
pub const SPAWN_MANY: Benchmark = Benchmark {
    name: "spawn 10k then join",
    operations: 10_000,
};

/// A message to another task of the same thread and its answer, over one channel in each direction.
pub const PING_PONG: Benchmark = Benchmark {
    name: "channel ping-pong round trip",
    operations: 10_000,
};

/// A lock that nobody else wants is taken and released.
pub const MUTEX: Benchmark = Benchmark {
    name: "mutex lock+unlock",
    operations: 100_000,
};

/// One operation to measure.
#[derive(Clone, Copy, Debug)]
pub struct Benchmark {
    /// The words of the table's row.
    pub name: &'static str,
    /// How many operations a batch holds.
    pub operations: u64,
}

/// Starts the benchmarks of one system.
#[derive(Clone, Copy, Debug)]
pub struct Runner {
    system: &'static str,
    duration: Duration,
}

impl Runner {
    /// Measures `system` for `duration` a benchmark.
    pub fn new(system: &'static str, duration: Duration) -> Self {
        Self { system, duration }
    }

    /// Starts `benchmark`; the caller runs a batch as long as [`Batches::another`] says so.
    pub fn start(&self, benchmark: Benchmark) -> Batches {
        Batches {
            benchmark,
            runner: *self,
            state: State::New,
        }
    }
}

/// The batches of one running benchmark.
#[derive(Debug)]
pub struct Batches {
    benchmark: Benchmark,
    runner: Runner,
    state: State,
}

#[derive(Debug)]
enum State {
    New,
    WarmingUp,
    Counting { since: Instant, batches: u64 },
}

impl Batches {
    /// Says whether another batch is to be run, and prints the result when none is.
    pub fn another(&mut self) -> bool {
        match &mut self.state {
            State::New => {
                self.state = State::WarmingUp;
                true
            }
            State::WarmingUp => {
                self.state = State::Counting {
                    since: Instant::now(),
                    batches: 0,
                };
                true
            }
            State::Counting { since, batches } => {
                *batches += 1;
                let elapsed = since.elapsed();
                if elapsed < self.runner.duration {
                    return true;
                }
                let operations = *batches * self.benchmark.operations;
                println!(
                    "{} {}: {:.1} ns",
                    self.runner.system,
                    self.benchmark.name,
                    elapsed.as_nanos() as f64 / operations as f64
                );
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_batch_warms_up_and_at_least_one_counts() {
        let mut batches = Runner::new("nothing", Duration::ZERO).start(MUTEX);
        let mut run = 0;
        while batches.another() {
            run += 1;
        }
        assert_eq!(run, 2);
    }
}
