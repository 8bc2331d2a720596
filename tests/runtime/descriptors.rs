//! Pipes, and descriptors of any kind.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use kapok::io::{Direction, Registered, pipe};
use kapok::{spawn, unblock, yield_now};

use crate::support::on_a_hub;

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(50);

fn kind<T: std::fmt::Debug>(result: io::Result<T>) -> io::ErrorKind {
    result.unwrap_err().kind()
}

/// A counter of the kernel's: readable when it is not zero.
fn eventfd() -> File {
    // SAFETY: two numbers.
    let descriptor = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
    assert!(descriptor >= 0);
    // SAFETY: the descriptor is new, and nobody else's.
    File::from(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

#[test]
fn a_megabyte_goes_through_a_pipe() {
    const BYTES: usize = 1 << 20;
    on_a_hub("pipe", || {
        let (mut reader, mut writer) = pipe().unwrap();
        let fiber = spawn(move || {
            for number in 0..BYTES / 1000 + 1 {
                let rest = BYTES - (number * 1000).min(BYTES);
                writer
                    .write_all(&[number as u8; 1000][..rest.min(1000)])
                    .unwrap();
            }
        });
        let mut all = Vec::new();
        reader.read_to_end(&mut all).unwrap();
        assert_eq!(all.len(), BYTES);
        assert!(
            all.chunks(1000)
                .enumerate()
                .all(|(number, chunk)| chunk.iter().all(|byte| *byte == number as u8))
        );
        fiber.join().unwrap();
    });
}

#[test]
fn the_ends_of_a_pipe_see_each_others_end() {
    on_a_hub("pipe ends", || {
        for is_waiting in [false, true] {
            let (reader, writer) = pipe().unwrap();
            let waiting = spawn(move || (&reader).read(&mut [0; 8]).unwrap());
            if is_waiting {
                yield_now();
            }
            (&writer).write_all(b"ab").unwrap();
            drop(writer);
            assert_eq!(waiting.join().unwrap(), 2);

            let (reader, writer) = pipe().unwrap();
            let waiting = spawn(move || {
                let mut written = 0;
                loop {
                    match (&writer).write(&[0; 1 << 16]) {
                        Ok(length) => written += length,
                        Err(error) => return (written, error.kind()),
                    }
                }
            });
            if is_waiting {
                yield_now();
            }
            drop(reader);
            let (_, kind) = waiting.join().unwrap();
            assert_eq!(kind, io::ErrorKind::BrokenPipe);
        }
    });
}

#[test]
fn a_pipe_has_timeouts_and_is_closed_here_and_on_another_hub() {
    on_a_hub("pipe close", || {
        let (reader, writer) = pipe().unwrap();
        reader.set_read_timeout(Some(SHORT)).unwrap();
        let start = Instant::now();
        assert_eq!(kind((&reader).read(&mut [0])), io::ErrorKind::TimedOut);
        assert!(start.elapsed() >= SHORT);
        writer.set_write_timeout(Some(SHORT)).unwrap();
        let full = loop {
            if let Err(error) = (&writer).write(&[0; 1 << 16]) {
                break error.kind();
            }
        };
        assert_eq!(full, io::ErrorKind::TimedOut);

        let (reader, _writer) = pipe().unwrap();
        let (tell, told) = mpsc::channel();
        let far = reader.try_clone().unwrap();
        let thread = std::thread::spawn(move || {
            kapok::run(move || {
                let waiting = spawn(move || kind((&far).read(&mut [0])));
                yield_now();
                tell.send(()).unwrap();
                waiting.join().unwrap()
            })
        });
        let near = reader.try_clone().unwrap();
        let waiting = spawn(move || kind((&near).read(&mut [0])));
        unblock(move || told.recv_timeout(LONG).unwrap()).unwrap();
        reader.close();
        assert_eq!(waiting.join().unwrap(), io::ErrorKind::NotConnected);
        let there = unblock(move || thread.join().unwrap()).unwrap();
        assert_eq!(there, io::ErrorKind::NotConnected);
    });
}

#[test]
fn a_cancelled_reader_leaves_the_pipe_usable() {
    on_a_hub("pipe cancel", || {
        let (reader, mut writer) = pipe().unwrap();
        let reader = Rc::new(reader);
        let waiting = spawn({
            let reader = Rc::clone(&reader);
            move || (&*reader).read(&mut [0; 8])
        });
        yield_now();
        waiting.cancel();
        assert!(waiting.join().unwrap_err().is_cancelled());
        writer.write_all(b"next").unwrap();
        assert_eq!((&*reader).read(&mut [0; 8]).unwrap(), 4);
    });
}

#[test]
fn a_child_writes_into_a_pipe() {
    on_a_hub("pipe child", || {
        let (mut reader, writer) = pipe().unwrap();
        let mut child = Command::new("sh")
            .args(["-c", "echo one; echo two"])
            .stdout(Stdio::from(writer.into_std().unwrap()))
            .spawn()
            .unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "one\ntwo\n");
        unblock(move || child.wait()).unwrap().unwrap();
        let reader = reader.into_std().unwrap();
        assert_eq!((&reader).read(&mut [0]).unwrap(), 0, "blocking again");
    });
}

#[test]
fn an_eventfd_wakes_who_tries_and_who_waits() {
    on_a_hub("eventfd", || {
        let counter = Rc::new(Registered::new(eventfd()).unwrap());
        let read = |counter: &Registered<File>| {
            counter.try_io(Direction::Read, |mut file| {
                let mut value = [0; 8];
                file.read_exact(&mut value)?;
                Ok(u64::from_ne_bytes(value))
            })
        };
        let add = |value: u64| {
            let mut file = counter.get_ref();
            file.write_all(&value.to_ne_bytes()).unwrap();
        };
        counter.writable().unwrap();
        let waiting = spawn({
            let counter = Rc::clone(&counter);
            move || read(&counter).unwrap()
        });
        yield_now();
        add(3);
        assert_eq!(waiting.join().unwrap(), 3);

        let waiting = spawn({
            let counter = Rc::clone(&counter);
            move || counter.readable()
        });
        yield_now();
        assert!(!waiting.is_finished());
        add(4);
        waiting.join().unwrap().unwrap();
        // It is readable until it is read, by whatever way.
        counter.readable().unwrap();
        let mut value = [0; 8];
        counter.get_ref().read_exact(&mut value).unwrap();
        counter.set_read_timeout(Some(SHORT)).unwrap();
        let start = Instant::now();
        assert_eq!(kind(counter.readable()), io::ErrorKind::TimedOut);
        assert_eq!(kind(read(&counter)), io::ErrorKind::TimedOut);
        assert!(start.elapsed() >= SHORT * 2);
        add(5);
        assert_eq!(read(&counter).unwrap(), 5);
    });
}

#[test]
fn a_timerfd_goes_off() {
    on_a_hub("timerfd", || {
        // SAFETY: two numbers.
        let timer = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC) };
        assert!(timer >= 0);
        // SAFETY: the descriptor is new, and nobody else's.
        let timer = File::from(unsafe { OwnedFd::from_raw_fd(timer) });
        let once = libc::timespec {
            tv_sec: 0,
            tv_nsec: 20_000_000,
        };
        let setting = libc::itimerspec {
            it_interval: libc::timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            it_value: once,
        };
        let start = Instant::now();
        // SAFETY: the descriptor is an open timerfd, the setting lives as long as the call, and the old one may be null.
        let result = unsafe {
            libc::timerfd_settime(
                timer.as_raw_fd(),
                0,
                &raw const setting,
                std::ptr::null_mut(),
            )
        };
        assert_eq!(result, 0);
        let timer = Registered::new(timer).unwrap();
        timer.readable().unwrap();
        assert!(start.elapsed() >= SHORT);
    });
}

