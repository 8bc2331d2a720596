//! `scope`: fibers that borrow, and that have ended when it returns, however it returns.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant};

use kapok::sync::Event;
use kapok::{
    Builder, TimedOut, deadline, drain, is_cancel, park, scope, shielded, sleep, spawn, timeout,
    yield_now,
};

use crate::support::{Watchdog, on_a_hub};

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(10);

fn panics() -> ! {
    resume_unwind(Box::new("the test's panic"))
}

/// Says when it is dropped.
struct Marks<'a>(&'a Cell<u32>);

impl Drop for Marks<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

#[test]
fn children_borrow_and_change_what_is_around_them() {
    on_a_hub("borrows", || {
        let (mut words, total) = (vec!["a".to_owned(), "bc".to_owned()], Cell::new(0));
        scope(|scope| {
            for word in &mut words {
                let total = &total;
                let child = scope.spawn(move || {
                    yield_now();
                    word.push('!');
                    total.set(total.get() + word.len());
                    word.as_str()
                });
                if total.get() == 0 {
                    assert_eq!(child.join().unwrap(), "a!");
                }
            }
        });
        assert_eq!((words, total.get()), (vec!["a!".into(), "bc!".into()], 5));
    });
}

#[test]
fn children_have_names_and_stacks_of_their_own_size() {
    fn recurse(depth: u64) -> u64 {
        let frame = std::hint::black_box([depth; 128]);
        if depth == 0 {
            0
        } else {
            frame[17] + recurse(depth - 1)
        }
    }
    on_a_hub("builder", || {
        let depth = 2000;
        scope(|scope| {
            let builder = Builder::new().name("deep").stack_size(8 * 1024 * 1024);
            let child = builder
                .spawn_scoped(scope, || (recurse(depth), kapok::current()))
                .unwrap();
            assert_eq!(child.fiber().name(), Some("deep"));
            let (sum, fiber) = child.join().unwrap();
            assert_eq!((sum, fiber.name()), (2000 * 2001 / 2, Some("deep")));
            let plain = Builder::new().spawn_scoped(scope, || depth + 1).unwrap();
            assert_eq!(plain.join().unwrap(), 2001);
        });
    });
}

#[test]
fn a_child_for_which_there_is_no_stack_is_an_error_and_the_scope_waits_for_the_others() {
    on_a_hub("no stack", || {
        let marks = Cell::new(0);
        let result = scope(|scope| {
            let other = Builder::new().spawn_scoped(scope, || {
                yield_now();
                drop(Marks(&marks));
            });
            assert!(other.is_ok());
            let owned = Marks(&marks);
            let refused = Builder::new().stack_size(usize::MAX);
            refused
                .name("huge")
                .spawn_scoped(scope, move || drop(owned))
                .map(|_| ())
        });
        assert!(result.is_err());
        assert_eq!(marks.get(), 2, "what the closure owned is dropped");
    });
}

#[test]
fn a_child_with_a_name_has_its_parents_deadline_and_is_cancelled_with_it() {
    on_a_hub("builder and timeout", || {
        let ended = Cell::new(0);
        let timed_out = timeout(SHORT, || {
            scope(|scope| {
                let builder = Builder::new().name("sleeper");
                let child = builder.spawn_scoped(scope, || {
                    let _marks = Marks(&ended);
                    assert!(deadline().is_some());
                    sleep(LONG);
                });
                child.map(|child| child.join()).unwrap()
            })
        });
        assert!(timed_out.is_err());
        assert_eq!(ended.get(), 1);
    });
}

#[test]
fn a_cancelled_parent_goes_when_its_children_have_gone() {
    on_a_hub("cancelled parent", || {
        let (ended, slow) = (Rc::new(Cell::new(0)), Rc::new(Event::new()));
        let parent = spawn({
            let (ended, slow) = (Rc::clone(&ended), Rc::clone(&slow));
            move || {
                let ended = &*ended;
                scope(|scope| {
                    for _ in 0..3 {
                        scope.spawn(|| {
                            let _marks = Marks(ended);
                            sleep(LONG);
                        });
                    }
                    // It takes its time.
                    scope.spawn(|| {
                        let _marks = Marks(ended);
                        shielded(|| slow.wait());
                        ended.set(ended.get() + 10);
                        yield_now();
                        ended.set(1000);
                    });
                });
                ended.set(1000);
            }
        });
        yield_now();
        yield_now();
        parent.cancel();
        sleep(SHORT);
        assert_eq!((ended.get(), parent.is_finished()), (3, false));
        slow.set();
        assert!(parent.join().unwrap_err().is_cancelled());
        assert_eq!(ended.get(), 14);
    });
}

