//! Faults of the second attack, each in a process of its own: `late_faults CASE` prints what it saw; tests/runtime/faults.rs knows
//! what it should be.

#![expect(
    clippy::disallowed_methods,
    reason = "they are called on threads without fibers"
)]

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::ThreadId;
use std::time::Duration;

use kapok::future::Async;
use kapok::http::{Request, Response, Server};
use kapok::net::TcpListener;
use kapok::{
    Builder, Fiber, HubHandle, Hubs, HubsConfig, RemoteJoinHandle, block_on, drain, run, sleep,
    spawn, timeout, unblock, yield_now,
};

const LONG: Duration = Duration::from_secs(3600);

fn main() {
    let name = std::env::args().nth(1).unwrap_or_default();
    match name.as_str() {
        "spawned_in_the_end" => spawned_in_the_end(),
        "late_handles" => hubs_are_used_again(|| {
            assert_eq!(run(|| spawn(|| 1)).join().unwrap(), 1);
        }),
        "named_main" => hubs_are_used_again(|| {
            let thread = std::thread::Builder::new().name("main".into());
            let ended = thread.spawn(|| spawn(|| 1).join().unwrap()).unwrap();
            assert_eq!(ended.join().unwrap(), 1);
        }),
        "swallowed_around_a_timeout" => swallowed_around_a_timeout(),
        "more_joins_than_pool_threads" => more_joins_than_pool_threads(),
        "served_without_stacks" => served_without_stacks(),
        "sleep_of_a_leaked_hub" => sleep_of_a_leaked_hub(),
        "woken_when_a_stack_is_free" => woken_when_a_stack_is_free(),
        "woken_without_stacks" => woken_without_stacks(),
        other => panic!("no case {other:?}"),
    }
}

thread_local! {
    static IS_ENDING: Cell<bool> = const { Cell::new(false) };
}

static CROSSED: AtomicUsize = AtomicUsize::new(0);

/// Spawns a fiber that must stay on its thread.
struct SpawnsInTheEnd;

impl Drop for SpawnsInTheEnd {
    fn drop(&mut self) {
        if IS_ENDING.get() {
            let here: Rc<ThreadId> = Rc::new(std::thread::current().id());
            drop(spawn(move || {
                if *here != std::thread::current().id() {
                    CROSSED.fetch_add(1, SeqCst);
                }
            }));
        }
    }
}

