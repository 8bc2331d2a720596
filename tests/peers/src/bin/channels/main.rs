//! Channels between two threads: `channels SYSTEM SECONDS` runs each benchmark for SECONDS and prints messages a second and
//! the processor time of one.
//!
//! Every file is a kind of system. The channel is the fastest of those its users would take; a system leaves out what it does
//! not offer.

mod may_coroutines;
mod smol_tasks;
mod threads;
mod tokio_tasks;
mod tokio_threads;
mod with_flume;

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use peers::bench::Runner;

type Run = fn(Runner);

const SYSTEMS: [(&str, Run); 7] = [
    ("crossbeam", threads::run_crossbeam),
    ("flume", threads::run_flume),
    ("may", may_coroutines::run),
    ("smol", smol_tasks::run),
    ("std", threads::run_std),
    ("tokio", tokio_tasks::run),
    ("tokio_threads", tokio_threads::run),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [system, seconds] = arguments.as_slice() else {
        return usage();
    };
    let Some(duration) = parse_seconds(seconds) else {
        return usage();
    };
    let Some((name, run)) = SYSTEMS.into_iter().find(|(name, _)| name == system) else {
        return usage();
    };
    run(Runner::new(name, duration));
    ExitCode::SUCCESS
}

fn parse_seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.parse().ok()?).ok()
}

fn usage() -> ExitCode {
    let names = SYSTEMS.map(|(name, _)| name).join("|");
    eprintln!("usage: channels {names} SECONDS");
    ExitCode::FAILURE
}
