//! Many tasks that sleep at once and shortly: `sleeps SYSTEM SECONDS` prints how long a batch of them takes, and what it uses of
//! the processor. All on one thread; see [`SLEEPS`].

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use peers::bench::{Runner, SLEEPS, SLEEPS_COUNT, short_sleep};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [system, seconds] = arguments.as_slice() else {
        return usage();
    };
    let Some(duration) = parse_seconds(seconds) else {
        return usage();
    };
    match system.as_str() {
        "may" => on_may(Runner::new("may", duration)),
        "monoio" => on_monoio(Runner::new("monoio", duration)),
        "smol" => on_smol(Runner::new("smol", duration)),
        "tokio" => on_tokio(Runner::new("tokio", duration)),
        _ => return usage(),
    }
    ExitCode::SUCCESS
}

fn parse_seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.parse().ok()?).ok()
}

fn usage() -> ExitCode {
    eprintln!("usage: sleeps may|monoio|smol|tokio SECONDS");
    ExitCode::FAILURE
}

fn on_tokio(runner: Runner) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("the driver of time asks the system for nothing");
    runtime.block_on(async {
        let mut batches = runner.start(SLEEPS);
        let mut tasks = Vec::new();
        while batches.another() {
            tasks.extend((0..SLEEPS_COUNT).map(|number| {
                tokio::spawn(async move { tokio::time::sleep(short_sleep(number)).await })
            }));
            for task in tasks.drain(..) {
                task.await.expect("the task does not panic");
            }
        }
    });
}

fn on_smol(runner: Runner) {
    let executor = smol::LocalExecutor::new();
    smol::block_on(executor.run(async {
        let mut batches = runner.start(SLEEPS);
        let mut tasks = Vec::new();
        while batches.another() {
            tasks.extend((0..SLEEPS_COUNT).map(|number| {
                executor.spawn(async move {
                    smol::Timer::after(short_sleep(number)).await;
                })
            }));
            for task in tasks.drain(..) {
                task.await;
            }
        }
    }));
}

fn on_monoio(runner: Runner) {
    let mut runtime = monoio::RuntimeBuilder::<monoio::LegacyDriver>::new()
        .enable_timer()
        .build()
        .expect("epoll is there");
    runtime.block_on(async {
        let mut batches = runner.start(SLEEPS);
        let mut tasks = Vec::new();
        while batches.another() {
            tasks.extend((0..SLEEPS_COUNT).map(|number| {
                monoio::spawn(async move { monoio::time::sleep(short_sleep(number)).await })
            }));
            for task in tasks.drain(..) {
                task.await;
            }
        }
    });
}

fn on_may(runner: Runner) {
    // The pool keeps all stacks: with the default of 1,000 most would be mapped and unmapped again in every batch. Where the
    // kernel allows a process 65,530 mappings, its default, may ends here; two of them are needed for each stack.
    may::config()
        .set_workers(1)
        .set_pool_capacity(usize::try_from(SLEEPS_COUNT).expect("it is a small number"))
        .set_worker_pin(false);
    may::go!(move || {
        let mut batches = runner.start(SLEEPS);
        let mut coroutines = Vec::new();
        while batches.another() {
            coroutines.extend(
                (0..SLEEPS_COUNT)
                    .map(|number| may::go!(move || may::coroutine::sleep(short_sleep(number)))),
            );
            for coroutine in coroutines.drain(..) {
                coroutine.join().expect("the coroutine does not panic");
            }
        }
    })
    .join()
    .expect("the sleepers do not panic");
}
