//! Signals as events. Each test has signals of its own, as all run in one process.

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::rc::Rc;
use std::time::Duration;

use kapok::process::{Child, ChildStdout, Command, Stdio};
use kapok::signal::{Signal, Signals};
use kapok::{select, spawn, yield_now};

use crate::support::{on_a_hub, stop_ignoring_interrupts};

const SHORT: Duration = Duration::from_millis(20);

fn send(signal: Signal) {
    // SAFETY: the call takes two numbers.
    let sent = unsafe { libc::kill(libc::getpid(), signal.as_raw()) };
    assert_eq!(sent, 0);
}

/// A real-time signal, of which the system has more than enough.
fn real_time(number: i32) -> Signal {
    Signal::from_raw(libc::SIGRTMIN() + number).unwrap()
}

#[test]
fn a_signal_wakes_who_waits_for_it() {
    on_a_hub("wake", || {
        let signals = Signals::new([real_time(0)]).unwrap();
        let waiting = spawn(move || signals.recv());
        yield_now();
        assert!(!waiting.is_finished());
        send(real_time(0));
        assert_eq!(waiting.join().unwrap(), real_time(0));
    });
}

#[test]
fn selects_share_the_signals_that_come() {
    on_a_hub("select", || {
        let signals = Rc::new(Signals::new([real_time(9), real_time(10)]).unwrap());
        let select_one = |signals: &Signals| {
            select! {
                signal = recv(signals) => Some(signal),
                () = after(SHORT) => None,
            }
        };
        assert_eq!(select_one(&signals), None);
        let fibers: Vec<_> = (0..3)
            .map(|_| {
                let signals = Rc::clone(&signals);
                spawn(move || {
                    select! {
                        signal = recv(&*signals) => signal,
                    }
                })
            })
            .collect();
        yield_now();
        for number in [9, 10, 9] {
            let left = fibers.iter().filter(|fiber| !fiber.is_finished()).count();
            send(real_time(number));
            while fibers.iter().filter(|fiber| !fiber.is_finished()).count() == left {
                yield_now();
            }
            assert_eq!(signals.try_recv(), None, "it was taken once");
        }
        let mut taken: Vec<_> = fibers
            .into_iter()
            .map(|fiber| fiber.join().unwrap())
            .collect();
        taken.sort_unstable_by_key(|signal| signal.as_raw());
        assert_eq!(taken, [real_time(9), real_time(9), real_time(10)]);
    });
}

#[test]
fn a_signal_that_came_before_is_there() {
    on_a_hub("before", || {
        let signals = Signals::new([Signal::SIGUSR1, Signal::SIGUSR2]).unwrap();
        assert_eq!(signals.try_recv(), None);
        assert_eq!(signals.recv_timeout(SHORT), None);
        send(Signal::SIGUSR2);
        assert_eq!(signals.recv(), Signal::SIGUSR2);
        assert_eq!(signals.try_recv(), None);
        // Both come, whatever the order in which they are passed on.
        send(Signal::SIGUSR1);
        send(Signal::SIGUSR2);
        let mut both: Vec<Signal> = signals.iter().take(2).collect();
        both.sort();
        assert_eq!(both, [Signal::SIGUSR1, Signal::SIGUSR2]);
    });
}

#[test]
fn a_signal_is_for_those_who_listened_when_it_came() {
    on_a_hub("listened", || {
        let signals = Signals::new([real_time(9)]).unwrap();
        for _ in 0..20 {
            // SAFETY: the call takes a number and runs our handler on this thread.
            let sent = unsafe { libc::raise(real_time(9).as_raw()) };
            assert_eq!(sent, 0);
            let later = Signals::new([real_time(9)]).unwrap();
            assert_eq!(signals.recv(), real_time(9));
            assert_eq!(later.recv_timeout(Duration::from_millis(2)), None);
        }
    });
}

#[test]
fn a_cancelled_wait_loses_no_signal() {
    on_a_hub("cancelled", || {
        let signals = Signals::new([real_time(1)]).unwrap();
        assert!(kapok::timeout(SHORT, || signals.recv()).is_err());
        send(real_time(1));
        assert_eq!(signals.recv(), real_time(1));
    });
}

