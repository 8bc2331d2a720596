//! Fibers of several hubs and plain threads at once, with timeouts and cancels at any time: nothing overlaps, the sums are right,
//! and nobody is left waiting.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use kapok::sync::channel::{bounded, unbounded};
use kapok::sync::{Condvar, Event, Mutex, RwLock, Semaphore, oneshot};
use kapok::{select, sleep, spawn, timeout, yield_now};

use super::{Life, Living, crowd, scramble};
use crate::support::Watchdog;

fn microseconds(seed: usize, most: u64) -> Duration {
    Duration::from_micros(seed as u64 % most)
}

fn counter() -> Arc<AtomicUsize> {
    Arc::new(AtomicUsize::new(0))
}

fn add(counter: &AtomicUsize, number: usize) {
    counter.fetch_add(number, Ordering::SeqCst);
}

// Gruvi 12.
#[test]
fn each_attempt_at_a_lock_gets_it_alone_or_times_out() {
    let _watchdog = Watchdog::new("lock sums");
    const EACH: usize = 100;
    let lock = Arc::new(Mutex::new(0));
    let (inside, had, late) = (counter(), counter(), counter());
    crowd(4, 50, 4, {
        let (lock, had, late) = (Arc::clone(&lock), Arc::clone(&had), Arc::clone(&late));
        move |number| {
            for round in 0..EACH {
                let seed = scramble(number * EACH + round);
                match lock.lock_timeout(microseconds(seed, 3000)) {
                    Ok(mut value) => {
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two have it");
                        *value += 1;
                        if seed.is_multiple_of(5) && number < 200 {
                            yield_now();
                        }
                        inside.fetch_sub(1, Ordering::SeqCst);
                        add(&had, 1);
                    }
                    Err(_) => add(&late, 1),
                }
            }
        }
    });
    let (had, late) = (had.load(Ordering::SeqCst), late.load(Ordering::SeqCst));
    assert_eq!(had + late, 204 * EACH);
    assert_eq!(*lock.try_lock().unwrap(), had);
}

#[test]
fn readers_never_see_half_of_what_a_writer_does() {
    let _watchdog = Watchdog::new("readers");
    let both = Arc::new(RwLock::new((0, 0)));
    let written = counter();
    crowd(3, 30, 3, {
        let (both, written) = (Arc::clone(&both), Arc::clone(&written));
        move |number| {
            for round in 0..40 {
                let seed = scramble(number * 40 + round);
                if seed.is_multiple_of(4) {
                    let Ok(mut values) = both.write_timeout(microseconds(seed, 5000)) else {
                        continue;
                    };
                    values.0 += 1;
                    if number < 90 {
                        yield_now();
                    }
                    values.1 += 1;
                    add(&written, 1);
                } else if let Ok(values) = both.read_timeout(microseconds(seed, 5000)) {
                    let before = *values;
                    if number < 90 {
                        yield_now();
                    }
                    assert_eq!((before, before.0), (*values, values.1));
                }
            }
        }
    });
    let written = written.load(Ordering::SeqCst);
    assert_eq!(*both.try_write().unwrap(), (written, written));
}

#[test]
fn there_are_never_more_permits_than_there_were() {
    let _watchdog = Watchdog::new("permits");
    const ALL: usize = 5;
    let permits = Arc::new(Semaphore::new(ALL));
    let used = counter();
    crowd(3, 40, 3, {
        let permits = Arc::clone(&permits);
        move |number| {
            for round in 0..40 {
                let seed = scramble(number * 40 + round);
                let wanted = 1 + seed % ALL;
                let take = || {
                    let permit = permits.acquire_many(wanted);
                    let in_use = InUse::new(&used, wanted);
                    if number < 120 && seed.is_multiple_of(3) {
                        yield_now();
                    }
                    // Counted as free first.
                    drop(in_use);
                    drop(permit);
                };
                // A plain thread must not get a hub by this.
                if number < 120 && seed.is_multiple_of(2) {
                    let _ = timeout(microseconds(seed, 2000), take);
                } else {
                    take();
                }
            }
        }
    });
    assert_eq!(permits.available(), ALL);
}

/// Permits that are in use until this is dropped, also by unwinding.
struct InUse<'a>(&'a AtomicUsize, usize);

impl<'a> InUse<'a> {
    fn new(used: &'a AtomicUsize, count: usize) -> Self {
        let before = used.fetch_add(count, Ordering::SeqCst);
        assert!(before + count <= 5, "more than there are");
        Self(used, count)
    }
}

