//! The floor: what the kernel allows one thread to do, with nothing in between.
//!
//! Raw edge-triggered epoll, one wait a turn, no tasks, no timers, no parsing. It is no server to run: it gives up on a
//! client that reads too slowly, and answers a request only if its head ends within one read. It marks the place that no
//! runtime on epoll gets below, so that a figure can be told as a share of what was possible on that machine at that
//! moment.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use peers::ECHO_BUFFER_BYTES;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::fd::OwnedFd;

/// Sends back every read as it came.
pub(crate) fn serve_echo(address: SocketAddr) -> io::Result<()> {
    serve(address, |received, answer| {
        answer.extend_from_slice(received)
    })
}

/// Answers the end of every head.
pub(crate) fn serve_http(address: SocketAddr) -> io::Result<()> {
    serve(address, answer_heads)
}

/// The bytes a real server sends, its Date standing still: a server that answers more bytes would do more work.
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Content-Length: 13\r\n\
    Content-Type: text/plain\r\n\
    Date: Fri, 20 Nov 2026 00:00:00 GMT\r\n\
    \r\n\
    Hello, World!";

const HEAD_END: &[u8] = b"\r\n\r\n";

fn answer_heads(received: &[u8], answer: &mut Vec<u8>) {
    let mut position = 0;
    while position + HEAD_END.len() <= received.len() {
        if &received[position..position + HEAD_END.len()] == HEAD_END {
            answer.extend_from_slice(RESPONSE);
            position += HEAD_END.len();
        } else {
            position += 1;
        }
    }
}

/// The key of the listener; connections count from 1, so a key is also a place in `Floor::connections`.
const LISTENER_KEY: usize = 0;

const EVENTS_PER_WAIT: usize = 1024;

fn serve(address: SocketAddr, answer: impl Fn(&[u8], &mut Vec<u8>)) -> io::Result<()> {
    let mut floor = Floor::new(address)?;
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
                LISTENER_KEY => floor.accept_all()?,
                key => floor.answer_all(key, &answer),
            }
        }
    }
}

struct Floor {
    epoll: OwnedFd,
    listener: TcpListener,
    /// By key; the first place is the listener's and stays empty. Places of closed connections are not used again: a run
    /// opens a few hundred.
    connections: Vec<Option<TcpStream>>,
    received: Vec<u8>,
    answer: Vec<u8>,
}

impl Floor {
    fn new(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let data = EventData::new_u64(LISTENER_KEY as u64);
        epoll::add(&epoll, &listener, data, EventFlags::IN)?;
        Ok(Self {
            epoll,
            listener,
            connections: vec![None],
            received: vec![0; ECHO_BUFFER_BYTES],
            answer: Vec::new(),
        })
    }

    fn accept_all(&mut self) -> io::Result<()> {
        while let Ok((stream, _)) = self.listener.accept() {
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let data = EventData::new_u64(self.connections.len() as u64);
            let flags = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
            epoll::add(&self.epoll, &stream, data, flags)?;
            self.connections.push(Some(stream));
        }
        Ok(())
    }

    fn answer_all(&mut self, key: usize, answer: &impl Fn(&[u8], &mut Vec<u8>)) {
        let Some(stream) = self.connections[key].as_mut() else {
            return;
        };
        loop {
            match stream.read(&mut self.received) {
                Ok(0) => break,
                Ok(count) => {
                    self.answer.clear();
                    answer(&self.received[..count], &mut self.answer);
                    if stream.write_all(&self.answer).is_err() {
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
