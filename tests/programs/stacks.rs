//! Stacks at their limits. `stacks CASE`; tests/runtime/soundness.rs reads what it prints.

use std::hint::black_box;
use std::time::Duration;

use kapok::{Builder, drain, park, sleep, spawn, yield_now};

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("wide_frame") => wide_frame(),
        Some("own_handler") => own_handler(),
        Some("until_refused") => until_refused(),
        Some("bursts") => bursts(),
        Some("large") => large(),
        other => panic!("no case {other:?}"),
    }
}

/// Its frame is larger than a whole stack and its guard: only probing page by page meets the guard.
#[inline(never)]
fn wide(depth: u64) -> u64 {
    let frame = black_box([depth; 40_000]);
    if depth == 0 {
        frame[1]
    } else {
        wide(depth - 1) + frame[39_999]
    }
}

fn wide_frame() {
    // Its stack lies beside the one that overflows.
    let neighbours: Vec<_> = (0..8).map(|_| spawn(park)).collect();
    yield_now();
    let fiber = Builder::new().name("wide").spawn(|| wide(3)).unwrap();
    println!("{:?}", fiber.join());
    drop(neighbours);
}

extern "C" fn tell_and_exit(_signal: libc::c_int) {
    let text = b"own handler\n";
    // SAFETY: the bytes are valid for their length, and `write` may be called in a handler.
    unsafe { libc::write(libc::STDOUT_FILENO, text.as_ptr().cast(), text.len()) };
    // SAFETY: ends the process, which a handler may do.
    unsafe { libc::_exit(0) };
}

/// A program that handled faults before kapok came.
fn own_handler() {
    let handler = tell_and_exit as extern "C" fn(libc::c_int);
    // SAFETY: the handler has the signature that `signal` asks for.
    let before = unsafe { libc::signal(libc::SIGSEGV, handler as libc::sighandler_t) };
    assert_ne!(before, libc::SIG_ERR);
    let fiber = spawn(|| {
        // SAFETY: the page is nobody's: a mapping of our own without any right.
        let page = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                4096,
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert_ne!(page, libc::MAP_FAILED);
        // SAFETY: not safe, and meant to fault: the handler ends the process.
        unsafe { page.cast::<u8>().read_volatile() }
    });
    println!("read {:?}", fiber.join());
}

fn until_refused() {
    let error = loop {
        match Builder::new().spawn(park) {
            Ok(fiber) => drop(fiber),
            Err(error) => break error,
        }
    };
    println!("{error}");
    yield_now();
    drain(Duration::from_millis(1)).unwrap();
    println!("drained");
    println!("again {}", spawn(|| 7).join().unwrap());
}

/// Fibers that come and go in waves: their stacks wait for the next wave, but not for long.
fn bursts() {
    let before = resident_kibibytes();
    let first = burst();
    let after_first = resident_kibibytes();
    assert!(
        after_first - before > (first - before) / 2,
        "{before}, {first}, then {after_first}"
    );
    let second = burst();
    assert!(
        second - before < (first - before) * 3 / 2,
        "{before}, {first}, then {second}"
    );
    println!("warm");
    while resident_kibibytes() - before > (first - before) / 2 {
        sleep(Duration::from_millis(20));
    }
    println!("given back");
}

/// A hundred that use 4 MiB each.
fn large() {
    let before = resident_kibibytes();
    let fibers = (0..100).map(|_| {
        let body = || {
            let used = [1_u8; 4 << 20];
            black_box(&used);
            yield_now();
        };
        Builder::new().stack_size(8 << 20).spawn(body).unwrap()
    });
    let fibers: Vec<_> = fibers.collect();
    for fiber in fibers {
        fiber.join().unwrap();
    }
    let used = resident_kibibytes() - before;
    assert!(used > 300 << 10, "{used}");
    while resident_kibibytes() - before > used / 2 {
        sleep(Duration::from_millis(20));
    }
    println!("given back");
}

/// Returns how much memory is resident while all are there.
fn burst() -> u64 {
    let fibers: Vec<_> = (0..10_000).map(|_| spawn(park)).collect();
    yield_now();
    let resident = resident_kibibytes();
    for fiber in &fibers {
        fiber.fiber().unpark();
    }
    for fiber in fibers {
        fiber.join().unwrap();
    }
    resident
}

fn resident_kibibytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.unwrap().parse().unwrap()
}
