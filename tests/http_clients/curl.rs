//! curl: versions, uploads, expectations, what comes before and behind a body.

use std::fs;
use std::process::Command;

use super::{Folder, Watchdog, http_server, run, varied_bytes};

/// Runs curl and returns what it printed; the trace (`--verbose`) is in front, if asked for.
fn curl(arguments: &[&str]) -> String {
    run(
        "curl",
        &[&["--silent", "--show-error", "--stderr", "-"], arguments].concat(),
    )
}

/// After each answer: how many connections were made for it.
const CONNECTS: [&str; 2] = ["--write-out", " %{num_connects}\n"];

#[test]
fn several_answers_come_by_one_connection() {
    let _watchdog = Watchdog::new("curl");
    let server = http_server(&["--hubs", "1"]);
    let url = |path| format!("http://{}{path}", server.address);
    let (plaintext, nowhere) = (url("/plaintext"), url("/nowhere"));
    let (stream, describe) = (url("/stream/10"), url("/describe"));
    let urls = [&plaintext, &nowhere, &stream, &describe, &plaintext].map(String::as_str);
    assert_eq!(
        curl(&[&CONNECTS, &urls[..]].concat()),
        "Hello, World! 1\nnot found 0\nxxxxxxxxxx 0\nGET /describe 0\n 0\nHello, World! 0\n"
    );
    // What is left unread of a small body does not cost the connection.
    let unread = url("/unread");
    let post = ["--data", "some words", &unread, &unread];
    assert_eq!(
        curl(&[&CONNECTS, &post[..]].concat()),
        "unread 1\nunread 0\n"
    );
}

#[test]
fn http_1_0_keeps_the_connection_if_asked() {
    let _watchdog = Watchdog::new("curl 1.0");
    let server = http_server(&["--hubs", "1"]);
    let plaintext = format!("http://{}/plaintext", server.address);
    let stream = format!("http://{}/stream/100000", server.address);
    let old = ["--http1.0", &plaintext, &plaintext];
    assert_eq!(
        curl(&[&CONNECTS, &old[..]].concat()),
        "Hello, World! 1\nHello, World! 1\n"
    );
    let kept = ["--header", "Connection: keep-alive"];
    assert_eq!(
        curl(&[&CONNECTS, &kept, &old[..]].concat()),
        "Hello, World! 1\nHello, World! 0\n"
    );
    // There are no chunks in 1.0: the end of the connection is that of the body, also if it was to be kept.
    let answer = curl(&[&kept[..], &["--http1.0", "--include", &stream]].concat());
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("\r\nConnection: close"), "{head}");
    assert!(!head.contains("Transfer-Encoding"), "{head}");
    assert_eq!(body, "x".repeat(100_000));
    // Nor is there anything before the final answer.
    let hints = format!("http://{}/early-hints", server.address);
    let answer = curl(&["--http1.0", "--include", &hints]);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

#[test]
fn chunked_uploads_arrive_whole() {
    let _watchdog = Watchdog::new("curl uploads");
    let folder = Folder::new("curl-uploads");
    let server = http_server(&["--hubs", "1"]);
    let body = varied_bytes(5_000_000);
    let file = folder.write("body", &body);
    let echoed = folder.file("echoed");
    for headers in [&[][..], &["--header", "Expect:"]] {
        let upload = |path: &str, others: &[&str]| {
            let url = format!("http://{}{path}", server.address);
            let input = fs::File::open(&file).unwrap();
            let output = Command::new("curl")
                .args(["--silent", "--show-error", "--upload-file", "-", &url])
                .args([headers, others].concat())
                .stdin(input)
                .output()
                .unwrap();
            let told = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{told}");
            String::from_utf8(output.stdout).unwrap()
        };
        // Both ways at once: curl writes and reads.
        upload("/echo", &["--output", &echoed]);
        assert!(fs::read(&echoed).unwrap() == body);
        assert_eq!(upload("/upload", &[]), "5000000");
        let status = upload(
            "/length",
            &["--output", "/dev/null", "--write-out", "%{http_code}"],
        );
        assert_eq!(status, "413");
    }
}

