//! `task_group`: the first failure ends all.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};
use std::rc::Rc;
use std::time::Duration;

use kapok::sync::Event;
use kapok::{TimedOut, drain, park, scope, shielded, sleep, spawn, task_group, timeout, yield_now};

use crate::support::on_a_hub;

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(10);

/// Counts its end.
struct Marks<'a>(&'a Cell<u32>);

impl Drop for Marks<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

fn sleeps(ended: &Cell<u32>) -> Result<(), u32> {
    let _marks = Marks(ended);
    sleep(LONG);
    ended.set(1000);
    Ok(())
}

#[test]
fn all_succeed_or_the_first_error_ends_siblings_and_body() {
    on_a_hub("errors", || {
        let ended = Cell::new(0);
        let sum = task_group(|group| {
            let fibers: Vec<_> = (1..4)
                .map(|n| group.spawn(move || Ok::<_, u32>(n)))
                .collect();
            Ok(fibers.into_iter().map(|fiber| fiber.join()).sum::<u32>())
        });
        assert_eq!(sum, Ok(6));
        let failed = task_group(|group| {
            group.spawn(|| sleeps(&ended));
            group.spawn(|| sleeps(&ended));
            group.spawn(|| Err::<(), _>(7));
            group.spawn(|| Err::<(), _>(8));
            let _marks = Marks(&ended);
            sleep(LONG);
            Ok(())
        });
        assert_eq!((failed, ended.get()), (Err(7), 3));
        // The body may have ended already.
        let failed = task_group(|group| {
            group.spawn(|| sleeps(&ended));
            group.spawn(|| {
                sleep(Duration::from_millis(1));
                Err::<(), _>(9)
            });
            Ok(())
        });
        assert_eq!((failed, ended.get()), (Err(9), 4));
    });
}

#[test]
fn an_error_of_the_body_ends_the_children() {
    on_a_hub("body", || {
        let ended = Cell::new(0);
        let failed = task_group(|group| {
            group.spawn(|| sleeps(&ended));
            yield_now();
            Err::<(), _>(5)
        });
        assert_eq!((failed, ended.get()), (Err(5), 1));
        assert_eq!(
            timeout(LONG, || 3),
            Ok(3),
            "the group's own end is forgotten"
        );
        sleep(Duration::ZERO);
    });
}

#[test]
fn a_panic_ends_all_and_is_passed_on() {
    on_a_hub("panic", || {
        for in_body in [false, true] {
            let ended = Cell::new(0);
            let caught = catch_unwind(AssertUnwindSafe(|| {
                task_group(|group| {
                    group.spawn(|| sleeps(&ended));
                    yield_now();
                    if in_body {
                        panic_any(5_u8);
                    }
                    group.spawn(|| -> Result<(), u32> { panic_any(5_u8) });
                    sleep(LONG);
                    Ok(())
                })
            }));
            assert_eq!(*caught.unwrap_err().downcast::<u8>().unwrap(), 5);
            assert_eq!(ended.get(), 1);
        }
    });
}

#[test]
fn a_group_inside_a_group_ends_alone_or_with_the_outer_one() {
    on_a_hub("nested", || {
        let ended = Cell::new(0);
        let outer = task_group(|outer| {
            outer.spawn(|| {
                let inner = task_group(|inner| {
                    inner.spawn(|| sleeps(&ended));
                    inner.spawn(|| Err::<(), _>(1));
                    Ok(())
                });
                assert_eq!(inner, Err(1));
                Ok(())
            });
            sleep(Duration::from_millis(1));
            Ok::<_, u32>(2)
        });
        assert_eq!((outer, ended.get()), (Ok(2), 1));
        let outer = task_group(|outer| {
            outer.spawn(|| {
                sleep(Duration::from_millis(1));
                Err::<(), _>(3)
            });
            outer.spawn(|| {
                task_group(|inner| {
                    inner.spawn(|| sleeps(&ended));
                    Ok(())
                })
            });
            // In the body too.
            task_group(|inner| {
                inner.spawn(|| sleeps(&ended));
                sleeps(&ended)
            })
        });
        assert_eq!((outer, ended.get()), (Err(3), 4));
        sleep(Duration::ZERO);
    });
}

