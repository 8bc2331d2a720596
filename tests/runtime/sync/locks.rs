//! Mutex, RwLock and Semaphore: who gets it next, and what is left when somebody gives up.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use kapok::sync::{Mutex, RwLock, RwLockWriteGuard, Semaphore, TryLockError, channel};
use kapok::{spawn, timeout, yield_now};

use super::{LONG, Log, SHORT, crowd, join_all, settle, waiting};
use crate::support::{Watchdog, on_a_hub};

// Gruvi 11.
#[test]
fn a_lock_goes_to_those_who_wait_in_their_order() {
    on_a_hub("fifo", || {
        let (lock, log) = (Rc::new(Mutex::new(())), Log::default());
        let held = lock.lock().unwrap();
        let fibers = waiting(20, {
            let (lock, log) = (Rc::clone(&lock), log.clone());
            move |number| {
                let _held = lock.lock().unwrap();
                log.note(number);
                yield_now();
            }
        });
        drop(held);
        // It was handed over: whoever comes now comes last.
        assert!(matches!(lock.try_lock(), Err(TryLockError::WouldBlock)));
        drop(lock.lock().unwrap());
        log.note(20);
        join_all(fibers);
        assert_eq!(log.take(), (0..=20).collect::<Vec<_>>());
    });
}

// Gruvi 11.
#[test]
fn a_waiter_that_is_cancelled_before_or_after_it_gets_the_lock_leaves_it_to_the_next() {
    on_a_hub("cancelled", || {
        for cancelled in 0..4 {
            for after_handing_over in [false, true] {
                let (lock, log) = (Rc::new(Mutex::new(())), Log::default());
                let held = lock.lock().unwrap();
                let fibers = waiting(4, {
                    let (lock, log) = (Rc::clone(&lock), log.clone());
                    move |number| {
                        let _held = lock.lock().unwrap();
                        yield_now();
                        log.note(number);
                    }
                });
                if after_handing_over {
                    drop(held);
                    for _ in 0..cancelled {
                        settle();
                    }
                    fibers[cancelled].cancel();
                } else {
                    fibers[cancelled].cancel();
                    drop(held);
                }
                let ended = fibers.into_iter().map(|fiber| fiber.join().is_ok());
                let ended: Vec<_> = ended.collect();
                let order = log.take();
                assert!(order.is_sorted(), "{order:?}");
                for number in (0..4).filter(|number| *number != cancelled) {
                    assert!(
                        ended[number] && order.contains(&number),
                        "{number}: {order:?}"
                    );
                }
                assert_eq!(ended[cancelled], order.contains(&cancelled));
                assert!(lock.try_lock().is_ok());
                assert!(!lock.is_poisoned());
            }
        }
    });
}

#[test]
fn a_lock_that_was_handed_over_is_had_although_the_cancel_came_first() {
    on_a_hub("handed over", || {
        let (lock, log) = (Rc::new(Mutex::new(())), Log::default());
        let held = lock.lock().unwrap();
        let fibers = waiting(2, {
            let (lock, log) = (Rc::clone(&lock), log.clone());
            move |number| {
                let _held = lock.lock().unwrap();
                log.note(number);
                yield_now();
                log.note(number + 10);
            }
        });
        drop(held);
        fibers[0].cancel();
        let mut fibers = fibers.into_iter();
        assert!(fibers.next().unwrap().join().unwrap_err().is_cancelled());
        fibers.next().unwrap().join().unwrap();
        assert_eq!(
            log.take(),
            [0, 1, 11],
            "it took effect, then it was cancelled"
        );
    });
}

#[test]
fn a_lock_that_is_not_had_in_time_is_an_error_and_leaves_nothing() {
    on_a_hub("timeout", || {
        let lock = Rc::new(Mutex::new(5));
        let held = lock.lock().unwrap();
        let fibers = waiting(3, {
            let lock = Rc::clone(&lock);
            move |_| {
                let start = Instant::now();
                let refused = matches!(lock.lock_timeout(SHORT), Err(TryLockError::WouldBlock));
                assert!(start.elapsed() >= SHORT);
                refused
            }
        });
        assert_eq!(join_all(fibers), [true; 3]);
        drop(held);
        assert_eq!(*lock.try_lock().unwrap(), 5);
        assert_eq!(*lock.lock_timeout(SHORT).unwrap(), 5);
        let held = lock.lock().unwrap();
        assert!(timeout(SHORT, || drop(lock.lock())).is_err());
        drop(held);
        assert!(lock.try_lock().is_ok());
    });
}

