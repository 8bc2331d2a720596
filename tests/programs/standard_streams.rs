//! Uses the standard streams as tests/runtime/standard_streams.rs asks for.

use std::cell::Cell;
use std::io::{self, BufRead, Read, Write};
use std::rc::Rc;
use std::time::Duration;

use kapok::io::{stderr, stdin, stdout};

fn main() -> io::Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("numbered") => numbered(),
        Some("copy") => copy(),
        Some("cancelled") => cancelled(),
        Some("all") => all(),
        Some("ticking") => ticking(),
        Some("turns") => turns(),
        Some("unfinished") => write!(stdout(), "no line feed"),
        Some("stuck") => stuck(),
        Some("locked") => locked(),
        Some("cancelled_lock") => cancelled_lock(),
        Some("mode") => mode(),
        Some("nonblocking") => nonblocking(),
        other => panic!("no such case: {other:?}"),
    }
}

/// Numbers the lines it reads.
fn numbered() -> io::Result<()> {
    for (number, line) in stdin().lines().enumerate() {
        writeln!(stdout(), "{number}: {}", line?)?;
    }
    writeln!(stderr(), "the end")
}

/// Copies everything.
fn copy() -> io::Result<()> {
    io::copy(&mut stdin().lock(), &mut stdout())?;
    stdout().flush()
}

/// Gives up on reading, many times, and reads in full all the same.
fn cancelled() -> io::Result<()> {
    let mut given_up = 0;
    let mut lines = Vec::new();
    writeln!(stdout(), "ready")?;
    loop {
        let mut line = String::new();
        match kapok::timeout(Duration::from_millis(1), || stdin().read_line(&mut line)) {
            Err(_) => given_up += 1,
            Ok(Ok(0)) => break,
            Ok(Ok(_)) => lines.push(line),
            Ok(Err(error)) => return Err(error),
        }
        if given_up == 20 {
            // The other side waits for this before it writes the rest.
            given_up += 1;
            writeln!(stdout(), "given up")?;
        }
    }
    write!(stdout(), "{}", lines.concat())
}

/// Gives up on reading all, and reads all.
fn all() -> io::Result<()> {
    let mut text = String::new();
    let section = || stdin().read_to_string(&mut text);
    assert!(kapok::timeout(Duration::from_millis(20), section).is_err());
    writeln!(stdout(), "given up")?;
    text.clear();
    stdin().read_to_string(&mut text)?;
    write!(stdout(), "{text}")
}

/// Counts while nothing comes.
fn ticking() -> io::Result<()> {
    let ticks = Rc::new(Cell::new(0));
    let counter = kapok::spawn({
        let ticks = Rc::clone(&ticks);
        move || {
            for tick in 1..=20 {
                ticks.set(tick);
                kapok::sleep(Duration::from_micros(100));
            }
            writeln!(stdout(), "ticked 20").unwrap();
        }
    });
    let mut line = String::new();
    stdin().read_line(&mut line)?;
    counter.join().unwrap();
    assert_eq!(ticks.get(), 20);
    write!(stdout(), "{line}")
}

/// Two fibers and std read the same input, each a line at a time.
fn turns() -> io::Result<()> {
    let read = || {
        let mut line = String::new();
        stdin().read_line(&mut line).unwrap();
        line
    };
    let fibers = [kapok::spawn(read), kapok::spawn(read)];
    let mut lines: Vec<String> = (fibers.into_iter())
        .map(|fiber| fiber.join().unwrap())
        .collect();
    lines.sort();
    // Not UTF-8: passed over.
    let error = stdin().read_line(&mut String::new()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    let mut limited = String::new();
    stdin().lock().take(4).read_line(&mut limited)?;
    let mut rest = String::new();
    stdin().read_to_string(&mut rest)?;
    write!(stdout(), "{}{limited}|{rest}", lines.concat())
}

/// Writes more than anybody takes, while another fiber goes on.
fn stuck() -> io::Result<()> {
    let writer = kapok::spawn(|| stdout().write_all(&[b'x'; 1 << 20]));
    for _ in 0..20 {
        kapok::sleep(Duration::from_micros(100));
    }
    assert!(!writer.is_finished());
    writeln!(stderr(), "still here")?;
    writer.join().unwrap()?;
    stdout().flush()
}

/// Four fibers write three lines each in one piece, and one that has no lock writes in between.
fn locked() -> io::Result<()> {
    let output = stdout();
    let fibers: Vec<_> = (0..4)
        .map(|number| {
            let output = output.clone();
            kapok::spawn(move || -> io::Result<()> {
                let mut lock = output.lock();
                for line in 0..3 {
                    writeln!(lock, "{number} {line}")?;
                    kapok::yield_now();
                }
                lock.flush()
            })
        })
        .collect();
    kapok::yield_now();
    writeln!(&output, "no lock")?;
    for fiber in fibers {
        fiber.join().unwrap()?;
    }
    Ok(())
}

/// Gives up on a write that nobody takes, and on the lock; others write after what is still to come of it.
fn cancelled_lock() -> io::Result<()> {
    let write = || stdout().lock().write_all(&[b'x'; 1 << 20]);
    assert!(kapok::timeout(Duration::from_millis(20), write).is_err());
    let next = kapok::spawn(|| writeln!(stdout().lock(), "next"));
    kapok::yield_now();
    writeln!(stderr(), "given up")?;
    next.join().unwrap()
}

/// Says whether reading has changed the mode of the input.
fn mode() -> io::Result<()> {
    let mut line = String::new();
    stdin().read_line(&mut line)?;
    // SAFETY: the call takes numbers.
    let flags = unsafe { libc::fcntl(libc::STDIN_FILENO, libc::F_GETFL) };
    let is_nonblocking = flags & libc::O_NONBLOCK != 0;
    let is_terminal = stdin().is_terminal();
    writeln!(
        stdout(),
        "{line}terminal: {is_terminal}, non-blocking: {is_nonblocking}"
    )
}

/// Writes numbered lines to a pipe that somebody made non-blocking, again and again what was not taken.
fn nonblocking() -> io::Result<()> {
    // SAFETY: the call takes numbers and touches no memory of ours.
    unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_SETFL, libc::O_NONBLOCK) };
    let text: String = (0..50_000).map(|number| format!("{number}\n")).collect();
    // The pipe holds 64 KiB, so that it takes a part of the next piece.
    let (first, mut left) = text.as_bytes().split_at(30_000);
    stdout().write_all(first)?;
    let mut was_refused = false;
    while !left.is_empty() {
        match stdout().write(left) {
            Ok(count) => left = &left[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if !was_refused {
                    // The other side waits for this before it reads.
                    was_refused = true;
                    writeln!(stderr(), "refused")?;
                }
                kapok::sleep(Duration::from_millis(1));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
