//! What tasks cost without I/O: `micro SYSTEM SECONDS` runs each benchmark for SECONDS and prints `SYSTEM BENCHMARK: N ns`.
//!
//! Every file is one system, set as its users would set it for one thread, and has its timers in a file of `timers/`. A system
//! leaves out what it does not offer.

mod floor;
mod may_coroutines;
mod monoio_tasks;
mod smol_tasks;
mod timers;
mod tokio_tasks;

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use peers::bench::Runner;

type Run = fn(Runner);

const SYSTEMS: [(&str, Run); 5] = [
    ("floor", floor::run),
    ("may", may_coroutines::run),
    ("monoio", monoio_tasks::run),
    ("smol", smol_tasks::run),
    ("tokio", tokio_tasks::run),
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
    eprintln!("usage: micro {names} SECONDS");
    ExitCode::FAILURE
}