#[test]
fn every_listener_on_every_hub_gets_every_signal() {
    on_a_hub("two hubs", || {
        let (ready, is_ready) = std::sync::mpsc::channel();
        let threads: Vec<_> = (0..3)
            .map(|number| {
                let ready = ready.clone();
                std::thread::spawn(move || {
                    let listen = move || {
                        let signals = Signals::new([real_time(2)]).unwrap();
                        ready.send(()).unwrap();
                        signals.recv()
                    };
                    // The last has no hub.
                    if number < 2 {
                        kapok::run(listen)
                    } else {
                        listen()
                    }
                })
            })
            .collect();
        let is_ready = kapok::unblock(move || {
            (0..3).all(|_| is_ready.recv_timeout(Duration::from_secs(30)).is_ok())
        });
        assert!(is_ready.unwrap());
        let here = Signals::new([real_time(2)]).unwrap();
        send(real_time(2));
        assert_eq!(here.recv(), real_time(2));
        let joined = kapok::unblock(move || {
            (threads.into_iter())
                .map(|thread| thread.join().unwrap())
                .collect::<Vec<_>>()
        });
        assert_eq!(joined.unwrap(), [real_time(2); 3]);
    });
}

#[test]
fn two_fibers_share_the_signals_of_one_listener() {
    on_a_hub("shared", || {
        let signals = Rc::new(Signals::new([real_time(3), real_time(4)]).unwrap());
        let fibers: Vec<_> = (0..2)
            .map(|_| {
                let signals = Rc::clone(&signals);
                spawn(move || signals.recv())
            })
            .collect();
        yield_now();
        send(real_time(3));
        send(real_time(4));
        let mut received: Vec<Signal> = (fibers.into_iter())
            .map(|fiber| fiber.join().unwrap())
            .collect();
        received.sort();
        assert_eq!(received, [real_time(3), real_time(4)]);
    });
}

// Gruvi 2.
#[test]
fn a_thousand_signals_disturb_nobody_and_coalesce() {
    on_a_hub("a thousand", || {
        let signals = Rc::new(Signals::new([real_time(5), real_time(6)]).unwrap());
        let received = Rc::new(Cell::new(0));
        let receiver = spawn({
            let (signals, received) = (Rc::clone(&signals), Rc::clone(&received));
            move || {
                while signals.recv() == real_time(5) {
                    received.set(received.get() + 1);
                }
            }
        });
        // To this thread, in the middle of its work and of its waits.
        // SAFETY: the call takes nothing.
        let hub = unsafe { libc::pthread_self() };
        let sender = std::thread::spawn(move || {
            for _ in 0..1000 {
                // SAFETY: the thread waits for this one before it ends.
                let sent = unsafe { libc::pthread_kill(hub, real_time(5).as_raw()) };
                assert_eq!(sent, 0);
            }
        });
        let workers: Vec<_> = (0..10)
            .map(|_| {
                spawn(|| {
                    for _ in 0..100 {
                        kapok::sleep(Duration::from_micros(100));
                    }
                })
            })
            .collect();
        for worker in workers {
            worker.join().unwrap();
        }
        kapok::unblock(move || sender.join().unwrap()).unwrap();
        while received.get() == 0 {
            yield_now();
        }
        assert!((1..=1000).contains(&received.get()), "{}", received.get());
        send(real_time(6));
        receiver.join().unwrap();
    });
}