impl Drop for InUse<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Ordering::SeqCst);
    }
}

// Gruvi 12.
#[test]
fn what_was_sent_in_time_was_received_in_time() {
    let _watchdog = Watchdog::new("rendezvous sums");
    for capacity in [0, 3] {
        let living = Arc::new(Living::default());
        let (sent, received) = (counter(), counter());
        let (sender, receiver) = bounded::<Life>(capacity);
        let left = receiver.clone();
        crowd(3, 40, 4, {
            let (living, sent, received) = (
                Arc::clone(&living),
                Arc::clone(&sent),
                Arc::clone(&received),
            );
            move |number| {
                for round in 0..50 {
                    let seed = scramble(number * 50 + round);
                    let time = microseconds(seed, 1000);
                    if number % 2 == 0 {
                        if sender.send_timeout(living.one(seed % 1000), time).is_ok() {
                            add(&sent, 1_000_000 + seed % 1000);
                        }
                    } else if let Ok(life) = receiver.recv_timeout(time) {
                        add(&received, 1_000_000 + life.1);
                    }
                }
            }
        });
        for life in left.try_iter() {
            add(&received, 1_000_000 + life.1);
        }
        assert_eq!(sent.load(Ordering::SeqCst), received.load(Ordering::SeqCst));
        assert_eq!(living.count(), 0);
    }
}

/// What all hubs of the next test share.
struct World {
    lock: Mutex<usize>,
    table: RwLock<usize>,
    permits: Semaphore,
    changed: Condvar,
    event: Event,
    living: Living,
}

/// One of many things to do with it, any of which may be cancelled.
fn do_something(world: &World, seed: usize, ends: &Ends) {
    let _life = world.living.one(seed);
    match seed % 9 {
        0 => *world.lock.lock().unwrap() += 1,
        1 => {
            let _held = world.lock.lock().unwrap();
            yield_now();
        }
        2 => {
            let _reading = world.table.read().unwrap();
            yield_now();
        }
        3 => *world.table.write().unwrap() += 1,
        4 => {
            let _permits = world.permits.acquire_many(1 + seed % 3);
            yield_now();
        }
        5 => {
            let held = world.lock.lock().unwrap();
            drop(world.changed.wait_timeout(held, microseconds(seed, 500)));
        }
        6 => drop(
            ends.0
                .send_timeout(world.living.one(seed), microseconds(seed, 500)),
        ),
        7 => drop(ends.1.recv_timeout(microseconds(seed, 500))),
        _ => {
            let mut message = Some(world.living.one(seed));
            select! {
                () = ready(&world.event) => (),
                _ = send(&ends.0, &mut message) => (),
                _ = recv(&ends.1) => (),
                () = after(microseconds(seed, 500)) => (),
            }
        }
    }
    if seed.is_multiple_of(16) {
        world.changed.notify_one();
        world.event.set();
        world.event.clear();
    }
}

type Ends = (
    kapok::sync::channel::Sender<Life>,
    kapok::sync::channel::Receiver<Life>,
);

#[test]
fn cancels_at_any_time_on_several_hubs_leave_everything_in_order() {
    let _watchdog = Watchdog::new("cancels");
    let world = Arc::new(World {
        lock: Mutex::new(0),
        table: RwLock::new(0),
        permits: Semaphore::new(3),
        changed: Condvar::new(),
        event: Event::new(),
        living: Living::default(),
    });
    let ends: Ends = bounded(0);
    let hubs: Vec<_> = (0..3)
        .map(|hub| {
            let (world, ends) = (Arc::clone(&world), ends.clone());
            thread::spawn(move || {
                kapok::run(|| {
                    for round in 0..100 {
                        let fibers: Vec<_> = (0..30)
                            .map(|number| {
                                let (world, ends) = (Arc::clone(&world), ends.clone());
                                let seed = scramble((hub * 100 + round) * 30 + number);
                                spawn(move || {
                                    for step in 0..4 {
                                        do_something(&world, scramble(seed + step), &ends);
                                    }
                                })
                            })
                            .collect();
                        for (number, fiber) in fibers.iter().enumerate() {
                            if scramble(number + round).is_multiple_of(4) {
                                yield_now();
                            }
                            if scramble(number + round).is_multiple_of(3) {
                                fiber.cancel();
                            }
                        }
                        for fiber in fibers {
                            if let Err(error) = fiber.join() {
                                assert!(error.is_cancelled(), "{error:?}");
                            }
                        }
                    }
                });
            })
        })
        .collect();
    for hub in hubs {
        hub.join().unwrap();
    }
    assert!(world.lock.try_lock().is_ok() && world.table.try_write().is_ok());
    assert_eq!((world.permits.available(), world.living.count()), (3, 0));
    // Whoever was left in a list would get this one.
    assert!(ends.0.try_send(world.living.one(0)).is_err());
    assert!(ends.1.try_recv().is_err());
}

