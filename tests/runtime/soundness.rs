//! What must not break memory, whatever safe code does: thread-locals over a wait, slots used again, forgotten handles, guards.
//! And the gaps of std that kapok cannot close, shown as far as that is safe.

use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kapok::{
    Builder, JoinHandle, assert_no_switchpoints, current, drain, park, sleep, spawn, timeout,
    yield_now,
};

use crate::support::{Watchdog, on_a_hub};

const LONG: Duration = Duration::from_secs(3600);

struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

thread_local! {
    static BORROWED: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
    static HELD: Cell<u32> = const { Cell::new(1) };
}

#[test]
fn a_thread_local_borrowed_over_a_wait_is_an_error_for_siblings() {
    on_a_hub("borrowed", || {
        let holder = spawn(|| {
            BORROWED.with_borrow_mut(|numbers| {
                numbers.push(1);
                park();
                numbers.push(2);
            });
        });
        yield_now();
        assert!(BORROWED.with(|numbers| numbers.try_borrow().is_err()));
        let sibling = spawn(|| BORROWED.with(|numbers| numbers.try_borrow_mut().is_err()));
        assert!(sibling.join().unwrap());
        holder.fiber().unpark();
        holder.join().unwrap();
        assert_eq!(BORROWED.take(), [1, 2]);
    });
}

#[test]
fn a_reference_to_a_const_thread_local_stays_good_over_a_wait() {
    on_a_hub("held", || {
        let holder = spawn(|| {
            HELD.with(|held| {
                park();
                held.get()
            })
        });
        yield_now();
        spawn(|| HELD.set(7)).join().unwrap();
        holder.fiber().unpark();
        assert_eq!(holder.join().unwrap(), 7);
    });
}

/// Gap of std: an initialiser that waits runs once for each fiber that asks meanwhile, and the value that a sibling has used
/// is dropped when the slower one is done. A sibling that still held a reference would hold a dangling one.
#[test]
fn gap_a_lazy_thread_local_whose_initialiser_waits_is_made_twice() {
    struct Made(u32);
    impl Drop for Made {
        fn drop(&mut self) {
            DROPPED.set(DROPPED.get() + self.0);
        }
    }
    fn make() -> Made {
        let number = MADE.get() + 1;
        MADE.set(number);
        if number == 1 {
            park();
        }
        Made(number)
    }
    thread_local! {
        static MADE: Cell<u32> = const { Cell::new(0) };
        static DROPPED: Cell<u32> = const { Cell::new(0) };
        static LAZY: Made = make();
    }
    on_a_hub("lazy", || {
        let slow = spawn(|| LAZY.with(|made| made.0));
        yield_now();
        assert_eq!(spawn(|| LAZY.with(|made| made.0)).join().unwrap(), 2);
        assert_eq!(DROPPED.get(), 0);
        slow.fiber().unpark();
        assert_eq!(slow.join().unwrap(), 1);
        assert_eq!(DROPPED.get(), 2, "the second one's value was dropped");
    });
}

/// Gap of std: what is set and put back like a stack is not put back in that order by fibers. Here the value is a number; in
/// `scoped-tls` it is a pointer to a frame that has ended.
#[test]
fn gap_a_scoped_thread_local_is_left_with_an_ended_fibers_value() {
    thread_local! {
        static SCOPED: Cell<Option<u32>> = const { Cell::new(None) };
    }
    fn with_scoped(value: u32, section: impl FnOnce()) {
        let before = SCOPED.replace(Some(value));
        section();
        SCOPED.set(before);
    }
    on_a_hub("scoped", || {
        let fibers = [1, 2].map(|value| spawn(move || with_scoped(value, park)));
        yield_now();
        for fiber in fibers {
            fiber.fiber().unpark();
            fiber.join().unwrap();
        }
        assert_eq!(SCOPED.get(), Some(1), "both fibers have ended");
    });
}

