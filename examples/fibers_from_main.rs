//! A few fibers from an ordinary `main`: no macro, no runtime object.
//!
//! Run it with `cargo run --release --example fibers_from_main`.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

fn main() {
    let start = Instant::now();
    // Fibers of one thread share what threads could not: no lock, no atomics.
    let finished = Rc::new(Cell::new(0));

    let fibers: Vec<_> = (1..=1000_u32)
        .map(|number| {
            let finished = Rc::clone(&finished);
            kapok::spawn(move || {
                kapok::sleep(Duration::from_millis(100));
                finished.set(finished.get() + 1);
                number
            })
        })
        .collect();

    // While `main` waits in `join`, the fibers run right here.
    let sum: u32 = fibers
        .into_iter()
        .map(|fiber| fiber.join().expect("it only sleeps"))
        .sum();
    println!(
        "{} fibers slept 100 ms each in {:?}; their numbers add up to {sum}",
        finished.get(),
        start.elapsed()
    );

    let slow = kapok::timeout(Duration::from_millis(20), || {
        kapok::sleep(Duration::from_secs(3600))
    });
    println!("an hour's sleep with a timeout of 20 ms: {slow:?}");
}
