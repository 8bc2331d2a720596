//! slowhttptest: peers that send or read so slowly that each holds a connection for nothing. The server ends them, and serves
//! others meanwhile.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Child;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use super::{Example, Folder, Watchdog, ending_with_us, http_server, is_full};

#[test]
fn slow_heads_are_cut() {
    check("-H", "/plaintext");
}

#[test]
fn slow_bodies_are_cut() {
    check("-B", "/length");
}

/// Has the server attacked until the attacker sees no open connection any more.
fn check(mode: &'static str, path: &str) {
    if !is_full("slowhttptest") {
        return;
    }
    let _watchdog = Watchdog::new(mode);
    let folder = Folder::new(&format!("slowhttptest{mode}"));
    let server = http_server(&["--impatient"]);
    let mut attacker = attack(&server, &folder, mode, path);
    let (end, ended) = channel();
    let waiting = std::thread::spawn(move || {
        let status = attacker.wait();
        end.send(()).unwrap();
        status
    });
    while ended.recv_timeout(Duration::from_millis(20)) == Err(RecvTimeoutError::Timeout) {
        is_served(&server);
    }
    assert!(waiting.join().unwrap().unwrap().success());
    let report = fs::read_to_string(folder.file("report")).unwrap();
    assert!(report.contains("No open connections left"), "{report}");
    let statistics = fs::read_to_string(folder.file("statistics.csv")).unwrap();
    let rows: Vec<_> = statistics.lines().skip(1).collect();
    assert!(!rows.is_empty());
    for row in rows {
        // The last column is 0 when slowhttptest's own probe was not answered.
        assert!(!row.ends_with(",0"), "{statistics}");
    }
}

#[test]
fn slow_readers_are_cut() {
    if !is_full("slowhttptest") {
        return;
    }
    let _watchdog = Watchdog::new("-X");
    let folder = Folder::new("slowhttptest-X");
    let server = http_server(&["--impatient"]);
    let before = open_descriptors(&server);
    let mut attacker = attack(&server, &folder, "-X", "/bytes/5000000");
    // The attacker does not look at its connections, so it is the server that tells how many are left.
    while open_descriptors(&server) < before + CONNECTIONS / 2 {
        is_served(&server);
    }
    while open_descriptors(&server) > before + CONNECTIONS / 10 {
        is_served(&server);
    }
    assert!(attacker.try_wait().unwrap().is_none(), "it gave up first");
    attacker.kill().unwrap();
    attacker.wait().unwrap();
}

const CONNECTIONS: usize = 100;

fn attack(server: &Example, folder: &Folder, mode: &str, path: &str) -> Child {
    let report = File::create(folder.file("report")).unwrap();
    ending_with_us("slowhttptest")
        .args([mode, "-u", &format!("http://{}{path}", server.address)])
        .args(["-c", &CONNECTIONS.to_string(), "-r", "200"])
        // A few bytes a second, for longer than the watchdog waits.
        .args(["-i", "1", "-l", "300", "-s", "100000"])
        .args(["-n", "1", "-z", "5", "-w", "512", "-y", "1024"])
        // Its probe is to be answered within a second.
        .args(["-p", "1"])
        .args(["-g", "-o", &folder.file("statistics"), "-v", "1"])
        .stdout(report.try_clone().unwrap())
        .stderr(report)
        .spawn()
        .expect("setpriv, which starts slowhttptest")
}

/// Checks that somebody new is served within a second.
fn is_served(server: &Example) {
    let began = Instant::now();
    let mut stream = TcpStream::connect(server.address).unwrap();
    let request = b"GET /plaintext HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    stream.write_all(request).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("\r\n\r\nHello, World!"), "{answer}");
    let time = began.elapsed();
    assert!(time < Duration::from_secs(1), "served in {time:?}");
}

fn open_descriptors(server: &Example) -> usize {
    fs::read_dir(format!("/proc/{}/fd", server.id()))
        .unwrap()
        .count()
}
