//! Rules of the house that neither the compiler nor clippy checks: who may use whom, how long a file may be, that what parks
//! is marked, and that the documents say what they must.

use std::fs;
use std::path::{Path, PathBuf};

/// The runtime's layers, lowest first: a file may use its own layer and those before it.
const RUNTIME_LAYERS: &[&[&str]] = &[
    &["slab"],
    &["fiber"],
    &["hub"],
    &["task"],
    &["sync"],
    &["time", "net", "pool", "fs", "io", "signal", "diagnostics"],
    &["process", "future"],
    &["hubs", "select", "unwind_safe"],
    &["lib"],
];

/// Lines of code, without blank lines, comments and tests, at which a file is too long.
const CODE_LINES_MAX: usize = 500;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files below a folder, with their text.
fn rust_files(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push((path.clone(), fs::read_to_string(path).unwrap()));
            }
        }
    }
    assert!(!found.is_empty(), "no files below {}", folder);
    found.sort();
    found
}

/// The lines before the tests that are neither blank nor comments.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_test = |line: &str| {
        line.trim_start().starts_with("#[cfg(test)]") || line.contains("#[cfg(all(test")
    };
    text.lines()
        .enumerate()
        .take_while(move |(_, line)| !is_test(line))
        .map(|(number, line)| (number + 1, line))
        .filter(|(_, line)| !line.trim_start().starts_with("//") && !line.trim().is_empty())
}

fn layer_of(module: &str) -> Option<usize> {
    RUNTIME_LAYERS
        .iter()
        .position(|layer| layer.contains(&module))
}