#[test]
fn an_expectation_is_met_at_once_or_answered_in_its_place() {
    let _watchdog = Watchdog::new("curl expects");
    let folder = Folder::new("curl-expects");
    let server = http_server(&["--hubs", "1"]);
    let data = format!("@{}", folder.write("body", "x".repeat(5 << 20)));
    let ask = |path: &str| {
        let url = format!("http://{}{path}", server.address);
        curl(&[
            "--verbose",
            "--header",
            "Expect: 100-continue",
            // If curl had to wait for 100 it would do so for longer than the watchdog.
            "--expect100-timeout",
            "300",
            "--data-binary",
            &data,
            &url,
        ])
    };
    let trace = ask("/upload");
    assert!(trace.contains("< HTTP/1.1 100 Continue"), "{trace}");
    assert!(trace.contains("< HTTP/1.1 200 OK"), "{trace}");
    assert!(trace.contains("5242880"), "{trace}");
    assert!(trace.contains("left intact"), "{trace}");
    let trace = ask("/unread");
    assert!(!trace.contains("100 Continue"), "{trace}");
    assert!(trace.contains("< HTTP/1.1 200 OK"), "{trace}");
    assert!(trace.contains("< Connection: close"), "{trace}");
    assert!(trace.contains("unread"), "{trace}");
    assert!(trace.contains("Closing connection"), "{trace}");
}

#[test]
fn an_early_answer_to_a_large_upload_arrives() {
    let _watchdog = Watchdog::new("curl unread");
    let folder = Folder::new("curl-unread");
    let server = http_server(&["--hubs", "1"]);
    let file = folder.write("body", "x".repeat(10 << 20));
    let url = format!("http://{}/unread", server.address);
    for chunked in [&[][..], &["--header", "Transfer-Encoding: chunked"]] {
        let upload = ["--header", "Expect:", "--upload-file", &file, &url];
        assert_eq!(curl(&[chunked, &upload[..]].concat()), "unread");
    }
}

#[test]
fn head_has_the_fields_of_get_and_no_body() {
    let _watchdog = Watchdog::new("curl head");
    let server = http_server(&["--hubs", "1"]);
    for (path, field) in [
        ("/plaintext", "Content-Length: 13"),
        ("/large", "Content-Length: 65536"),
        ("/bytes/1000", "Content-Length: 1000"),
        ("/stream/1000", "Transfer-Encoding: chunked"),
    ] {
        let url = format!("http://{}{path}", server.address);
        let answers = curl(&[&CONNECTS[..], &["--head", &url, &url]].concat());
        assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2, "{answers}");
        assert_eq!(answers.matches(field).count(), 2, "{answers}");
        assert!(answers.ends_with(" 0\n"), "{answers}");
        assert!(!answers.contains("xx"), "{answers}");
    }
}

#[test]
fn hints_come_before_and_trailers_behind() {
    let _watchdog = Watchdog::new("curl hints");
    let server = http_server(&["--hubs", "1"]);
    let url = |path| format!("http://{}{path}", server.address);
    let answer = curl(&["--include", &url("/early-hints")]);
    let hints = "HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload; as=style\r\n\r\n";
    let (_, behind) = answer.split_once(hints).expect("the hints");
    assert!(behind.starts_with("HTTP/1.1 200 OK\r\n"), "{behind}");
    assert!(behind.ends_with("\r\n\r\nafter the hints"), "{behind}");
    let trailers = url("/trailers");
    // curl takes the trailers for headers that come late.
    let asked = ["--header", "TE: trailers", "--header", "Connection: TE"];
    let headers = ["--dump-header", "-", &trailers];
    let answer = curl(&[&asked, &headers[..]].concat());
    assert!(answer.contains("checked"), "{answer}");
    assert!(answer.ends_with("x-checksum: 1\r\n"), "{answer}");
    let answer = curl(&headers);
    assert!(answer.ends_with("checked"), "{answer}");
    // The bytes as they came.
    let answer = curl(&[&asked, &["--raw", &trailers][..]].concat());
    assert_eq!(answer, "7\r\nchecked\r\n0\r\nx-checksum: 1\r\n\r\n");
}
