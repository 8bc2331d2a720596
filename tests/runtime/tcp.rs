//! TCP streams and listeners.

use std::cell::Cell;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd};
use std::rc::Rc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use kapok::io::pipe;
use kapok::net::{TcpListener, TcpStream, ToSocketAddrs, UnixStream};
use kapok::{JoinHandle, spawn, yield_now};

use crate::support::{crowd, on_a_hub};

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(5);

/// Two ends of one connection.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

fn kind<T: std::fmt::Debug>(result: io::Result<T>) -> io::ErrorKind {
    result.unwrap_err().kind()
}

#[test]
fn two_fibers_read_and_write_one_stream_at_once() {
    const BYTES: usize = 1 << 20;
    on_a_hub("both ways", || {
        let (client, mut server) = pair();
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
            assert!(
                chunk.iter().all(|byte| *byte == number as u8),
                "chunk {number}"
            );
        }
        writer.join().unwrap();
        echo.join().unwrap();
    });
}

#[test]
fn the_end_is_seen_behind_a_short_read() {
    on_a_hub("end", || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        for round in 0..200 {
            let mut client = TcpStream::connect(address).unwrap();
            let (mut server, _) = listener.accept().unwrap();
            let reader = spawn(move || {
                let (mut buffer, mut lengths) = ([0; 4096], Vec::new());
                loop {
                    let length = server.read(&mut buffer).unwrap();
                    lengths.push(length);
                    if length == 0 {
                        return lengths;
                    }
                }
            });
            if round % 2 == 0 {
                yield_now();
            }
            client.write_all(b"ten bytes.").unwrap();
            if round % 3 == 0 {
                yield_now();
            }
            drop(client);
            assert_eq!(reader.join().unwrap(), [10, 0]);
        }
    });
}

#[test]
fn what_is_there_is_read_although_the_time_is_over() {
    on_a_hub("late", || {
        let (mut client, mut server) = pair();
        let mut byte = [0];
        // The hub has heard that there is nothing, and hears of nothing else as long as nobody waits.
        client
            .set_read_timeout(Some(Duration::from_nanos(1)))
            .unwrap();
        assert_eq!(kind(client.read(&mut byte)), io::ErrorKind::TimedOut);
        for text in [b"a", b"b"] {
            server.write_all(text).unwrap();
            assert_eq!((client.read(&mut byte).unwrap(), &byte), (1, text));
            assert_eq!(kind(client.read(&mut byte)), io::ErrorKind::TimedOut);
            client.set_read_deadline(Some(Instant::now()));
        }
    });
}

#[test]
fn a_listener_passes_its_time_to_live_on() {
    on_a_hub("ttl", || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_ttl(7).unwrap();
        assert_eq!(listener.ttl().unwrap(), 7);
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert_eq!(listener.accept().unwrap().0.ttl().unwrap(), 7);
    });
}

