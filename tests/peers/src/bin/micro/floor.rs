//! The floor: bare corosensei coroutines and std's mutex, with no scheduler around them.
//!
//! A fiber runtime on corosensei cannot be faster than this. There is no channel: its floor is two switches.

use std::hint::black_box;
use std::sync::Mutex;

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, Yielder};
use peers::bench::{MUTEX, Runner, SPAWN_AND_JOIN, YIELD};

/// Runs the benchmarks that have a floor.
pub(crate) fn run(runner: Runner) {
    yields(runner);
    spawn_and_join(runner);
    mutex(runner);
}

/// One operation is a resume and a suspend: what a yield through a scheduler needs at least.
fn yields(runner: Runner) {
    let mut coroutine = Coroutine::new(|yielder: &Yielder<(), ()>, ()| -> () {
        loop {
            yielder.suspend(());
        }
    });
    let mut batches = runner.start(YIELD);
    while batches.another() {
        for _ in 0..YIELD.operations {
            coroutine.resume(());
        }
    }
}

/// The stack is used again, as every runtime with a pool does.
fn spawn_and_join(runner: Runner) {
    let mut stack = DefaultStack::new(64 * 1024).expect("there is memory for one stack");
    let mut batches = runner.start(SPAWN_AND_JOIN);
    while batches.another() {
        for _ in 0..SPAWN_AND_JOIN.operations {
            let mut coroutine = Coroutine::with_stack(stack, |_: &Yielder<(), ()>, ()| ());
            coroutine.resume(());
            stack = coroutine.into_stack();
        }
    }
}

fn mutex(runner: Runner) {
    let mutex = Mutex::new(0_u64);
    let mut batches = runner.start(MUTEX);
    while batches.another() {
        for _ in 0..MUTEX.operations {
            // Out of the optimiser's sight, which could otherwise see that no other thread knows this mutex.
            *black_box(&mutex).lock().expect("no panic poisons it") += 1;
        }
    }
}
