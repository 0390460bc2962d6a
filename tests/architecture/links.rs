//! The laws about documents: each is a chapter of the book, and each link within the repository leads to a file, and to a heading of it.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::{files, none, read, relative, root};

#[test]
fn every_document_is_a_chapter_of_the_book_once() {
    let summary = root().join("docs/SUMMARY.md");
    let mut chapters: Vec<PathBuf> = links(&summary).into_iter().map(|(place, _)| place).collect();
    chapters.sort();
    let mut documents = files(&["md"]);
    documents.retain(|document| *document != summary);
    documents.sort();
    let missing = documents.iter().filter(|document| !chapters.contains(document)).map(|document| relative(document));
    let twice = chapters.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| format!("{} twice", relative(&pair[0])));
    none(&missing.chain(twice).collect::<Vec<_>>());
}

#[test]
fn every_link_of_a_document_leads_to_a_file_and_to_a_heading_of_it() {
    let mut offenders = Vec::new();
    for document in files(&["md"]) {
        for (place, heading) in links(&document) {
            // A page of a book cannot show a folder.
            let leads = place.is_file() && heading.as_ref().is_none_or(|heading| headings(&read(&place)).contains(heading));
            if !leads {
                let heading = heading.map(|heading| format!("#{heading}")).unwrap_or_default();
                offenders.push(format!("{}: {}{heading}", relative(&document), relative(&place)));
            }
        }
    }
    none(&offenders);
}

#[test]
fn a_heading_is_linked_to_as_forges_and_the_book_name_it() {
    let text = "# What leaves, and `why`\n```sh\n# not this\n```\n## [a.b]\n## Twice\n## Twice\n";
    let expected = ["what-leaves-and-why", "ab", "twice", "twice-1"];
    assert_eq!(headings(text), expected.map(str::to_owned).into());
}

/// Returns the links of a document to places in the repository, `[words](place#heading)`: the file, and the heading.
fn links(document: &Path) -> Vec<(PathBuf, Option<String>)> {
    let text = read(document);
    let targets = text.match_indices("](").filter_map(|(at, mark)| text[at + mark.len()..].split([')', ' ', '\n']).next());
    let inside = targets.filter(|target| !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:"));
    let places = inside.map(|target| {
        let (place, heading) =
            target.split_once('#').map_or((target, None), |(place, heading)| (place, Some(heading.to_owned())));
        let place = if place.is_empty() { document.to_path_buf() } else { plain(&document.with_file_name(place)) };
        (place, heading)
    });
    places.collect()
}

/// Returns the path without `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain
}

/// Returns the anchors of the headings of a document.
fn headings(text: &str) -> BTreeSet<String> {
    let mut headings = BTreeSet::new();
    let mut is_code = false;
    for line in text.lines() {
        is_code ^= line.starts_with("```");
        let words = line.trim_start_matches('#');
        if is_code || words.len() == line.len() || !words.starts_with(' ') {
            continue;
        }
        let letters = words.trim().to_lowercase().replace(' ', "-");
        let name: String = letters.chars().filter(|letter| letter.is_alphanumeric() || "-_".contains(*letter)).collect();
        let again = (1..).map(|again| format!("{name}-{again}"));
        let name = std::iter::once(name.clone()).chain(again).find(|name| !headings.contains(name));
        headings.extend(name);
    }
    headings
}
