//! Streams and listeners: reading, writing, waiting, closing.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use kapok::net::{Connection, Listener, UnixDatagram, UnixListener, UnixStream};
use kapok::{spawn, unblock, yield_now};

use super::{LONG, SHORT, abstract_name, kind};
use crate::support::on_a_hub;

#[test]
fn two_fibers_read_and_write_one_stream_at_once() {
    const BYTES: usize = 1 << 20;
    on_a_hub("unix both ways", || {
        let (client, mut server) = UnixStream::pair().unwrap();
        let echo = spawn(move || {
            let mut buffer = [0; 7000];
            loop {
                match server.read(&mut buffer).unwrap() {
                    0 => return,
                    length => server.write_all(&buffer[..length]).unwrap(),
                }
            }
        });
        let client = Rc::new(client);
        let writer = spawn({
            let client = Rc::clone(&client);
            move || {
                for number in 0..BYTES / 1024 {
                    (&*client).write_all(&[number as u8; 1024]).unwrap();
                }
                client.shutdown(Shutdown::Write).unwrap();
            }
        });
        let mut received = Vec::new();
        (&*client).read_to_end(&mut received).unwrap();
        assert_eq!(received.len(), BYTES);
        for (number, chunk) in received.chunks(1024).enumerate() {
            assert!(chunk.iter().all(|byte| *byte == number as u8));
        }
        writer.join().unwrap();
        echo.join().unwrap();
    });
}

#[test]
fn connecting_waits_for_room_in_the_listeners_queue() {
    on_a_hub("queue", || {
        let address = abstract_name();
        let listener = UnixListener::bind_addr(&address).unwrap();
        listener.options().listen(0).unwrap();
        let clients: Vec<_> = (0..8_u8)
            .map(|number| {
                let address = address.clone();
                spawn(move || {
                    let mut client = UnixStream::connect_addr(&address).unwrap();
                    client.write_all(&[number]).unwrap();
                })
            })
            .collect();
        yield_now();
        assert!(
            clients.iter().any(|client| !client.is_finished()),
            "the queue is not full"
        );
        let mut numbers: Vec<u8> = (0..8)
            .map(|_| {
                let mut byte = [0];
                listener.accept().unwrap().0.read_exact(&mut byte).unwrap();
                byte[0]
            })
            .collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7]);
        for client in clients {
            client.join().unwrap();
        }

        // And can be given up.
        let full = UnixStream::connect_addr(&address).unwrap();
        let waiting = spawn(move || UnixStream::connect_addr(&address).map(drop));
        yield_now();
        waiting.cancel();
        assert!(waiting.join().unwrap_err().is_cancelled());
        drop(full);
    });
}

#[test]
fn timeouts_and_deadlines_lose_no_byte() {
    on_a_hub("unix timeouts", || {
        let (mut client, mut server) = UnixStream::pair().unwrap();
        let (start, mut byte) = (Instant::now(), [0]);
        client.set_read_timeout(Some(SHORT)).unwrap();
        assert_eq!(kind(client.read(&mut byte)), io::ErrorKind::TimedOut);
        assert!(start.elapsed() >= SHORT);
        assert_eq!(client.read_timeout().unwrap(), Some(SHORT));
        assert_eq!(
            kind(client.set_write_timeout(Some(Duration::ZERO))),
            io::ErrorKind::InvalidInput
        );
        client.set_read_timeout(None).unwrap();
        client.set_read_deadline(Some(Instant::now()));
        assert_eq!(kind(client.read(&mut byte)), io::ErrorKind::TimedOut);
        client.set_read_deadline(None);
        server.set_write_timeout(Some(SHORT)).unwrap();
        let mut written = 0;
        let error = loop {
            match server.write(&[7; 65_536]) {
                Ok(length) => written += length,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(server);
        let mut all = Vec::new();
        client.read_to_end(&mut all).unwrap();
        assert_eq!(all.len(), written);
    });
}

#[test]
fn close_wakes_readers_acceptors_and_receivers_here_and_on_other_hubs() {
    on_a_hub("unix close", || {
        let (stream, _peer) = UnixStream::pair().unwrap();
        let listener = UnixListener::bind_addr(&abstract_name()).unwrap();
        let datagram = UnixDatagram::unbound().unwrap();
        let (far_stream, far_listener, far_datagram) = (
            stream.try_clone().unwrap(),
            listener.try_clone().unwrap(),
            datagram.try_clone().unwrap(),
        );
        let waiters = |stream: UnixStream, listener: UnixListener, datagram: UnixDatagram| {
            [
                spawn(move || kind((&stream).read(&mut [0]))),
                spawn(move || kind(listener.accept())),
                spawn(move || kind(datagram.recv(&mut [0]))),
            ]
        };
        let (tell, told) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            kapok::run(move || {
                let waiting = waiters(far_stream, far_listener, far_datagram);
                yield_now();
                tell.send(()).unwrap();
                waiting.map(|waiter| waiter.join().unwrap())
            })
        });
        let waiting = waiters(
            stream.try_clone().unwrap(),
            listener.try_clone().unwrap(),
            datagram.try_clone().unwrap(),
        );
        unblock(move || told.recv_timeout(LONG).unwrap()).unwrap();
        stream.close();
        listener.close();
        datagram.close();
        let here = waiting.map(|waiter| waiter.join().unwrap());
        assert_eq!(here, [io::ErrorKind::NotConnected; 3]);
        let there = unblock(move || thread.join().unwrap()).unwrap();
        assert_eq!(there, [io::ErrorKind::NotConnected; 3]);
        assert!(listener.incoming().next().is_none());
        assert!(Listener::has_ended(&listener));
    });
}

