//! `select!`: every kind of branch, which one is taken, and that the others have had no effect.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kapok::sync::channel::{Receiver, RecvError, SendError, Sender, bounded, unbounded};
use kapok::sync::select::first_of;
use kapok::sync::{Event, Notify, OnceLock, Queue, Semaphore, broadcast, oneshot, watch};
use kapok::{park, select, sleep, spawn, timeout, yield_now};

use super::{LONG, Living, SHORT, join_all, settle, waiting};
use crate::support::{Watchdog, on_a_hub};

#[test]
fn each_kind_of_branch_is_taken_when_it_is_ready() {
    on_a_hub("kinds", || {
        let (sender, receiver) = bounded(1);
        let (full, _kept) = bounded(0);
        let (event, value) = (Event::new(), OnceLock::new());
        let fiber = spawn(park);
        let mut message = Some(9);
        let choose = |message: &mut Option<u8>| {
            select! {
                got = recv(&receiver) => { assert_eq!(got, Ok(1)); 'r' },
                sent = send(&full, message) => { assert_eq!(sent, Ok(())); 's' },
                () = ready(&event) => 'e',
                _ = ready(&value) => 'v',
                _ = ready(&fiber) => 'f',
                () = after(SHORT) => 'a',
            }
        };
        assert_eq!(choose(&mut message), 'a');
        sender.send(1).unwrap();
        assert_eq!(choose(&mut message), 'r');
        let takes = waiting(1, {
            let receiver = _kept.clone();
            move |_| receiver.recv()
        });
        assert_eq!((choose(&mut message), message), ('s', None));
        assert_eq!(join_all(takes), [Ok(9)]);
        // Once more, each while it waits.
        let thread = std::thread::spawn({
            let sender = sender.clone();
            move || sender.send(1).unwrap()
        });
        while receiver.is_empty() {
            yield_now();
        }
        thread.join().unwrap();
        assert_eq!(choose(&mut message), 'r');
        let wakers = spawn(move || sender.send(1).unwrap());
        assert_eq!(choose(&mut message), 'r');
        wakers.join().unwrap();
        let taker = spawn({
            let receiver = _kept.clone();
            move || receiver.recv()
        });
        message = Some(8);
        // Without a sender the first branch would be ready.
        let (_sender, receiver) = bounded::<u8>(1);
        let sent = select! {
            got = recv(&receiver) => got.is_err(),
            sent = send(&full, &mut message) => sent.is_ok(),
            () = after(LONG) => false,
        };
        assert!(sent && message.is_none());
        assert_eq!(taker.join().unwrap(), Ok(8));
        fiber.fiber().unpark();
        assert!(select! { _ = ready(&fiber) => true, () = at(Instant::now() + LONG) => false });
        value.set(1).unwrap();
        assert!(select! { _ = ready(&event) => false, _ = ready(&value) => true });
        event.set();
        assert!(select! { _ = ready(&event) => true, _ = ready(&value) => false });
    });
}

#[test]
fn the_first_that_is_ready_is_taken_and_else_if_none_is() {
    on_a_hub("preference", || {
        let ((a, first), (b, second)) = (unbounded(), unbounded());
        for number in 0..3 {
            a.send(number).unwrap();
            b.send(number).unwrap();
        }
        let mut got = Vec::new();
        loop {
            select! {
                number = recv(&first) => got.push((1, number.unwrap())),
                number = recv(&second) => got.push((2, number.unwrap())),
                else => break,
            }
        }
        assert_eq!(got, [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)]);
        drop(b);
        let end = select! { got = recv(&first) => got, got = recv(&second) => got };
        assert_eq!(end, Err(RecvError));
        drop(second);
    });
}

#[test]
fn after_a_block_the_comma_may_be_left_out() {
    on_a_hub("commas", || {
        let (sender, receiver) = bounded(1);
        let stop = Event::new();
        let choose = || {
            select! {
                () = ready(&stop) => { 's' }
                message = recv(&receiver) => {
                    message.unwrap()
                }
                else => { 'e' }
            }
        };
        assert_eq!(choose(), 'e');
        sender.send('m').unwrap();
        assert_eq!(choose(), 'm');
        stop.set();
        assert_eq!(choose(), 's');
        let last = select! {
            () = ready(&stop) => 1,
            () = after(SHORT) => { 2 }
        };
        assert_eq!(last, 1);
    });
}

type Step = Box<dyn FnOnce()>;

