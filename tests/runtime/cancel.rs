//! Cancelling and timeouts, rule by rule.

use std::cell::{Cell, RefCell};
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant};

use kapok::net::{TcpListener, TcpStream};
use kapok::{TimedOut, drain, is_cancel, park, shielded, sleep, spawn, timeout, yield_now};

use crate::support::{crowd, on_a_hub};

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(5);

/// Cancels a fiber that waits in `wait` and checks that it unwinds and runs its destructors.
fn unwinds_from(wait: impl FnOnce() + 'static) {
    let dropped = Rc::new(Cell::new(false));
    struct Mark(Rc<Cell<bool>>);
    impl Drop for Mark {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }
    let mark = Mark(Rc::clone(&dropped));
    let fiber = spawn(move || {
        let _mark = mark;
        wait();
    });
    yield_now();
    assert!(!fiber.is_finished(), "it waits");
    fiber.cancel();
    assert!(fiber.join().unwrap_err().is_cancelled());
    assert!(dropped.get());
}

#[test]
fn a_fiber_unwinds_from_every_kind_of_wait() {
    on_a_hub("waits", || {
        unwinds_from(|| sleep(LONG));
        unwinds_from(|| {
            loop {
                park();
            }
        });
        unwinds_from(|| spawn(|| sleep(LONG)).join().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        unwinds_from(move || drop(listener.accept()));
        let listener = TcpListener::bind(address).unwrap();
        unwinds_from(move || drop(TcpStream::connect(address).unwrap().read(&mut [0])));
        let (mut stream, _) = listener.accept().unwrap();
        assert_eq!(
            stream.read(&mut [0]).unwrap(),
            0,
            "the cancelled fiber's stream is closed"
        );
        unwinds_from(|| {
            kapok::unblock(|| std::thread::current().id()).unwrap();
            sleep(LONG);
        });
        drain(Duration::ZERO).unwrap();
    });
}

// Gruvi 8.
#[test]
fn a_sleeper_is_gone_one_turn_after_its_cancel() {
    on_a_hub("one turn", || {
        let sleeper = spawn(|| sleep(Duration::from_secs(1000)));
        yield_now();
        sleeper.cancel();
        assert!(!sleeper.is_finished(), "a cancel only asks");
        yield_now();
        assert!(sleeper.is_finished());
        assert!(sleeper.join().unwrap_err().is_cancelled());
    });
}

#[test]
fn a_cancelled_read_and_accept_have_taken_nothing() {
    on_a_hub("took nothing", || {
        let listener = Rc::new(TcpListener::bind("127.0.0.1:0").unwrap());
        let acceptor = spawn({
            let listener = Rc::clone(&listener);
            move || drop(listener.accept())
        });
        yield_now();
        acceptor.cancel();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        acceptor.join().unwrap_err();
        let (server, _) = listener.accept().unwrap();
        let server = Rc::new(server);
        let reader = spawn({
            let server = Rc::clone(&server);
            move || (&*server).read(&mut [0; 10]).unwrap()
        });
        yield_now();
        client.write_all(b"whole").unwrap();
        reader.cancel();
        match reader.join() {
            // The bytes were there first: then the read took effect.
            Ok(count) => assert_eq!(count, 5),
            Err(error) => {
                assert!(error.is_cancelled());
                let mut bytes = [0; 5];
                (&*server).read_exact(&mut bytes).unwrap();
                assert_eq!(&bytes, b"whole");
            }
        }
    });
}

#[test]
fn an_operation_that_took_effect_returns_before_the_cancel_shows() {
    on_a_hub("took effect", || {
        let log = Rc::new(RefCell::new(Vec::new()));
        let child = spawn(|| {
            park();
            5
        });
        let child_fiber = child.fiber();
        let parent = spawn({
            let log = Rc::clone(&log);
            move || {
                log.borrow_mut().push(child.join().unwrap());
                yield_now();
                log.borrow_mut().push(6);
            }
        });
        yield_now();
        child_fiber.unpark();
        yield_now();
        // The child has ended and the parent was woken by it; the cancel comes on top.
        parent.cancel();
        assert!(parent.join().unwrap_err().is_cancelled());
        assert_eq!(*log.borrow(), [5]);
    });
}

#[test]
fn a_swallowed_cancel_comes_again() {
    on_a_hub("swallowed", || {
        let caught = Rc::new(Cell::new(0));
        let fiber = spawn({
            let caught = Rc::clone(&caught);
            move || {
                for _ in 0..3 {
                    let payload = catch_unwind(|| sleep(LONG)).unwrap_err();
                    assert!(is_cancel(&*payload));
                    caught.set(caught.get() + 1);
                }
                yield_now();
                caught.set(100);
            }
        });
        yield_now();
        fiber.cancel();
        assert!(fiber.join().unwrap_err().is_cancelled());
        assert_eq!(caught.get(), 3);
    });
}

#[test]
fn a_fiber_may_end_well_although_it_was_cancelled() {
    on_a_hub("ends well", || {
        let fiber = spawn(|| {
            let _ = catch_unwind(|| sleep(LONG));
            8
        });
        yield_now();
        fiber.cancel();
        assert_eq!(fiber.join().unwrap(), 8);
        let done = spawn(|| 9);
        yield_now();
        done.cancel();
        assert_eq!(done.join().unwrap(), 9);
    });
}

#[test]
fn a_fiber_can_cancel_itself() {
    on_a_hub("itself", || {
        let own = Rc::new(RefCell::new(None::<kapok::JoinHandle<()>>));
        let reached = Rc::new(Cell::new(0));
        let fiber = spawn({
            let (own, reached) = (Rc::clone(&own), Rc::clone(&reached));
            move || {
                own.borrow().as_ref().unwrap().cancel();
                reached.set(1);
                park();
                reached.set(2);
            }
        });
        *own.borrow_mut() = Some(fiber);
        yield_now();
        assert_eq!(reached.get(), 1);
        let fiber = own.borrow_mut().take().unwrap();
        assert!(fiber.join().unwrap_err().is_cancelled());
    });
}

#[test]
fn a_shield_puts_the_cancel_off_to_the_next_switchpoint() {
    on_a_hub("shield", || {
        let steps = Rc::new(Cell::new(0));
        let fiber = spawn({
            let steps = Rc::clone(&steps);
            move || {
                shielded(|| {
                    shielded(park);
                    steps.set(1);
                    sleep(Duration::from_millis(1));
                    steps.set(2);
                });
                yield_now();
                steps.set(3);
            }
        });
        yield_now();
        fiber.cancel();
        // The cancel woke the park, which may return for no reason.
        assert!(fiber.join().unwrap_err().is_cancelled());
        assert_eq!(steps.get(), 2);
    });
}

#[test]
fn nothing_is_thrown_while_unwinding() {
    struct Flush(Rc<Cell<bool>>);
    impl Drop for Flush {
        fn drop(&mut self) {
            // A second unwinding here would abort the program.
            sleep(Duration::from_millis(1));
            yield_now();
            self.0.set(true);
        }
    }
    on_a_hub("unwinding", || {
        let flushed = Rc::new(Cell::new(false));
        let flush = Flush(Rc::clone(&flushed));
        let fiber = spawn(move || {
            let _flush = flush;
            sleep(LONG);
        });
        yield_now();
        fiber.cancel();
        assert!(fiber.join().unwrap_err().is_cancelled());
        assert!(flushed.get());
    });
}

#[test]
fn a_sibling_that_waits_in_a_destructor_does_not_keep_a_cancel_from_others() {
    struct WaitsForSibling(Rc<RefCell<Option<kapok::JoinHandle<()>>>>);
    impl Drop for WaitsForSibling {
        fn drop(&mut self) {
            let sibling = self.0.borrow_mut().take().unwrap();
            sibling.cancel();
            assert!(sibling.join().unwrap_err().is_cancelled());
        }
    }
    on_a_hub("sibling", || {
        let sibling = Rc::new(RefCell::new(Some(spawn(|| sleep(LONG)))));
        let waits = WaitsForSibling(Rc::clone(&sibling));
        yield_now();
        let fiber = spawn(move || {
            let _waits = waits;
            resume_unwind(Box::new("quiet"));
        });
        // While it waits in its destructor `thread::panicking()` is true for every fiber of this thread.
        assert!(fiber.join().unwrap_err().is_panic());
        assert!(sibling.borrow().is_none());
    });
}

#[test]
fn a_timeout_ends_its_section_and_no_other() {
    on_a_hub("timeout", || {
        let start = Instant::now();
        assert_eq!(timeout(SHORT, || sleep(LONG)), Err(TimedOut));
        assert!(start.elapsed() >= SHORT);
        assert_eq!(timeout(LONG, || 4), Ok(4));
        // After it, waits are as long as they were.
        let start = Instant::now();
        sleep(SHORT);
        assert!(start.elapsed() >= SHORT);
        let fiber = spawn(|| {
            timeout(SHORT, || {
                loop {
                    park()
                }
            })
        });
        assert_eq!(fiber.join().unwrap(), Err(TimedOut));
    });
}

#[test]
fn timeouts_nest() {
    on_a_hub("nested", || {
        let inner_first = timeout(LONG, || timeout(SHORT, || sleep(LONG)));
        assert_eq!(inner_first, Ok(Err(TimedOut)));
        let reached = Cell::new(false);
        let outer_first = timeout(SHORT, || {
            let inner = timeout(LONG, || sleep(LONG));
            reached.set(true);
            inner
        });
        assert_eq!(outer_first, Err(TimedOut));
        assert!(
            !reached.get(),
            "the outer one's unwinding passes through the inner one"
        );
        // Both have expired when the fiber looks: the outer one wins.
        let both = timeout(Duration::ZERO, || timeout(Duration::ZERO, || sleep(LONG)));
        assert_eq!(both, Err(TimedOut));
    });
}

#[test]
fn a_section_that_computes_past_its_end_keeps_its_value() {
    on_a_hub("computes", || {
        let start = Instant::now();
        let late = timeout(Duration::from_millis(1), || {
            while start.elapsed() < SHORT {
                std::hint::spin_loop();
            }
            6
        });
        assert_eq!(late, Ok(6));
        yield_now();
        sleep(Duration::from_millis(1));
    });
}

#[test]
fn a_busy_section_is_stopped_at_a_switchpoint_that_would_not_wait() {
    on_a_hub("busy", || {
        let stopped = timeout(SHORT, || {
            loop {
                yield_now();
            }
        });
        assert_eq!(stopped, Err(TimedOut));
    });
}

#[test]
fn a_panic_goes_through_a_timeout_and_a_cancel_too() {
    on_a_hub("through", || {
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            timeout(LONG, || resume_unwind(Box::new(3_u8)))
        }));
        assert_eq!(*panicked.unwrap_err().downcast::<u8>().unwrap(), 3);
        let fiber = spawn(|| timeout(LONG, || sleep(LONG)));
        yield_now();
        fiber.cancel();
        assert!(fiber.join().unwrap_err().is_cancelled());
    });
}

