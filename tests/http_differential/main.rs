//! Sends the same raw requests to kapok, to node's http and to Go's net/http, and compares what they do with them: the status
//! codes, whether the connection lives on, and what they took for the body.
//!
//! Valid requests must be answered alike by all three. For odd ones the tables have kapok's verdict, and `differences.rs` lists
//! every request of which node or Go thinks otherwise, with an argument.

#![expect(clippy::disallowed_methods, reason = "no fiber runs in this process")]

mod differences;
mod exchange;
mod odd;
#[expect(dead_code, reason = "each test uses a part of it")]
#[path = "../support/programs.rs"]
mod programs;
mod requests;
mod servers;
mod valid;
#[path = "../support/watchdog.rs"]
mod watchdog;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use differences::listed_differences;
use exchange::{Outcome, exchange};
use odd::odd_requests;
use requests::Request;
use servers::{GO, KAPOK, NODE, start_go, start_kapok, start_node};
use valid::valid_requests;
use watchdog::Watchdog;

/// What the three servers did with each of the requests.
struct Answers {
    requests: Vec<Request>,
    kapok: Vec<Outcome>,
    node: Vec<Outcome>,
    go: Vec<Outcome>,
}

impl Answers {
    fn of(requests: Vec<Request>) -> Self {
        let _watchdog = Watchdog::new("asking three servers");
        let (kapok, node, go) = (start_kapok(), start_node(), start_go());
        Self {
            kapok: ask_all(KAPOK, kapok.address, &requests),
            node: ask_all(NODE, node.address, &requests),
            go: ask_all(GO, go.address, &requests),
            requests,
        }
    }

    /// Returns each request with the outcomes of kapok, node and Go.
    fn iter(&self) -> impl Iterator<Item = (&Request, [&Outcome; 3])> {
        let outcomes = self.kapok.iter().zip(&self.node).zip(&self.go);
        self.requests
            .iter()
            .zip(outcomes.map(|((kapok, node), go)| [kapok, node, go]))
    }
}

fn valid_answers() -> &'static Answers {
    static ANSWERS: OnceLock<Answers> = OnceLock::new();
    ANSWERS.get_or_init(|| Answers::of(valid_requests()))
}

fn odd_answers() -> &'static Answers {
    static ANSWERS: OnceLock<Answers> = OnceLock::new();
    ANSWERS.get_or_init(|| Answers::of(odd_requests()))
}

/// Asks a server all requests, a few at a time.
fn ask_all(server: &str, address: SocketAddr, requests: &[Request]) -> Vec<Outcome> {
    let next = AtomicUsize::new(0);
    let ask = || {
        let indices = std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)));
        let mine = indices.map_while(|index| Some((index, requests.get(index)?)));
        let asked = mine.map(|(index, request)| (index, exchange(address, request)));
        asked.collect::<Vec<_>>()
    };
    let mut results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(ask)).collect();
        let joined = threads.into_iter().map(|thread| thread.join().unwrap());
        joined.flatten().collect()
    });
    results.sort_by_key(|(index, _)| *index);

    let mut outcomes = Vec::new();
    let mut wrong = Vec::new();
    for ((_, result), request) in results.into_iter().zip(requests) {
        match result {
            Ok(outcome) => outcomes.push(outcome),
            Err(error) => wrong.push(format!("{}: {error}", request.name)),
        }
    }
    assert_none(
        &wrong,
        &format!("{server} hangs or answers in no known way"),
    );
    outcomes
}

/// Fails with all of `wrong`, a line each.
fn assert_none(wrong: &[String], what: &str) {
    assert!(
        wrong.is_empty(),
        "{what}, {} in number:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn there_are_hundreds_of_each_kind_and_all_have_names_of_their_own() {
    let (valid, odd) = (valid_requests(), odd_requests());
    assert!(valid.len() >= 200, "{} valid requests", valid.len());
    assert!(odd.len() >= 200, "{} odd requests", odd.len());
    let mut names = HashSet::new();
    let mut bytes = HashSet::new();
    for request in valid.iter().chain(&odd) {
        assert!(names.insert(&request.name), "{} occurs twice", request.name);
        let sent = (request.delivery as u8, &request.bytes);
        assert!(bytes.insert(sent), "{} repeats another", request.name);
    }
}

#[test]
fn valid_requests_are_answered_as_by_node_and_go() {
    let mut wrong = Vec::new();
    for (request, [kapok, node, go]) in valid_answers().iter() {
        if kapok != node || kapok != go {
            let bodies = match kapok.bodies == node.bodies && kapok.bodies == go.bodies {
                true => "",
                false => ", and the bodies differ",
            };
            wrong.push(format!(
                "{}: kapok {kapok}, node {node}, Go {go}{bodies}",
                request.name
            ));
        }
    }
    assert_none(&wrong, "valid requests are not answered alike");
}

#[test]
fn odd_requests_get_the_verdicts_of_the_tables() {
    let mut wrong = Vec::new();
    for (request, [kapok, ..]) in odd_answers().iter() {
        let verdict = request.full_verdict();
        if kapok.to_string() != verdict {
            wrong.push(format!("{}: {kapok}, not {verdict}", request.name));
        }
    }
    assert_none(&wrong, "kapok does not do what the tables say");
}

#[test]
fn odd_requests_differ_from_node_and_go_only_as_listed() {
    let listed = listed_differences(servers::node_version());
    let mut occurring = HashSet::new();
    let mut wrong = Vec::new();
    for (request, [kapok, node, go]) in odd_answers().iter() {
        for (server, outcome) in [(NODE, node), (GO, go)] {
            if outcome.verdict() == kapok.verdict() {
                continue;
            }
            let difference = (server, request.name.clone());
            if !listed.contains(&difference) {
                let name = &request.name;
                wrong.push(format!(
                    "not listed: {name}: kapok {kapok}, {server} {outcome}"
                ));
            }
            occurring.insert(difference);
        }
    }
    let missing = listed.difference(&occurring);
    wrong.extend(missing.map(|(server, name)| format!("does not occur: {name}: {server}")));
    wrong.sort();
    assert_none(&wrong, "the list of differences is not right");
}

#[test]
fn what_is_taken_of_odd_requests_is_taken_alike() {
    let mut wrong = Vec::new();
    for (request, [kapok, node, go]) in odd_answers().iter() {
        for (server, outcome) in [(NODE, node), (GO, go)] {
            if outcome.verdict() == kapok.verdict() && outcome.bodies != kapok.bodies {
                wrong.push(format!("{}: {server} took something else", request.name));
            }
        }
    }
    assert_none(&wrong, "odd requests are understood in two ways");
}

/// Connections open at once to a server.
const AT_ONCE: usize = 16;