/// Of each: what is there already, what comes while it waits, and that the other branches have no effect.
#[test]
fn what_many_receive_and_what_is_taken_are_branches_too() {
    on_a_hub("receivers", || {
        let (news, mut receiver) = broadcast::channel(4);
        let (answer, mut question) = oneshot::channel();
        let (state, mut follower) = watch::channel(0);
        let (queue, notify, semaphore) = (
            Rc::new(Queue::<u8>::new()),
            Rc::new(Notify::new()),
            Rc::new(Semaphore::new(0)),
        );
        let mut choose = || {
            select! {
                message = recv(&mut receiver) => format!("news {message:?}"),
                answer = recv(&mut question) => format!("answer {answer:?}"),
                value = changed(&mut follower) => format!("value {value:?}"),
                item = recv(&*queue) => format!("item {item:?}"),
                () = notified(&notify) => "notified".to_owned(),
                permit = acquire(&semaphore) => {
                    permit.forget();
                    "permit".to_owned()
                }
                () = after(LONG) => unreachable!()
            }
        };
        let mut answer = Some(answer);
        let mut steps: Vec<(Step, &str)> = Vec::new();
        for _ in 0..2 {
            let (news, queue, notify, semaphore) = (
                news.clone(),
                Rc::clone(&queue),
                Rc::clone(&notify),
                Rc::clone(&semaphore),
            );
            steps.push((Box::new(move || semaphore.add(1)), "permit"));
            steps.push((Box::new(move || notify.notify_one()), "notified"));
            steps.push((Box::new(move || queue.put(7).unwrap()), "item Ok(7)"));
            steps.push((
                Box::new(move || assert_eq!(news.send('n'), Ok(1))),
                "news Ok('n')",
            ));
        }
        let (other, others) = (state.clone(), state.clone());
        steps.push((Box::new(move || other.send(8).unwrap()), "value Ok(8)"));
        steps.push((
            Box::new(move || others.modify(|value| *value += 1)),
            "value Ok(9)",
        ));
        for (number, (step, expected)) in steps.into_iter().enumerate() {
            if number % 2 == 0 {
                step();
                assert_eq!(choose(), expected);
            } else {
                let stepping = spawn(step);
                assert_eq!(choose(), expected);
                stepping.join().unwrap();
            }
        }
        let sending = spawn({
            let answer = answer.take();
            move || answer.unwrap().send('a').unwrap()
        });
        assert_eq!(choose(), "answer Ok('a')");
        sending.join().unwrap();
        assert_eq!(choose(), "answer Err(RecvError)");
    });
}

#[test]
fn a_receiver_in_a_select_is_told_that_its_senders_are_gone() {
    on_a_hub("gone", || {
        for is_there in [false, true] {
            let (news, mut receiver) = broadcast::channel::<u8>(1);
            let (state, mut follower) = watch::channel(0);
            let (answer, mut question) = oneshot::channel::<u8>();
            let queue = Arc::new(Queue::<u8>::new());
            let gone: [Step; 4] = [
                Box::new(|| drop(news)),
                Box::new(|| drop(state)),
                Box::new(|| drop(answer)),
                Box::new({
                    let queue = Arc::clone(&queue);
                    move || queue.close()
                }),
            ];
            for (number, gone) in gone.into_iter().enumerate() {
                let fiber = match is_there {
                    true => {
                        gone();
                        spawn(|| ())
                    }
                    false => spawn(gone),
                };
                let told = match number {
                    0 => {
                        select! { news = recv(&mut receiver) => news == Err(broadcast::RecvError::Closed) }
                    }
                    1 => select! { state = changed(&mut follower) => state == Err(RecvError) },
                    2 => select! { answer = recv(&mut question) => answer == Err(RecvError) },
                    _ => select! { item = recv(&*queue) => item == Err(RecvError) },
                };
                assert!(told, "{number}");
                fiber.join().unwrap();
            }
        }
    });
}

#[test]
fn a_slow_receiver_in_a_select_is_told_what_it_missed() {
    on_a_hub("lagged", || {
        let (news, mut receiver) = broadcast::channel(2);
        (0..5).for_each(|number| assert_eq!(news.send(number), Ok(1)));
        let mut next = || select! { message = recv(&mut receiver) => message };
        assert_eq!(next(), Err(broadcast::RecvError::Lagged(3)));
        assert_eq!([next(), next()], [Ok(3), Ok(4)]);
    });
}

