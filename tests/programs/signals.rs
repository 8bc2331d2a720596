//! Waits for signals that tests/runtime/signals.rs sends.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use kapok::signal::{Signal, Signals, ctrl_c};

fn main() -> io::Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("ctrl_c") => two_ctrl_c(),
        Some("nobody") => {
            println!("ready");
            kapok::sleep(Duration::from_secs(1000));
            Ok(())
        }
        Some("dropped") => {
            drop(Signals::new([Signal::SIGTERM])?);
            let signals = Signals::new([Signal::SIGHUP])?;
            println!("ready");
            println!("{}", signals.recv());
            Ok(())
        }
        other => panic!("no such case: {other:?}"),
    }
}

fn two_ctrl_c() -> io::Result<()> {
    let turns = Rc::new(Cell::new(0_u64));
    let other = kapok::spawn({
        let turns = Rc::clone(&turns);
        move || {
            loop {
                turns.set(turns.get() + 1);
                kapok::sleep(Duration::from_millis(1));
            }
        }
    });
    // A listener beside it, so that the process is not told to be ready too early.
    let early = Signals::new([Signal::SIGINT])?;
    println!("ready");
    early.recv();
    println!("told once");
    // The second comes when the root waits for certain.
    let sender = kapok::spawn(|| {
        kapok::yield_now();
        // SAFETY: the call takes two numbers.
        unsafe { libc::kill(libc::getpid(), libc::SIGINT) };
    });
    ctrl_c()?;
    println!("told twice");
    sender.join().unwrap();
    let before = turns.get();
    while turns.get() < before + 10 {
        kapok::sleep(Duration::from_millis(1));
    }
    assert!(!other.is_finished());
    println!("the other lives on");
    Ok(())
}
