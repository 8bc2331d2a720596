//! Callbacks for descriptors.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use kapok::io::{CallbackId, Interest, Poller, Readiness};
use kapok::yield_now;

use crate::support::on_a_hub;

/// What was called, in order.
type Log = Rc<RefCell<Vec<&'static str>>>;

fn kind<T: std::fmt::Debug>(result: io::Result<T>) -> io::ErrorKind {
    result.unwrap_err().kind()
}

fn pair() -> (Rc<UnixStream>, UnixStream) {
    let (one, other) = UnixStream::pair().unwrap();
    (Rc::new(one), other)
}

/// A callback that writes its name down.
fn add(
    poller: &Poller,
    log: &Log,
    socket: &UnixStream,
    interest: Interest,
    name: &'static str,
) -> CallbackId {
    let log = Rc::clone(log);
    poller
        .add_callback(socket, interest, move |_, readiness| {
            assert_ne!(readiness.is_readable(), readiness.is_writable());
            assert_eq!(readiness.is_readable(), name.starts_with('r'));
            log.borrow_mut().push(name);
        })
        .unwrap()
}

fn wait_until(condition: impl Fn() -> bool) {
    while !condition() {
        yield_now();
    }
}

/// Lets the poller do its rounds.
fn rounds() {
    for _ in 0..1000 {
        yield_now();
    }
}

// Gruvi 10.
#[test]
fn four_callbacks_on_one_descriptor_are_called_as_it_is_ready_and_in_order() {
    on_a_hub("four callbacks", || {
        let (socket, mut peer) = pair();
        let (poller, log) = (Poller::new().unwrap(), Log::default());
        let r1 = add(&poller, &log, &socket, Interest::Readable, "r1");
        let r2 = add(&poller, &log, &socket, Interest::Readable, "r2");
        let w1 = add(&poller, &log, &socket, Interest::Writable, "w1");
        let w2 = add(&poller, &log, &socket, Interest::Writable, "w2");
        wait_until(|| log.borrow().len() >= 20);
        let writers = log.take();
        assert!(writers.chunks_exact(2).all(|round| round == ["w1", "w2"]));

        peer.write_all(b"x").unwrap();
        wait_until(|| log.borrow().iter().filter(|name| **name == "r1").count() >= 5);
        let all = log.take();
        let first = all.iter().position(|name| *name == "r1").unwrap();
        assert!(all[..first].iter().all(|name| name.starts_with('w')));
        assert!(
            all[first..]
                .chunks_exact(4)
                .all(|round| round == ["r1", "r2", "w1", "w2"])
        );

        // Silenced one after the other, until nobody is left.
        poller.update_callback(w1, Interest::None).unwrap();
        poller.update_callback(r2, Interest::None).unwrap();
        log.take();
        wait_until(|| log.borrow().len() >= 8);
        assert!(
            log.take()
                .chunks_exact(2)
                .all(|round| round == ["r1", "w2"])
        );
        (&*socket).read_exact(&mut [0]).unwrap();
        poller.update_callback(w2, Interest::None).unwrap();
        log.take();
        rounds();
        assert!(log.borrow().is_empty());
        // And heard again.
        poller.update_callback(r2, Interest::Readable).unwrap();
        poller.remove_callback(r1).unwrap();
        peer.write_all(b"y").unwrap();
        wait_until(|| log.borrow().len() >= 3);
        assert!(log.take().iter().all(|name| *name == "r2"));

        assert_eq!(kind(poller.remove_callback(r1)), io::ErrorKind::NotFound);
        assert_eq!(
            kind(poller.update_callback(r1, Interest::Both)),
            io::ErrorKind::NotFound
        );
        poller.close();
        poller.close();
        rounds();
        assert!(log.borrow().is_empty());
        assert_eq!(
            kind(poller.remove_callback(r2)),
            io::ErrorKind::NotConnected
        );
        assert_eq!(
            kind(poller.update_callback(w1, Interest::Both)),
            io::ErrorKind::NotConnected
        );
        assert_eq!(
            kind(poller.add_callback(&*socket, Interest::Both, |_, _| ())),
            io::ErrorKind::NotConnected
        );
    });
}

