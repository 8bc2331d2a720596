//! The HTTP server against programs that nobody here wrote, in processes of their own.

#![expect(clippy::disallowed_methods, reason = "no fiber runs in this process")]

#[path = "../support/programs.rs"]
mod programs;
#[path = "../support/watchdog.rs"]
mod watchdog;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use programs::{Example, run};
use watchdog::Watchdog;

const HELLO: &[u8] = b"GET /plaintext HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn hello_http(hubs: &str) -> Example {
    Example::start("hello_http", &["--hubs", hubs])
}

#[test]
fn curl_gets_the_page_and_a_404() {
    let _watchdog = Watchdog::new("curl");
    let server = hello_http("2");
    let url = format!("http://{}", server.address);
    let page = run(
        "curl",
        &[
            "--silent",
            "--show-error",
            "--include",
            &format!("{url}/plaintext"),
        ],
    );
    let (head, body) = page.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("Content-Type: text/plain"), "{head}");
    assert!(head.contains("Content-Length: 13"), "{head}");
    assert!(head.contains("\r\nDate: "), "{head}");
    assert_eq!(body, "Hello, World!");
    let status = [
        "--silent",
        "--output",
        "/dev/null",
        "--write-out",
        "%{http_code}",
        &format!("{url}/other"),
    ];
    assert_eq!(run("curl", &status), "404");
    let head = run("curl", &["--silent", "--head", &format!("{url}/plaintext")]);
    assert!(head.contains("Content-Length: 13"), "{head}");
    // Three on one connection: curl says on standard error when it has to open another.
    let page = format!("{url}/plaintext");
    let reused = run(
        "curl",
        &[
            "--silent",
            "--write-out",
            "%{num_connects}",
            &page,
            &page,
            &page,
        ],
    );
    assert_eq!(reused, "Hello, World!1Hello, World!0Hello, World!0");
}

#[test]
fn pythons_client_keeps_its_connection() {
    let _watchdog = Watchdog::new("python");
    let server = hello_http("1");
    let script = format!(
        "import http.client\n\
         connection = http.client.HTTPConnection('127.0.0.1', {}, timeout=20)\n\
         for _ in range(100):\n\
         \x20   connection.request('GET', '/plaintext')\n\
         \x20   response = connection.getresponse()\n\
         \x20   assert response.status == 200 and response.read() == b'Hello, World!', response.status\n\
         \x20   first = connection.sock if _ == 0 else first\n\
         assert connection.sock is first\n\
         connection.request('POST', '/plaintext', body=b'x' * 100000)\n\
         response = connection.getresponse()\n\
         assert response.status == 200 and response.read() == b'Hello, World!'\n\
         connection.request('HEAD', '/plaintext')\n\
         response = connection.getresponse()\n\
         assert response.read() == b'' and response.headers['content-length'] == '13'\n\
         print('ok')",
        server.address.port()
    );
    assert_eq!(run("python3", &["-c", &script]), "ok\n");
}

#[test]
fn wrk_sees_no_error() {
    let _watchdog = Watchdog::new("wrk");
    let server = hello_http("2");
    let report = run(
        "wrk",
        &[
            "-t1",
            "-c64",
            "-d1s",
            &format!("http://{}/plaintext", server.address),
        ],
    );
    assert!(report.contains("Requests/sec"), "{report}");
    assert!(!report.contains("Socket errors"), "{report}");
    assert!(!report.contains("Non-2xx"), "{report}");
}

#[test]
fn ab_sees_no_error_with_and_without_keep_alive() {
    let _watchdog = Watchdog::new("ab");
    let server = hello_http("2");
    let url = format!("http://{}/plaintext", server.address);
    for keep_alive in [&["-k"][..], &[]] {
        let report = run(
            "ab",
            &[&["-q", "-n", "2000", "-c", "20"], keep_alive, &[&url]].concat(),
        );
        assert!(report.contains("Complete requests:      2000"), "{report}");
        assert!(report.contains("Failed requests:        0"), "{report}");
        assert!(!report.contains("Non-2xx"), "{report}");
    }
}

