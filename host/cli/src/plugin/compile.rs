//! `host plugin compile`: compiles a component ahead of time, for another machine or for a host without a compiler.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use host_plugin::{Cache, Precompiled};
use serde::Serialize;

use super::{brief, read};
use crate::args::{CompileArgs, Format};
use crate::exit::{Code, Done, Failure};
use crate::output::{self, bytes};
use crate::printable::printable;

/// Compiled code for another machine, as `--format json` prints it.
#[derive(Debug, Serialize)]
struct Compiled {
    /// The digest of the component.
    digest: String,
    target: String,
    file: String,
    /// Bytes of machine code; of a compiled plugin, those of the file.
    bytes: u64,
    #[serde(flatten)]
    place: Place,
}

/// The output.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Place {
    Cache {
        /// Whether the folder has a new key, which the other machine needs as well.
        new_key: bool,
    },
    Plugin {
        /// The digest of the file, for the grant `native-code`.
        compiled_digest: String,
    },
}

/// `host plugin compile`
pub(super) fn compile(args: &CompileArgs) -> Done {
    let stem = args.file.file_stem().unwrap_or_default().to_string_lossy();
    let component = read(&args.file)?;
    let compiled = match (&args.output, &args.out) {
        (Some(file), _) => into_file(args, &component, &stem, file)?,
        (None, Some(folder)) => into_cache(args, &component, &stem, folder)?,
        (None, None) => return Err(Failure::new(Code::Usage, "where to is not said").cured_by("add --output FILE")),
    };
    match args.format.format {
        Format::Json => output::print_json(&compiled),
        Format::Table => output::print(&compiled.sentence()),
    }
}

/// Writes a compiled plugin.
fn into_file(args: &CompileArgs, component: &[u8], stem: &str, file: &Path) -> Result<Compiled, Failure> {
    let refused = |error: host_plugin::PluginError| Failure::new(Code::Refused, error.to_string()).cured_by(error.cure);
    let plugin = host_plugin::compile_for(component, stem, &args.target).map_err(refused)?;
    let inspection = host_plugin::inspect(&plugin).map_err(|refusal| refused(refusal.of(stem)))?;
    fs::write(file, &plugin).map_err(|error| Failure::new(Code::Failed, format!("{}: {error}", file.display())))?;
    Ok(Compiled {
        digest: inspection.compiled.map(|compiled| compiled.source).unwrap_or_default(),
        target: args.target.clone(),
        file: printable(&file.to_string_lossy()),
        bytes: plugin.len() as u64,
        place: Place::Plugin { compiled_digest: inspection.digest.to_string() },
    })
}

/// Writes an entry for the cache of another machine.
fn into_cache(args: &CompileArgs, component: &[u8], stem: &str, folder: &Path) -> Result<Compiled, Failure> {
    if let Some(key) = &args.key {
        lay_down(key, folder)?;
    }
    let new_key = args.key.is_none() && !folder.join("key").exists();
    let cache =
        Cache::open(folder, u64::MAX).map_err(|error| Failure::new(Code::Failed, error.to_string()).cured_by(error.cure()))?;
    let Precompiled { digest, target, path, bytes } = host_plugin::precompile(component, stem, &args.target, &cache)
        .map_err(|error| Failure::new(Code::Refused, error.to_string()).cured_by(error.cure))?;
    let file = printable(&path.to_string_lossy());
    let place = Place::Cache { new_key };
    Ok(Compiled { digest: digest.to_string(), target: target.to_owned(), file, bytes, place })
}

/// Copies the other machine's key to the output folder, readable by its owner alone. A different key in the folder stays, and is an error.
fn lay_down(key: &Path, folder: &Path) -> Done {
    let cannot = |file: &Path, error: io::Error| Failure::new(Code::Failed, format!("{}: {error}", file.display()));
    let wanted = fs::read(key).map_err(|error| cannot(key, error))?;
    let place = folder.join("key");
    match fs::read(&place) {
        Ok(there) if there == wanted => return Ok(()),
        Ok(_) => {
            let failure = Failure::new(Code::Usage, format!("{} holds code for another key", folder.display()));
            return Err(failure.cured_by("name another folder with --out, one for each machine"));
        }
        Err(_) => {}
    }
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| cannot(folder, error))?;
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&place).map_err(|error| cannot(&place, error))?;
    file.write_all(&wanted).map_err(|error| cannot(&place, error))
}

// === impl Compiled ===

impl Compiled {
    fn sentence(&self) -> String {
        let what = format!("{}\n{} for {}, sha256 {}", self.file, bytes(self.bytes), self.target, brief(&self.digest));
        let then = match &self.place {
            Place::Cache { new_key: false } => "copy it to `cache` in the state folder of that machine".to_owned(),
            Place::Cache { new_key: true } => {
                "copy it to `cache` in the state folder of that machine; the key beside it is new: that machine's cache needs it as well"
                    .to_owned()
            }
            Place::Plugin { compiled_digest } => format!(
                "a host of version {} runs it if its configuration grants `native-code` to {compiled_digest}, or to who signs it",
                env!("CARGO_PKG_VERSION")
            ),
        };
        format!("{what}: {then}\n")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_key_of_another_machine_is_laid_down_for_its_owner_alone_and_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (key, other, out) = (folder.path().join("edge"), folder.path().join("other"), folder.path().join("out"));
        fs::write(&key, [1; 32]).unwrap();
        fs::write(&other, [2; 32]).unwrap();
        for _ in 0..2 {
            lay_down(&key, &out).unwrap();
        }
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&out), mode(&out.join("key"))), (0o700, 0o600));
        assert!(matches!(lay_down(&other, &out), Err(Failure::Error { code: Code::Usage, .. })));
        assert_eq!(fs::read(out.join("key")).unwrap(), [1; 32]);
        Cache::open(&out, u64::MAX).unwrap();
    }

    #[test]
    fn what_was_compiled_is_said_with_where_it_belongs() {
        let compiled = |place| Compiled {
            digest: format!("sha256:{}", "ab".repeat(32)),
            target: "aarch64-unknown-linux-gnu".into(),
            file: "edge/x.code".into(),
            bytes: 49_152,
            place,
        };
        let expected = "edge/x.code\n48.0 KiB for aarch64-unknown-linux-gnu, sha256 abababababab: \
                        copy it to `cache` in the state folder of that machine\n";
        assert_eq!(compiled(Place::Cache { new_key: false }).sentence(), expected);
        assert!(compiled(Place::Cache { new_key: true }).sentence().contains("needs it as well"));
        let plugin = compiled(Place::Plugin { compiled_digest: "sha256:cd".into() });
        assert!(plugin.sentence().contains("grants `native-code` to sha256:cd"), "{}", plugin.sentence());
        let json = serde_json::to_value(&plugin).unwrap();
        assert_eq!((json["compiled_digest"].as_str(), json.get("new_key")), (Some("sha256:cd"), None));
    }
}
