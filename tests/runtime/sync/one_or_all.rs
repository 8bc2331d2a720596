//! Channels for one message, for everybody, and for the newest value.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use kapok::sync::channel::{RecvError, RecvTimeoutError, SendError, TryRecvError};
use kapok::sync::{broadcast, oneshot, watch};
use kapok::{sleep, spawn, timeout, yield_now};

use super::{LONG, Life, Living, SHORT, join_all, waiting};
use crate::support::on_a_hub;

#[test]
fn a_broadcast_reaches_all_and_tells_who_was_too_slow() {
    on_a_hub("broadcast", || {
        use broadcast::RecvError::{Closed, Lagged};
        use broadcast::{RecvTimeoutError, TryRecvError};
        let news = broadcast::Sender::new(4);
        assert_eq!(news.send(0), Err(SendError(0)), "nobody is there");
        let (mut first, mut slow) = (news.subscribe(), news.subscribe());
        let waits = waiting(1, {
            let receiver = Cell::new(Some(news.subscribe()));
            move |_| receiver.take().unwrap().recv()
        });
        assert_eq!(news.send(1), Ok(3));
        assert_eq!(join_all(waits), [Ok(1)]);
        assert_eq!(news.receiver_count(), 2);
        let mut second = first.clone();
        assert_eq!((first.recv(), second.recv()), (Ok(1), Ok(1)));
        for message in 2..=7 {
            news.send(message).unwrap();
            assert_eq!(first.try_recv(), Ok(message));
        }
        assert_eq!(first.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(first.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
        assert_eq!(slow.recv(), Err(Lagged(3)));
        let mut later = slow.clone();
        drop(news);
        for mut receiver in [slow, later.clone()] {
            let left: Vec<_> = (0..5).map(|_| receiver.recv()).collect();
            assert_eq!(left, [Ok(4), Ok(5), Ok(6), Ok(7), Err(Closed)]);
        }
        assert_eq!(later.try_recv(), Ok(4));
        assert_eq!(first.recv(), Err(Closed));
    });
}

#[test]
fn a_cancelled_receiver_of_a_broadcast_passes_no_message_over() {
    on_a_hub("broadcast cancel", || {
        let living = Living::default();
        let news = broadcast::Sender::new(4);
        let mut receiver = news.subscribe();
        assert!(timeout(SHORT, || receiver.recv().map(|life: Arc<Life>| life.1)).is_err());
        for number in 0..3 {
            news.send(Arc::new(living.one(number))).unwrap();
        }
        assert_eq!(receiver.recv().unwrap().1, 0);
        drop(receiver);
        assert_eq!(living.count(), 0, "nobody will ask for them");
    });
}

#[test]
fn a_message_of_a_broadcast_whose_clone_is_cancelled_or_panics_is_the_next() {
    struct Message(u8, Rc<Cell<bool>>);
    impl Clone for Message {
        fn clone(&self) -> Self {
            sleep(SHORT);
            assert!(!self.1.take(), "the test's panic");
            Self(self.0, Rc::clone(&self.1))
        }
    }
    on_a_hub("broadcast clone", || {
        let panics = Rc::new(Cell::new(false));
        let (news, mut receiver) = broadcast::channel(4);
        let _keeps_them = news.subscribe();
        for number in 0..3 {
            assert!(news.send(Message(number, Rc::clone(&panics))).is_ok());
        }
        let number = |message: Result<Message, _>| message.map(|message| message.0);
        assert!(timeout(Duration::ZERO, || number(receiver.recv())).is_err());
        assert_eq!(number(receiver.recv()), Ok(0));
        let selected = timeout(SHORT / 2, || {
            kapok::select! { message = recv(&mut receiver) => number(message) }
        });
        assert!(selected.is_err());
        assert_eq!(number(receiver.recv()), Ok(1));
        panics.set(true);
        assert!(catch_unwind(AssertUnwindSafe(|| number(receiver.recv()))).is_err());
        assert_eq!(number(receiver.recv()), Ok(2));
    });
}

#[test]
fn a_watch_is_changed_by_many_and_looked_at_without_being_seen() {
    on_a_hub("modify", || {
        let (state, mut follower) = watch::channel(vec![0]);
        let fibers: Vec<_> = (1..=10)
            .map(|number| {
                let state = state.clone();
                spawn(move || {
                    let mut calls = 0;
                    state.modify(|numbers| {
                        calls += 1;
                        // Others change it meanwhile.
                        yield_now();
                        numbers.push(number);
                    });
                    calls
                })
            })
            .collect();
        let calls: usize = fibers.into_iter().map(|fiber| fiber.join().unwrap()).sum();
        assert!(calls > 10, "somebody was called again");
        let mut numbers = (*follower.peek()).clone();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..=10).collect::<Vec<_>>());
        assert!(follower.has_changed());
        assert_eq!(follower.changed().unwrap().len(), 11);
        drop(follower);
        assert_eq!(
            (
                state.receiver_count(),
                state.replace(vec![]).len(),
                state.get().len()
            ),
            (0, 11, 0)
        );
    });
}

