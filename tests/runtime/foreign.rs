//! Stacks and frames that are not kapok's: coroutines that a fiber makes for itself, and C between two of its frames.

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_void};
use std::rc::Rc;
use std::time::Duration;

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, on_stack};
use kapok::{
    block_on, current, future, park, scope, shielded, sleep, spawn, task_group, yield_now,
};

use crate::support::on_a_hub;

#[test]
fn a_coroutine_inside_a_fiber_may_wait() {
    on_a_hub("nested", || {
        let order = Rc::new(RefCell::new(Vec::new()));
        let fibers: Vec<_> = (0..3)
            .map(|number| {
                let order = Rc::clone(&order);
                spawn(move || {
                    let mut inner = Coroutine::new(move |yielder, step: u32| {
                        let mut step = step;
                        loop {
                            // The hub is left from this stack and comes back to it.
                            yield_now();
                            sleep(Duration::from_micros(50));
                            order.borrow_mut().push((number, step));
                            if step == 3 {
                                return;
                            }
                            step = yielder.suspend(());
                        }
                    });
                    for step in 0..4 {
                        let ended = matches!(inner.resume(step), CoroutineResult::Return(()));
                        assert_eq!(ended, step == 3);
                        yield_now();
                    }
                })
            })
            .collect();
        for fiber in fibers {
            fiber.join().unwrap();
        }
        let mut order = order.take();
        order.sort_unstable();
        let every: Vec<_> = (0..3)
            .flat_map(|number| (0..4).map(move |step| (number, step)))
            .collect();
        assert_eq!(order, every);
    });
}

#[test]
fn a_coroutine_that_two_fibers_resume_waits_as_the_one_that_runs_it() {
    on_a_hub("passed on", || {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let inner = Coroutine::new({
            let seen = Rc::clone(&seen);
            move |yielder, ()| {
                for _ in 0..4 {
                    yield_now();
                    seen.borrow_mut().push(current().id());
                    yielder.suspend(());
                }
            }
        });
        let inner = Rc::new(RefCell::new(inner));
        let mut expected = Vec::new();
        for _ in 0..4 {
            let inner = Rc::clone(&inner);
            let fiber = spawn(move || {
                inner.borrow_mut().resume(());
            });
            expected.push(fiber.fiber().id());
            fiber.join().unwrap();
        }
        assert_eq!(seen.take(), expected);
        assert!(matches!(
            inner.borrow_mut().resume(()),
            CoroutineResult::Return(())
        ));
    });
}

#[test]
fn a_future_in_a_coroutine_that_was_passed_on_wakes_the_fiber_that_runs_it() {
    on_a_hub("future passed on", || {
        let mut inner = Coroutine::new(|yielder, ()| {
            block_on(async {
                for _ in 0..3 {
                    future::sleep(Duration::from_millis(1)).await;
                    yielder.suspend(());
                }
            });
        });
        let mut is_done = false;
        while !is_done {
            inner = spawn(|| {
                inner.resume(());
                inner
            })
            .join()
            .unwrap();
            is_done = inner.done();
        }
    });
}

#[test]
fn a_group_in_a_coroutine_that_was_passed_on_does_not_unwind_another_fiber() {
    on_a_hub("group passed on", || {
        let first = spawn(|| {
            let mut inner = Coroutine::new(|yielder, ()| {
                let result = task_group(|group| {
                    yielder.suspend(());
                    drop(group.spawn(|| Err::<(), _>("failed")));
                    yield_now();
                    Ok(())
                });
                assert_eq!(result, Err("failed"));
            });
            inner.resume(());
            inner
        });
        let mut inner = first.join().unwrap();
        // Has the first one's slot.
        let other = spawn(|| {
            yield_now();
            yield_now();
        });
        inner.resume(());
        assert!(inner.done());
        other.join().unwrap();
    });
}

#[test]
fn a_scope_in_a_coroutine_is_waited_for_by_the_fiber_that_runs_it_then() {
    on_a_hub("scope passed on", || {
        let ended = Rc::new(Cell::new(false));
        let mut inner = Coroutine::new({
            let ended = Rc::clone(&ended);
            move |yielder, ()| {
                let lent = Cell::new(0);
                scope(|scope| {
                    yielder.suspend(());
                    drop(scope.spawn(|| {
                        yield_now();
                        lent.set(1);
                    }));
                });
                ended.set(lent.get() == 1);
            }
        });
        let passed_on = Rc::new(RefCell::new(None));
        let first = spawn({
            let passed_on = Rc::clone(&passed_on);
            move || {
                inner.resume(());
                passed_on.replace(Some(inner));
                park(); // a fiber that is still there, and must not be taken for the one that waits
            }
        });
        yield_now();
        let mut inner = passed_on.take().unwrap();
        let second = spawn(move || matches!(inner.resume(()), CoroutineResult::Return(())));
        assert!(second.join().unwrap());
        assert!(ended.get());
        assert!(!first.is_finished());
        first.fiber().unpark();
        first.join().unwrap();
    });
}

#[test]
fn a_function_on_a_larger_stack_may_wait() {
    on_a_hub("on a stack", || {
        let fiber = spawn(|| {
            on_stack(DefaultStack::new(1 << 20).unwrap(), || {
                park();
                let deep = [1_u8; 512 * 1024];
                yield_now();
                std::hint::black_box(&deep)
                    .iter()
                    .map(|byte| u32::from(*byte))
                    .sum::<u32>()
            })
        });
        yield_now();
        fiber.fiber().unpark();
        assert_eq!(fiber.join().unwrap(), 512 * 1024);
    });
}

thread_local! {
    static COMPARISONS: Cell<u32> = const { Cell::new(0) };
}

extern "C" fn compare(left: *const c_void, right: *const c_void) -> c_int {
    shielded(|| {
        COMPARISONS.set(COMPARISONS.get() + 1);
        yield_now();
    });
    // SAFETY: qsort gives two elements of the array it sorts, whose type is u32.
    let (left, right) = unsafe { (*left.cast::<u32>(), *right.cast::<u32>()) };
    left.cmp(&right) as c_int
}

#[test]
fn a_cancel_waits_for_c_to_return() {
    on_a_hub("C", || {
        let sorted = Rc::new(Cell::new(false));
        let fiber = spawn({
            let sorted = Rc::clone(&sorted);
            move || {
                let mut numbers = [5_u32, 3, 8, 1, 9, 2, 7];
                // SAFETY: the array has this many elements of this size, and the comparison keeps to its contract.
                unsafe {
                    libc::qsort(numbers.as_mut_ptr().cast(), numbers.len(), 4, Some(compare))
                };
                sorted.set(numbers.is_sorted());
                yield_now();
                unreachable!("cancelled there at the latest");
            }
        });
        while COMPARISONS.get() < 3 {
            yield_now();
        }
        fiber.cancel();
        assert!(fiber.join().unwrap_err().is_cancelled());
        assert!(sorted.get());
        assert!(COMPARISONS.get() > 6);
    });
}
