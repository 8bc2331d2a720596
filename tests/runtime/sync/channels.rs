//! Channels: order, back-pressure, both ends' ends, and no message lost, doubled or leaked.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kapok::sync::channel::{
    RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError, bounded,
    unbounded,
};
use kapok::{spawn, yield_now};

use super::{LONG, Life, Living, Log, SHORT, crowd, join_all, settle, waiting};
use crate::support::{Watchdog, on_a_hub};

#[test]
fn a_full_channel_makes_senders_wait_and_keeps_their_order() {
    on_a_hub("bounded", || {
        let (sender, receiver) = bounded(2);
        let senders = waiting(5, move |number| sender.send(number).unwrap());
        let sent: Vec<_> = senders.iter().map(|fiber| fiber.is_finished()).collect();
        assert_eq!(sent, [true, true, false, false, false]);
        assert_eq!(receiver.len(), 2);
        assert_eq!(receiver.recv(), Ok(0));
        assert_eq!(receiver.len(), 2, "the next sender's message took the room");
        assert_eq!(receiver.iter().take(4).collect::<Vec<_>>(), [1, 2, 3, 4]);
        join_all(senders);
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    });
}

#[test]
fn a_channel_tells_its_capacity_and_whether_it_is_full() {
    on_a_hub("capacity", || {
        let (sender, receiver) = bounded(2);
        for (sent, is_full) in [false, false, true].into_iter().enumerate() {
            assert_eq!((sender.is_full(), receiver.is_full()), (is_full, is_full));
            assert_eq!(sender.try_send(sent).is_err(), is_full);
        }
        assert_eq!((sender.capacity(), receiver.capacity()), (Some(2), Some(2)));
        let shown = format!("{sender:?} {receiver:?}");
        let expected =
            "Sender { len: 2, capacity: Some(2), .. } Receiver { len: 2, capacity: Some(2), .. }";
        assert_eq!(shown, expected);
        let (sender, receiver) = bounded::<u8>(0);
        assert_eq!((sender.capacity(), receiver.capacity()), (Some(0), Some(0)));
        assert!(sender.is_full() && sender.is_empty() && receiver.is_full());
        let (sender, receiver) = unbounded();
        (0..1000).for_each(|number| sender.send(number).unwrap());
        assert_eq!((sender.capacity(), receiver.capacity()), (None, None));
        assert!(!sender.is_full() && !receiver.is_full());
        receiver.recv().unwrap();
        let shown = format!("{receiver:?}");
        assert_eq!(shown, "Receiver { len: 999, capacity: None, .. }");
    });
}

#[test]
fn ends_of_one_channel_know_each_other() {
    let (one, other) = (unbounded::<u8>(), unbounded::<u8>());
    assert!(one.0.same_channel(&one.0.clone()) && one.1.same_channel(&one.1.clone()));
    assert!(!one.0.same_channel(&other.0) && !one.1.same_channel(&other.1));
}

#[test]
fn a_message_is_sent_before_the_deadline_or_comes_back() {
    on_a_hub("send deadline", || {
        let (sender, receiver) = bounded(1);
        let past = Instant::now();
        assert_eq!(
            sender.send_deadline(1, past),
            Ok(()),
            "no waiting is needed"
        );
        let late = sender.send_deadline(2, past);
        assert_eq!(late, Err(SendTimeoutError::Timeout(2)));
        let soon = Instant::now() + SHORT;
        let late = sender.send_deadline(3, soon);
        assert_eq!(late, Err(SendTimeoutError::Timeout(3)));
        assert!(Instant::now() >= soon);
        let sends = waiting(1, {
            let sender = sender.clone();
            move |_| sender.send_deadline(4, Instant::now() + LONG)
        });
        assert!(!sends[0].is_finished());
        assert_eq!((receiver.recv(), receiver.recv()), (Ok(1), Ok(4)));
        assert_eq!(join_all(sends), [Ok(())]);
        drop(receiver);
        let gone = sender.send_deadline(5, past);
        assert_eq!(gone, Err(SendTimeoutError::Disconnected(5)));
    });
}

