//! nc: requests as raw bytes.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use super::{Watchdog, http_server};

#[test]
fn a_hundred_pipelined_requests_are_answered_in_order_after_the_client_has_ended_its_side() {
    let _watchdog = Watchdog::new("nc");
    let server = http_server(&["--hubs", "1"]);
    let mut requests = Vec::new();
    let mut expected = String::new();
    for number in 0..100 {
        match number % 4 {
            0 => write!(requests, "GET /describe?{number} HTTP/1.1\r\nHost: a\r\n\r\n"),
            1 => write!(
                requests,
                "POST /describe?{number} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
            ),
            2 => write!(
                requests,
                "PUT /describe?{number} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n"
            ),
            _ => write!(
                requests,
                "DELETE /describe?{number} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
            ),
        }
        .unwrap();
        let (method, body) =
            [("GET", ""), ("POST", "hi"), ("PUT", "hi"), ("DELETE", "")][number % 4];
        expected += &format!("{method} /describe?{number} {}\n{body}", body.len());
    }
    let mut nc = Command::new("nc")
        // Ends its side of the connection at the end of its input.
        .args(["-N", "127.0.0.1", &server.address.port().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("nc; tests/run installs what is missing");
    nc.stdin.take().unwrap().write_all(&requests).unwrap();
    let mut answers = String::new();
    nc.stdout
        .take()
        .unwrap()
        .read_to_string(&mut answers)
        .unwrap();
    assert!(nc.wait().unwrap().success());
    let mut bodies = String::new();
    let mut rest = answers.as_str();
    while let Some((head, behind)) = rest.split_once("\r\n\r\n") {
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        let length = head.split("Content-Length: ").nth(1).expect("a length");
        let length = length.split("\r\n").next().unwrap().parse().unwrap();
        bodies += &behind[..length];
        rest = &behind[length..];
    }
    assert_eq!(bodies, expected);
    assert_eq!(rest, "");
}
