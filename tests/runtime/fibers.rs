//! Spawning, joining, results and panics.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::Rc;

use kapok::{Builder, JoinHandle, spawn, yield_now};

use crate::support::on_a_hub;

/// Counts how often it and its clones were dropped.
#[derive(Clone, Default)]
struct Drops(Rc<Cell<u32>>);

impl Drop for Drops {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

impl Drops {
    fn pair() -> (Self, Rc<Cell<u32>>) {
        let drops = Self::default();
        let count = Rc::clone(&drops.0);
        (drops, count)
    }
}

#[repr(align(64))]
#[derive(Clone, Copy, Debug, PartialEq)]
struct Aligned([u8; 64]);

#[test]
fn results_of_every_size_come_back() {
    on_a_hub("results", || {
        spawn(|| ()).join().unwrap();
        assert_eq!(spawn(|| 7_u8).join().unwrap(), 7);
        assert_eq!(spawn(|| [1_u64; 12]).join().unwrap(), [1; 12]);
        assert_eq!(spawn(|| [2_u64; 13]).join().unwrap(), [2; 13]);
        let large = [3_u8; 5000];
        assert_eq!(spawn(move || large).join().unwrap(), large);
        let aligned = Aligned([4; 64]);
        let seen = spawn(move || {
            assert_eq!((&raw const aligned).addr() % 64, 0);
            aligned
        });
        assert_eq!(seen.join().unwrap(), aligned);
    });
}

#[test]
fn fibers_run_in_the_order_of_their_spawning_when_the_spawner_waits() {
    on_a_hub("order", || {
        let order = Rc::new(RefCell::new(Vec::new()));
        let fibers: Vec<_> = (0..5)
            .map(|number| {
                let order = Rc::clone(&order);
                spawn(move || order.borrow_mut().push(number))
            })
            .collect();
        assert!(
            order.borrow().is_empty(),
            "a spawned fiber waits for its turn"
        );
        for fiber in fibers {
            fiber.join().unwrap();
        }
        assert_eq!(*order.borrow(), [0, 1, 2, 3, 4]);
    });
}

#[test]
fn what_a_fiber_owns_is_dropped_exactly_once() {
    on_a_hub("drops", || {
        // Closure and result, joined.
        let (drops, count) = Drops::pair();
        let result = spawn(move || drops).join().unwrap();
        assert_eq!(count.get(), 0);
        drop(result);
        assert_eq!(count.get(), 1);
        // Handle dropped before the fiber ends.
        let (drops, count) = Drops::pair();
        drop(spawn(move || drops));
        yield_now();
        assert_eq!(count.get(), 1);
        // Handle dropped after it.
        let (drops, count) = Drops::pair();
        let fiber = spawn(move || drops);
        yield_now();
        assert!(fiber.is_finished());
        assert_eq!(count.get(), 0);
        drop(fiber);
        assert_eq!(count.get(), 1);
        // A large one, boxed.
        let (drops, count) = Drops::pair();
        let result = spawn(move || (drops, [0_u8; 500])).join().unwrap();
        drop(result);
        assert_eq!(count.get(), 1);
        // Cancelled before it began.
        let (drops, count) = Drops::pair();
        let fiber = spawn(move || drop(drops));
        fiber.cancel();
        assert!(fiber.join().unwrap_err().is_cancelled());
        assert_eq!(count.get(), 1);
        // Unwound by a panic.
        let (drops, count) = Drops::pair();
        let fiber = spawn(move || {
            let _held = drops;
            std::panic::resume_unwind(Box::new("quiet"));
        });
        assert!(fiber.join().unwrap_err().is_panic());
        assert_eq!(count.get(), 1);
    });
}

#[test]
fn a_panic_reaches_join_and_nobody_else() {
    on_a_hub("panic", || {
        let other = spawn(|| {
            yield_now();
            1
        });
        let error = spawn(|| std::panic::panic_any("no".to_owned()))
            .join()
            .unwrap_err();
        assert_eq!(error.to_string(), "it panicked: no");
        assert_eq!(*error.into_panic().downcast::<String>().unwrap(), "no");
        assert_eq!(other.join().unwrap(), 1);
    });
}

struct PanicsOnDrop;

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            std::panic::resume_unwind(Box::new("in a destructor"));
        }
    }
}

#[test]
fn a_destructor_that_panics_does_not_take_the_hub_with_it() {
    on_a_hub("destructor", || {
        drop(spawn(|| PanicsOnDrop));
        let bad = PanicsOnDrop;
        let cancelled = spawn(move || drop(bad));
        cancelled.cancel();
        drop(cancelled);
        drop(spawn(|| std::panic::resume_unwind(Box::new(PanicsPayload))));
        yield_now();
        yield_now();
        assert_eq!(spawn(|| 3).join().unwrap(), 3);
    });
}

struct PanicsPayload;

impl Drop for PanicsPayload {
    fn drop(&mut self) {
        std::panic::resume_unwind(Box::new(Self));
    }
}

#[test]
fn a_fiber_that_joins_itself_is_told_so() {
    on_a_hub("self join", || {
        let own: Rc<RefCell<Option<JoinHandle<()>>>> = Rc::default();
        let fiber = spawn({
            let own = Rc::clone(&own);
            move || own.borrow_mut().take().unwrap().join().unwrap()
        });
        *own.borrow_mut() = Some(fiber);
        yield_now();
        assert!(own.borrow().is_none());
    });
}

