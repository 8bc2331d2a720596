//! Futures in fibers: who wakes them, from where, and what becomes of them.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use kapok::block_on;

use crate::support::on_a_hub;

const LONG: Duration = Duration::from_secs(3600);

/// A future that is ready after so many wakes, and what wakes it.
#[derive(Clone)]
struct Countdown(Arc<Mutex<(usize, Option<Waker>)>>);

impl Countdown {
    fn new(wakes: usize) -> Self {
        Self(Arc::new(Mutex::new((wakes, None))))
    }

    fn count(&self) {
        let mut state = self.0.lock().unwrap();
        state.0 -= 1;
        let waker = state.1.clone();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Future for Countdown {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock().unwrap();
        if state.0 == 0 {
            return Poll::Ready(());
        }
        state.1 = Some(context.waker().clone());
        Poll::Pending
    }
}

/// The waker of a part of a future: notes that its part was woken, then wakes the whole.
struct PartWaker {
    is_woken: AtomicBool,
    whole: Mutex<Option<Waker>>,
}

impl Wake for PartWaker {
    fn wake(self: Arc<Self>) {
        self.is_woken.store(true, Ordering::SeqCst);
        let whole = self.whole.lock().unwrap().take();
        if let Some(whole) = whole {
            whole.wake();
        }
    }
}

/// All of the futures, each polled only when its own waker was called. Returns how often each was polled.
async fn join_all(futures: Vec<Pin<Box<dyn Future<Output = ()>>>>) -> Vec<usize> {
    let mut parts: Vec<_> = futures
        .into_iter()
        .map(|future| {
            let waker = PartWaker {
                is_woken: AtomicBool::new(true),
                whole: Mutex::new(None),
            };
            (Some(future), Arc::new(waker), 0)
        })
        .collect();
    poll_fn(move |context| {
        for (future, waker, polls) in &mut parts {
            *waker.whole.lock().unwrap() = Some(context.waker().clone());
            if future.is_none() || !waker.is_woken.swap(false, Ordering::SeqCst) {
                continue;
            }
            *polls += 1;
            let part = Waker::from(Arc::clone(waker));
            let polled = future
                .as_mut()
                .map(|future| future.as_mut().poll(&mut Context::from_waker(&part)));
            if polled == Some(Poll::Ready(())) {
                *future = None;
            }
        }
        match parts.iter().all(|(future, ..)| future.is_none()) {
            true => Poll::Ready(parts.iter().map(|(.., polls)| *polls).collect()),
            false => Poll::Pending,
        }
    })
    .await
}

#[test]
fn ten_threads_wake_a_hundred_fibers_and_no_wake_is_lost() {
    on_a_hub("ten_threads_wake_a_hundred_fibers", || {
        for _ in 0..20 {
            let futures: Vec<_> = (0..100).map(|_| Countdown::new(10)).collect();
            let threads: Vec<_> = (0..10)
                .map(|_| {
                    let futures = futures.clone();
                    std::thread::spawn(move || futures.iter().for_each(Countdown::count))
                })
                .collect();
            let fibers: Vec<_> = futures.into_iter().map(kapok::future::spawn).collect();
            for fiber in fibers {
                fiber.join().unwrap();
            }
            for thread in threads {
                thread.join().unwrap();
            }
        }
    });
}

#[test]
fn a_wake_before_the_poll_returns_is_not_lost() {
    on_a_hub("a_wake_before_the_poll_returns", || {
        let mut polls = 0;
        block_on(poll_fn(|context| {
            polls += 1;
            context.waker().wake_by_ref();
            if polls < 3 {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        }));
        assert_eq!(polls, 3);

        // From another thread, which has surely ended before the poll returns.
        let mut polls = 0;
        block_on(poll_fn(|context| {
            polls += 1;
            let waker = context.waker().clone();
            std::thread::spawn(move || waker.wake()).join().unwrap();
            if polls < 3 {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        }));
    });
}

#[test]
fn wakers_outlive_the_future_the_fiber_and_the_hub() {
    fn keep(kept: &Mutex<Vec<Waker>>) -> impl Future<Output = ()> + '_ {
        poll_fn(|context| {
            kept.lock().unwrap().push(context.waker().clone());
            Poll::Ready(())
        })
    }
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keeping = Arc::clone(&kept);
    on_a_hub("wakers_outlive_the_future", move || {
        // Woken late, it disturbs neither the same fiber nor the next one that uses its memory.
        block_on(keep(&keeping));
        keeping.lock().unwrap()[0].wake_by_ref();
        let fiber = kapok::spawn({
            let keeping = Arc::clone(&keeping);
            move || block_on(keep(&keeping))
        });
        fiber.join().unwrap();
        let next = kapok::spawn(|| block_on(Countdown::new(0)));
        keeping.lock().unwrap()[1].wake_by_ref();
        next.join().unwrap();
    });
    let wakers = std::mem::take(&mut *kept.lock().unwrap());
    let clones: Vec<_> = (0..1000).map(|_| wakers[1].clone()).collect();
    clones.into_iter().for_each(Waker::wake);
    std::thread::spawn(move || {
        wakers[0].wake_by_ref();
        drop(wakers);
    })
    .join()
    .unwrap();
}

/// Notes on which fiber it is dropped.
struct Dropped(Rc<Cell<Option<std::num::NonZeroU64>>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.set(kapok::current().id());
        // A destructor may wait.
        kapok::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_cancel_drops_the_future_on_its_fiber() {
    on_a_hub("a_cancel_drops_the_future", || {
        let dropped = Rc::new(Cell::new(None));
        let guard = Dropped(Rc::clone(&dropped));
        let fiber = kapok::future::spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        });
        kapok::yield_now();
        let id = fiber.fiber().id();
        fiber.cancel();
        assert!(fiber.join().unwrap_err().is_cancelled());
        assert_eq!(dropped.get(), id);
    });
}

#[test]
fn a_timeout_drops_the_future_and_leaves_the_fiber_well() {
    on_a_hub("a_timeout_drops_the_future", || {
        let dropped = Rc::new(Cell::new(None));
        let guard = Dropped(Rc::clone(&dropped));
        let result = kapok::timeout(Duration::from_millis(2), || {
            block_on(async move {
                let _guard = guard;
                pending::<()>().await;
            });
        });
        assert_eq!(result, Err(kapok::TimedOut));
        assert_eq!(dropped.get(), kapok::current().id());
        block_on(kapok::future::sleep(Duration::from_millis(1)));
    });
}

#[test]
fn a_cancel_that_came_in_a_shielded_section_of_a_poll_drops_the_future() {
    on_a_hub("a_cancel_in_a_shielded_section_of_a_poll", || {
        let event = Rc::new(kapok::sync::Event::new());
        let fiber = kapok::spawn({
            let event = Rc::clone(&event);
            move || {
                block_on(async {
                    kapok::shielded(|| event.wait());
                    pending::<()>().await;
                });
            }
        });
        kapok::yield_now();
        fiber.cancel();
        kapok::yield_now();
        event.set();
        assert!(fiber.join().unwrap_err().is_cancelled());
    });
}

#[test]
fn calls_nest_and_the_outer_future_keeps_its_wakes() {
    on_a_hub("calls_nest", || {
        let outer = Countdown::new(1);
        let mut polls = 0;
        let mut counting = outer.clone();
        block_on(poll_fn(|context| {
            polls += 1;
            let polled = Pin::new(&mut counting).poll(context);
            if polls == 1 {
                // The outer one is woken while the inner one waits, by another fiber.
                let inner = Countdown::new(1);
                let other = kapok::spawn({
                    let (outer, inner) = (outer.clone(), inner.clone());
                    move || {
                        outer.count();
                        inner.count();
                    }
                });
                block_on(inner);
                other.join().unwrap();
            }
            polled
        }));
        assert_eq!(polls, 2);
    });
}

#[test]
fn calls_nest_a_hundred_deep() {
    fn nested(depth: usize) -> usize {
        match depth {
            0 => 0,
            depth => block_on(async move {
                kapok::yield_now();
                1 + nested(depth - 1)
            }),
        }
    }
    on_a_hub("calls_nest_a_hundred_deep", || {
        let builder = kapok::Builder::new().stack_size(1024 * 1024);
        assert_eq!(builder.spawn(|| nested(100)).unwrap().join().unwrap(), 100);
    });
}

#[test]
fn a_poll_may_wait() {
    on_a_hub("a_poll_may_wait", || {
        let other = kapok::spawn(|| 7);
        let value = block_on(async {
            kapok::sleep(Duration::from_millis(1));
            let value = other.join().unwrap();
            kapok::future::sleep(Duration::from_millis(1)).await;
            value
        });
        assert_eq!(value, 7);
    });
}

#[test]
fn a_future_that_wakes_itself_for_ever_shares_its_hub() {
    on_a_hub("a_future_that_wakes_itself", || {
        let is_done = Rc::new(Cell::new(false));
        let spinning = kapok::future::spawn({
            let is_done = Rc::clone(&is_done);
            poll_fn(move |context| {
                context.waker().wake_by_ref();
                if is_done.get() {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
        });
        let others = kapok::spawn(move || {
            kapok::sleep(Duration::from_millis(1));
            is_done.set(true);
        });
        others.join().unwrap();
        spinning.join().unwrap();

        let spinning = kapok::future::spawn(poll_fn(|context| {
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        }));
        kapok::yield_now();
        spinning.cancel();
        assert!(spinning.join().unwrap_err().is_cancelled());
        let result = kapok::timeout(Duration::from_millis(1), || {
            block_on(poll_fn(|context| {
                context.waker().wake_by_ref();
                Poll::<()>::Pending
            }));
        });
        assert_eq!(result, Err(kapok::TimedOut));
    });
}

#[test]
fn a_pending_future_does_not_spin() {
    on_a_hub("a_pending_future_does_not_spin", || {
        let polls = Cell::new(0);
        let _timed_out = kapok::timeout(Duration::from_millis(20), || {
            block_on(poll_fn(|_| {
                polls.set(polls.get() + 1);
                Poll::<()>::Pending
            }));
        });
        assert_eq!(polls.get(), 1);
    });
}

#[test]
fn unparking_the_fiber_does_not_poll_its_future() {
    on_a_hub("unparking_the_fiber", || {
        let polls = Rc::new(Cell::new(0));
        let countdown = Countdown::new(1);
        let fiber = kapok::future::spawn({
            let (polls, mut countdown) = (Rc::clone(&polls), countdown.clone());
            poll_fn(move |context| {
                polls.set(polls.get() + 1);
                Pin::new(&mut countdown).poll(context)
            })
        });
        for _ in 0..5 {
            kapok::yield_now();
            fiber.fiber().unpark();
        }
        assert_eq!(polls.get(), 1);
        countdown.count();
        fiber.join().unwrap();
        assert_eq!(polls.get(), 2);
    });
}

#[test]
fn a_panic_in_a_poll_passes_on() {
    on_a_hub("a_panic_in_a_poll", || {
        let caught = catch_unwind(|| block_on(async { panic!("in the future") }));
        assert_eq!(
            *caught.unwrap_err().downcast::<&str>().unwrap(),
            "in the future"
        );
        let error = kapok::future::spawn(async { panic!("in a fiber") })
            .join()
            .unwrap_err();
        assert_eq!(
            *error.into_panic().downcast::<&str>().unwrap(),
            "in a fiber"
        );
        assert_eq!(block_on(ready(5)), 5);
    });
}

#[test]
fn a_thread_without_a_hub_is_parked_and_gets_none() {
    let countdown = Countdown::new(3);
    let counting = countdown.clone();
    let waiting = std::thread::spawn(move || {
        block_on(countdown);
        kapok::current().id()
    });
    for _ in 0..3 {
        counting.count();
    }
    assert_eq!(waiting.join().unwrap(), None);
}

#[test]
fn a_thread_that_gets_its_hub_in_a_poll_is_woken_there() {
    let countdown = Countdown::new(1);
    let counting = countdown.clone();
    let (polled, is_polled) = std::sync::mpsc::channel();
    let waiting = std::thread::spawn(move || {
        let mut countdown = countdown;
        block_on(poll_fn(|context| {
            let result = Pin::new(&mut countdown).poll(context);
            kapok::spawn(|| ()).join().unwrap();
            polled.send(()).unwrap();
            result
        }));
        kapok::current().id().is_some()
    });
    let _ = is_polled.iter().next();
    counting.count();
    assert!(waiting.join().unwrap());
}

#[test]
fn only_the_part_that_was_woken_is_polled() {
    on_a_hub("only_the_part_that_was_woken", || {
        let parts: Vec<_> = (0..3).map(|_| Countdown::new(1)).collect();
        let futures = parts
            .iter()
            .map(|part| Box::pin(part.clone()) as Pin<Box<dyn Future<Output = ()>>>);
        let fiber = kapok::future::spawn(join_all(futures.collect()));
        for part in parts.iter().rev() {
            kapok::yield_now();
            part.count();
        }
        assert_eq!(fiber.join().unwrap(), [2, 2, 2]);
    });
}

/// A waker that none of kapok's code knows.
struct Ignored;

impl Wake for Ignored {
    fn wake(self: Arc<Self>) {}
}

/// Polls a sleep once, for a waker that may be counted.
fn poll_sleep(sleep: &mut kapok::future::Sleep, waker: &Arc<Ignored>) {
    let waker = Waker::from(Arc::clone(waker));
    let polled = Pin::new(sleep).poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
}

#[test]
fn a_sleep_that_is_dropped_leaves_nothing_behind() {
    let start = Instant::now();
    let waker = Arc::new(Ignored);
    on_a_hub("a_sleep_that_is_dropped", {
        let waker = Arc::clone(&waker);
        move || {
            let mut sleeps: Vec<_> = (0..100).map(|_| kapok::future::sleep(LONG)).collect();
            // Polled twice, it still keeps one waker.
            for sleep in &mut sleeps {
                poll_sleep(sleep, &waker);
                poll_sleep(sleep, &waker);
            }
            assert_eq!(Arc::strong_count(&waker), 102);
            let dropped_elsewhere = sleeps.split_off(50);
            drop(sleeps);
            assert_eq!(Arc::strong_count(&waker), 52);
            let dropping = std::thread::spawn(move || drop(dropped_elsewhere));
            dropping.join().unwrap();
            assert_eq!(Arc::strong_count(&waker), 2);
            kapok::drain(LONG).unwrap();
            // Longer than a clock goes.
            drop(kapok::future::sleep(Duration::MAX));
        }
    });
    assert_eq!(Arc::strong_count(&waker), 1);
    assert!(start.elapsed() < LONG);
}

#[test]
fn a_thread_that_ends_with_a_sleep_leaves_its_hub_to_the_next() {
    let waker = Arc::new(Ignored);
    let polling = Arc::clone(&waker);
    // No `kapok::run` here: the thread just ends, and the sleep goes elsewhere.
    let ended = std::thread::spawn(move || {
        let mut sleep = kapok::future::sleep(Duration::from_millis(5));
        poll_sleep(&mut sleep, &polling);
        (sleep, kapok::HubHandle::current())
    });
    let (sleep, hub) = ended.join().unwrap();
    assert_eq!(Arc::strong_count(&waker), 1, "it was woken");
    let refused = hub.spawn(|| ()).join();
    assert!(matches!(refused, Err(kapok::JoinError::HubEnded)));
    on_a_hub("a_sleep_of_an_ended_thread", move || block_on(sleep));
}

#[test]
fn ten_thousand_sleeps_all_end() {
    on_a_hub("ten_thousand_sleeps", || {
        let start = Instant::now();
        let sleeps = (0..10_000u64).map(|number| {
            let deadline = start + Duration::from_millis(number * 7919 % 50);
            Box::pin(async move {
                kapok::future::sleep_until(deadline).await;
                assert!(Instant::now() >= deadline);
            }) as Pin<Box<dyn Future<Output = ()>>>
        });
        let polls = block_on(join_all(sleeps.collect()));
        assert!(polls.iter().all(|polls| *polls <= 2), "woken in vain");
        assert!(start.elapsed() >= Duration::from_millis(49));
    });
}

#[test]
fn a_sleep_goes_on_where_it_is_polled_next() {
    let sleep = on_a_hub("a_sleep_goes_on", || {
        let mut sleep = Box::pin(kapok::future::sleep(Duration::from_millis(10)));
        let polled = block_on(poll_fn(|context| Poll::Ready(sleep.as_mut().poll(context))));
        assert!(polled.is_pending());
        sleep
    });
    // Its timer has gone with its hub.
    let deadline = sleep.deadline();
    on_a_hub("a_sleep_goes_on_elsewhere", move || block_on(sleep));
    assert!(Instant::now() >= deadline);
}

#[test]
fn sleeps_are_parts_of_a_future() {
    on_a_hub("sleeps_are_parts", || {
        let start = Instant::now();
        let sleeps = (1..=3).map(|number| {
            Box::pin(kapok::future::sleep(Duration::from_millis(2 * number)))
                as Pin<Box<dyn Future<Output = ()>>>
        });
        assert_eq!(block_on(join_all(sleeps.collect())), [2, 2, 2]);
        assert!(start.elapsed() >= Duration::from_millis(6));
    });
}

#[test]
fn a_fiber_can_be_awaited() {
    on_a_hub("a_fiber_can_be_awaited", || {
        // One that has ended, one that has not, one that panics, one that is cancelled.
        let ended = kapok::spawn(|| 1);
        kapok::yield_now();
        assert_eq!(block_on(ended).unwrap(), 1);
        let later = kapok::spawn(|| {
            kapok::sleep(Duration::from_millis(1));
            String::from("later")
        });
        assert_eq!(block_on(later).unwrap(), "later");
        let panicking = kapok::spawn(|| panic!("awaited"));
        let error = block_on(panicking).unwrap_err();
        assert_eq!(*error.into_panic().downcast::<&str>().unwrap(), "awaited");
        let cancelled = kapok::spawn(kapok::park);
        kapok::yield_now();
        cancelled.cancel();
        assert!(block_on(cancelled).unwrap_err().is_cancelled());
    });
}

#[test]
fn a_fiber_that_awaits_itself_panics() {
    on_a_hub("itself", || {
        let own = Rc::new(RefCell::new(None::<kapok::JoinHandle<()>>));
        let told = Rc::new(RefCell::new(None));
        let fiber = kapok::spawn({
            let (own, told) = (Rc::clone(&own), Rc::clone(&told));
            move || {
                let handle = own.take().unwrap();
                let panic = catch_unwind(AssertUnwindSafe(|| block_on(handle)));
                *told.borrow_mut() = Some(*panic.unwrap_err().downcast::<&str>().unwrap());
            }
        });
        *own.borrow_mut() = Some(fiber);
        kapok::yield_now();
        assert_eq!(told.take(), Some("a fiber cannot join itself"));
    });
}

#[test]
fn fibers_are_parts_of_a_future_and_are_detached_with_it() {
    on_a_hub("fibers_are_parts_of_a_future", || {
        let order = Rc::new(RefCell::new(Vec::new()));
        let fibers = (0..3u64).map(|number| {
            let order = Rc::clone(&order);
            let fiber = kapok::spawn(move || {
                kapok::sleep(Duration::from_millis(6 - 2 * number));
                order.borrow_mut().push(number);
            });
            Box::pin(async move { fiber.await.unwrap() }) as Pin<Box<dyn Future<Output = ()>>>
        });
        assert_eq!(block_on(join_all(fibers.collect())), [2, 2, 2]);
        assert_eq!(*order.borrow(), [2, 1, 0]);

        // Dropped when it has been polled: the fiber goes on by itself, and wakes nobody.
        let is_done = Rc::new(Cell::new(false));
        let done = Rc::clone(&is_done);
        let mut fiber = kapok::spawn(move || {
            kapok::sleep(Duration::from_millis(1));
            done.set(true);
        });
        let polled = block_on(poll_fn(|context| {
            Poll::Ready(Pin::new(&mut fiber).poll(context).is_pending())
        }));
        assert!(polled);
        drop(fiber);
        kapok::drain(LONG).unwrap();
        assert!(is_done.get());

        // Joined after it has been polled.
        let mut fiber = kapok::spawn(|| {
            kapok::sleep(Duration::from_millis(1));
            8
        });
        let polled = block_on(poll_fn(|context| {
            Poll::Ready(Pin::new(&mut fiber).poll(context).is_pending())
        }));
        assert!(polled);
        assert_eq!(fiber.join().unwrap(), 8);
    });
}

#[test]
fn the_end_of_a_hub_drops_the_futures_that_are_left() {
    let dropped = Arc::new(AtomicUsize::new(0));
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let counting = Arc::clone(&dropped);
    on_a_hub("the_end_of_a_hub", move || {
        for _ in 0..50 {
            let counted = Counted(Arc::clone(&counting));
            drop(kapok::future::spawn(async move {
                let _counted = counted;
                pending::<()>().await;
            }));
        }
        kapok::yield_now();
    });
    assert_eq!(dropped.load(Ordering::SeqCst), 50);
}

#[test]
fn block_on_is_a_switchpoint() {
    on_a_hub("block_on_is_a_switchpoint", || {
        let caught = catch_unwind(AssertUnwindSafe(|| {
            kapok::assert_no_switchpoints(|| block_on(ready(())));
        }));
        let message = *caught.unwrap_err().downcast::<String>().unwrap();
        assert!(message.contains("::block_on`"), "{message}");
    });
}
