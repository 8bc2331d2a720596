//! Files, directories and what happens when an operation takes long.

use std::cell::Cell;
use std::ffi::CString;
use std::fs as std_fs;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use kapok::fs::{self, DirBuilder, File, OpenOptions};
use kapok::{spawn, yield_now};

use crate::support::on_a_hub;

/// A directory of the test's own, removed with all that is in it.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("kapok-files-{}-{name}", std::process::id()));
        std_fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std_fs::remove_dir_all(&self.0);
    }
}

fn make_fifo(path: &Path) {
    let path = CString::new(path.as_os_str().as_bytes()).unwrap();
    // SAFETY: the path is a string of C that lives as long as the call.
    let made = unsafe { libc::mkfifo(path.as_ptr(), 0o600) };
    assert_eq!(made, 0);
}

#[test]
fn what_was_written_is_read() {
    on_a_hub("round trip", || {
        let directory = Directory::new("round-trip");
        let path = directory.path("file");
        fs::write(&path, "some text").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"some text");
        assert_eq!(fs::read_to_string(&path).unwrap(), "some text");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        file.seek(SeekFrom::Start(5)).unwrap();
        file.write_all(b"more").unwrap();
        file.rewind().unwrap();
        let mut bytes = [0; 4];
        file.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"some");
        let mut rest = String::new();
        (&file).read_to_string(&mut rest).unwrap();
        assert_eq!(rest, " more");
        assert_eq!(file.read_at(&mut bytes, 5).unwrap(), 4);
        assert_eq!(&bytes, b"more");
        assert_eq!(file.write_at(b"SOME", 0).unwrap(), 4);
        file.set_len(4).unwrap();
        file.sync_all().unwrap();
        assert_eq!(file.metadata().unwrap().len(), 4);
        assert_eq!(fs::read(&path).unwrap(), b"SOME");
    });
}