#[test]
fn timeouts_and_deadlines_lose_no_byte() {
    on_a_hub("timeouts", || {
        let (mut client, mut server) = pair();
        let mut byte = [0];
        client.set_read_timeout(Some(SHORT)).unwrap();
        let start = Instant::now();
        assert_eq!(kind(client.read(&mut byte)), io::ErrorKind::TimedOut);
        assert!(start.elapsed() >= SHORT);
        assert_eq!(client.read_timeout().unwrap(), Some(SHORT));
        server.write_all(b"a").unwrap();
        assert_eq!(client.read(&mut byte).unwrap(), 1);
        assert_eq!(
            kind(client.set_read_timeout(Some(Duration::ZERO))),
            io::ErrorKind::InvalidInput
        );
        client.set_read_timeout(None).unwrap();

        client.set_read_deadline(Some(Instant::now() + SHORT));
        assert_eq!(kind(client.read(&mut byte)), io::ErrorKind::TimedOut);
        assert_eq!(
            kind(client.read(&mut byte)),
            io::ErrorKind::TimedOut,
            "a deadline that has passed stays so"
        );
        server.write_all(b"b").unwrap();
        client.set_read_deadline(None);
        assert_eq!(client.read(&mut byte).unwrap(), 1);
        assert_eq!(byte, *b"b");

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
fn peeked_bytes_are_still_there() {
    on_a_hub("peek", || {
        let (client, mut server) = pair();
        let peeker = spawn(move || {
            let mut bytes = [0; 4];
            assert_eq!(client.peek(&mut bytes).unwrap(), 2);
            assert_eq!(client.peek(&mut bytes).unwrap(), 2);
            assert_eq!((&client).read(&mut bytes).unwrap(), 2);
            bytes
        });
        yield_now();
        server.write_all(b"hi").unwrap();
        assert_eq!(&peeker.join().unwrap()[..2], b"hi");
    });
}

#[test]
fn a_clone_moves_to_another_hub_and_reads_there() {
    on_a_hub("clone", || {
        let (client, mut server) = pair();
        // Registered here first.
        client
            .set_read_timeout(Some(Duration::from_millis(1)))
            .unwrap();
        assert_eq!(kind((&client).read(&mut [0])), io::ErrorKind::TimedOut);
        let mut moved = client.try_clone().unwrap();
        moved.set_read_timeout(None).unwrap();
        let (tell, told) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            kapok::run(|| {
                let reader = spawn(move || {
                    let mut bytes = [0; 5];
                    moved.read_exact(&mut bytes).unwrap();
                    (bytes, moved)
                });
                yield_now();
                tell.send(()).unwrap();
                reader.join().unwrap()
            })
        });
        kapok::unblock(move || told.recv_timeout(Duration::from_secs(30)).unwrap()).unwrap();
        server.write_all(b"there").unwrap();
        let (bytes, mut back) = kapok::unblock(|| thread.join().unwrap()).unwrap();
        assert_eq!(&bytes, b"there");
        // And back again: its last hub has ended meanwhile.
        server.write_all(b"here").unwrap();
        let mut bytes = [0; 4];
        back.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"here");
        // The first handle still works on this hub, and the end comes when all are gone.
        server.write_all(b"!").unwrap();
        client.set_read_timeout(None).unwrap();
        assert_eq!((&client).read(&mut [0; 9]).unwrap(), 1);
        drop(client);
        std::thread::spawn(move || drop(back)).join().unwrap();
        assert_eq!(server.read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn streams_go_to_std_and_come_back() {
    on_a_hub("std", || {
        let (client, mut server) = pair();
        client
            .set_read_timeout(Some(Duration::from_millis(1)))
            .unwrap();
        assert_eq!(kind((&client).read(&mut [0])), io::ErrorKind::TimedOut);
        let std_client = client.into_std().unwrap();
        server.write_all(b"one").unwrap();
        let mut bytes = [0; 3];
        (&std_client).read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"one");
        let client = TcpStream::from_std(std_client).unwrap();
        let reader = spawn(move || {
            let mut bytes = [0; 3];
            (&client).read_exact(&mut bytes).unwrap();
            (bytes, client)
        });
        yield_now();
        server.write_all(b"two").unwrap();
        let (bytes, client) = reader.join().unwrap();
        assert_eq!(&bytes, b"two");
        // With a clone alive the descriptor is duplicated.
        let clone = client.try_clone().unwrap();
        let std_client = client.into_std().unwrap();
        drop(clone);
        (&std_client).write_all(b"three").unwrap();
        let mut bytes = [0; 5];
        server.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"three");
    });
}

#[test]
fn close_wakes_whoever_waits() {
    on_a_hub("close", || {
        let (client, _server) = pair();
        let client = Rc::new(client);
        let waits = |wait: fn(&TcpStream) -> io::Result<usize>| {
            let client = Rc::clone(&client);
            spawn(move || wait(&client))
        };
        let reader = waits(|mut stream| stream.read(&mut [0]));
        let writer = waits(|mut stream| {
            loop {
                stream.write_all(&[0; 65_536])?;
            }
        });
        for _ in 0..100 {
            yield_now();
        }
        client.close();
        // A read after the shutdown sees the end, one that was woken by the close an error: both have ended.
        assert!(matches!(reader.join().unwrap(), Ok(0) | Err(_)));
        assert!(writer.join().unwrap().is_err());
        assert!(matches!((&*client).read(&mut [0]), Ok(0) | Err(_)));

        let listener = Rc::new(TcpListener::bind("127.0.0.1:0").unwrap());
        let acceptors: Vec<_> = (0..3)
            .map(|_| {
                let listener = Rc::clone(&listener);
                spawn(move || kind(listener.accept()))
            })
            .collect();
        yield_now();
        listener.close();
        for acceptor in acceptors {
            assert_eq!(acceptor.join().unwrap(), io::ErrorKind::NotConnected);
        }
        assert_eq!(kind(listener.accept()), io::ErrorKind::NotConnected);
    });
}

#[test]
fn close_wakes_a_reader_and_an_acceptor_on_another_hub() {
    on_a_hub("close elsewhere", || {
        let (client, _server) = pair();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (moved_client, moved_listener) =
            (client.try_clone().unwrap(), listener.try_clone().unwrap());
        let (tell, told) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            kapok::run(|| {
                let reader = spawn(move || (&moved_client).read(&mut [0]));
                let acceptor = spawn(move || moved_listener.accept().map(drop));
                yield_now();
                tell.send(()).unwrap();
                (reader.join().unwrap(), acceptor.join().unwrap())
            })
        });
        kapok::unblock(move || told.recv_timeout(Duration::from_secs(30)).unwrap()).unwrap();
        client.close();
        listener.close();
        let (read, accepted) = kapok::unblock(|| thread.join().unwrap()).unwrap();
        assert!(matches!(read, Ok(0) | Err(_)));
        assert_eq!(kind(accepted), io::ErrorKind::NotConnected);
    });
}

