//! nginx and haproxy between a client and the server.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Child, ChildStderr, Command, Stdio};

use super::{Example, Folder, Watchdog, ending_with_us, http_server, run, varied_bytes};

/// A proxy with a server behind it.
struct Proxy {
    process: Child,
    address: SocketAddr,
    /// Kept open for what the proxy tells while it runs.
    _told: Option<BufReader<ChildStderr>>,
    _server: Example,
    folder: Folder,
}

impl Proxy {
    fn haproxy(name: &str) -> Self {
        let server = http_server(&["--hubs", "1"]);
        let folder = Folder::new(&format!("haproxy-{name}"));
        let configuration =
            include_str!("haproxy.cfg").replace("SERVER", &server.address.to_string());
        let configuration = folder.write("configuration", configuration);
        // haproxy takes its listener from us, so there is neither a port to guess nor a start to wait for.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let process = ending_with_us("haproxy")
            .args(["-db", "-f", &configuration])
            .stdin(OwnedFd::from(listener))
            .stderr(File::create(folder.file("told")).unwrap())
            .spawn()
            .expect("setpriv, which starts haproxy");
        Self {
            process,
            address,
            _told: None,
            _server: server,
            folder,
        }
    }

    fn nginx(name: &str) -> Self {
        let server = http_server(&["--hubs", "1"]);
        let folder = Folder::new(&format!("nginx-{name}"));
        // Another process may take the port in between; there are many.
        let address = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .unwrap();
        let configuration = include_str!("nginx.conf")
            .replace("FOLDER", folder.path().to_str().unwrap())
            .replace("ADDRESS", &address.to_string())
            .replace("SERVER", &server.address.to_string());
        let configuration = folder.write("configuration", configuration);
        let mut process = ending_with_us("nginx")
            .args(["-e", "stderr", "-c", &configuration])
            .stderr(Stdio::piped())
            .spawn()
            .expect("setpriv, which starts nginx");
        // It tells of its limits when it listens.
        let mut told = BufReader::new(process.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("getrlimit") {
            line.clear();
            let count = told.read_line(&mut line).unwrap();
            assert!(count > 0, "nginx does not start; tests/run installs it");
        }
        Self {
            process,
            address,
            _told: Some(told),
            _server: server,
            folder,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Has curl send `body` in chunks and returns the answer's.
    fn upload(&self, path: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
        let file = self.folder.write("body", body);
        let output = Command::new("curl")
            .args([
                "--silent",
                "--show-error",
                "--upload-file",
                "-",
                &self.url(path),
            ])
            .args(headers)
            .stdin(File::open(file).unwrap())
            .output()
            .unwrap();
        assert!(output.status.success(), "{path}: {output:?}");
        output.stdout
    }

    /// Sends bytes and returns all that comes back until the proxy ends the connection, which it does when it gets no more
    /// requests for half a second.
    fn ask(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(request).unwrap();
        let mut answer = Vec::new();
        // Some end with a reset, since they leave bytes unread.
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn both(name: &str) -> [Proxy; 2] {
    [Proxy::nginx(name), Proxy::haproxy(name)]
}

#[test]
fn the_connection_to_the_server_is_kept() {
    let _watchdog = Watchdog::new("proxies keep");
    for proxy in both("keep") {
        let url = proxy.url("/peer");
        let ask = || run("curl", &["--silent", "--show-error", &url]);
        let first = ask();
        assert!(first.starts_with("127.0.0.1:"), "{first}");
        for _ in 0..10 {
            assert_eq!(ask(), first);
        }
    }
}

#[test]
fn uploads_pass_through() {
    let _watchdog = Watchdog::new("proxies upload");
    let (long, short) = (varied_bytes(5_000_000), varied_bytes(900_000));
    let described = [b"PUT /describe 900000\n", &short[..]].concat();
    for proxy in both("upload") {
        for headers in [&[][..], &["--header", "Expect:"]] {
            assert!(proxy.upload("/upload", headers, &long) == b"5000000");
            assert!(proxy.upload("/describe", headers, &short) == described);
        }
        let file = format!("@{}", proxy.folder.write("body", &long));
        let sized = [
            "--silent",
            "--show-error",
            "--data-binary",
            &file,
            &proxy.url("/upload"),
        ];
        assert_eq!(run("curl", &sized), "5000000");
    }
}

#[test]
fn haproxy_passes_both_ways_at_once() {
    let _watchdog = Watchdog::new("haproxy echo");
    // nginx does not: it may stop reading the request when it has much of the answer to write.
    let proxy = Proxy::haproxy("echo");
    let body = varied_bytes(5_000_000);
    for headers in [&[][..], &["--header", "Expect:"]] {
        assert!(proxy.upload("/echo", headers, &body) == body, "{headers:?}");
    }
}

#[test]
fn http_1_0_is_enough_for_nginx() {
    let _watchdog = Watchdog::new("nginx 1.0");
    let proxy = Proxy::nginx("old");
    let curl =
        |arguments: &[&str]| run("curl", &[&["--silent", "--show-error"], arguments].concat());
    assert_eq!(curl(&[&proxy.url("/old/plaintext")]), "Hello, World!");
    assert_eq!(curl(&[&proxy.url("/old/stream/50000")]), "x".repeat(50_000));
    assert_eq!(curl(&[&proxy.url("/old/early-hints")]), "after the hints");
    let head = curl(&["--head", &proxy.url("/old/bytes/50000")]);
    assert!(head.contains("Content-Length: 50000"), "{head}");
    let chunked = [
        "--header",
        "Transfer-Encoding: chunked",
        "--data",
        "some words",
    ];
    let describe = proxy.url("/old/describe");
    assert_eq!(
        curl(&[&chunked[..], &[&describe]].concat()),
        "POST /describe 10\nsome words"
    );
}

#[test]
fn a_thousand_requests_pass_through_without_an_error() {
    let _watchdog = Watchdog::new("proxies load");
    for proxy in both("load") {
        for path in ["/plaintext", "/stream/50000"] {
            for keep_alive in [&["-k"][..], &[]] {
                let url = proxy.url(path);
                let report = run(
                    "ab",
                    &[&["-q", "-n", "1000", "-c", "10"], keep_alive, &[&url]].concat(),
                );
                assert!(report.contains("Complete requests:      1000"), "{report}");
                assert!(report.contains("Failed requests:        0"), "{report}");
                assert!(!report.contains("Non-2xx"), "{report}");
            }
        }
    }
}

#[test]
fn a_smuggled_request_is_not_answered() {
    let _watchdog = Watchdog::new("smuggling");
    for proxy in both("smuggling") {
        for (name, request) in attacks() {
            let answers = proxy.ask(request.as_bytes());
            println!("{name}: {answers}");
            assert!(
                answers.matches("HTTP/1.1 ").count() <= 1,
                "{name}: {answers}"
            );
            assert!(!answers.contains("/smuggled 0"), "{name}: {answers}");
            // Nobody else gets the answer to it either.
            for number in 0..3 {
                let url = proxy.url(&format!("/describe?{name}-{number}"));
                let answer = run("curl", &["--silent", "--show-error", &url]);
                assert_eq!(answer, format!("GET /describe?{name}-{number} 0\n"));
            }
        }
    }
}

/// Requests that are one or two, depending on which of their fields are believed.
fn attacks() -> Vec<(&'static str, String)> {
    const SMUGGLED: &str = "GET /describe?/smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let length = SMUGGLED.len();
    let chunked = "Transfer-Encoding: chunked";
    let attack = |fields: &str, body: &str| {
        format!("POST /describe HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{body}{SMUGGLED}")
    };
    let with_end = length + 5;
    let in_chunk = format!("{length:x}\r\n");
    vec![
        (
            "length-first",
            attack(
                &format!("Content-Length: {with_end}\r\n{chunked}"),
                "0\r\n\r\n",
            ),
        ),
        (
            "length-last",
            attack(
                &format!("{chunked}\r\nContent-Length: {with_end}"),
                "0\r\n\r\n",
            ),
        ),
        (
            "length-of-chunk-size",
            attack(&format!("Content-Length: 4\r\n{chunked}"), &in_chunk) + "\r\n0\r\n\r\n",
        ),
        (
            "two-lengths",
            attack(
                &format!("Content-Length: 0\r\nContent-Length: {length}"),
                "",
            ),
        ),
        (
            "two-lengths-turned",
            attack(
                &format!("Content-Length: {length}\r\nContent-Length: 0"),
                "",
            ),
        ),
        (
            "list-of-lengths",
            attack(&format!("Content-Length: 0, {length}"), ""),
        ),
        (
            "signed-length",
            attack(&format!("Content-Length: +{length}"), ""),
        ),
        (
            "unknown-coding",
            attack(
                &format!("Content-Length: {length}\r\nTransfer-Encoding: xchunked"),
                "",
            ),
        ),
        (
            "hidden-coding",
            attack("Transfer-Encoding: \u{b}chunked", "0\r\n\r\n"),
        ),
        (
            "blank-before-colon",
            attack(
                &format!("Content-Length: {with_end}\r\nTransfer-Encoding : chunked"),
                "0\r\n\r\n",
            ),
        ),
        (
            "folded-coding",
            attack(
                &format!("Content-Length: {with_end}\r\nTransfer-Encoding:\r\n chunked"),
                "0\r\n\r\n",
            ),
        ),
        (
            "two-codings",
            attack(
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
                "0\r\n\r\n",
            ),
        ),
    ]
}