#[test]
fn what_it_refuses_is_answered_and_closed_without_a_reset() {
    let _watchdog = Watchdog::new("refused");
    let server = hello_http("1");
    for (request, status) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "400"),
        (
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\nhello",
            "501",
        ),
        (b"GET / HTTP/3.0\r\nHost: x\r\n\r\n", "505"),
    ] {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.write_all(request).unwrap();
        // What comes behind must not turn the answer into a reset.
        stream.write_all(&[b'x'; 50_000]).unwrap();
        let mut answer = String::new();
        stream
            .read_to_string(&mut answer)
            .expect("an end, not a reset");
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        assert!(answer.contains("Connection: close"), "{answer}");
    }
    let mut stream = TcpStream::connect(server.address).unwrap();
    write!(
        stream,
        "GET / HTTP/1.1\r\nHost: x\r\nLong: {}",
        "y".repeat(20_000)
    )
    .unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 431");
}

#[test]
fn ten_thousand_open_connections_on_one_hub_are_each_answered() {
    const CONNECTIONS: usize = 10_000;
    let _watchdog = Watchdog::with_limit("10,000 connections", Duration::from_secs(120));
    raise_descriptor_limit();
    let server = hello_http("1");
    let mut streams: Vec<TcpStream> = (0..CONNECTIONS)
        .map(|_| TcpStream::connect(server.address).unwrap())
        .collect();
    for _ in 0..2 {
        for stream in &mut streams {
            stream.write_all(HELLO).unwrap();
        }
        for stream in &mut streams {
            let mut answer = [0; 4096];
            let length = stream.read(&mut answer).unwrap();
            let answer = std::str::from_utf8(&answer[..length]).unwrap();
            assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("Hello, World!"));
        }
    }
    let open = std::fs::read_dir(format!("/proc/{}/fd", server.id()))
        .unwrap()
        .count();
    assert!(
        open >= CONNECTIONS,
        "only {open} descriptors are open at the server"
    );
}

/// For this process and the server it starts.
fn raise_descriptor_limit() {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the record is valid for the call.
    let known = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: the record is valid for the call.
    let raised = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) };
    assert_eq!(
        (known, raised),
        (0, 0),
        "{}",
        std::io::Error::last_os_error()
    );
    let most = limit.rlim_cur;
    assert!(
        most >= 12_000,
        "this test needs 12,000 descriptors, the hard limit is {most}"
    );
}

#[test]
fn a_second_server_on_the_same_address_is_refused() {
    let _watchdog = Watchdog::new("address in use");
    let first = hello_http("2");
    let second = std::process::Command::new(
        std::env::current_exe()
            .unwrap()
            .with_file_name("../examples/hello_http"),
    )
    .arg(first.address.to_string())
    .output()
    .unwrap();
    assert!(!second.status.success());
    let told = String::from_utf8_lossy(&second.stderr);
    assert!(
        told.contains("Address already in use") || told.contains("AddrInUse"),
        "{told}"
    );
}

#[test]
fn guests_of_the_chat_hear_each_other_through_nc() {
    let _watchdog = Watchdog::new("chat");
    let chat = Example::start("own_protocol", &[]);
    let port = chat.address.port().to_string();
    let mut anna = Guest::join(&port, "anna");
    anna.hears("* anna is here\n");
    let mut ben = Guest::join(&port, "ben");
    ben.hears("* ben is here\n");
    anna.hears("* ben is here\n");
    ben.says("good morning");
    ben.hears("ben: good morning\n");
    anna.hears("ben: good morning\n");
    drop(ben);
    anna.hears("* ben has left\n");
}

/// A person at a terminal with `nc`.
struct Guest {
    nc: std::process::Child,
    hears: std::io::BufReader<std::process::ChildStdout>,
}

impl Guest {
    fn join(port: &str, name: &str) -> Self {
        let mut nc = std::process::Command::new("nc")
            .args(["127.0.0.1", port])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("nc; tests/run installs what is missing");
        let hears = std::io::BufReader::new(nc.stdout.take().unwrap());
        let mut guest = Self { nc, hears };
        guest.hears("your name?\n");
        guest.says(name);
        guest
    }

    fn says(&mut self, line: &str) {
        writeln!(self.nc.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    fn hears(&mut self, expected: &str) {
        let mut line = String::new();
        std::io::BufRead::read_line(&mut self.hears, &mut line).unwrap();
        assert_eq!(line, expected);
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.nc.kill();
        let _ = self.nc.wait();
    }
}
