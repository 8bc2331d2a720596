//! A chunked body of arbitrary bytes: cuts change nothing, and the data is what a simple decoder makes of it.

#![no_main]

use kapok::http::fuzzing::check_chunked;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| check_chunked(input));