#[test]
fn the_first_of_any_number_of_branches_is_taken() {
    on_a_hub("first", || {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..100).map(|_| unbounded()).unzip();
        let branches: Vec<_> = receivers.iter().map(kapok::sync::select::recv).collect();
        for number in [99, 0, 50] {
            let sending = spawn({
                let sender = senders[number].clone();
                move || sender.send(number).unwrap()
            });
            assert_eq!(first_of(&branches), (number, Ok(number)));
            sending.join().unwrap();
        }
        senders[7].send(1).unwrap();
        senders[3].send(2).unwrap();
        assert_eq!(
            [first_of(&branches), first_of(&branches)],
            [(3, Ok(2)), (7, Ok(1))]
        );
        assert_eq!(timeout(SHORT, || first_of(&branches)), Err(kapok::TimedOut));
        assert!(receivers.iter().all(|receiver| receiver.is_empty()));
    });
}

/// Selects that want one permit wait among those that want several; each is decided now here and now elsewhere.
#[test]
fn permits_taken_by_selects_and_in_numbers_are_counted_right() {
    const PERMITS: usize = 5;
    let _watchdog = Watchdog::new("permits");
    let semaphore = Arc::new(Semaphore::new(PERMITS));
    let (other, used) = (Arc::new(Semaphore::new(1)), Arc::new(AtomicUsize::new(0)));
    let threads: Vec<_> = (0..4)
        .map(|thread: usize| {
            let (semaphore, other, used) = (
                Arc::clone(&semaphore),
                Arc::clone(&other),
                Arc::clone(&used),
            );
            std::thread::spawn(move || {
                kapok::run(|| {
                    let fibers: Vec<_> = (0..20)
                        .map(|fiber| {
                            let (semaphore, other, used) = (
                                Arc::clone(&semaphore),
                                Arc::clone(&other),
                                Arc::clone(&used),
                            );
                            spawn(move || {
                                for turn in 0..50 {
                                    let count = (thread + fiber + turn) % 4;
                                    let (count, _permit, _other) = match count {
                                        0 | 1 => select! {
                                            permit = acquire(&other) => (0, None, Some(permit)),
                                            permit = acquire(&semaphore) => (1, Some(permit), None),
                                        },
                                        _ => (count, Some(semaphore.acquire_many(count)), None),
                                    };
                                    let now = used.fetch_add(count, Ordering::SeqCst) + count;
                                    assert!(now <= PERMITS, "{now}");
                                    yield_now();
                                    used.fetch_sub(count, Ordering::SeqCst);
                                }
                            })
                        })
                        .collect();
                    fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
                })
            })
        })
        .collect();
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    assert_eq!((semaphore.available(), other.available()), (PERMITS, 1));
}

#[test]
fn a_branch_that_is_none_is_never_ready() {
    on_a_hub("options", || {
        let (sender, receiver) = unbounded();
        sender.send(1).unwrap();
        for is_wanted in [false, true] {
            let time = (!is_wanted).then(|| kapok::sync::select::after(SHORT));
            let mut nothing = None;
            let taken = select! {
                got = is_wanted.then(|| recv(&receiver)) => got.unwrap(),
                sent = send(&sender, &mut nothing) => { sent.unwrap(); 3 },
                () = time => 2,
            };
            assert_eq!(taken, if is_wanted { 1 } else { 2 });
        }
    });
}

#[test]
fn both_ends_of_one_rendezvous_channel_do_not_match_themselves() {
    on_a_hub("both ends", || {
        let (sender, receiver) = bounded(0);
        let turns = Rc::new(Cell::new(0));
        let meets = move |own: usize, turns: &Cell<usize>| {
            let mut message = Some(own);
            turns.set(turns.get() + 1);
            select! {
                got = recv(&receiver) => (message, got.ok()),
                sent = send(&sender, &mut message) => { sent.unwrap(); (None, None) },
                () = after(SHORT) => (message, None),
            }
        };
        let start = Instant::now();
        assert_eq!(meets(7, &turns), (Some(7), None), "nobody else is there");
        assert!(start.elapsed() >= SHORT);
        let pair = waiting(2, {
            let turns = Rc::clone(&turns);
            move |number| meets(number, &turns)
        });
        let mut met = join_all(pair);
        met.sort();
        // One gave and kept nothing, the other got it and kept its own.
        assert!(
            met == [(None, None), (Some(0), Some(1))] || met == [(None, None), (Some(1), Some(0))]
        );
    });
}

#[test]
fn a_message_that_was_not_sent_is_still_there() {
    on_a_hub("kept", || {
        let living = Living::default();
        let (sender, receiver) = bounded(0);
        let mut message = Some(living.one(3));
        for _ in 0..3 {
            select! {
                _ = send(&sender, &mut message) => unreachable!(),
                () = after(Duration::from_millis(1)) => (),
            }
            assert_eq!(
                (message.as_ref().map(|life| life.1), living.count()),
                (Some(3), 1)
            );
        }
        select! { _ = send(&sender, &mut message) => unreachable!(), else => () }
        assert!(message.is_some());
        let late = timeout(SHORT, || {
            select! { _ = send(&sender, &mut message) => unreachable!(), () = after(LONG) => () }
        });
        assert!(
            late.is_err() && message.is_some(),
            "a timeout gives it back"
        );
        drop(receiver);
        let back =
            select! { sent = send(&sender, &mut message) => sent, () = after(LONG) => Ok(()) };
        assert!(matches!(back, Err(SendError(life)) if life.1 == 3));
        assert!(message.is_none() && living.count() == 0);
    });
}