#[test]
fn connecting_names_the_trouble() {
    on_a_hub("connect", || {
        let free = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        assert_eq!(
            kind(TcpStream::connect(free)),
            io::ErrorKind::ConnectionRefused
        );
        let long = Duration::from_secs(30);
        assert_eq!(
            kind(TcpStream::connect_timeout(free, long)),
            io::ErrorKind::ConnectionRefused
        );
        assert_eq!(
            kind(TcpStream::connect_timeout(free, Duration::ZERO)),
            io::ErrorKind::InvalidInput
        );
        for text in ["nonsense", "host:99999", "host:", ":port"] {
            let error = TcpStream::connect(text).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{text}");
            assert!(error.to_string().contains(text), "{error}");
        }
        let listener = TcpListener::bind("localhost:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        TcpStream::connect(("localhost", port)).unwrap();
        let addresses = format!("localhost:{port}").to_socket_addrs().unwrap();
        assert!(addresses.iter().all(|address| address.ip().is_loopback()));
        // The first of these refuses, the second answers.
        TcpStream::connect(&[free, listener.local_addr().unwrap()][..]).unwrap();
    });
}

/// A listener whose queue is full drops what comes: the connection is neither made nor refused.
#[test]
fn connecting_gives_up_after_its_timeout() {
    on_a_hub("connect timeout", || {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        // SAFETY: listening again with another backlog is allowed, and the descriptor is open.
        let listening = unsafe { libc::listen(std::os::fd::AsRawFd::as_raw_fd(&socket), 0) };
        assert_eq!(listening, 0);
        let mut queued = Vec::new();
        let error = loop {
            assert!(queued.len() < 10, "the queue has no end");
            match TcpStream::connect_timeout(address, Duration::from_millis(100)) {
                Ok(stream) => queued.push(stream),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    });
}

#[test]
fn a_descriptor_number_that_is_used_again_is_not_disturbed() {
    on_a_hub("stale", || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        for _ in 0..300 {
            let (mut client, (server, _)) = (
                TcpStream::connect(address).unwrap(),
                listener.accept().unwrap(),
            );
            let reader = spawn(move || (&server).read(&mut [0; 4]));
            yield_now();
            // The event is on its way when the reader is unwound and its descriptor closed.
            client.write_all(b"late").unwrap();
            reader.cancel();
            drop(reader.join());
            // The next connection gets the same numbers, and must see its own bytes alone.
            let (mut client, (server, _)) = (
                TcpStream::connect(address).unwrap(),
                listener.accept().unwrap(),
            );
            let reader = spawn(move || {
                let mut bytes = [0; 4];
                (&server).read_exact(&mut bytes).map(|()| bytes)
            });
            yield_now();
            client.write_all(b"mine").unwrap();
            assert_eq!(&reader.join().unwrap().unwrap(), b"mine");
        }
    });
}

#[test]
fn a_thousand_connections_at_once() {
    on_a_hub("thousand", || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                drop(spawn(move || {
                    let mut bytes = [0; 8];
                    stream.read_exact(&mut bytes).unwrap();
                    stream.write_all(&bytes).unwrap();
                }));
            }
        }));
        let clients: Vec<_> = (0..1000_u64)
            .map(|number| {
                spawn(move || {
                    let mut stream = TcpStream::connect(address).unwrap();
                    stream.write_all(&number.to_ne_bytes()).unwrap();
                    let mut bytes = [0; 8];
                    stream.read_exact(&mut bytes).unwrap();
                    u64::from_ne_bytes(bytes)
                })
            })
            .collect();
        for (number, client) in clients.into_iter().enumerate() {
            assert_eq!(client.join().unwrap(), number as u64);
        }
    });
}

