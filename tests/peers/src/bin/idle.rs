//! The price of waiting: `idle SYSTEM COUNT` starts COUNT tasks that sleep for a day and prints what one of them occupies.
//!
//! Counted are resident memory and page tables (see [`occupied_bytes`]) from before the runtime starts until the last task
//! sleeps, divided by COUNT; hence the share of the runtime itself disappears only with a large COUNT.

use std::error::Error;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{env, thread};

use peers::memory::occupied_bytes;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How many tasks have come to the point of going to sleep.
static ASLEEP: AtomicUsize = AtomicUsize::new(0);

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [system, count] = arguments.as_slice() else {
        return usage();
    };
    let Ok(count) = count.parse() else {
        return usage();
    };
    let outcome = match system.as_str() {
        "may" => on_may(count),
        "monoio" => on_monoio(count),
        "smol" => on_smol(count),
        "tokio" => on_tokio(count),
        _ => return usage(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("idle {system} {count}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: idle may|monoio|smol|tokio COUNT");
    ExitCode::FAILURE
}

fn on_tokio(count: usize) -> Outcome {
    let before = Before::new("tokio", count)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    runtime.block_on(async {
        for _ in 0..count {
            tokio::spawn(async {
                note_asleep();
                tokio::time::sleep(DAY).await;
            });
        }
        while !all_asleep(count) {
            tokio::task::yield_now().await;
        }
        before.report_and_exit()
    })
}

fn on_smol(count: usize) -> Outcome {
    let before = Before::new("smol", count)?;
    let executor = smol::LocalExecutor::new();
    smol::block_on(executor.run(async {
        for _ in 0..count {
            executor
                .spawn(async {
                    note_asleep();
                    smol::Timer::after(DAY).await;
                })
                .detach();
        }
        while !all_asleep(count) {
            smol::future::yield_now().await;
        }
        before.report_and_exit()
    }))
}

fn on_monoio(count: usize) -> Outcome {
    let before = Before::new("monoio", count)?;
    let mut runtime = monoio::RuntimeBuilder::<monoio::LegacyDriver>::new()
        .enable_timer()
        .build()?;
    runtime.block_on(async {
        for _ in 0..count {
            monoio::spawn(async {
                note_asleep();
                monoio::time::sleep(DAY).await;
            });
        }
        while !all_asleep(count) {
            // monoio has no call to yield; a short sleep lets the others run as well.
            monoio::time::sleep(Duration::from_millis(1)).await;
        }
        before.report_and_exit()
    })
}

fn on_may(count: usize) -> Outcome {
    let before = Before::new("may", count)?;
    may::config().set_workers(1).set_worker_pin(false);
    for _ in 0..count {
        may::go!(|| {
            note_asleep();
            may::coroutine::sleep(DAY);
        });
    }
    while !all_asleep(count) {
        thread::sleep(Duration::from_millis(1));
    }
    before.report_and_exit()
}

fn note_asleep() {
    ASLEEP.fetch_add(1, Ordering::Relaxed);
}

fn all_asleep(count: usize) -> bool {
    ASLEEP.load(Ordering::Relaxed) == count
}

/// The state of the process before the first task.
struct Before {
    system: &'static str,
    count: usize,
    occupied_bytes: u64,
    started: Instant,
}

impl Before {
    fn new(system: &'static str, count: usize) -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            system,
            count,
            occupied_bytes: occupied_bytes()?,
            started: Instant::now(),
        })
    }

    /// Prints the two figures and ends the process: nobody is going to wait a day, nor measure how tasks are dropped.
    fn report_and_exit(self) -> ! {
        let elapsed = self.started.elapsed();
        match occupied_bytes() {
            Ok(after) => {
                let count = self.count as f64;
                let bytes = after.saturating_sub(self.occupied_bytes) as f64 / count;
                let nanoseconds = elapsed.as_nanos() as f64 / count;
                println!("{} idle task memory: {bytes:.0} B", self.system);
                println!("{} idle task start: {nanoseconds:.0} ns", self.system);
                std::process::exit(0)
            }
            Err(error) => {
                eprintln!("idle {}: {error}", self.system);
                std::process::exit(1)
            }
        }
    }
}