#[test]
fn waits_end_by_close_and_by_cancel() {
    on_a_hub("registered close", || {
        let counter = Rc::new(Registered::new(eventfd()).unwrap());
        let wait = || {
            let counter = Rc::clone(&counter);
            spawn(move || counter.readable())
        };
        let cancelled = wait();
        let closed = wait();
        yield_now();
        cancelled.cancel();
        assert!(cancelled.join().unwrap_err().is_cancelled());
        counter.close();
        assert_eq!(kind(closed.join().unwrap()), io::ErrorKind::NotConnected);
        assert_eq!(kind(counter.writable()), io::ErrorKind::NotConnected);
        let counter = Rc::try_unwrap(counter).expect("the fibers are gone");
        let mut file = counter.into_inner();
        file.write_all(&1_u64.to_ne_bytes()).unwrap();
        assert_eq!(file.read(&mut [0; 8]).unwrap(), 8);
    });
}

#[test]
fn a_descriptor_moves_to_another_hub_and_is_dropped_there() {
    on_a_hub("registered moves", || {
        let (reader, mut writer) = io::pipe().unwrap();
        let reader = Registered::new(reader).unwrap();
        reader.set_read_timeout(Some(SHORT)).unwrap();
        assert_eq!(kind(reader.readable()), io::ErrorKind::TimedOut);
        reader.set_read_timeout(None).unwrap();
        let thread = std::thread::spawn(move || {
            kapok::run(move || reader.try_io(Direction::Read, |mut pipe| pipe.read(&mut [0; 8])))
        });
        writer.write_all(b"moved").unwrap();
        let length = unblock(move || thread.join().unwrap()).unwrap().unwrap();
        assert_eq!(length, 5);
        // The duplicate is gone too, as soon as this hub has heard of it.
        while writer.write(b"x").is_ok() {
            yield_now();
        }
    });
}