#[test]
fn signals_that_tell_of_faults_are_refused() {
    on_a_hub("forbidden", || {
        for signal in [
            Signal::SIGKILL,
            Signal::SIGSTOP,
            Signal::SIGSEGV,
            Signal::SIGBUS,
            Signal::SIGFPE,
            Signal::SIGILL,
        ] {
            let error = Signals::new([Signal::SIGHUP, signal]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert!(
                error.to_string().contains(signal.name().unwrap()),
                "{error}"
            );
        }
        for number in 32..libc::SIGRTMIN() {
            let error = Signals::new([Signal::from_raw(number).unwrap()]).unwrap_err();
            assert!(error.to_string().ends_with("as an event"), "{error}");
        }
        assert_eq!(Signal::from_raw(0), None);
        assert_eq!(Signal::from_raw(65), None);
    });
}

#[test]
fn the_handler_before_is_called_too() {
    use std::sync::atomic::{AtomicU32, Ordering};
    static CALLED: AtomicU32 = AtomicU32::new(0);
    extern "C" fn note(_: libc::c_int) {
        CALLED.fetch_add(1, Ordering::Relaxed);
    }
    on_a_hub("before", || {
        let signal = real_time(7);
        let handler = note as *const () as usize;
        // SAFETY: the handler only counts.
        let before = unsafe { libc::signal(signal.as_raw(), handler) };
        assert_eq!(before, libc::SIG_DFL);
        let signals = Signals::new([signal]).unwrap();
        send(signal);
        assert_eq!(signals.recv(), signal);
        assert_eq!(CALLED.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn the_handler_leaves_a_fibers_stack_alone() {
    use std::sync::atomic::{AtomicI32, Ordering};
    static FLAGS: AtomicI32 = AtomicI32::new(-1);
    extern "C" fn note(_: libc::c_int) {
        let mut stack = std::mem::MaybeUninit::<libc::stack_t>::zeroed();
        // SAFETY: with a null stack the call only reports the present one, into memory of the right type; a handler may make it.
        unsafe { libc::sigaltstack(std::ptr::null(), stack.as_mut_ptr()) };
        // SAFETY: all-zero bytes are a valid record, and the call may have filled it in.
        FLAGS.store(unsafe { stack.assume_init() }.ss_flags, Ordering::Relaxed);
    }
    on_a_hub("alternate stack", || {
        let signal = real_time(8);
        let handler = note as *const () as usize;
        // SAFETY: the handler only stores a number. It is called by kapok's, on the stack that has.
        unsafe { libc::signal(signal.as_raw(), handler) };
        let signals = Signals::new([signal]).unwrap();
        let fiber = spawn(move || {
            // SAFETY: the call takes a number. The signal comes before it returns.
            let raised = unsafe { libc::raise(signal.as_raw()) };
            assert_eq!(raised, 0);
            assert_eq!(FLAGS.load(Ordering::Relaxed), libc::SS_ONSTACK);
        });
        fiber.join().unwrap();
        assert_eq!(signals.recv(), signal);
    });
}

/// Starts a case of tests/programs/signals.rs, and waits until it says that it is ready.
fn program(case: &str) -> (Child, BufReader<ChildStdout>) {
    stop_ignoring_interrupts();
    let mut child = Command::new(env!("CARGO_BIN_EXE_signals"))
        .arg(case)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    (child, output)
}

// Gruvi 2.
#[test]
fn ctrl_c_is_told_to_the_root_and_the_others_live_on() {
    on_a_hub("ctrl-c", || {
        let (mut child, mut output) = program("ctrl_c");
        child.signal(Signal::SIGINT).unwrap();
        let mut text = String::new();
        output.read_to_string(&mut text).unwrap();
        assert_eq!(text, "told once\ntold twice\nthe other lives on\n");
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn without_a_listener_sigint_ends_the_process() {
    on_a_hub("no listener", || {
        let (mut child, _output) = program("nobody");
        child.signal(Signal::SIGINT).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGINT));
    });
}

#[test]
fn a_signal_nobody_listens_to_any_more_has_no_effect() {
    on_a_hub("dropped", || {
        let (mut child, mut output) = program("dropped");
        child.signal(Signal::SIGTERM).unwrap();
        child.signal(Signal::SIGHUP).unwrap();
        let mut text = String::new();
        output.read_to_string(&mut text).unwrap();
        assert_eq!(text, "SIGHUP\n");
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn a_child_has_its_signals_as_usual() {
    on_a_hub("children", || {
        // This process has a handler for it.
        let _signals = Signals::new([Signal::SIGUSR1]).unwrap();
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        child.signal(Signal::SIGUSR1).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGUSR1));
    });
}
