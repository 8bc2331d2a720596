//! The ends of programs, threads and hubs, with fibers left: what is said, what is resumed (nothing), what is leaked.

use std::process::{Command, Output, Stdio};

use crate::support::Watchdog;

struct End {
    code: Option<i32>,
    signal: Option<i32>,
    stdout: String,
    stderr: String,
}

impl End {
    #[track_caller]
    fn check(&self, code: Option<i32>, stdout: &str) {
        let seen = (self.code, self.stdout.as_str());
        assert_eq!(seen, (code, stdout), "{}", self.stderr);
    }

    #[track_caller]
    fn check_told(&self, told: &str) {
        assert!(self.stderr.contains(told), "{}", self.stderr);
    }
}

fn run(program: &str, arguments: &[&str]) -> End {
    use std::os::unix::process::ExitStatusExt;
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(program)
        .args(arguments)
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    End {
        code: status.code(),
        signal: status.signal(),
        stdout: text(stdout),
        stderr: text(stderr),
    }
}

fn ends(case: &'static str) -> End {
    let _watchdog = Watchdog::new(case);
    run(env!("CARGO_BIN_EXE_ends"), &[case])
}

#[test]
fn an_overflow_is_told_by_the_fibers_name() {
    let end = ends("overflow");
    assert_eq!(end.signal, Some(libc::SIGABRT), "{}", end.stderr);
    assert!(
        end.stderr
            .contains("deepdeep'… overflowed its stack of 128 KiB; kapok::Builder::stack_size gives larger ones\n"),
        "{}",
        end.stderr
    );
}

#[test]
fn an_overflow_on_a_thread_is_still_stds_to_tell() {
    let end = ends("overflow_in_thread");
    // Under the sanitizer the handler that was there before ours is the sanitizer's.
    if end.stderr.contains("AddressSanitizer: stack-overflow") {
        return;
    }
    assert_eq!(end.signal, Some(libc::SIGABRT), "{}", end.stderr);
    assert!(
        end.stderr.contains("thread 'plain'") && end.stderr.contains("has overflowed its stack"),
        "{}",
        end.stderr
    );
}

#[test]
fn when_main_returns_the_program_ends_and_nothing_is_unwound() {
    let end = ends("main_returns");
    assert_eq!(
        (end.code, end.stdout.as_str(), end.stderr.as_str()),
        (Some(0), "parked\n", "")
    );
}

#[test]
fn when_main_panics_the_program_ends_as_ever() {
    let end = ends("main_panics");
    assert_eq!((end.code, end.stdout.as_str()), (Some(101), "parked\n"));
    assert!(end.stderr.contains("main has had enough"), "{}", end.stderr);
}

/// A hub with a destructor would find itself on the fiber's own stack here.
#[test]
fn a_fiber_can_exit_the_process() {
    for case in ["exit_in_fiber", "exit_in_fiber_of_thread"] {
        let end = ends(case);
        assert_eq!(
            (end.code, end.stdout.as_str(), end.stderr.as_str()),
            (Some(3), "", "")
        );
    }
}

#[test]
fn a_thread_that_ends_names_the_fibers_it_leaves() {
    let end = ends("thread_ends");
    end.check(Some(0), "joined\n");
    end.check_told("a thread ended with 1 fibers");
    assert!(
        end.stderr.contains("'forgotten'") && end.stderr.contains("ends.rs"),
        "{}",
        end.stderr
    );
}

#[test]
fn a_thread_that_ends_with_wakers_to_call_leaves_no_fiber_of_kapoks_own() {
    let end = ends("wakers_are_due");
    end.check(Some(0), "200\n");
    assert_eq!(end.stderr, "");
}

/// The use-after-free of a hub that drains from a destructor: the fiber's `&Data` would be dangling.
#[test]
fn a_fiber_inside_a_thread_local_is_never_resumed_after_it_is_destroyed() {
    let end = ends("thread_local_is_used");
    end.check(Some(0), "data destroyed\njoined\n");
}

/// The same, if it is the user's destructor that drains.
#[test]
fn a_thread_local_that_drains_finds_no_hub() {
    let end = ends("thread_local_drains");
    end.check(Some(0), "data destroyed\ndrained: true\njoined\n");
    end.check_told("a thread ended with 1 fibers");
}

