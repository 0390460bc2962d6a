//! The law about documents: each link within the repository leads to a file or a folder.

use super::{files, none, read, relative};

#[test]
fn every_link_of_a_document_leads_somewhere() {
    let mut offenders = Vec::new();
    for document in files(&["md"]) {
        let text = read(&document);
        // `[words](place#heading)`
        for (_, behind) in text.match_indices("](").map(|(at, mark)| (at, &text[at + mark.len()..])) {
            let place = behind.split([')', '#', ' ', '\n']).next().unwrap_or_default();
            let is_elsewhere = place.is_empty() || place.contains("://") || place.starts_with("mailto:");
            if !is_elsewhere && !document.with_file_name("").join(place).exists() {
                offenders.push(format!("{}: {place}", relative(&document)));
            }
        }
    }
    none(&offenders);
}
