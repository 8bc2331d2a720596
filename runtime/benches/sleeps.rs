//! Many short sleeps at once: 100,000 fibers of one hub that sleep for 1 to 100 ms each, from the first spawn to the last end.
//!
//! Run with `cargo bench -p kapok-runtime --bench sleeps`. The fibers' stacks have 64 KiB. The first batch, which has to be given
//! its memory by the kernel, does not count.

#[path = "support/clocks.rs"]
mod clocks;

use std::time::Duration;

use clocks::Clocks;
use kapok_runtime::{Builder, sleep};

const SLEEPERS: u64 = 100_000;
const BATCHES: u32 = 3;

fn main() {
    batch();
    let clocks = Clocks::start();
    for _ in 0..BATCHES {
        batch();
    }
    let name = "kapok 100k sleeps of 1 to 100 ms";
    report(name, clocks.seconds());
    if let Some(seconds) = clocks.processor_seconds() {
        report(&format!("{name}, processor time"), seconds);
    }
}

fn batch() {
    let fibers: Vec<_> = (0..SLEEPERS)
        .map(|number| {
            // In an order without a pattern; tests/peers has the same for its peers.
            let time = Duration::from_micros(1_000 + number * 7_919 % 99_001);
            Builder::new()
                .stack_size(64 * 1024)
                .spawn(move || sleep(time))
                .expect("there is memory for the sleepers")
        })
        .collect();
    for fiber in fibers {
        fiber.join().expect("only sleeps");
    }
}

#[expect(clippy::print_stdout, reason = "a benchmark's output")]
fn report(name: &str, seconds: f64) {
    println!("{name}: {:.1} ms", seconds * 1e3 / f64::from(BATCHES));
}