#[test]
fn files_and_what_else_cannot_be_waited_for_are_refused() {
    on_a_hub("refused", || {
        for path in ["Cargo.toml", "."] {
            let error = Registered::new(File::open(path).unwrap()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::Unsupported);
            assert!(error.to_string().contains("unblock"), "{error}");
        }
        // The kernel cannot wait for this one, which is no file on disk.
        let null = Registered::new(File::open("/dev/null").unwrap()).unwrap();
        let would_block = || io::Error::from(io::ErrorKind::WouldBlock);
        let refused = null.try_io(Direction::Read, |_| Err::<(), _>(would_block()));
        assert_eq!(kind(refused), io::ErrorKind::Unsupported);
    });
}

#[test]
fn an_operation_must_not_switch() {
    on_a_hub("no switch", || {
        let counter = Registered::new(eventfd()).unwrap();
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            counter.try_io(Direction::Read, |_| {
                yield_now();
                Ok(())
            })
        }));
        let message = *caught.unwrap_err().downcast::<String>().unwrap();
        assert!(message.contains("yield_now"), "{message}");
        assert!(counter.as_fd().as_raw_fd() > 0);
    });
}

#[test]
#[cfg(target_os = "linux")]
fn packets_in_a_pipe_are_all_read() {
    on_a_hub("packets", || {
        let (mut reader, mut writer) = pipe().unwrap();
        // As a child can do it to its standard output.
        let flags = libc::O_DIRECT | libc::O_NONBLOCK;
        // SAFETY: the call takes numbers, and the descriptor is open.
        let set = unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_SETFL, flags) };
        assert_eq!(set, 0);
        let reading = spawn(move || {
            let mut lengths = [0; 3];
            for length in &mut lengths {
                *length = reader.read(&mut [0; 64]).unwrap();
            }
            lengths
        });
        yield_now();
        for packet in ["a", "bc", "def"] {
            writer.write_all(packet.as_bytes()).unwrap();
        }
        assert_eq!(reading.join().unwrap(), [1, 2, 3]);
    });
}
