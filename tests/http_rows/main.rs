//! A table of requests that servers are attacked with, and what this one makes of each.
//!
//! Each input is sent whole, byte by byte, and cut in two at every byte; to a handler that reads bodies whole and to one that
//! reads them in pieces; alone and with a right request behind it. All of that must come to the same: the same answers but for
//! their date, the same end of the connection, and the same calls of the handler. docs/conformance.md says why each row expects
//! what it does.

mod allocator;
mod answers;
mod peer;
mod rows;
mod serve;
mod time;
#[path = "../support/watchdog.rs"]
mod watchdog;

use std::fmt::Write;

use rows::{NEXT, NEXT_SEEN, Row};
use serve::{Cut, Outcome, Reading, serve};
use watchdog::Watchdog;

#[test]
fn request_lines_are_taken_or_refused_as_the_table_says() {
    check(rows::request_line::rows());
}

#[test]
fn header_fields_are_taken_or_refused_as_the_table_says() {
    check(rows::fields::rows());
}

#[test]
fn lengths_and_codings_are_taken_or_refused_as_the_table_says() {
    check(rows::framing::rows());
}

#[test]
fn chunks_are_taken_or_refused_as_the_table_says() {
    check(rows::chunks::rows());
}

#[test]
fn exchanges_go_as_the_table_says() {
    check(rows::exchanges::rows());
}

#[test]
fn limits_hold_as_the_table_says() {
    check(rows::limits::rows());
}

#[test]
fn the_table_has_every_row() {
    let numbers: Vec<u8> = rows::all().iter().map(|row| row.number).collect();
    // 74 is about ranges, which a server of files has and this one is not.
    let missing: Vec<u8> = (1..=75)
        .filter(|number| *number != 74 && !numbers.contains(number))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// Serves every row in every way and tells of all that went wrong at once.
#[track_caller]
fn check(rows: Vec<Row>) {
    let _watchdog = Watchdog::new("rows");
    let mut wrong = String::new();
    for row in rows {
        if let Err(text) = check_row(&row) {
            let input = shorten(&row.input.escape_ascii().to_string());
            let _ = writeln!(wrong, "row {}, {}: {input}\n  {text}", row.number, row.name);
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

fn check_row(row: &Row) -> Result<(), String> {
    let expected = (row.answers.clone(), row.seen.clone());
    let alone = check_input(row, &row.input, &expected);
    if !row.is_followed {
        return alone;
    }
    let input = [&row.input, NEXT.as_bytes()].concat();
    let result = check_input(row, &input, &followed(expected));
    match (alone, result) {
        (Ok(()), Ok(())) => Ok(()),
        (Err(alone), Ok(())) => Err(format!("only without a request behind it: {alone}")),
        (Err(text), Err(_)) => Err(text),
        (Ok(()), Err(text)) => Err(format!("only with a request behind it: {text}")),
    }
}

/// Answers, and what the handler saw.
type Expected = (String, Vec<String>);

/// What becomes of it with [`NEXT`] behind.
fn followed((mut answers, mut seen): Expected) -> Expected {
    if let Some(before) = answers.strip_suffix("open") {
        answers = format!("{before}200 open");
        seen.push(NEXT_SEEN.to_owned());
    }
    (answers, seen)
}

fn check_input(row: &Row, input: &[u8], expected: &Expected) -> Result<(), String> {
    // Those who read no body read alike.
    let has_body = ["-Length", "-Encoding"]
        .iter()
        .any(|name| contains(input, name));
    let readings = if has_body {
        &Reading::ALL[..]
    } else {
        &[Reading::Whole]
    };
    for reading in readings.iter().copied() {
        let whole = serve(input, row, Cut::Nowhere, reading);
        check_outcome(&whole, expected).map_err(|text| format!("{reading:?}: {text}"))?;
        for cut in cuts(input.len()) {
            let other = serve(input, row, cut, reading);
            if other == whole {
                continue;
            }
            let wrong = |text| format!("{reading:?}, {cut:?}: {text}");
            check_outcome(&other, expected).map_err(wrong)?;
            if !other.is_like(&whole) {
                return Err(wrong(shorten(&format!("{other} instead of {whole}"))));
            }
        }
    }
    Ok(())
}

fn check_outcome(outcome: &Outcome, expected: &Expected) -> Result<(), String> {
    let got = (outcome.answers()?, outcome.seen());
    if got == *expected {
        return Ok(());
    }
    let text = format!("expected {expected:?}, got {got:?}");
    Err(shorten(&text))
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

/// Byte by byte, and in two at every byte; at some of them if there are many.
fn cuts(length: usize) -> Vec<Cut> {
    let places: Vec<usize> = if length <= 4 * 1024 {
        (1..length).collect()
    } else {
        // Where buffers are full, and at both ends.
        let borders = [4, 8, 16, 32, 64].map(|size| size * 1024);
        let beside = borders
            .into_iter()
            .flat_map(|border| border - 1..=border + 1);
        let ends = (1..5).chain(length - 4..length);
        let spread = (1..=200).map(|number| number * length / 201);
        beside
            .chain(ends)
            .chain(spread)
            .filter(|place| *place < length)
            .collect()
    };
    std::iter::once(Cut::Everywhere)
        .chain(places.into_iter().map(Cut::At))
        .collect()
}

/// Long inputs say little at length.
fn shorten(text: &str) -> String {
    match text.char_indices().nth(1_000) {
        Some((end, _)) => format!("{}... ({} in all)", &text[..end], text.len()),
        None => text.to_owned(),
    }
}
