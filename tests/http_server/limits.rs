//! The limits of bodies at their borders.

use std::io::Read;

use kapok::http::{BodyError, Config, Request};

use crate::peer::{exchange, post, post_chunked, post_sized, serve, status_of};
use crate::support::on_a_hub;

/// Reads the whole body, in one of three ways.
fn read(request: &mut Request<'_>) -> Result<String, BodyError> {
    let mut bytes = Vec::new();
    let result = match request.path().len() % 3 {
        0 => return Ok(request.read_body()?.len().to_string()),
        1 => request.body().read_to_end(&mut bytes),
        _ => {
            let mut all = vec![0; 100_000];
            let mut filled = 0;
            loop {
                match request.body().read(&mut all[filled..]) {
                    Ok(0) => break Ok(filled),
                    Ok(count) => filled += count,
                    Err(error) => break Err(error),
                }
            }
        }
    };
    match result {
        Ok(length) => Ok(length.to_string()),
        Err(error) => Err(error.downcast().unwrap()),
    }
}

/// The request is answered 200, or with `status` and an end.
fn check(config: &Config, request: &str, status: u16) {
    for path in ["/", "/a", "/aa"] {
        let request = request.replacen(" / ", &format!(" {path} "), 1);
        if status == 200 {
            let (mut peer, _served) = serve(config.clone(), read);
            for _ in 0..2 {
                let answer = peer.ask(&request);
                assert_eq!(
                    (answer.status(), answer.closes()),
                    (200, false),
                    "{request}"
                );
            }
        } else {
            let (answer, _) = exchange(config.clone(), &request, read);
            assert_eq!(status_of(&answer), status, "{request}");
            let text = String::from_utf8(answer).unwrap();
            assert!(text.contains("\r\nConnection: close\r\n"), "{text}");
        }
    }
}

#[test]
fn so_long_bodies_are_read_and_no_longer() {
    on_a_hub("body_bytes_max", || {
        for most in [0, 1, 5, 1023, 1024, 4096, 50_000] {
            let config = Config::new().body_bytes_max(most as u64);
            for (length, status) in [(most, 200), (most + 1, 413)] {
                let body = "b".repeat(length);
                check(&config, &post_sized(&body), status);
                let chunked = match length {
                    0 => post_chunked("0\r\n\r\n"),
                    _ => post_chunked(&format!("{length:x}\r\n{body}\r\n0\r\n\r\n")),
                };
                check(&config, &chunked, status);
                let small = format!("{}0\r\n\r\n", "1\r\nb\r\n".repeat(length.min(3000)));
                if length <= 3000 {
                    check(&config, &post_chunked(&small), status);
                }
            }
            // What is announced is enough to be refused.
            check(
                &config,
                &post(&format!("Content-Length: {}\r\n", most + 1), ""),
                413,
            );
            check(&config, &post_chunked(&format!("{:x}\r\n", most + 1)), 413);
        }
        check(
            &Config::new(),
            &post("Content-Length: 1048577\r\n", ""),
            413,
        );
        check(
            &Config::new(),
            &post("Content-Length: 18446744073709551615\r\n", ""),
            413,
        );
    });
}

#[test]
fn chunk_extensions_are_limited_in_all() {
    on_a_hub("chunk_extension_bytes_max", || {
        for most in [2, 5, 64, 4096] {
            let config = Config::new().chunk_extension_bytes_max(most);
            let extended = |length: usize| {
                let extension = format!(";{}", "e".repeat(length - 1));
                post_chunked(&format!("1{extension}\r\nx\r\n0\r\n\r\n"))
            };
            check(&config, &extended(most), 200);
            check(&config, &extended(most + 1), 400);
            // All chunks together, the last one too.
            let many = format!("{}0;e\r\n\r\n", "1;e\r\nx\r\n".repeat(most / 2));
            check(&config, &post_chunked(&many), 400);
            let fewer = format!("{}0\r\n\r\n", "1;e\r\nx\r\n".repeat(most / 2));
            check(&config, &post_chunked(&fewer), 200);
        }
        let none = Config::new().chunk_extension_bytes_max(0);
        check(&none, &post_chunked("1;e\r\nx\r\n0\r\n\r\n"), 400);
        check(&none, &post_chunked("1\r\nx\r\n0\r\n\r\n"), 200);
    });
}

#[test]
fn trailers_are_limited_in_bytes() {
    on_a_hub("trailer_bytes_max", || {
        for most in [5, 10, 64, 4096, 65_536] {
            let config = Config::new().trailer_bytes_max(most);
            let with = |length: usize| {
                let line = format!("T:{}\r\n", "v".repeat(length - 4));
                post_chunked(&format!("1\r\nx\r\n0\r\n{line}\r\n"))
            };
            check(&config, &with(most), 200);
            check(&config, &with(most + 1), 431);
        }
        let none = Config::new().trailer_bytes_max(0);
        check(&none, &post_chunked("0\r\n\r\n"), 200);
        check(&none, &post_chunked("0\r\nT:\r\n\r\n"), 431);
    });
}

#[test]
fn trailers_are_limited_in_number() {
    on_a_hub("trailer_count_max", || {
        for most in [0, 1, 2, 31, 32] {
            let config = Config::new().trailer_count_max(most);
            let with =
                |count: usize| post_chunked(&format!("0\r\n{}\r\n", "T: v\r\n".repeat(count)));
            check(&config, &with(most), 200);
            check(&config, &with(most + 1), 431);
        }
        let all = Config::new().trailer_count_max(usize::MAX);
        check(
            &all,
            &post_chunked(&format!("0\r\n{}\r\n", "T: v\r\n".repeat(33))),
            431,
        );
    });
}

#[test]
fn many_small_chunks_cost_no_more_than_their_bytes() {
    on_a_hub("small chunks", || {
        let count = 50_000;
        let body = format!("{}0\r\n\r\n", "1\r\nx\r\n".repeat(count));
        let (mut peer, _served) = serve(Config::new(), |request: &mut Request<'_>| {
            request.read_body().map(|body| body.len().to_string())
        });
        assert_eq!(peer.ask(post_chunked(&body)).text(), count.to_string());
        assert_eq!(peer.ask(post_sized("hello")).text(), "5");
    });
}
