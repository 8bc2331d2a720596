//! Condvar: who is notified, with the lock held again, and no notification lost.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kapok::sync::{Condvar, Mutex};
use kapok::{spawn, yield_now};

use super::{LONG, Log, SHORT, crowd, join_all, scramble, settle, waiting};
use crate::support::{Watchdog, on_a_hub};

type Shared = Rc<(Mutex<usize>, Condvar)>;

fn shared() -> Shared {
    Rc::new((Mutex::new(0), Condvar::new()))
}

// Gruvi 13.
#[test]
fn notifications_go_to_those_who_wait_longest() {
    on_a_hub("fifo", || {
        let (shared, log) = (shared(), Log::default());
        let fibers = waiting(8, {
            let (shared, log) = (Rc::clone(&shared), log.clone());
            move |number| {
                let (lock, changed) = &*shared;
                let held = changed.wait(lock.lock().unwrap()).unwrap();
                log.note(number);
                yield_now();
                drop(held);
            }
        });
        let changed = &shared.1;
        changed.notify_one();
        settle();
        assert_eq!(log.take(), [0]);
        for _ in 0..3 {
            changed.notify_one();
        }
        settle();
        assert_eq!(log.take(), [1, 2, 3]);
        changed.notify_all();
        join_all(fibers);
        assert_eq!(log.take(), [4, 5, 6, 7]);
        // Nothing is kept for those who come later.
        changed.notify_one();
        let held = shared.0.lock().unwrap();
        let (held, result) = changed.wait_timeout(held, SHORT).unwrap();
        assert!(result.timed_out() && *held == 0);
    });
}

// Gruvi 13.
#[test]
fn who_waits_for_a_condition_goes_on_waiting_until_it_holds() {
    on_a_hub("wait_while", || {
        let (shared, log) = (shared(), Log::default());
        let fibers = waiting(4, {
            let (shared, log) = (Rc::clone(&shared), log.clone());
            move |number| {
                let (lock, changed) = &*shared;
                let value = changed.wait_while(lock.lock().unwrap(), |value| *value <= number);
                log.note(*value.unwrap());
            }
        });
        for value in 1..=4 {
            *shared.0.lock().unwrap() = value;
            shared.1.notify_all();
            settle();
            assert_eq!(log.take(), [value]);
        }
        join_all(fibers);
    });
}

// Gruvi 13.
#[test]
fn a_wait_that_times_out_returns_with_the_lock() {
    on_a_hub("timeout", || {
        let shared = shared();
        let (lock, changed) = &*shared;
        let start = Instant::now();
        let (held, result) = changed.wait_timeout(lock.lock().unwrap(), SHORT).unwrap();
        assert!(result.timed_out() && start.elapsed() >= SHORT);
        assert!(lock.try_lock().is_err());
        drop(held);
        // If the lock is taken when the time is over it is waited for.
        let waiter = waiting(1, {
            let shared = Rc::clone(&shared);
            move |_| {
                let (lock, changed) = &*shared;
                let (held, result) = changed.wait_timeout(lock.lock().unwrap(), SHORT).unwrap();
                (*held, result.timed_out())
            }
        });
        let mut held = lock.lock().unwrap();
        kapok::sleep(SHORT * 2);
        assert!(!waiter[0].is_finished());
        *held = 3;
        drop(held);
        assert_eq!(join_all(waiter), [(3, true)]);
        let held = lock.lock().unwrap();
        let waited = changed.wait_timeout_while(held, SHORT, |value| *value == 3);
        assert!(waited.unwrap().1.timed_out());
        let waited = changed.wait_timeout_while(lock.lock().unwrap(), LONG, |value| *value == 4);
        assert!(!waited.unwrap().1.timed_out());
    });
}