#[test]
fn a_timeout_or_a_cancel_from_outside_ends_the_group() {
    on_a_hub("outside", || {
        let ended = Rc::new(Cell::new(0));
        let late = timeout(SHORT, || {
            task_group(|group| {
                group.spawn(|| sleeps(&ended));
                group.spawn(|| sleeps(&ended)).join();
                Ok::<_, u32>(())
            })
        });
        assert_eq!((late, ended.get()), (Err(TimedOut), 2));
        for body_waits in [false, true] {
            ended.set(0);
            let fiber = spawn({
                let ended = Rc::clone(&ended);
                move || {
                    task_group(|group| {
                        group.spawn(|| sleeps(&ended));
                        if body_waits {
                            sleeps(&ended)?;
                        }
                        Ok(())
                    })
                }
            });
            yield_now();
            yield_now();
            fiber.cancel();
            assert!(fiber.join().unwrap_err().is_cancelled());
            assert_eq!(ended.get(), 1 + u32::from(body_waits));
        }
        drain(Duration::ZERO).unwrap();
    });
}

#[test]
fn a_failure_waits_for_what_is_shielded() {
    on_a_hub("shielded", || {
        let (go_on, steps) = (Event::new(), Cell::new(0));
        let failed = task_group(|group| {
            group.spawn(|| {
                shielded(|| {
                    sleep(SHORT);
                    steps.set(steps.get() + 1);
                });
                yield_now();
                steps.set(1000);
                Ok(())
            });
            let failing = group.spawn(|| Err::<(), _>(4));
            shielded(|| {
                assert_eq!(failing.try_join(), None);
                sleep(SHORT);
                steps.set(steps.get() + 1);
            });
            yield_now();
            go_on.wait();
            Ok(())
        });
        assert_eq!((failed, steps.get()), (Err(4), 2));
    });
}

#[test]
fn what_is_spawned_after_the_failure_is_cancelled_too() {
    on_a_hub("late", || {
        let steps = Cell::new(0);
        let start = std::time::Instant::now();
        let failed = task_group(|group| {
            group.spawn(|| {
                shielded(|| sleep(SHORT));
                group.spawn(|| {
                    // Long enough to be seen, and not for ever.
                    sleep(Duration::from_secs(5));
                    steps.set(1);
                    Ok(())
                });
                Ok(())
            });
            group.spawn(|| Err::<(), _>(4));
            shielded(|| sleep(SHORT));
            group.spawn(|| {
                sleep(Duration::from_secs(5));
                steps.set(2);
                Ok(())
            });
            Ok(())
        });
        assert_eq!((failed, steps.get()), (Err(4), 0));
        assert!(start.elapsed() < Duration::from_secs(4));
    });
}

#[test]
fn who_joins_a_fiber_that_failed_is_unwound_with_the_group() {
    on_a_hub("join", || {
        let steps = Cell::new(0);
        let failed = task_group(|group| {
            let failing = group.spawn(|| Err::<u32, _>(4));
            steps.set(1);
            steps.set(1 + failing.join());
            Ok(())
        });
        assert_eq!((failed, steps.get()), (Err(4), 1));
        // By a sibling, and by a fiber to which the failure has not come yet.
        let failed = task_group(|group| {
            let failing = group.spawn(|| Err::<u32, _>(5));
            group.spawn(|| {
                scope(|scope| {
                    scope.spawn(|| steps.set(1 + failing.join()));
                });
                Ok(())
            });
            sleep(Duration::from_secs(5));
            Ok(())
        });
        assert_eq!((failed, steps.get()), (Err(5), 1));
    });
}