#[test]
fn questions_are_answered_by_another_hub_and_by_threads() {
    let _watchdog = Watchdog::new("questions");
    type Question = (usize, oneshot::Sender<usize>);
    let (ask, questions) = unbounded::<Question>();
    let answered = counter();
    let answerers: Vec<_> = (0..2)
        .map(|hub| {
            let questions = questions.clone();
            thread::spawn(move || {
                let answer = move || {
                    for (number, answer) in questions {
                        // Who asked may not want to know any more.
                        let _ = answer.send(number * 2);
                    }
                };
                if hub == 0 {
                    kapok::run(answer)
                } else {
                    answer()
                }
            })
        })
        .collect();
    drop(questions);
    crowd(2, 50, 2, {
        let answered = Arc::clone(&answered);
        move |number| {
            for round in 0..50 {
                let (answer, mut question) = oneshot::channel();
                ask.send((round, answer)).unwrap();
                match (number + round) % 3 {
                    0 => drop(question),
                    1 => drop(question.recv_timeout(microseconds(scramble(round), 100))),
                    _ => {
                        assert_eq!(question.recv(), Ok(round * 2));
                        add(&answered, 1);
                    }
                }
            }
        }
    });
    for answerer in answerers {
        answerer.join().unwrap();
    }
    let expected = (0..102).map(|number| (0..50).filter(|round| (number + round) % 3 == 2).count());
    assert_eq!(answered.load(Ordering::SeqCst), expected.sum());
}

#[test]
fn a_crowd_that_waits_for_one_event_is_woken_on_all_hubs() {
    let _watchdog = Watchdog::new("one event");
    let (event, woken) = (Arc::new(Event::new()), counter());
    let waiting = counter();
    let setter = thread::spawn({
        let (event, waiting) = (Arc::clone(&event), Arc::clone(&waiting));
        move || {
            kapok::run(|| {
                while waiting.load(Ordering::SeqCst) < 10 * 100 {
                    sleep(Duration::from_micros(100));
                }
                event.set();
            });
        }
    });
    crowd(10, 100, 0, {
        let woken = Arc::clone(&woken);
        move |_| {
            let turn = Cell::new(0);
            add(&waiting, 1);
            event.wait();
            turn.set(turn.get() + 1);
            add(&woken, turn.get());
        }
    });
    setter.join().unwrap();
    assert_eq!(woken.load(Ordering::SeqCst), 1000);
}

#[test]
fn a_hub_that_ends_takes_its_waiters_with_it() {
    let _watchdog = Watchdog::new("hub ends");
    for _ in 0..20 {
        let (lock, table) = (Arc::new(Mutex::new(())), Arc::new(RwLock::new(())));
        let (permits, event) = (Arc::new(Semaphore::new(0)), Arc::new(Event::new()));
        let (sender, receiver) = bounded::<u8>(0);
        let (held, reading) = (lock.lock().unwrap(), table.read().unwrap());
        let hub = thread::spawn({
            let (lock, table) = (Arc::clone(&lock), Arc::clone(&table));
            let (permits, event) = (Arc::clone(&permits), Arc::clone(&event));
            let (sender, receiver) = (sender.clone(), receiver.clone());
            move || {
                kapok::run(|| {
                    drop(spawn(move || drop(lock.lock())));
                    drop(spawn({
                        let table = Arc::clone(&table);
                        move || drop(table.write())
                    }));
                    drop(spawn(move || drop(table.read())));
                    drop(spawn(move || permits.acquire_many(2).forget()));
                    drop(spawn({
                        let event = Arc::clone(&event);
                        move || event.wait()
                    }));
                    drop(spawn(move || {
                        let mut message = Some(1);
                        select! {
                            () = ready(&*event) => (),
                            _ = send(&sender, &mut message) => (),
                        }
                    }));
                    yield_now();
                    // Only once the sender above is gone: they would meet.
                    drop(receiver);
                });
            }
        });
        hub.join().unwrap();
        event.set();
        permits.add(2);
        drop((held, reading));
        assert!(lock.try_lock().is_ok() && table.try_write().is_ok());
        assert_eq!(permits.available(), 2);
        assert!(sender.try_send(2).is_err() && receiver.try_recv().is_err());
    }
}
