//! A protocol of one's own: a chat in which each line goes to everybody.
//!
//! Run it with `cargo run --release --example own_protocol [PORT|ADDRESS]` (default 127.0.0.1:7100) and join from several
//! terminals with `nc 127.0.0.1 7100`. The first line is your name. All runs on one thread, so the room is an `Rc` without a
//! lock. Ctrl-C ends it, and everybody's connection.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::rc::Rc;
use std::time::Duration;

use kapok::net::{TcpListener, TcpStream};

mod arguments;

/// Longer lines end the connection: what a stranger may make us keep has a limit.
const LINE_BYTES_MAX: u64 = 1024;
/// So has what is kept for a guest who does not read: the oldest lines are dropped.
const UNREAD_LINES_MAX: usize = 100;

struct Guest {
    name: String,
    unread: RefCell<VecDeque<String>>,
    writer: kapok::Fiber,
    is_gone: Cell<bool>,
}

#[derive(Default)]
struct Room(RefCell<Vec<Rc<Guest>>>);

impl Room {
    /// Never switches, so every guest gets every line in the same order.
    fn say(&self, line: &str) {
        kapok::assert_no_switchpoints(|| {
            for guest in self.0.borrow().iter() {
                let mut unread = guest.unread.borrow_mut();
                if unread.len() == UNREAD_LINES_MAX {
                    unread.pop_front();
                }
                unread.push_back(line.to_owned());
                guest.writer.unpark();
            }
        });
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind(arguments::parse("127.0.0.1:7100")?.address)?;
    let address = listener.local_addr()?;
    println!(
        "chatting on {address}; try: nc {} {}",
        address.ip(),
        address.port()
    );
    let closed_at_the_end = listener.try_clone()?;
    drop(kapok::spawn(move || {
        kapok::signal::ctrl_c().map(|()| closed_at_the_end.close())
    }));
    let room = Rc::new(Room::default());
    for stream in listener.incoming() {
        let (room, stream) = (Rc::clone(&room), stream?);
        drop(kapok::spawn(move || serve(&room, stream)));
    }
    // Closed: those who are still here are unwound, and their connections end.
    Ok(kapok::drain(Duration::ZERO)?)
}

/// This fiber writes what is said; a second one reads what its guest says.
fn serve(room: &Rc<Room>, mut stream: TcpStream) -> io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?);
    stream.write_all(b"your name?\n")?;
    let Some(name) = read_line(&mut lines)? else {
        return Ok(());
    };
    let (writer, unread) = (kapok::current(), RefCell::default());
    let guest = Rc::new(Guest {
        name,
        unread,
        writer,
        is_gone: Cell::new(false),
    });
    room.0.borrow_mut().push(Rc::clone(&guest));
    room.say(&format!("* {} is here\n", guest.name));
    let (reader_room, reader_guest) = (Rc::clone(room), Rc::clone(&guest));
    drop(kapok::spawn(move || {
        while let Ok(Some(line)) = read_line(&mut lines) {
            reader_room.say(&format!("{}: {line}\n", reader_guest.name));
        }
        reader_guest.is_gone.set(true);
        reader_guest.writer.unpark();
    }));
    while !guest.is_gone.get() {
        let line = guest.unread.borrow_mut().pop_front();
        match line {
            Some(line) if stream.write_all(line.as_bytes()).is_ok() => {}
            Some(_) => stream.close(),
            None => kapok::park(),
        }
    }
    room.0
        .borrow_mut()
        .retain(|other| !Rc::ptr_eq(other, &guest));
    room.say(&format!("* {} has left\n", guest.name));
    Ok(())
}

/// A line without its end; none at the end of the stream.
fn read_line(lines: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    lines.take(LINE_BYTES_MAX).read_line(&mut line)?;
    if !line.ends_with('\n') && !line.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "a line is too long or has no end",
        ));
    }
    Ok((!line.is_empty()).then(|| line.trim_end().to_owned()))
}
