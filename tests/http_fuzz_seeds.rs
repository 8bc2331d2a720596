//! Replays the connections that the fuzzer has found worth keeping. Those of `http_head` and `http_chunked` are replayed by the unit
//! tests of `protocols`, since what they look at is private.

#[path = "support/fuzzed_connection.rs"]
mod fuzzed_connection;
#[path = "support/in_memory.rs"]
mod in_memory;
#[path = "support/watchdog.rs"]
mod watchdog;

use std::fs;
use std::path::Path;

use watchdog::Watchdog;

#[test]
fn the_kept_connections_are_served_as_promised() {
    let _watchdog = Watchdog::new("seeds");
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/seeds/http_connection");
    let mut count = 0;
    for entry in fs::read_dir(seeds).unwrap() {
        let path = entry.unwrap().path();
        let input = fs::read(&path).unwrap();
        if std::panic::catch_unwind(|| fuzzed_connection::check(&input)).is_err() {
            panic!("{}: {}", path.display(), input.escape_ascii());
        }
        count += 1;
    }
    assert!(count > 0, "no seeds");
}