/// A hub that ends drops results while their handles are dropped elsewhere.
fn spawned_in_the_end() {
    const RESULTS: usize = 2000;
    for round in 0..40 {
        let (tell, told) = mpsc::channel();
        let (done, go) = (
            Arc::new(AtomicUsize::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let thread = std::thread::spawn({
            let (done, go) = (Arc::clone(&done), Arc::clone(&go));
            move || {
                run(|| {
                    tell.send(HubHandle::current()).unwrap();
                    while done.load(SeqCst) < RESULTS || !go.load(SeqCst) {
                        yield_now();
                    }
                    IS_ENDING.set(true);
                    go.store(false, SeqCst);
                });
                IS_ENDING.set(false);
            }
        });
        let hub = told.recv().unwrap();
        let mut handles: Vec<_> = (0..RESULTS)
            .map(|_| {
                let done = Arc::clone(&done);
                hub.spawn(move || {
                    done.fetch_add(1, SeqCst);
                    SpawnsInTheEnd
                })
            })
            .collect();
        while !handles.iter().all(RemoteJoinHandle::is_finished) {
            std::thread::yield_now();
        }
        handles.reverse();
        go.store(true, SeqCst);
        while go.load(SeqCst) {
            std::hint::spin_loop();
        }
        for _ in 0..round * 50 {
            std::hint::spin_loop();
        }
        drop(handles);
        thread.join().unwrap();
        let next = std::thread::spawn(|| run(|| (0..3).for_each(|_| yield_now())));
        next.join().unwrap();
    }
    println!("crossed: {CROSSED:?}");
}

fn resident_kibibytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.unwrap().parse().unwrap()
}

/// A hub that is not used again costs 50 KiB.
fn hubs_are_used_again(round: impl Fn()) {
    round();
    let before = resident_kibibytes();
    (0..1000).for_each(|_| round());
    let more = resident_kibibytes().saturating_sub(before);
    // AddressSanitizer keeps what was freed, so that growth tells nothing.
    let is_sanitized = std::env::var_os("ASAN_OPTIONS").is_some();
    eprintln!("{more} KiB more");
    println!("little more: {}", more < 10_000 || is_sanitized);
}

/// An ordinary supervisor: it takes a cancel for a failure of what it runs.
fn swallowed_around_a_timeout() {
    drop(spawn(|| {
        loop {
            let _ = catch_unwind(|| timeout(LONG, || sleep(LONG)));
        }
    }));
    yield_now();
    println!(
        "left: {:?}",
        drain(Duration::ZERO).map_err(|error| error.left())
    );
    std::process::exit(0);
}

/// A peer that connects when there is no stack for it is let go; the server stays.
fn served_without_stacks() {
    let mut sleepers = Vec::new();
    while let Ok(fiber) = Builder::new().spawn(|| sleep(LONG)) {
        sleepers.push(fiber);
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let client = std::thread::spawn(move || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        println!("refused: {:?}", stream.read(&mut [0; 8]));
        std::process::exit(0);
    });
    let app = |_: &mut Request<'_>| Response::text("hi");
    let served = catch_unwind(AssertUnwindSafe(|| Server::new().serve(listener, app)));
    println!("served: {:?}", served.is_ok());
    client.join().unwrap();
}

/// A waker that is not kapok's, as combinators have them.
struct Part {
    is_woken: AtomicBool,
    whole: Mutex<Option<Waker>>,
}

impl Wake for Part {
    fn wake(self: Arc<Self>) {
        self.is_woken.store(true, SeqCst);
        let whole = self.whole.lock().unwrap().take();
        whole.expect("left by the poll").wake();
    }
}

/// It is to be called by a fiber, and there is no stack for one.
fn woken_without_stacks() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        told.recv().unwrap();
        stream.write_all(b"hello").unwrap();
        let _ = told.recv();
    });
    let stream = Async::new(listener.accept().unwrap().0);
    let mut sleepers = Vec::new();
    while let Ok(fiber) = Builder::new().spawn(|| sleep(LONG)) {
        sleepers.push(fiber);
    }
    let part = Arc::new(Part {
        is_woken: AtomicBool::new(true),
        whole: Mutex::default(),
    });
    let read = block_on(poll_fn(|context| {
        *part.whole.lock().unwrap() = Some(context.waker().clone());
        if !part.is_woken.swap(false, SeqCst) {
            return Poll::Pending;
        }
        let waker = Waker::from(Arc::clone(&part));
        let polled = stream.poll_read(&mut Context::from_waker(&waker), &mut [0; 8]);
        if polled.is_pending() {
            tell.send(()).unwrap();
        }
        polled
    }));
    println!("read: {read:?}");
    std::process::exit(0);
}

struct Unparks(Fiber);

impl Wake for Unparks {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Nobody waits in `block_on`, and no event comes after the one that found no stack.
fn woken_when_a_stack_is_free() {
    let mut sleepers = Vec::new();
    while let Ok(fiber) = Builder::new().spawn(|| sleep(LONG)) {
        sleepers.push(fiber);
    }
    let waker = Waker::from(Arc::new(Unparks(kapok::current())));
    let mut context = Context::from_waker(&waker);
    let mut due = kapok::future::sleep(Duration::from_millis(1));
    assert!(Pin::new(&mut due).poll(&mut context).is_pending());
    sleep(Duration::from_millis(10));
    sleepers.pop().unwrap().cancel();
    kapok::park();
    println!("woken");
    std::process::exit(0);
}

/// The future goes to another thread, and its timer would never fire.
fn sleep_of_a_leaked_hub() {
    let ended = std::thread::spawn(|| {
        drop(spawn(kapok::park));
        let mut sleep = kapok::future::sleep(Duration::from_millis(5));
        let polled = block_on(poll_fn(|context| {
            Poll::Ready(Pin::new(&mut sleep).poll(context))
        }));
        assert!(polled.is_pending());
        sleep
    });
    block_on(ended.join().unwrap());
    println!("slept");
}

/// The hubs need the pool to end.
fn more_joins_than_pool_threads() {
    let joins: Vec<_> = (0..140)
        .map(|_| {
            spawn(|| {
                let hubs = Hubs::new(HubsConfig::new().count(1));
                let running = hubs.start(|_hub| {
                    sleep(Duration::from_millis(500));
                    unblock(|| ())
                });
                running.unwrap().join()
            })
        })
        .collect();
    for join in joins {
        join.join().unwrap().unwrap();
    }
    println!("joined");
}
