//! Pools of fibers and of threads.

use std::cell::Cell;
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kapok::pool::{FiberPool, PoolClosed, ThreadPool};
use kapok::sync::{Event, Waitable, as_completed, wait};
use kapok::{JoinError, sleep, spawn, timeout, yield_now};

use crate::support::on_a_hub;

/// Milliseconds from 0 to 9 in an order that looks random.
fn delay(number: u64) -> Duration {
    Duration::from_millis(number * 7 % 10)
}

#[expect(clippy::disallowed_methods, reason = "on a pool thread")]
fn block(duration: Duration) {
    std::thread::sleep(duration);
}

// Gruvi 16.
#[test]
fn map_gives_results_in_the_order_of_the_items_whatever_each_takes() {
    on_a_hub("map in order", || {
        let pool = FiberPool::new(5);
        let results = pool.map(0..100, |number| {
            sleep(delay(number));
            number * 2
        });
        let expected: Vec<u64> = (0..100).map(|number| number * 2).collect();
        assert_eq!(results.map(Result::unwrap).collect::<Vec<_>>(), expected);

        let pool = ThreadPool::new("test-map", 4);
        let results = pool.map(0..100, |number| {
            block(delay(number));
            number * 2
        });
        assert_eq!(results.map(Result::unwrap).collect::<Vec<_>>(), expected);
    });
}

// Gruvi 16.
#[test]
fn map_under_a_timeout_times_out_and_cancels_what_it_has_begun() {
    on_a_hub("map times out", || {
        let pool = FiberPool::new(3);
        let unwound = Rc::new(Cell::new(0));
        let counter = Rc::clone(&unwound);
        struct Count(Rc<Cell<u32>>);
        impl Drop for Count {
            fn drop(&mut self) {
                self.0.set(self.0.get() + 1);
            }
        }
        let mapped = timeout(Duration::from_millis(5), || {
            let results = pool.map(0..100, move |_| {
                let _count = Count(Rc::clone(&counter));
                sleep(Duration::from_secs(3600));
            });
            results.count()
        });
        assert!(mapped.is_err());
        pool.join();
        assert_eq!(unwound.get(), 3, "three ran, the rest never did");
    });
}

// Gruvi 16.
#[test]
fn a_closed_pool_refuses_jobs_and_runs_those_it_has() {
    on_a_hub("closed pools", || {
        let pool = FiberPool::new(1);
        let first = pool.submit(yield_now).unwrap();
        let second = pool.submit(|| 2).unwrap();
        pool.close();
        assert_eq!(pool.submit(|| 3).unwrap_err(), PoolClosed);
        assert!(first.join().is_ok());
        assert_eq!(second.join().unwrap(), 2);
        let mut mapped = pool.map([1], |number| number);
        assert!(mapped.next().unwrap().unwrap_err().is_cancelled());
        assert!(mapped.next().is_none());

        let pool = ThreadPool::new("test-closed", 1);
        let job = pool.submit(|| 4).unwrap();
        pool.close();
        let refused = pool.submit(|| 5).unwrap_err();
        assert!(refused.get_ref().unwrap().is::<PoolClosed>());
        assert_eq!(job.join().unwrap(), 4);
    });
}

// Gruvi 16.
#[test]
fn a_panic_in_a_job_surfaces_at_join_and_leaves_the_pool_usable() {
    on_a_hub("panics in jobs", || {
        let pool = FiberPool::new(1);
        let threads = ThreadPool::new("test-panic", 1);
        for _ in 0..20 {
            let job = pool.submit(|| -> u32 { panic!("in a job") }).unwrap();
            let told = job.join().unwrap_err().into_panic();
            assert_eq!(*told.downcast::<&str>().unwrap(), "in a job");
            let job = threads.submit(|| -> u32 { panic!("on a thread") }).unwrap();
            assert!(job.join().unwrap_err().is_panic());
        }
        assert_eq!(pool.submit(|| 1).unwrap().join().unwrap(), 1);
        assert_eq!(threads.submit(|| 1).unwrap().join().unwrap(), 1);

        let mut mapped = pool.map(0..1000, |number| assert!(number != 3, "three"));
        assert_eq!(mapped.by_ref().take(3).filter(Result::is_ok).count(), 3);
        assert!(mapped.next().unwrap().unwrap_err().is_panic());
        assert!(mapped.next().is_none(), "the rest is cancelled");
    });
}

