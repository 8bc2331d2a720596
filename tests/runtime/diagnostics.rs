//! What a program is told of its hubs and fibers.

use std::io::{BufRead, BufReader};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kapok::diagnostics::{FiberDump, dump};
use kapok::net::TcpListener;
use kapok::process::{Command, Stdio};
use kapok::signal::Signal;
use kapok::sync::{Event, Mutex, Semaphore, channel};
use kapok::{Builder, Hubs, HubsConfig, park, sleep, spawn, yield_now};

use crate::support::{Watchdog, on_a_hub};

const LONG: Duration = Duration::from_secs(3600);

/// Spawns a fiber of that name and lets it run into its wait.
fn named(name: &str, f: impl FnOnce() + 'static) -> kapok::JoinHandle<()> {
    let fiber = Builder::new().name(name).spawn(f).unwrap();
    yield_now();
    fiber
}

/// What is told of the fiber of that name. Other tests have hubs too.
fn told(name: &str) -> Option<String> {
    let dump = dump();
    let fibers = dump.hubs().iter().filter_map(|hub| hub.fibers()).flatten();
    let mut fibers = fibers.filter(|fiber| fiber.name() == Some(name));
    let told = fibers.next().map(FiberDump::to_string);
    assert!(fibers.next().is_none(), "each name is used once");
    told
}

#[test]
fn each_fiber_is_told_with_its_place_and_what_it_does() {
    on_a_hub("states", || {
        let (sender, receiver) = channel::bounded::<()>(0);
        let (event, mutex, permits) = (Event::new(), Arc::new(Mutex::new(())), Semaphore::new(0));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let fibers = [
            named("receives", move || assert!(receiver.recv().is_err())),
            named("sleeps", || sleep(LONG)),
            named("parks", park),
            named("waits", move || event.wait()),
            named("acquires", move || permits.acquire().forget()),
            named("accepts", move || drop(listener.accept())),
            named("holds", {
                let mutex = Arc::clone(&mutex);
                move || {
                    let _guard = mutex.lock().unwrap();
                    park();
                }
            }),
            named("locks", move || drop(mutex.lock().unwrap())),
            named("joins", || spawn(park).join().unwrap()),
        ];
        for (name, state) in [
            ("receives", "waits for a message"),
            ("sleeps", "sleeps"),
            ("parks", "is parked"),
            ("waits", "waits for an event"),
            ("acquires", "waits for a permit"),
            ("accepts", "waits for a connection"),
            ("locks", "waits for a lock"),
            ("joins", "waits for the end of a fiber"),
        ] {
            let told = told(name).unwrap();
            let (place, end) = (format!("spawned at {}:", file!()), format!(", {state}"));
            assert!(told.starts_with(&format!("'{name}' (#")), "{told}");
            assert!(told.contains(&place) && told.ends_with(&end), "{told}");
        }
        let ready = Builder::new().name("ready").spawn(|| ()).unwrap();
        // It runs in the meantime, or before the hub looks.
        let told_ready = told("ready");
        assert!(told_ready.is_none_or(|told| told.ends_with("is ready to run")));
        ready.join().unwrap();
        drop((sender, fibers));
    });
}

#[test]
fn the_fibers_of_all_hubs_are_told_to_a_thread_without_one() {
    let _watchdog = Watchdog::new("all hubs");
    let running = Hubs::new(HubsConfig::new().count(2).name("told")).start_each(
        ["told a", "told b"],
        |_, name| {
            Builder::new().name(name).spawn(park)?.join().unwrap();
            Ok(())
        },
    );
    let running = running.unwrap();
    let all = loop {
        let dump = dump();
        let hubs = dump
            .hubs()
            .iter()
            .filter(|hub| hub.thread().is_some_and(|name| name.starts_with("told-")));
        let told: String = hubs.map(ToString::to_string).collect();
        if told.contains("'told a'") && told.contains("'told b'") {
            break told;
        }
        std::thread::yield_now();
    };
    assert!(
        all.contains("on thread told-0: 2 fibers") && all.contains("on thread told-1: 2 fibers"),
        "{all}"
    );
    assert_eq!(
        all.matches(", the thread itself, waits for the end of a fiber")
            .count(),
        2,
        "{all}"
    );
    running.stop(Duration::ZERO);
    running.join().unwrap();
    let dump = dump();
    assert!(
        dump.hubs()
            .iter()
            .all(|hub| hub.thread().is_none_or(|name| !name.starts_with("told-")))
    );
}

#[test]
fn a_hub_that_is_held_is_told_and_holds_nobody_up() {
    let _watchdog = Watchdog::new("held");
    let released = Arc::new(AtomicBool::new(false));
    let holding = Arc::new(AtomicBool::new(false));
    let (release, holds) = (Arc::clone(&released), Arc::clone(&holding));
    let running = Hubs::new(HubsConfig::new().count(1).name("held")).start(move |_| {
        holds.store(true, Ordering::SeqCst);
        while !release.load(Ordering::SeqCst) {
            std::hint::spin_loop();
        }
        Ok(())
    });
    while !holding.load(Ordering::SeqCst) {
        std::thread::yield_now();
    }
    let dump = dump();
    let held = dump
        .hubs()
        .iter()
        .find(|hub| hub.thread() == Some("held-0"))
        .unwrap();
    assert!(held.fibers().is_none());
    assert!(held.to_string().contains("a fiber holds it"), "{held}");
    released.store(true, Ordering::SeqCst);
    running.unwrap().join().unwrap();
}

#[test]
fn fibers_are_counted_by_the_place_that_spawned_them() {
    on_a_hub("places", || {
        let fibers: Vec<_> = (0..5000).map(|_| spawn(park)).collect();
        let line = line!() - 1;
        yield_now();
        let places = dump().spawn_places();
        let here = places
            .iter()
            .find(|(place, _)| place.file() == file!() && place.line() == line);
        assert_eq!(here.map(|(_, count)| *count), Some(5000));
        assert!(places.is_sorted_by_key(|(_, count)| usize::MAX - count));
        drop(fibers);
    });
}

#[test]
fn a_program_that_is_asked_by_a_signal_tells_and_goes_on() {
    on_a_hub("quit", || {
        let mut child = Command::new(env!("CARGO_BIN_EXE_diagnostics"))
            .arg("quit")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        assert_eq!(output.next().unwrap().unwrap(), "ready");
        for _ in 0..2 {
            child.signal(Signal::SIGQUIT).unwrap();
            let mut told = String::new();
            while !(told.contains("'first'") && told.contains("'second'")) {
                assert_ne!(errors.read_line(&mut told).unwrap(), 0, "{told}");
            }
            assert!(told.contains("on thread worker-0: 2 fibers"), "{told}");
        }
        drop(child.stdin.take());
        assert_eq!(output.next().unwrap().unwrap(), "went on");
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn a_cancelled_fiber_that_has_not_ended_is_told_to_be() {
    on_a_hub("cancelled", || {
        let end = Rc::new(Event::new());
        let fiber = named("stubborn", {
            let end = Rc::clone(&end);
            move || kapok::shielded(|| end.wait())
        });
        fiber.cancel();
        yield_now();
        let told = told("stubborn").unwrap();
        assert!(
            told.ends_with("waits for an event, was cancelled"),
            "{told}"
        );
        end.set();
    });
}