#[test]
fn messages_go_to_the_receiver_that_waits_longest() {
    on_a_hub("receivers", || {
        let (sender, receiver) = unbounded();
        let receivers = waiting(4, move |number| (number, receiver.recv()));
        receivers[1].cancel();
        settle();
        for message in 0..3 {
            sender.try_send(message).unwrap();
        }
        let got: Vec<_> = receivers
            .into_iter()
            .map(|fiber| fiber.join().ok())
            .collect();
        assert_eq!(
            got,
            [Some((0, Ok(0))), None, Some((2, Ok(1))), Some((3, Ok(2)))]
        );
        assert!(sender.is_disconnected());
    });
}

#[test]
fn a_rendezvous_hands_over_only_when_a_receiver_is_there() {
    on_a_hub("rendezvous", || {
        let (sender, receiver) = bounded(0);
        assert_eq!(sender.try_send(0), Err(TrySendError::Full(0)));
        let late = sender.send_timeout(1, SHORT);
        assert_eq!(late, Err(SendTimeoutError::Timeout(1)));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        let sends = waiting(1, {
            let sender = sender.clone();
            move |_| sender.send(2)
        });
        assert!(!sends[0].is_finished() && receiver.is_empty());
        assert_eq!(receiver.try_recv(), Ok(2));
        assert_eq!(join_all(sends), [Ok(())]);
        let receives = waiting(1, move |_| receiver.recv());
        assert_eq!(sender.try_send(3), Ok(()));
        assert_eq!(join_all(receives), [Ok(3)]);
        assert_eq!(sender.send(4), Err(SendError(4)));
    });
}

#[test]
fn senders_get_their_messages_back_when_the_receivers_are_gone() {
    on_a_hub("receivers gone", || {
        for capacity in [0, 1] {
            let (sender, receiver) = bounded(capacity);
            for message in 0..capacity {
                sender.send(message).unwrap();
            }
            let second = receiver.clone();
            let senders = waiting(3, {
                let sender = sender.clone();
                move |number| sender.send(number + 10)
            });
            let timed = waiting(1, {
                let sender = sender.clone();
                move |_| sender.send_timeout(20, LONG)
            });
            drop(receiver);
            settle();
            assert!(!senders[0].is_finished());
            drop(second);
            let back = [10, 11, 12].map(|message| Err(SendError(message)));
            assert_eq!(join_all(senders), back);
            assert_eq!(join_all(timed), [Err(SendTimeoutError::Disconnected(20))]);
            assert_eq!(sender.try_send(30), Err(TrySendError::Disconnected(30)));
            assert_eq!(sender.send_timeout(31, SHORT).unwrap_err().into_inner(), 31);
            assert!(sender.is_empty() && sender.is_disconnected());
        }
    });
}

#[test]
fn receivers_get_what_is_left_when_the_senders_are_gone() {
    on_a_hub("senders gone", || {
        let (sender, receiver) = bounded(8);
        (0..3).for_each(|message| sender.send(message).unwrap());
        drop(sender);
        assert!(receiver.is_disconnected());
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(receiver.recv(), Err(RecvError));
        assert_eq!(
            receiver.recv_timeout(LONG),
            Err(RecvTimeoutError::Disconnected)
        );
        let (sender, receiver) = bounded::<u8>(8);
        let receivers = waiting(3, move |_| receiver.recv());
        drop(sender);
        assert_eq!(join_all(receivers), [Err(RecvError); 3]);
    });
}

