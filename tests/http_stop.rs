//! A server's limits and its end, over sockets: at the most connections, with observers, while handlers run.

#[path = "support/watchdog.rs"]
mod watchdog;

use std::cell::Cell;
use std::io::{self, BufRead, Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kapok::http::{
    Answered, Body, Config, ConnectionEnd, Observer, Request, Response, ServeError, Server,
    StatusCode, serve_connection,
};
use kapok::net::{TcpListener, TcpStream};
use kapok::{Hubs, HubsConfig, sleep, spawn, yield_now};

use watchdog::Watchdog;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(50);

/// Runs a test on a thread of its own with a hub that is ended after it.
fn on_a_hub(name: &'static str, test: impl FnOnce() + Send + 'static) {
    let _watchdog = Watchdog::new(name);
    let result = std::thread::spawn(move || kapok::run(test)).join();
    if let Err(payload) = result {
        std::panic::resume_unwind(payload);
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).unwrap()
}

/// Sends a request and returns the first line of the answer.
fn get(stream: &mut TcpStream) -> String {
    stream.write_all(GET).unwrap();
    first_line(stream)
}

fn first_line(stream: &mut TcpStream) -> String {
    let mut line = String::new();
    io::BufReader::new(stream).read_line(&mut line).unwrap();
    line
}

#[test]
fn the_most_connections_are_not_exceeded_by_those_that_come_at_once() {
    on_a_hub("the most connections", || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let clients: Vec<_> = (0..20).map(|_| connect(address)).collect();
        let (now, most) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let counts = (Rc::clone(&now), Rc::clone(&most));
        let app = move |_: &mut Request<'_>| {
            counts.0.set(counts.0.get() + 1);
            counts.1.set(counts.1.get().max(counts.0.get()));
            sleep(Duration::from_millis(5));
            counts.0.set(counts.0.get() - 1);
            StatusCode::OK
        };
        let server = spawn(move || Server::new().connections_max(2).serve(listener, app));
        let clients: Vec<_> = clients
            .into_iter()
            .map(|mut client| spawn(move || get(&mut client)))
            .collect();
        for client in clients {
            assert!(client.join().unwrap().starts_with("HTTP/1.1 200"));
        }
        assert_eq!(most.get(), 2);
        server.cancel();
    });
}

#[test]
fn a_listener_is_closed_while_there_are_the_most_connections() {
    on_a_hub("a close at the most connections", || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let closer = listener.try_clone().unwrap();
        let app = |_: &mut Request<'_>| StatusCode::OK;
        let server = spawn(move || Server::new().connections_max(1).serve(listener, app));
        let mut client = connect(address);
        let more = [connect(address), connect(address)];
        get(&mut client);
        let began = Instant::now();
        closer.close();
        server.join().unwrap().unwrap();
        assert!(began.elapsed() < LONG, "{:?}", began.elapsed());
        assert_eq!(client.read(&mut [0; 8]).unwrap(), 0);
        drop(more);
    });
}

#[test]
fn hubs_stop_while_there_are_the_most_connections() {
    on_a_hub("a stop at the most connections", || {
        let running = Server::new()
            .connections_max(1)
            .start(Hubs::new(HubsConfig::new().count(1)), "127.0.0.1:0", || {
                |_: &mut Request<'_>| StatusCode::OK
            })
            .unwrap();
        let mut client = connect(running.address());
        get(&mut client);
        let more = connect(running.address());
        sleep(SHORT);
        let began = Instant::now();
        running.stop(LONG);
        running.join().unwrap();
        assert!(began.elapsed() < LONG, "{:?}", began.elapsed());
        drop((client, more));
    });
}

#[test]
fn a_stop_of_hubs_gives_its_own_grace() {
    on_a_hub("the grace", || {
        let begun = Arc::new(AtomicBool::new(false));
        let begins = Arc::clone(&begun);
        let app = move |_: &mut Request<'_>| {
            begins.store(true, Ordering::Release);
            sleep(SHORT * 6);
            Response::text("done")
        };
        let running = Server::new()
            .stop_timeout(SHORT)
            .start(
                Hubs::new(HubsConfig::new().count(1)),
                "127.0.0.1:0",
                move || app.clone(),
            )
            .unwrap();
        let mut client = connect(running.address());
        client.write_all(GET).unwrap();
        while !begun.load(Ordering::Acquire) {
            yield_now();
        }
        running.stop(LONG);
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with("done"), "{answer:?}");
        running.join().unwrap();
    });
}

#[derive(Default)]
struct Counts {
    opened: AtomicU64,
    closed: AtomicU64,
    /// From the head to the telling, in milliseconds.
    late: AtomicU64,
}

struct Counting(Arc<Counts>);

impl Observer for Counting {
    fn opened(&self, _: Option<SocketAddr>) {
        self.0.opened.fetch_add(1, Ordering::Relaxed);
    }

    fn answered(&self, answered: &Answered<'_>) {
        let late = answered.time().elapsed().unwrap_or_default().as_millis() as u64;
        self.0.late.store(late, Ordering::Relaxed);
    }

    fn closed(&self, _: Option<SocketAddr>, _: &Result<ConnectionEnd, ServeError>) {
        self.0.closed.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn an_observer_is_told_when_the_head_came() {
    on_a_hub("the time of a head", || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = connect(listener.local_addr().unwrap());
        let counts = Arc::new(Counts::default());
        let server = Server::new().observer(Counting(Arc::clone(&counts)));
        let server = spawn(move || {
            server.serve(listener, |_: &mut Request<'_>| {
                sleep(SHORT);
                StatusCode::OK
            })
        });
        get(&mut client);
        let late = counts.late.load(Ordering::Relaxed);
        assert!(late >= 30, "{late} ms");
        server.cancel();
    });
}

