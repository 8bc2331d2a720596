//! Queues of work: sizes, orders, and waiting until all is done.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kapok::sync::channel::{
    RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
};
use kapok::sync::{LifoQueue, PriorityQueue, Queue};
use kapok::{spawn, yield_now};

use super::{LONG, Life, Living, SHORT, crowd, join_all, scramble, settle, waiting};
use crate::support::{Watchdog, on_a_hub};

// Gruvi 14.
#[test]
fn the_sum_of_sizes_never_exceeds_the_limit_and_items_keep_their_order() {
    on_a_hub("weighted", || {
        const ITEMS: usize = 2000;
        let size_of = |item| 1 + scramble(item) % 5;
        let queue = Rc::new(Queue::<usize>::with_limit(10));
        let putter = spawn({
            let queue = Rc::clone(&queue);
            move || {
                for item in 0..ITEMS {
                    queue.put_sized(item, size_of(item)).unwrap();
                    assert!(queue.size() <= 10);
                }
            }
        });
        let most = Cell::new(0);
        for item in 0..ITEMS {
            if scramble(item).is_multiple_of(3) {
                yield_now();
            }
            most.set(most.get().max(queue.size()));
            assert!(queue.size() <= 10);
            assert_eq!(queue.get(), Ok(item));
        }
        putter.join().unwrap();
        assert!(most.get() > 5 && queue.size() == 0);
        assert_eq!(queue.unfinished_tasks(), ITEMS);
    });
}

// Gruvi 14.
#[test]
fn putting_and_getting_wait_as_long_as_was_said() {
    on_a_hub("timeouts", || {
        let queue = Queue::<u8>::with_limit(1);
        let start = Instant::now();
        assert_eq!(queue.get_timeout(SHORT), Err(RecvTimeoutError::Timeout));
        queue.put(1).unwrap();
        let late = queue.put_timeout(2, 1, SHORT);
        assert_eq!(late, Err(SendTimeoutError::Timeout(2)));
        assert!(start.elapsed() >= SHORT * 2);
        assert_eq!(queue.try_put(3, 1), Err(TrySendError::Full(3)));
        assert_eq!(
            (queue.try_get(), queue.try_get()),
            (Ok(1), Err(TryRecvError::Empty))
        );
    });
}

// Gruvi 14.
#[test]
fn a_join_waits_until_all_is_done_and_no_more_can_be_done_than_was_put() {
    on_a_hub("join", || {
        let queue = Rc::new(Queue::<usize>::new());
        queue.join();
        (0..3).for_each(|item| queue.put(item).unwrap());
        let joins = waiting(2, {
            let queue = Rc::clone(&queue);
            move |_| queue.join()
        });
        for left in (0..3).rev() {
            assert!(!joins[0].is_finished());
            queue.get().unwrap();
            queue.task_done();
            assert_eq!(queue.unfinished_tasks(), left);
            settle();
        }
        join_all(joins);
        let asking = Rc::clone(&queue);
        let refused = spawn(move || asking.task_done()).join();
        assert!(refused.unwrap_err().is_panic());
        queue.put(1).unwrap();
        let asking = Rc::clone(&queue);
        let join = spawn(move || asking.join());
        yield_now();
        join.cancel();
        assert!(join.join().unwrap_err().is_cancelled());
        queue.task_done();
        queue.join();
    });
}

#[test]
fn a_large_item_is_not_overtaken_and_one_that_never_fits_is_refused() {
    on_a_hub("large", || {
        let queue = Rc::new(Queue::<usize>::with_limit(10));
        queue.put_sized(0, 6).unwrap();
        let putters = waiting(3, {
            let queue = Rc::clone(&queue);
            move |number| queue.put_sized(number + 1, [8, 1, 1][number])
        });
        assert_eq!(queue.size(), 6);
        assert_eq!(queue.try_put(9, 1), Err(TrySendError::Full(9)));
        // The large one gives up: the small ones fit.
        putters[0].cancel();
        settle();
        assert_eq!(queue.size(), 8);
        let got: Vec<_> = (0..3).map(|_| queue.get().unwrap()).collect();
        assert_eq!(got, [0, 2, 3]);
        drop(putters);
        let asking = Rc::clone(&queue);
        let refused = spawn(move || asking.put_sized(0, 11)).join();
        assert!(refused.unwrap_err().is_panic());
        queue.put_sized(1, 10).unwrap();
        assert_eq!(queue.unfinished_tasks(), 4);
    });
}

