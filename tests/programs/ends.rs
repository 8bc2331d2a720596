//! The ways a program or a thread can end with fibers that have not. `ends CASE`; tests/runtime/ends.rs reads what it prints.

use std::cell::Cell;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};

use kapok::{Builder, park, spawn, yield_now};

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("overflow") => overflow_in_a_fiber(),
        Some("overflow_in_thread") => overflow_in_a_thread(),
        Some("main_returns") => park_a_fiber_that_tells(),
        Some("main_panics") => {
            park_a_fiber_that_tells();
            panic!("main has had enough");
        }
        Some("exit_in_fiber") => exit_in_a_fiber(),
        Some("exit_in_fiber_of_thread") => std::thread::spawn(exit_in_a_fiber).join().unwrap(),
        Some("panic_hook") => panic_under_a_hook_that_waits(),
        Some("panic_hook_runs") => panic_under_a_hook_that_runs_a_hub(),
        Some("thread_ends") => thread_ends(),
        Some("thread_local_is_used") => thread_ends_under_a_thread_local(),
        Some("thread_local_drains") => thread_local_drains(),
        Some("spawn_in_destructor") => spawn_in_a_destructor(),
        Some("wakers_are_due") => threads_end_when_wakers_are_due(),
        other => panic!("no case {other:?}"),
    }
}

/// Says so when it is dropped.
struct Tells;

impl Drop for Tells {
    fn drop(&mut self) {
        println!("dropped");
    }
}

fn park_a_fiber_that_tells() {
    drop(spawn(|| {
        let _tells = Tells;
        park();
        println!("resumed");
    }));
    yield_now();
    println!("parked");
}

#[inline(never)]
fn recurse(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 32]);
    if depth == u64::MAX {
        0
    } else {
        recurse(depth + 1) + frame[7]
    }
}

fn overflow_in_a_fiber() {
    let name = "deep".repeat(100);
    let deep = Builder::new().name(name).spawn(|| recurse(0)).unwrap();
    println!("{}", deep.join().unwrap());
}

fn overflow_in_a_thread() {
    spawn(|| ()).join().unwrap();
    let thread = std::thread::Builder::new()
        .name("plain".to_owned())
        .spawn(|| recurse(0))
        .unwrap();
    println!("{}", thread.join().unwrap());
}

fn exit_in_a_fiber() {
    drop(spawn(|| {
        let _tells = Tells;
        std::process::exit(3);
    }));
    kapok::sleep(Duration::from_secs(60));
}

fn thread_ends() {
    std::thread::spawn(|| {
        let named = Builder::new().name("forgotten").spawn(|| {
            let _tells = Tells;
            park();
            println!("resumed");
        });
        drop(named.unwrap());
        yield_now();
    })
    .join()
    .unwrap();
    println!("joined");
}

struct Data(Cell<&'static str>);

impl Drop for Data {
    fn drop(&mut self) {
        self.0.set("destroyed");
        println!("data destroyed");
    }
}

thread_local! {
    static DATA: Data = const { Data(Cell::new("alive")) };
    static LAST: SpawnsAtTheEnd = const { SpawnsAtTheEnd };
}

/// A hub that drained here from a destructor would resume the fiber after `DATA` was destroyed.
fn thread_ends_under_a_thread_local() {
    std::thread::spawn(|| {
        drop(spawn(|| {
            DATA.with(|data| {
                park();
                println!("resumed with data that is {}", data.0.get());
            });
        }));
        yield_now();
    })
    .join()
    .unwrap();
    println!("joined");
}

thread_local! {
    static DRAINS: DrainsAtTheEnd = const { DrainsAtTheEnd };
}

struct DrainsAtTheEnd;

impl Drop for DrainsAtTheEnd {
    fn drop(&mut self) {
        println!(
            "drained: {}",
            kapok::drain(Duration::from_millis(5)).is_ok()
        );
    }
}

/// The destructor is younger than the hub, so it runs first; and `DATA`, younger still, is gone by then.
fn thread_local_drains() {
    std::thread::spawn(|| {
        spawn(|| ()).join().unwrap();
        DRAINS.with(|_| ());
        drop(spawn(|| {
            DATA.with(|data| {
                kapok::sleep(Duration::from_millis(1));
                println!("resumed with data that is {}", data.0.get());
            });
        }));
        yield_now();
    })
    .join()
    .unwrap();
    println!("joined");
}

fn panic_under_a_hook_that_waits() {
    struct Waits;
    impl Drop for Waits {
        fn drop(&mut self) {
            yield_now();
            println!("a destructor may wait");
        }
    }
    std::panic::set_hook(Box::new(|_| println!("hook")));
    let unwinds = spawn(|| {
        let _waits = Waits;
        panic!("one");
    });
    println!("{}", unwinds.join().unwrap_err());
    std::panic::set_hook(Box::new(|_| {
        kapok::sleep(Duration::from_millis(1));
        println!("the hook went on");
    }));
    let hooked = spawn(|| panic!("two"));
    drop(spawn(|| println!("another fiber ran")));
    println!("{:?}", hooked.join());
}

fn panic_under_a_hook_that_runs_a_hub() {
    std::panic::set_hook(Box::new(|_| {
        println!("hook");
        kapok::run(|| ());
        println!("the hook went on");
    }));
    drop(spawn(|| println!("another fiber ran")));
    let _ = std::panic::catch_unwind(|| panic!("one"));
}

struct SpawnsAtTheEnd;

impl Drop for SpawnsAtTheEnd {
    fn drop(&mut self) {
        let refused = Builder::new().spawn(|| ());
        println!(
            "refused: {}",
            refused
                .err()
                .map_or_else(String::new, |error| error.to_string())
        );
        kapok::current().unpark();
        park();
        println!("parked as a thread");
    }
}

fn spawn_in_a_destructor() {
    std::thread::spawn(|| {
        // Destroyed after the hub's own, as it is registered before.
        LAST.with(|_| ());
        spawn(|| ()).join().unwrap();
    })
    .join()
    .unwrap();
    println!("joined");
}

struct Counts(AtomicUsize);

impl Wake for Counts {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A hub looks at its timers after every few turns, and has a fiber call the waker of a future's; the thread ends before it runs.
fn threads_end_when_wakers_are_due() {
    let counts = Arc::new(Counts(AtomicUsize::new(0)));
    for turns in (0..9).cycle().take(200) {
        let waker = Waker::from(Arc::clone(&counts));
        let thread = std::thread::spawn(move || {
            let time = Duration::from_micros(100);
            let (start, mut sleep) = (Instant::now(), Box::pin(kapok::future::sleep(time)));
            let first = sleep.as_mut().poll(&mut Context::from_waker(&waker));
            assert!(first.is_pending());
            while start.elapsed() <= time {}
            (0..turns).for_each(|_| yield_now());
            sleep // not dropped before the thread has ended
        });
        drop(thread.join().unwrap());
    }
    println!("{}", counts.0.load(Ordering::SeqCst));
}
