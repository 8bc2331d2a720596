//! Once, OnceLock and LazyLock: one runs it, others wait, and what if it fails.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kapok::sync::{Event, LazyLock, Once, OnceLock};
use kapok::{sleep, spawn, timeout, yield_now};

use super::{LONG, SHORT, crowd, join_all, settle, waiting};
use crate::support::{Watchdog, on_a_hub};

fn panics() -> ! {
    resume_unwind(Box::new("the test's panic"))
}

#[test]
fn it_is_run_once_although_the_closure_waits() {
    on_a_hub("once", || {
        let (once, runs, go_on) = (
            Rc::new(Once::new()),
            Rc::new(Cell::new(0)),
            Rc::new(Event::new()),
        );
        let fibers = waiting(5, {
            let (once, runs, go_on) = (Rc::clone(&once), Rc::clone(&runs), Rc::clone(&go_on));
            move |_| {
                once.call_once(|| {
                    go_on.wait();
                    runs.set(runs.get() + 1);
                });
                assert_eq!(runs.get(), 1);
            }
        });
        let waits = waiting(1, {
            let once = Rc::clone(&once);
            move |_| once.wait()
        });
        settle();
        assert!(!once.is_completed() && !waits[0].is_finished());
        go_on.set();
        join_all(fibers);
        join_all(waits);
        assert!(once.is_completed());
        once.call_once(|| unreachable!());
        once.call_once_force(|_| unreachable!());
    });
}

#[test]
fn after_a_panic_it_has_to_be_forced_and_after_a_cancel_the_next_runs_it() {
    on_a_hub("fails", || {
        let once = Rc::new(Once::new());
        let fibers = waiting(2, {
            let once = Rc::clone(&once);
            move |number| {
                once.call_once(|| match number {
                    0 => sleep(LONG),
                    _ => panics(),
                });
            }
        });
        fibers[0].cancel();
        let mut fibers = fibers.into_iter();
        assert!(fibers.next().unwrap().join().unwrap_err().is_cancelled());
        assert!(fibers.next().unwrap().join().unwrap_err().is_panic());
        assert!(!once.is_completed());
        let refused = catch_unwind(AssertUnwindSafe(|| once.call_once(|| unreachable!())));
        assert!(refused.is_err());
        let ran = Cell::new(false);
        once.call_once_force(|state| ran.set(state.is_poisoned()));
        assert!(ran.get() && once.is_completed());
        once.call_once(|| unreachable!());
        Once::new().call_once_force(|state| assert!(!state.is_poisoned()));
    });
}

#[test]
fn a_value_is_made_by_the_next_if_the_first_panics_is_cancelled_or_fails() {
    on_a_hub("value", || {
        let value = Rc::new(OnceLock::new());
        let fibers = waiting(4, {
            let value = Rc::clone(&value);
            move |number| {
                let made = value.get_or_try_init(|| match number {
                    0 => {
                        sleep(LONG);
                        Ok(0)
                    }
                    1 => panics(),
                    2 => Err("no"),
                    _ => Ok(number),
                });
                made.copied()
            }
        });
        let waits = waiting(2, {
            let value = Rc::clone(&value);
            move |_| *value.wait()
        });
        fibers[0].cancel();
        let results: Vec<_> = fibers.into_iter().map(|fiber| fiber.join()).collect();
        assert!(results[0].as_ref().unwrap_err().is_cancelled());
        assert!(results[1].as_ref().unwrap_err().is_panic());
        assert_eq!(*results[2].as_ref().unwrap(), Err("no"));
        assert_eq!(*results[3].as_ref().unwrap(), Ok(3));
        assert_eq!(join_all(waits), [3, 3]);
    });
}

// Gruvi 15.
#[test]
fn the_first_value_that_is_set_wins() {
    on_a_hub("first wins", || {
        let mut value = OnceLock::new();
        assert_eq!(value.get(), None);
        assert_eq!(value.set(1), Ok(()));
        assert_eq!(value.set(2), Err(2));
        assert_eq!((*value.wait(), *value.get_or_init(|| 3)), (1, 1));
        assert_eq!(value.take(), Some(1));
        assert_eq!(value.set(4), Ok(()));
        assert_eq!(value.into_inner(), Some(4));
    });
}