/// Gap of std: `panicking` and with it the poisoning of std's mutexes are the thread's.
#[test]
fn gap_a_sibling_that_waits_while_it_unwinds_poisons_others_std_mutexes() {
    on_a_hub("poison", || {
        let waits = OnDrop(park);
        let unwinding = spawn(move || {
            let _waits = waits;
            resume_unwind(Box::new("quiet"));
        });
        let (before, meanwhile) = (Mutex::new(0), Mutex::new(0));
        let guard = before.lock().unwrap();
        yield_now();
        assert!(std::thread::panicking(), "this fiber does not panic");
        drop(guard);
        assert!(before.is_poisoned(), "nobody who held it has panicked");
        drop(meanwhile.lock());
        assert!(!meanwhile.is_poisoned(), "locked and unlocked meanwhile");
        unwinding.fiber().unpark();
        assert!(unwinding.join().unwrap_err().is_panic());
        assert!(!std::thread::panicking());
    });
}

/// Gap of std: a scope in a fiber blocks the hub, and lends thread-locals to its threads. It is sound as long as the fiber
/// ends, which `run` sees to.
#[test]
fn a_scope_of_threads_in_a_fiber_ends_before_its_hub_does() {
    on_a_hub("scope", || {
        thread_local! {
            static LENT: std::sync::atomic::AtomicU32 = const { std::sync::atomic::AtomicU32::new(0) };
        }
        use std::sync::atomic::Ordering;
        let fiber = spawn(|| {
            LENT.with(|lent| {
                std::thread::scope(|scope| {
                    scope.spawn(|| lent.fetch_add(5, Ordering::SeqCst));
                    // A cancel that comes here unwinds through the scope, which joins its threads first.
                    sleep(LONG);
                });
            });
        });
        yield_now();
        fiber.cancel();
        assert!(fiber.join().unwrap_err().is_cancelled());
        assert_eq!(LENT.with(|lent| lent.load(Ordering::SeqCst)), 5);
    });
}

#[test]
fn forgotten_handles_and_guards_do_no_harm() {
    on_a_hub("forgotten", || {
        let dropped = Rc::new(Cell::new(0));
        for number in 0..500 {
            let dropped = Rc::clone(&dropped);
            let counts = OnDrop(move || dropped.set(dropped.get() + 1));
            let fiber = spawn(move || counts);
            if number % 2 == 0 {
                yield_now();
            }
            let _ = ManuallyDrop::new(fiber);
        }
        // A guard that is never dropped holds its own fiber alone, to its end.
        let guarded = spawn(|| {
            let _ = ManuallyDrop::new(kapok::NoSwitchGuard::new());
            catch_unwind(yield_now).is_err()
        });
        assert!(guarded.join().unwrap());
        yield_now();
        drain(Duration::ZERO).unwrap();
        assert_eq!(dropped.get(), 0, "results wait for their handles");
        assert_eq!(spawn(|| 1).join().unwrap(), 1);
    });
}

/// A hub's memory is used by the next thread: nothing of the old one may reach it.
#[test]
fn handles_of_an_ended_hub_reach_nobody_in_the_next() {
    let _watchdog = Watchdog::new("next hub");
    for _ in 0..50 {
        let (fiber, hub) = std::thread::spawn(|| {
            kapok::run(|| {
                let fiber = spawn(|| sleep(LONG));
                let named = fiber.fiber();
                drop(fiber);
                (named, kapok::HubHandle::current())
            })
        })
        .join()
        .unwrap();
        let unparked = std::thread::spawn(move || {
            kapok::run(|| {
                let waiting = spawn(|| {
                    park();
                    true
                });
                yield_now();
                fiber.unpark();
                let refused = hub.spawn(|| ());
                std::thread::spawn(move || fiber.unpark()).join().unwrap();
                sleep(Duration::from_millis(1));
                assert!(matches!(refused.join(), Err(kapok::JoinError::HubEnded)));
                waiting.is_finished()
            })
        });
        assert!(!unparked.join().unwrap());
    }
}

#[test]
fn a_guard_that_outlives_its_fiber_does_not_hold_the_slots_next_one() {
    on_a_hub("old guard", || {
        let kept = Rc::new(RefCell::new(None));
        let keeper = Rc::clone(&kept);
        spawn(move || *keeper.borrow_mut() = Some(kapok::NoSwitchGuard::new()))
            .join()
            .unwrap();
        let next = spawn(|| {
            yield_now();
            let guard = kapok::NoSwitchGuard::new();
            park_under(guard)
        });
        yield_now();
        // Counts down nothing of the fiber that has the slot now.
        drop(kept.take());
        assert!(next.join().unwrap());
    });
}

fn park_under(guard: kapok::NoSwitchGuard) -> bool {
    let refused = catch_unwind(yield_now).is_err();
    drop(guard);
    yield_now();
    refused
}

