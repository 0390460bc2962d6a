//! The conformance guests as components, and the Rust file that names each of them once.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::{component, made};

/// Writes `conformance.rs` into `out`: every guest with its bytes, as a type and as the argument of a macro.
pub(crate) fn write(source: &Path, modules: &Path, out: &Path) {
    let folder = out.join("conformance");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let mut guests: Vec<(String, Vec<u8>)> = Vec::new();
    for name in stems(&source.join("examples")) {
        let module = fs::read(modules.join(&name).with_extension("wasm")).unwrap_or_else(|error| {
            panic!("examples/{name}.rs is not among the modules, is it in tests/guests/conformance/Cargo.toml? {error}")
        });
        guests.push((name, component(&module)));
    }
    for name in stems(&source.join("wat")) {
        let bytes = wat::parse_file(source.join("wat").join(&name).with_extension("wat")).unwrap();
        guests.push((name, bytes));
    }
    let behaves = guests.iter().find(|(name, _)| name == "behaves").map(|(_, bytes)| bytes.clone()).unwrap();
    let module = fs::read(modules.join("behaves.wasm")).unwrap();
    guests.extend(made::guests(&behaves, module).map(|(name, bytes)| (name.to_owned(), bytes)));
    guests.sort();

    let (mut names, mut list, mut types) = (String::new(), String::new(), String::new());
    for (name, bytes) in &guests {
        let path = folder.join(name).with_extension("wasm");
        fs::write(&path, bytes).unwrap();
        writeln!(names, "            {name}").unwrap();
        writeln!(list, "    ({name:?}, include_bytes!({path:?})),").unwrap();
        writeln!(types, "pub struct {name};\nimpl Guest for {name} {{\n    const NAME: &'static str = {name:?};\n}}").unwrap();
    }
    let file = format!(
        "/// Calls a macro with the names of all conformance guests.\n#[macro_export]\nmacro_rules! each_conformance_guest {{\n    \
         ($then:ident) => {{\n        $then! {{\n{names}        }}\n    }};\n}}\n\n\
         static KEPT: &[(&str, &[u8])] = &[\n{list}];\n\n{types}"
    );
    fs::write(out.join("conformance.rs"), file).unwrap();
}

/// Returns the names of the files in a folder, without extensions, in order.
fn stems(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut stems: Vec<String> = entries.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    stems.sort();
    stems
}