#[test]
fn a_lock_is_shared_by_two_hubs_and_plain_threads() {
    let _watchdog = Watchdog::new("contention");
    let lock = Arc::new(Mutex::new((0_u64, false)));
    let user = Arc::clone(&lock);
    crowd(2, 25, 4, move |number| {
        for round in 0..100 {
            let mut held = user.lock().unwrap();
            assert!(!std::mem::replace(&mut held.1, true), "two have the lock");
            held.0 += 1;
            // Now and then a fiber waits while it has the lock.
            if (number + round) % 16 == 0 && number < 50 {
                yield_now();
            }
            held.1 = false;
        }
    });
    assert_eq!(*lock.lock().unwrap(), (54 * 100, false));
}

#[test]
fn a_writer_waits_for_readers_before_it_and_keeps_those_behind_it_out() {
    on_a_hub("writer", || {
        let (lock, log) = (Rc::new(RwLock::new(0)), Log::default());
        let reading = lock.read().unwrap();
        let fibers = waiting(5, {
            let (lock, log) = (Rc::clone(&lock), log.clone());
            // 0 and 3 write, the others read.
            move |number| {
                if number % 3 == 0 {
                    let mut value = lock.write().unwrap();
                    log.note(number);
                    yield_now();
                    *value += 1;
                } else {
                    let before = *lock.read().unwrap();
                    log.note(number);
                    assert_eq!(before, usize::from(number > 0) + usize::from(number > 3));
                }
            }
        });
        assert!(log.take().is_empty());
        assert!(lock.try_read().is_err(), "a writer waits");
        drop(reading);
        join_all(fibers);
        assert_eq!(log.take(), [0, 1, 2, 3, 4]);
    });
}

#[test]
fn a_writer_that_gives_up_lets_the_readers_behind_it_in() {
    on_a_hub("gives up", || {
        for by_cancel in [false, true] {
            let lock = Rc::new(RwLock::new(0));
            let reading = lock.read().unwrap();
            let writer = spawn({
                let lock = Rc::clone(&lock);
                move || {
                    if by_cancel {
                        drop(lock.write());
                    } else {
                        assert!(lock.write_timeout(SHORT).is_err());
                    }
                }
            });
            yield_now();
            let readers = waiting(3, {
                let lock = Rc::clone(&lock);
                move |_| *lock.read().unwrap()
            });
            assert!(readers.iter().all(|reader| !reader.is_finished()));
            if by_cancel {
                writer.cancel();
                assert!(writer.join().unwrap_err().is_cancelled());
            } else {
                writer.join().unwrap();
            }
            // The first reader is still there.
            assert_eq!(join_all(readers), [0; 3]);
            drop(reading);
            assert!(lock.try_write().is_ok());
        }
    });
}

#[test]
fn a_downgrade_lets_readers_in_and_no_writer() {
    on_a_hub("downgrade", || {
        let lock = Rc::new(RwLock::new(0));
        let mut writing = lock.write().unwrap();
        let readers = waiting(3, {
            let lock = Rc::clone(&lock);
            move |_| *lock.read().unwrap()
        });
        let writer = waiting(1, {
            let lock = Rc::clone(&lock);
            move |_| *lock.write().unwrap() += 1
        });
        *writing = 7;
        let reading = RwLockWriteGuard::downgrade(writing);
        assert_eq!(join_all(readers), [7; 3]);
        assert!(!writer[0].is_finished());
        assert_eq!(*reading, 7);
        drop(reading);
        join_all(writer);
        assert_eq!(*lock.read().unwrap(), 8);
    });
}

#[test]
fn who_wants_many_permits_is_not_overtaken() {
    on_a_hub("many permits", || {
        let (permits, log) = (Rc::new(Semaphore::new(3)), Log::default());
        let (one, two) = (permits.acquire(), permits.acquire_many(2));
        let fibers = waiting(4, {
            let (permits, log) = (Rc::clone(&permits), log.clone());
            move |number| {
                let _permit = permits.acquire_many(if number == 0 { 3 } else { 1 });
                log.note(number);
            }
        });
        drop(two);
        settle();
        assert_eq!(permits.available(), 2);
        assert!(permits.try_acquire().is_none(), "somebody waits");
        assert!(log.take().is_empty());
        drop(one);
        join_all(fibers);
        assert_eq!(log.take(), [0, 1, 2, 3]);
        assert_eq!(permits.available(), 3);
    });
}

