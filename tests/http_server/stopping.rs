//! Servers of many connections: stops, and the most connections.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use kapok::http::{Config, Handler, Request, Response, RunningServer, Server, StatusCode};
use kapok::net::TcpListener;
use kapok::{Hubs, HubsConfig, JoinHandle, spawn};

use crate::peer::{Gate, Peer, describe, get, post};
use crate::support::on_a_hub;

const SHORT: Duration = Duration::from_millis(30);
const LONG: Duration = Duration::from_secs(3600);

/// A server in a fiber.
struct Serving {
    address: SocketAddr,
    listener: TcpListener,
    fiber: JoinHandle<io::Result<()>>,
}

fn start(server: Server, handler: impl Handler + 'static) -> Serving {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, own) = (
        listener.local_addr().unwrap(),
        listener.try_clone().unwrap(),
    );
    let fiber = spawn(move || server.serve(own, handler));
    Serving {
        address,
        listener,
        fiber,
    }
}

/// Answers `/wait` when the gate is open; says when it has begun.
fn waiting(begun: &Gate, gate: &Gate) -> impl Handler + 'static + use<> {
    let (begun, gate) = (begun.clone(), gate.clone());
    move |request: &mut Request<'_>| {
        if request.path() == "/wait" {
            begun.open();
            gate.wait();
        }
        describe(request)
    }
}

#[test]
fn idle_connections_end_at_once_and_busy_ones_with_their_answer() {
    on_a_hub("graceful", || {
        let (begun, gate) = (Gate::default(), Gate::default());
        let serving = start(Server::new().stop_timeout(LONG), waiting(&begun, &gate));
        let mut fresh = Peer::connect(serving.address);
        let mut idle = Peer::connect(serving.address);
        let mut busy = Peer::connect(serving.address);
        assert_eq!(idle.ask(get("/")).status(), 200);
        busy.send(get("/wait") + &get("/behind"));
        begun.wait();
        serving.listener.close();
        fresh.sees_the_end();
        idle.sees_the_end();
        assert!(!serving.fiber.is_finished(), "it waits for the busy one");
        gate.open();
        let answer = busy.answer();
        assert_eq!((answer.text(), answer.closes()), ("GET /wait ", true));
        busy.sees_the_end();
        drop(busy);
        serving.fiber.join().unwrap().unwrap();
    });
}

#[test]
fn a_request_that_has_begun_to_come_in_is_still_answered() {
    on_a_hub("begun", || {
        let serving = start(Server::new().stop_timeout(LONG), describe);
        let mut half = Peer::connect(serving.address);
        assert_eq!(half.ask(get("/first")).status(), 200);
        half.send("GET /half HTTP/1.1\r\n");
        let mut body = Peer::connect(serving.address);
        body.send(post("Content-Length: 4\r\n", "ha"));
        // Both have come: a later connection's request is answered after them.
        assert_eq!(Peer::connect(serving.address).ask(get("/")).status(), 200);
        assert_eq!(Peer::connect(serving.address).ask(get("/")).status(), 200);
        serving.listener.close();
        half.send("Host: a\r\n\r\n");
        let answer = half.answer();
        assert_eq!((answer.text(), answer.closes()), ("GET /half ", true));
        half.sees_the_end();
        body.send("lf");
        assert_eq!(body.answer().text(), "POST / half");
        drop((half, body));
        serving.fiber.join().unwrap().unwrap();
    });
}

#[test]
fn what_is_not_done_at_the_deadline_is_cut() {
    on_a_hub("cut", || {
        let (begun, gate) = (Gate::default(), Gate::default());
        let serving = start(Server::new().stop_timeout(SHORT), waiting(&begun, &gate));
        let mut busy = Peer::connect(serving.address);
        busy.send(get("/wait"));
        begun.wait();
        let began = Instant::now();
        serving.listener.close();
        serving.fiber.join().unwrap().unwrap();
        assert!(began.elapsed() >= SHORT);
        assert!(busy.until_broken().is_empty());
        gate.open();
    });
}

#[test]
fn a_streamed_answer_is_sent_to_its_end() {
    on_a_hub("streamed", || {
        let (begun, gate) = (Gate::default(), Gate::default());
        let (begins, waits) = (begun.clone(), gate.clone());
        let serving = start(
            Server::new().stop_timeout(LONG),
            move |request: &mut Request<'_>| {
                use std::io::Write;
                let (_, mut writer) = request.start_response(Response::text(""))?;
                writer.write_all(b"first ")?;
                begins.open();
                waits.wait();
                writer.write_all(b"second")?;
                writer.finish()
            },
        );
        let mut peer = Peer::connect(serving.address);
        peer.send(get("/"));
        begun.wait();
        serving.listener.close();
        gate.open();
        // Its head was made before anybody knew of the stop.
        assert_eq!(peer.answer().text(), "first second");
        peer.sees_the_end();
        drop(peer);
        serving.fiber.join().unwrap().unwrap();
    });
}

#[test]
fn a_server_without_connections_stops_at_once() {
    on_a_hub("none", || {
        let serving = start(Server::new().stop_timeout(LONG), describe);
        kapok::yield_now();
        serving.listener.close();
        serving.fiber.join().unwrap().unwrap();
    });
}

