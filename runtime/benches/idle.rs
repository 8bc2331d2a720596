//! What an idle fiber costs: starts a million fibers that sleep, measures, and drains them.
//!
//! Run with `cargo bench -p kapok-runtime --bench idle [-- COUNT]`. Bytes are resident memory and page tables (`VmRSS` and
//! `VmPTE` of `/proc/self/status`), the fibers' stacks have 64 KiB.

#[path = "support/memory.rs"]
mod memory;

use std::time::{Duration, Instant};

use kapok_runtime::{Builder, drain, yield_now};
use memory::{occupied, peak};

fn main() {
    let count = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(1_000_000_usize);
    let (before, start) = (occupied(), Instant::now());
    for number in 0..count {
        // All different, as in a real program; none ends while we look.
        let time =
            Duration::from_secs(86_400) + Duration::from_micros(number as u64 * 7919 % 1_000_003);
        let fiber = Builder::new()
            .stack_size(64 * 1024)
            .spawn(move || kapok_runtime::sleep(time));
        drop(fiber.expect("there is memory for a million fibers"));
    }
    yield_now();
    let parked = occupied() - before;
    report("kapok idle fiber", parked / count as f64, "bytes");
    report("kapok start of all", start.elapsed().as_secs_f64(), "s");

    let start = Instant::now();
    drain(Duration::ZERO).expect("sleeping fibers unwind");
    report("kapok drain of all", start.elapsed().as_secs_f64(), "s");
    report(
        "kapok peak over parked",
        (peak() - before) / parked,
        "times",
    );
    report(
        "kapok left after the drain",
        (occupied() - before) / count as f64,
        "bytes a fiber",
    );
}

#[expect(clippy::print_stdout, reason = "a benchmark's output")]
fn report(name: &str, value: f64, unit: &str) {
    println!("{name}: {value:.2} {unit}");
}