#[test]
fn paths_are_changed_as_std_does() {
    on_a_hub("paths", || {
        let directory = Directory::new("paths");
        let (a, b) = (directory.path("a"), directory.path("b"));
        fs::write(&a, b"content").unwrap();
        assert_eq!(fs::copy(&a, &b).unwrap(), 7);
        fs::remove_file(&a).unwrap();
        assert!(!fs::exists(&a).unwrap());
        fs::rename(&b, &a).unwrap();
        fs::hard_link(&a, &b).unwrap();
        fs::symlink("a", directory.path("link")).unwrap();
        assert_eq!(
            fs::read_link(directory.path("link")).unwrap(),
            Path::new("a")
        );
        assert!(fs::metadata(directory.path("link")).unwrap().is_file());
        assert!(
            fs::symlink_metadata(directory.path("link"))
                .unwrap()
                .is_symlink()
        );
        assert_eq!(
            fs::canonicalize(directory.path("link")).unwrap(),
            std_fs::canonicalize(&a).unwrap()
        );
        fs::set_permissions(&a, std_fs::Permissions::from_mode(0o400)).unwrap();
        assert_eq!(
            fs::metadata(&b).unwrap().permissions().mode() & 0o777,
            0o400
        );
        fs::create_dir_all(directory.path("x/y/z")).unwrap();
        fs::create_dir(directory.path("x/w")).unwrap();
        fs::remove_dir(directory.path("x/w")).unwrap();
        fs::remove_dir_all(directory.path("x")).unwrap();
        let error = fs::read_dir(directory.path("x")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert_eq!(
            File::create_new(&a).unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
    });
}

#[test]
fn a_large_directory_is_listed_in_full() {
    on_a_hub("listing", || {
        let directory = Directory::new("listing");
        for number in 0..300 {
            std_fs::write(directory.path(&format!("{number:03}")), b"").unwrap();
        }
        let mut names = Vec::new();
        for entry in fs::read_dir(&directory.0).unwrap() {
            let entry = entry.unwrap();
            assert!(entry.file_type().unwrap().is_file());
            assert_eq!(entry.metadata().unwrap().len(), 0);
            assert_eq!(entry.path(), directory.0.join(entry.file_name()));
            names.push(entry.file_name().into_string().unwrap());
        }
        names.sort();
        let expected: Vec<String> = (0..300).map(|number| format!("{number:03}")).collect();
        assert_eq!(names, expected);
    });
}

#[test]
fn a_big_file_comes_in_full() {
    const BYTES: usize = 50 << 20;
    on_a_hub("big file", || {
        let directory = Directory::new("big");
        let path = directory.path("file");
        let content: Vec<u8> = (0..BYTES as u32 / 4).flat_map(u32::to_le_bytes).collect();
        File::create(&path).unwrap().write_all(&content).unwrap();
        assert!(fs::read(&path).unwrap() == content);
        let mut bytes = Vec::new();
        File::open(&path).unwrap().read_to_end(&mut bytes).unwrap();
        assert!(bytes == content);
        // In pieces of another length than a trip's.
        let mut file = File::open(&path).unwrap();
        let mut buffer = vec![0; 3_000_000];
        let mut read = 0;
        loop {
            match file.read(&mut buffer).unwrap() {
                0 => break,
                count => {
                    assert!(buffer[..count] == content[read..read + count]);
                    read += count;
                }
            }
        }
        assert_eq!(read, BYTES);
    });
}

#[test]
fn a_place_of_a_file_is_read_and_written_in_full_and_its_position_stays() {
    on_a_hub("read and write at", || {
        let directory = Directory::new("at");
        let path = directory.path("file");
        let mut file = File::create_new(&path).unwrap();
        file.write_all(b"head").unwrap();
        // More than one trip moves.
        let content: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
        file.write_all_at(&content, 10).unwrap();
        assert_eq!(file.stream_position().unwrap(), 4);
        assert_eq!(fs::metadata(&path).unwrap().len(), 4_000_010);
        let mut bytes = vec![0; content.len()];
        file.read_exact_at(&mut bytes, 10).unwrap();
        assert!(bytes == content);
        assert_eq!(file.stream_position().unwrap(), 4);
        file.read_exact_at(&mut bytes[..6], 0).unwrap();
        assert_eq!(&bytes[..6], b"head\0\0");
        let error = file.read_exact_at(&mut bytes, 11).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        file.read_exact_at(&mut [], u64::MAX).unwrap();
        let error = File::open(&path)
            .unwrap()
            .write_all_at(b"x", 0)
            .unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EBADF));
    });
}

#[test]
fn a_file_is_no_terminal_and_a_terminal_is() {
    on_a_hub("terminal", || {
        let file = File::open(std::env::current_exe().unwrap()).unwrap();
        assert!(!file.is_terminal());
        // A new pseudo-terminal; it is gone when this is dropped.
        let mut options = OpenOptions::new();
        let terminal = options.read(true).write(true).custom_flags(libc::O_NOCTTY);
        assert!(terminal.open("/dev/ptmx").unwrap().is_terminal());
    });
}

#[test]
fn a_directory_is_made_with_its_mode_and_those_above_it() {
    on_a_hub("directory builder", || {
        let directory = Directory::new("builder");
        let inner = directory.path("outer/inner");
        let error = DirBuilder::new().create(&inner).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(&inner).unwrap();
        builder.create(&inner).unwrap();
        for path in [directory.path("outer"), inner.clone()] {
            let mode = fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700);
        }
        let error = builder.recursive(false).create(&inner).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    });
}

#[test]
fn buffers_of_std_work_on_files() {
    on_a_hub("buffers", || {
        let directory = Directory::new("buffers");
        let path = directory.path("lines");
        let mut file = BufWriter::new(File::create(&path).unwrap());
        for number in 0..10_000 {
            writeln!(file, "line {number}").unwrap();
        }
        file.flush().unwrap();
        let lines = BufReader::new(File::open(&path).unwrap()).lines();
        for (number, line) in lines.enumerate() {
            assert_eq!(line.unwrap(), format!("line {number}"));
        }
    });
}

