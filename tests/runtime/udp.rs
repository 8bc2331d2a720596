//! UDP sockets.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use kapok::net::UdpSocket;
use kapok::{spawn, yield_now};

use crate::support::on_a_hub;

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(50);

fn socket() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").unwrap()
}

/// Two sockets that are each other's peers.
fn pair() -> (UdpSocket, UdpSocket) {
    let (one, other) = (socket(), socket());
    one.connect(other.local_addr().unwrap()).unwrap();
    other.connect(one.local_addr().unwrap()).unwrap();
    (one, other)
}

fn kind<T: std::fmt::Debug>(result: io::Result<T>) -> io::ErrorKind {
    result.unwrap_err().kind()
}

#[test]
fn a_datagram_wakes_its_receiver_and_tells_its_sender() {
    on_a_hub("datagram", || {
        let (server, client) = (socket(), socket());
        let address = server.local_addr().unwrap();
        let receiver = spawn(move || {
            let mut buffer = [0; 64];
            let peeked = server.peek_from(&mut buffer).unwrap();
            let taken = server.recv_from(&mut buffer).unwrap();
            assert_eq!(peeked, taken);
            (buffer[..taken.0].to_vec(), taken.1)
        });
        yield_now();
        assert_eq!(client.send_to(b"a datagram", address).unwrap(), 10);
        let (bytes, peer) = receiver.join().unwrap();
        assert_eq!(bytes, b"a datagram");
        assert_eq!(peer, client.local_addr().unwrap());
    });
}

#[test]
fn a_connected_socket_hears_its_peer_alone() {
    on_a_hub("connected", || {
        let (one, other) = pair();
        assert_eq!(one.peer_addr().unwrap(), other.local_addr().unwrap());
        let stranger = socket();
        let _ = stranger.send_to(b"stranger", one.local_addr().unwrap());
        assert_eq!(other.send(b"").unwrap(), 0);
        assert_eq!(other.send(b"peer").unwrap(), 4);
        let mut buffer = [0; 64];
        assert_eq!(
            one.recv(&mut buffer).unwrap(),
            0,
            "an empty datagram is one"
        );
        assert_eq!(one.peek(&mut buffer).unwrap(), 4);
        assert_eq!(
            one.recv(&mut buffer[..2]).unwrap(),
            2,
            "the rest is cut off"
        );
        one.set_read_timeout(Some(SHORT)).unwrap();
        assert_eq!(kind(one.recv(&mut buffer)), io::ErrorKind::TimedOut);
    });
}

#[test]
fn nobody_there_is_an_error_of_the_next_call() {
    on_a_hub("refused", || {
        // One that is taken, so that no other test gets it, by a socket that hears its own peer alone.
        let (taken, _peer) = pair();
        let gone = taken.local_addr().unwrap();
        let client = socket();
        client.connect(gone).unwrap();
        client.send(b"anybody?").unwrap();
        assert_eq!(
            kind(client.recv(&mut [0; 8])),
            io::ErrorKind::ConnectionRefused
        );
    });
}

#[test]
fn timeouts_and_deadlines_end_a_wait_and_lose_no_datagram() {
    on_a_hub("timeouts", || {
        let (one, other) = pair();
        assert_eq!(
            kind(one.set_read_timeout(Some(Duration::ZERO))),
            io::ErrorKind::InvalidInput
        );
        one.set_read_timeout(Some(SHORT)).unwrap();
        assert_eq!(one.read_timeout().unwrap(), Some(SHORT));
        one.set_write_timeout(Some(SHORT)).unwrap();
        assert_eq!(one.write_timeout().unwrap(), Some(SHORT));
        let (start, mut buffer) = (Instant::now(), [0; 8]);
        assert_eq!(kind(one.recv(&mut buffer)), io::ErrorKind::TimedOut);
        assert!(start.elapsed() >= SHORT);
        one.set_read_timeout(None).unwrap();
        one.set_read_deadline(Some(Instant::now() + SHORT));
        assert_eq!(kind(one.recv(&mut buffer)), io::ErrorKind::TimedOut);
        other.send(b"late").unwrap();
        one.set_read_deadline(None);
        assert_eq!(one.recv(&mut buffer).unwrap(), 4);
    });
}

