//! Informational responses from handlers.

use std::io::ErrorKind;

use kapok::http::{HeaderValue, Request, Response, StatusCode, header};

use crate::peer::{Gate, describe, get, post, serve_plainly};
use crate::support::on_a_hub;

fn hints() -> Response {
    let link = HeaderValue::from_static("</style.css>; rel=preload");
    Response::new(StatusCode::EARLY_HINTS).header(header::LINK, link)
}

#[test]
fn hints_arrive_before_the_answer_is_made() {
    on_a_hub("103", || {
        let gate = Gate::default();
        let waits = gate.clone();
        let (mut peer, _served) = serve_plainly(move |request: &mut Request<'_>| {
            request.send_informational(&hints()).unwrap();
            request
                .send_informational(&Response::new(StatusCode::PROCESSING))
                .unwrap();
            waits.wait();
            "made"
        });
        peer.send(get("/"));
        assert_eq!(
            peer.head().head,
            "HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload"
        );
        assert_eq!(peer.head().head, "HTTP/1.1 102 Processing");
        gate.open();
        let answer = peer.answer();
        assert_eq!((answer.text(), answer.closes()), ("made", false));
    });
}

#[test]
fn hints_stand_behind_earlier_answers_and_work_again() {
    on_a_hub("in order", || {
        let (mut peer, _served) = serve_plainly(|request: &mut Request<'_>| {
            if request.path() == "/hints" {
                request.send_informational(&hints()).unwrap();
            }
            describe(request)
        });
        peer.send(get("/1") + &get("/hints") + &get("/hints") + &get("/2"));
        assert_eq!(peer.answer().text(), "GET /1 ");
        for _ in 0..2 {
            assert_eq!(peer.head().status(), 103);
            assert_eq!(peer.answer().text(), "GET /hints ");
        }
        assert_eq!(peer.answer().text(), "GET /2 ");
    });
}

#[test]
fn an_old_client_gets_no_hints() {
    on_a_hub("1.0", || {
        let (mut peer, _served) = serve_plainly(|request: &mut Request<'_>| {
            request.send_informational(&hints()).unwrap();
            "made"
        });
        let answer = peer.ask("GET / HTTP/1.0\r\n\r\n");
        assert_eq!((answer.status(), answer.text()), (200, "made"));
    });
}

#[test]
fn hints_have_neither_length_nor_body() {
    on_a_hub("no body", || {
        let (mut peer, _served) = serve_plainly(|request: &mut Request<'_>| {
            let hints = hints()
                .with_body("not sent")
                .header(header::CONTENT_LENGTH, HeaderValue::from_static("8"))
                .header(
                    header::TRANSFER_ENCODING,
                    HeaderValue::from_static("chunked"),
                );
            request.send_informational(&hints).unwrap();
            "made"
        });
        peer.send(get("/"));
        let hints = peer.head();
        assert_eq!(hints.status(), 103);
        assert_eq!(hints.field("content-length"), None);
        assert_eq!(hints.field("transfer-encoding"), None);
        assert_eq!(peer.answer().text(), "made");
    });
}

#[test]
fn final_statuses_and_101_are_refused() {
    on_a_hub("refused", || {
        let (mut peer, _served) = serve_plainly(|request: &mut Request<'_>| {
            for status in [101, 200, 204, 404, 500] {
                let status = StatusCode::from_u16(status).unwrap();
                let error = request
                    .send_informational(&Response::new(status))
                    .unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidInput, "{status}");
            }
            "made"
        });
        assert_eq!(peer.ask(get("/")).text(), "made");
    });
}

#[test]
fn hints_and_100_may_both_come() {
    on_a_hub("100 and 103", || {
        let (mut peer, _served) = serve_plainly(|request: &mut Request<'_>| {
            request.send_informational(&hints()).unwrap();
            describe(request)
        });
        peer.send(post("Expect: 100-continue\r\nContent-Length: 1\r\n", ""));
        assert_eq!(peer.head().status(), 103);
        assert_eq!(peer.head().status(), 100);
        peer.send("a");
        assert_eq!(peer.answer().text(), "POST / a");
    });
}
