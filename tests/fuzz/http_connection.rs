//! A connection of arbitrary bytes.

#![no_main]

#[path = "../support/fuzzed_connection.rs"]
mod fuzzed_connection;
#[path = "../support/in_memory.rs"]
mod in_memory;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| fuzzed_connection::check(input));