#[test]
fn a_timeout_around_a_scope_ends_its_children() {
    on_a_hub("timeout", || {
        let ended = Cell::new(0);
        let result = timeout(SHORT, || {
            scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| {
                        let _marks = Marks(&ended);
                        sleep(LONG);
                    });
                }
                5
            })
        });
        assert_eq!((result, ended.get()), (Err(TimedOut), 3));
        let result = timeout(LONG, || scope(|scope| scope.spawn(|| 6).join().unwrap()));
        assert_eq!(result, Ok(6));
    });
}

#[test]
fn a_childs_panic_is_told_by_join_or_else_by_the_scope() {
    on_a_hub("child panics", || {
        let told = scope(|scope| scope.spawn(|| panics()).join().map(|()| 1));
        assert!(told.unwrap_err().is_panic());
        let ended = Cell::new(0);
        let caught = catch_unwind(AssertUnwindSafe(|| {
            scope(|scope| {
                scope.spawn(|| panics());
                scope.spawn(|| {
                    let _marks = Marks(&ended);
                    yield_now();
                });
            })
        }));
        let payload = caught.unwrap_err();
        assert!(!is_cancel(&*payload));
        assert_eq!(ended.get(), 1, "its sibling got to its end");
        let caught = catch_unwind(|| {
            #[expect(clippy::mem_forget, reason = "what is tested")]
            scope(|scope| std::mem::forget(scope.spawn(|| panics())));
        });
        assert!(caught.is_err(), "nobody can join what is forgotten");
        // Cancelled is not panicked.
        scope(|scope| scope.spawn(|| sleep(LONG)).cancel());
    });
}

#[test]
fn a_panic_of_the_body_ends_the_children_first() {
    on_a_hub("body panics", || {
        let ended = Cell::new(0);
        let caught = catch_unwind(AssertUnwindSafe(|| {
            scope(|scope| {
                scope.spawn(|| {
                    let _marks = Marks(&ended);
                    sleep(LONG);
                });
                scope.spawn(|| ended.set(100)); // cancelled before it begins
                yield_to_first();
                panics()
            })
        }));
        assert_eq!(
            *caught.unwrap_err().downcast::<&str>().unwrap(),
            "the test's panic"
        );
        assert!(ended.get() >= 1);
        sleep(Duration::ZERO);
    });
    fn yield_to_first() {
        yield_now();
    }
}

#[test]
fn scopes_nest_and_a_cancel_goes_through_all() {
    on_a_hub("nested", || {
        let ended = Rc::new(Cell::new(0));
        let parent = spawn({
            let ended = Rc::clone(&ended);
            move || {
                scope(|outer| {
                    outer.spawn(|| {
                        scope(|inner| {
                            inner.spawn(|| {
                                let _marks = Marks(&ended);
                                sleep(LONG);
                            });
                            scope(|innermost| {
                                innermost.spawn(|| {
                                    let _marks = Marks(&ended);
                                    sleep(LONG);
                                });
                            });
                        });
                    });
                });
            }
        });
        sleep(Duration::from_millis(1));
        parent.cancel();
        assert!(parent.join().unwrap_err().is_cancelled());
        assert_eq!(ended.get(), 2);
        drain(Duration::ZERO).unwrap();
    });
}

#[test]
fn a_child_may_spawn_siblings_and_they_are_waited_for() {
    on_a_hub("child of a child", || {
        let count = Cell::new(0);
        scope(|scope| {
            scope.spawn(|| {
                for _ in 0..3 {
                    scope.spawn(|| {
                        sleep(Duration::from_millis(1));
                        count.set(count.get() + 1);
                        scope.spawn(|| count.set(count.get() + 10));
                    });
                }
            });
        });
        assert_eq!(count.get(), 33);
    });
}