#[test]
fn drain_gives_grace_and_then_unwinds() {
    on_a_hub("drain", || {
        let quick = spawn(|| {
            sleep(SHORT);
            1
        });
        drop(spawn(|| sleep(LONG)));
        drop(spawn(|| sleep(LONG)));
        drain(Duration::from_millis(50)).unwrap();
        assert!(quick.is_finished());
        assert_eq!(quick.join().unwrap(), 1);
    });
}

#[test]
fn drain_names_who_does_not_end() {
    on_a_hub("stuck", || {
        let stuck = kapok::Builder::new()
            .name("stubborn")
            .spawn(|| {
                let until = Instant::now() + Duration::from_secs(2);
                shielded(|| kapok::sleep_until(until));
            })
            .unwrap();
        yield_now();
        let error = drain(Duration::ZERO).unwrap_err();
        assert_eq!(error.left(), 1);
        assert!(error.fibers()[0].contains("'stubborn'"), "{error}");
        assert!(error.fibers()[0].contains("cancel.rs"), "{error}");
        stuck.join().unwrap();
    });
}

#[test]
fn a_crowd_of_sleepers_starts_and_is_drained() {
    on_a_hub("sleepers", || {
        for number in 0..crowd() {
            drop(spawn(move || {
                sleep(LONG + Duration::from_micros(number * 7919 % 100_003))
            }));
        }
        yield_now();
        drain(Duration::ZERO).unwrap();
    });
}

#[test]
fn a_handle_that_cancels_takes_its_fiber_with_it_unless_it_is_taken_apart() {
    on_a_hub("cancel on drop", || {
        let ended = Rc::new(Cell::new(0));
        struct Ends(Rc<Cell<u32>>);
        impl Drop for Ends {
            fn drop(&mut self) {
                self.0.set(self.0.get() + 1);
            }
        }
        let sleeper = || {
            let ends = Ends(Rc::clone(&ended));
            spawn(move || {
                let _ends = ends;
                sleep(LONG);
            })
        };
        let handle = sleeper().cancel_on_drop();
        yield_now();
        assert!(!handle.is_finished());
        drop(handle);
        yield_now();
        assert_eq!(ended.get(), 1);

        let handle = sleeper().cancel_on_drop().into_handle();
        yield_now();
        assert_eq!(ended.get(), 1);
        handle.cancel();
        assert!(handle.join().unwrap_err().is_cancelled());

        assert_eq!(spawn(|| 7).cancel_on_drop().join().unwrap(), 7);
        let joined = sleeper().cancel_on_drop();
        assert!(timeout(Duration::from_millis(1), || joined.join()).is_err());
        yield_now();
        assert_eq!(ended.get(), 3, "who joins was cut off");
    });
}