#[test]
fn the_runtime_has_no_circle() {
    let source = root().join("runtime/src");
    let mut wrong = Vec::new();
    for (path, text) in rust_files("runtime/src") {
        let relative = path.strip_prefix(&source).unwrap();
        let module = relative
            .iter()
            .next()
            .unwrap()
            .to_str()
            .unwrap()
            .trim_end_matches(".rs");
        let layer =
            layer_of(module).unwrap_or_else(|| panic!("{} has no layer", relative.display()));
        for (number, line) in code_lines(&text) {
            for used in line.split("crate::").skip(1) {
                let used: String = used
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                if let Some(used_layer) = layer_of(&used)
                    && used_layer > layer
                {
                    wrong.push(format!("{}:{number} uses {used}", relative.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "upwards: {wrong:#?}");
}

#[test]
fn the_wire_does_no_input_or_output() {
    let mut wrong = Vec::new();
    for (path, text) in rust_files("protocols/src") {
        if !path.iter().any(|part| part == "wire") {
            continue;
        }
        for (number, line) in code_lines(&text) {
            let forbidden = [
                "Instant::now",
                "SystemTime::now",
                "TcpStream",
                "kapok_runtime",
                "crate::net",
                "#[switchpoint",
            ];
            if forbidden.iter().any(|word| line.contains(word)) {
                wrong.push(format!("{}:{number}: {line}", path.display()));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "a wire module touches the world: {wrong:#?}"
    );
}

#[test]
fn unsafe_code_stands_in_the_runtime_alone() {
    let protocols = fs::read_to_string(root().join("protocols/src/lib.rs")).unwrap();
    assert!(protocols.contains("#![forbid(unsafe_code)]"));
    let listed = fs::read_to_string(root().join("docs/soundness.md")).unwrap();
    let mut missing = Vec::new();
    for (path, text) in rust_files("runtime/src") {
        let relative = path
            .strip_prefix(root().join("runtime/src"))
            .unwrap()
            .display()
            .to_string();
        let has_unsafe = code_lines(&text).any(|(_, line)| line.contains("unsafe"));
        if has_unsafe && !listed.contains(&format!("`{relative}`")) {
            missing.push(relative);
        }
    }
    assert!(
        missing.is_empty(),
        "docs/soundness.md does not speak of the unsafe code in {missing:?}"
    );
}

#[test]
fn files_are_of_one_sitting() {
    let mut long = Vec::new();
    for folder in ["runtime", "protocols", "examples", "tests"] {
        for (path, text) in rust_files(folder) {
            let lines = code_lines(&text).count();
            let is_test =
                path.file_name().is_some_and(|name| name == "tests.rs") || folder == "tests";
            if lines > CODE_LINES_MAX && !is_test {
                long.push(format!("{}: {lines} lines of code", path.display()));
            }
        }
    }
    assert!(long.is_empty(), "split these: {long:#?}");
}

/// A public function whose body parks, or calls one that does, carries `#[switchpoint]`. By text, so approximate: the check at
/// run time is the exact one.
#[test]
fn public_functions_that_park_are_marked() {
    let parking = [
        "park(",
        "park_until(",
        "switch_out(",
        ".registered().wait(",
        ".registered.wait(",
        ".operate(",
        ".packet.wait(",
        "wait(&signal",
        "drain_hub(",
        // of sync
        "wait(&",
        "self.receive(",
        "shared.receive(",
        "shared.send(",
        "self.get_until(",
        "self.put_until(",
        "self.raw.lock(",
        "self.raw.take(",
        "wait_for_none(",
        "self.take(1",
        "children.wait(",
        ".pending.wait(",
        "self.pipe.operate(",
        "wait_until(",
        "communicate(",
        "unblock(",
        "with_path(",
        ".fill_buf(",
    ];
    // Not switchpoints themselves: what they do is named by the one they are called in.
    let exempt = ["run"];
    let mut unmarked = Vec::new();
    for folder in [
        "runtime/src/task",
        "runtime/src/io",
        "runtime/src/net",
        "runtime/src/future",
        "runtime/src/sync",
        "runtime/src/hubs.rs",
        "runtime/src/time.rs",
        "runtime/src/hub",
        "runtime/src/fs",
        "runtime/src/process",
        "runtime/src/signal",
    ] {
        let files = if folder.ends_with(".rs") {
            vec![(
                root().join(folder),
                fs::read_to_string(root().join(folder)).unwrap(),
            )]
        } else {
            rust_files(folder)
        };
        for (path, text) in files {
            for (name, attributes, body) in public_functions(&text) {
                let parks = parking.iter().any(|call| calls(&body, call));
                if parks && !attributes.contains("switchpoint") && !exempt.contains(&name.as_str())
                {
                    unmarked.push(format!("{}: {name}", path.display()));
                }
            }
        }
    }
    assert!(
        unmarked.is_empty(),
        "these park and do not say so: {unmarked:#?}"
    );
}

/// Whether `call` stands in the text as a whole word: `unpark(` is no `park(`.
fn calls(text: &str, call: &str) -> bool {
    text.match_indices(call).any(|(at, _)| {
        let before = text[..at].chars().next_back().unwrap_or(' ');
        call.starts_with('.') || !(before.is_alphanumeric() || before == '_')
    })
}

/// Name, attributes and body of each `pub fn`, by indentation: rustfmt closes a function at the depth where it opened it.
fn public_functions(text: &str) -> Vec<(String, String, String)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let depth = line.len() - line.trim_start().len();
        let Some(rest) = line.trim_start().strip_prefix("pub fn ") else {
            continue;
        };
        let name: String = rest
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        let attributes: Vec<&str> = lines[..start]
            .iter()
            .rev()
            .take_while(|line| !line.trim().is_empty() && **line != "}" && line.trim() != "}")
            .copied()
            .collect();
        let end = format!("{}}}", " ".repeat(depth));
        let body: Vec<&str> = lines[start..]
            .iter()
            .take_while(|line| **line != end)
            .copied()
            .collect();
        found.push((name, attributes.join("\n"), body.join("\n")));
    }
    found
}

#[test]
fn the_readme_shows_the_two_commands() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for command in ["cargo run --release --example hello_http", "tests/run"] {
        assert!(readme.contains(command), "README.md lacks `{command}`");
    }
}

#[test]
fn links_between_the_documents_lead_somewhere() {
    let mut broken = Vec::new();
    let mut documents = vec![root().join("README.md")];
    for folder in ["docs", "docs/guide"] {
        let entries = fs::read_dir(root().join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().path());
        documents.extend(
            entries.filter(|path| path.extension().is_some_and(|extension| extension == "md")),
        );
    }
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let target = link.split('#').next().unwrap_or_default();
            let is_local = !target.is_empty() && !target.contains("://");
            if is_local
                && !document
                    .parent()
                    .unwrap_or(Path::new(""))
                    .join(target)
                    .exists()
            {
                broken.push(format!("{}: {link}", document.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}