#[test]
fn what_is_spawned_into_a_scope_that_is_unwinding_is_cancelled_too() {
    on_a_hub("late child", || {
        let (go_on, ran) = (Rc::new(Event::new()), Rc::new(Cell::new(0)));
        let parent = spawn({
            let (go_on, ran) = (Rc::clone(&go_on), Rc::clone(&ran));
            move || {
                scope(|scope| {
                    scope.spawn(|| {
                        shielded(|| go_on.wait());
                        scope.spawn(|| {
                            sleep(LONG);
                            ran.set(1);
                        });
                    });
                });
            }
        });
        yield_now();
        yield_now();
        parent.cancel();
        sleep(Duration::from_millis(1));
        go_on.set();
        let start = Instant::now();
        while !parent.is_finished() && start.elapsed() < Duration::from_secs(5) {
            sleep(Duration::from_millis(1));
        }
        assert!(
            parent.is_finished(),
            "it waits for a child that nobody cancelled"
        );
        assert!(parent.join().unwrap_err().is_cancelled());
        assert_eq!(ran.get(), 0);
    });
}

#[test]
fn a_handle_that_is_forgotten_or_dropped_leaves_its_fiber_to_the_scope() {
    on_a_hub("forgotten", || {
        let count = Cell::new(0);
        scope(|scope| {
            #[expect(clippy::mem_forget, reason = "what is tested")]
            std::mem::forget(scope.spawn(|| {
                sleep(Duration::from_millis(1));
                count.set(count.get() + 1);
            }));
            drop(scope.spawn(|| {
                sleep(Duration::from_millis(1));
                count.set(count.get() + 1);
            }));
            assert_eq!(count.get(), 0);
        });
        assert_eq!(count.get(), 2);
    });
}

#[test]
fn children_have_the_deadline_of_their_parent() {
    on_a_hub("deadline", || {
        scope(|scope| assert_eq!(scope.spawn(deadline).join().unwrap(), None));
        timeout(LONG, || {
            let own = deadline().unwrap();
            scope(|scope| {
                let grandchild = scope.spawn(|| {
                    kapok::scope(|inner| inner.spawn(|| deadline().unwrap()).join().unwrap())
                });
                assert_eq!(grandchild.join().unwrap(), own);
                // A shorter one of its own does not reach its siblings.
                scope.spawn(|| {
                    let short = timeout(SHORT, || deadline().unwrap()).unwrap();
                    assert!(short < own);
                });
            });
        })
        .unwrap();
        // Children of a shielded section are part of it.
        let whole = timeout(SHORT, || {
            shielded(|| {
                scope(|scope| {
                    let child = scope.spawn(|| {
                        assert_eq!(deadline(), None);
                        sleep(SHORT * 3);
                    });
                    child.join()
                })
            })
        });
        assert!(whole.unwrap().is_ok());
    });
}

#[test]
fn a_sibling_spawned_inside_a_timeout_does_not_end_with_it() {
    on_a_hub("not the spawner's", || {
        let reached = Cell::new(0);
        scope(|scope| {
            scope.spawn(|| {
                timeout(SHORT, || {
                    scope.spawn(|| {
                        assert_eq!(deadline(), None);
                        sleep(SHORT * 3);
                        reached.set(reached.get() + 1);
                    });
                })
                .unwrap();
            });
            // Nor in the body.
            timeout(SHORT, || {
                scope.spawn(|| {
                    sleep(SHORT * 3);
                    reached.set(reached.get() + 1);
                });
            })
            .unwrap();
        });
        assert_eq!(reached.get(), 2);
    });
}

#[test]
fn a_scope_in_a_destructor_of_a_cancelled_fiber_does_its_work() {
    struct Flushes(Rc<Cell<u32>>);
    impl Drop for Flushes {
        fn drop(&mut self) {
            scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| {
                        sleep(Duration::from_millis(1));
                        self.0.set(self.0.get() + 1);
                    });
                }
            });
        }
    }
    on_a_hub("destructor", || {
        let flushed = Rc::new(Cell::new(0));
        let flushes = Flushes(Rc::clone(&flushed));
        let fiber = spawn(move || {
            let _flushes = flushes;
            sleep(LONG);
        });
        yield_now();
        fiber.cancel();
        assert!(fiber.join().unwrap_err().is_cancelled());
        assert_eq!(flushed.get(), 3, "as a sleep there is not cut short");
    });
}