#[test]
fn the_hub_goes_on_while_a_file_is_slow() {
    on_a_hub("slow file", || {
        let directory = Directory::new("slow");
        let path = directory.path("fifo");
        make_fifo(&path);
        let reader = spawn({
            let path = path.clone();
            // Opening waits for a writer, reading for what it writes.
            move || fs::read_to_string(path).unwrap()
        });
        let turns = Rc::new(Cell::new(0));
        let ticking = spawn({
            let turns = Rc::clone(&turns);
            move || {
                loop {
                    turns.set(turns.get() + 1);
                    kapok::sleep(Duration::from_micros(100));
                }
            }
        });
        let tick = |count| {
            let before = turns.get();
            while turns.get() < before + count {
                yield_now();
            }
        };
        tick(20);
        let mut writer = OpenOptions::new().write(true).open(&path).unwrap();
        writer.write_all(b"first ").unwrap();
        tick(20);
        assert!(!reader.is_finished());
        writer.write_all(b"second").unwrap();
        drop(writer);
        assert_eq!(reader.join().unwrap(), "first second");
        ticking.cancel();
        assert!(ticking.join().unwrap_err().is_cancelled());
    });
}

#[test]
fn a_cancelled_operation_goes_on_unseen() {
    on_a_hub("cancelled", || {
        let directory = Directory::new("cancelled");
        let path = directory.path("fifo");
        make_fifo(&path);
        let opened = path.clone();
        let waited = kapok::timeout(Duration::from_millis(20), move || File::open(opened));
        assert!(waited.is_err());
        // The open goes on: it is what this one meets.
        drop(OpenOptions::new().write(true).open(&path).unwrap());
    });
}

#[test]
fn a_file_goes_to_std_and_back() {
    on_a_hub("std", || {
        let directory = Directory::new("std");
        let path = directory.path("file");
        let file = File::create(&path).unwrap();
        let mut clone = file.try_clone().unwrap();
        let mut std_file = file.into_std().unwrap();
        std_file.write_all(b"one ").unwrap();
        clone.write_all(b"two ").unwrap();
        File::from(std_file).write_all(b"three").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one two three");
    });
}

#[test]
fn a_lock_is_waited_for_by_its_fiber_alone() {
    on_a_hub("lock", || {
        let directory = Directory::new("lock");
        let path = directory.path("file");
        let first = File::create(&path).unwrap();
        let second = File::open(&path).unwrap();
        first.lock().unwrap();
        assert!(matches!(
            second.try_lock(),
            Err(fs::TryLockError::WouldBlock)
        ));
        let waiting = spawn(move || second.lock().unwrap());
        for _ in 0..100 {
            yield_now();
        }
        assert!(!waiting.is_finished());
        first.unlock().unwrap();
        waiting.join().unwrap();
    });
}

#[test]
fn who_has_a_lock_can_write_however_many_wait_for_it() {
    on_a_hub("many locks", || {
        let directory = Directory::new("many-locks");
        let path = directory.path("file");
        std_fs::write(&path, b"").unwrap();
        let fibers: Vec<_> = (0..200)
            .map(|_| {
                let path = path.clone();
                spawn(move || {
                    let mut file = OpenOptions::new().append(true).open(path).unwrap();
                    file.lock().unwrap();
                    file.write_all(b".").unwrap();
                    file.unlock().unwrap();
                })
            })
            .collect();
        fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
        assert_eq!(fs::metadata(&path).unwrap().len(), 200);
    });
}

#[test]
fn a_thread_without_a_hub_works_on_files_by_itself() {
    let directory = Directory::new("no-hub");
    let path = directory.path("file");
    std::thread::spawn(move || {
        fs::write(&path, b"bare").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"bare");
    })
    .join()
    .unwrap();
}
