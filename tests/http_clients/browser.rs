//! A browser: a page whose script asks for all sorts of answers and says whether they were right.

use super::{Folder, Watchdog, http_server, is_full, run};

#[test]
fn chromium_finds_all_good() {
    if !is_full("chromium") {
        return;
    }
    let _watchdog = Watchdog::new("chromium");
    let folder = Folder::new("chromium");
    let server = http_server(&["--hubs", "2"]);
    let page = run(
        "timeout",
        &[
            "50",
            "chromium",
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            &format!("--user-data-dir={}", folder.path().display()),
            // The browser's time, which stands still while an answer is awaited.
            "--virtual-time-budget=10000",
            "--dump-dom",
            &format!("http://{}/page", server.address),
        ],
    );
    assert!(page.contains("<title>all good</title>"), "{page}");
    assert!(page.contains(r#"<p id="state">all good</p>"#), "{page}");
}