#[test]
fn an_idle_poller_sleeps_and_wakes_for_each_descriptor() {
    on_a_hub("idle poller", || {
        let (poller, sum) = (Poller::new().unwrap(), Rc::new(Cell::new(0)));
        let mut peers: Vec<_> = (0..50)
            .map(|_| {
                let (socket, peer) = pair();
                let (reader, sum) = (Rc::clone(&socket), Rc::clone(&sum));
                let callback = move |_: &_, _| {
                    let mut byte = [0];
                    (&*reader).read_exact(&mut byte).unwrap();
                    sum.set(sum.get() + u32::from(byte[0]));
                };
                poller
                    .add_callback(&*socket, Interest::Readable, callback)
                    .unwrap();
                peer
            })
            .collect();
        for round in 1..=4_u8 {
            // The hub has nothing to do and waits for events.
            kapok::sleep(Duration::from_millis(5));
            let before = sum.get();
            for peer in &mut peers {
                peer.write_all(&[round, round]).unwrap();
            }
            wait_until(|| sum.get() == before + 100 * u32::from(round));
        }
    });
}

#[test]
fn the_end_of_a_stream_is_readable_and_its_callback_removes_itself() {
    on_a_hub("end", || {
        let (socket, peer) = pair();
        let (poller, calls) = (Poller::new().unwrap(), Rc::new(Cell::new(0)));
        let dropped = Rc::new(());
        let id = Rc::new(Cell::new(None));
        let callback = {
            let (reader, calls, owned) =
                (Rc::clone(&socket), Rc::clone(&calls), Rc::clone(&dropped));
            let id = Rc::clone(&id);
            move |poller: &Poller, readiness: Readiness| {
                let _ = &owned;
                assert!(readiness.is_readable());
                assert_eq!((&*reader).read(&mut [0]).unwrap(), 0);
                calls.set(calls.get() + 1);
                assert_eq!(id.get(), Some(readiness.callback()));
                poller.remove_callback(readiness.callback()).unwrap();
            }
        };
        id.set(Some(
            poller
                .add_callback(&*socket, Interest::Readable, callback)
                .unwrap(),
        ));
        drop(peer);
        wait_until(|| Rc::strong_count(&dropped) == 1);
        rounds();
        assert_eq!(calls.get(), 1);
        let id = id.get().unwrap();
        assert_eq!(kind(poller.remove_callback(id)), io::ErrorKind::NotFound);
    });
}

#[test]
fn a_callback_may_remove_and_add_others_and_close_the_poller() {
    on_a_hub("changes", || {
        let (socket, _peer) = pair();
        let (poller, log) = (Poller::new().unwrap(), Log::default());
        let victim = Rc::new(Cell::new(None));
        let (target, known, copy) = (Rc::clone(&victim), Rc::clone(&log), Rc::clone(&socket));
        let callback = move |poller: &Poller, readiness: Readiness| {
            poller.remove_callback(target.take().unwrap()).unwrap();
            poller.remove_callback(readiness.callback()).unwrap();
            let known = Rc::clone(&known);
            let last = move |poller: &Poller, _: Readiness| {
                known.borrow_mut().push("w last");
                poller.close();
            };
            poller
                .add_callback(&*copy, Interest::Writable, last)
                .unwrap();
        };
        poller
            .add_callback(&*socket, Interest::Writable, callback)
            .unwrap();
        victim.set(Some(add(
            &poller,
            &log,
            &socket,
            Interest::Writable,
            "w victim",
        )));
        wait_until(|| !log.borrow().is_empty());
        rounds();
        assert_eq!(*log.borrow(), ["w last"]);
        assert_eq!(Rc::strong_count(&log), 1, "all callbacks are dropped");
        assert!(
            poller
                .add_callback(&*socket, Interest::None, |_, _| ())
                .is_err()
        );
    });
}