#[test]
fn joining_a_fiber_that_was_cancelled_alone_panics() {
    on_a_hub("alone", || {
        let failed = catch_unwind(AssertUnwindSafe(|| {
            task_group(|group| {
                let fiber = group.spawn(|| {
                    park();
                    Ok::<_, u32>(())
                });
                fiber.cancel();
                fiber.join();
                Ok(())
            })
        }));
        let payload = failed.expect_err("it has no result");
        let text = payload.downcast_ref::<&str>();
        assert_eq!(
            text,
            Some(&"a fiber of the group was cancelled and has no result")
        );
    });
}

#[test]
fn cancelled_children_are_no_failure_and_later_ones_run() {
    on_a_hub("cancel", || {
        let ended = Cell::new(0);
        let result = task_group(|group| {
            let one = group.spawn(|| sleeps(&ended));
            group.spawn(|| sleeps(&ended));
            yield_now();
            one.cancel();
            assert_eq!(one.try_join(), None);
            assert_eq!(ended.get(), 1);
            group.cancel();
            Ok::<_, u32>(group.spawn(|| Ok(6)).join())
        });
        assert_eq!((result, ended.get()), (Ok(6), 2));
    });
}

#[test]
fn errors_while_unwinding_are_dropped_and_the_first_one_counts() {
    on_a_hub("unwinding", || {
        struct Fails<'a>(&'a Cell<u32>);
        impl Drop for Fails<'_> {
            fn drop(&mut self) {
                // A whole group that fails, in a destructor of a fiber that is cancelled.
                let failed = task_group(|group| {
                    group.spawn(|| Err::<(), _>(1));
                    group.spawn(|| sleeps(self.0));
                    park();
                    Ok(())
                });
                assert_eq!(failed, Err(1));
                self.0.set(self.0.get() + 10);
            }
        }
        let ended = Cell::new(0);
        let failed = task_group(|group| {
            group.spawn(|| {
                let caught = catch_unwind(AssertUnwindSafe(|| sleep(LONG)));
                assert!(caught.is_err());
                Err::<(), _>(3) // the group has failed already
            });
            group.spawn(|| {
                let _fails = Fails(&ended);
                sleep(LONG);
                Ok(())
            });
            yield_now();
            group.spawn(|| Err::<(), _>(2));
            Ok(())
        });
        assert_eq!(failed, Err(2));
        assert!(ended.get() >= 10, "{}", ended.get());
    });
}

#[test]
fn a_group_borrows_and_may_hold_a_scope() {
    on_a_hub("mixed", || {
        let mut words = ["a".to_owned(), "b".to_owned()];
        let result: Result<u32, String> = task_group(|group| {
            for word in &mut words {
                group.spawn(|| {
                    scope(|scope| scope.spawn(|| word.push('!')).join().unwrap());
                    match word.as_str() {
                        "b!" => Err(word.clone()),
                        _ => Ok(()),
                    }
                });
            }
            Ok(1)
        });
        assert_eq!(result, Err("b!".into()));
        assert_eq!(words, ["a!", "b!"]);
    });
}

#[test]
fn a_later_failure_whose_destructor_panics_is_dropped_when_all_have_ended() {
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            resume_unwind(Box::new("a destructor's panic"));
        }
    }

    on_a_hub("late_failures", || {
        for panics in [false, true] {
            let ended = Cell::new(0);
            let caught = catch_unwind(AssertUnwindSafe(|| {
                let result = task_group(|group| {
                    group.spawn(|| {
                        let _marks = Marks(&ended);
                        shielded(|| sleep(SHORT));
                        Ok(())
                    });
                    group.spawn(|| Err::<(), _>(None));
                    shielded(yield_now); // that one has failed
                    match panics {
                        true => resume_unwind(Box::new(Bomb)),
                        false => Err::<(), _>(Some(Bomb)),
                    }
                });
                drop(result);
            }));
            assert_eq!((caught.is_err(), ended.get()), (true, 1));
        }
    });
}