#[test]
fn a_receiver_that_goes_while_a_select_waits_gives_the_message_back() {
    on_a_hub("gone", || {
        let (sender, receiver) = bounded(0);
        let (_other, never) = unbounded::<u8>();
        let waits = waiting(2, move |number| {
            let mut message = Some(number);
            let sent = select! {
                _ = recv(&never) => unreachable!(),
                sent = send(&sender, &mut message) => sent,
            };
            (sent, message)
        });
        drop(receiver);
        let back = [0, 1].map(|number| (Err(SendError(number)), None));
        assert_eq!(join_all(waits), back);
    });
}

#[test]
fn a_cancel_or_a_timeout_in_a_select_leaves_nothing_behind() {
    on_a_hub("leaves", || {
        let living = Rc::new(Living::default());
        let (sender, receiver) = bounded(0);
        let event = Rc::new(Event::new());
        let (other, others) = unbounded();
        for round in 0..50 {
            let waits = waiting(4, {
                let (sender, receiver) = (sender.clone(), receiver.clone());
                let (event, living, others) =
                    (Rc::clone(&event), Rc::clone(&living), others.clone());
                move |number| {
                    // Not both ends in the same fiber, and only receivers of what nobody sends.
                    let mut message = Some(living.one(number));
                    let mut wait = || match number {
                        0 => select! {
                            () = ready(&*event) => (),
                            _ = send(&sender, &mut message) => (),
                            _ = recv(&others) => (),
                        },
                        _ => {
                            drop(receiver.clone());
                            select! { () = ready(&*event) => (), _ = recv(&others) => () }
                        }
                    };
                    if number == 1 {
                        assert!(timeout(Duration::from_micros(100), &mut wait).is_err());
                    } else {
                        wait();
                    }
                }
            });
            for fiber in waits.iter().filter(|_| round % 2 == 0) {
                fiber.cancel();
            }
            settle();
            if round % 2 == 0 {
                drop(waits);
                settle();
                assert!(receiver.try_recv().is_err(), "its sender is gone");
                // All its receivers are gone: it stays in the channel.
                other.send(1).unwrap();
                assert_eq!(others.try_recv(), Ok(1));
            } else {
                while !waits[1].is_finished() {
                    yield_now();
                }
                event.set();
                join_all(waits);
                event.clear();
            }
            assert_eq!(living.count(), 0);
        }
    });
}

#[test]
fn bodies_may_leave_the_loop_or_the_function() {
    fn numbers(receiver: &Receiver<u8>, stop: &Event) -> Result<Vec<u8>, RecvError> {
        let mut got = Vec::new();
        loop {
            select! {
                () = ready(stop) => return Ok(got),
                number = recv(receiver) => match number? {
                    0 => break,
                    1 => continue,
                    number => got.push(number),
                },
            }
        }
        got.push(0);
        Ok(got)
    }
    on_a_hub("bodies", || {
        let (sender, receiver) = unbounded();
        let stop = Event::new();
        for number in [5, 1, 6, 0, 7] {
            sender.send(number).unwrap();
        }
        assert_eq!(numbers(&receiver, &stop), Ok(vec![5, 6, 0]));
        drop(sender);
        assert_eq!(numbers(&receiver, &stop), Err(RecvError));
        stop.set();
        assert_eq!(numbers(&receiver, &stop), Ok(vec![]));
    });
}

