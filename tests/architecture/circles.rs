//! The law about circles: the modules of a crate depend on each other in one direction.
//!
//! Read from the source: `use` lines, and paths in the code that begin with `crate`, `super` or `self`; comments and tests do not count. A
//! path through a re-export leads to the module that it comes from. A module and its submodules are one idea: arrows between them do not
//! form a circle.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::Path;

use super::{crates, entries, none, read, root};

/// The path of a module within its crate; the root is empty.
type Module = Vec<String>;
/// For each module its dependencies, and the path of each.
type Arrows = BTreeMap<Module, BTreeMap<Module, String>>;

/// The references of a module to others.
#[derive(Default)]
struct Source {
    uses: Vec<Use>,
    /// Words of the code, without `use` lines.
    words: BTreeSet<String>,
    /// Modules within it that are tests.
    tests: BTreeSet<String>,
}

/// One imported name.
struct Use {
    is_public: bool,
    path: Vec<String>,
    name: String,
}

#[test]
fn the_modules_of_a_crate_form_no_circle() {
    let mut offenders = Vec::new();
    for folder in crates() {
        let arrows = arrows(&sources(&root().join(&folder).join("src")));
        offenders.extend(circles(&arrows).iter().map(|circle| format!("{folder}: {circle}")));
    }
    none(&offenders);
}

#[test]
fn a_circle_is_found_through_a_re_export_and_named() {
    let text = |text: &str| Source::of(text);
    let path = |path: &str| path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Module>();
    let sources = BTreeMap::from([
        (path(""), text("mod a;\nmod b;\npub use a::Apple;\n")),
        (path("a"), text("mod core;\npub use core::Core;\nuse crate::b::{self, Bread as Loaf};\n")),
        (
            path("a/core"),
            text("// use crate::b::Bread;\nuse super::Apple;\n#[cfg(test)]\nmod tests {\n    use crate::b::Bread;\n}\n"),
        ),
        (path("b"), text("fn of(apple: &crate::Apple) {}\n")),
    ]);
    assert_eq!(circles(&arrows(&sources)), ["a -> b (crate::b), b -> a (crate::Apple)"]);
}

// === Reading ===

impl Source {
    fn of(text: &str) -> Self {
        let mut source = Self::default();
        let mut lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
        let mut code = String::new();
        while let Some(line) = lines.next() {
            if line.trim_start().starts_with("#[cfg(test)]") {
                let item = lines
                    .by_ref()
                    .find(|line| !line.trim().is_empty() && !line.trim_start().starts_with("#["))
                    .unwrap_or_default();
                match item.trim().trim_start_matches("pub(crate) ").strip_prefix("mod ") {
                    Some(name) if name.ends_with(';') => drop(source.tests.insert(name.trim_end_matches(';').to_owned())),
                    Some(_) => break,
                    None => {}
                }
                continue;
            }
            let start = line.trim_start();
            let visibility =
                ["", "pub ", "pub(crate) ", "pub(super) "].into_iter().find(|v| start.starts_with(&format!("{v}use ")));
            let Some(visibility) = visibility else {
                code.push_str(line);
                code.push('\n');
                continue;
            };
            let mut tree = start[visibility.len() + "use ".len()..].to_owned();
            while !tree.contains(';') {
                tree.push_str(lines.next().unwrap_or(";"));
            }
            source.bring_in(&[], tree.trim_end().trim_end_matches(';'), !visibility.is_empty());
        }
        for start in ["crate::", "super::", "self::"] {
            for (at, _) in code.match_indices(start) {
                if code[..at].ends_with(|before: char| before.is_alphanumeric() || "_:".contains(before)) {
                    continue;
                }
                let end = code[at..]
                    .find(|end: char| !(end.is_alphanumeric() || "_:".contains(end)))
                    .map_or(code.len(), |end| at + end);
                source.bring_in(&[], code[at..end].trim_end_matches(':'), false);
            }
        }
        let words = code.split(|end: char| !(end.is_alphanumeric() || end == '_'));
        source.words = words.filter(|word| !word.is_empty()).map(str::to_owned).collect();
        source
    }

    /// Adds all names of a tree such as `a::{b, c::{self, D as E}}`.
    fn bring_in(&mut self, before: &[String], tree: &str, is_public: bool) {
        let (head, group) = tree.split_once('{').map_or((tree, None), |(head, rest)| (head, Some(rest)));
        let (head, alias) = head.split_once(" as ").map_or((head, None), |(head, alias)| (head, Some(alias.trim())));
        let mut path = before.to_vec();
        path.extend(head.split("::").map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned));
        let Some(group) = group else {
            if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
                path.pop();
            }
            let Some(last) = path.last().cloned() else { return };
            self.uses.push(Use { is_public, name: alias.map_or(last, str::to_owned), path });
            return;
        };
        let (mut depth, mut start) = (0, 0);
        for (at, character) in group.char_indices() {
            match character {
                '{' => depth += 1,
                ',' | '}' if depth == 0 => {
                    self.bring_in(&path, &group[start..at], is_public);
                    start = at + 1;
                }
                '}' => depth -= 1,
                _ => {}
            }
        }
    }
}

