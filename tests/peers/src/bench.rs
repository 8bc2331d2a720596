//! The operations measured without any I/O, and the clocks around them.
//!
//! Every system runs the same batches: as many as fit into a given time after one that is thrown away, which fills pools
//! and caches. The clocks are read once a batch, so they cost the operations nothing.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// How many tasks take turns in [`YIELD`].
pub const YIELDING_TASKS: u64 = 100;

/// Tasks of one thread that do nothing but let the next one run.
pub const YIELD: Benchmark = Benchmark {
    name: "yield x100",
    operations: YIELDING_TASKS * YIELDS_PER_TASK,
    report: Report::Time,
};

/// How often each task of [`YIELD`] yields in one batch; large enough that spawning the tasks does not count.
pub const YIELDS_PER_TASK: u64 = 1_000;

/// A task that does nothing is spawned and waited for before the next one is.
pub const SPAWN_AND_JOIN: Benchmark = Benchmark {
    name: "spawn+join one at a time",
    operations: 10_000,
    report: Report::Time,
};

/// All tasks are spawned before the first is waited for; both are counted.
pub const SPAWN_MANY: Benchmark = Benchmark {
    name: "spawn 10k then join",
    operations: 10_000,
    report: Report::Time,
};

/// A message to another task of the same thread and its answer, over one channel in each direction.
pub const PING_PONG: Benchmark = Benchmark {
    name: "channel ping-pong round trip",
    operations: 10_000,
    report: Report::Time,
};

/// A lock that nobody else wants is taken and released.
pub const MUTEX: Benchmark = Benchmark {
    name: "mutex lock+unlock",
    operations: 100_000,
    report: Report::Time,
};

/// A limit of an hour is set to an operation that is complete at once. A lazy system sets no timer for it.
pub const TIMEOUT_OF_READY: Benchmark = Benchmark {
    name: "timeout around what is ready",
    operations: 1_000_000,
    report: Report::Time,
};

/// The same around an operation that waits once, for its next turn: the timer is set and taken back.
pub const TIMEOUT_OF_YIELD: Benchmark = Benchmark {
    name: "timeout around a yield",
    operations: 1_000_000,
    report: Report::Time,
};

/// Timers that wake no task of their own are all set before the first is taken back.
pub const TIMERS: Benchmark = Benchmark {
    name: "1M timers set, then taken back",
    operations: 1_000_000,
    report: Report::Time,
};

/// Tasks are spawned and go to sleep; then all are cancelled, then waited for.
pub const SLEEPERS: Benchmark = Benchmark {
    name: "100k sleeping tasks spawned, then cancelled",
    operations: 100_000,
    report: Report::Time,
};

/// Tasks of one thread that all sleep at once, each for its [`short_sleep`]: from the first spawn to the end of the last.
pub const SLEEPS: Benchmark = Benchmark {
    name: "100k sleeps of 1 to 100 ms",
    operations: SLEEPS_COUNT,
    report: Report::Batch,
};

/// How many tasks sleep in [`SLEEPS`].
pub const SLEEPS_COUNT: u64 = 100_000;

/// How many messages a channel holds if it is bounded.
pub const CHANNEL_BOUND: usize = 1024;

/// How many tasks send in [`MANY_TO_MANY`], and how many receive.
pub const MANY: u64 = 4;

/// Numbers go from one thread to another, over a channel of [`CHANNEL_BOUND`] messages.
pub const BOUNDED: Benchmark = Benchmark {
    name: "bounded(1024), 1 to 1",
    operations: MESSAGES,
    report: Report::Rate,
};

/// The same over a channel without a bound.
pub const UNBOUNDED: Benchmark = Benchmark {
    name: "unbounded, 1 to 1",
    operations: MESSAGES,
    report: Report::Rate,
};

/// [`MANY`] tasks of one thread send to as many of another, over one channel of [`CHANNEL_BOUND`] messages.
pub const MANY_TO_MANY: Benchmark = Benchmark {
    name: "bounded(1024), 4 to 4",
    operations: MESSAGES,
    report: Report::Rate,
};

/// How many messages one batch sends from thread to thread; large enough that starting the threads does not count.
pub const MESSAGES: u64 = 1_000_000;

/// How long the sleeper of this number sleeps in [`SLEEPS`]: 1 to 100 ms, in an order without a pattern.
pub fn short_sleep(number: u64) -> Duration {
    Duration::from_micros(1_000 + number * 7_919 % 99_001)
}

/// When a timer that never goes off would: in an hour, each at another moment, as in a real program.
pub fn distant(number: u64) -> Duration {
    Duration::from_secs(60 * 60) + Duration::from_micros(number * 7_919 % 1_000_003)
}

/// One operation to measure.
#[derive(Clone, Copy, Debug)]
pub struct Benchmark {
    /// The words of the table's row.
    pub name: &'static str,
    /// How many operations a batch holds.
    pub operations: u64,
    /// What is told of it.
    pub report: Report,
}

/// The figures that are told of a benchmark.
#[derive(Clone, Copy, Debug)]
pub enum Report {
    /// Nanoseconds a batch and in it an operation takes.
    Time,
    /// Messages a second; and the processor time of one, in all threads, which tells more than the clock where threads wait
    /// for each other and spin.
    Rate,
    /// Milliseconds a batch takes, and its processor time.
    Batch,
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
    Counting { since: Clocks, batches: u64 },
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
                    since: Clocks::now(),
                    batches: 0,
                };
                true
            }
            State::Counting { since, batches } => {
                *batches += 1;
                if since.time.elapsed() < self.runner.duration {
                    return true;
                }
                let (since, batches) = (*since, *batches);
                self.tell(since, batches);
                false
            }
        }
    }

    fn tell(&self, since: Clocks, batches: u64) {
        let now = Clocks::now();
        let nanoseconds = (now.time - since.time).as_nanos() as f64;
        let processor_nanoseconds = (now.processor_time - since.processor_time).as_nanos() as f64;
        let row = format!("{} {}", self.runner.system, self.benchmark.name);
        let operations = (batches * self.benchmark.operations) as f64;
        match self.benchmark.report {
            Report::Time => println!("{row}: {:.1} ns", nanoseconds / operations),
            Report::Rate => {
                println!("{row}: {:.0} messages/s", operations * 1e9 / nanoseconds);
                let each = processor_nanoseconds / operations;
                println!("{row}, processor time: {each:.1} ns");
            }
            Report::Batch => {
                let batches = batches as f64;
                println!("{row}: {:.1} ms", nanoseconds / 1e6 / batches);
                let each = processor_nanoseconds / 1e6 / batches;
                println!("{row}, processor time: {each:.1} ms");
            }
        }
    }
}

/// What time it is, and how much processor time all threads of this process have used.
#[derive(Clone, Copy, Debug)]
struct Clocks {
    time: Instant,
    processor_time: Duration,
}

impl Clocks {
    fn now() -> Self {
        let used = clock_gettime(ClockId::ProcessCPUTime);
        Self {
            time: Instant::now(),
            processor_time: Duration::try_from(used).expect("what was used is not below zero"),
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

    #[test]
    fn sleeps_are_spread_over_all_of_their_range() {
        let mut sleeps: Vec<_> = (0..SLEEPS_COUNT).map(short_sleep).collect();
        sleeps.sort();
        assert_eq!(sleeps[0], Duration::from_millis(1));
        assert_eq!(sleeps[sleeps.len() - 1], Duration::from_millis(100));
        sleeps.dedup();
        assert_eq!(sleeps.len(), 99_001);
    }
}