#[test]
fn shared_listeners_notice_an_address_in_use() {
    on_a_hub("shared", || {
        let group = TcpListener::bind_shared("127.0.0.1:0", 3).unwrap();
        let address = group[0].local_addr().unwrap();
        assert!(
            group
                .iter()
                .all(|listener| listener.local_addr().unwrap() == address)
        );
        assert_eq!(
            kind(TcpListener::bind_shared(address, 2)),
            io::ErrorKind::AddrInUse
        );
        assert_eq!(kind(TcpListener::bind(address)), io::ErrorKind::AddrInUse);
        drop(group);
        let alone = std::net::TcpListener::bind(address).unwrap();
        assert_eq!(
            kind(TcpListener::bind_shared(address, 2)),
            io::ErrorKind::AddrInUse
        );
        drop(alone);
        TcpListener::bind_shared(address, 2).unwrap();
    });
}

#[test]
fn bytes_behind_urgent_data_are_read() {
    on_a_hub("urgent", || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.set_nodelay(true).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let reader = spawn(move || {
            let mut text = Vec::new();
            while text.len() < 6 {
                let mut buffer = [0; 100];
                let length = server.read(&mut buffer).unwrap();
                text.extend_from_slice(&buffer[..length]);
            }
            text
        });
        yield_now();
        client.write_all(b"abc").unwrap();
        client.options().send_out_of_band(b"x").unwrap();
        client.write_all(b"def").unwrap();
        assert_eq!(reader.join().unwrap(), b"abcdef");
    });
}

#[test]
fn a_duplicate_of_a_closed_descriptor_can_wait_under_its_number() {
    on_a_hub("duplicate", || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let tick = Some(Duration::from_millis(1));
        server.set_read_timeout(tick).unwrap();
        assert!(server.read(&mut [0; 4]).is_err());
        let duplicate = server.as_fd().try_clone_to_owned().unwrap();
        drop(server);
        let reader = spawn(move || {
            let again = duplicate.try_clone().unwrap();
            let mut again = TcpStream::from_std(again.into()).unwrap();
            let mut buffer = [0; 4];
            again.read_exact(&mut buffer).map(|()| buffer)
        });
        yield_now();
        client.write_all(b"here").unwrap();
        assert_eq!(reader.join().unwrap().unwrap(), *b"here");
    });
}

