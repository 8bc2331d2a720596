//! Odd requests, by what is odd about them, with kapok's verdict. Most are wrong; some are right, but rare enough for servers to
//! differ.

use crate::requests::Request;

mod bodies;
mod chunks;
mod fields;
mod lines;
mod strangers;

/// All odd requests.
pub fn odd_requests() -> Vec<Request> {
    [
        lines::requests(),
        fields::requests(),
        bodies::requests(),
        chunks::requests(),
        strangers::requests(),
    ]
    .concat()
}
