//! `select!` over a child in a foreign crate, a channel, and the time.

use std::rc::Rc;
use std::time::Duration;

use kapok::sync::{Event, channel};
use rustls::version::TLS13;

use crate::peers::{Peer, Stop, exchange, exchange_well, wait_for_the_rest};
use crate::support::{Count, LONG, Tls, alone};

#[test]
fn the_time_wins_and_the_child_is_cancelled() {
    alone("the_time_wins", || {
        let tls = Tls::new(&TLS13);
        let count = Count::new(&tls);
        let (_sender, receiver) = channel::unbounded::<()>();
        for stop in Stop::ALL {
            let (stream, peer) = Peer::new(&count, &tls, stop);
            let child = kapok::spawn({
                let tls = tls.clone();
                move || wait_for_the_rest(&tls, stop, stream)
            });
            peer.wait_until_stopped();
            kapok::select! {
                () = ready(&child) => panic!("{stop:?}: the child won"),
                _ = recv(&receiver) => panic!("{stop:?}: the channel won"),
                () = after(Duration::from_millis(5)) => child.cancel(),
            }
            assert!(child.join().unwrap_err().is_cancelled());
            peer.join();
            count.assert_nothing_left();
            exchange_well(&count, &tls);
        }
    });
}

#[test]
fn a_message_wins_and_the_child_is_cancelled() {
    alone("a_message_wins", || {
        let tls = Tls::new(&TLS13);
        let count = Count::new(&tls);
        for stop in Stop::ALL {
            let (sender, receiver) = channel::unbounded();
            let (stream, peer) = Peer::new(&count, &tls, stop);
            let child = kapok::spawn({
                let tls = tls.clone();
                move || wait_for_the_rest(&tls, stop, stream)
            });
            let sending = kapok::spawn(move || {
                peer.wait_until_stopped();
                sender.send("enough").unwrap();
                peer
            });
            kapok::select! {
                () = ready(&child) => panic!("{stop:?}: the child won"),
                message = recv(&receiver) => assert_eq!(message, Ok("enough")),
                () = after(LONG) => panic!("{stop:?}: the time won"),
            }
            child.cancel();
            assert!(child.join().unwrap_err().is_cancelled());
            sending.join().unwrap().join();
            count.assert_nothing_left();
        }
    });
}

#[test]
fn the_child_wins_and_brings_its_result() {
    alone("the_child_wins", || {
        let tls = Tls::new(&TLS13);
        let count = Rc::new(Count::new(&tls));
        let (_sender, receiver) = channel::unbounded::<()>();
        let begin = Rc::new(Event::new());
        let child = kapok::spawn({
            let (count, tls, begin) = (Rc::clone(&count), tls.clone(), Rc::clone(&begin));
            move || exchange(&count, &tls, &begin)
        });
        // The child is in its handshake, then all three are waited for, then the peer begins.
        kapok::yield_now();
        assert!(!child.is_finished());
        drop(kapok::spawn(move || begin.set()));
        kapok::select! {
            () = ready(&child) => {},
            _ = recv(&receiver) => panic!("the channel won"),
            () = after(LONG) => panic!("the time won"),
        }
        assert_eq!(child.join().unwrap(), "how are you?");
        count.assert_nothing_left();
    });
}