#[test]
fn abort_resets_the_connection_and_wakes_who_waits() {
    on_a_hub("abort", || {
        let (client, server) = pair();
        let server = Rc::new(server);
        let shared = Rc::clone(&server);
        let reader = spawn(move || kind((&*shared).read(&mut [0; 4])));
        let unread = spawn(move || {
            let mut text = Vec::new();
            (
                kind((&client).read_to_end(&mut text)),
                kind((&client).write(b"x")),
            )
        });
        yield_now();
        server.abort();
        assert_eq!(reader.join().unwrap(), io::ErrorKind::NotConnected);
        assert_eq!(kind((&*server).write(b"x")), io::ErrorKind::NotConnected);
        // At once, although the stream is still there.
        let (read, written) = unread.join().unwrap();
        assert_eq!(read, io::ErrorKind::ConnectionReset);
        assert_eq!(written, io::ErrorKind::BrokenPipe);
        drop(server);
    });
}

/// Reads as into so many buffers of one byte each.
fn read_singly(mut stream: impl Read, buffers: usize) -> usize {
    let mut bytes = vec![[0; 1]; buffers];
    let mut slices: Vec<_> = bytes.iter_mut().map(|byte| IoSliceMut::new(byte)).collect();
    stream.read_vectored(&mut slices).unwrap()
}

#[test]
fn bytes_behind_more_buffers_than_the_system_takes_are_read() {
    on_a_hub("many buffers", || {
        fn check(mut reader: impl Read + 'static, mut writer: impl Write) {
            let reading = spawn(move || {
                assert_eq!(read_singly(&mut reader, 1500), 1024);
                reader.read(&mut [0; 5000]).unwrap()
            });
            yield_now();
            writer.write_all(&[1; 4000]).unwrap();
            assert_eq!(reading.join().unwrap(), 4000 - 1024);
        }
        let (reader, writer) = pair();
        check(reader, writer);
        let (reader, writer) = UnixStream::pair().unwrap();
        check(reader, writer);
        let (reader, writer) = pipe().unwrap();
        check(reader, writer);
    });
}

#[test]
fn nothing_is_read_and_written_at_once() {
    on_a_hub("nothing", || {
        fn check(mut reader: impl Read, mut writer: impl Write) {
            assert_eq!(reader.read(&mut []).unwrap(), 0);
            assert_eq!(read_singly(&mut reader, 0), 0);
            assert_eq!(writer.write(&[]).unwrap(), 0);
            assert_eq!(writer.write_vectored(&[]).unwrap(), 0);
            let nothing = [IoSlice::new(&[]), IoSlice::new(&[])];
            assert_eq!(writer.write_vectored(&nothing).unwrap(), 0);
        }
        fn fill(mut writer: impl Write) {
            while writer.write(&[0; 1 << 16]).is_ok() {}
        }
        let at_once = Some(Duration::from_millis(1));
        let (reader, writer) = pair();
        reader.set_read_timeout(at_once).unwrap();
        assert_eq!(kind((&reader).read(&mut [0])), io::ErrorKind::TimedOut);
        writer.set_write_timeout(at_once).unwrap();
        fill(&writer);
        check(&reader.try_clone().unwrap(), &writer);

        let (reader, writer) = UnixStream::pair().unwrap();
        writer.set_write_timeout(at_once).unwrap();
        fill(&writer);
        check(&reader, &writer);
        assert_eq!(writer.send_with_fds(&[], &[]).unwrap(), 0);

        let (reader, writer) = pipe().unwrap();
        writer.set_write_timeout(at_once).unwrap();
        fill(&writer);
        check(&reader, &writer);
    });
}

