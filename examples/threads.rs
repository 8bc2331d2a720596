//! Fibers, hubs and threads that work together, and how such a program stops.
//!
//! Run it with `cargo run --release --example threads`. It ends by itself after half a second; Ctrl-C ends it earlier.

use std::time::Duration;

use kapok::pool::ThreadPool;
use kapok::signal::{Signal, Signals};
use kapok::sync::channel::{self, Receiver, Sender};
use kapok::sync::{Event, OnceLock};
use kapok::{Hubs, HubsConfig};

/// Set by a thread, waited for by fibers of any hub.
static LIMIT: OnceLock<u64> = OnceLock::new();
/// Set at the end: those who wait for it may clean up.
static STOP: Event = Event::new();

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Before anything runs: from here on Ctrl-C is an event.
    let signals = Signals::new([Signal::SIGINT, Signal::SIGTERM])?;

    // Two hubs with workers, which get numbers and send what they make of them.
    let (numbers, received) = channel::bounded(16);
    let (squares, results) = channel::bounded(16);
    let running = Hubs::new(HubsConfig::new().count(2)).start(move |_hub| {
        for _ in 0..4 {
            let (received, squares) = (received.clone(), squares.clone());
            drop(kapok::spawn(move || square(&received, &squares)));
        }
        STOP.wait();
        Ok(())
    })?;

    // A plain thread of std's, with neither hub nor fiber, sends: it sleeps while the channel is full.
    let producer = std::thread::spawn(move || {
        LIMIT.set(1000).expect("it is set once");
        (1..=1000).try_for_each(|number| numbers.send(number))
    });

    // A fiber of this thread's hub adds up.
    let adder = kapok::spawn(move || results.iter().take(1000).sum::<u64>());
    println!("squares of 1 to 1000, by two hubs: {}", adder.join()?);

    // Something that computes for long goes to a thread; a limited pool keeps a core for the hubs.
    let pool = ThreadPool::new("primes", 1);
    let primes = pool.submit(|| (2..20_000).filter(|&number| is_prime(number)).count())?;
    println!("primes below 20,000, by a thread: {}", primes.join()?);

    // From any thread to a hub: a closure, and a handle for its result.
    let hub = running.hubs().remove(0);
    let answer = hub.spawn(|| {
        kapok::yield_now();
        std::thread::current().name().map(str::to_owned)
    });
    println!("a fiber on {}", answer.join()?.unwrap_or_default());

    kapok::select! {
        signal = recv(&signals) => println!("stopped by {signal}"),
        () = ready(&running) => println!("a hub has failed"), // and `join` says why
        () = after(Duration::from_millis(500)) => println!("stopped by the time"),
    }
    STOP.set();
    // Whoever has not heard of it is unwound.
    running.stop(Duration::from_millis(100));
    running.join()?;
    let sent = producer.join().expect("it does not panic");
    println!("the producer ended with {sent:?}");
    Ok(())
}

fn square(numbers: &Receiver<u64>, squares: &Sender<u64>) {
    let limit = *LIMIT.wait();
    for number in numbers.iter().take_while(|&number| number <= limit) {
        if squares.send(number * number).is_err() {
            return;
        }
    }
}

fn is_prime(number: u32) -> bool {
    (2..)
        .take_while(|divisor| divisor * divisor <= number)
        .all(|divisor| !number.is_multiple_of(divisor))
}
