//! `docs/configuration.md`: every key of `host.toml` with its description, generated from the schema.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first wrong answer")]

use std::path::Path;

use host_daemon::config::json_schema;
use serde_json::Value;

const HEAD: &str = "\
# Configuration

Every key that `host.toml` may have, by table. Made of the types, as `host config schema` is; do not edit. [host.toml](host.toml) shows
each key with its default or an example.

A size is a number of bytes or a text such as `\"64KiB\"`, `\"8MiB\"` or `\"1GiB\"`, a time a text with its unit: `\"500us\"`, `\"50ms\"`,
`\"10s\"`, `\"2m\"` or `\"1h\"`. NAME is whatever the operator calls it.
";

/// The page being written.
struct Page {
    schema: Value,
    text: String,
    /// Tables that were described: the name of the type, and where it was first.
    told: Vec<(String, String)>,
}

/// With `HOST_EXPECT=write` the page is written anew, so that a person can read the difference.
#[test]
fn the_page_in_docs_is_made_of_the_schema() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let mut page = Page { schema: json_schema(), text: HEAD.to_owned(), told: Vec::new() };
    page.table("", &page.schema.clone());
    if std::env::var_os("HOST_EXPECT").is_some_and(|value| value == "write") {
        std::fs::write(&file, &page.text).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(written == page.text, "docs/configuration.md is not what the types say; write it with HOST_EXPECT=write");
}

// === impl Page ===

impl Page {
    /// Writes a table with its keys, then the tables in it.
    fn table(&mut self, name: &str, table: &Value) {
        let mut inner = Vec::new();
        let heading = if name.is_empty() { "At the top".to_owned() } else { format!("`{name}`") };
        self.text += &format!("\n## {heading}\n\n| key | value | what it says |\n| --- | --- | --- |\n");
        for (key, value) in table["properties"].as_object().unwrap() {
            let said = self.said(value);
            let type_name = self.type_name(value);
            let within =
                |key: &str| if name.is_empty() { key.to_owned() } else { format!("{}.{key}", name.trim_matches(['[', ']'])) };
            let place = match self.innermost(value) {
                Some(("", _)) => format!("[{}]", within(key)),
                Some((".NAME", _)) => format!("[{}.NAME]", within(key)),
                Some(_) => format!("[[{}]]", within(key)),
                None => {
                    self.text += &format!("| `{key}` | {type_name} | {said} |\n");
                    continue;
                }
            };
            let (_, table) = self.innermost(value).unwrap();
            let type_of = table["x-name"].as_str().unwrap_or_default().to_owned();
            let before = self.told.iter().find(|(known, _)| *known == type_of).map(|(_, place)| place.clone());
            let place = before.clone().unwrap_or(place);
            self.text += &format!("| `{key}` | [`{place}`](#{}) | {said} |\n", anchor(&place));
            if before.is_none() {
                self.told.push((type_of, place.clone()));
                inner.push((place, table));
            }
        }
        for (place, table) in inner {
            self.table(&place, &table);
        }
    }

    /// Returns the table that a value is (``), that it holds by name (`.NAME`), or that it is a list of (`[]`).
    fn innermost(&self, value: &Value) -> Option<(&'static str, Value)> {
        let value = self.resolved(value);
        if value["properties"].is_object() {
            return Some(("", value));
        }
        for (kind, held) in [(".NAME", "additionalProperties"), ("[]", "items")] {
            let held = self.resolved(&value[held]);
            if held["properties"].is_object() {
                return Some((kind, held));
            }
        }
        None
    }

    /// Resolves a reference, with the name of its type; an optional value is treated as present.
    fn resolved(&self, value: &Value) -> Value {
        if let Some(name) = value["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
            let mut resolved = self.schema["$defs"][name].clone();
            resolved["x-name"] = name.into();
            return resolved;
        }
        let choices = value["anyOf"].as_array().map(Vec::as_slice).unwrap_or_default();
        match choices {
            [one, null] if null["type"] == "null" => self.resolved(one),
            _ => value.clone(),
        }
    }

    /// Returns the type that may be written.
    fn type_name(&self, value: &Value) -> String {
        let value = self.resolved(value);
        let name = value["x-name"].as_str().unwrap_or_default();
        let words = self.words(&value);
        let kind = value["type"].as_str().or_else(|| value["type"][0].as_str()).unwrap_or_default();
        match (name, kind) {
            ("Size", _) => "size".to_owned(),
            ("Span", _) => "time".to_owned(),
            _ if !words.is_empty() => words.iter().map(|(word, _)| format!("`\"{word}\"`")).collect::<Vec<_>>().join(", "),
            (_, "boolean") => "`true`, `false`".to_owned(),
            (_, "string") => "text".to_owned(),
            (_, "integer" | "number") => "number".to_owned(),
            (_, "array") => format!("list: {}", self.type_name(&value["items"])),
            (_, "object") => match &value["additionalProperties"] {
                held if held.is_object() => format!("by NAME: {}", self.type_name(held)),
                _ => "table".to_owned(),
            },
            _ => "anything".to_owned(),
        }
    }

    /// Returns the permitted words, if only some are, with the description of each.
    fn words(&self, value: &Value) -> Vec<(String, String)> {
        let value = self.resolved(value);
        let plain =
            value["enum"].as_array().into_iter().flatten().filter_map(|word| Some((word.as_str()?.to_owned(), String::new())));
        let told = value["oneOf"].as_array().into_iter().flatten();
        let told = told.filter_map(|word| Some((word["const"].as_str()?.to_owned(), line(&word["description"]))));
        plain.chain(told).collect()
    }

    /// Returns the description of a key; of words that of each.
    fn said(&self, value: &Value) -> String {
        let own = line(&value["description"]);
        let own = if own.is_empty() { line(&self.resolved(value)["description"]) } else { own };
        let words = self.words(value).into_iter().filter(|(_, said)| !said.is_empty());
        words.fold(own, |all, (word, said)| format!("{all} `\"{word}\"`: {said}"))
    }
}

/// Formats a description as one line of a table.
fn line(description: &Value) -> String {
    description.as_str().unwrap_or_default().replace('\n', " ").replace('|', "\\|")
}

/// Returns the anchor of a heading in a link.
fn anchor(heading: &str) -> String {
    heading.to_lowercase().chars().filter(|letter| letter.is_alphanumeric() || "-_".contains(*letter)).collect()
}