/// Returns the modules of a crate.
fn sources(src: &Path) -> BTreeMap<Module, Source> {
    let mut sources = BTreeMap::new();
    let mut folders = vec![src.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for path in if folder.exists() { entries(&folder) } else { Vec::new() } {
            if fs::metadata(&path).unwrap().is_dir() {
                // Each file there is a program of its own.
                folders.extend(Some(path).filter(|path| !path.ends_with("src/bin")));
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let relative = path.strip_prefix(src).unwrap().with_extension("");
                let mut module: Module = relative.iter().map(|part| part.to_string_lossy().into_owned()).collect();
                if [["lib"], ["main"]].iter().any(|root| module == *root) {
                    module.clear();
                }
                sources.insert(module, Source::of(&read(&path)));
            }
        }
    }
    let is_test = |module: &Module| {
        let declared =
            |(at, name): (usize, &String)| sources.get(&module[..at]).is_some_and(|parent| parent.tests.contains(name));
        module.iter().enumerate().any(declared)
    };
    let tests: Vec<Module> = sources.keys().filter(|module| is_test(module)).cloned().collect();
    tests.iter().for_each(|test| drop(sources.remove(test)));
    sources
}

// === Arrows ===

fn arrows(sources: &BTreeMap<Module, Source>) -> Arrows {
    let mut arrows = Arrows::new();
    for (module, source) in sources {
        for Use { is_public, path, name } in &source.uses {
            // A name that is only re-exported is not a dependency.
            if *is_public && !source.words.contains(name) {
                continue;
            }
            let Some(other) = resolve(sources, module, path, 0) else { continue };
            if !module.starts_with(&other) && !other.starts_with(module) {
                arrows.entry(module.clone()).or_default().entry(other).or_insert_with(|| path.join("::"));
            }
        }
    }
    arrows
}

/// Returns the module that defines the target of a path; None if it is in another crate.
fn resolve(sources: &BTreeMap<Module, Source>, from: &[String], path: &[String], depth: usize) -> Option<Module> {
    let mut module = from.to_vec();
    let mut rest = path;
    match path.first()?.as_str() {
        "crate" => {
            module.clear();
            rest = &rest[1..];
        }
        "self" | "super" => {
            while let Some(("self" | "super", behind)) = rest.split_first().map(|(first, behind)| (first.as_str(), behind)) {
                if rest[0] == "super" {
                    module.pop();
                }
                rest = behind;
            }
        }
        first => {
            module.push(first.to_owned());
            if !sources.contains_key(&module) {
                return None;
            }
            rest = &rest[1..];
        }
    }
    while let Some(next) = rest.first() {
        module.push(next.clone());
        if !sources.contains_key(&module) {
            module.pop();
            break;
        }
        rest = &rest[1..];
    }
    let handed_on = rest.first().filter(|_| depth < 8).and_then(|name| {
        let uses = sources.get(&module)?.uses.iter().filter(|other| other.name == *name && other.path != path);
        uses.filter_map(|other| resolve(sources, &module, &other.path, depth + 1)).next()
    });
    Some(handed_on.unwrap_or(module))
}

// === Circles ===

/// Returns the circles, each as short as possible; a module is in one of them.
fn circles(arrows: &Arrows) -> Vec<String> {
    let mut named = BTreeSet::new();
    let mut circles = Vec::new();
    for start in arrows.keys() {
        let Some(circle) = circle(arrows, start).filter(|circle| circle.iter().all(|module| !named.contains(module))) else {
            continue;
        };
        let next = circle.iter().cycle().skip(1);
        let steps = circle
            .iter()
            .zip(next)
            .map(|(from, to)| format!("{} -> {} ({})", from.join("::"), to.join("::"), arrows[from][to]));
        circles.push(steps.collect::<Vec<_>>().join(", "));
        named.extend(circle);
    }
    circles
}

/// Returns the shortest way from a module back to itself.
fn circle(arrows: &Arrows, start: &Module) -> Option<Vec<Module>> {
    let mut came_from: BTreeMap<&Module, &Module> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(module) = queue.pop_front() {
        for next in arrows.get(module).into_iter().flat_map(BTreeMap::keys) {
            if next == start {
                let mut way = vec![module];
                while *way.last()? != start {
                    way.push(came_from[way.last()?]);
                }
                return Some(way.into_iter().rev().cloned().collect());
            }
            if !came_from.contains_key(next) {
                came_from.insert(next, module);
                queue.push_back(next);
            }
        }
    }
    None
}
