//! Connecting to names with several addresses, and the options of connections.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use kapok::net::{Keepalive, TcpListener, TcpStream, resolve_timeout};
use kapok::{spawn, yield_now};

use crate::support::on_a_hub;

const DELAY: Duration = Duration::from_millis(250);
const LONG: Duration = Duration::from_secs(50);

fn kind<T: std::fmt::Debug>(result: io::Result<T>) -> io::ErrorKind {
    result.unwrap_err().kind()
}

/// An address that neither takes nor refuses connections: its listener's queue is full, so what comes is dropped.
struct Silent {
    _listener: TcpListener,
    _queued: Vec<TcpStream>,
    address: SocketAddr,
}

impl Silent {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        listener.options().listen(0).unwrap();
        let mut queued = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(address, Duration::from_millis(50)) {
            queued.push(stream);
            assert!(queued.len() < 10, "the queue has no end");
        }
        let silent = Self {
            _listener: listener,
            _queued: queued,
            address,
        };
        silent.wait_until_left();
        silent
    }

    /// How many sockets of this machine are connecting to it.
    fn attempts(&self) -> usize {
        let ip = u32::from_ne_bytes(Ipv4Addr::LOCALHOST.octets());
        let to = format!(" {ip:08X}:{:04X} 02 ", self.address.port());
        let table = fs::read_to_string("/proc/net/tcp").unwrap();
        table.lines().filter(|line| line.contains(&to)).count()
    }

    /// Returns when no socket is connecting to it, soon or never: the system goes on trying for longer than a test may take. A
    /// process that another test starts has copies of all sockets until it executes its program.
    fn wait_until_left(&self) {
        while self.attempts() > 0 {
            kapok::sleep(Duration::from_millis(1));
        }
    }
}

/// Addresses at which nobody listens, nor will: connections have them at their other end.
struct Refusing {
    _connections: Vec<TcpStream>,
    addresses: Vec<SocketAddr>,
}

impl Refusing {
    fn new(count: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut connections: Vec<_> = (0..count)
            .map(|_| TcpStream::connect(address).unwrap())
            .collect();
        let addresses = connections
            .iter()
            .map(|stream| stream.local_addr().unwrap())
            .collect();
        connections.extend((0..count).map(|_| listener.accept().unwrap().0));
        Self {
            _connections: connections,
            addresses,
        }
    }
}

#[test]
fn the_first_address_that_answers_wins_and_the_others_are_closed() {
    on_a_hub("race", || {
        let (one, other) = (Silent::new(), Silent::new());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let good = listener.local_addr().unwrap();
        let start = Instant::now();
        let stream = TcpStream::connect(&[one.address, other.address, good][..]).unwrap();
        assert!(
            start.elapsed() >= DELAY * 2,
            "each attempt has its time alone"
        );
        assert_eq!(stream.peer_addr().unwrap(), good);
        one.wait_until_left();
        other.wait_until_left();
        // It is an ordinary stream from here on.
        let (mut server, _) = listener.accept().unwrap();
        let reader = spawn(move || {
            let mut text = String::new();
            (&stream).read_to_string(&mut text).map(|_| text)
        });
        yield_now();
        server.write_all(b"hello").unwrap();
        drop(server);
        assert_eq!(reader.join().unwrap().unwrap(), "hello");
    });
}

#[test]
fn a_refusal_begins_the_next_attempt_at_once() {
    on_a_hub("refused", || {
        let refusing = Refusing::new(100);
        let mut addresses = refusing.addresses.clone();
        let start = Instant::now();
        assert_eq!(
            kind(TcpStream::connect(&addresses[..])),
            io::ErrorKind::ConnectionRefused
        );
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        addresses.push(listener.local_addr().unwrap());
        let stream = TcpStream::connect(&addresses[..]).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap());
        // 100 delays would be 25 s.
        assert!(start.elapsed() < Duration::from_secs(10));
        let none: &[SocketAddr] = &[];
        assert_eq!(kind(TcpStream::connect(none)), io::ErrorKind::InvalidInput);
    });
}

#[test]
fn an_address_behind_silent_ones_is_reached_when_they_are_refused_too() {
    on_a_hub("mixed", || {
        let silent = Silent::new();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut addresses = vec![silent.address];
        let refusing = Refusing::new(5);
        addresses.extend(&refusing.addresses);
        addresses.push(listener.local_addr().unwrap());
        let stream = TcpStream::connect_timeout(&addresses[..], LONG).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap());
        silent.wait_until_left();
    });
}

