//! Sharing without locks, where that ends, and what to take then.
//!
//! Run it with `cargo run --release --example sharing`. It ends by itself.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kapok::sync::Mutex;
use kapok::{Hubs, HubsConfig};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    transfers_without_a_lock();
    a_lock_over_a_wait();
    counters_of_each_hub()
}

struct Accounts(RefCell<HashMap<&'static str, i64>>);

impl Accounts {
    /// Nobody sees one account changed and the other not: no fiber runs in between, and a call that waits would be a panic.
    fn transfer(&self, from: &'static str, to: &'static str, amount: i64) {
        kapok::assert_no_switchpoints(|| {
            let mut accounts = self.0.borrow_mut();
            *accounts.entry(from).or_default() -= amount;
            *accounts.entry(to).or_default() += amount;
        });
    }

    fn sum(&self) -> i64 {
        self.0.borrow().values().sum()
    }
}

fn transfers_without_a_lock() {
    let accounts = Accounts(RefCell::new(HashMap::from([("ann", 1000), ("bob", 1000)])));
    // Fibers of a scope borrow; those of `spawn` would share an `Rc`.
    kapok::scope(|scope| {
        for number in 0..100 {
            let accounts = &accounts;
            drop(scope.spawn(move || {
                kapok::sleep(Duration::from_micros(number));
                accounts.transfer("ann", "bob", 7);
                kapok::yield_now();
                assert_eq!(accounts.sum(), 2000);
            }));
        }
    });
    let accounts = accounts.0.borrow();
    let (ann, bob) = (accounts["ann"], accounts["bob"]);
    println!("after 100 transfers ann has {ann} and bob {bob}");
}

/// To look a value up takes a wait, so between looking and storing others run: this is where a lock is needed.
fn a_lock_over_a_wait() {
    let (cache, look_ups) = (Mutex::new(None), Cell::new(0));
    let look_up = || {
        look_ups.set(look_ups.get() + 1);
        kapok::sleep(Duration::from_millis(5));
        42
    };
    kapok::scope(|scope| {
        for _ in 0..10 {
            drop(scope.spawn(|| {
                let mut cached = cache.lock().expect("nobody panics under it");
                assert_eq!(*cached.get_or_insert_with(look_up), 42);
            }));
        }
    });
    println!("10 fibers got their value by {} look-up", look_ups.get());
}

thread_local! {
    /// One for each hub: its fibers share it, and no other thread's cache has to know.
    static SERVED: Cell<u64> = const { Cell::new(0) };
}

/// Read by all hubs, written when a hub ends.
static TOTAL: AtomicU64 = AtomicU64::new(0);

fn counters_of_each_hub() -> Result<(), Box<dyn std::error::Error>> {
    let running = Hubs::new(HubsConfig::new().count(2)).start(|_hub| {
        let fibers: Vec<_> = (0..50)
            .map(|_| kapok::spawn(|| SERVED.set(SERVED.get() + 1)))
            .collect();
        fibers
            .into_iter()
            .for_each(|fiber| fiber.join().expect("it only counts"));
        TOTAL.fetch_add(SERVED.get(), Ordering::Relaxed);
        Ok(())
    })?;
    running.join()?;
    println!("2 hubs counted {} together", TOTAL.load(Ordering::Relaxed));
    Ok(())
}