#[test]
fn an_observer_is_told_of_every_end() {
    on_a_hub("every end is told", || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let counts = Arc::new(Counts::default());
        let server = Server::new().observer(Counting(Arc::clone(&counts)));
        let server = spawn(move || {
            server.serve(listener, |_: &mut Request<'_>| {
                Response::switch("a", |_| panic!("a protocol that panics"))
            })
        });
        let mut client = connect(address);
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n")
            .unwrap();
        let _ = client.read_to_end(&mut Vec::new());
        assert_eq!(counts.opened.load(Ordering::Relaxed), 1);
        assert_eq!(counts.closed.load(Ordering::Relaxed), 1);
        server.cancel();
    });
}

#[test]
fn waits_that_a_handler_breaks_off_count() {
    on_a_hub("waits broken off", || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = connect(listener.local_addr().unwrap());
        let stream = listener.accept().unwrap().0;
        client
            .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
            .unwrap();
        let app = |request: &mut Request<'_>| {
            for _ in 0..40 {
                let read = kapok::timeout(Duration::from_millis(10), || {
                    request.body().read(&mut [0; 8])
                });
                if let Ok(Err(error)) = read {
                    return Response::from(error);
                }
            }
            Response::text("never")
        };
        let config = Config::new()
            .body_timeout(Duration::from_millis(100))
            .drain_timeout(SHORT);
        let server = spawn(move || serve_connection(stream, &config, &app));
        assert!(first_line(&mut client).starts_with("HTTP/1.1 408"));
        drop(client);
        let _ = server.join().unwrap();
    });
}

#[test]
fn a_stop_at_any_moment_ends_all() {
    const REQUESTS: [&[u8]; 7] = [
        GET,
        b"GET / HTTP/1.1\r\nHo",
        b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello",
        b"POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello",
        b"GET /much HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n",
    ];
    on_a_hub("a stop at any moment", || {
        for round in 0..60 {
            let app = |request: &mut Request<'_>| {
                if request.upgrades().next().is_some() {
                    return Response::switch("a", |mut stream| {
                        let _ = stream.read(&mut [0; 8]);
                    });
                }
                match request.path() {
                    "/read" => Response::from(request.read_body().map(|_| Response::text("read"))),
                    "/much" => Response::bytes(Body::sized_reader(io::repeat(b'x'), 100_000_000)),
                    _ => Response::text("done"),
                }
            };
            let counts = Arc::new(Counts::default());
            let running = Server::new()
                .observer(Counting(Arc::clone(&counts)))
                .connections_max(5)
                .start(
                    Hubs::new(HubsConfig::new().count(1)),
                    "127.0.0.1:0",
                    move || app,
                )
                .unwrap();
            let clients: Vec<_> = (0..7)
                .map(|number| {
                    let mut client = connect(running.address());
                    client
                        .write_all(REQUESTS[(number + round) % REQUESTS.len()])
                        .unwrap();
                    client
                })
                .collect();
            sleep(Duration::from_micros(round as u64 * 50));
            let began = Instant::now();
            running.stop(SHORT);
            running.join().unwrap();
            assert!(
                began.elapsed() < Duration::from_secs(3),
                "{:?}",
                began.elapsed()
            );
            let (opened, closed) = (&counts.opened, &counts.closed);
            assert_eq!(
                opened.load(Ordering::Relaxed),
                closed.load(Ordering::Relaxed),
                "round {round}"
            );
            drop(clients);
        }
    });
}

#[test]
fn an_answer_that_breaks_off_is_no_whole_one_for_http_1_0() {
    on_a_hub("broken off", || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = connect(listener.local_addr().unwrap());
        let stream = listener.accept().unwrap().0;
        let app = |request: &mut Request<'_>| -> io::Result<Response> {
            let (_, mut writer) = request.start_response(Response::new(StatusCode::OK))?;
            writer.write_all(b"half")?;
            Err(io::ErrorKind::Other.into())
        };
        client.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let server = spawn(move || serve_connection(stream, &Config::new(), &app));
        let end = client.read_to_end(&mut Vec::new());
        assert!(end.is_err(), "{end:?}");
        let _ = server.join().unwrap();
    });
}

/// Starts an endless answer to an HTTP/1.0 client, whose end is the connection's.
fn ask_for_much(listener: &TcpListener) -> TcpStream {
    let mut client = connect(listener.local_addr().unwrap());
    client.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    client
}

fn much(_: &mut Request<'_>) -> Response {
    Response::bytes(Body::from_reader(io::repeat(b'x')))
}

#[test]
fn an_answer_that_is_cancelled_is_no_whole_one() {
    on_a_hub("cancelled", || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = ask_for_much(&listener);
        let stream = listener.accept().unwrap().0;
        let server = spawn(move || serve_connection(stream, &Config::new(), &much));
        client.read_exact(&mut [0; 1_000]).unwrap();
        server.cancel();
        let end = io::copy(&mut client, &mut io::sink());
        assert!(end.is_err(), "{end:?}");
    });
}

#[test]
fn an_answer_that_a_stop_cuts_is_no_whole_one() {
    on_a_hub("cut", || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let closer = listener.try_clone().unwrap();
        let mut client = ask_for_much(&listener);
        let server = spawn(move || Server::new().stop_timeout(SHORT).serve(listener, much));
        client.read_exact(&mut [0; 1_000]).unwrap();
        closer.close();
        server.join().unwrap().unwrap();
        let end = io::copy(&mut client, &mut io::sink());
        assert!(end.is_err(), "{end:?}");
    });
}