#[test]
fn a_crowd_waits_for_one_stream() {
    on_a_hub("crowd of readers", || {
        let (client, mut server) = pair();
        let client = Rc::new(client);
        let (readers, taken) = (crowd().min(30_000), Rc::new(Cell::new(0)));
        let readers: Vec<_> = (0..readers)
            .map(|_| {
                let (client, taken) = (Rc::clone(&client), Rc::clone(&taken));
                spawn(move || {
                    (&*client).read_exact(&mut [0]).unwrap();
                    taken.set(taken.get() + 1);
                })
            })
            .collect();
        yield_now();
        // Each byte wakes all of them, and all but one wait again.
        for sent in 1..=5 {
            server.write_all(&[0]).unwrap();
            while taken.get() < sent {
                yield_now();
            }
        }
        readers.iter().for_each(JoinHandle::cancel);
        let ended = readers.into_iter().map(JoinHandle::join);
        assert_eq!(ended.filter(Result::is_ok).count(), 5);
    });
}

#[test]
fn an_abort_is_no_reset_for_a_clone_that_reads_on_another_hub() {
    on_a_hub("abort elsewhere", || {
        let (give, given) = mpsc::sync_channel::<TcpStream>(0);
        let reader = std::thread::spawn(move || {
            kapok::run(|| {
                for mut stream in given {
                    assert_eq!(kind(stream.read(&mut [0])), io::ErrorKind::NotConnected);
                }
            });
        });
        for turn in 0..2000 {
            let (client, _server) = pair();
            give.send(client.try_clone().unwrap()).unwrap();
            // Before it reads, or while, or when it waits.
            (0..turn % 200).for_each(|_| std::hint::spin_loop());
            client.abort();
        }
        drop(give);
        reader.join().unwrap();
    });
}

#[test]
fn what_is_dropped_on_another_thread_is_closed_though_its_hub_is_busy() {
    if std::env::var_os("KAPOK_DRIVER").is_some_and(|driver| driver == "polling") {
        return; // It has to let go of a descriptor before that is closed.
    }
    on_a_hub("busy hub", || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        for waits_elsewhere in [false, true] {
            let client = TcpStream::connect(address).unwrap();
            let mut server = listener.accept().unwrap().0.into_std().unwrap();
            client.set_read_timeout(Some(SHORT)).unwrap();
            assert_eq!(kind((&client).read(&mut [0])), io::ErrorKind::TimedOut);
            let dropping = std::thread::spawn(move || {
                kapok::run(|| {
                    if waits_elsewhere {
                        kind((&client).read(&mut [0]));
                    }
                    drop(client);
                });
            });
            // Both hold this hub up.
            dropping.join().unwrap();
            server.set_read_timeout(Some(LONG)).unwrap();
            assert_eq!(server.read(&mut [0]).unwrap(), 0);
        }
    });
}

/// Whether a hub watches the socket.
#[cfg(target_os = "linux")]
fn is_watched(socket: &impl AsFd) -> bool {
    let number = socket.as_fd().as_raw_fd();
    let link = std::fs::read_link(format!("/proc/self/fd/{number}")).unwrap();
    let inode = link
        .to_str()
        .unwrap()
        .trim_matches(|sign: char| !sign.is_ascii_digit());
    let inode = format!("ino:{:x} ", inode.parse::<u64>().unwrap());
    std::fs::read_dir("/proc/self/fdinfo")
        .unwrap()
        .filter_map(|entry| std::fs::read_to_string(entry.unwrap().path()).ok())
        .any(|text| text.contains(&inode))
}

#[test]
#[cfg(target_os = "linux")]
fn a_stream_that_goes_to_std_on_another_thread_is_free_of_a_busy_hub() {
    on_a_hub("to std elsewhere", || {
        for waits_elsewhere in [false, true] {
            let (client, _server) = pair();
            client.set_read_timeout(Some(SHORT)).unwrap();
            assert_eq!(kind((&client).read(&mut [0])), io::ErrorKind::TimedOut);
            assert!(is_watched(&client));
            let moving = std::thread::spawn(move || {
                kapok::run(|| {
                    if waits_elsewhere {
                        kind((&client).read(&mut [0]));
                    }
                    client.into_std().unwrap()
                })
            });
            // This hub lets go of it only later.
            let client = moving.join().unwrap();
            kapok::sleep(SHORT);
            assert!(!is_watched(&client));
        }
    });
}
