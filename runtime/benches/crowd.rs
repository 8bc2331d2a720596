//! A crowd: a million fibers, half of which wait for a message, each on a channel of its own, and half sleep for an hour; then
//! all are woken, by their message or a cancel, and joined.
//!
//! Run with `cargo bench -p kapok-runtime --bench crowd [-- COUNT]`. The fibers' stacks have 64 KiB. Nothing ran before, so what
//! the kernel takes to hand out memory is counted.

#[path = "support/memory.rs"]
mod memory;

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use kapok_runtime::sync::oneshot;
use kapok_runtime::{Builder, JoinHandle, sleep, yield_now};
use memory::{occupied, peak};

fn main() {
    let count = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(1_000_000_u64);
    let (before, start) = (occupied(), Instant::now());
    let waiting = Rc::new(Cell::new(0));
    let (mut senders, mut receivers, mut sleepers) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..count {
        let waiting = Rc::clone(&waiting);
        if number % 2 == 0 {
            let (sender, receiver) = oneshot::channel();
            senders.push(sender);
            receivers.push(spawn(move || {
                note_waiting(&waiting);
                receiver.recv().expect("a message comes")
            }));
        } else {
            // All different, as in a real program.
            let time =
                Duration::from_secs(60 * 60) + Duration::from_micros(number * 7_919 % 1_000_003);
            sleepers.push(spawn(move || {
                note_waiting(&waiting);
                sleep(time);
            }));
        }
    }
    while waiting.get() < count {
        yield_now();
    }
    report_time("kapok start", start, count);
    report_bytes("kapok memory while all wait", occupied() - before, count);

    let start = Instant::now();
    for (sender, message) in senders.into_iter().zip(0_u64..) {
        sender.send(message).expect("the receiver waits");
    }
    sleepers.iter().for_each(JoinHandle::cancel);
    for (receiver, message) in receivers.into_iter().zip(0..) {
        assert_eq!(receiver.join().expect("only receives"), message);
    }
    for sleeper in sleepers {
        assert!(sleeper.join().is_err_and(|error| error.is_cancelled()));
    }
    report_time("kapok wake and join", start, count);
    report_bytes("kapok memory at its highest", peak() - before, count);
}

fn spawn<T: 'static>(body: impl FnOnce() -> T + 'static) -> JoinHandle<T> {
    let fiber = Builder::new().stack_size(64 * 1024).spawn(body);
    fiber.expect("there is memory for the crowd")
}

/// Tells now and then how many wait, for the case that no more of them are possible.
#[expect(clippy::print_stdout, reason = "a benchmark's output")]
fn note_waiting(waiting: &Cell<u64>) {
    waiting.set(waiting.get() + 1);
    if waiting.get().is_multiple_of(1_000) {
        println!("waiting so far: {} tasks", waiting.get());
    }
}

#[expect(clippy::print_stdout, reason = "a benchmark's output")]
fn report_time(name: &str, start: Instant, count: u64) {
    let nanoseconds = start.elapsed().as_nanos() as f64 / count as f64;
    println!("{name}: {nanoseconds:.1} ns");
}

#[expect(clippy::print_stdout, reason = "a benchmark's output")]
fn report_bytes(name: &str, bytes: f64, count: u64) {
    println!("{name}: {:.0} bytes", bytes / count as f64);
}