#[test]
fn a_timeout_counts_for_all_attempts_together_and_leaves_none_behind() {
    on_a_hub("race timeout", || {
        let (one, other) = (Silent::new(), Silent::new());
        let (start, limit) = (Instant::now(), DELAY + DELAY / 2);
        let both = [one.address, other.address];
        let error = TcpStream::connect_timeout(&both[..], limit).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(start.elapsed() >= limit);
        one.wait_until_left();
        other.wait_until_left();
        assert_eq!(
            kind(TcpStream::connect_timeout(&both[..], Duration::ZERO)),
            io::ErrorKind::InvalidInput
        );
    });
}

#[test]
fn a_cancel_or_a_scope_that_expires_leaves_no_attempt_behind() {
    on_a_hub("race cancel", || {
        let (one, other) = (Rc::new(Silent::new()), Rc::new(Silent::new()));
        let both = [one.address, other.address];
        let connecting = spawn(move || TcpStream::connect(&both[..]).map(drop));
        while one.attempts() + other.attempts() < 2 {
            kapok::sleep(Duration::from_millis(1));
        }
        connecting.cancel();
        assert!(connecting.join().unwrap_err().is_cancelled());
        one.wait_until_left();
        other.wait_until_left();
        let expired = kapok::timeout(DELAY * 2, || TcpStream::connect(&both[..]).map(drop));
        assert!(expired.is_err());
        one.wait_until_left();
        other.wait_until_left();
    });
}

#[test]
fn names_are_looked_up_and_connected_to_within_one_timeout() {
    on_a_hub("names", || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        TcpStream::connect_timeout(("localhost", port), LONG).unwrap();
        TcpStream::connect_timeout(format!("localhost:{port}"), LONG).unwrap();
        assert_eq!(
            kind(TcpStream::connect_timeout("localhost", LONG)),
            io::ErrorKind::InvalidInput
        );
        let error = resolve_timeout("localhost", port, Duration::ZERO).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(error.to_string().contains("localhost"), "{error}");
        let literal = resolve_timeout("::1", port, Duration::ZERO).unwrap();
        assert_eq!(literal, [format!("[::1]:{port}").parse().unwrap()]);
    });
    // A thread without a hub waits as a thread, and a pool thread looks up by itself.
    let here = std::thread::spawn(|| resolve_timeout("localhost", 80, LONG)).join();
    assert!(!here.unwrap().unwrap().is_empty());
    let pool = on_a_hub("pool", || {
        kapok::unblock(|| resolve_timeout("localhost", 80, LONG))
    });
    assert!(!pool.unwrap().unwrap().is_empty());
}

#[test]
fn keepalive_is_set_and_told() {
    on_a_hub("keepalive", || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert_eq!(stream.keepalive().unwrap(), None);
        let probes = Keepalive::new()
            .time(Duration::from_secs(61))
            .interval(Duration::from_secs(7))
            .retries(4);
        stream.set_keepalive(Some(probes)).unwrap();
        assert_eq!(stream.keepalive().unwrap(), Some(probes));
        // What is not set stays.
        let time = Keepalive::new().time(Duration::from_secs(62));
        stream.set_keepalive(Some(time)).unwrap();
        assert_eq!(
            stream.keepalive().unwrap(),
            Some(probes.time(Duration::from_secs(62)))
        );
        stream.set_keepalive(None).unwrap();
        assert_eq!(stream.keepalive().unwrap(), None);
        let nonsense = Keepalive::new().time(Duration::ZERO);
        assert!(stream.set_keepalive(Some(nonsense)).is_err());
    });
}

#[test]
fn a_linger_of_zero_resets_the_connection() {
    on_a_hub("linger", || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        assert_eq!(client.linger().unwrap(), None);
        client.set_linger(Some(Duration::ZERO)).unwrap();
        assert_eq!(client.linger().unwrap(), Some(Duration::ZERO));
        drop(client);
        assert_eq!(kind(server.read(&mut [0])), io::ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_linger_of_part_of_a_second_is_not_zero() {
    on_a_hub("short linger", || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let half = Duration::from_millis(500);
        let beyond = Duration::from_secs(1 << 32);
        for (asked, seconds) in [
            (half, 1),
            (Duration::from_secs(1) + half, 2),
            (beyond, 1 << 31),
        ] {
            stream.set_linger(Some(asked)).unwrap();
            let linger = stream.linger().unwrap().unwrap();
            assert!(
                linger >= asked.min(Duration::from_secs(1 << 20)),
                "{linger:?}"
            );
            assert!(linger <= Duration::from_secs(seconds), "{linger:?}");
        }
        stream.set_linger(Some(Duration::ZERO)).unwrap();
        assert_eq!(stream.linger().unwrap(), Some(Duration::ZERO));
        drop((listener, stream));
    });
}