#[test]
fn no_more_jobs_run_at_a_time_than_the_pool_is_large() {
    on_a_hub("limits", || {
        let (running, most) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let pool = FiberPool::new(7);
        for number in 0..200 {
            let (running, most) = (Rc::clone(&running), Rc::clone(&most));
            drop(pool.submit(move || {
                running.set(running.get() + 1);
                most.set(most.get().max(running.get()));
                sleep(Duration::from_micros(number % 5 * 100));
                running.set(running.get() - 1);
            }));
        }
        pool.join();
        assert_eq!((running.get(), most.get()), (0, 7));

        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let names = Arc::new(Mutex::new(HashSet::new()));
        let pool = ThreadPool::new("test-limit", 3);
        for _ in 0..50 {
            let (running, most, names) =
                (Arc::clone(&running), Arc::clone(&most), Arc::clone(&names));
            let job = pool.submit(move || {
                let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(now, Ordering::SeqCst);
                let name = std::thread::current().name().map(str::to_owned);
                names.lock().unwrap().insert(name.unwrap());
                block(Duration::from_millis(1));
                running.fetch_sub(1, Ordering::SeqCst);
            });
            drop(job.unwrap());
        }
        pool.join();
        assert_eq!(running.load(Ordering::SeqCst), 0);
        assert_eq!(most.load(Ordering::SeqCst), 3);
        assert_eq!(
            names.lock().unwrap().iter().collect::<Vec<_>>(),
            ["test-limit"]
        );
    });
}

#[test]
fn a_full_queue_makes_who_submits_wait() {
    on_a_hub("full queue", || {
        let pool = Rc::new(FiberPool::with_queue(1, 2));
        let (gate, submitted) = (Rc::new(Event::new()), Rc::new(Cell::new(0)));
        let submitter = spawn({
            let (pool, gate, submitted) =
                (Rc::clone(&pool), Rc::clone(&gate), Rc::clone(&submitted));
            move || {
                for _ in 0..5 {
                    let gate = Rc::clone(&gate);
                    drop(pool.submit(move || gate.wait()));
                    submitted.set(submitted.get() + 1);
                }
            }
        });
        for _ in 0..10 {
            yield_now();
        }
        assert_eq!(submitted.get(), 3, "one runs and two wait");
        gate.set();
        submitter.join().unwrap();
        pool.join();
        assert_eq!(submitted.get(), 5);
    });
}

// Gruvi 15.
#[test]
fn a_pending_job_can_be_cancelled_and_one_that_runs_on_a_thread_cannot() {
    on_a_hub("cancel jobs", || {
        let pool = FiberPool::new(1);
        let running = pool.submit(|| sleep(Duration::from_secs(3600))).unwrap();
        let pending = pool
            .submit(|| -> u32 { panic!("it was cancelled") })
            .unwrap();
        yield_now();
        assert!(running.is_running() && !pending.is_running());
        assert!(pending.cancel() && pending.is_finished());
        assert!(!pending.cancel(), "it has ended");
        assert!(matches!(pending.join(), Err(JoinError::Cancelled)));
        assert!(running.cancel());
        assert!(running.join().unwrap_err().is_cancelled());
        pool.join();

        let threads = ThreadPool::new("test-cancel", 1);
        let gate = Arc::new(Event::new());
        let (started, begun) = (Arc::clone(&gate), Arc::new(Event::new()));
        let begins = Arc::clone(&begun);
        let mut running = threads
            .submit(move || {
                begins.set();
                started.wait();
                9
            })
            .unwrap();
        let pending = threads
            .submit(|| -> u32 { panic!("it was cancelled") })
            .unwrap();
        begun.wait();
        assert!(!running.cancel(), "a thread cannot be unwound");
        assert!(pending.cancel());
        assert!(running.join_timeout(Duration::from_millis(1)).is_none());
        gate.set();
        assert_eq!(
            running
                .join_timeout(Duration::from_secs(60))
                .unwrap()
                .unwrap(),
            9
        );
        assert!(running.join_timeout(Duration::ZERO).is_none(), "it was had");
        threads.join();
    });
}

#[test]
fn jobs_can_be_waited_for_with_other_things() {
    on_a_hub("wait for jobs", || {
        let (pool, threads) = (FiberPool::new(4), ThreadPool::new("test-wait", 2));
        let slow = pool.submit(|| sleep(Duration::from_millis(20))).unwrap();
        let quick = threads.submit(|| ()).unwrap();
        let event = Event::new();
        let objects: [&dyn Waitable; 3] = [&slow, &event, &quick];
        assert_eq!(wait(&objects, 1), [2]);
        assert_eq!(wait(&objects, 2), [0, 2]);
        event.set();
        assert_eq!(as_completed(&objects).count(), 3);
    });
}

#[test]
fn a_dropped_pool_runs_what_it_has() {
    on_a_hub("dropped pool", || {
        let done = Rc::new(Cell::new(0));
        let pool = FiberPool::new(2);
        for _ in 0..10 {
            let done = Rc::clone(&done);
            drop(pool.submit(move || {
                yield_now();
                done.set(done.get() + 1);
            }));
        }
        drop(pool);
        while done.get() < 10 {
            yield_now();
        }
    });
}

#[test]
fn jobs_that_are_cancelled_with_their_hub_end_all_who_wait() {
    let job = on_a_hub("drained pool", || {
        let pool = FiberPool::new(1);
        let first = pool.submit(|| sleep(Duration::from_secs(3600))).unwrap();
        let second = pool.submit(|| 5_u32).unwrap();
        drop(pool);
        yield_now();
        drop(first);
        second
    });
    assert!(job.join().unwrap_err().is_cancelled());
}
