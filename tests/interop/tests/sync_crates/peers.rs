//! Peers that stop half-way, and clients that wait for them.

use std::io::{self, Read, Write};
use std::rc::Rc;

use kapok::JoinHandle;
use kapok::sync::Event;
use tungstenite::Message;

use crate::support::{Count, Counted, Tls, join_soon};

pub(crate) const URL: &str = "ws://localhost/";

/// Where the peer stops.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stop {
    /// Before the first byte of the TLS handshake.
    TlsSilent,
    /// In the middle of its part of the TLS handshake.
    TlsHalfway,
    /// Before the answer to the WebSocket handshake.
    WebSocketSilent,
    /// In the middle of a WebSocket frame.
    HalfFrame,
    /// In the middle of a WebSocket frame, inside TLS.
    HalfFrameInTls,
}

impl Stop {
    pub(crate) const ALL: [Self; 5] = [
        Self::TlsSilent,
        Self::TlsHalfway,
        Self::WebSocketSilent,
        Self::HalfFrame,
        Self::HalfFrameInTls,
    ];
}

/// A peer on a fiber of its own.
pub(crate) struct Peer {
    fiber: JoinHandle<()>,
    stopped: Rc<Event>,
}

impl Peer {
    /// The client's end of a connection, and the peer at its other end.
    pub(crate) fn new(count: &Count, tls: &Tls, stop: Stop) -> (Counted, Self) {
        let (client, stream) = count.pair();
        let stopped = Rc::new(Event::new());
        let fiber = kapok::spawn({
            let (tls, stopped) = (tls.clone(), Rc::clone(&stopped));
            move || {
                // Who is cut off before the peer stops is an error to it, which is as good an end.
                drop(go_so_far(&tls, stop, stream, &stopped));
            }
        });
        (client, Self { fiber, stopped })
    }

    /// Waits until all was sent that this peer ever sends.
    pub(crate) fn wait_until_stopped(&self) {
        self.stopped.wait();
    }

    pub(crate) fn has_stopped(&self) -> bool {
        self.stopped.is_set()
    }

    /// Waits until the peer has seen the end of the connection.
    pub(crate) fn join(self) {
        join_soon("the peer of who was cut off", self.fiber);
    }
}

/// Does what belongs before the stop, then waits for the end of the stream.
fn go_so_far(tls: &Tls, stop: Stop, mut stream: Counted, stopped: &Event) -> io::Result<()> {
    match stop {
        Stop::TlsSilent | Stop::WebSocketSilent => {
            stream.read_exact(&mut [0])?;
            read_to_the_end(stream, stopped)
        }
        Stop::TlsHalfway => {
            let mut connection = tls.server_connection();
            while !connection.wants_write() {
                connection.read_tls(&mut stream)?;
                connection.process_new_packets().map_err(io::Error::other)?;
            }
            let mut flight = Vec::new();
            while connection.wants_write() {
                connection.write_tls(&mut flight)?;
            }
            stream.write_all(&flight[..flight.len() / 2])?;
            read_to_the_end(stream, stopped)
        }
        Stop::HalfFrame => read_to_the_end(send_half_a_frame(stream)?, stopped),
        Stop::HalfFrameInTls => read_to_the_end(send_half_a_frame(tls.accept(stream)?)?, stopped),
    }
}

fn send_half_a_frame<S: Read + Write>(stream: S) -> io::Result<S> {
    let accepted = tungstenite::accept(stream);
    let socket = accepted.map_err(|error| io::Error::other(error.to_string()))?;
    let mut stream = socket.into_inner();
    // A text of 1000 bytes, of which there are 7.
    stream.write_all(b"\x81\x7e\x03\xe8kapokka")?;
    stream.flush()?;
    Ok(stream)
}

fn read_to_the_end(mut stream: impl Read, stopped: &Event) -> io::Result<()> {
    stopped.set();
    io::copy(&mut stream, &mut io::sink()).map(drop)
}

/// What the peer keeps waiting. Does not return.
pub(crate) fn wait_for_the_rest(tls: &Tls, stop: Stop, stream: Counted) {
    match stop {
        Stop::TlsSilent | Stop::TlsHalfway => drop(tls.connect(stream)),
        Stop::WebSocketSilent => drop(tungstenite::client(URL, stream)),
        Stop::HalfFrame => drop(receive(stream)),
        Stop::HalfFrameInTls => drop(receive(tls.connect(stream).unwrap())),
    }
    panic!("{stop:?}: the peer went on, or the connection ended");
}

fn receive<S: Read + Write>(stream: S) -> tungstenite::Result<Message> {
    let Ok((mut socket, _)) = tungstenite::client(URL, stream) else {
        panic!("the handshake failed");
    };
    socket.read()
}

/// A whole exchange with a good peer: a WebSocket message inside TLS, and its echo. The peer begins when `begin` is set.
pub(crate) fn exchange(count: &Count, tls: &Tls, begin: &Rc<Event>) -> String {
    let (client, server) = count.pair();
    let server = kapok::spawn({
        let (tls, begin) = (tls.clone(), Rc::clone(begin));
        move || {
            begin.wait();
            let Ok(mut socket) = tungstenite::accept(tls.accept(server).unwrap()) else {
                panic!("the handshake failed");
            };
            let message = socket.read().unwrap();
            socket.send(message).unwrap();
            // The client closes.
            while socket.read().is_ok() {}
        }
    });
    let Ok((mut socket, _)) = tungstenite::client(URL, tls.connect(client).unwrap()) else {
        panic!("the handshake failed");
    };
    socket.send(Message::text("how are you?")).unwrap();
    let answer = socket.read().unwrap().into_text().unwrap().to_string();
    socket.close(None).unwrap();
    while socket.read().is_ok() {}
    drop(socket);
    join_soon("the good peer", server);
    answer
}

/// [`exchange`] with a peer that begins at once, and its check.
pub(crate) fn exchange_well(count: &Count, tls: &Tls) {
    let begin = Rc::new(Event::new());
    begin.set();
    assert_eq!(exchange(count, tls, &begin), "how are you?");
}