#[test]
fn options_are_read_as_they_were_set() {
    on_a_hub("options", || {
        let socket = socket();
        socket.set_broadcast(true).unwrap();
        assert!(socket.broadcast().unwrap());
        socket.set_ttl(7).unwrap();
        assert_eq!(socket.ttl().unwrap(), 7);
        socket.set_multicast_loop_v4(false).unwrap();
        assert!(!socket.multicast_loop_v4().unwrap());
        socket.set_multicast_ttl_v4(3).unwrap();
        assert_eq!(socket.multicast_ttl_v4().unwrap(), 3);
        assert!(socket.take_error().unwrap().is_none());
        let group = Ipv4Addr::new(239, 255, 77, 77);
        socket
            .join_multicast_v4(&group, &Ipv4Addr::LOCALHOST)
            .unwrap();
        assert!(
            socket
                .join_multicast_v4(&group, &Ipv4Addr::LOCALHOST)
                .is_err(),
            "joined already"
        );
        socket
            .leave_multicast_v4(&group, &Ipv4Addr::LOCALHOST)
            .unwrap();
        assert!(
            socket
                .leave_multicast_v4(&group, &Ipv4Addr::LOCALHOST)
                .is_err()
        );
        // Not every machine has IPv6.
        if let Ok(socket) = UdpSocket::bind("[::1]:0") {
            socket.set_multicast_loop_v6(false).unwrap();
            assert!(!socket.multicast_loop_v6().unwrap());
            let nobody = Ipv6Addr::LOCALHOST;
            assert!(
                socket.leave_multicast_v6(&nobody, 0).is_err(),
                "no group at all"
            );
        }
    });
}

#[test]
fn thousands_of_datagrams_go_both_ways() {
    const ROUNDS: u32 = 5_000;
    on_a_hub("thousands", || {
        let (one, other) = pair();
        let echo = spawn(move || {
            let mut buffer = [0; 2000];
            for _ in 0..ROUNDS {
                let length = other.recv(&mut buffer).unwrap();
                other.send(&buffer[..length]).unwrap();
            }
        });
        let one = Rc::new(one);
        // So few under way that the system drops none.
        let window = Rc::new(std::cell::Cell::new(0_u32));
        let sender = spawn({
            let (one, window) = (Rc::clone(&one), Rc::clone(&window));
            move || {
                for number in 0..ROUNDS {
                    while window.get() >= 32 {
                        yield_now();
                    }
                    window.set(window.get() + 1);
                    let mut datagram = number.to_be_bytes().to_vec();
                    datagram.resize(4 + number as usize % 1400, 7);
                    assert_eq!(one.send(&datagram).unwrap(), datagram.len());
                }
            }
        });
        let mut buffer = [0; 2000];
        for number in 0..ROUNDS {
            let length = one.recv(&mut buffer).unwrap();
            window.set(window.get() - 1);
            assert_eq!(length, 4 + number as usize % 1400);
            assert_eq!(buffer[..4], number.to_be_bytes());
        }
        sender.join().unwrap();
        echo.join().unwrap();
    });
}

#[test]
fn several_datagrams_of_one_event_are_all_received() {
    on_a_hub("one event", || {
        let (one, other) = pair();
        // It waits once, so that its source is there.
        one.set_read_timeout(Some(Duration::from_millis(1)))
            .unwrap();
        assert_eq!(kind(one.recv(&mut [0; 8])), io::ErrorKind::TimedOut);
        one.set_read_timeout(None).unwrap();
        for number in 0..20_u8 {
            other.send(&[number]).unwrap();
        }
        // Shorter than what was asked for each time, which says nothing about the next datagram.
        let mut buffer = [0; 100];
        for number in 0..20_u8 {
            assert_eq!(one.recv(&mut buffer).unwrap(), 1);
            assert_eq!(buffer[0], number);
        }
    });
}

#[test]
fn a_receiver_is_woken_by_close() {
    on_a_hub("close", || {
        let socket = Rc::new(socket());
        let receiver = spawn({
            let socket = Rc::clone(&socket);
            move || socket.recv_from(&mut [0; 8])
        });
        yield_now();
        socket.close();
        assert_eq!(kind(receiver.join().unwrap()), io::ErrorKind::NotConnected);
        let address = socket.local_addr().unwrap();
        assert_eq!(
            kind(socket.send_to(b"x", address)),
            io::ErrorKind::NotConnected
        );
    });
}

