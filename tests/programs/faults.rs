//! What once went wrong in the runtime, each in a process of its own, as most of it hung, aborted or broke memory.
//! `faults CASE` prints what it saw; tests/runtime/faults.rs knows what it should be.

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::panic::{catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use kapok::net::{TcpListener, TcpStream};
use kapok::{
    Builder, HubHandle, Hubs, HubsConfig, HubsError, Running, drain, fiber_local, park,
    park_timeout, shielded, sleep, spawn, timeout, unblock, yield_now,
};

const LONG: Duration = Duration::from_secs(3600);
const TICK: Duration = Duration::from_millis(1);
/// What a case waits at most for something that should come at once.
const PATIENCE: Duration = Duration::from_secs(2);

fn main() {
    let name = std::env::args().nth(1).unwrap_or_default();
    let case = CASES.iter().find(|case| case.0 == name);
    match case {
        Some(case) => case.1(),
        None => panic!("no case {name:?}"),
    }
}

const CASES: &[(&str, fn())] = &[
    ("budget", edge_while_the_budget_yields),
    ("clones", clones_made_before_the_first_wait),
    ("close_tells", close_is_no_end_of_stream),
    ("current_before_hub", current_before_the_hub),
    ("deferred_cancel", cancel_while_a_sibling_unwinds),
    ("destructor_on_the_loop", closure_that_gets_no_stack),
    ("drain_in_timeout", drain_in_a_timeout),
    ("ended_thread_receives", closure_left_at_a_threads_end),
    ("ended_thread_runs", fiber_left_at_a_threads_end),
    ("fiber_local_inherited", fiber_local_of_the_slots_last_fiber),
    ("guard_under_run", run_under_a_guard),
    ("huge_stack", stack_sizes_without_end),
    ("incoming_at_stop", incoming_that_skips_errors),
    ("late_remote_spawn", spawned_remotely_while_draining),
    ("late_spawn", spawned_by_a_destructor_while_draining),
    ("left_closure", closure_left_in_the_inbox_panics),
    ("name_after_end", name_after_the_end),
    ("payload_of_main", payload_of_main_panics),
    ("pool_threads", results_that_panic_on_the_pool),
    ("respawn", fiber_that_spawns_itself_again),
    ("sent_in_main", sent_to_oneself_in_main),
    ("stop_in_drain", stop_while_main_drains),
    ("stuck_hub_receives", closure_sent_to_a_stuck_hub),
    ("stale_scope", hub_used_again_after_a_stop),
    ("thread_descriptors", descriptors_of_ended_threads),
    ("token", unpark_before_a_sleep),
];

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

fn one_hub(main: impl Fn(HubHandle) -> io::Result<()> + Send + Sync + 'static) -> Running {
    let hubs = Hubs::new(HubsConfig::new().count(1));
    hubs.start(main).unwrap()
}

fn compute_for(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Panics when it is dropped, quietly.
struct Panics;

impl Drop for Panics {
    fn drop(&mut self) {
        resume_unwind(Box::new(()));
    }
}

/// The 129th read without waiting yields. Bytes that come meanwhile must not be forgotten with its short read.
fn edge_while_the_budget_yields() {
    const BUDGET: usize = 128;
    let (client, mut server) = pair();
    let client = Rc::new(client);
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let reader = spawn({
        let client = Rc::clone(&client);
        move || {
            let mut byte = [0];
            // The first read waits, so the socket is registered.
            server.read_exact(&mut byte).unwrap();
            (&*client).write_all(&[2; BUDGET + 7]).unwrap();
            sleep(2 * TICK);
            for _ in 0..BUDGET {
                assert_eq!(server.read(&mut byte).unwrap(), 1);
            }
            // These run while the next read yields, long enough for the hub to look at events.
            for number in 0..20 {
                let client = Rc::clone(&client);
                drop(spawn(move || {
                    if number == 0 {
                        (&*client).write_all(b"new").unwrap();
                    }
                    compute_for(TICK);
                }));
            }
            // As much as there is, once or twice: whether the read yields first or last is the runtime's affair.
            let (mut buffer, mut length) = ([0; 100], 0);
            while length < 7 + 3 {
                length += server
                    .read(&mut buffer)
                    .map_err(|error| (error.kind(), length))?;
            }
            Ok::<_, (io::ErrorKind, usize)>(length)
        }
    });
    yield_now();
    (&*client).write_all(&[1]).unwrap();
    println!("{:?}", reader.join().unwrap());
}

/// Two handles of one descriptor that nobody has waited for yet.
fn clones_made_before_the_first_wait() {
    let (mut client, server) = pair();
    let readers = [server.try_clone().unwrap(), server].map(|mut stream| {
        spawn(move || {
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.read_exact(&mut [0; 4]).map_err(|error| error.kind())
        })
    });
    yield_now();
    client.write_all(b"12345678").unwrap();
    for reader in readers {
        println!("read {:?}", reader.join().unwrap());
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let acceptors = [listener.try_clone().unwrap(), listener].map(|listener| {
        let accept = move || timeout(PATIENCE, || listener.accept().map(drop).is_ok());
        spawn(accept)
    });
    yield_now();
    let clients = [TcpStream::connect(address), TcpStream::connect(address)];
    for acceptor in acceptors {
        println!("accepted {:?}", acceptor.join().unwrap());
    }
    drop(clients);
}

/// A protocol must be able to tell a stream that was closed here from one that ended.
fn close_is_no_end_of_stream() {
    let (_client, server) = pair();
    let clone = server.try_clone().unwrap();
    let (tell, told) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        kapok::run(|| {
            let reader = spawn(move || (&clone).read(&mut [0; 4]).map_err(|error| error.kind()));
            yield_now();
            tell.send(()).unwrap();
            reader.join().unwrap()
        })
    });
    told.recv_timeout(PATIENCE).unwrap();
    server.close();
    println!("waiting elsewhere: {:?}", thread.join().unwrap());
    let after = (&server).read(&mut [0; 4]).map_err(|error| error.kind());
    println!("afterwards: {after:?}");
}

fn current_before_the_hub() {
    let early = kapok::current();
    let is_time = Arc::new(AtomicBool::new(false));
    spawn(|| ()).join().unwrap();
    let (seen, (tell, told)) = (Arc::clone(&is_time), mpsc::channel::<()>());
    let thread = std::thread::spawn(move || {
        // The root parks before this ends: nobody tells.
        assert!(told.recv_timeout(Duration::from_millis(50)).is_err());
        seen.store(true, Ordering::SeqCst);
        early.unpark();
    });
    let start = Instant::now();
    while !is_time.load(Ordering::SeqCst) || start.elapsed() < TICK {
        park_timeout(PATIENCE);
    }
    println!("in time: {}", start.elapsed() < PATIENCE);
    thread.join().unwrap();
    drop(tell);
}

/// A fiber that began to wait while a sibling waited in a destructor, unwinding, is cancelled once that is over.
fn cancel_while_a_sibling_unwinds() {
    let is_over = Rc::new(Cell::new(false));
    let waits = OnDrop({
        let is_over = Rc::clone(&is_over);
        move || {
            while !is_over.get() {
                park();
            }
        }
    });
    let unwinding = spawn(move || {
        let _waits = waits;
        resume_unwind(Box::new(()));
    });
    yield_now();
    let other = spawn(|| sleep(LONG));
    yield_now();
    other.cancel();
    yield_now();
    is_over.set(true);
    unwinding.fiber().unpark();
    unwinding.join().unwrap_err();
    let start = Instant::now();
    while !other.is_finished() && start.elapsed() < PATIENCE {
        sleep(TICK);
    }
    println!("cancelled: {}", other.is_finished());
}

/// With `KAPOK_STACK_GUARD=mprotect`, as the stacks must come to an end.
fn closure_that_gets_no_stack() {
    while let Ok(fiber) = Builder::new().spawn(|| sleep(LONG)) {
        drop(fiber);
    }
    // The last to run before the hub sleeps.
    yield_now();
    let hub = HubHandle::current();
    let dropped_by = OnDrop(|| {
        // On the hub's loop there is no fiber that could wait.
        yield_now();
        sleep(TICK);
    });
    let thread = std::thread::spawn(move || {
        let closure = hub.spawn(move || drop(dropped_by));
        format!("{:?}", closure.join())
    });
    while !thread.is_finished() {
        sleep(TICK);
    }
    println!("{}", thread.join().unwrap());
}

fn drain_in_a_timeout() {
    let fiber = spawn(|| sleep(LONG));
    let start = Instant::now();
    let result = timeout(TICK, || drain(PATIENCE).is_ok());
    println!("{result:?}, in time: {}", start.elapsed() < PATIENCE);
    drop(fiber);
}

/// A hub's thread ends without `run`, with a closure in its inbox.
fn closure_left_at_a_threads_end() {
    let ((tell, told), (end, ended)) = (mpsc::channel(), mpsc::channel::<()>());
    let thread = std::thread::spawn(move || {
        tell.send(HubHandle::current()).unwrap();
        assert!(ended.recv_timeout(PATIENCE).is_err());
    });
    let hub = told.recv_timeout(PATIENCE).unwrap();
    let closure = hub.spawn(|| 1);
    drop(end);
    thread.join().unwrap();
    println!("{:?}", closure.join());
}

/// The same with a fiber that has begun.
fn fiber_left_at_a_threads_end() {
    let ((tell, told), (begin, begun)) = (mpsc::channel(), mpsc::channel());
    let thread = std::thread::spawn(move || {
        tell.send(HubHandle::current()).unwrap();
        while begun.try_recv().is_err() {
            sleep(TICK);
        }
    });
    let hub = told.recv_timeout(PATIENCE).unwrap();
    let fiber = hub.spawn(move || {
        begin.send(()).unwrap();
        sleep(LONG);
    });
    thread.join().unwrap();
    println!("{:?}", fiber.join());
}

fiber_local! {
    static MARK: Cell<u32> = Cell::new(0);
    static SLOW_TO_DROP: OnDrop<fn()> = OnDrop(|| sleep(5 * TICK));
}

/// A result is dropped after the fiber's locals, and its destructor makes one.
fn fiber_local_of_the_slots_last_fiber() {
    let fiber = spawn(|| {
        SLOW_TO_DROP.with(|_| ());
        OnDrop(|| MARK.with(|mark| mark.set(77)))
    });
    sleep(TICK);
    drop(fiber);
    sleep(20 * TICK);
    println!("{}", spawn(|| MARK.with(Cell::get)).join().unwrap());
}

fn run_under_a_guard() {
    let switched = Rc::new(Cell::new(false));
    let mark = Rc::clone(&switched);
    let told = catch_unwind(std::panic::AssertUnwindSafe(|| {
        kapok::assert_no_switchpoints(|| kapok::run(|| drop(spawn(move || mark.set(true)))));
    }));
    println!("told: {}, switched: {}", told.is_err(), switched.get());
}

fn stack_sizes_without_end() {
    for bytes in [usize::MAX, usize::MAX / 4, 1 << 60, (1 << 60) + (1 << 16)] {
        let spawned = catch_unwind(|| Builder::new().stack_size(bytes).spawn(|| ()).is_ok());
        println!("{:?}", spawned.map_err(|_| "a panic"));
    }
    println!("{:?}", spawn(|| 5).join());
}

/// The loop that std's documentation shows, when a hub stops.
fn incoming_that_skips_errors() {
    let running = one_hub(|_hub| {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        for stream in listener.incoming() {
            let Ok(stream) = stream else { continue };
            drop(stream);
        }
        Ok(())
    });
    running.stop(10 * TICK);
    println!("{:?}", running.join().map_err(|error| error.to_string()));
}

/// Sent by a thread while the drain waits for a fiber that takes its time.
fn spawned_remotely_while_draining() {
    let hub = HubHandle::current();
    let is_draining = Arc::new(AtomicBool::new(false));
    let mark = Arc::clone(&is_draining);
    drop(spawn(move || {
        shielded(|| {
            sleep(20 * TICK);
            mark.store(true, Ordering::SeqCst);
            sleep(100 * TICK);
        });
    }));
    yield_now();
    let thread = std::thread::spawn(move || {
        while !is_draining.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        drop(hub.spawn(|| sleep(LONG)));
    });
    println!("{:?}", drain(Duration::ZERO).map_err(|error| error.left()));
    thread.join().unwrap();
}

fn spawned_by_a_destructor_while_draining() {
    let spawns = OnDrop(|| {
        sleep(5 * TICK);
        drop(spawn(|| sleep(LONG)));
    });
    drop(spawn(move || {
        let _spawns = spawns;
        sleep(LONG);
    }));
    yield_now();
    println!("{:?}", drain(Duration::ZERO).map_err(|error| error.left()));
}

/// A hub ends with a closure in its inbox whose destructor panics: the others must still hear of the end.
fn closure_left_in_the_inbox_panics() {
    let running = one_hub(|hub| {
        let panics = Panics;
        drop(hub.spawn(move || {
            let _panics = panics;
        }));
        Ok(())
    });
    println!("{:?}", running.join().map_err(|error| error.to_string()));
}

fn name_after_the_end() {
    let fiber = Builder::new().name("clerk").spawn(|| ()).unwrap();
    yield_now();
    println!("{:?}", fiber.fiber().name());
}

fn payload_of_main_panics() {
    let running = one_hub(|_hub| resume_unwind(Box::new(Panics)));
    println!("{:?}", running.join().map_err(|error| error.to_string()));
}

/// The results of cancelled calls are dropped on the pool's threads, of which there are up to 128.
fn results_that_panic_on_the_pool() {
    for _ in 0..130 {
        let (end, ended) = mpsc::channel::<()>();
        let begun = Arc::new(AtomicBool::new(false));
        let mark = Arc::clone(&begun);
        let caller = spawn(move || {
            let result = unblock(move || {
                mark.store(true, Ordering::SeqCst);
                assert!(ended.recv_timeout(PATIENCE).is_err());
                Panics
            });
            let _ = std::mem::ManuallyDrop::new(result);
        });
        while !begun.load(Ordering::SeqCst) {
            yield_now();
        }
        caller.cancel();
        caller.join().unwrap_err();
        drop(end);
    }
    println!("{:?}", unblock(|| 5).unwrap());
}

/// What a supervisor may look like: there is always one more to cancel.
fn fiber_that_spawns_itself_again() {
    struct Again;
    impl Drop for Again {
        fn drop(&mut self) {
            spawn_again(Self);
        }
    }
    fn spawn_again(again: Again) {
        drop(spawn(move || {
            let _again = again;
            sleep(LONG);
        }));
    }
    spawn_again(Again);
    yield_now();
    println!(
        "returned with {:?} left",
        drain(Duration::ZERO)
            .map_or_else(|error| error.left(), |()| 0)
            .min(1)
    );
}

fn sent_to_oneself_in_main() {
    let ran = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&ran);
    let running = one_hub(move |hub| {
        let count = Arc::clone(&count);
        drop(hub.spawn(move || count.fetch_add(1, Ordering::SeqCst)));
        Ok(())
    });
    running.join().unwrap();
    println!("{}", ran.load(Ordering::SeqCst));
}

