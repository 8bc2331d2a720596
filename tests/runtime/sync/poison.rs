//! Whose panic poisons a lock.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::Arc;

use kapok::sync::{Event, Mutex, RwLock};
use kapok::{JoinHandle, sleep, spawn, timeout, yield_now};

use super::{LONG, SHORT};
use crate::support::{Watchdog, on_a_hub};

fn panics() -> ! {
    resume_unwind(Box::new("the test's panic"))
}

#[test]
fn the_fibers_own_panic_poisons_until_it_is_cleared() {
    on_a_hub("own panic", || {
        let lock = Rc::new(Mutex::new(1));
        let both = Rc::new(RwLock::new(1));
        let fiber = spawn({
            let (lock, both) = (Rc::clone(&lock), Rc::clone(&both));
            move || {
                let mut first = lock.lock().unwrap();
                let mut second = both.write().unwrap();
                (*first, *second) = (2, 2);
                panics()
            }
        });
        assert!(fiber.join().unwrap_err().is_panic());
        assert!(lock.is_poisoned() && both.is_poisoned());
        assert_eq!(*lock.lock().unwrap_err().into_inner(), 2);
        assert_eq!(*both.read().unwrap_err().into_inner(), 2);
        assert!(lock.try_lock().is_err() && lock.lock_timeout(SHORT).is_err());
        lock.clear_poison();
        both.clear_poison();
        assert_eq!(*lock.lock().unwrap() + *both.write().unwrap(), 4);
    });
}

#[test]
fn a_readers_panic_does_not_poison() {
    on_a_hub("reader", || {
        let lock = Rc::new(RwLock::new(1));
        let reader = spawn({
            let lock = Rc::clone(&lock);
            move || {
                let _reading = lock.read().unwrap();
                panics()
            }
        });
        assert!(reader.join().unwrap_err().is_panic());
        assert!(!lock.is_poisoned());
        assert!(lock.try_write().is_ok());
    });
}

#[test]
fn a_cancel_and_a_timeout_do_not_poison() {
    on_a_hub("cancel", || {
        let lock = Rc::new(Mutex::new(()));
        let cancelled = spawn({
            let lock = Rc::clone(&lock);
            move || {
                let _held = lock.lock().unwrap();
                sleep(LONG);
            }
        });
        yield_now();
        cancelled.cancel();
        assert!(cancelled.join().unwrap_err().is_cancelled());
        assert!(!lock.is_poisoned());
        let late = timeout(SHORT, || {
            let _held = lock.lock().unwrap();
            sleep(LONG);
        });
        assert!(late.is_err() && !lock.is_poisoned());
        // What was thrown is forgotten: a panic after it poisons again.
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let _held = lock.lock().unwrap();
            panics()
        }));
        assert!(caught.is_err() && lock.is_poisoned());
    });
}

/// Waits while it is dropped.
struct WaitsInDrop(Rc<Event>);

impl Drop for WaitsInDrop {
    fn drop(&mut self) {
        self.0.wait();
    }
}

#[test]
fn a_sibling_that_waits_while_it_unwinds_does_not_poison_others_locks() {
    on_a_hub("sibling", || {
        let (lock, go_on) = (Rc::new(Mutex::new(())), Rc::new(Event::new()));
        let early = Rc::new(Mutex::new(()));
        let holder = spawn({
            let early = Rc::clone(&early);
            move || {
                let _held = early.lock().unwrap();
                yield_now();
            }
        });
        let unwinding = spawn({
            let waits = WaitsInDrop(Rc::clone(&go_on));
            move || {
                let _waits = waits;
                panics()
            }
        });
        yield_now();
        // Now this thread counts as panicking.
        let fiber = spawn({
            let lock = Rc::clone(&lock);
            move || {
                let _held = lock.lock().unwrap();
                yield_now();
            }
        });
        fiber.join().unwrap();
        holder.join().unwrap();
        drop(lock.lock().unwrap());
        assert!(!lock.is_poisoned() && !early.is_poisoned());
        go_on.set();
        assert!(unwinding.join().unwrap_err().is_panic());
    });
}

#[test]
fn a_panic_poisons_also_after_a_wait_in_the_middle_of_its_unwinding() {
    on_a_hub("own wait", || {
        let (lock, go_on) = (Rc::new(Mutex::new(())), Rc::new(Event::new()));
        let fiber = spawn({
            let (lock, waits) = (Rc::clone(&lock), WaitsInDrop(Rc::clone(&go_on)));
            move || {
                let _held = lock.lock().unwrap();
                let _waits = waits;
                panics()
            }
        });
        let waiter = spawn({
            let lock = Rc::clone(&lock);
            move || lock.lock().is_err()
        });
        yield_now();
        go_on.set();
        assert!(fiber.join().unwrap_err().is_panic());
        assert!(waiter.join().unwrap(), "who waited is told");
        assert!(lock.is_poisoned());
    });
}

#[test]
fn a_cancel_does_not_poison_after_a_wait_in_the_middle_of_its_unwinding() {
    on_a_hub("cancelled wait", || {
        let (lock, go_on) = (Rc::new(Mutex::new(())), Rc::new(Event::new()));
        let fiber = spawn({
            let (lock, waits) = (Rc::clone(&lock), WaitsInDrop(Rc::clone(&go_on)));
            move || {
                let _held = lock.lock().unwrap();
                let _waits = waits;
                sleep(LONG);
            }
        });
        yield_now();
        fiber.cancel();
        yield_now();
        go_on.set();
        assert!(fiber.join().unwrap_err().is_cancelled());
        assert!(!lock.is_poisoned());
    });
}

#[test]
fn a_lock_that_a_destructor_takes_and_leaves_while_unwinding_is_not_poisoned() {
    struct Locks(Rc<Mutex<u32>>);
    impl Drop for Locks {
        fn drop(&mut self) {
            *self.0.lock().unwrap() += 1;
        }
    }
    on_a_hub("destructor", || {
        let lock = Rc::new(Mutex::new(0));
        let locks = Locks(Rc::clone(&lock));
        let fiber = spawn(move || {
            let _locks = locks;
            panics()
        });
        assert!(fiber.join().unwrap_err().is_panic());
        assert_eq!(*lock.lock().unwrap(), 1);
    });
}

#[test]
fn a_threads_panic_poisons() {
    let _watchdog = Watchdog::new("thread");
    let lock = Arc::new(Mutex::new(()));
    let user = Arc::clone(&lock);
    let thread = std::thread::spawn(move || {
        let _held = user.lock().unwrap();
        panics()
    });
    assert!(thread.join().is_err());
    assert!(lock.lock().is_err());
}

#[test]
fn a_child_that_panics_does_not_poison_what_its_parent_holds() {
    on_a_hub("child", || {
        let lock = Mutex::new(());
        let own = Cell::new(false);
        let children = RefCell::new(None::<JoinHandle<()>>);
        {
            let _held = lock.lock().unwrap();
            *children.borrow_mut() = Some(spawn(|| panics()));
            let child = children.take().unwrap();
            assert!(child.join().unwrap_err().is_panic());
            own.set(true);
        }
        assert!(own.get() && !lock.is_poisoned());
    });
}
