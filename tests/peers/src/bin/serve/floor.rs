//! The floor: what the kernel allows one thread to do, with nothing in between.
//!
//! Raw edge-triggered epoll, one wait a turn, no tasks, no timers, no parsing. It is no server to run: it gives up on a
//! client that reads too slowly, and answers a request only if its head ends within one read. It marks the place that no
//! runtime on epoll gets below, so that a figure can be told as a share of what was possible on that machine at that
//! moment.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::ControlFlow;

use peers::ECHO_BUFFER_BYTES;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::net::{SocketFlags, accept_with};

/// Sends back every read as it came.
pub(crate) fn serve_echo(address: SocketAddr) -> io::Result<()> {
    serve(address, ECHO_BUFFER_BYTES, |connection, received| {
        connection.send(received)
    })
}

/// Answers the end of every head.
pub(crate) fn serve_http(address: SocketAddr) -> io::Result<()> {
    let mut answers = Vec::new();
    serve(address, ECHO_BUFFER_BYTES, |connection, received| {
        answers.clear();
        answer_heads(received, &mut answers);
        connection.send(&answers)
    })
}

/// The bytes a real server sends, its Date standing still: a server that answers more bytes would do more work.
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Content-Length: 13\r\n\
    Content-Type: text/plain\r\n\
    Date: Fri, 20 Nov 2026 00:00:00 GMT\r\n\
    \r\n\
    Hello, World!";

pub(crate) const HEAD_END: &[u8] = b"\r\n\r\n";

fn answer_heads(received: &[u8], answers: &mut Vec<u8>) {
    let mut position = 0;
    while position + HEAD_END.len() <= received.len() {
        if &received[position..position + HEAD_END.len()] == HEAD_END {
            answers.extend_from_slice(RESPONSE);
            position += HEAD_END.len();
        } else {
            position += 1;
        }
    }
}

/// One client, and how far its request has come.
pub(crate) struct Connection {
    stream: TcpStream,
    /// What is still to come of the body that is being read; 0 between requests.
    pub(crate) body_bytes_left: usize,
}

impl Connection {
    /// Writes an answer, and goes on unless that fails.
    pub(crate) fn send(&mut self, answer: &[u8]) -> ControlFlow<()> {
        match self.stream.write_all(answer) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}

/// The key of the listener. A connection's is its descriptor, which is never 0: that is standard input.
const LISTENER_KEY: usize = 0;

const EVENTS_PER_WAIT: usize = 1024;

/// Hands what a connection has received to `answer`, read by read, and closes the connection when that breaks off.
pub(crate) fn serve(
    address: SocketAddr,
    buffer_bytes: usize,
    mut answer: impl FnMut(&mut Connection, &[u8]) -> ControlFlow<()>,
) -> io::Result<()> {
    let mut floor = Floor::new(address, buffer_bytes)?;
    let mut events: Vec<Event> = Vec::with_capacity(EVENTS_PER_WAIT);
    loop {
        events.clear();
        match epoll::wait(&floor.epoll, spare_capacity(&mut events), None) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            match event.data.u64() as usize {
                LISTENER_KEY => floor.accept()?,
                key => floor.answer_all(key, &mut answer),
            }
        }
    }
}

struct Floor {
    epoll: OwnedFd,
    listener: TcpListener,
    /// By key.
    connections: Vec<Option<Connection>>,
    received: Vec<u8>,
}

impl Floor {
    fn new(address: SocketAddr, buffer_bytes: usize) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let data = EventData::new_u64(LISTENER_KEY as u64);
        epoll::add(&epoll, &listener, data, EventFlags::IN)?;
        Ok(Self {
            epoll,
            listener,
            connections: Vec::new(),
            received: vec![0; buffer_bytes],
        })
    }

    /// Accepts one connection. If more wait, the listener is ready in the next turn again; one call too many for each would
    /// show where every request has a connection of its own.
    fn accept(&mut self) -> io::Result<()> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let stream = match accept_with(&self.listener, flags) {
            Ok(stream) => TcpStream::from(stream),
            // The client has gone in the meantime.
            Err(_) => return Ok(()),
        };
        stream.set_nodelay(true)?;
        let key = stream.as_raw_fd() as usize;
        let flags = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(&self.epoll, &stream, EventData::new_u64(key as u64), flags)?;
        if self.connections.len() <= key {
            self.connections.resize_with(key + 1, || None);
        }
        self.connections[key] = Some(Connection {
            stream,
            body_bytes_left: 0,
        });
        Ok(())
    }

    fn answer_all(
        &mut self,
        key: usize,
        answer: &mut impl FnMut(&mut Connection, &[u8]) -> ControlFlow<()>,
    ) {
        let Some(connection) = self.connections[key].as_mut() else {
            return;
        };
        loop {
            match connection.stream.read(&mut self.received) {
                Ok(0) => break,
                Ok(count) => {
                    if answer(connection, &self.received[..count]).is_break() {
                        break;
                    }
                    // A short read has emptied the socket; what comes after it makes a new edge.
                    if count < self.received.len() {
                        return;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => break,
            }
        }
        self.connections[key] = None;
    }
}
