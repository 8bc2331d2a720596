//! Rows 64 to 68, 73 and 75: requests behind one another, expectations, upgrades, how long a connection lives.

use super::{NEXT, Row, get, post, refused, row, taken};

pub fn rows() -> Vec<Row> {
    [follow(), unread(), expectations(), upgrades(), lives()]
        .into_iter()
        .flatten()
        .collect()
}

/// Each of these is also sent with a second request behind.
fn follow() -> Vec<Row> {
    let mut rows = Vec::new();
    for method in ["GET", "HEAD", "OPTIONS", "TRACE"] {
        let head = format!("{method} /a HTTP/1.1\r\nHost: a\r\n");
        let sized = format!("{head}Content-Length: 5\r\n\r\nhello");
        let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
        let seen = format!("{method} /a \"hello\"");
        rows.push(taken(64, "a body where few expect one", sized.clone(), &seen));
        rows.push(taken(64, "a chunked body where few expect one", chunked, &seen));
        let unread = sized.replace("/a", "/unread");
        rows.push(taken(64, "the same, unread", unread, &format!("{method} /unread")));
        // The body looks like a request of its own.
        let hidden = format!("{head}Content-Length: {}\r\n\r\n{NEXT}", NEXT.len());
        rows.push(taken(64, "a request as a body", hidden, &format!("{method} /a {NEXT:?}")));
    }
    rows
}

fn unread() -> Vec<Row> {
    let unread = |fields: &str, body: &str| post(fields, body).replacen("/a", "/unread", 1);
    let part = |fields: &str, body: &str| post(fields, body).replacen("/a", "/part", 1);
    let chunked = "Transfer-Encoding: chunked\r\n";
    vec![
        row(
            65,
            "a length of 0, then junk",
            post("Content-Length: 0\r\n", "junk\r\n\r\n"),
            "200 400 closed",
            &["POST /a \"\""],
        ),
        row(
            65,
            "no length, then junk",
            post("", "junk\r\n\r\n"),
            "200 400 closed",
            &["POST /a \"\""],
        ),
        taken(65, "an unread body", unread("Content-Length: 5\r\n", "hello"), "POST /unread"),
        row(
            65,
            "an unread chunked body",
            unread(chunked, "5\r\nhello\r\n0\r\n\r\n"),
            "200 closed",
            &["POST /unread"],
        ),
        row(
            65,
            "an unread body that is wrong",
            unread(chunked, "5\r\nhello!\r\n0\r\n\r\n"),
            "200 closed",
            &["POST /unread"],
        ),
        row(
            65,
            "an unread body that is too long to skip",
            unread("Content-Length: 1000000000\r\n", "hello"),
            "200 closed",
            &["POST /unread"],
        ),
        taken(65, "a body that is read in part", part("Content-Length: 5\r\n", "hello"), "POST /part \"hel\""),
        row(
            65,
            "a chunked body that is read in part",
            part(chunked, "2\r\nhe\r\n3\r\nllo\r\n0\r\nX: 1\r\n\r\n"),
            "200 closed",
            &["POST /part \"hel\""],
        ),
        row(
            65,
            "a body that is read in part and then wrong",
            part(chunked, "5\r\nhello!\r\n0\r\n\r\n"),
            "200 closed",
            &["POST /part \"hel\""],
        ),
        row(
            65,
            "a forbidden trailer behind what is read",
            part(chunked, "5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n"),
            "200 closed",
            &["POST /part \"hel\""],
        ),
    ]
}

fn expectations() -> Vec<Row> {
    let expecting = "Expect: 100-continue\r\nContent-Length: 5\r\n";
    vec![
        row(66, "100-continue and the body at once", post(expecting, "hello"), "100 200 open", &["POST /a \"hello\""]),
        row(
            66,
            "100-continue and a chunked body at once",
            post("Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"),
            "100 200 open",
            &["POST /a \"hello\""],
        ),
        row(
            66,
            "100-continue and a body that is wrong",
            post("Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n", "F\n"),
            "100 400 closed",
            &["POST /a broken"],
        ),
        taken(66, "100-continue without a body", get("Expect: 100-continue\r\n"), "GET /a \"\""),
        row(
            66,
            "100-continue of which the body is not read",
            post(expecting, "hello").replace("/a", "/unread"),
            "200 closed",
            &["POST /unread"],
        ),
        refused(66, "an unknown expectation", get("Expect: 200-ok\r\n"), 417),
        refused(66, "an unknown expectation with a body", post("Expect: 200-ok\r\nContent-Length: 5\r\n", "hello"), 417),
        row(
            67,
            "100-continue in HTTP/1.0",
            format!("POST /a HTTP/1.0\r\n{expecting}\r\nhello"),
            "200 closed",
            &["POST /a \"hello\""],
        ),
    ]
}

/// The handler of `/upgrade` switches to the protocol `echo` if the request offers it.
fn upgrades() -> Vec<Row> {
    let upgrade = |method: &str, version: &str, fields: &str| {
        format!("{method} /upgrade {version}\r\nHost: a\r\n{fields}\r\n")
    };
    let right = "Connection: Upgrade\r\nUpgrade: echo\r\n";
    let web_socket = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 12\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
    vec![
        row(68, "a right upgrade", upgrade("GET", "HTTP/1.1", right), "101 \"\" closed", &["GET /upgrade"]).alone(),
        row(
            68,
            "a right upgrade and bytes of the new protocol",
            upgrade("GET", "HTTP/1.1", right) + "hello\n",
            "101 \"hello\\n\" closed",
            &["GET /upgrade"],
        )
        .alone(),
        taken(68, "no Connection: Upgrade", upgrade("GET", "HTTP/1.1", "Upgrade: echo\r\n"), "GET /upgrade"),
        taken(68, "an upgrade by POST", upgrade("POST", "HTTP/1.1", right), "POST /upgrade"),
        row(68, "an upgrade in HTTP/1.0", upgrade("GET", "HTTP/1.0", right), "200 closed", &["GET /upgrade"]),
        taken(
            68,
            "an unknown protocol",
            upgrade("GET", "HTTP/1.1", "Connection: Upgrade\r\nUpgrade: other\r\n"),
            "GET /upgrade",
        ),
        taken(68, "WebSocket of version 12", upgrade("GET", "HTTP/1.1", web_socket), "GET /upgrade"),
    ]
}

fn lives() -> Vec<Row> {
    let pipelined: String = (0..100)
        .map(|number| format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n"))
        .collect();
    let seen: Vec<String> = (0..100).map(|number| format!("GET /{number} \"\"")).collect();
    let seen: Vec<&str> = seen.iter().map(String::as_str).collect();
    let old = |fields: &str| format!("GET /a HTTP/1.0\r\n{fields}\r\n");
    let closed = |name, input| row(73, name, input, "200 closed", &["GET /a \"\""]);
    vec![
        closed("Connection: close", get("Connection: close\r\n")),
        closed("Connection: Close among others", get("Connection: x, Close\r\n")),
        closed("close and keep-alive", get("Connection: keep-alive, close\r\n")),
        closed("HTTP/1.0", old("")),
        closed("HTTP/1.0 with close", old("Connection: close\r\n")),
        taken(73, "HTTP/1.0 with keep-alive", old("Connection: keep-alive\r\n"), "GET /a \"\""),
        taken(73, "HTTP/1.1", get(""), "GET /a \"\""),
        row(75, "100 requests, then the end", pipelined, &format!("{}open", "200 ".repeat(100)), &seen),
    ]
}
