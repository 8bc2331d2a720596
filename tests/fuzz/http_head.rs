//! A request head of arbitrary bytes: cuts change nothing, the short way for plain heads gives what the long one gives, and what is
//! taken is well-formed.

#![no_main]

use kapok::http::fuzzing::check_head;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| check_head(input));
