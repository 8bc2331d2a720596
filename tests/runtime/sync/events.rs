//! Event, Notify and Barrier.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kapok::sync::{Barrier, Event, Notify};
use kapok::yield_now;

use super::{LONG, Log, SHORT, crowd, join_all, scramble, settle, waiting};
use crate::support::{Watchdog, on_a_hub};

#[test]
fn setting_an_event_wakes_all_even_if_it_is_cleared_at_once() {
    on_a_hub("cleared", || {
        let (event, log) = (Rc::new(Event::new()), Log::default());
        let fibers = waiting(5, {
            let (event, log) = (Rc::clone(&event), log.clone());
            move |number| {
                event.wait();
                log.note(number);
            }
        });
        event.set();
        event.clear();
        assert!(!event.is_set());
        let late = waiting(1, {
            let event = Rc::clone(&event);
            move |_| event.wait_timeout(SHORT)
        });
        join_all(fibers);
        assert_eq!(log.take(), [0, 1, 2, 3, 4]);
        assert_eq!(join_all(late), [false]);
        event.set();
        event.wait();
        assert!(event.wait_timeout(Duration::ZERO));
    });
}

#[test]
fn a_cancelled_waiter_of_an_event_is_out_of_its_list() {
    on_a_hub("cancelled", || {
        let event = Rc::new(Event::new());
        let fibers = waiting(3, {
            let event = Rc::clone(&event);
            move |_| event.wait()
        });
        fibers[1].cancel();
        settle();
        assert!(fibers[1].is_finished());
        event.set();
        let ended: Vec<_> = fibers
            .into_iter()
            .map(|fiber| fiber.join().is_ok())
            .collect();
        assert_eq!(ended, [true, false, true]);
    });
}

// Gruvi 12.
#[test]
fn waits_for_an_event_end_by_it_or_by_their_timeout() {
    let _watchdog = Watchdog::new("event sums");
    const WAITS: usize = 20;
    const ALL: usize = (3 * 40 + 3) * WAITS;
    let event = Arc::new(Event::new());
    let (woken, late) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let setter = std::thread::spawn({
        let (event, woken, late) = (Arc::clone(&event), Arc::clone(&woken), Arc::clone(&late));
        move || {
            while woken.load(Ordering::SeqCst) + late.load(Ordering::SeqCst) < ALL {
                event.set();
                event.clear();
                std::thread::yield_now();
            }
        }
    });
    crowd(3, 40, 3, {
        let (woken, late) = (Arc::clone(&woken), Arc::clone(&late));
        move |number| {
            for round in 0..WAITS {
                let time = Duration::from_micros(scramble(number * WAITS + round) as u64 % 300);
                let start = Instant::now();
                if event.wait_timeout(time) {
                    woken.fetch_add(1, Ordering::SeqCst);
                } else {
                    assert!(start.elapsed() >= time);
                    late.fetch_add(1, Ordering::SeqCst);
                }
            }
        }
    });
    setter.join().unwrap();
    let sum = woken.load(Ordering::SeqCst) + late.load(Ordering::SeqCst);
    assert_eq!(sum, ALL);
}

#[test]
fn one_notification_is_kept_for_the_next_to_wait() {
    on_a_hub("kept", || {
        let (notify, log) = (Rc::new(Notify::new()), Log::default());
        notify.notify_one();
        notify.notify_one();
        notify.wait();
        assert!(!notify.wait_timeout(SHORT), "several count as one");
        notify.notify_all();
        assert!(!notify.wait_timeout(SHORT), "nothing is kept");
        let fibers = waiting(4, {
            let (notify, log) = (Rc::clone(&notify), log.clone());
            move |number| {
                notify.wait();
                log.note(number);
            }
        });
        notify.notify_one();
        settle();
        assert_eq!(log.take(), [0]);
        notify.notify_all();
        join_all(fibers);
        assert_eq!(log.take(), [1, 2, 3]);
    });
}

