//! What fibers and threads wait for each other with: order, cancels, timeouts, several hubs.

mod channels;
mod condvar;
mod debug;
mod events;
mod locks;
mod once;
mod one_or_all;
mod poison;
mod queues;
mod script;
mod select;
mod stress;
mod waiting;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use kapok::{JoinHandle, spawn, yield_now};

pub(crate) const LONG: Duration = Duration::from_secs(3600);
pub(crate) const SHORT: Duration = Duration::from_millis(10);

/// What happened, in the order in which it did.
#[derive(Clone, Default)]
pub(crate) struct Log(Rc<RefCell<Vec<usize>>>);

impl Log {
    pub(crate) fn note(&self, number: usize) {
        self.0.borrow_mut().push(number);
    }

    pub(crate) fn take(&self) -> Vec<usize> {
        self.0.take()
    }
}

/// Counts those that live.
#[derive(Debug, Default)]
pub(crate) struct Living(Arc<AtomicUsize>);

/// One of those that [`Living`] counts.
#[derive(Debug)]
pub(crate) struct Life(Arc<AtomicUsize>, pub(crate) usize);

impl Living {
    pub(crate) fn one(&self, number: usize) -> Life {
        self.0.fetch_add(1, Ordering::SeqCst);
        Life(Arc::clone(&self.0), number)
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Spawns so many fibers, and returns when each has run until it waits.
pub(crate) fn waiting<T: 'static>(
    count: usize,
    body: impl Fn(usize) -> T + 'static,
) -> Vec<JoinHandle<T>> {
    let body = Rc::new(body);
    let fibers = (0..count).map(|number| {
        let body = Rc::clone(&body);
        spawn(move || body(number))
    });
    let fibers = fibers.collect();
    yield_now();
    fibers
}

pub(crate) fn join_all<T>(fibers: Vec<JoinHandle<T>>) -> Vec<T> {
    let results = fibers.into_iter().map(|fiber| fiber.join().unwrap());
    results.collect()
}

/// Lets the other fibers run until they all wait, as far as that takes no time.
pub(crate) fn settle() {
    for _ in 0..8 {
        yield_now();
    }
}

/// Runs `body` in so many fibers on each of so many threads with a hub, and once on each of so many threads without one. Its
/// argument is the fiber's or thread's number.
pub(crate) fn crowd(
    hubs: usize,
    fibers: usize,
    bare: usize,
    body: impl Fn(usize) + Send + Sync + 'static,
) {
    let body = Arc::new(body);
    let mut threads = Vec::new();
    for hub in 0..hubs {
        let body = Arc::clone(&body);
        threads.push(thread::spawn(move || {
            kapok::run(|| {
                let fibers = (0..fibers).map(|fiber| {
                    let body = Arc::clone(&body);
                    spawn(move || body(hub * fibers + fiber))
                });
                join_all(fibers.collect());
            });
        }));
    }
    for number in 0..bare {
        let body = Arc::clone(&body);
        threads.push(thread::spawn(move || body(hubs * fibers + number)));
    }
    for thread in threads {
        thread.join().unwrap();
    }
}

/// A number that looks random.
pub(crate) fn scramble(number: usize) -> usize {
    let mixed = (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32) as usize
}