#[test]
fn a_wait_in_a_panic_hook_aborts_and_one_in_a_destructor_does_not() {
    let end = ends("panic_hook");
    assert_eq!(
        (end.code, end.stdout.as_str()),
        (None, "hook\na destructor may wait\nit panicked: one\n"),
        "{}",
        end.stderr
    );
    assert!(
        end.stderr
            .contains("a panic hook called something that waits"),
        "{}",
        end.stderr
    );
}

#[test]
fn a_panic_hook_that_runs_a_hub_aborts() {
    let end = ends("panic_hook_runs");
    assert_eq!((end.code, end.stdout.as_str()), (None, "hook\n"));
    let told = "a panic hook called something that waits";
    assert!(end.stderr.contains(told), "{}", end.stderr);
}

#[test]
fn a_destructor_of_the_thread_gets_no_new_hub() {
    let end = ends("spawn_in_destructor");
    assert_eq!(end.code, Some(0), "{}", end.stderr);
    let told = "refused: the thread's locals are being destroyed\nparked as a thread\njoined\n";
    assert_eq!(end.stdout, told, "{}", end.stderr);
}

#[test]
fn a_server_without_descriptors_says_so_once_and_goes_on() {
    let _watchdog = Watchdog::new("few descriptors");
    let end = run(env!("CARGO_BIN_EXE_few_descriptors"), &[]);
    end.check(Some(0), "all served\n");
    assert_eq!(
        end.stderr.matches("cannot accept").count(),
        1,
        "{}",
        end.stderr
    );
}

#[test]
fn connections_that_found_no_descriptor_wake_other_acceptors() {
    let _watchdog = Watchdog::new("few descriptors, many acceptors");
    for case in ["fibers", "cancelled"] {
        let end = run(env!("CARGO_BIN_EXE_few_descriptors"), &[case]);
        end.check(Some(0), "all served\n");
    }
}

#[test]
fn what_cannot_be_registered_stays_blocking() {
    let _watchdog = Watchdog::new("registering without descriptors");
    let end = run(env!("CARGO_BIN_EXE_few_descriptors"), &["registered"]);
    end.check(Some(0), "Some(24), blocks: true\n");
}

#[test]
fn hubs_that_are_run_to_their_end_leave_nothing_behind() {
    let _watchdog = Watchdog::new("runs");
    let run_once = || {
        kapok::run(|| {
            let fibers: Vec<_> = (0..20).map(|number| kapok::spawn(move || number)).collect();
            drop(kapok::spawn(kapok::park));
            fibers
                .into_iter()
                .map(|fiber| fiber.join().unwrap())
                .sum::<i32>()
        })
    };
    // Its hub is made by the first spawn, and nobody ends it but the thread's end.
    let joined_once = || kapok::spawn(|| 190).join().unwrap();
    let in_parallel = || {
        let threads: Vec<_> = (0..5)
            .flat_map(|_| {
                [
                    std::thread::spawn(run_once),
                    std::thread::spawn(joined_once),
                ]
            })
            .collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), 190);
        }
    };
    // In a process of its own the count would be exact; here other tests map and open things meanwhile. A hundred hubs that
    // each left a stack slab or a descriptor would stand out all the same.
    in_parallel();
    let before = areas();
    for _ in 0..20 {
        in_parallel();
        assert_eq!(run_once(), 190);
    }
    let after = areas();
    assert!(
        after < before + 100,
        "{before} areas before 220 hubs, {after} after"
    );
}

#[test]
fn a_run_inside_a_run_leaves_the_outer_hub_alone() {
    let _watchdog = Watchdog::new("nested");
    let sum = std::thread::spawn(|| {
        kapok::run(|| {
            let inner = kapok::run(|| kapok::spawn(|| 1).join().unwrap());
            inner + kapok::spawn(|| 2).join().unwrap()
        })
    });
    assert_eq!(sum.join().unwrap(), 3);
    let running = kapok::Hubs::new(kapok::HubsConfig::new().count(1)).start(|_hub| {
        kapok::run(|| drop(kapok::spawn(kapok::park)));
        Ok(())
    });
    running.unwrap().join().unwrap();
}

/// Mappings of this process as large as a first slab of stacks.
fn areas() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let size = |line: &str| {
        let (start, end) = line.split_once(' ')?.0.split_once('-')?;
        Some(usize::from_str_radix(end, 16).ok()? - usize::from_str_radix(start, 16).ok()?)
    };
    maps.lines()
        .filter_map(size)
        .filter(|size| *size == 16 * 128 * 1024)
        .count()
}
