//! Sleeping: never too short, in order, and at the edges of the clock.

use std::cell::{Cell, RefCell};
use std::io::{Read, Write};
use std::rc::Rc;
use std::time::{Duration, Instant};

use kapok::net::{TcpListener, TcpStream};
use kapok::{park, sleep, sleep_until, spawn, timeout, yield_now};

use crate::support::{crowd, on_a_hub};

// Gruvi 3.
#[test]
fn a_sleep_is_never_too_short() {
    on_a_hub("short", || {
        let fibers: Vec<_> = (0..100_u64)
            .map(|number| {
                spawn(move || {
                    let (start, time) = (Instant::now(), Duration::from_micros(number * 37));
                    sleep(time);
                    assert!(start.elapsed() >= time);
                })
            })
            .collect();
        for fiber in fibers {
            fiber.join().unwrap();
        }
    });
}

#[test]
fn sleepers_wake_in_the_order_of_their_deadlines() {
    on_a_hub("order", || {
        let (order, start) = (Rc::new(RefCell::new(Vec::new())), Rc::new(Cell::new(None)));
        let fibers: Vec<_> = (0..200_u64)
            .map(|number| number * 7919 % 200)
            .map(|rank| {
                let (order, start) = (Rc::clone(&order), Rc::clone(&start));
                spawn(move || {
                    park();
                    let start: Instant = start.get().expect("set before anybody is woken");
                    sleep_until(start + Duration::from_micros(rank * 10));
                    order.borrow_mut().push(rank);
                })
            })
            .collect();
        yield_now();
        // All are parked on warm stacks, so they will all sleep before the first deadline.
        start.set(Some(Instant::now() + Duration::from_millis(200)));
        for fiber in &fibers {
            fiber.fiber().unpark();
        }
        for fiber in fibers {
            fiber.join().unwrap();
        }
        assert!(order.borrow().is_sorted(), "{:?}", order.borrow());
    });
}

/// From 100 ms on the system's alarm ends the hub's waits. It is set for the first deadline, and must be moved for those that come
/// later and are due earlier.
#[test]
fn long_sleeps_end_in_order_whichever_begins_first() {
    on_a_hub("long", || {
        let start = Instant::now();
        let order = Rc::new(RefCell::new(Vec::new()));
        let asked = [600, 250, 400, 120, 40, 250, 99, 101];
        let sleepers: Vec<_> = asked
            .iter()
            .map(|&milliseconds| {
                let order = Rc::clone(&order);
                let sleeper = spawn(move || {
                    let deadline = Instant::now() + Duration::from_millis(milliseconds);
                    sleep_until(deadline);
                    assert!(Instant::now() >= deadline);
                    order.borrow_mut().push(deadline);
                });
                // The hub waits with what it has so far.
                sleep(Duration::from_millis(1));
                sleeper
            })
            .collect();
        for sleeper in sleepers {
            sleeper.join().unwrap();
        }
        assert!(start.elapsed() < Duration::from_secs(5));
        assert!(order.borrow().is_sorted(), "{:?}", order.borrow());
    });
}

/// A timeout that is pushed back again and again leaves the alarm where it is; what goes off too early must end no wait.
#[test]
fn an_alarm_that_goes_off_early_ends_no_wait() {
    on_a_hub("pushed back", || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let reader = spawn(move || {
            server
                .set_read_timeout(Some(Duration::from_millis(150)))
                .unwrap();
            let mut count = 0;
            loop {
                match server.read(&mut [0; 8]) {
                    Ok(1..) => count += 1,
                    Ok(0) => panic!("the client lives on"),
                    Err(error) => {
                        let is_timeout = matches!(
                            error.kind(),
                            std::io::ErrorKind::TimedOut | std::io::ErrorKind::WouldBlock
                        );
                        assert!(is_timeout, "{error}");
                        return count;
                    }
                }
            }
        });
        for _ in 0..8 {
            client.write_all(b"x").unwrap();
            sleep(Duration::from_millis(50));
        }
        let start = Instant::now();
        assert_eq!(reader.join().unwrap(), 8);
        assert!(start.elapsed() < Duration::from_secs(5));
    });
}

#[test]
fn deadlines_at_the_edges() {
    on_a_hub("edges", || {
        sleep(Duration::ZERO);
        sleep_until(Instant::now() - Duration::from_millis(1));
        for endless in [Duration::MAX, Duration::from_secs(u64::MAX / 4)] {
            let fiber = spawn(move || sleep(endless));
            yield_now();
            assert!(!fiber.is_finished());
            fiber.cancel();
            assert!(fiber.join().unwrap_err().is_cancelled());
        }
        assert_eq!(timeout(Duration::MAX, || 1), Ok(1));
    });
}

#[test]
fn a_crowd_with_equal_deadlines() {
    on_a_hub("equal", || {
        let (deadline, woken) = (
            Instant::now() + Duration::from_millis(300),
            Rc::new(Cell::new(0)),
        );
        let fibers: Vec<_> = (0..crowd())
            .map(|_| {
                let woken = Rc::clone(&woken);
                spawn(move || {
                    sleep_until(deadline);
                    woken.set(woken.get() + 1);
                })
            })
            .collect();
        for fiber in fibers {
            fiber.join().unwrap();
        }
        assert_eq!(woken.get(), crowd());
        assert!(Instant::now() >= deadline);
    });
}

#[test]
fn fibers_that_never_wait_do_not_starve_a_ticker_nor_the_network() {
    on_a_hub("fairness", || {
        let done = Rc::new(Cell::new(false));
        let yielder = spawn({
            let done = Rc::clone(&done);
            move || {
                while !done.get() {
                    yield_now();
                }
            }
        });
        // A pair that always has bytes: the operation budget makes it let others run.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let flood = spawn({
            let done = Rc::clone(&done);
            move || {
                while !done.get() {
                    client.write_all(&[1; 64]).unwrap();
                }
            }
        });
        let sink = spawn(move || while matches!(server.read(&mut [0; 16]), Ok(1..)) {});
        for _ in 0..20 {
            sleep(Duration::from_millis(1));
        }
        let mut other = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut accepted, _) = listener.accept().unwrap();
        other.write_all(b"through").unwrap();
        let mut bytes = [0; 7];
        accepted.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"through");
        done.set(true);
        yielder.join().unwrap();
        flood.join().unwrap();
        sink.join().unwrap();
    });
}

#[test]
fn a_destructor_that_a_timeout_runs_may_drain() {
    struct Drains;
    impl Drop for Drains {
        fn drop(&mut self) {
            kapok::drain(Duration::from_secs(60)).unwrap();
        }
    }
    on_a_hub("drains", || {
        let fiber = spawn(|| sleep(Duration::from_millis(50)));
        let ended = timeout(Duration::from_millis(1), || {
            let _drains = Drains;
            sleep(Duration::from_secs(3600));
        });
        assert!(ended.is_err());
        assert!(fiber.is_finished());
    });
}
