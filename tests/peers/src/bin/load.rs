//! Echo clients: `load ADDRESS CONNECTIONS SECONDS` keeps one message in flight on each connection and prints what it saw.
//!
//! One thread on edge-triggered epoll, so that it stays far below the processor time of the server it presses; with one
//! connection it measures the latency of an otherwise idle server.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::{Duration, Instant};
use std::{env, fmt};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::fd::OwnedFd;

const MESSAGE_BYTES: usize = 64;

const EVENTS_PER_WAIT: usize = 1024;

/// How long a server may leave every connection unanswered before that counts as an error.
const SILENCE: Timespec = Timespec {
    tv_sec: 5,
    tv_nsec: 0,
};

fn main() -> ExitCode {
    let Some((address, connections, seconds)) = arguments() else {
        eprintln!("usage: load ADDRESS CONNECTIONS SECONDS");
        return ExitCode::FAILURE;
    };
    match Load::connect(address, connections).and_then(|load| load.run(seconds)) {
        Ok(report) => {
            print!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("load {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Option<(SocketAddr, usize, Duration)> {
    fn next<T: FromStr>(arguments: &mut env::Args) -> Option<T> {
        arguments.next()?.parse().ok()
    }
    let mut arguments = env::args();
    arguments.next();
    let address = next(&mut arguments)?;
    let connections = next(&mut arguments)?;
    let seconds = Duration::try_from_secs_f64(next(&mut arguments)?).ok()?;
    Some((address, connections, seconds))
}

struct Load {
    epoll: OwnedFd,
    clients: Vec<Client>,
}

struct Client {
    stream: TcpStream,
    /// When the message in flight was sent.
    sent: Instant,
    /// How much of the message in flight has come back.
    received_bytes: usize,
}

impl Load {
    fn connect(address: SocketAddr, connections: usize) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let mut clients = Vec::with_capacity(connections);
        for key in 0..connections {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let data = EventData::new_u64(key as u64);
            epoll::add(&epoll, &stream, data, EventFlags::IN | EventFlags::ET)?;
            clients.push(Client {
                stream,
                sent: Instant::now(),
                received_bytes: 0,
            });
        }
        Ok(Self { epoll, clients })
    }

    fn run(mut self, duration: Duration) -> io::Result<Report> {
        let started = Instant::now();
        let end = started + duration;
        // Nanoseconds in 32 bits: a round trip of more than four seconds is reported as that.
        let mut latencies: Vec<u32> = Vec::with_capacity(1 << 20);
        let mut events: Vec<Event> = Vec::with_capacity(EVENTS_PER_WAIT);
        for client in &mut self.clients {
            client.send()?;
        }
        while Instant::now() < end {
            events.clear();
            epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&SILENCE))?;
            if events.is_empty() {
                return Err(io::Error::new(
                    ErrorKind::TimedOut,
                    "the server stopped answering",
                ));
            }
            for event in &events {
                let client = &mut self.clients[event.data.u64() as usize];
                if let Some(latency) = client.receive()? {
                    latencies.push(u32::try_from(latency.as_nanos()).unwrap_or(u32::MAX));
                }
            }
        }
        Ok(Report::new(started.elapsed(), latencies))
    }
}

impl Client {
    fn send(&mut self) -> io::Result<()> {
        self.sent = Instant::now();
        self.stream.write_all(&[b'k'; MESSAGE_BYTES])
    }

    /// Reads what is there. When that completes the message, sends the next one and returns how long this one took.
    fn receive(&mut self) -> io::Result<Option<Duration>> {
        let mut buffer = [0; MESSAGE_BYTES];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.received_bytes += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
            }
            if self.received_bytes >= MESSAGE_BYTES {
                // Nothing else is in flight, so the socket is known to be empty without another read.
                let latency = self.sent.elapsed();
                self.received_bytes = 0;
                self.send()?;
                return Ok(Some(latency));
            }
        }
    }
}

struct Report {
    elapsed: Duration,
    /// In nanoseconds, lowest first.
    latencies: Vec<u32>,
}

impl Report {
    fn new(elapsed: Duration, mut latencies: Vec<u32>) -> Self {
        latencies.sort_unstable();
        Self { elapsed, latencies }
    }

    fn percentile_microseconds(&self, share: f64) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        let nanoseconds = self.latencies.get((last as f64 * share) as usize);
        f64::from(nanoseconds.copied().unwrap_or(0)) / 1000.0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.latencies.len();
        let rate = count as f64 / self.elapsed.as_secs_f64();
        writeln!(formatter, "round trips: {count}")?;
        writeln!(formatter, "rate: {rate:.1} /s")?;
        for (name, share) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)] {
            let latency = self.percentile_microseconds(share);
            writeln!(formatter, "{name}: {latency:.2} us")?;
        }
        Ok(())
    }
}
