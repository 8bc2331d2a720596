//! Several hubs: start, stop, join, and what is sent between them.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kapok::net::{TcpListener, TcpStream};
use kapok::{HubHandle, Hubs, HubsConfig, HubsError, JoinError, park, sleep, spawn, yield_now};

use crate::support::{Watchdog, crowd, on_a_hub};

const LONG: Duration = Duration::from_secs(3600);

fn hubs(count: usize) -> Hubs {
    Hubs::new(HubsConfig::new().count(count))
}

/// Counts its drops, over all threads.
struct Counts(Arc<AtomicUsize>);

impl Drop for Counts {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn main_runs_once_on_each_hub_and_what_it_makes_stays_there() {
    let _watchdog = Watchdog::new("main");
    let threads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&threads);
    let running = hubs(3).start(move |_hub| {
        let local = Rc::new(Cell::new(0));
        let fibers: Vec<_> = (0..10)
            .map(|_| {
                let local = Rc::clone(&local);
                spawn(move || local.set(local.get() + 1))
            })
            .collect();
        for fiber in fibers {
            fiber.join().unwrap();
        }
        assert_eq!(local.get(), 10);
        seen.lock().unwrap().push(std::thread::current().id());
        Ok(())
    });
    running.unwrap().join().unwrap();
    let mut threads = threads.lock().unwrap();
    threads.dedup();
    assert_eq!(threads.len(), 3);
}