#[test]
fn a_receiver_on_another_hub_is_woken_by_close() {
    on_a_hub("close from afar", || {
        let socket = socket();
        let clone = socket.try_clone().unwrap();
        let (tell, waiting) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            kapok::run(move || {
                let receiver = spawn(move || clone.recv_from(&mut [0; 8]));
                yield_now();
                tell.send(()).unwrap();
                kind(receiver.join().unwrap())
            })
        });
        kapok::unblock(move || waiting.recv_timeout(LONG).unwrap()).unwrap();
        socket.close();
        let kind = kapok::unblock(move || thread.join().unwrap()).unwrap();
        assert_eq!(kind, io::ErrorKind::NotConnected);
    });
}

#[test]
fn a_cancelled_receiver_leaves_the_socket_usable() {
    on_a_hub("cancel", || {
        let (one, other) = pair();
        let one = Rc::new(one);
        let receiver = spawn({
            let one = Rc::clone(&one);
            move || one.recv(&mut [0; 8])
        });
        yield_now();
        receiver.cancel();
        assert!(receiver.join().unwrap_err().is_cancelled());
        other.send(b"next").unwrap();
        assert_eq!(one.recv(&mut [0; 8]).unwrap(), 4);
    });
}

#[test]
fn two_receivers_share_a_socket_and_each_datagram_goes_to_one() {
    on_a_hub("two receivers", || {
        let (one, other) = pair();
        let receivers: Vec<_> = (0..2)
            .map(|_| {
                let one = one.try_clone().unwrap();
                spawn(move || {
                    let mut buffer = [0; 8];
                    one.recv(&mut buffer).unwrap();
                    buffer[0]
                })
            })
            .collect();
        yield_now();
        other.send(&[1]).unwrap();
        other.send(&[2]).unwrap();
        let mut received: Vec<u8> = receivers.into_iter().map(|r| r.join().unwrap()).collect();
        received.sort_unstable();
        assert_eq!(received, [1, 2]);
    });
}

#[test]
fn a_socket_moves_to_another_hub_and_is_dropped_there() {
    on_a_hub("moves", || {
        let (one, other) = pair();
        one.set_read_timeout(Some(Duration::from_millis(1)))
            .unwrap();
        assert_eq!(kind(one.recv(&mut [0; 8])), io::ErrorKind::TimedOut);
        one.set_read_timeout(None).unwrap();
        let address = one.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            kapok::run(move || one.recv(&mut [0; 8]).unwrap()) // dropped with the closure
        });
        other.send(b"moved").unwrap();
        let length = kapok::unblock(move || thread.join().unwrap()).unwrap();
        assert_eq!(length, 5);
        // Free again as soon as this hub has heard that the socket is gone.
        while UdpSocket::bind(address).is_err() {
            yield_now();
        }
    });
}

#[test]
fn a_socket_goes_to_std_and_back() {
    on_a_hub("std", || {
        let (one, other) = pair();
        let one = UdpSocket::from_std(one.into_std().unwrap()).unwrap();
        let receiver = spawn(move || one.recv(&mut [0; 8]).unwrap());
        yield_now();
        other.send(b"still").unwrap();
        assert_eq!(receiver.join().unwrap(), 5);
    });
}

#[test]
fn netcat_sends_and_receives() {
    on_a_hub("nc", || {
        let server = socket();
        let port = server.local_addr().unwrap().port().to_string();
        let mut process = Command::new("nc")
            .args(["-u", "-w", "5", "127.0.0.1", &port])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        io::Write::write_all(process.stdin.as_mut().unwrap(), b"from nc\n").unwrap();
        let mut buffer = [0; 64];
        let (length, peer) = server.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"from nc\n");
        server.send_to(b"from a fiber\n", peer).unwrap();
        let mut output = process.stdout.take().unwrap();
        let answer = kapok::unblock(move || {
            let mut answer = [0; 13];
            io::Read::read_exact(&mut output, &mut answer).map(|()| answer)
        });
        assert_eq!(&answer.unwrap().unwrap(), b"from a fiber\n");
        process.kill().unwrap();
        process.wait().unwrap();
    });
}
