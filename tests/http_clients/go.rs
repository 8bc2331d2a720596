//! Go's client: client.go, beside this file, says what is checked.

use super::{Folder, Watchdog, http_server, run, source};

#[test]
fn net_http() {
    let _watchdog = Watchdog::new("go");
    let folder = Folder::new("go");
    let client = folder.file("client");
    run("go", &["build", "-o", &client, &source("client.go")]);
    let server = http_server(&["--hubs", "2"]);
    assert_eq!(run(&client, &[&server.address.to_string()]), "ok\n");
}
