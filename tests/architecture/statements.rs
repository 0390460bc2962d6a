//! The law about statements: figures, lists and commands in documents are those of the source.

use std::collections::BTreeSet;

use super::{entries, files, manifest, none, read, relative, root};

#[test]
fn the_readme_lists_every_probe_and_every_plugin_of_the_binary() {
    let readme = text("README.md");
    let probes = entries(&root().join("bpf")).into_iter().filter(|path| path.join("record.h").exists());
    let source = text("plugins/build.rs");
    let plugins = source.split_once("const PLUGINS").and_then(|(_, rest)| rest.split_once("];")).unwrap().0;
    let plugins = plugins.split('"').skip(1).step_by(2).map(|plugin| format!("plugins/{plugin}"));
    let folders: Vec<String> = probes.map(|path| relative(&path)).chain(plugins).collect();
    assert!(folders.len() > 10, "{folders:?}");
    none(&folders.into_iter().filter(|folder| !readme.contains(&format!("]({folder}/README.md)"))).collect::<Vec<_>>());
}

#[test]
fn kernels_are_those_that_probes_are_tried_on() {
    let makefile = text("Makefile");
    let tried = makefile.split_once("foreach series,").and_then(|(_, rest)| rest.split_once(',')).unwrap().0;
    let series: Vec<&str> = tried.split(' ').collect();
    let table = text("docs/kernels.md");
    let untold = series.iter().flat_map(|series| [(series, "x86_64"), (series, "aarch64")]).filter(|(series, machine)| {
        let is_row = |line: &str| line.starts_with(&format!("| {series}.")) && line.contains(&format!("| {machine} |"));
        !table.lines().any(is_row)
    });
    none(&untold.map(|(series, machine)| format!("docs/kernels.md has no {series} on {machine}")).collect::<Vec<_>>());
    let (least, others) = series.split_first().unwrap();
    let (last, middle) = others.split_last().unwrap();
    says("docs/faq.md", &format!("Linux {least} and newer"));
    says("docs/faq.md", &format!("for {least}, {} and {last}", middle.join(", ")));
    says("README.md", &format!("for Linux {least} and newer"));
}

#[test]
fn what_an_idle_host_costs_is_what_a_test_allows() {
    let source = text("tests/end_to_end/idle.rs");
    let allowed = |name: &str| {
        let allowance = source.split_once(&format!("const {name}")).and_then(|(_, rest)| rest.split_once(';')).unwrap().0;
        let value = |key: &str| allowance.split_once(key).unwrap().1.split([',', ' ']).next().unwrap();
        let share = value("share: ").parse::<f64>().unwrap() * 100.0;
        format!("less than {share} % of a core and {} MiB", value("rss_bytes: "))
    };
    says("README.md", &allowed("DEFAULT"));
    says("docs/faq.md", &allowed("THREE_PROBES"));
}

#[test]
fn what_a_call_costs_is_what_the_probe_says() {
    for figure in ["about 600 ns for a call that becomes a record", "10.9 us"] {
        says("README.md", figure);
        says("bpf/l7/README.md", figure);
    }
}

#[test]
fn the_example_of_a_protocol_has_as_many_lines_as_are_told() {
    let lines = text("examples/protocol-rust/src/lib.rs").lines().count();
    says("README.md", &format!("is {lines} lines"));
    says("examples/protocol-rust/README.md", &format!("{lines} lines of [src/lib.rs]"));
}

#[test]
fn files_of_a_release_have_its_version() {
    let version = manifest("")["workspace"]["package"]["version"].as_str().unwrap().to_owned();
    let readme = text("README.md");
    let names = ["host-", "host_", "host-edge-"].into_iter().flat_map(|start| {
        let behind = readme.match_indices(start).map(move |(at, start)| (start, at + start.len()));
        behind.filter(|(_, at)| readme[*at..].starts_with(|first: char| first.is_ascii_digit()))
    });
    let names: Vec<_> = names.map(|(start, at)| format!("{start}{}", &readme[at..at + version.len()])).collect();
    assert!(names.len() > 3, "{names:?}");
    none(&names.into_iter().filter(|name| !name.ends_with(&version)).collect::<Vec<_>>());
}

#[test]
fn a_make_in_a_document_is_a_target_and_contributing_names_each() {
    let makefile = text("Makefile");
    let targets: BTreeSet<&str> = makefile
        .lines()
        .filter(|line| line.contains(": ") && line.contains("## "))
        .filter_map(|line| line.split(':').next())
        .collect();
    let mut offenders = Vec::new();
    for document in files(&["md"]) {
        let text = read(&document);
        for (at, mark) in text.match_indices("`make ").chain(text.match_indices("\n    make ")) {
            let name =
                text[at + mark.len()..].split(|end: char| !(end.is_ascii_lowercase() || end == '-')).next().unwrap_or_default();
            if !targets.contains(name) {
                offenders.push(format!("{}: make {name}", relative(&document)));
            }
        }
    }
    let contributing = text("CONTRIBUTING.md");
    offenders.extend(
        targets
            .iter()
            .filter(|name| !contributing.contains(&format!("make {name}")))
            .map(|name| format!("CONTRIBUTING.md lacks make {name}")),
    );
    none(&offenders);
}

fn text(path: &str) -> String {
    read(&root().join(path))
}

/// Checks that the document has these words, across line ends.
fn says(path: &str, words: &str) {
    let text = text(path).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains(words), "{path} does not say: {words}");
}
