//! What a fiber costs: one line a figure, `NAME: N ns`. Run with `cargo bench -p kapok-runtime --bench fibers`.
//!
//! Each figure stands a second time ` three frames deep`: the parking call is made below three functions that are not inlined,
//! as in real programs, where returning through frames that were entered before a switch costs mispredicted returns.

use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use kapok_runtime::sync::{Mutex, channel};
use kapok_runtime::{Builder, block_on, current, future, park, sleep, spawn, timeout, yield_now};

const TURNS: u64 = 5_000_000;
const YIELDERS: u64 = 100;
const CROWD: u64 = 10_000;
const TIMERS: u64 = 1_000_000;
const SLEEPERS: u64 = 100_000;
const HOUR: Duration = Duration::from_secs(60 * 60);

/// A macro: a closure that both fibers call would not be inlined into them, and what is measured here is a wait that is.
macro_rules! round_trips {
    ($name:expr, $wait:expr) => {{
        let start = Instant::now();
        let first = spawn(move || {
            let me = current();
            let second = spawn(move || {
                for _ in 0..TURNS {
                    $wait;
                    me.unpark();
                }
            });
            let other = second.fiber();
            for _ in 0..TURNS {
                other.unpark();
                $wait;
            }
            second.join().expect("only parks");
        });
        first.join().expect("only parks");
        report($name, start, TURNS);
    }};
}

/// As above.
macro_rules! ping_pong {
    ($name:expr, $messages:ident => $receive:expr) => {{
        let start = Instant::now();
        let first = spawn(move || {
            let (ping, pings) = channel::unbounded();
            let (pong, pongs) = channel::unbounded();
            let second = spawn(move || {
                let $messages = &pings;
                while let Ok(message) = $receive {
                    pong.send(message).expect("the other fiber listens");
                }
            });
            let $messages = &pongs;
            for message in 0..TURNS {
                ping.send(message).expect("the other fiber listens");
                $receive.expect("the other fiber answers");
            }
            drop(ping);
            second.join().expect("only answers");
        });
        first.join().expect("only asks");
        report($name, start, TURNS);
    }};
}

fn main() {
    yields("kapok yield_now x100 fibers", || yield_now());
    yields("kapok yield_now x100 fibers three frames deep", || {
        deep(yield_now)
    });
    spawn_one_at_a_time();
    spawn_one_at_a_time_deep();
    spawn_a_crowd("kapok spawn 10k then join", |handle| {
        handle.join().expect("returns a number")
    });
    spawn_a_crowd("kapok spawn 10k then join three frames deep", |handle| {
        deep(|| handle.join().expect("returns a number"))
    });
    round_trips!("kapok park+unpark round trip", park());
    round_trips!("kapok park+unpark round trip three frames deep", deep(park));
    ping_pong!("kapok channel ping-pong round trip", messages => messages.recv());
    ping_pong!(
        "kapok channel ping-pong round trip three frames deep",
        messages => deep(|| messages.recv())
    );
    lock("kapok mutex lock+unlock", add_one);
    lock("kapok mutex lock+unlock three frames deep", |mutex| {
        deep(|| add_one(mutex))
    });
    timeouts("kapok timeout around what is ready", || ());
    timeouts("kapok timeout around a yield", || yield_now());
    timeouts("kapok timeout around a yield three frames deep", || {
        deep(yield_now)
    });
    timers();
    cancelled_sleepers();
}

fn yields(name: &str, step: impl Fn() + Copy + 'static) {
    let start = Instant::now();
    let fibers: Vec<_> = (0..YIELDERS)
        .map(|_| {
            spawn(move || {
                for _ in 0..TURNS / YIELDERS {
                    step();
                }
            })
        })
        .collect();
    for fiber in fibers {
        fiber.join().expect("only yields");
    }
    report(name, start, TURNS);
}

fn spawn_one_at_a_time() {
    let start = Instant::now();
    let spawner = spawn(|| {
        for turn in 0..TURNS {
            let fiber = spawn(move || turn + 1);
            assert_eq!(fiber.join().expect("returns a number"), turn + 1);
        }
    });
    spawner.join().expect("only spawns");
    report("kapok spawn+join one at a time", start, TURNS);
}