/// Sends numbers over some channels and receives from others, whichever goes, until it has sent and received so many.
fn face(
    senders: [Sender<usize>; 3],
    receivers: [Receiver<usize>; 3],
    count: usize,
    is_eager_to_send: bool,
) -> Vec<usize> {
    let (mut sent, mut got) = (0, Vec::with_capacity(count));
    let mut message = None;
    while sent < count || got.len() < count {
        if message.is_none() && sent < count {
            message = Some(sent);
        }
        let had = message.is_some();
        let [a, b, c] = &senders;
        let [d, e, f] = &receivers;
        // Which channel comes first changes.
        let (a, b, c) = match sent % 3 {
            0 => (a, b, c),
            1 => (b, c, a),
            _ => (c, a, b),
        };
        let received = if is_eager_to_send {
            let (mut second, mut third) = (None, None);
            select! {
                outcome = send(a, &mut message) => { outcome.unwrap(); None },
                _ = send(b, &mut second) => unreachable!(),
                _ = send(c, &mut third) => unreachable!(),
                got = recv(d) => got.ok(),
                got = recv(e) => got.ok(),
                got = recv(f) => got.ok(),
            }
        } else {
            select! {
                got = recv(f) => got.ok(),
                got = recv(e) => got.ok(),
                got = recv(d) => got.ok(),
                outcome = send(a, &mut message) => { outcome.unwrap(); None }
            }
        };
        sent += usize::from(had && message.is_none());
        got.extend(received);
    }
    got
}

#[test]
fn two_selects_that_face_each_other_lose_and_double_nothing() {
    let _watchdog = Watchdog::new("facing");
    const COUNT: usize = 50_000;
    for capacity in [0, 1] {
        let forth: [_; 3] = std::array::from_fn(|_| bounded(capacity));
        let back: [_; 3] = std::array::from_fn(|_| bounded(capacity));
        let to = forth.each_ref().map(|(sender, _)| sender.clone());
        let from = back.each_ref().map(|(_, receiver)| receiver.clone());
        let thread = std::thread::spawn(move || kapok::run(|| face(to, from, COUNT, true)));
        let to = back.each_ref().map(|(sender, _)| sender.clone());
        let from = forth.each_ref().map(|(_, receiver)| receiver.clone());
        // The other one has no hub.
        let mut there = face(to, from, COUNT, false);
        let mut here = thread.join().unwrap();
        for got in [&mut there, &mut here] {
            got.sort_unstable();
            assert!(got.iter().copied().eq(0..COUNT));
        }
    }
}

#[test]
fn many_selects_on_the_same_channels_lose_and_double_nothing() {
    let _watchdog = Watchdog::new("many");
    const EACH: usize = 300;
    let (a, b) = (bounded::<usize>(0), bounded::<usize>(2));
    let (sent, got) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (sent_sum, got_sum) = (Arc::clone(&sent), Arc::clone(&got));
    let moves = Arc::new(AtomicUsize::new(0));
    super::crowd(2, 20, 2, move |number| {
        for round in 0..EACH {
            let own = super::scramble(number * EACH + round);
            let (mut message, mut other) = (Some(own % 1000), Some(own % 1000));
            let time = Duration::from_micros(own as u64 % 500);
            let received = select! {
                outcome = send(&a.0, &mut message) => { outcome.unwrap(); None },
                got = recv(&a.1) => got.ok(),
                got = recv(&b.1) => got.ok(),
                outcome = (number % 2 == 0).then(|| kapok::sync::select::send(&b.0, &mut other))
                    => { outcome.unwrap(); None },
                () = after(time) => None,
            };
            if message.is_none() || other.is_none() {
                sent.fetch_add(own % 1000 + 1_000_000, Ordering::SeqCst);
            }
            if let Some(received) = received {
                got.fetch_add(received + 1_000_000, Ordering::SeqCst);
            }
            moves.fetch_add(1, Ordering::SeqCst);
        }
        // The last one clears what lies in the channel.
        if moves.load(Ordering::SeqCst) == 42 * EACH {
            for left in b.1.try_iter() {
                got.fetch_add(left + 1_000_000, Ordering::SeqCst);
            }
        }
    });
    assert_eq!(
        sent_sum.load(Ordering::SeqCst),
        got_sum.load(Ordering::SeqCst)
    );
    assert!(sent_sum.load(Ordering::SeqCst) > 1_000_000);
}

#[test]
fn a_loop_of_selects_lets_others_run() {
    on_a_hub("fair", || {
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
        let always = Event::new();
        always.set();
        for _ in 0..10_000 {
            select! { () = ready(&always) => (), () = after(LONG) => unreachable!() }
        }
        assert!(turns.get() >= 50);
    });
}

#[test]
fn a_select_with_sleepers_in_other_fibers_wakes_for_each() {
    on_a_hub("sleepers", || {
        let fibers = [3, 1, 2].map(|time| spawn(move || sleep(Duration::from_millis(time))));
        let [a, b, c] = &fibers;
        let start = Instant::now();
        select! { () = ready(a) => (), () = ready(b) => (), () = ready(c) => () }
        assert!(start.elapsed() >= Duration::from_millis(1));
        assert!(fibers.iter().any(|fiber| fiber.is_finished()));
        for fiber in fibers {
            fiber.join().unwrap();
        }
    });
}