#[test]
fn a_join_comes_after_the_locals_of_the_threads_and_what_main_captured() {
    thread_local! {
        static LOCAL: Cell<Option<Slow>> = const { Cell::new(None) };
    }
    struct Slow {
        _counts: Counts,
    }
    #[expect(clippy::disallowed_methods, reason = "the thread has no hub any more")]
    impl Drop for Slow {
        fn drop(&mut self) {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    let check = |join: fn(kapok::Running)| {
        let drops = Arc::new(AtomicUsize::new(0));
        let (counts, captured) = (Arc::clone(&drops), Counts(Arc::clone(&drops)));
        let running = hubs(2).start(move |_| {
            let _captured = &captured;
            LOCAL.set(Some(Slow {
                _counts: Counts(Arc::clone(&counts)),
            }));
            Ok(())
        });
        join(running.unwrap());
        assert_eq!(drops.load(Ordering::SeqCst), 3);
    };
    let _watchdog = Watchdog::new("locals");
    for _ in 0..10 {
        check(|running| running.join().unwrap());
        check(|running| spawn(|| running.join().unwrap()).join().unwrap());
    }
}

#[test]
fn each_hub_gets_its_item() {
    let _watchdog = Watchdog::new("items");
    let (sender, receiver) = std::sync::mpsc::channel();
    let running = hubs(1).start_each(["a", "b", "c"], move |_, item| {
        let name = std::thread::current().name().map(str::to_owned);
        sender.send((name, item)).unwrap();
        Ok(())
    });
    running.unwrap().join().unwrap();
    let mut got: Vec<_> = receiver
        .iter()
        .map(|(name, item)| (name.unwrap(), item))
        .collect();
    got.sort_unstable();
    let expected = [
        ("kapok-hub-0", "a"),
        ("kapok-hub-1", "b"),
        ("kapok-hub-2", "c"),
    ];
    assert_eq!(got, expected.map(|(name, item)| (name.to_owned(), item)));
    let error = hubs(1).start_each([(); 0], |_, ()| Ok(())).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn the_end_of_hubs_is_a_branch_of_select() {
    on_a_hub("select", || {
        let running = hubs(2).start(|_| {
            park();
            Ok(())
        });
        let running = running.unwrap();
        let ends_first = |time| {
            kapok::select! {
                () = ready(&running) => true,
                () = after(time) => false,
            }
        };
        assert!(!ends_first(Duration::from_millis(1)));
        running.stop(Duration::ZERO);
        assert!(ends_first(LONG));
        running.join().unwrap();
    });
}

#[test]
fn what_main_captured_is_dropped_when_it_has_returned_on_all_hubs() {
    let _watchdog = Watchdog::new("captured");
    let (sender, receiver) = kapok::sync::channel::unbounded::<()>();
    let running = hubs(2).start(move |_| {
        let _captured = &sender;
        drop(spawn(park));
        Ok(())
    });
    // Their fibers go on.
    assert!(receiver.recv().is_err());
    let running = running.unwrap();
    running.stop(Duration::ZERO);
    running.join().unwrap();
}

#[test]
fn a_destructor_of_what_main_captured_runs_on_a_hub_and_its_panic_is_told() {
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            panic!("on {:?}", std::thread::current().name());
        }
    }
    let _watchdog = Watchdog::new("destructor");
    for _ in 0..10 {
        let captured = Panics;
        let running = hubs(1).start(move |_| {
            let _captured = &captured;
            Ok(())
        });
        let error = running.unwrap().join().unwrap_err();
        assert!(matches!(error, HubsError::Panicked { hub: 0 }), "{error}");
    }
}

#[test]
fn an_error_of_one_main_stops_all() {
    let _watchdog = Watchdog::new("error");
    let first = AtomicUsize::new(0);
    let running = hubs(2).start(move |_hub| {
        if first.fetch_add(1, Ordering::SeqCst) == 0 {
            return Err(io::Error::other("out of order"));
        }
        sleep(LONG);
        Ok(())
    });
    match running.unwrap().join() {
        Err(HubsError::Main { error, .. }) => assert_eq!(error.to_string(), "out of order"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_panic_of_one_main_stops_all() {
    let _watchdog = Watchdog::new("panic");
    let first = AtomicUsize::new(0);
    let running = hubs(2).start(move |_hub| {
        if first.fetch_add(1, Ordering::SeqCst) == 0 {
            std::panic::resume_unwind(Box::new("quiet"));
        }
        loop {
            park();
        }
    });
    assert!(matches!(
        running.unwrap().join(),
        Err(HubsError::Panicked { .. })
    ));
}

#[test]
fn a_stop_ends_accepting_and_gives_fibers_their_grace() {
    let _watchdog = Watchdog::new("grace");
    let listeners = Mutex::new(TcpListener::bind_shared("127.0.0.1:0", 2).unwrap());
    let (refusals, ended, dropped) = (Arc::default(), Arc::default(), Arc::default());
    let (refused, quick, unwound) = (
        Arc::clone(&refusals),
        Arc::clone(&ended),
        Arc::clone(&dropped),
    );
    let started = Arc::new(AtomicUsize::new(0));
    let ready = Arc::clone(&started);
    let running = hubs(2)
        .start(move |_hub| {
            let quick = Arc::<AtomicUsize>::clone(&quick);
            drop(spawn(move || {
                sleep(Duration::from_millis(20));
                quick.fetch_add(1, Ordering::SeqCst);
            }));
            let counts = Counts(Arc::clone(&unwound));
            drop(spawn(move || {
                let _counts = counts;
                sleep(LONG);
            }));
            let listener = listeners.lock().unwrap().pop().unwrap();
            ready.fetch_add(1, Ordering::SeqCst);
            let error = listener.accept().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
            assert_eq!(
                listener.accept().unwrap_err().kind(),
                io::ErrorKind::ConnectionAborted
            );
            Arc::<AtomicUsize>::clone(&refused).fetch_add(1, Ordering::SeqCst);
            Ok(())
        })
        .unwrap();
    while started.load(Ordering::SeqCst) < 2 {
        std::thread::yield_now();
    }
    running.stop(Duration::from_millis(500));
    running.join().unwrap();
    assert_eq!(refusals.load(Ordering::SeqCst), 2);
    assert_eq!(
        ended.load(Ordering::SeqCst),
        2,
        "those that were quick ended by themselves"
    );
    assert_eq!(dropped.load(Ordering::SeqCst), 2, "the others were unwound");
}

#[test]
fn a_stop_ends_a_main_that_waits_for_ever() {
    let _watchdog = Watchdog::new("for ever");
    let waits: [fn(); 3] = [
        || sleep(LONG),
        || loop {
            park();
        },
        || spawn(|| sleep(LONG)).join().unwrap(),
    ];
    for wait in waits {
        let dropped = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&dropped);
        let running = hubs(1).start(move |_hub| {
            let _counts = Counts(Arc::clone(&counter));
            wait();
            Ok(())
        });
        let running = running.unwrap();
        running.stop(Duration::from_millis(1));
        running.join().unwrap();
        assert_eq!(dropped.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn a_fiber_that_will_not_end_is_named() {
    let _watchdog = Watchdog::new("stuck");
    let begun = Arc::new(AtomicUsize::new(0));
    let begins = Arc::clone(&begun);
    let running = hubs(1).start(move |_hub| {
        let begins = Arc::clone(&begins);
        let stuck = kapok::Builder::new().name("limpet").spawn(move || {
            begins.store(1, Ordering::SeqCst);
            loop {
                let _ = std::panic::catch_unwind(|| sleep(Duration::from_millis(10)));
            }
        });
        drop(stuck?);
        Ok(())
    });
    let running = running.unwrap();
    // A fiber that is cancelled before it begins never runs.
    while begun.load(Ordering::SeqCst) == 0 {
        std::thread::yield_now();
    }
    running.stop(Duration::ZERO);
    match running.join() {
        Err(HubsError::Stuck { error, .. }) => {
            assert_eq!(error.left(), 1);
            assert!(error.fibers()[0].contains("'limpet'"), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

// Gruvi 1.
#[test]
fn a_hundred_closures_sent_to_a_hub_run_in_their_order() {
    on_a_hub("in order", || {
        let running = hubs(1).start(|_hub| {
            sleep(LONG);
            Ok(())
        });
        let running = running.unwrap();
        let other = running.hubs().remove(0);
        let log = Arc::new(Mutex::new(Vec::new()));
        let sent: Vec<_> = (0..100)
            .map(|number| {
                let log = Arc::clone(&log);
                other.spawn(move || log.lock().unwrap().push(number))
            })
            .collect();
        sent.into_iter().for_each(|fiber| fiber.join().unwrap());
        assert!(log.lock().unwrap().iter().copied().eq(0..100));
        running.stop(Duration::ZERO);
        running.join().unwrap();
    });
}

#[test]
fn closures_are_sent_to_a_hub_from_threads_and_from_other_hubs() {
    on_a_hub("remote", || {
        let running = hubs(1).start(|_hub| {
            sleep(LONG);
            Ok(())
        });
        let running = running.unwrap();
        let other = running.hubs().remove(0);
        let here = std::thread::current().id();
        // From this hub; its fibers run on while one waits.
        let there = other.spawn(|| std::thread::current().id()).join().unwrap();
        assert_ne!(here, there);
        let error = other
            .spawn(|| std::panic::resume_unwind(Box::new(7_u8)))
            .join()
            .unwrap_err();
        assert_eq!(*error.into_panic().downcast::<u8>().unwrap(), 7);
        // And from a plain thread.
        let from_thread = other.clone();
        let thread = std::thread::spawn(move || from_thread.spawn(|| 5).join().unwrap());
        assert_eq!(thread.join().unwrap(), 5);
        // And to oneself.
        assert_eq!(HubHandle::current().spawn(|| 6).join().unwrap(), 6);
        running.stop(Duration::ZERO);
        running.join().unwrap();
    });
}

#[test]
fn what_is_sent_to_a_hub_that_has_ended_is_dropped_and_told() {
    let _watchdog = Watchdog::new("ended");
    let running = hubs(1).start(|_hub| Ok(())).unwrap();
    let hub = running.hubs().remove(0);
    running.join().unwrap();
    let dropped = Arc::new(AtomicUsize::new(0));
    let counts = Counts(Arc::clone(&dropped));
    let handle = hub.spawn(move || drop(counts));
    assert!(matches!(handle.join(), Err(JoinError::HubEnded)));
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
}

#[test]
fn a_remote_fiber_is_cancelled_before_it_begins_while_it_waits_and_after() {
    let _watchdog = Watchdog::new("remote cancel");
    let (tell, told) = std::sync::mpsc::channel();
    let running = hubs(1).start(|_hub| {
        sleep(LONG);
        Ok(())
    });
    let running = running.unwrap();
    let hub = running.hubs().remove(0);
    let dropped = Arc::new(AtomicUsize::new(0));
    let counts = Counts(Arc::clone(&dropped));
    let waiting = hub.spawn(move || {
        let _counts = counts;
        tell.send(()).unwrap();
        sleep(LONG);
    });
    told.recv_timeout(Duration::from_secs(30)).unwrap();
    waiting.cancel();
    assert!(waiting.join().unwrap_err().is_cancelled());
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
    // From the hub's own thread nothing of it has begun when the cancel comes.
    let inner = hub.clone();
    let before = hub.spawn(move || {
        let child = inner.spawn(|| 1);
        child.cancel();
        child.join().unwrap_err().is_cancelled()
    });
    assert!(before.join().unwrap());
    let after = hub.spawn(|| 2);
    while !after.is_finished() {
        std::thread::yield_now();
    }
    after.cancel();
    assert_eq!(after.join().unwrap(), 2);
    running.stop(Duration::ZERO);
    running.join().unwrap();
}

#[test]
fn nothing_sent_by_many_threads_is_lost() {
    let _watchdog = Watchdog::new("storm");
    const THREADS: usize = 4;
    let each = crowd() as usize / 10;
    let running = hubs(1).start(|_hub| {
        sleep(LONG);
        Ok(())
    });
    let running = running.unwrap();
    let hub = running.hubs().remove(0);
    let ran = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let (hub, ran) = (hub.clone(), Arc::clone(&ran));
            std::thread::spawn(move || {
                for _ in 0..each {
                    let ran = Arc::clone(&ran);
                    drop(hub.spawn(move || ran.fetch_add(1, Ordering::SeqCst)));
                }
                // All of this thread's were received before this one.
                hub.spawn(yield_now).join().unwrap();
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(ran.load(Ordering::SeqCst), THREADS * each);
    running.stop(Duration::ZERO);
    running.join().unwrap();
}

#[test]
fn wakes_from_many_threads_are_never_all_lost() {
    on_a_hub("wakes", || {
        let waiting = Arc::new(AtomicUsize::new(0));
        let me = kapok::current();
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (waiting, me) = (Arc::clone(&waiting), me.clone());
                std::thread::spawn(move || {
                    for _ in 0..10_000 {
                        waiting.fetch_add(1, Ordering::SeqCst);
                        me.unpark();
                    }
                })
            })
            .collect();
        // If the last wake were lost this would wait for ever.
        while waiting.load(Ordering::SeqCst) < 40_000 {
            park();
        }
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn hubs_started_and_stopped_again_and_again_keep_no_descriptors() {
    let _watchdog = Watchdog::new("again");
    // Other tests of this process open and close some; fifty pairs of hubs that kept theirs would stand out.
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = descriptors();
    for _ in 0..50 {
        let listeners = TcpListener::bind_shared("127.0.0.1:0", 2).unwrap();
        let address = listeners[0].local_addr().unwrap();
        let running = hubs(1).start_each(listeners, |_hub, listener| {
            while let Ok((stream, _)) = listener.accept() {
                drop(spawn(move || stream.peek(&mut [0])));
            }
            Ok(())
        });
        let running = running.unwrap();
        let client =
            std::thread::spawn(move || kapok::run(|| drop(TcpStream::connect(address).unwrap())));
        client.join().unwrap();
        running.stop(Duration::ZERO);
        running.join().unwrap();
    }
    let after = descriptors();
    assert!(
        after < before + 100,
        "{before} descriptors before, {after} after"
    );
}

/// Says when it is dropped.
struct Tells(std::sync::mpsc::Sender<Instant>);

impl Drop for Tells {
    fn drop(&mut self) {
        let _ = self.0.send(Instant::now());
    }
}

/// Starts a hub with a fiber that sleeps, and returns when that is cancelled.
fn sleeper(main_waits: bool) -> (kapok::Running, std::sync::mpsc::Receiver<Instant>) {
    let (tell, told) = std::sync::mpsc::channel();
    let running = Hubs::new(HubsConfig::new().count(1))
        .start(move |_hub| {
            let tells = Tells(tell.clone());
            drop(spawn(move || {
                let _tells = tells;
                sleep(Duration::from_secs(3600));
            }));
            if main_waits {
                sleep(Duration::from_secs(3600));
            }
            Ok(())
        })
        .unwrap();
    (running, told)
}

#[test]
fn a_stop_grants_its_grace_once_and_a_shorter_one_shortens_it() {
    let _watchdog = Watchdog::new("grace");
    let grace = Duration::from_millis(500);
    let (running, told) = sleeper(true);
    let start = Instant::now();
    running.stop(grace);
    running.join().unwrap();
    let cancelled = told.try_recv().unwrap() - start;
    assert!((grace..grace * 2).contains(&cancelled), "{cancelled:?}");

    for main_waits in [false, true] {
        let (running, _told) = sleeper(main_waits);
        running.stop(Duration::from_secs(3600));
        running.stop(Duration::ZERO);
        running.join().unwrap();
    }
}
