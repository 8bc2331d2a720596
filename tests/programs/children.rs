//! Has children in all ways, then looks for what they left: zombies, descriptors, threads. tests/runtime/process.rs reads what
//! it prints.

use std::fs;
use std::time::Duration;

use kapok::process::{Command, Stdio};
use kapok::signal::Signal;
use kapok::sync::wait_timeout;

const SHORT: Duration = Duration::from_millis(5);

fn main() {
    tell_why_a_program_does_not_start();
    // What is made once stays: the hub, the pool.
    kapok::unblock(|| ()).unwrap();
    have_children();
    wait_until_alone();
    let before = descriptors();
    for _ in 0..5 {
        have_children();
        wait_until_alone();
    }
    select_a_child_without_descriptors_to_spare();
    leave_a_child_without_descriptors_to_spare();
    wait_until_alone();
    lower_the_limit_below_what_is_watched();
    wait_until_alone();
    assert_eq!(descriptors(), before);
    kill_a_child_that_the_system_has_reaped();
    println!("nothing is left");
}

/// While the lowest numbers are free, so that std's own descriptors would get those that are to be the child's.
fn tell_why_a_program_does_not_start() {
    let threads: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(|| {
                let (reader, _writer) = std::io::pipe().unwrap();
                let mut command = Command::new("kapok-has-no-such-program");
                for number in 3..20 {
                    command.descriptor(&reader, number).unwrap();
                }
                for _ in 0..50 {
                    let error = command.spawn().unwrap_err();
                    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

fn have_children() {
    let waited: Vec<_> = (0..20)
        .map(|_| kapok::spawn(|| assert!(sleep("0.01").spawn().unwrap().wait().unwrap().success())))
        .collect();
    // Dropped before their ends, after, and while somebody waits; more than are given descriptors.
    for _ in 0..40 {
        drop(sleep("0.05").spawn().unwrap());
        drop(sleep("1000").kill_on_drop(true).spawn().unwrap());
    }
    let ended = Command::new("true").stdout(Stdio::piped()).spawn().unwrap();
    let abandoned = kapok::spawn(|| sleep("1000").kill_on_drop(true).status());
    let (reader, _writer) = std::io::pipe().unwrap();
    let with_descriptor = Command::new("true").descriptor(&reader, 3).unwrap().spawn();
    let _ = Command::new("kapok-has-no-such-program")
        .spawn()
        .unwrap_err();
    for fiber in waited {
        fiber.join().unwrap();
    }
    abandoned.cancel();
    assert!(abandoned.join().unwrap_err().is_cancelled());
    drop((ended, with_descriptor));
}

fn select_a_child_without_descriptors_to_spare() {
    let mut child = sleep("1000").kill_on_drop(true).spawn().unwrap();
    let limit = limit_descriptors(0);
    // So that `wait` tells why.
    assert_eq!(wait_timeout(&[&child], 1, SHORT), [0]);
    assert!(child.wait_timeout(SHORT).is_err());
    limit_descriptors(limit);
    assert_eq!(child.wait_timeout(SHORT).unwrap(), None);
    assert!(wait_timeout(&[&child], 1, SHORT).is_empty());
}

fn leave_a_child_without_descriptors_to_spare() {
    let child = sleep("0.05").spawn().unwrap();
    let limit = limit_descriptors(0);
    drop(child);
    limit_descriptors(limit);
}

/// The thread that waits for dropped children may not poll so many then, and is not to spin.
fn lower_the_limit_below_what_is_watched() {
    let [first, second] = [0; 2].map(|_| sleep("0.2").spawn().unwrap());
    drop(first);
    let limit = limit_descriptors(0);
    let before = processor_time();
    // Wakes it.
    drop(second);
    kapok::sleep(Duration::from_millis(150));
    assert!(processor_time() - before < Duration::from_millis(75));
    limit_descriptors(limit);
}

/// Its number may be another's by now.
fn kill_a_child_that_the_system_has_reaped() {
    // SAFETY: the call takes numbers, and no code is to be called.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    let start = |_| sleep("0.01").process_group(0).spawn().unwrap();
    let [mut first, mut second] = [0; 2].map(start);
    // The second one ends unseen.
    while has_children() {
        kapok::sleep(SHORT);
    }
    assert!(first.wait().is_err());
    for child in [&mut first, &mut second] {
        child.kill().unwrap();
        child.signal_group(Signal::SIGKILL).unwrap();
    }
    // SAFETY: as above.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
}

fn processor_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the record is valid for the call.
    let got = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    assert_eq!(got, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Sets how many descriptors there may be. Returns how many there might be before.
fn limit_descriptors(number: libc::rlim_t) -> libc::rlim_t {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the record is valid for the call.
    let got = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    assert_eq!(got, 0);
    let before = std::mem::replace(&mut limit.rlim_cur, number);
    // SAFETY: the record is valid for the call.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) };
    assert_eq!(set, 0);
    before
}

fn sleep(seconds: &str) -> Command {
    let mut command = Command::new("sleep");
    command.arg(seconds);
    command
}

/// Until we have no child, not even a zombie, and the threads that waited for them are gone too.
fn wait_until_alone() {
    while has_children() || is_watching() {
        kapok::sleep(Duration::from_millis(5));
    }
}

fn has_children() -> bool {
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: the record may be null: the call then only tells whether there is anybody to wait for.
    let waited = unsafe { libc::waitid(libc::P_ALL, 0, std::ptr::null_mut(), options) };
    let error = std::io::Error::last_os_error();
    waited == 0 || error.raw_os_error() != Some(libc::ECHILD)
}

fn is_watching() -> bool {
    let names = fs::read_dir("/proc/self/task").unwrap().map(|task| {
        // A thread may end meanwhile.
        fs::read_to_string(task.unwrap().path().join("comm")).unwrap_or_default()
    });
    names
        .into_iter()
        .any(|name| name.starts_with("kapok-reaper") || name.starts_with("kapok-child"))
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}