fn stop_while_main_drains() {
    let running = one_hub(|_hub| {
        drop(spawn(|| sleep(LONG)));
        let _ = drain(LONG);
        Ok(())
    });
    running.stop(10 * TICK);
    println!("{:?}", running.join().map_err(|error| error.to_string()));
}

fn closure_sent_to_a_stuck_hub() {
    let running = one_hub(|_hub| {
        drop(spawn(|| {
            shielded(|| {
                loop {
                    park();
                }
            });
        }));
        yield_now();
        Ok(())
    });
    let hub = running.hubs().remove(0);
    running.stop(TICK);
    let stuck = matches!(running.join(), Err(HubsError::Stuck { .. }));
    println!("stuck: {stuck}, {:?}", hub.spawn(|| 1).join());
}

/// A stop that comes after main has returned leaves its limit to whoever gets the hub's memory next.
fn hub_used_again_after_a_stop() {
    let begun = Arc::new(AtomicBool::new(false));
    let mark = Arc::clone(&begun);
    let running = one_hub(move |_hub| {
        let mark = Arc::clone(&mark);
        drop(spawn(move || {
            mark.store(true, Ordering::SeqCst);
            sleep(LONG);
        }));
        Ok(())
    });
    while !begun.load(Ordering::SeqCst) {
        std::thread::yield_now();
    }
    running.stop(TICK);
    running.join().unwrap();
    kapok::run(|| {
        sleep(2 * TICK);
        yield_now();
        println!("{:?}", timeout(TICK, || sleep(LONG)));
    });
}

fn descriptors_of_ended_threads() {
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = descriptors();
    for _ in 0..20 {
        let thread = std::thread::spawn(|| spawn(|| sleep(TICK)).join().unwrap());
        thread.join().unwrap();
    }
    println!("{} more", descriptors() - before);
}

fn unpark_before_a_sleep() {
    spawn(|| ()).join().unwrap();
    kapok::current().unpark();
    sleep(TICK);
    let start = Instant::now();
    park_timeout(PATIENCE);
    println!("at once: {}", start.elapsed() < PATIENCE);
}
