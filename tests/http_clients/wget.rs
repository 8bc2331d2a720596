//! wget: downloads and posted files.

use std::fs;

use super::{Folder, Watchdog, http_server, run, varied_bytes};

#[test]
fn a_download_arrives_whole() {
    let _watchdog = Watchdog::new("wget download");
    let folder = Folder::new("wget-download");
    let server = http_server(&["--hubs", "1"]);
    for path in ["bytes/5000000", "stream/5000000"] {
        let file = folder.file("download");
        let url = format!("http://{}/{path}", server.address);
        run("wget", &["--quiet", "--output-document", &file, &url]);
        let content = fs::read(&file).unwrap();
        assert!(content.len() == 5_000_000 && content.iter().all(|byte| *byte == b'x'));
    }
}

#[test]
fn a_posted_file_arrives_whole() {
    let _watchdog = Watchdog::new("wget post");
    let folder = Folder::new("wget-post");
    let body = varied_bytes(900_000);
    let post = format!("--post-file={}", folder.write("body", &body));
    let answer = folder.file("answer");
    let server = http_server(&["--hubs", "1"]);
    let url = format!("http://{}/describe", server.address);
    run(
        "wget",
        &["--quiet", "--output-document", &answer, &post, &url],
    );
    let expected = [b"POST /describe 900000\n", &body[..]].concat();
    assert!(fs::read(&answer).unwrap() == expected);
}

#[test]
fn several_downloads_come_by_one_connection() {
    let _watchdog = Watchdog::new("wget several");
    let server = http_server(&["--hubs", "1"]);
    let peer = format!("http://{}/peer", server.address);
    let stream = format!("http://{}/stream/10", server.address);
    let answers = run(
        "wget",
        &["--quiet", "--output-document", "-", &peer, &stream, &peer],
    );
    let (first, last) = answers.split_once("xxxxxxxxxx").expect("the stream");
    assert!(
        first.starts_with("127.0.0.1:") && first == last,
        "{answers}"
    );
}

#[test]
fn what_is_not_found_is_told() {
    let _watchdog = Watchdog::new("wget 404");
    let server = http_server(&["--hubs", "1"]);
    let url = format!("http://{}/nowhere", server.address);
    let output = std::process::Command::new("wget")
        .args(["--no-verbose", "--output-document", "-", &url])
        .output()
        .unwrap();
    // The status by which wget tells of an error that a server answered.
    assert_eq!(output.status.code(), Some(8));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("404: Not Found"), "{told}");
}