#[test]
fn fibers_cancelled_in_the_midst_of_a_batch_of_timers_end_once() {
    on_a_hub("batch", || {
        let deadline = Instant::now() + Duration::from_millis(30);
        let handles: Rc<RefCell<Vec<JoinHandle<()>>>> = Rc::default();
        let ended = Rc::new(Cell::new(0));
        for _ in 0..1000 {
            let (inner, ended) = (Rc::clone(&handles), Rc::clone(&ended));
            let fiber = spawn(move || {
                let _counts = OnDrop(move || ended.set(ended.get() + 1));
                kapok::sleep_until(deadline);
                // The others' timers have fired with this one, or are just about to.
                for handle in inner.borrow().iter() {
                    handle.cancel();
                }
            });
            handles.borrow_mut().push(fiber);
        }
        drain(LONG).unwrap();
        assert_eq!(ended.get(), 1000);
        assert!(Instant::now() >= deadline);
        assert!(handles.borrow().iter().all(JoinHandle::is_finished));
    });
}

#[test]
fn a_value_dropped_by_whoever_drops_the_handle_may_spawn_join_and_wait() {
    on_a_hub("busy destructor", || {
        let seen = Rc::new(Cell::new(0));
        for _ in 0..100 {
            let seen = Rc::clone(&seen);
            let busy = spawn(move || {
                OnDrop(move || {
                    sleep(Duration::ZERO);
                    seen.set(seen.get() + spawn(|| 1).join().unwrap());
                })
            });
            yield_now();
            // The slot is free again before the destructor runs, and taken by what it spawns.
            drop(busy);
        }
        assert_eq!(seen.get(), 100);
    });
}

#[test]
fn a_payload_whose_destructor_panics_reaches_who_drops_the_handle() {
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            resume_unwind(Box::new("from a payload"));
        }
    }
    on_a_hub("payload", || {
        let fiber = spawn(|| resume_unwind(Box::new(Panics)));
        yield_now();
        let dropped = catch_unwind(AssertUnwindSafe(|| drop::<JoinHandle<()>>(fiber)));
        assert!(dropped.is_err());
        let payload: Result<(), kapok::JoinError> =
            spawn(|| resume_unwind(Box::new(Panics))).join();
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(payload)));
        assert!(dropped.is_err());
        assert_eq!(spawn(|| 2).join().unwrap(), 2);
    });
}

#[test]
fn a_cancel_thrown_into_another_fiber_ends_that_one_and_no_timeout() {
    on_a_hub("foreign", || {
        let kept = Rc::new(RefCell::new(None));
        let keeper = Rc::clone(&kept);
        let swallows = spawn(move || {
            let payload = catch_unwind(|| sleep(LONG)).unwrap_err();
            *keeper.borrow_mut() = Some(payload);
        });
        yield_now();
        swallows.cancel();
        swallows.join().unwrap();
        let payload = kept.take().unwrap();
        let other = spawn(move || timeout(LONG, || resume_unwind(payload)));
        assert!(other.join().map(|_| ()).unwrap_err().is_cancelled());
    });
}

#[test]
fn a_shared_value_changed_without_a_switch_is_never_seen_half_done() {
    on_a_hub("invariant", || {
        let pair = Rc::new((Cell::new(0), Cell::new(0)));
        let fibers: Vec<_> = (0..10)
            .map(|_| {
                let pair = Rc::clone(&pair);
                spawn(move || {
                    for _ in 0..100 {
                        assert_no_switchpoints(|| {
                            assert_eq!(pair.0.get(), pair.1.get());
                            pair.0.set(pair.0.get() + 1);
                            pair.1.set(pair.1.get() + 1);
                        });
                        yield_now();
                    }
                })
            })
            .collect();
        for fiber in fibers {
            fiber.join().unwrap();
        }
        assert_eq!(pair.0.get(), 1000);
    });
}

