//! Python's clients, each with a script beside this file that says what is checked.

use super::{Watchdog, http_server, run, source};

#[test]
fn http_client_and_urllib() {
    check("stdlib_client.py");
}

#[test]
fn requests() {
    check("requests_client.py");
}

#[test]
fn aiohttp() {
    check("aiohttp_client.py");
}

#[test]
fn httpx() {
    check("httpx_client.py");
}

fn check(script: &'static str) {
    let _watchdog = Watchdog::new(script);
    let server = http_server(&["--hubs", "2"]);
    // Debian's, which knows of Debian's packages, whatever else stands in the path.
    let answer = run(
        "/usr/bin/python3",
        &[&source(script), &server.address.to_string()],
    );
    assert_eq!(answer, "ok\n");
}