#[test]
fn a_wait_for_a_message_is_as_long_as_was_said() {
    on_a_hub("timeouts", || {
        let (sender, receiver) = bounded::<u8>(1);
        let start = Instant::now();
        assert_eq!(receiver.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
        let deadline = Instant::now() + SHORT;
        assert_eq!(
            receiver.recv_deadline(deadline),
            Err(RecvTimeoutError::Timeout)
        );
        assert!(start.elapsed() >= SHORT * 2);
        sender.send(1).unwrap();
        assert_eq!(
            sender.send_timeout(2, SHORT),
            Err(SendTimeoutError::Timeout(2))
        );
        assert_eq!(receiver.recv_timeout(Duration::ZERO), Ok(1));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    });
}

#[test]
fn a_cancelled_sender_or_receiver_loses_nothing_and_leaks_nothing() {
    on_a_hub("cancelled", || {
        for capacity in [0, 1, 3] {
            let living = Rc::new(Living::default());
            let (sender, receiver) = bounded(capacity);
            let senders = waiting(6, {
                let living = Rc::clone(&living);
                move |number| sender.send(living.one(number)).unwrap()
            });
            let waits = capacity;
            senders[waits + 1].cancel();
            settle();
            assert_eq!(living.count(), 5, "what was not sent is dropped");
            // Taken and cancelled at once: that one was sent.
            let first = receiver.recv().unwrap();
            senders[waits].cancel();
            let mut got: Vec<_> = receiver.iter().map(|life| life.1).collect();
            got.insert(0, first.1);
            let expected: Vec<_> = (0..6).filter(|number| *number != waits + 1).collect();
            assert_eq!(got, expected);
            let ended: Vec<_> = senders
                .into_iter()
                .map(|fiber| fiber.join().is_ok())
                .collect();
            assert_eq!(
                ended.iter().filter(|ended| !**ended).count(),
                1,
                "{ended:?}"
            );
            drop(first);
            assert_eq!(living.count(), 0);
        }
        let living = Living::default();
        let (sender, receiver) = bounded::<Life>(0);
        let got = Rc::new(Cell::new(0));
        let receivers = waiting(2, {
            let (receiver, got) = (receiver.clone(), Rc::clone(&got));
            move |_| {
                let life = receiver.recv().unwrap();
                got.set(got.get() + 1 + life.1);
                yield_now();
            }
        });
        // Granted, then cancelled: it has the message.
        sender.try_send(living.one(10)).unwrap();
        receivers[0].cancel();
        receivers[1].cancel();
        for fiber in receivers {
            assert!(fiber.join().unwrap_err().is_cancelled());
        }
        assert_eq!((got.get(), living.count()), (11, 0));
        assert!(sender.try_send(living.one(0)).is_err());
    });
}

#[test]
fn a_channel_drops_what_is_in_it_once_and_may_be_used_meanwhile() {
    struct Sends {
        life: Life,
        sender: kapok::sync::channel::Sender<Self>,
        refused: Arc<AtomicUsize>,
    }
    impl Drop for Sends {
        fn drop(&mut self) {
            assert!(self.sender.is_disconnected() && self.sender.is_empty());
            if self.life.1 > 0 {
                let again = Self {
                    life: Life(Arc::clone(&self.life.0), 0),
                    sender: self.sender.clone(),
                    refused: Arc::clone(&self.refused),
                };
                self.life.0.fetch_add(1, Ordering::SeqCst);
                self.refused.fetch_add(1, Ordering::SeqCst);
                assert!(self.sender.send(again).is_err());
            }
        }
    }
    on_a_hub("full", || {
        let (living, refused) = (Living::default(), Arc::new(AtomicUsize::new(0)));
        let (sender, receiver) = unbounded();
        for number in 1..=10 {
            let (life, refused) = (living.one(number), Arc::clone(&refused));
            let message = Sends {
                life,
                sender: sender.clone(),
                refused,
            };
            assert!(sender.send(message).is_ok());
        }
        drop(receiver);
        assert_eq!((living.count(), refused.load(Ordering::SeqCst)), (0, 10));
    });
}

#[test]
fn a_wait_of_the_longest_duration_is_one_without_end() {
    let waits = || {
        let (sender, receiver) = bounded::<u8>(0);
        let thread = std::thread::spawn(move || sender.send_timeout(1, Duration::MAX));
        assert_eq!(receiver.recv_timeout(Duration::MAX), Ok(1));
        assert!(thread.join().unwrap().is_ok());
        let (sender, receiver) = bounded::<u8>(0);
        let thread = std::thread::spawn(move || sender.send(2));
        kapok::select! {
            got = recv(&receiver) => assert_eq!(got, Ok(2)),
            () = after(Duration::MAX) => unreachable!(),
        }
        thread.join().unwrap().unwrap();
    };
    let _watchdog = Watchdog::new("without end");
    waits();
    on_a_hub("without end, on a hub", waits);
}

#[test]
fn a_loop_that_never_has_to_wait_lets_others_run() {
    on_a_hub("budget", || {
        let turns = Rc::new(Cell::new(0));
        drop(spawn({
            let turns = Rc::clone(&turns);
            move || {
                loop {
                    turns.set(turns.get() + 1);
                    yield_now();
                }
            }
        }));
        let (sender, receiver) = bounded(1000);
        for _ in 0..10 {
            let before = turns.get();
            (0..1000).for_each(|number| sender.send(number).unwrap());
            let between = turns.get();
            assert!(between > before, "senders let others run");
            assert_eq!(receiver.iter().take(1000).sum::<usize>(), 499_500);
            assert!(turns.get() > between, "receivers too");
        }
        let before = turns.get();
        for number in 0..1000 {
            sender.send(number).unwrap();
            kapok::select! { message = recv(&receiver) => assert_eq!(message, Ok(number)) }
        }
        assert!(turns.get() > before + 5);
    });
}

// Gruvi 12.
#[test]
fn each_of_100_000_messages_arrives_once_and_those_of_one_sender_in_order() {
    let _watchdog = Watchdog::new("mpmc");
    const SENDERS: usize = 50;
    const EACH: usize = 2000;
    for capacity in [0, 7, usize::MAX] {
        let (sender, receiver) = bounded::<(usize, usize)>(capacity);
        let seen: Arc<Vec<_>> = Arc::new((0..SENDERS * EACH).map(|_| AtomicU32::new(0)).collect());
        let ends = std::sync::Mutex::new(Some((sender, receiver)));
        let count = Arc::new(AtomicUsize::new(0));
        crowd(4, 25, 0, {
            let (seen, count) = (Arc::clone(&seen), Arc::clone(&count));
            let ends = Arc::new(ends);
            let started = Arc::new(AtomicUsize::new(0));
            move |number| {
                let (sender, receiver) = ends.lock().unwrap().clone().unwrap();
                if started.fetch_add(1, Ordering::SeqCst) == 99 {
                    *ends.lock().unwrap() = None;
                }
                // Both kinds on each hub.
                if number % 2 == 0 {
                    drop(receiver);
                    for message in 0..EACH {
                        sender.send((number / 2, message)).unwrap();
                    }
                } else {
                    drop(sender);
                    let mut last = [None; SENDERS];
                    for (from, message) in receiver {
                        assert!(last[from] < Some(message), "out of order");
                        last[from] = Some(message);
                        seen[from * EACH + message].fetch_add(1, Ordering::Relaxed);
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        });
        assert_eq!(count.load(Ordering::SeqCst), SENDERS * EACH);
        assert!(seen.iter().all(|times| times.load(Ordering::SeqCst) == 1));
    }
}

#[test]
fn receivers_that_take_turns_get_messages_in_turn() {
    on_a_hub("turns", || {
        let (sender, receiver) = bounded(0);
        let log = Log::default();
        let receivers = waiting(3, {
            let log = log.clone();
            move |number| {
                for _ in receiver.iter() {
                    log.note(number);
                }
            }
        });
        for message in 0..9 {
            sender.send(message).unwrap();
            settle();
        }
        drop(sender);
        join_all(receivers);
        assert_eq!(log.take(), [0, 1, 2, 0, 1, 2, 0, 1, 2]);
    });
}
