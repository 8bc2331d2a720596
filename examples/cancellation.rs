//! Cancelling: who is unwound, what is never lost, and what a cancel cannot stop.
//!
//! Run it with `cargo run --release --example cancellation`. It ends by itself.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kapok::sync::channel::{self, Receiver};

fn main() -> io::Result<()> {
    a_worker_finishes_its_job();
    children_end_before_their_parent();
    a_thread_must_be_asked()
}

/// Says when it is dropped, as a connection or a temporary file would clean up after itself.
struct Cleanup(&'static str);

impl Drop for Cleanup {
    fn drop(&mut self) {
        println!("  {}: cleaned up", self.0);
    }
}

fn a_worker_finishes_its_job() {
    println!("a worker is cancelled in the middle of its second job:");
    let (jobs, received) = channel::unbounded();
    (1..=4).for_each(|job| jobs.send(job).expect("the receiver is there"));
    let (begun, has_begun) = channel::unbounded();
    let worker = kapok::spawn({
        let received = received.clone();
        move || work(&received, &begun)
    });
    while has_begun.recv() != Ok(2) {}
    worker.cancel();
    let error = worker
        .join()
        .expect_err("it works as long as jobs may come");
    println!("  join says: {error}");
    println!(
        "  left for the next: {:?}",
        received.try_iter().collect::<Vec<i32>>()
    );
}

fn work(jobs: &Receiver<i32>, begun: &channel::Sender<i32>) {
    let _cleanup = Cleanup("the worker");
    for job in jobs.iter() {
        // A job that was taken is done, whatever comes meanwhile.
        kapok::shielded(|| {
            begun.send(job).expect("main listens");
            kapok::sleep(Duration::from_millis(5));
            println!("  job {job} is done");
        });
    }
}

fn children_end_before_their_parent() {
    println!("a timeout is passed on to the fibers of a scope:");
    let result = kapok::timeout(Duration::from_millis(5), || {
        let _cleanup = Cleanup("the parent");
        kapok::scope(|scope| {
            for name in ["the first child", "the second child"] {
                drop(scope.spawn(move || {
                    let _cleanup = Cleanup(name);
                    kapok::sleep(Duration::from_secs(3600));
                }));
            }
        });
    });
    println!("  the section: {result:?}");
}

fn a_thread_must_be_asked() -> io::Result<()> {
    println!("a closure on a thread computes on:");
    let stop = Arc::new(AtomicBool::new(false));
    let (ended, has_ended) = channel::unbounded();
    let asked = Arc::clone(&stop);
    let result = kapok::timeout(Duration::from_millis(5), || {
        kapok::unblock(move || {
            while !asked.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
            ended.send("the thread has seen the flag")
        })
    });
    println!("  the fiber that waited for it: {:?}", result.map(drop));
    stop.store(true, Ordering::Relaxed);
    println!("  {}", has_ended.recv().map_err(io::Error::other)?);
    Ok(())
}