#[test]
fn a_cancelled_wait_leaves_the_socket_usable() {
    on_a_hub("unix cancel", || {
        let (stream, mut peer) = UnixStream::pair().unwrap();
        let reader = spawn({
            let stream = stream.try_clone().unwrap();
            move || (&stream).read(&mut [0; 8])
        });
        let receiver = spawn({
            let stream = stream.try_clone().unwrap();
            move || stream.recv_with_fds(&mut [0; 8], 1)
        });
        yield_now();
        reader.cancel();
        receiver.cancel();
        assert!(reader.join().unwrap_err().is_cancelled());
        assert!(receiver.join().unwrap_err().is_cancelled());
        peer.write_all(b"next").unwrap();
        assert_eq!((&stream).read(&mut [0; 8]).unwrap(), 4);
    });
}

#[test]
fn a_stream_moves_to_another_hub_and_is_dropped_there() {
    on_a_hub("unix moves", || {
        let (mut stream, mut peer) = UnixStream::pair().unwrap();
        stream.set_read_timeout(Some(SHORT)).unwrap();
        assert_eq!(kind(stream.read(&mut [0])), io::ErrorKind::TimedOut);
        stream.set_read_timeout(None).unwrap();
        let thread = std::thread::spawn(move || {
            kapok::run(move || {
                let mut buffer = [0; 8];
                let length = stream.read(&mut buffer).unwrap();
                stream.write_all(&buffer[..length]).unwrap();
            })
        });
        peer.write_all(b"moved").unwrap();
        let mut text = String::new();
        peer.read_to_string(&mut text).unwrap();
        assert_eq!(text, "moved", "and the end is seen, so it is closed");
        unblock(move || thread.join().unwrap()).unwrap();
    });
}

#[test]
fn streams_and_listeners_serve_protocols() {
    fn answer(listener: impl Listener) -> Option<std::net::SocketAddr> {
        let connection = listener.accept().unwrap();
        connection.limit_read(Some(LONG));
        let mut bytes = [0; 4];
        connection.shared().read_exact(&mut bytes).unwrap();
        connection.shared().write_all(&bytes).unwrap();
        let peer = connection.peer();
        connection.abort();
        peer
    }
    on_a_hub("unix protocol", || {
        let address = abstract_name();
        let listener = UnixListener::bind_addr(&address).unwrap();
        let server = spawn(move || answer(listener));
        let mut client = UnixStream::connect_addr(&address).unwrap();
        client.write_all(b"ping").unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        assert_eq!(text, "ping");
        assert_eq!(server.join().unwrap(), None);
    });
}

#[test]
fn peeked_bytes_are_still_there_and_sockets_go_to_std_and_back() {
    on_a_hub("unix std", || {
        let (stream, mut peer) = UnixStream::pair().unwrap();
        peer.write_all(b"twice").unwrap();
        let mut buffer = [0; 8];
        assert_eq!(stream.peek(&mut buffer).unwrap(), 5);
        let mut stream = UnixStream::from_std(stream.into_std().unwrap()).unwrap();
        assert_eq!(stream.read(&mut buffer).unwrap(), 5);
        assert_eq!(&buffer[..5], b"twice");
        assert!(stream.take_error().unwrap().is_none());
        let (one, other) = UnixDatagram::pair().unwrap();
        let one = UnixDatagram::from_std(one.into_std().unwrap()).unwrap();
        other.send(b"twice").unwrap();
        assert_eq!(one.peek(&mut buffer).unwrap(), 5);
        assert_eq!(one.recv(&mut buffer).unwrap(), 5);
    });
}