#[test]
fn a_cancelled_waiter_leaves_the_notification_to_the_next() {
    on_a_hub("notify", || {
        let notify = Rc::new(Notify::new());
        let fibers = waiting(2, {
            let notify = Rc::clone(&notify);
            move |_| notify.wait()
        });
        fibers[0].cancel();
        settle();
        notify.notify_one();
        let ended: Vec<_> = fibers
            .into_iter()
            .map(|fiber| fiber.join().is_ok())
            .collect();
        assert_eq!(ended, [false, true]);
    });
}

#[test]
fn a_barrier_opens_again_and_again_with_one_leader_each_time() {
    let _watchdog = Watchdog::new("barrier");
    const ROUNDS: usize = 50;
    let (barrier, leaders) = (Arc::new(Barrier::new(23)), Arc::new(AtomicUsize::new(0)));
    let arrived = Arc::new(AtomicUsize::new(0));
    crowd(2, 10, 3, {
        let leaders = Arc::clone(&leaders);
        move |_| {
            for round in 0..ROUNDS {
                arrived.fetch_add(1, Ordering::SeqCst);
                let leads = barrier.wait().is_leader();
                assert!(arrived.load(Ordering::SeqCst) >= (round + 1) * 23);
                leaders.fetch_add(usize::from(leads), Ordering::SeqCst);
            }
        }
    });
    assert_eq!(leaders.load(Ordering::SeqCst), ROUNDS);
}

#[test]
fn who_is_cancelled_at_a_barrier_does_not_count_as_arrived() {
    on_a_hub("does not count", || {
        let barrier = Rc::new(Barrier::new(3));
        let arrive = |count| {
            let barrier = Rc::clone(&barrier);
            waiting(count, move |_| barrier.wait().is_leader())
        };
        let first = arrive(2);
        first[0].cancel();
        settle();
        let second = arrive(1);
        settle();
        assert!(
            !first[1].is_finished() && !second[0].is_finished(),
            "two of three"
        );
        // Who has been let through is through, cancelled or not.
        let third = arrive(1);
        let ended: Vec<_> = first.into_iter().map(|fiber| fiber.join().ok()).collect();
        assert_eq!(ended, [None, Some(false)]);
        assert_eq!(join_all(second), [false]);
        assert_eq!(join_all(third), [true]);
        assert!(Barrier::new(0).wait().is_leader());
        assert!(Barrier::new(1).wait().is_leader());
        yield_now();
    });
}

#[test]
fn who_gives_up_at_a_barrier_does_not_count_as_arrived() {
    on_a_hub("barrier times out", || {
        let barrier = Rc::new(Barrier::new(2));
        assert!(barrier.wait_timeout(SHORT).is_none());
        assert!(barrier.wait_timeout(Duration::ZERO).is_none());
        let first = waiting(1, {
            let barrier = Rc::clone(&barrier);
            move |_| barrier.wait_timeout(LONG).map(|met| met.is_leader())
        });
        assert!(!first[0].is_finished(), "those who gave up are not there");
        assert!(barrier.wait_timeout(SHORT).unwrap().is_leader());
        assert_eq!(join_all(first), [Some(false)]);
    });
}

#[test]
fn at_a_barrier_so_many_meet_or_give_up_however_they_race() {
    let _watchdog = Watchdog::new("barrier race");
    const ROUNDS: usize = 500;
    let barrier = Arc::new(Barrier::new(4));
    let (met, leaders) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    crowd(2, 2, 1, {
        let (barrier, met, leaders) =
            (Arc::clone(&barrier), Arc::clone(&met), Arc::clone(&leaders));
        move |number| {
            for round in 0..ROUNDS {
                let patience = scramble(number * ROUNDS + round) % 100;
                if let Some(result) = barrier.wait_timeout(Duration::from_micros(patience as u64)) {
                    met.fetch_add(1, Ordering::SeqCst);
                    leaders.fetch_add(usize::from(result.is_leader()), Ordering::SeqCst);
                }
            }
        }
    });
    let [met, leaders] = [met, leaders].map(|count| count.load(Ordering::SeqCst));
    assert_eq!(met, leaders * 4, "each leader has three others");
    assert_eq!(
        format!("{barrier:?}"),
        "Barrier { size: 4, arrived: 0, .. }"
    );
}