#[test]
fn a_watch_shows_the_newest_value_once_to_each() {
    on_a_hub("watch", || {
        let (state, mut first) = watch::channel(0);
        let mut second = first.clone();
        assert!(!first.has_changed());
        assert_eq!(first.changed_timeout(SHORT), Err(RecvTimeoutError::Timeout));
        assert!(timeout(SHORT, || first.changed()).is_err());
        for value in 1..=3 {
            state.send(value).unwrap();
        }
        assert_eq!((first.changed(), *second.get()), (Ok(Arc::new(3)), 3));
        assert!(!first.has_changed() && !second.has_changed());
        let waits = waiting(1, {
            let receiver = Cell::new(Some(state.subscribe()));
            move |_| receiver.take().unwrap().changed()
        });
        state.send(4).unwrap();
        state.send(5).unwrap();
        assert_eq!(join_all(waits), [Ok(Arc::new(5))]);
        drop(state);
        assert_eq!(first.changed(), Ok(Arc::new(5)));
        assert_eq!(first.changed(), Err(RecvError));
        let (state, receiver) = watch::channel(1);
        drop(receiver);
        assert_eq!(state.send(2), Err(SendError(2)));
    });
}

#[test]
fn a_oneshot_tells_each_end_when_the_other_is_gone() {
    on_a_hub("oneshot", || {
        let living = Living::default();
        let (sender, receiver) = oneshot::channel();
        assert!(!sender.is_closed());
        let closed = waiting(1, {
            let sender = Cell::new(Some(sender));
            move |_| {
                let sender = sender.take().unwrap();
                sender.closed();
                sender.send(1).unwrap_err()
            }
        });
        assert!(!closed[0].is_finished());
        drop(receiver);
        assert_eq!(join_all(closed), [1]);
        let (sender, receiver) = oneshot::channel::<u8>();
        let waits = waiting(1, {
            let receiver = Cell::new(Some(receiver));
            move |_| receiver.take().unwrap().recv()
        });
        drop(sender);
        assert_eq!(join_all(waits), [Err(RecvError)]);
        let (sender, mut receiver) = oneshot::channel();
        assert_eq!(receiver.try_recv().err(), Some(TryRecvError::Empty));
        assert!(receiver.recv_timeout(SHORT).is_err());
        assert!(timeout(SHORT, || receiver.recv_timeout(LONG).is_ok()).is_err());
        sender.send(living.one(4)).unwrap();
        assert_eq!(receiver.recv_timeout(SHORT).unwrap().1, 4);
        assert_eq!(receiver.try_recv().err(), Some(TryRecvError::Disconnected));
        let (sender, receiver) = oneshot::channel();
        sender.send(living.one(5)).unwrap();
        assert_eq!(living.count(), 1);
        drop(receiver);
        assert_eq!(living.count(), 0);
    });
}

/// Calls something when it is dropped.
struct OnDrop(Option<Box<dyn FnOnce()>>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        if let Some(call) = self.0.take() {
            call();
        }
    }
}

#[test]
fn what_a_message_does_when_it_is_dropped_may_use_the_channel_it_was_in() {
    on_a_hub("outside of the lock", || {
        let calls = Rc::new(Cell::new(0));
        let count = |call: Box<dyn Fn()>| {
            let calls = Rc::clone(&calls);
            OnDrop(Some(Box::new(move || {
                call();
                calls.set(calls.get() + 1);
            })))
        };
        let (state, receiver) = watch::channel(OnDrop(None));
        let state = Rc::new(state);
        for _ in 0..3 {
            let again = Rc::downgrade(&state);
            let value = count(Box::new(move || {
                drop(again.upgrade().map(|state| state.get()))
            }));
            assert!(state.send(value).is_ok());
        }
        assert_eq!(calls.get(), 2);
        drop((state, receiver));
        assert_eq!(calls.take(), 3);
        let news = Rc::new(broadcast::Sender::new(2));
        let receiver = news.subscribe();
        for _ in 0..5 {
            let again = Rc::downgrade(&news);
            let message = count(Box::new(move || {
                again.upgrade().map(|news| news.receiver_count());
            }));
            assert!(news.send(message).is_ok());
        }
        assert_eq!(calls.get(), 3);
        drop(receiver);
        assert_eq!(calls.take(), 5);
    });
}
