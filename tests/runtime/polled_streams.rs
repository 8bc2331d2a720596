//! Streams that futures poll: whose waker an event calls, and where.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io::{self, Read, Write};
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use kapok::block_on;
use kapok::future::Async;
use kapok::net::{TcpListener, TcpStream};

use crate::support::on_a_hub;

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    (client, server)
}

async fn read(stream: &Async<TcpStream>, buffer: &mut [u8]) -> io::Result<usize> {
    poll_fn(|context| stream.poll_read(context, buffer)).await
}

async fn write_all(stream: &Async<TcpStream>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let count = poll_fn(|context| stream.poll_write(context, bytes)).await?;
        bytes = &bytes[count..];
    }
    Ok(())
}

/// A waker that is none of kapok's: it counts, notes the fiber it is called on, and calls a closure.
struct Foreign {
    calls: AtomicUsize,
    fiber: Mutex<Option<kapok::Fiber>>,
    then: Box<dyn Fn() + Send + Sync>,
}

impl Foreign {
    fn new(then: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            calls: AtomicUsize::new(0),
            fiber: Mutex::new(None),
            then: Box::new(then),
        })
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

impl Wake for Foreign {
    fn wake(self: Arc<Self>) {
        self.calls.fetch_add(1, Ordering::SeqCst);
        *self.fiber.lock().unwrap() = Some(kapok::current());
        (self.then)();
    }
}

/// Polls a read once, for a waker. Returns whether it is pending.
fn poll_once(stream: &Async<TcpStream>, waker: &Arc<Foreign>) -> bool {
    let waker = Waker::from(Arc::clone(waker));
    stream
        .poll_read(&mut Context::from_waker(&waker), &mut [0; 8])
        .is_pending()
}

#[test]
fn megabytes_go_both_ways_through_polls() {
    on_a_hub("megabytes_go_both_ways", || {
        const BYTES: usize = 4 << 20;
        let (client, server) = pair();
        let echo = kapok::future::spawn(async move {
            let stream = Async::new(server);
            let mut buffer = vec![0; 64 * 1024];
            loop {
                let count = read(&stream, &mut buffer).await?;
                if count == 0 {
                    return stream.shutdown_write();
                }
                write_all(&stream, &buffer[..count]).await?;
            }
        });
        let sent: Vec<u8> = (0..BYTES).map(|index| (index % 251) as u8).collect();
        let mut received = Vec::new();
        // Both directions of one stream, in one future and its two parts.
        let stream = Async::new(client);
        block_on(async {
            let mut writing = pin!(async {
                write_all(&stream, &sent).await?;
                stream.shutdown_write()
            });
            let mut is_written = false;
            let mut buffer = vec![0; 64 * 1024];
            poll_fn(|context| {
                if !is_written && let Poll::Ready(result) = writing.as_mut().poll(context) {
                    result.unwrap();
                    is_written = true;
                }
                loop {
                    match stream.poll_read(context, &mut buffer) {
                        Poll::Ready(Ok(0)) => return Poll::Ready(()),
                        Poll::Ready(Ok(count)) => received.extend_from_slice(&buffer[..count]),
                        Poll::Ready(Err(error)) => panic!("{error}"),
                        Poll::Pending => return Poll::Pending,
                    }
                }
            })
            .await;
        });
        echo.join().unwrap().unwrap();
        assert!(received == sent);
    });
}

#[test]
fn a_waker_of_others_is_called_on_a_fiber_of_its_own() {
    on_a_hub("a_waker_of_others", || {
        let (mut client, server) = pair();
        let stream = Async::new(server);
        let me = kapok::current();
        let foreign = Foreign::new(move || me.unpark());
        assert!(poll_once(&stream, &foreign));
        client.write_all(b"x").unwrap();
        while foreign.calls() == 0 {
            kapok::park();
        }
        let fiber = foreign.fiber.lock().unwrap().take().unwrap();
        assert!(fiber.id().is_some(), "on a fiber");
        assert_ne!(fiber.id(), kapok::current().id(), "and not on this one");
        // It was called once, and is left no more.
        assert!(!poll_once(&stream, &foreign));
        client.write_all(b"x").unwrap();
        stream.get_ref().read_exact(&mut [0]).unwrap();
        assert_eq!(foreign.calls(), 1);
        assert_eq!(Arc::strong_count(&foreign), 1);
    });
}