fn spawn_one_at_a_time_deep() {
    let start = Instant::now();
    let spawner = spawn(|| {
        for turn in 0..TURNS {
            let sum = deep(|| spawn(move || turn + 1).join().expect("returns a number"));
            assert_eq!(sum, turn + 1);
        }
    });
    spawner.join().expect("only spawns");
    report(
        "kapok spawn+join one at a time three frames deep",
        start,
        TURNS,
    );
}

fn spawn_a_crowd(
    name: &str,
    join: impl Fn(kapok_runtime::JoinHandle<u64>) -> u64 + Copy + 'static,
) {
    let start = Instant::now();
    let spawner = spawn(move || {
        let mut crowd = Vec::with_capacity(CROWD as usize);
        for _ in 0..TURNS / CROWD {
            crowd.extend((0..CROWD).map(|number| spawn(move || number)));
            let sum: u64 = crowd.drain(..).map(join).sum();
            assert_eq!(sum, CROWD * (CROWD - 1) / 2);
        }
    });
    spawner.join().expect("only spawns");
    report(name, start, TURNS);
}

fn lock(name: &str, step: impl Fn(&Mutex<u64>) + Copy + 'static) {
    let start = Instant::now();
    let fiber = spawn(move || {
        let mutex = Mutex::new(0);
        for _ in 0..TURNS {
            // Out of the optimiser's sight, which could otherwise see that no other thread knows this mutex.
            step(black_box(&mutex));
        }
    });
    fiber.join().expect("only locks");
    report(name, start, TURNS);
}

#[inline(always)]
fn add_one(mutex: &Mutex<u64>) {
    *mutex.lock().expect("no panic poisons it") += 1;
}

fn timeouts(name: &str, operation: impl Fn() + Copy + 'static) {
    let start = Instant::now();
    let fiber = spawn(move || {
        for _ in 0..TURNS {
            timeout(HOUR, operation).expect("an hour is enough");
        }
    });
    fiber.join().expect("only waits for a little");
    report(name, start, TURNS);
}

/// Timers that wake no fiber of their own are all set before the first is taken back. A fiber needs one alone, so these are a
/// future's. The first batch does not count.
fn timers() {
    set_and_drop_timers();
    let start = Instant::now();
    set_and_drop_timers();
    report("kapok 1M timers set, then taken back", start, TIMERS);
}

fn set_and_drop_timers() {
    block_on(async {
        let mut timers: Vec<_> = (0..TIMERS)
            .map(|number| future::sleep(distant(number)))
            .collect();
        for timer in &mut timers {
            let is_set =
                poll_fn(|context| Poll::Ready(Pin::new(&mut *timer).poll(context).is_pending()));
            assert!(is_set.await, "an hour has not passed");
        }
    });
}

/// In an hour, each at another moment, as in a real program.
fn distant(number: u64) -> Duration {
    HOUR + Duration::from_micros(number * 7919 % 1_000_003)
}

/// The first batch, which has to be given its memory by the kernel, does not count.
fn cancelled_sleepers() {
    spawn_and_cancel_sleepers();
    let start = Instant::now();
    spawn_and_cancel_sleepers();
    report(
        "kapok 100k sleeping tasks spawned, then cancelled",
        start,
        SLEEPERS,
    );
}

fn spawn_and_cancel_sleepers() {
    let fibers: Vec<_> = (0..SLEEPERS)
        .map(|number| {
            let time = distant(number);
            Builder::new()
                .stack_size(64 * 1024)
                .spawn(move || sleep(time))
                .expect("there is memory for the sleepers")
        })
        .collect();
    yield_now();
    fibers.iter().for_each(kapok_runtime::JoinHandle::cancel);
    for fiber in fibers {
        let end = fiber.join();
        assert!(end.is_err_and(|error| error.is_cancelled()));
    }
}

#[inline(never)]
fn deep<R>(work: impl FnOnce() -> R) -> R {
    let result = middle(work);
    black_box(());
    result
}

#[inline(never)]
fn middle<R>(work: impl FnOnce() -> R) -> R {
    let result = bottom(work);
    black_box(());
    result
}

#[inline(never)]
fn bottom<R>(work: impl FnOnce() -> R) -> R {
    let result = work();
    black_box(());
    result
}

#[expect(clippy::print_stdout, reason = "a benchmark's output")]
fn report(name: &str, start: Instant, turns: u64) {
    println!(
        "{name}: {:.1} ns",
        start.elapsed().as_nanos() as f64 / turns as f64
    );
}
