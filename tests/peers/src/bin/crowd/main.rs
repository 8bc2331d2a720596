//! A crowd: `crowd SYSTEM COUNT` starts COUNT tasks on one thread, half of which wait for a message, each on a channel of its
//! own, and half sleep for an hour; then it wakes all of them and waits for their ends.
//!
//! Prints what one of them occupies while all wait, and what its start and its end take.

mod may_coroutines;
mod smol_tasks;
mod stages;
mod tokio_tasks;

use std::env;
use std::io;
use std::process::ExitCode;

type Run = fn(u64) -> io::Result<()>;

const SYSTEMS: [(&str, Run); 3] = [
    ("may", may_coroutines::run),
    ("smol", smol_tasks::run),
    ("tokio", tokio_tasks::run),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [system, count] = arguments.as_slice() else {
        return usage();
    };
    let Ok(count) = count.parse() else {
        return usage();
    };
    let Some((_, run)) = SYSTEMS.into_iter().find(|(name, _)| name == system) else {
        return usage();
    };
    match run(count) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("crowd {system} {count}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    let names = SYSTEMS.map(|(name, _)| name).join("|");
    eprintln!("usage: crowd {names} COUNT");
    ExitCode::FAILURE
}