#[test]
fn a_waker_of_block_on_is_called_without_a_fiber() {
    on_a_hub("a_waker_of_block_on", || {
        // Fibers are numbered in the order in which they are made.
        let next_number = || kapok::spawn(|| ()).fiber().id().unwrap().get();
        let (mut client, server) = pair();
        let stream = Async::new(server);
        let before = next_number();
        for _ in 0..100 {
            let writing = kapok::spawn({
                let mut client = client.try_clone().unwrap();
                move || client.write_all(b"x").unwrap()
            });
            assert_eq!(block_on(read(&stream, &mut [0; 8])).unwrap(), 1);
            writing.join().unwrap();
        }
        assert_eq!(next_number() - before, 101);
        client.write_all(b"x").unwrap();
    });
}

#[test]
fn whoever_waits_is_woken_though_another_fiber_polled() {
    on_a_hub("whoever_waits_is_woken", || {
        let (mut client, server) = pair();
        let stream = Rc::new(Async::new(server));
        let is_ready = Rc::new(Cell::new(false));
        let waiting_waker = Rc::new(Cell::new(None));
        let waiting = kapok::future::spawn({
            let (stream, waiting_waker) = (Rc::clone(&stream), Rc::clone(&waiting_waker));
            let is_ready = Rc::clone(&is_ready);
            poll_fn(move |context| {
                if !is_ready.get() {
                    waiting_waker.set(Some(context.waker().clone()));
                    return Poll::Pending;
                }
                stream.poll_read(context, &mut [0; 8])
            })
        });
        kapok::yield_now();
        // As a future does that several tasks share: this fiber polls with a waker that stands for the other, and goes away.
        let waker = Mutex::new(waiting_waker.take());
        let foreign = Foreign::new(move || waker.lock().unwrap().take().unwrap().wake());
        let polling = kapok::spawn({
            let (stream, foreign) = (Rc::clone(&stream), Arc::clone(&foreign));
            move || poll_once(&stream, &foreign)
        });
        assert!(polling.join().unwrap());
        is_ready.set(true);
        client.write_all(b"x").unwrap();
        assert_eq!(waiting.join().unwrap().unwrap(), 1);
    });
}

#[test]
fn a_waker_that_waits_or_panics_keeps_the_others_from_nothing() {
    on_a_hub("a_waker_that_waits_or_panics", || {
        let streams: Vec<_> = (0..3).map(|_| pair()).collect();
        let waits = Foreign::new(kapok::yield_now);
        let panics =
            Foreign::new(|| panic!("a waker's panic, told by the hook and by nobody else"));
        let me = kapok::current();
        let wakes = Foreign::new(move || me.unpark());
        let (clients, streams): (Vec<_>, Vec<_>) = streams
            .into_iter()
            .map(|(client, server)| (client, Async::new(server)))
            .unzip();
        for (stream, waker) in streams.iter().zip([&waits, &panics, &wakes]) {
            assert!(poll_once(stream, waker));
        }
        for mut client in clients {
            client.write_all(b"x").unwrap();
        }
        while [&waits, &panics, &wakes]
            .iter()
            .any(|waker| waker.calls() == 0)
        {
            kapok::park_timeout(Duration::from_millis(1));
        }
    });
}

#[test]
fn close_wakes_a_task() {
    on_a_hub("close_wakes_a_task", || {
        let (_client, server) = pair();
        let closing = server.try_clone().unwrap();
        let reading = kapok::future::spawn(async move {
            read(&Async::new(server), &mut [0; 8])
                .await
                .unwrap_err()
                .kind()
        });
        kapok::yield_now();
        closing.close();
        assert_eq!(reading.join().unwrap(), io::ErrorKind::NotConnected);

        // And from another thread, where the hub of the task is not known.
        let (_client, server) = pair();
        let closing = server.try_clone().unwrap();
        let reading = kapok::future::spawn(async move {
            read(&Async::new(server), &mut [0; 8])
                .await
                .unwrap_err()
                .kind()
        });
        kapok::yield_now();
        std::thread::spawn(move || closing.close()).join().unwrap();
        assert_eq!(reading.join().unwrap(), io::ErrorKind::NotConnected);
    });
}

#[test]
fn polls_never_switch_and_let_others_run_all_the_same() {
    on_a_hub("polls_never_switch", || {
        const BYTES: usize = 20_000;
        let (mut client, server) = pair();
        client.write_all(&vec![1; BYTES]).unwrap();
        drop(client);
        let turns = Rc::new(Cell::new(0));
        let is_done = Rc::new(Cell::new(false));
        let other = kapok::spawn({
            let (turns, is_done) = (Rc::clone(&turns), Rc::clone(&is_done));
            move || {
                while !is_done.get() {
                    turns.set(turns.get() + 1);
                    kapok::yield_now();
                }
            }
        });
        let stream = Async::new(server);
        let mut total = 0;
        block_on(poll_fn(|context| {
            // Under a lock another fiber must not find it in the middle.
            kapok::assert_no_switchpoints(|| {
                let before = turns.get();
                let polled = loop {
                    match stream.poll_read(context, &mut [0]) {
                        Poll::Ready(Ok(0)) => break Poll::Ready(()),
                        Poll::Ready(Ok(count)) => total += count,
                        Poll::Ready(Err(error)) => panic!("{error}"),
                        Poll::Pending => break Poll::Pending,
                    }
                };
                assert_eq!(turns.get(), before, "switched in a poll");
                polled
            })
        }));
        is_done.set(true);
        other.join().unwrap();
        assert_eq!(total, BYTES);
        assert!(turns.get() > 100, "{} turns", turns.get());
    });
}

