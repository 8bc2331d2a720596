//! A cancel at each read and each write of a TLS connection's whole life.

use std::cell::{Cell, OnceCell};
use std::io::{self, IoSlice, Read, Write};
use std::rc::{Rc, Weak};

use kapok::JoinHandle;
use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};

use crate::support::{Count, LONG, Tls, alone};

/// When the fiber that makes the call is cancelled.
#[derive(Clone, Copy, Debug)]
enum When {
    /// Before it: unwinds at its entry.
    Before,
    /// By another fiber, as soon as that runs: unwinds out of its wait, if it has to wait.
    Meanwhile,
}

/// Who is cancelled.
#[derive(Clone, Copy, Debug)]
enum Who {
    Client,
    Server,
}

type Fiber = OnceCell<JoinHandle<io::Result<()>>>;

/// Counts the calls of a stream, and cancels the fiber at one of them.
struct Cut<S> {
    stream: S,
    /// The most bytes a call moves: the smaller, the more calls.
    piece: usize,
    left: usize,
    when: When,
    fiber: Weak<Fiber>,
}

impl<S> Cut<S> {
    fn count_call(&mut self) {
        self.left = self.left.saturating_sub(1);
        if self.left == 0
            && let Some(fiber) = std::mem::take(&mut self.fiber).upgrade()
        {
            let cancel = move || {
                fiber
                    .get()
                    .expect("it was set before the fiber ran")
                    .cancel()
            };
            match self.when {
                When::Before => cancel(),
                When::Meanwhile => drop(kapok::spawn(cancel)),
            }
        }
    }
}

impl<S: Read> Read for Cut<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.count_call();
        let piece = buffer.len().min(self.piece);
        self.stream.read(&mut buffer[..piece])
    }
}

impl<S: Write> Write for Cut<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.count_call();
        self.stream.write(&bytes[..bytes.len().min(self.piece)])
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.piece == usize::MAX {
            self.count_call();
            return self.stream.write_vectored(buffers);
        }
        let first = buffers.iter().find(|buffer| !buffer.is_empty());
        self.write(first.map_or(&[], |buffer| buffer))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// The client's whole part. Sets `has_closed` when it has said that it will send no more.
fn client(tls: &Tls, stream: impl Read + Write, has_closed: &Cell<bool>) -> io::Result<()> {
    let mut tls = tls.connect(stream)?;
    tls.write_all(b"ping")?;
    let mut answer = [0; 4];
    tls.read_exact(&mut answer)?;
    assert_eq!(&answer, b"pong");
    tls.conn.send_close_notify();
    tls.conn.complete_io(&mut tls.sock)?;
    has_closed.set(true);
    assert_eq!(tls.read(&mut answer)?, 0);
    Ok(())
}

/// The server's.
fn server(tls: &Tls, stream: impl Read + Write, has_closed: &Cell<bool>) -> io::Result<()> {
    let mut tls = tls.accept(stream)?;
    let mut question = [0; 4];
    tls.read_exact(&mut question)?;
    assert_eq!(&question, b"ping");
    tls.write_all(b"pong")?;
    assert_eq!(tls.read(&mut question)?, 0);
    tls.conn.send_close_notify();
    tls.conn.complete_io(&mut tls.sock)?;
    has_closed.set(true);
    Ok(())
}

/// Cancels one end at its call of that number. Returns whether it was cut off.
fn is_cut_off(count: &Count, tls: &Tls, who: Who, when: When, piece: usize, call: usize) -> bool {
    let case = format!("{who:?} cancelled {when:?} call {call} of {piece} bytes");
    let (client_end, server_end) = count.pair();
    let (mine, other) = match who {
        Who::Client => (client_end, server_end),
        Who::Server => (server_end, client_end),
    };
    let has_closed = Rc::new(Cell::new(false));
    let cell = Rc::new(Fiber::new());
    let cut = Cut {
        stream: mine,
        piece,
        left: call,
        when,
        fiber: Rc::downgrade(&cell),
    };
    let fiber = kapok::spawn({
        let (tls, has_closed) = (tls.clone(), Rc::clone(&has_closed));
        move || match who {
            Who::Client => client(&tls, cut, &has_closed),
            Who::Server => server(&tls, cut, &has_closed),
        }
    });
    cell.set(fiber).expect("it is set once");
    let peer = kapok::spawn({
        let tls = tls.clone();
        move || match who {
            Who::Client => server(&tls, other, &Cell::new(false)),
            Who::Server => client(&tls, other, &Cell::new(false)),
        }
    });
    let fiber = cell.get().expect("it was set above");
    let both = [fiber, &peer];
    for waited in both {
        kapok::select! {
            () = ready(waited) => {},
            () = after(LONG) => panic!("{case}: somebody hangs"),
        }
    }
    // The fiber that cancels may come too late, but then it has nobody to wait for.
    while Rc::strong_count(&cell) > 1 {
        kapok::yield_now();
    }
    let fiber = Rc::into_inner(cell).and_then(OnceCell::into_inner);
    let result = fiber.expect("nobody else has it").join();
    let peer = peer.join().unwrap();
    count.assert_nothing_left();
    match result {
        Ok(result) => {
            result.unwrap();
            peer.unwrap();
            false
        }
        Err(error) => {
            assert!(error.is_cancelled(), "{case}: {error}");
            assert!(
                peer.is_err() || has_closed.get(),
                "{case}: the peer took it for an end in good order"
            );
            true
        }
    }
}

/// Cancels at the first call, the second and so on, until the connection gets through.
fn cut_off_at_every_call(version: &'static SupportedProtocolVersion) {
    let tls = Tls::new(version);
    let count = Count::new(&tls);
    for who in [Who::Client, Who::Server] {
        for when in [When::Before, When::Meanwhile] {
            for (piece, calls_min) in [(usize::MAX, 4), (50, 9)] {
                let is_cut = |&call: &usize| is_cut_off(&count, &tls, who, when, piece, call);
                let calls = (1..).take_while(is_cut).count();
                assert!(
                    calls >= calls_min,
                    "{who:?} {when:?}: {calls} calls of {piece} bytes"
                );
            }
        }
    }
}

#[test]
fn a_cancel_at_any_call_of_tls_1_3_leaves_nothing_behind() {
    alone("any_call_of_tls_1_3", || cut_off_at_every_call(&TLS13));
}

#[test]
fn a_cancel_at_any_call_of_tls_1_2_leaves_nothing_behind() {
    alone("any_call_of_tls_1_2", || cut_off_at_every_call(&TLS12));
}
