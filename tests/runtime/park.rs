//! Park and unpark: the token, other threads, and threads without a hub.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kapok::{Fiber, current, park, park_timeout, sleep, spawn, timeout, yield_now};

use crate::support::{Watchdog, on_a_hub};

#[test]
fn an_unpark_before_the_park_is_kept_once() {
    on_a_hub("token", || {
        let woken = Rc::new(Cell::new(0));
        let fiber = spawn({
            let woken = Rc::clone(&woken);
            move || {
                let me = current();
                me.unpark();
                me.unpark();
                park();
                woken.set(1);
                park();
                woken.set(2);
            }
        });
        yield_now();
        assert_eq!(woken.get(), 1, "two unparks count as one");
        fiber.fiber().unpark();
        fiber.join().unwrap();
        assert_eq!(woken.get(), 2);
    });
}

#[test]
fn parking_for_a_time_lasts_that_long_unless_woken() {
    on_a_hub("timeout", || {
        let (start, time) = (Instant::now(), Duration::from_millis(5));
        while start.elapsed() < time {
            park_timeout(time.saturating_sub(start.elapsed()));
        }
        let fiber = spawn(|| park_timeout(Duration::from_secs(3600)));
        yield_now();
        fiber.fiber().unpark();
        fiber.join().unwrap();
    });
}

#[test]
fn no_wake_is_lost_between_threads() {
    on_a_hub("cross", || {
        const TURNS: u64 = 100_000;
        let turn = Arc::new(AtomicU64::new(0));
        let me = current();
        let (fiber, seen) = (spawn(park), Arc::clone(&turn));
        let thread = std::thread::spawn(move || {
            // Odd turns are the thread's.
            for own in 0..TURNS {
                while seen.load(Ordering::Acquire) != own * 2 + 1 {
                    std::thread::yield_now();
                }
                seen.store(own * 2 + 2, Ordering::Release);
                me.unpark();
            }
        });
        for own in 0..TURNS {
            turn.store(own * 2 + 1, Ordering::Release);
            while turn.load(Ordering::Acquire) != own * 2 + 2 {
                park();
            }
        }
        thread.join().unwrap();
        fiber.fiber().unpark();
        fiber.join().unwrap();
    });
}

// Gruvi 7.
#[test]
fn whoever_unparks_a_fiber_only_asks_its_hub_to_run_it() {
    on_a_hub("only asks", || {
        let ran = Rc::new(Cell::new(None));
        let fiber = spawn({
            let ran = Rc::clone(&ran);
            move || {
                park();
                ran.set(Some(std::thread::current().id()));
            }
        });
        yield_now();
        let handle = fiber.fiber();
        handle.unpark();
        std::thread::spawn(move || handle.unpark()).join().unwrap();
        assert_eq!(ran.get(), None);
        fiber.join().unwrap();
        assert_eq!(ran.get(), Some(std::thread::current().id()));
    });
}

#[test]
fn waking_a_fiber_that_is_gone_does_nothing() {
    on_a_hub("gone", || {
        let ended = spawn(current).join().unwrap();
        // Its slot is used again at once.
        let woken = Rc::new(Cell::new(false));
        let next = spawn({
            let woken = Rc::clone(&woken);
            move || {
                park();
                woken.set(true);
            }
        });
        yield_now();
        ended.unpark();
        let from_thread = ended.clone();
        std::thread::spawn(move || from_thread.unpark())
            .join()
            .unwrap();
        yield_now();
        kapok::sleep(Duration::from_millis(1));
        assert!(
            !woken.get(),
            "a waker of the slot's last fiber woke this one"
        );
        next.fiber().unpark();
        next.join().unwrap();
    });
    let _watchdog = Watchdog::new("gone hub");
    let fiber = std::thread::spawn(|| kapok::run(|| spawn(current).join().unwrap()))
        .join()
        .unwrap();
    fiber.unpark();
}

#[test]
fn a_thread_without_a_hub_parks_as_a_thread() {
    let _watchdog = Watchdog::new("thread");
    let (tell, told) = std::sync::mpsc::channel();
    let thread = std::thread::Builder::new()
        .name("plain".to_owned())
        .spawn(move || {
            tell.send(current()).unwrap();
            park();
            current().id().is_none()
        })
        .unwrap();
    let fiber = told.recv_timeout(Duration::from_secs(30)).unwrap();
    assert_eq!(fiber.name(), Some("plain"));
    // A park may return for no reason, so the end of the thread is all that can be asked for.
    fiber.unpark();
    assert!(thread.join().unwrap());
}

#[test]
fn an_unpark_that_comes_with_the_end_of_a_timeout_is_not_lost() {
    on_a_hub("kept", || {
        for waits in [park as fn(), || park_timeout(Duration::from_secs(60))] {
            let handle = Rc::new(Cell::new(None::<Fiber>));
            let unparker = spawn({
                let handle = Rc::clone(&handle);
                move || {
                    sleep(Duration::from_millis(10));
                    handle.take().expect("set before").unpark();
                }
            });
            let waiter = spawn(move || timeout(Duration::from_millis(10), waits));
            handle.set(Some(waiter.fiber()));
            yield_now();
            // The thread is away until both are due; the unparker is first.
            let away = Instant::now() + Duration::from_millis(20);
            while Instant::now() < away {
                std::hint::spin_loop();
            }
            unparker.join().unwrap();
            assert_eq!(waiter.join().unwrap(), Ok(()));
        }
    });
}