#[test]
fn values_are_compared_and_cloned_with_what_waits_for_them() {
    on_a_hub("clones", || {
        let unset = OnceLock::new();
        let set = OnceLock::from(1);
        assert_eq!(*set.wait(), 1);
        assert!(unset != set && unset == unset.clone());
        assert_eq!(unset.set(1), Ok(()));
        assert_eq!(unset, set);
        let clone = set.clone();
        assert_eq!((*clone.wait(), clone.set(2)), (1, Err(2)));
        // A clone of a value that somebody is about to make has none, and says so at once.
        let made = OnceLock::new();
        assert_eq!(
            *made.get_or_init(|| {
                assert_eq!(made.clone().get(), None);
                3
            }),
            3
        );
        // No switchpoint is reached.
        kapok::assert_no_switchpoints(|| assert_eq!(made.clone(), OnceLock::from(3)));
    });
}

// Gruvi 15.
#[test]
fn a_fiber_is_cancelled_before_it_runs_and_not_after_it_has_ended() {
    on_a_hub("future", || {
        let pending = spawn(|| unreachable!());
        pending.cancel();
        assert!(pending.join().unwrap_err().is_cancelled());
        // What cannot be stopped gets to its end.
        let running = spawn(|| kapok::shielded(|| sleep(SHORT)));
        yield_now();
        running.cancel();
        running.join().unwrap();
        let ended = spawn(|| 5);
        yield_now();
        ended.cancel();
        assert_eq!(ended.join().unwrap(), 5);
    });
}

#[test]
fn a_set_waits_for_whoever_is_about_to_make_the_value() {
    on_a_hub("set", || {
        let (value, go_on) = (Rc::new(OnceLock::new()), Rc::new(Event::new()));
        let makes = waiting(1, {
            let (value, go_on) = (Rc::clone(&value), Rc::clone(&go_on));
            move |_| {
                *value.get_or_init(|| {
                    go_on.wait();
                    1
                })
            }
        });
        let sets = waiting(1, {
            let value = Rc::clone(&value);
            move |_| value.set(2)
        });
        assert!(timeout(SHORT, || *value.wait()).is_err());
        go_on.set();
        assert_eq!(join_all(makes), [1]);
        assert_eq!(join_all(sets), [Err(2)]);
    });
}

#[test]
fn one_of_many_on_two_hubs_and_threads_makes_the_value() {
    let _watchdog = Watchdog::new("concurrent");
    for _ in 0..20 {
        let (value, made) = (Arc::new(OnceLock::new()), Arc::new(AtomicUsize::new(0)));
        let lazy = Arc::new(LazyLock::new({
            let made = Arc::clone(&made);
            move || made.fetch_add(100, Ordering::SeqCst)
        }));
        let counted = Arc::clone(&made);
        crowd(2, 10, 2, move |number| {
            if number % 3 == 0 {
                assert!(*value.wait() < 22);
            } else {
                let kept = *value.get_or_init(|| {
                    made.fetch_add(1, Ordering::SeqCst);
                    number
                });
                assert_eq!(*value.wait(), kept);
            }
            assert!(**lazy <= 1);
        });
        assert_eq!(counted.load(Ordering::SeqCst), 101);
    }
}

#[test]
fn a_lazy_value_is_made_in_full_although_the_first_to_ask_is_cancelled() {
    on_a_hub("lazy", || {
        let made = Rc::new(Cell::new(0));
        let lazy = Rc::new(LazyLock::new({
            let made = Rc::clone(&made);
            move || {
                sleep(SHORT);
                made.set(made.get() + 1);
                7
            }
        }));
        let fibers = waiting(3, {
            let lazy = Rc::clone(&lazy);
            move |_| {
                let value = **lazy;
                yield_now();
                value
            }
        });
        fibers[0].cancel();
        fibers[1].cancel();
        let ended: Vec<_> = fibers.into_iter().map(|fiber| fiber.join().ok()).collect();
        assert_eq!(ended, [None, None, Some(7)]);
        assert_eq!((made.get(), **lazy), (1, 7));
    });
}

#[test]
fn a_lazy_value_whose_initialiser_panicked_panics_each_time() {
    on_a_hub("lazy panics", || {
        let lazy: LazyLock<u8> = LazyLock::new(|| panics());
        for _ in 0..3 {
            assert!(catch_unwind(AssertUnwindSafe(|| *lazy)).is_err());
        }
    });
}
