//! Waits in lists that threads share, where the models beside their code do not reach: fibers, hubs that are made meanwhile.
//! `tests/run` gives those of threads without a hub to Miri too, where it is installed.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use kapok::sync::{Condvar, Event, Mutex, Semaphore, Waitable, channel, wait};
use kapok::{run, spawn, timeout, yield_now};

use crate::support::{Watchdog, on_a_hub};

#[test]
fn an_event_that_is_set_and_cleared_ends_a_wait_for_several_objects() {
    on_a_hub("set and cleared", || {
        let event = Rc::new(Event::new());
        let waiting = spawn({
            let event = Rc::clone(&event);
            move || {
                let objects: [&dyn Waitable; 1] = [&*event];
                wait(&objects, 1)
            }
        });
        yield_now();
        event.set();
        event.clear();
        assert_eq!(waiting.join().unwrap(), [0]);
    });
}

#[test]
fn a_wait_with_a_timeout_ends_on_a_thread_that_gets_its_hub_meanwhile() {
    let _watchdog = Watchdog::new("hub meanwhile");
    let thread = std::thread::spawn(|| {
        let (number, changed) = (Mutex::new(0), Condvar::new());
        let condition = |_: &mut u32| {
            spawn(|| ()).join().unwrap();
            true
        };
        let short = Duration::from_millis(1);
        let waited = changed.wait_timeout_while(number.lock().unwrap(), short, condition);
        waited.unwrap().1.timed_out()
    });
    assert!(thread.join().unwrap());
}

/// Fibers of two hubs and two threads that send and receive with timeouts and cancels about as long as a grant takes.
#[test]
fn each_message_is_received_once_or_comes_back_when_timeouts_race_with_grants() {
    const ROUNDS: u64 = 2_000;
    let _watchdog = Watchdog::new("timeouts race");
    let (sender, receiver) = channel::bounded::<Box<u64>>(0);
    let moved =
        |sender: &channel::Sender<Box<u64>>, receiver: &channel::Receiver<Box<u64>>, seed: u64| {
            let (mut balance, mut random) = (0_i64, 0x9E37_79B9_7F4A_7C15_u64 ^ seed);
            for round in 0..ROUNDS {
                random = random.rotate_left(13).wrapping_mul(5) ^ round;
                let time = Duration::from_nanos(random % 3_000);
                balance += match random >> 60 {
                    0..4 => i64::from(sender.send_timeout(Box::new(round), time).is_ok()),
                    4..8 => -i64::from(receiver.recv_timeout(time).is_ok()),
                    8..11 => -i64::from(timeout(time, || receiver.recv().map(drop)).is_ok()),
                    _ => {
                        let mut message = Some(Box::new(round));
                        kapok::select! {
                            sent = send(sender, &mut message) => sent.map(|()| 1).unwrap(),
                            received = recv(receiver) => received.map(|_| -1).unwrap(),
                            () = after(time) => 0,
                        }
                    }
                };
            }
            balance
        };
    let threads: Vec<_> = (0..4_u64)
        .map(|number| {
            let both = Arc::new((sender.clone(), receiver.clone()));
            std::thread::spawn(move || {
                run(|| {
                    let fibers = [0, 1, 2].map(|fiber| {
                        let both = Arc::clone(&both);
                        spawn(move || moved(&both.0, &both.1, number * 3 + fiber))
                    });
                    fibers
                        .map(|fiber| fiber.join().unwrap())
                        .iter()
                        .sum::<i64>()
                })
            })
        })
        .collect();
    let balances = threads.into_iter().map(|thread| thread.join().unwrap());
    assert_eq!(balances.sum::<i64>(), 0, "as many received as sent");
}

/// Few under Miri, which is slow and tries other schedules instead.
const THREAD_ROUNDS: u32 = if cfg!(miri) { 3 } else { 1_000 };

fn short() -> Duration {
    Duration::from_micros(if cfg!(miri) { 50 } else { 1 })
}

#[test]
fn threads_without_a_hub_hand_a_lock_over_or_time_out() {
    let _watchdog = Watchdog::new("threads lock");
    let count = Arc::new(Mutex::new(0));
    let threads = [(); 3].map(|()| {
        let count = Arc::clone(&count);
        std::thread::spawn(move || {
            let mut had = 0;
            for _ in 0..THREAD_ROUNDS {
                let mut guard = count.lock().unwrap();
                std::thread::yield_now();
                *guard += 1;
                drop(guard);
                had += 1;
                if let Ok(mut guard) = count.lock_timeout(short()) {
                    *guard += 1;
                    had += 1;
                }
            }
            had
        })
    });
    let had = threads.map(|thread| thread.join().unwrap());
    assert_eq!(*count.lock().unwrap(), had.iter().sum::<u32>());
}

#[test]
fn threads_without_a_hub_receive_what_was_sent_in_time() {
    let _watchdog = Watchdog::new("threads send");
    for room in [0, 1] {
        let (sender, receiver) = channel::bounded::<Box<u32>>(room);
        let senders = [(); 2].map(|()| {
            let sender = sender.clone();
            std::thread::spawn(move || {
                let timed = |number| sender.send_timeout(Box::new(number), short()).is_ok();
                let sent = (0..THREAD_ROUNDS).filter(|number| timed(*number)).count();
                sender.send(Box::new(0)).unwrap();
                sent + 1
            })
        });
        drop(sender);
        let mut received = 0;
        while !receiver.is_disconnected() || !receiver.is_empty() {
            received += usize::from(receiver.recv_timeout(short()).is_ok());
        }
        let sent = senders.map(|thread| thread.join().unwrap());
        assert_eq!(received, sent.iter().sum::<usize>());
    }
}

#[test]
fn threads_without_a_hub_wait_for_several_things() {
    let _watchdog = Watchdog::new("threads select");
    let (senders, receivers): (Vec<_>, Vec<_>) =
        [0, 1].map(channel::bounded::<Box<u32>>).into_iter().unzip();
    let stop = Arc::new((Event::new(), Semaphore::new(0)));
    let threads: Vec<_> = (senders.into_iter())
        .map(|sender| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                for number in 0..THREAD_ROUNDS {
                    sender.send(Box::new(number)).unwrap();
                }
                stop.1.add(1);
                wait(&[&stop.0, &stop.0], 2).len()
            })
        })
        .collect();
    let mut received = 0;
    while received < 2 * THREAD_ROUNDS {
        received += kapok::select! {
            message = recv(&receivers[0]) => message.map(|_| 1).unwrap(),
            message = recv(&receivers[1]) => message.map(|_| 1).unwrap(),
            () = after(short()) => 0,
        };
    }
    drop(stop.1.acquire_many(2));
    stop.0.set();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), 2);
    }
}
