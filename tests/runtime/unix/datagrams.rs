//! Datagrams: room for them, and who gets them.

use std::io::{self};
use std::rc::Rc;
use std::time::Duration;

use kapok::net::UnixDatagram;
use kapok::{spawn, yield_now};

use super::{Folder, SHORT, abstract_name, kind};
use crate::support::on_a_hub;

#[test]
fn thousands_of_datagrams_go_to_a_peer_that_is_slower() {
    const COUNT: u32 = 3_000;
    on_a_hub("unix datagrams", || {
        // Of a pair, and one that knows its peer but is not known to it: the system counts what is under way in two ways.
        let (one, other) = UnixDatagram::pair().unwrap();
        let address = abstract_name();
        let named = UnixDatagram::bind_addr(&address).unwrap();
        let unknown = UnixDatagram::unbound().unwrap();
        unknown.connect_addr(&address).unwrap();
        for (one, other) in [(one, other), (unknown, named)] {
            let sender = spawn(move || {
                for number in 0..COUNT {
                    assert_eq!(one.send(&number.to_be_bytes()).unwrap(), 4);
                }
            });
            let mut buffer = [0; 8];
            for number in 0..COUNT {
                assert_eq!(other.recv(&mut buffer).unwrap(), 4);
                assert_eq!(buffer[..4], number.to_be_bytes());
            }
            sender.join().unwrap();
        }
    });
}

#[test]
fn sending_to_a_path_waits_for_room_there() {
    on_a_hub("send_to", || {
        let folder = Folder::new();
        let receiver = UnixDatagram::bind(folder.socket()).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        let path = folder.socket();
        let sending = spawn(move || {
            for number in 0..200_u32 {
                sender.send_to(&number.to_be_bytes(), &path).unwrap();
            }
            sender.set_write_timeout(Some(SHORT)).unwrap();
            let full = loop {
                if let Err(error) = sender.send_to(b"full", &path) {
                    break error;
                }
            };
            full.kind()
        });
        let mut buffer = [0; 8];
        for number in 0..200_u32 {
            let (length, from) = receiver.recv_from(&mut buffer).unwrap();
            assert!(from.is_unnamed());
            assert_eq!(buffer[..length], number.to_be_bytes());
        }
        assert_eq!(sending.join().unwrap(), io::ErrorKind::TimedOut);
        let address = abstract_name();
        let named = UnixDatagram::bind_addr(&address).unwrap();
        receiver.connect_addr(&address).unwrap();
        receiver.send(b"hello").unwrap();
        assert_eq!(named.recv(&mut buffer).unwrap(), 5);
        let nobody = UnixDatagram::unbound().unwrap();
        assert_eq!(
            kind(nobody.send_to(b"x", folder.0.join("nobody"))),
            io::ErrorKind::NotFound
        );
    });
}

#[test]
fn a_datagram_that_finds_no_room_holds_up_none_to_another_receiver() {
    on_a_hub("two receivers", || {
        let (near, far) = (abstract_name(), abstract_name());
        let receiver = UnixDatagram::bind_addr(&near).unwrap();
        let _deaf = UnixDatagram::bind_addr(&far).unwrap();
        for name in [&near, &far] {
            let others = UnixDatagram::unbound().unwrap();
            others
                .set_write_timeout(Some(Duration::from_millis(1)))
                .unwrap();
            while others.send_to_addr(b"x", name).is_ok() {}
        }
        let socket = Rc::new(UnixDatagram::unbound().unwrap());
        socket.connect_addr(&near).unwrap();
        let shared = Rc::clone(&socket);
        let to_far = spawn(move || shared.send_to_addr(b"far", &far));
        yield_now();
        let to_near = spawn(move || socket.send(b"near"));
        yield_now();
        while receiver.recv(&mut [0; 8]).unwrap() != 4 {}
        assert_eq!(to_near.join().unwrap().unwrap(), 4);
        to_far.cancel();
        assert!(to_far.join().unwrap_err().is_cancelled());
    });
}