#[test]
fn ten_thousand_children_in_one_scope() {
    on_a_hub("many", || {
        let many = if std::env::var_os("KAPOK_STACK_GUARD").is_some() {
            3_000
        } else {
            10_000
        };
        let sum = Cell::new(0_u64);
        scope(|scope| {
            for number in 0..many {
                let sum = &sum;
                scope.spawn(move || {
                    yield_now();
                    sum.set(sum.get() + number);
                });
            }
        });
        assert_eq!(sum.get(), many * (many - 1) / 2);
        let parent = spawn(move || {
            scope(|scope| {
                for _ in 0..many {
                    scope.spawn(|| sleep(LONG));
                }
            });
        });
        yield_now();
        parent.cancel();
        assert!(parent.join().unwrap_err().is_cancelled());
    });
}

#[test]
fn a_plain_thread_gets_a_hub_for_its_scope() {
    let _watchdog = Watchdog::new("plain thread");
    let sum = std::thread::spawn(|| {
        let mut numbers = [1, 2, 3];
        scope(|scope| {
            for number in &mut numbers {
                scope.spawn(|| {
                    sleep(Duration::from_millis(1));
                    *number *= 2;
                });
            }
        });
        drain(Duration::ZERO).unwrap();
        numbers.iter().sum::<i32>()
    });
    assert_eq!(sum.join().unwrap(), 12);
}

#[test]
fn a_panic_passes_through_a_scope_without_children_where_no_hub_can_be() {
    on_a_hub("pool_thread", || {
        let caught = catch_unwind(|| kapok::unblock(|| scope(|_| panics())).map(drop));
        let payload = caught.unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&"the test's panic"));
    });
}

#[test]
fn a_scope_that_is_open_when_its_hub_drains_ends_with_its_children() {
    on_a_hub("draining", || {
        let ended = Rc::new(Cell::new(0));
        drop(spawn({
            let ended = Rc::clone(&ended);
            move || {
                struct OpensAnother(Rc<Cell<u32>>);
                impl Drop for OpensAnother {
                    fn drop(&mut self) {
                        scope(|scope| {
                            scope.spawn(|| self.0.set(self.0.get() + 100)); // a draining hub runs nothing new
                        });
                        self.0.set(self.0.get() + 10);
                    }
                }
                let _opens = OpensAnother(Rc::clone(&ended));
                scope(|scope| {
                    scope.spawn(|| {
                        let _marks = Marks(&ended);
                        sleep(LONG);
                    });
                });
                // If the child was the first to be cancelled the scope has ended well.
                yield_now();
            }
        }));
        yield_now();
        drain(Duration::ZERO).unwrap();
        assert_eq!(ended.get(), 11);
    });
}

#[test]
fn a_child_is_done_when_all_it_owned_is_dropped() {
    struct Slow<'a>(&'a RefCell<Vec<&'static str>>);
    impl Drop for Slow<'_> {
        fn drop(&mut self) {
            sleep(Duration::from_millis(1));
            self.0.borrow_mut().push("dropped");
        }
    }
    on_a_hub("owned", || {
        let log = RefCell::new(Vec::new());
        scope(|scope| {
            let (argument, result) = (Slow(&log), Slow(&log));
            drop(scope.spawn(move || {
                drop(argument);
                result // nobody asks for it
            }));
            let unrun = Slow(&log);
            scope.spawn(move || drop(unrun)).cancel();
        });
        log.borrow_mut().push("returned");
        assert_eq!(*log.borrow(), ["dropped", "dropped", "dropped", "returned"]);
    });
}

#[test]
fn a_cancel_that_comes_after_the_last_childs_end_is_kept() {
    on_a_hub("kept", || {
        let steps = Rc::new(Cell::new(0));
        let parent = spawn({
            let steps = Rc::clone(&steps);
            move || {
                scope(|scope| {
                    scope.spawn(park);
                });
                steps.set(1);
                yield_now();
                steps.set(2);
            }
        });
        yield_now();
        parent.cancel();
        assert!(parent.join().unwrap_err().is_cancelled());
        assert!(steps.get() < 2);
    });
}