// Gruvi 5.
#[test]
fn a_thousand_fibers_live_from_their_spawning_to_their_join() {
    on_a_hub("thousand", || {
        let counter = Rc::new(Cell::new(0));
        let fibers: Vec<_> = (0..1000)
            .map(|_| {
                let counter = Rc::clone(&counter);
                spawn(move || counter.set(counter.get() + 1))
            })
            .collect();
        assert!(fibers.iter().all(|fiber| !fiber.is_finished()));
        assert_eq!(counter.get(), 0);
        let (first, others) = fibers.split_first().unwrap();
        yield_now();
        assert!(first.is_finished() && others.iter().all(JoinHandle::is_finished));
        fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
        assert_eq!(counter.get(), 1000);
    });
}

// Gruvi 6.
#[test]
fn a_thousand_fibers_that_spawn_and_join_each_other_return_in_order() {
    fn nest(depth: u32, log: &Rc<RefCell<Vec<u32>>>) -> u32 {
        let below = if depth == 1000 {
            0
        } else {
            let inner = Rc::clone(log);
            spawn(move || nest(depth + 1, &inner)).join().unwrap()
        };
        log.borrow_mut().push(depth);
        below + 1
    }
    on_a_hub("nested", || {
        let log = Rc::default();
        assert_eq!(nest(1, &log), 1000);
        assert!(log.take().into_iter().eq((1..=1000).rev()));
    });
}

#[test]
fn ten_thousand_fibers_at_once_and_nested_ones() {
    on_a_hub("many", || {
        let fibers: Vec<_> = (0..10_000_u64)
            .map(|number| {
                spawn(move || {
                    yield_now();
                    spawn(move || number * 2).join().unwrap()
                })
            })
            .collect();
        let sum: u64 = fibers.into_iter().map(|fiber| fiber.join().unwrap()).sum();
        assert_eq!(sum, 10_000 * 9_999);
    });
}

#[test]
fn names_and_numbers_tell_fibers_apart() {
    on_a_hub("names", || {
        let named = Builder::new().name("reader").spawn(kapok::current).unwrap();
        assert_eq!(named.fiber().name(), Some("reader"));
        let (named, unnamed) = (named.join().unwrap(), spawn(kapok::current).join().unwrap());
        assert_eq!(named.name(), Some("reader"));
        assert_eq!(unnamed.name(), None);
        assert!(named.id().is_some() && named.id() != unnamed.id());
        assert_ne!(kapok::current().id(), unnamed.id());
    });
}

#[inline(never)]
fn recurse(depth: u32) -> u64 {
    let frame = std::hint::black_box([u64::from(depth); 64]);
    if depth == 0 {
        frame[0]
    } else {
        recurse(depth - 1) + frame[63]
    }
}

#[test]
fn a_larger_stack_carries_deeper_recursion() {
    on_a_hub("stack size", || {
        let deep = Builder::new()
            .stack_size(8 * 1024 * 1024)
            .spawn(|| recurse(5000))
            .unwrap();
        assert_eq!(deep.join().unwrap(), 5000 * 5001 / 2);
        let odd = Builder::new().stack_size(1).spawn(|| 5).unwrap();
        assert_eq!(odd.join().unwrap(), 5);
    });
}

#[test]
#[expect(
    clippy::mutable_key_type,
    reason = "what is hashed are numbers that never change"
)]
fn a_fiber_equals_itself_alone() {
    let (root, fibers) = on_a_hub("equal", || {
        let inner = spawn(|| (kapok::current(), kapok::current()));
        let handle = inner.fiber();
        let (one, other) = inner.join().unwrap();
        assert!(one == other && one == handle);
        // Fibers that use one slot after the other are not the same.
        let mut fibers: HashSet<_> = (0..100)
            .map(|_| spawn(kapok::current).join().unwrap())
            .collect();
        assert_eq!(fibers.len(), 100);
        assert!(!fibers.contains(&one) && fibers.insert(one));
        assert!(!fibers.insert(handle));
        assert!(fibers.insert(kapok::current()) && !fibers.insert(kapok::current()));
        (kapok::current(), fibers)
    });
    assert!(fibers.contains(&root));
    std::thread::spawn(move || {
        let bare = kapok::current();
        assert_eq!(bare, kapok::current());
        assert_ne!(bare, root);
        // This thread's hub may use the memory of the one above.
        let other = kapok::run(|| {
            assert!(!fibers.contains(&spawn(kapok::current).join().unwrap()));
            kapok::current()
        });
        assert!(other != root && other != bare);
        assert_eq!(bare, kapok::current());
    })
    .join()
    .unwrap();
}

#[test]
fn a_handle_outlives_its_hub() {
    on_a_hub("outer", || {});
    let _watchdog = crate::support::Watchdog::new("handle");
    std::thread::spawn(|| {
        let (drops, count) = Drops::pair();
        let fiber = kapok::run(|| {
            let fiber = spawn(move || drops);
            yield_now();
            fiber
        });
        assert!(fiber.is_finished());
        // A new hub on the same thread has nothing to do with it.
        assert_eq!(kapok::run(|| spawn(|| 8).join().unwrap()), 8);
        assert_eq!(count.get(), 0);
        drop(fiber);
        assert_eq!(count.get(), 1);
        assert_eq!(kapok::run(|| spawn(|| 9).join().unwrap()), 9);
    })
    .join()
    .unwrap();
}

#[test]
fn unblock_runs_elsewhere_and_passes_panics_on() {
    on_a_hub("unblock", || {
        let here = std::thread::current().id();
        let (there, refused) = kapok::unblock(|| {
            let refused = std::panic::catch_unwind(|| drop(spawn(|| ()))).is_err();
            (std::thread::current().id(), refused)
        })
        .unwrap();
        assert_ne!(here, there);
        assert!(refused, "a pool thread must not make a hub");
        let panicked = std::panic::catch_unwind(|| {
            kapok::unblock(|| std::panic::resume_unwind(Box::new(5_i32))).unwrap();
        });
        assert_eq!(*panicked.unwrap_err().downcast::<i32>().unwrap(), 5);
    });
}