#[test]
fn a_callback_that_panics_is_told_and_the_others_go_on() {
    on_a_hub("panic", || {
        let (socket, _peer) = pair();
        let (poller, log) = (Poller::new().unwrap(), Log::default());
        let calls = Rc::new(Cell::new(0));
        let counted = Rc::clone(&calls);
        let bad = poller
            .add_callback(&*socket, Interest::Writable, move |_, _| {
                counted.set(counted.get() + 1);
                panic!("a bad {}", "callback");
            })
            .unwrap();
        let switching = poller
            .add_callback(&*socket, Interest::Both, |_, _| yield_now())
            .unwrap();
        add(&poller, &log, &socket, Interest::Writable, "w");
        wait_until(|| log.borrow().len() >= 10);
        assert_eq!(calls.get(), 1);
        assert_eq!(Rc::strong_count(&calls), 1, "what it owned is dropped");
        let error = poller.update_callback(bad, Interest::Writable).unwrap_err();
        assert!(error.to_string().contains("a bad callback"), "{error}");
        let error = poller.remove_callback(bad).unwrap_err();
        assert!(error.to_string().contains("a bad callback"), "{error}");
        assert_eq!(kind(poller.remove_callback(bad)), io::ErrorKind::NotFound);
        let error = poller.remove_callback(switching).unwrap_err();
        assert!(error.to_string().contains("yield_now"), "{error}");
    });
}

#[test]
fn callbacks_are_dropped_with_the_poller_and_when_the_hub_is_drained() {
    on_a_hub("dropped", || {
        let (socket, _peer) = pair();
        let (poller, log) = (Poller::new().unwrap(), Log::default());
        add(&poller, &log, &socket, Interest::Readable, "r");
        yield_now();
        drop(poller);
        wait_until(|| Rc::strong_count(&log) == 1);

        // One that holds its own poller is freed by closing it.
        let (poller, held) = (Rc::new(Poller::new().unwrap()), Rc::new(()));
        let (own, owned) = (Rc::clone(&poller), Rc::clone(&held));
        poller
            .add_callback(&*socket, Interest::Readable, move |_, _| {
                let _ = (&own, &owned);
            })
            .unwrap();
        poller.close();
        wait_until(|| Rc::strong_count(&held) == 1);
        assert_eq!(Rc::strong_count(&poller), 1);

        // Nobody ends this one but the drain of its hub, which leaves it closed.
        let forgotten = std::thread::spawn(move || {
            let log = Log::default();
            let poller = kapok::run(|| {
                let poller = Poller::new().unwrap();
                add(&poller, &log, &socket_of_its_own(), Interest::Readable, "r");
                yield_now();
                poller
            });
            assert_eq!(Rc::strong_count(&log), 1);
            kind(poller.add_callback(io::stdin(), Interest::None, |_, _| ()))
        });
        let kind = kapok::unblock(move || forgotten.join().unwrap()).unwrap();
        assert_eq!(kind, io::ErrorKind::NotConnected);
    });
}

fn socket_of_its_own() -> UnixStream {
    UnixStream::pair().unwrap().0
}

#[test]
fn a_file_is_refused_and_a_closed_number_is_not_mistaken() {
    on_a_hub("numbers", || {
        let poller = Poller::new().unwrap();
        let file = File::open("Cargo.toml").unwrap();
        let error = poller
            .add_callback(&file, Interest::Readable, |_, _| ())
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);

        let log = Log::default();
        let (socket, mut peer) = pair();
        add(&poller, &log, &socket, Interest::Readable, "r old");
        // Its number is free for the next one, which nobody watches.
        drop(socket);
        let (_next, mut next_peer) = pair();
        next_peer.write_all(b"x").unwrap();
        rounds();
        assert!(log.borrow().is_empty());
        peer.write_all(b"x").unwrap();
        wait_until(|| !log.borrow().is_empty());
    });
}