#[test]
fn closing_gives_items_back_and_ends_those_who_wait() {
    on_a_hub("closed", || {
        let living = Rc::new(Living::default());
        let queue = Rc::new(Queue::<Life>::with_limit(2));
        queue.put(living.one(0)).unwrap();
        queue.put(living.one(1)).unwrap();
        let putters = waiting(2, {
            let (queue, living) = (Rc::clone(&queue), Rc::clone(&living));
            move |number| match queue.put(living.one(number + 2)) {
                Err(SendError(life)) => life.1,
                Ok(()) => 0,
            }
        });
        queue.close();
        assert_eq!(join_all(putters), [2, 3]);
        assert!(matches!(
            queue.try_put(living.one(4), 1),
            Err(TrySendError::Disconnected(_))
        ));
        assert_eq!(queue.get().unwrap().1, 0);
        assert_eq!(queue.try_get().unwrap().1, 1);
        assert!(queue.get().is_err());
        assert_eq!(queue.try_get().unwrap_err(), TryRecvError::Disconnected);
        assert_eq!(living.count(), 0);
        let queue = Rc::new(Queue::<u8>::new());
        let getters = waiting(2, {
            let queue = Rc::clone(&queue);
            move |_| queue.get_timeout(LONG)
        });
        queue.close();
        assert_eq!(join_all(getters), [Err(RecvTimeoutError::Disconnected); 2]);
    });
}

#[test]
fn the_last_or_the_smallest_comes_first_where_that_was_asked_for() {
    on_a_hub("orders", || {
        let last = LifoQueue::new();
        let smallest = PriorityQueue::new();
        for item in [(3, 'a'), (1, 'b'), (2, 'c'), (1, 'd')] {
            last.put(item.1).unwrap();
            smallest.put_sized(item, 2).unwrap();
        }
        assert_eq!(smallest.size(), 8);
        let got: String = (0..4).map(|_| last.get().unwrap()).collect();
        assert_eq!(got, "dcba");
        let got: String = (0..4).map(|_| smallest.get().unwrap().1).collect();
        assert_eq!(got, "bdca");
        assert_eq!(smallest.size(), 0);
    });
}

#[test]
fn a_comparison_that_panics_or_waits_leaves_the_queue_usable() {
    #[derive(PartialEq, Eq)]
    struct Odd(u32);
    impl PartialOrd for Odd {
        fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
            Some(self.cmp(other))
        }
    }
    impl Ord for Odd {
        fn cmp(&self, other: &Self) -> std::cmp::Ordering {
            if self.0 == 13 || other.0 == 13 {
                yield_now(); // panics
            }
            self.0.cmp(&other.0)
        }
    }
    on_a_hub("comparison", || {
        let queue = Rc::new(PriorityQueue::new());
        queue.put(Odd(1)).unwrap();
        let putting = Rc::clone(&queue);
        let refused = spawn(move || putting.put(Odd(13))).join();
        assert!(refused.unwrap_err().is_panic());
        queue.try_get().ok();
        while queue.try_get().is_ok() {}
        queue.put(Odd(2)).unwrap();
        assert_eq!(queue.get().unwrap().0, 2);
    });
}

// Gruvi 12.
#[test]
fn items_put_and_got_by_fibers_and_threads_sum_up() {
    let _watchdog = Watchdog::new("queue sums");
    const EACH: usize = 40;
    const PUTTERS: usize = 3 * 30 / 2 + 2;
    let queue = Arc::new(Queue::<usize>::with_limit(10));
    let (put, got, late) = (counter(), counter(), counter());
    let finished = counter();
    crowd(3, 30, 4, {
        let (put, got, late) = (Arc::clone(&put), Arc::clone(&got), Arc::clone(&late));
        let queue = Arc::clone(&queue);
        move |number| {
            if number % 2 == 0 {
                for round in 0..EACH {
                    let seed = scramble(number * EACH + round);
                    let time = Duration::from_micros(seed as u64 % 3000);
                    let done = match queue.put_timeout(seed % 1000, 1 + seed % 10, time) {
                        Ok(()) => put.fetch_add(seed % 1000, Ordering::SeqCst),
                        Err(_) => late.fetch_add(1, Ordering::SeqCst),
                    };
                    assert!(done < usize::MAX);
                }
                if finished.fetch_add(1, Ordering::SeqCst) + 1 == PUTTERS {
                    queue.close();
                }
            } else {
                while let Ok(item) = queue.get() {
                    got.fetch_add(item, Ordering::SeqCst);
                    queue.task_done();
                }
            }
        }
    });
    assert_eq!(put.load(Ordering::SeqCst), got.load(Ordering::SeqCst));
    assert_eq!((queue.size(), queue.unfinished_tasks()), (0, 0));
    queue.join();
}

fn counter() -> Arc<AtomicUsize> {
    Arc::new(AtomicUsize::new(0))
}
