//! Children in the middle of a handshake or a read, whose scope ends.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use kapok::TimedOut;
use rustls::version::TLS13;

use crate::peers::{Peer, Stop, exchange_well, wait_for_the_rest};
use crate::support::{Count, Tls, alone};

/// What children borrow from their parent's frame. Tells when it goes.
struct Lent {
    text: String,
    events: Rc<RefCell<Vec<&'static str>>>,
}

impl Lent {
    fn new(events: &Rc<RefCell<Vec<&'static str>>>) -> Self {
        Self {
            text: "lent by the parent".to_owned(),
            events: Rc::clone(events),
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.text.clear();
        self.events.borrow_mut().push("the loan is gone");
    }
}

/// What a child owns. Uses what the child borrowed when the child unwinds.
struct Borrower<'a>(&'a Lent);

impl Drop for Borrower<'_> {
    fn drop(&mut self) {
        assert_eq!(self.0.text, "lent by the parent");
        self.0.events.borrow_mut().push("a child unwinds");
    }
}

/// Checks that all children unwound before what they borrowed went, that the peers saw it and that nothing is left.
fn check(count: &Count, tls: &Tls, events: &RefCell<Vec<&'static str>>, peers: Vec<Peer>) {
    let mut expected = vec!["a child unwinds"; Stop::ALL.len()];
    expected.push("the loan is gone");
    assert_eq!(events.take(), expected);
    for peer in peers {
        peer.join();
    }
    count.assert_nothing_left();
    exchange_well(count, tls);
    count.assert_nothing_left();
}

#[test]
fn a_cancelled_parent_takes_children_out_of_foreign_crates() {
    alone("a_cancelled_parent", || {
        let tls = Tls::new(&TLS13);
        let count = Count::new(&tls);
        let events = Rc::default();
        let (streams, peers): (Vec<_>, Vec<_>) = Stop::ALL
            .map(|stop| Peer::new(&count, &tls, stop))
            .into_iter()
            .unzip();
        let parent = kapok::spawn({
            let (tls, events) = (tls.clone(), Rc::clone(&events));
            move || {
                let lent = Lent::new(&events);
                kapok::scope(|scope| {
                    for (stop, stream) in Stop::ALL.into_iter().zip(streams) {
                        let (tls, lent) = (&tls, &lent);
                        drop(scope.spawn(move || {
                            let _borrower = Borrower(lent);
                            wait_for_the_rest(tls, stop, stream);
                        }));
                    }
                });
                unreachable!("the scope does not return by value");
            }
        });
        peers.iter().for_each(Peer::wait_until_stopped);
        assert!(!parent.is_finished());
        parent.cancel();
        assert!(parent.join().unwrap_err().is_cancelled());
        check(&count, &tls, &events, peers);
    });
}

#[test]
fn a_deadline_of_the_parent_takes_children_out_of_foreign_crates() {
    alone("a_deadline_of_the_parent", || {
        let tls = Tls::new(&TLS13);
        let count = Count::new(&tls);
        let events = Rc::default();
        let (streams, peers): (Vec<_>, Vec<_>) = Stop::ALL
            .map(|stop| Peer::new(&count, &tls, stop))
            .into_iter()
            .unzip();
        let lent = Lent::new(&events);
        // Children that have not begun own no borrower yet, so each has its own from the beginning.
        let cut = kapok::timeout(Duration::from_millis(50), || {
            kapok::scope(|scope| {
                for (stop, stream) in Stop::ALL.into_iter().zip(streams) {
                    let (tls, borrower) = (&tls, Borrower(&lent));
                    drop(scope.spawn(move || {
                        let _borrower = borrower;
                        wait_for_the_rest(tls, stop, stream);
                    }));
                }
            });
        });
        assert_eq!(cut, Err(TimedOut));
        drop(lent);
        check(&count, &tls, &events, peers);
    });
}

#[test]
fn a_failing_sibling_takes_children_out_of_foreign_crates() {
    alone("a_failing_sibling", || {
        let tls = Tls::new(&TLS13);
        let count = Count::new(&tls);
        let events = Rc::default();
        let (streams, peers): (Vec<_>, Vec<_>) = Stop::ALL
            .map(|stop| Peer::new(&count, &tls, stop))
            .into_iter()
            .unzip();
        let lent = Lent::new(&events);
        let failed = kapok::task_group(|group| {
            for (stop, stream) in Stop::ALL.into_iter().zip(streams) {
                let (tls, lent) = (&tls, &lent);
                group.spawn(move || {
                    let _borrower = Borrower(lent);
                    wait_for_the_rest(tls, stop, stream);
                    Ok(())
                });
            }
            group.spawn(|| {
                peers.iter().for_each(Peer::wait_until_stopped);
                Err::<(), _>("the sibling failed")
            });
            Ok(())
        });
        assert_eq!(failed, Err("the sibling failed"));
        drop(lent);
        check(&count, &tls, &events, peers);
    });
}
