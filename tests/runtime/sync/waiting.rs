//! Waiting for some of many: handles, events and values, mixed.

use std::rc::Rc;
use std::time::{Duration, Instant};

use kapok::sync::channel::RecvTimeoutError;
use kapok::sync::{Event, OnceLock, Waitable, as_completed, oneshot, wait, wait_timeout};
use kapok::{Hubs, HubsConfig, park, scope, sleep, spawn, task_group, timeout, yield_now};

use super::{LONG, SHORT, join_all, settle, waiting};
use crate::support::{Watchdog, on_a_hub};

/// A hub of another thread runs `test`'s remote fibers.
fn with_a_remote_hub(test: impl FnOnce(kapok::HubHandle) + Send + 'static) {
    let (sender, handle) = std::sync::mpsc::channel();
    let running = Hubs::new(HubsConfig::new().count(1))
        .start(move |hub| {
            sender.send(hub).unwrap();
            park();
            Ok(())
        })
        .unwrap();
    let handle = handle.iter().next().unwrap();
    on_a_hub("with a remote hub", move || test(handle));
    running.stop(Duration::ZERO);
    running.join().unwrap();
}

// Gruvi 4.
#[test]
fn who_wakes_a_fiber_may_bring_it_a_value_or_an_error_or_come_too_late() {
    on_a_hub("brings", || {
        let (answer, question) = oneshot::channel::<Result<u8, String>>();
        drop(spawn(|| answer.send(Ok(4)).unwrap()));
        assert_eq!(question.recv().unwrap(), Ok(4));
        let (answer, question) = oneshot::channel::<Result<u8, String>>();
        std::thread::spawn(move || answer.send(Err("no".to_owned())).unwrap());
        assert_eq!(question.recv().unwrap(), Err("no".to_owned()));
        let (answer, mut question) = oneshot::channel::<Result<u8, String>>();
        assert_eq!(question.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
        drop(question);
        assert!(answer.send(Ok(5)).is_err(), "it wakes nobody any more");
    });
}

// Gruvi 17.
#[test]
fn handles_events_and_values_are_waited_for_together() {
    with_a_remote_hub(|remote| {
        let (event, value) = (Rc::new(Event::new()), Rc::new(OnceLock::new()));
        let local = spawn(|| {
            park();
            1
        });
        let released = std::sync::Arc::new(Event::new());
        let far = remote.spawn({
            let released = std::sync::Arc::clone(&released);
            move || {
                released.wait();
                2
            }
        });
        scope(|scope| {
            let scoped = scope.spawn(park);
            let objects: [&dyn Waitable; 5] = [&local, &*event, &*value, &far, &scoped];
            assert!(wait_timeout(&objects, 1, SHORT).is_empty());
            assert_eq!(wait(&objects, 0), []);
            let setter = spawn({
                let (event, value) = (Rc::clone(&event), Rc::clone(&value));
                move || {
                    event.set();
                    yield_now();
                    value.set(7).unwrap();
                    yield_now();
                    released.set();
                }
            });
            assert_eq!(wait(&objects, 1), [1]);
            assert_eq!(wait(&objects, 2), [1, 2]);
            assert_eq!(wait(&objects, 3), [1, 2, 3]);
            assert_eq!(wait_timeout(&objects, 4, SHORT), [1, 2, 3]);
            scoped.fiber().unpark();
            local.fiber().unpark();
            assert_eq!(wait(&objects, 9), [0, 1, 2, 3, 4]);
            scoped.join().unwrap();
            setter.join().unwrap();
        });
        assert_eq!((local.join().unwrap(), far.join().unwrap()), (1, 2));
    });
}

// Gruvi 17.
#[test]
fn positions_come_in_the_order_in_which_objects_become_ready() {
    on_a_hub("as completed", || {
        let fibers: Vec<_> = (0..5).map(|_| spawn(park)).collect();
        let objects: Vec<_> = fibers.iter().map(|fiber| fiber as &dyn Waitable).collect();
        let order = [3, 0, 4, 1, 2];
        let mut completed = as_completed(&objects);
        for next in order {
            fibers[next].fiber().unpark();
            assert_eq!(completed.next(), Some(next));
        }
        assert_eq!(completed.next(), None);
        assert_eq!(as_completed(&objects).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        assert_eq!(as_completed(&[]).next(), None);
        // A cancel passes nobody over.
        let late = spawn(park);
        let objects: [&dyn Waitable; 1] = [&late];
        let mut completed = as_completed(&objects);
        assert!(timeout(SHORT, || completed.next()).is_err());
        late.fiber().unpark();
        assert_eq!(completed.next(), Some(0));
    });
}

// Gruvi 17.
#[test]
fn an_object_may_be_there_several_times() {
    on_a_hub("duplicates", || {
        let (event, fiber) = (Event::new(), spawn(park));
        let objects: [&dyn Waitable; 6] = [&event, &fiber, &event, &fiber, &&fiber, &event];
        assert!(wait_timeout(&objects, 1, SHORT).is_empty());
        fiber.fiber().unpark();
        assert_eq!(wait(&objects, 1), [1, 3, 4]);
        event.set();
        assert_eq!(wait(&objects, 6), [0, 1, 2, 3, 4, 5]);
        assert_eq!(
            as_completed(&objects).collect::<Vec<_>>(),
            [0, 1, 2, 3, 4, 5]
        );
    });
}

#[test]
fn several_fibers_wait_for_one_handle_and_others_for_some_of_it() {
    on_a_hub("several", || {
        let fiber = Rc::new(spawn(|| {
            park();
            5
        }));
        let event = Rc::new(Event::new());
        let waiters = waiting(6, {
            let (fiber, event) = (Rc::clone(&fiber), Rc::clone(&event));
            move |number| {
                let objects: [&dyn Waitable; 2] = [&*fiber, &*event];
                match number {
                    0 | 3 => wait(&objects[..1], 1),
                    1 | 4 => wait_timeout(&objects, 2, SHORT),
                    _ => as_completed(&objects).take(1).collect(),
                }
            }
        });
        // Some leave before the end, by a cancel or their timeout.
        waiters[2].cancel();
        waiters[0].cancel();
        sleep(SHORT * 2);
        assert!(waiters[1].is_finished() && !waiters[3].is_finished());
        fiber.fiber().unpark();
        let got: Vec<_> = waiters
            .into_iter()
            .map(|waiter| waiter.join().ok())
            .collect();
        let (ready, none) = (Some(vec![0]), Some(vec![]));
        assert_eq!(got, [None, none.clone(), None, ready.clone(), none, ready]);
        let fiber = Rc::into_inner(fiber).unwrap();
        assert_eq!(fiber.join().unwrap(), 5);
    });
}

// Gruvi 17.
#[test]
fn nothing_is_left_of_a_wait_that_has_ended() {
    on_a_hub("nothing left", || {
        let (event, fiber) = (Event::new(), spawn(park));
        let value = OnceLock::<u8>::new();
        for round in 0..200 {
            let objects: [&dyn Waitable; 4] = [&event, &fiber, &value, &fiber];
            match round % 3 {
                0 => assert!(wait_timeout(&objects, 1, Duration::ZERO).is_empty()),
                1 => assert!(timeout(Duration::from_micros(50), || wait(&objects, 1)).is_err()),
                _ => {
                    let soon = spawn(|| ());
                    let objects: [&dyn Waitable; 3] = [&event, &soon, &fiber];
                    assert_eq!(wait(&objects, 1), [1]);
                }
            }
        }
        // Would wake a wait that is over if it was still there: this one must last.
        let waiter = waiting(1, |_| {
            let start = Instant::now();
            sleep(SHORT);
            start.elapsed()
        });
        event.set();
        value.set(1).unwrap();
        fiber.fiber().unpark();
        fiber.join().unwrap();
        assert!(join_all(waiter)[0] >= SHORT);
    });
}

#[test]
fn handles_of_a_group_can_be_waited_for() {
    on_a_hub("group", || {
        let sum = task_group(|group| {
            let fibers: Vec<_> = (0..3_u64)
                .map(|number| {
                    group.spawn(move || {
                        sleep(Duration::from_millis(3 - number));
                        Ok::<_, ()>(number)
                    })
                })
                .collect();
            let objects: Vec<_> = fibers.iter().map(|fiber| fiber as &dyn Waitable).collect();
            assert_eq!(as_completed(&objects).count(), 3);
            Ok(fibers.into_iter().map(|fiber| fiber.join()).sum())
        });
        assert_eq!(sum, Ok(3));
    });
}

#[test]
fn a_thread_without_a_hub_waits_for_events_and_remote_fibers() {
    let _watchdog = Watchdog::new("bare");
    with_a_remote_hub(|remote| {
        let thread = std::thread::spawn(move || {
            let event = std::sync::Arc::new(Event::new());
            let setter = std::sync::Arc::clone(&event);
            let far = remote.spawn(move || setter.set());
            let never = Event::new();
            let objects: [&dyn Waitable; 3] = [&never, &*event, &far];
            assert_eq!(wait(&objects, 2), [1, 2]);
            let start = Instant::now();
            assert_eq!(wait_timeout(&objects, 3, SHORT), [1, 2]);
            assert!(start.elapsed() >= SHORT);
        });
        spawn(move || thread.join().unwrap()).join().unwrap();
    });
}

#[test]
fn a_wait_that_is_cancelled_leaves_the_others_waiting() {
    on_a_hub("cancelled", || {
        let event = Rc::new(Event::new());
        let waiters = waiting(2, {
            let event = Rc::clone(&event);
            move |_| {
                let objects: [&dyn Waitable; 1] = [&*event];
                timeout(LONG, || wait(&objects, 1)).unwrap()
            }
        });
        waiters[0].cancel();
        settle();
        event.set();
        let ended: Vec<_> = waiters
            .into_iter()
            .map(|waiter| waiter.join().is_ok())
            .collect();
        assert_eq!(ended, [false, true]);
    });
}