#[test]
fn connections_over_the_most_wait_until_one_ends() {
    on_a_hub("connections_max", || {
        for most in [1, 2, 5] {
            let (running, highest) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
            let (now, peak) = (Rc::clone(&running), Rc::clone(&highest));
            let server = Server::new().connections_max(most).stop_timeout(LONG);
            let serving = start(server, move |request: &mut Request<'_>| {
                now.set(now.get() + 1);
                peak.set(peak.get().max(now.get()));
                kapok::yield_now();
                now.set(now.get() - 1);
                describe(request)
            });
            let mut first: Vec<_> = (0..most).map(|_| Peer::connect(serving.address)).collect();
            for peer in &mut first {
                assert_eq!(peer.ask(get("/first")).status(), 200);
            }
            let mut waiting = Peer::connect(serving.address);
            waiting.send(get("/waiting"));
            for _ in 0..20 {
                for peer in &mut first {
                    assert_eq!(peer.ask(get("/first")).status(), 200);
                }
            }
            waiting.hears_nothing_for(Duration::from_millis(5));
            drop(first.pop());
            assert_eq!(waiting.answer().text(), "GET /waiting ");
            assert!(highest.get() <= most, "{} of {most}", highest.get());
            serving.listener.close();
            waiting.sees_the_end();
            serving.fiber.join().unwrap().unwrap();
        }
    });
}

#[test]
fn a_full_server_stops_as_soon_as_any_other() {
    on_a_hub("full and closed", || {
        let (begun, gate) = (Gate::default(), Gate::default());
        let server = Server::new().connections_max(2).stop_timeout(LONG);
        let serving = start(server, waiting(&begun, &gate));
        let mut idle = Peer::connect(serving.address);
        assert_eq!(idle.ask(get("/")).status(), 200);
        let mut busy = Peer::connect(serving.address);
        busy.send(get("/wait"));
        begun.wait();
        let _waiting = Peer::connect(serving.address);
        assert_eq!(idle.ask(get("/")).status(), 200);
        serving.listener.close();
        idle.sees_the_end();
        gate.open();
        let answer = busy.answer();
        assert_eq!((answer.text(), answer.closes()), ("GET /wait ", true));
        drop((idle, busy));
        serving.fiber.join().unwrap().unwrap();
    });
}

/// Starts a server on a hub of its own. It says by a 103 that a request's handler runs, and answers when its body is there.
fn start_on_a_hub(server: Server) -> RunningServer {
    let hubs = Hubs::new(HubsConfig::new().count(1));
    let make = || {
        |request: &mut Request<'_>| {
            let hints = Response::new(StatusCode::EARLY_HINTS);
            request.send_informational(&hints)?;
            io::Result::Ok(describe(request))
        }
    };
    server.start(hubs, "127.0.0.1:0", make).unwrap()
}

#[test]
fn hubs_that_stop_end_idle_connections_and_let_busy_ones_answer() {
    on_a_hub("hub", || {
        let running = start_on_a_hub(Server::new());
        let mut idle = Peer::connect(running.address());
        idle.send(get("/"));
        assert_eq!(idle.head().status(), 103);
        assert_eq!(idle.answer().status(), 200);
        let mut busy = Peer::connect(running.address());
        busy.send(post("Content-Length: 4\r\n", "ha"));
        assert_eq!(busy.head().status(), 103);
        running.stop(Duration::from_secs(9));
        idle.sees_the_end();
        busy.send("lf");
        let answer = busy.answer();
        assert_eq!((answer.text(), answer.closes()), ("POST / half", true));
        drop((idle, busy));
        running.join().unwrap();
    });
}

#[test]
fn hubs_cut_what_is_not_done_when_their_grace_ends() {
    on_a_hub("grace", || {
        let config = Config::new().body_timeout(LONG).idle_timeout(LONG);
        let running = start_on_a_hub(Server::new().config(config));
        let mut busy = Peer::connect(running.address());
        busy.send(post("Content-Length: 4\r\n", "ha"));
        assert_eq!(busy.head().status(), 103);
        let began = Instant::now();
        running.stop(SHORT);
        busy.until_broken();
        assert!(began.elapsed() >= SHORT);
        running.join().unwrap();
    });
}

#[test]
fn a_full_server_on_a_hub_stops_as_soon_as_any_other() {
    on_a_hub("full hub", || {
        let running = start_on_a_hub(Server::new().connections_max(1));
        let mut idle = Peer::connect(running.address());
        idle.send(get("/"));
        assert_eq!(idle.head().status(), 103);
        assert_eq!(idle.answer().status(), 200);
        let _waiting = Peer::connect(running.address());
        idle.send(get("/"));
        assert_eq!(idle.head().status(), 103);
        assert_eq!(idle.answer().status(), 200);
        let began = Instant::now();
        running.stop(Duration::from_secs(9));
        idle.sees_the_end();
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "it ended by a timeout"
        );
        drop(idle);
        running.join().unwrap();
    });
}