/// Ten times as many fibers as ever live at once: slots, stacks and serial numbers are used again and again.
#[test]
fn slots_used_again_keep_nothing_of_their_last_fiber() {
    on_a_hub("slots", || {
        let mut last = 0;
        for round in 0..10_000_u64 {
            let builder = match round % 3 {
                0 => Builder::new().name("named"),
                1 => Builder::new().stack_size(64 * 1024),
                _ => Builder::new(),
            };
            let fiber = builder.spawn(move || {
                if round % 5 == 0 {
                    let _ = timeout(Duration::from_micros(1), || sleep(LONG));
                }
                (current().id().unwrap().get(), current().name().is_some())
            });
            let fiber = fiber.unwrap();
            if round % 7 == 0 {
                fiber.cancel();
                assert!(fiber.join().unwrap_err().is_cancelled());
                continue;
            }
            let (id, is_named) = fiber.join().unwrap();
            assert_eq!(is_named, round % 3 == 0);
            assert!(id > last, "a number was given twice");
            last = id;
        }
    });
}

#[test]
fn what_threads_share_with_fibers_is_dropped_once_whoever_is_last() {
    on_a_hub("shared", || {
        let shared = Arc::new(());
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (hub, shared) = (kapok::HubHandle::current(), Arc::clone(&shared));
                std::thread::spawn(move || {
                    for number in 0..200 {
                        let shared = Arc::clone(&shared);
                        let remote = hub.spawn(move || {
                            yield_now();
                            shared
                        });
                        match number % 3 {
                            0 => remote.cancel(),
                            1 => drop(remote.join()),
                            _ => {}
                        }
                    }
                })
            })
            .collect();
        while threads.iter().any(|thread| !thread.is_finished()) {
            sleep(Duration::from_millis(1));
        }
        for thread in threads {
            thread.join().unwrap();
        }
        drain(LONG).unwrap();
        assert_eq!(Arc::strong_count(&shared), 1);
    });
}

struct End {
    is_aborted: bool,
    is_success: bool,
    stdout: String,
    stderr: String,
}

/// Whether tests/run has AddressSanitizer look on: its shadow of the stacks is memory of this process too, and stays.
fn is_sanitized() -> bool {
    std::env::var_os("ASAN_OPTIONS").is_some()
}

fn stacks(case: &'static str, variables: &[(&str, &str)]) -> End {
    use std::os::unix::process::ExitStatusExt;
    let _watchdog = Watchdog::new(case);
    let output = Command::new(env!("CARGO_BIN_EXE_stacks"))
        .arg(case)
        .envs(variables.iter().copied())
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    End {
        is_aborted: output.status.signal() == Some(libc::SIGABRT),
        is_success: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[test]
fn a_frame_larger_than_the_stack_hits_the_guard_and_nothing_below_it() {
    for variables in [&[][..], &[("KAPOK_STACK_GUARD", "mprotect")]] {
        let end = stacks("wide_frame", variables);
        // The sanitizer looks at the frame's shadow first, and tells in its own words.
        if end.stderr.contains("AddressSanitizer") {
            continue;
        }
        assert!(end.is_aborted, "{}", end.stderr);
        let told = "fiber 'wide' overflowed its stack of 128 KiB";
        assert!(end.stderr.contains(told), "{}", end.stderr);
    }
}

#[test]
fn a_fault_that_is_no_overflow_goes_to_the_handler_that_was_there() {
    let end = stacks("own_handler", &[]);
    assert!(end.is_success, "{}", end.stderr);
    assert_eq!(end.stdout, "own handler\n", "{}", end.stderr);
    assert!(!end.stderr.contains("overflowed"), "{}", end.stderr);
}

/// Without guards in page tables the kernel's limit on areas ends it, by an error and not by a crash.
#[test]
fn stacks_guarded_by_mprotect_come_to_an_end_by_an_error() {
    let end = stacks("until_refused", &[("KAPOK_STACK_GUARD", "mprotect")]);
    assert!(end.is_success, "{}", end.stderr);
    assert!(end.stdout.contains("vm.max_map_count"), "{}", end.stdout);
    assert!(end.stdout.ends_with("drained\nagain 7\n"), "{}", end.stdout);
}

#[test]
fn the_stacks_of_a_burst_serve_the_next_and_are_given_back_after_a_second() {
    if is_sanitized() {
        return;
    }
    let end = stacks("bursts", &[]);
    assert!(end.is_success, "{}", end.stderr);
    assert_eq!(end.stdout, "warm\ngiven back\n");
}

#[test]
fn few_large_stacks_are_kept() {
    if is_sanitized() {
        return;
    }
    let end = stacks("large", &[]);
    assert!(end.is_success, "{}", end.stderr);
    assert_eq!(end.stdout, "given back\n");
}
