//! `kapok::timeout`, and the streams' own timeouts.

use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use kapok::TimedOut;
use rustls::version::TLS13;
use tungstenite::{Error, Message};

use crate::peers::{Peer, Stop, URL, exchange_well, wait_for_the_rest};
use crate::support::{Count, Tls, alone, connected, join_soon};

#[test]
fn a_timeout_cuts_a_handshake_or_a_read_off_and_the_fiber_goes_on() {
    alone("a_timeout_cuts_off", || {
        let tls = Tls::new(&TLS13);
        let count = Count::new(&tls);
        for stop in Stop::ALL {
            let mut time = Duration::from_millis(10);
            loop {
                let (stream, peer) = Peer::new(&count, &tls, stop);
                let cut = kapok::timeout(time, || wait_for_the_rest(&tls, stop, stream));
                assert_eq!(cut, Err(TimedOut), "{stop:?}");
                let was_far_enough = peer.has_stopped();
                peer.join();
                count.assert_nothing_left();
                if was_far_enough {
                    break;
                }
                // The machine is slow: this was a timeout, but somewhere before.
                time *= 2;
            }
            exchange_well(&count, &tls);
            count.assert_nothing_left();
        }
    });
}

#[test]
fn a_read_that_meets_the_streams_own_timeout_can_be_called_again() {
    alone("the_streams_own_timeout", || {
        let (client, server) = connected();
        let server = kapok::spawn(move || {
            let mut socket = tungstenite::accept(server).unwrap();
            // A text of 6 bytes, in two parts.
            socket.get_mut().write_all(b"\x81\x06kap").unwrap();
            // The client says when it has waited in vain.
            assert_eq!(socket.read().unwrap(), Message::text("go on"));
            socket.get_mut().write_all(b"oks").unwrap();
            while socket.read().is_ok() {}
        });
        let (mut socket, _) = tungstenite::client(URL, client).unwrap();
        let stream = socket.get_ref();
        stream
            .set_read_timeout(Some(Duration::from_millis(10)))
            .unwrap();
        match socket.read() {
            Err(Error::Io(error)) => assert_eq!(error.kind(), ErrorKind::TimedOut),
            other => panic!("{other:?}"),
        }
        socket.get_ref().set_read_timeout(None).unwrap();
        socket.send(Message::text("go on")).unwrap();
        assert_eq!(socket.read().unwrap(), Message::text("kapoks"));
        drop(socket);
        join_soon("the server", server);
    });
}

#[test]
fn a_tls_connection_outlives_a_read_that_was_cut_off() {
    alone("outlives_a_read", || {
        let tls = Tls::new(&TLS13);
        let count = Count::new(&tls);
        let (client, server) = count.pair();
        let server = kapok::spawn({
            let tls = tls.clone();
            move || {
                let mut stream = tls.accept(server).unwrap();
                let mut record = Vec::new();
                stream.conn.writer().write_all(b"kapok").unwrap();
                while stream.conn.wants_write() {
                    stream.conn.write_tls(&mut record).unwrap();
                }
                let (first, second) = record.split_at(record.len() - 3);
                stream.sock.write_all(first).unwrap();
                // The client says when it was cut off.
                stream.read_exact(&mut [0]).unwrap();
                stream.sock.write_all(second).unwrap();
            }
        });
        let mut stream = tls.connect(client).unwrap();
        let mut answer = [0; 5];
        let cut = kapok::timeout(Duration::from_millis(10), || stream.read_exact(&mut answer));
        assert!(cut.is_err());
        stream.write_all(b".").unwrap();
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"kapok");
        drop(stream);
        join_soon("the server", server);
        count.assert_nothing_left();
    });
}