#[test]
fn a_first_waiter_that_gives_up_lets_those_in_for_whom_there_is_enough() {
    on_a_hub("gives up", || {
        let permits = Rc::new(Semaphore::new(2));
        let greedy = waiting(1, {
            let permits = Rc::clone(&permits);
            move |_| drop(permits.acquire_many(5))
        });
        let modest = waiting(3, {
            let permits = Rc::clone(&permits);
            move |_| permits.acquire().forget()
        });
        for fiber in &greedy {
            fiber.cancel();
        }
        settle();
        let finished: Vec<_> = modest.iter().map(|fiber| fiber.is_finished()).collect();
        assert_eq!(finished, [true, true, false], "two permits, both forgotten");
        permits.add(1);
        join_all(modest);
        assert_eq!(permits.available(), 0);
        assert!(permits.acquire_timeout(SHORT).is_none());
        permits.add(1);
        assert!(permits.acquire_timeout(SHORT).is_some());
    });
}

#[test]
fn a_permit_that_came_with_the_cancel_is_given_back() {
    on_a_hub("permit", || {
        let permits = Rc::new(Semaphore::new(0));
        let fibers = waiting(2, {
            let permits = Rc::clone(&permits);
            move |_| {
                let _permit = permits.acquire();
                yield_now();
            }
        });
        permits.add(1);
        fibers[0].cancel();
        let ended: Vec<_> = fibers
            .into_iter()
            .map(|fiber| fiber.join().is_ok())
            .collect();
        assert_eq!(ended, [false, true]);
        assert_eq!(permits.available(), 1);
    });
}

#[test]
fn permits_are_taken_many_at_once_or_not_at_all() {
    on_a_hub("try permits", || {
        let permits = Arc::new(Semaphore::new(3));
        assert!(permits.try_acquire_many(4).is_none());
        assert!(permits.try_acquire_many_owned(4).is_none());
        let two = permits.try_acquire_many(2).unwrap();
        let one = permits.try_acquire_owned().unwrap();
        assert_eq!(permits.available(), 0);
        assert_eq!(format!("{permits:?}"), "Semaphore { available: 0, .. }");
        assert!(permits.try_acquire_owned().is_none());
        assert!(permits.acquire_timeout_owned(SHORT).is_none());
        let waits = waiting(1, {
            let permits = Arc::clone(&permits);
            move |_| permits.acquire_many_owned(3)
        });
        drop(two);
        settle();
        assert!(!waits[0].is_finished());
        assert!(
            permits.try_acquire_many_owned(2).is_none(),
            "somebody waits"
        );
        drop(one);
        let three = join_all(waits).pop().unwrap();
        let timed = waiting(1, {
            let permits = Arc::clone(&permits);
            move |_| permits.acquire_timeout_owned(LONG)
        });
        assert!(!timed[0].is_finished());
        drop(three);
        assert_eq!(permits.available(), 2);
        assert!(join_all(timed)[0].is_some());
        assert_eq!(permits.available(), 3);
        permits.try_acquire_many_owned(2).unwrap().forget();
        assert_eq!(permits.available(), 1);
    });
}

#[test]
fn an_owned_permit_is_given_back_by_another_thread() {
    let _watchdog = Watchdog::new("owned");
    let permits = Arc::new(Semaphore::new(3));
    let (held, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (sender, receiver) = channel::unbounded();
    let dropper = std::thread::spawn({
        let held = Arc::clone(&held);
        move || {
            for permit in receiver {
                held.fetch_sub(1, Ordering::SeqCst);
                drop(permit);
            }
        }
    });
    crowd(2, 20, 2, {
        let (permits, most) = (Arc::clone(&permits), Arc::clone(&most));
        move |_| {
            for _ in 0..20 {
                let permit = permits.acquire_owned();
                let now = held.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(now, Ordering::SeqCst);
                sender.send(permit).unwrap();
            }
        }
    });
    dropper.join().unwrap();
    assert_eq!(permits.available(), 3);
    assert!((1..=3).contains(&most.load(Ordering::SeqCst)));
}

#[test]
fn a_fiber_that_waits_for_a_lock_does_not_hold_its_hub() {
    on_a_hub("hub", || {
        let lock = Arc::new(Mutex::new(()));
        let (locked, has_locked) = channel::bounded(0);
        let (unlock, may_unlock) = channel::bounded(0);
        let thread = std::thread::spawn({
            let lock = Arc::clone(&lock);
            move || {
                let _held = lock.lock();
                locked.send(()).unwrap();
                may_unlock.recv().unwrap();
            }
        });
        has_locked.recv().unwrap();
        let waits = waiting(1, move |_| drop(lock.lock().unwrap()));
        assert!(!waits[0].is_finished());
        assert!(timeout(LONG, || unlock.send(())).unwrap().is_ok());
        join_all(waits);
        thread.join().unwrap();
    });
}