#[test]
fn a_notified_waiter_that_is_cancelled_before_it_has_the_lock_passes_the_notification_on() {
    on_a_hub("passes on", || {
        for cancel_first in [false, true] {
            let shared = shared();
            let fibers = waiting(2, {
                let shared = Rc::clone(&shared);
                move |_| {
                    let (lock, changed) = &*shared;
                    let _held = changed.wait(lock.lock().unwrap()).unwrap();
                }
            });
            let (lock, changed) = &*shared;
            let held = lock.lock().unwrap();
            if cancel_first {
                fibers[0].cancel();
                changed.notify_one();
            } else {
                changed.notify_one();
                // It waits for the lock.
                settle();
                fibers[0].cancel();
            }
            settle();
            drop(held);
            let mut fibers = fibers.into_iter();
            assert!(fibers.next().unwrap().join().unwrap_err().is_cancelled());
            // Would wait for ever if the notification was lost.
            fibers.next().unwrap().join().unwrap();
            assert!(lock.try_lock().is_ok() && !lock.is_poisoned());
        }
    });
}

#[test]
fn a_cancelled_waiter_takes_no_notification() {
    on_a_hub("cancelled", || {
        let shared = shared();
        let fibers = waiting(3, {
            let shared = Rc::clone(&shared);
            move |_| {
                let (lock, changed) = &*shared;
                drop(changed.wait(lock.lock().unwrap()));
            }
        });
        fibers[0].cancel();
        settle();
        shared.1.notify_one();
        shared.1.notify_one();
        let ended: Vec<_> = fibers
            .into_iter()
            .map(|fiber| fiber.join().is_ok())
            .collect();
        assert_eq!(ended, [false, true, true]);
    });
}

#[test]
fn the_condition_of_a_timed_wait_may_make_the_threads_hub() {
    let _watchdog = Watchdog::new("makes a hub");
    let thread = std::thread::spawn(|| {
        let (lock, changed) = (Mutex::new(0), Condvar::new());
        let is_made = Cell::new(false);
        let waited = changed.wait_timeout_while(lock.lock().unwrap(), SHORT, |_| {
            if !is_made.replace(true) {
                drop(spawn(|| ()));
            }
            true
        });
        let timed_out = waited.unwrap().1.timed_out();
        kapok::drain(Duration::ZERO).unwrap();
        timed_out
    });
    assert!(thread.join().unwrap());
}

// Gruvi 12.
#[test]
fn waits_of_fibers_and_threads_end_by_a_notification_or_by_their_timeout() {
    let _watchdog = Watchdog::new("sums");
    const WAITS: usize = 20;
    const ALL: usize = (3 * 30 + 3) * WAITS;
    let shared = Arc::new((Mutex::new(0_usize), Condvar::new()));
    let (woken, late) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let notifier = std::thread::spawn({
        let shared = Arc::clone(&shared);
        let (woken, late) = (Arc::clone(&woken), Arc::clone(&late));
        move || {
            let mut sent = 0;
            while woken.load(Ordering::SeqCst) + late.load(Ordering::SeqCst) < ALL {
                let mut tokens = shared.0.lock().unwrap();
                *tokens += 1;
                sent += 1;
                drop(tokens);
                shared.1.notify_one();
                std::thread::yield_now();
            }
            sent
        }
    });
    crowd(3, 30, 3, {
        let shared = Arc::clone(&shared);
        let (woken, late) = (Arc::clone(&woken), Arc::clone(&late));
        move |number| {
            for round in 0..WAITS {
                let time = Duration::from_micros(scramble(number * WAITS + round) as u64 % 2000);
                let (lock, changed) = &*shared;
                let waited = changed.wait_timeout_while(lock.lock().unwrap(), time, |t| *t == 0);
                let (mut tokens, result) = waited.unwrap();
                if result.timed_out() {
                    late.fetch_add(1, Ordering::SeqCst);
                } else {
                    *tokens -= 1;
                    woken.fetch_add(1, Ordering::SeqCst);
                }
            }
        }
    });
    let sent = notifier.join().unwrap();
    let (woken, late) = (woken.load(Ordering::SeqCst), late.load(Ordering::SeqCst));
    assert_eq!(woken + late, ALL);
    assert_eq!(*shared.0.lock().unwrap(), sent - woken);
}