#[test]
fn a_stream_goes_to_another_hub_with_its_future() {
    let (foreign, stream, mut client) = on_a_hub("a_stream_goes_to_another_hub", || {
        let (client, server) = pair();
        let stream = Async::new(server);
        let foreign = Foreign::new(|| ());
        assert!(poll_once(&stream, &foreign));
        (foreign, stream, client)
    });
    // Its hub has ended, and said so: whoever was woken would poll again, elsewhere.
    assert_eq!(foreign.calls(), 1);
    on_a_hub("a_stream_came_from_another_hub", move || {
        let reading = kapok::future::spawn(async move {
            let mut buffer = [0; 8];
            let count = read(&stream, &mut buffer).await.unwrap();
            buffer[..count].to_vec()
        });
        kapok::yield_now();
        client.write_all(b"there").unwrap();
        assert_eq!(reading.join().unwrap(), b"there");
    });
}

#[test]
fn a_task_is_told_when_its_stream_registers_elsewhere() {
    on_a_hub("a_task_is_told_when_its_stream_registers", || {
        let (_client, server) = pair();
        let stream = Async::new(server);
        let me = kapok::current();
        let foreign = Foreign::new(move || me.unpark());
        assert!(poll_once(&stream, &foreign));
        let stream = std::thread::spawn(move || {
            kapok::run(|| assert!(poll_once(&stream, &Foreign::new(|| ()))));
            stream
        });
        while foreign.calls() == 0 {
            kapok::park();
        }
        drop(stream.join().unwrap());
    });
}

#[test]
fn a_stream_that_is_dropped_drops_its_wakers() {
    let foreign = on_a_hub("a_stream_that_is_dropped", || {
        let (_client, server) = pair();
        let stream = Async::new(server);
        let foreign = Foreign::new(|| ());
        assert!(poll_once(&stream, &foreign));
        assert_eq!(Arc::strong_count(&foreign), 2);
        drop(stream);
        kapok::yield_now();
        assert_eq!(Arc::strong_count(&foreign), 1);
        foreign
    });
    assert_eq!(Arc::strong_count(&foreign), 1);
}

#[test]
fn a_thread_that_ends_with_polled_streams_leaves_nothing_behind() {
    let foreign = Foreign::new(|| ());
    let waker = Arc::clone(&foreign);
    // No `kapok::run` here: the thread just ends.
    let ended = std::thread::spawn(move || {
        let (_client, server) = pair();
        assert!(poll_once(&Async::new(server), &waker));
        kapok::HubHandle::current()
    });
    let hub = ended.join().unwrap();
    assert_eq!(Arc::strong_count(&foreign), 1);
    let refused = hub.spawn(|| ()).join();
    assert!(matches!(refused, Err(kapok::JoinError::HubEnded)));
}

#[test]
fn the_next_waker_takes_the_last_ones_place() {
    on_a_hub("the_next_waker", || {
        let (mut client, server) = pair();
        let stream = Async::new(server);
        let wakers: Vec<_> = (0..100).map(|_| Foreign::new(|| ())).collect();
        for waker in &wakers {
            assert!(poll_once(&stream, waker));
        }
        client.write_all(b"x").unwrap();
        while wakers[99].calls() == 0 {
            kapok::park_timeout(Duration::from_millis(1));
        }
        let calls: usize = wakers.iter().map(|waker| waker.calls()).sum();
        assert_eq!(calls, 1);
    });
}

#[test]
fn a_stopping_hub_ends_what_waits_in_a_future() {
    let _watchdog = crate::support::Watchdog::new("a_stopping_hub_ends_what_waits");
    let (polled, is_polled) = std::sync::mpsc::channel();
    let running = kapok::Hubs::new(kapok::HubsConfig::new().count(1))
        .start(move |_hub| {
            let (_client, server) = pair();
            polled.send(()).unwrap();
            let read = block_on(read(&Async::new(server), &mut [0; 8]));
            read.map(|_| ())
        })
        .unwrap();
    let _ = is_polled.iter().next();
    running.stop(Duration::from_millis(1));
    // The root's section is unwound.
    let _ = running.join();
}
