//! The `#[switchpoint]` attribute. It is used through `kapok::switchpoint`; this crate exists because an attribute needs a
//! crate of its own. No `syn`: the attribute only looks at the tokens around the function's name, and compiles in no time.

use proc_macro::{Delimiter, Group, TokenStream, TokenTree};

/// Marks a function that may switch to another fiber.
///
/// The function's documentation gets a `# Switchpoint` section, and its body starts with a check: when a no-switch guard is
/// held ([`assert_no_switchpoints`](https://docs.rs/kapok/latest/kapok/fn.assert_no_switchpoints.html)) it panics and names
/// both places, **even if the call would not have blocked**; when the fiber is cancelled it unwinds. The check costs under
/// a nanosecond and makes no hub.
///
/// Arguments, all by choice:
/// - `wakes = "…"`: what ends the wait, for the documentation.
/// - `cancel = "…"`: what a cancelled call leaves behind, for the documentation.
/// - `crate = path`: where kapok is found, if not at `::kapok`.
///
/// On a trait's method without a body only the documentation is added.
///
/// # Panics
///
/// The macro itself never panics: an `async`, `const` or `extern` function, or anything but a function, is a compile error.
#[proc_macro_attribute]
pub fn switchpoint(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand(arguments, item, "::kapok")
}

/// [`macro@switchpoint`] for crates that depend on kapok-runtime alone.
#[doc(hidden)]
#[proc_macro_attribute]
pub fn switchpoint_runtime(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand(arguments, item, "::kapok_runtime")
}

fn expand(arguments: TokenStream, item: TokenStream, default_crate: &str) -> TokenStream {
    let expanded = Arguments::parse(arguments, default_crate)
        .and_then(|arguments| mark(&arguments, item.clone()));
    match expanded {
        Ok(marked) => marked,
        // The function stays as it was, so that the one error is not followed by "cannot find function".
        Err(message) => {
            let mut tokens = parse(&format!("::core::compile_error!({message:?});"));
            tokens.extend(item);
            tokens
        }
    }
}

struct Arguments {
    crate_path: String,
    section: String,
}

impl Arguments {
    fn parse(arguments: TokenStream, default_crate: &str) -> Result<Self, String> {
        let mut parsed = Self {
            crate_path: default_crate.to_owned(),
            section: "\n# Switchpoint\n\nMay switch to another fiber.".to_owned(),
        };
        let tokens: Vec<TokenTree> = arguments.into_iter().collect();
        for argument in tokens
            .split(|token| is_punct(token, ','))
            .filter(|part| !part.is_empty())
        {
            let [key, equals, value @ ..] = argument else {
                return Err("#[switchpoint] takes `key = value` arguments".to_owned());
            };
            if !is_punct(equals, '=') || value.is_empty() {
                return Err("#[switchpoint] takes `key = value` arguments".to_owned());
            }
            let value: TokenStream = value.iter().cloned().collect();
            match key.to_string().as_str() {
                "crate" => parsed.crate_path = value.to_string(),
                "wakes" => parsed.section += &format!(" Wakes: {}.", unquote(&value)?),
                "cancel" => parsed.section += &format!(" Cancelled: {}.", unquote(&value)?),
                other => {
                    return Err(format!(
                        "#[switchpoint] knows no argument `{other}`: wakes, cancel, crate"
                    ));
                }
            }
        }
        parsed.section.push('\n');
        Ok(parsed)
    }
}

fn mark(arguments: &Arguments, item: TokenStream) -> Result<TokenStream, String> {
    let mut tokens: Vec<TokenTree> = item.into_iter().collect();
    let position = tokens.iter().position(|token| token.to_string() == "fn");
    let Some(position) = position else {
        return Err("#[switchpoint] wants a function".to_owned());
    };
    for token in &tokens[..position] {
        let word = token.to_string();
        if ["async", "const", "extern"].contains(&word.as_str()) {
            return Err(format!(
                "#[switchpoint] does not go with `{word} fn`: such a function cannot park its fiber"
            ));
        }
    }
    let name = tokens[position + 1].to_string();
    let docs: TokenStream = parse(&format!("#[doc = {:?}]", arguments.section));
    let attributes_end = section_position(&tokens);

    let mut marked = TokenStream::new();
    let has_body = matches!(tokens.last(), Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace);
    if has_body && let Some(TokenTree::Group(body)) = tokens.pop() {
        let rest = tokens.split_off(attributes_end);
        marked.extend(tokens);
        marked.extend(docs);
        marked.extend(parse("#[track_caller]"));
        marked.extend(rest);
        let mut checked = parse(&format!(
            "{}::__private::switchpoint_entry(::core::concat!(::core::module_path!(), \"::{name}\"));",
            arguments.crate_path
        ));
        checked.extend(body.stream());
        let mut group = Group::new(Delimiter::Brace, checked);
        group.set_span(body.span());
        marked.extend([TokenTree::Group(group)]);
    } else {
        let rest = tokens.split_off(attributes_end);
        marked.extend(tokens);
        marked.extend(docs);
        marked.extend(rest);
    }
    Ok(marked)
}

/// Where the `# Switchpoint` section goes: before the first heading of the documentation, else behind its last line.
fn section_position(tokens: &[TokenTree]) -> usize {
    let (mut at, mut position) = (0, 0);
    while let (Some(sign), Some(TokenTree::Group(attribute))) = (tokens.get(at), tokens.get(at + 1))
    {
        if !is_punct(sign, '#') {
            break;
        }
        let text = attribute.stream().to_string();
        if text.starts_with("doc") {
            if text.contains("\" # ") || text.contains("\"# ") {
                return at;
            }
            position = at + 2;
        }
        at += 2;
    }
    position
}

fn is_punct(token: &TokenTree, sign: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == sign)
}

/// The text of a plain string literal, for the documentation.
fn unquote(literal: &TokenStream) -> Result<String, String> {
    let text = literal.to_string();
    match text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
    {
        Some(inner) => Ok(inner.replace("\\\"", "\"").replace("\\\\", "\\")),
        None => Err(format!("#[switchpoint] wants a string, not `{text}`")),
    }
}

fn parse(code: &str) -> TokenStream {
    code.parse()
        .expect("invariant: every text given here is well-formed Rust")
}
