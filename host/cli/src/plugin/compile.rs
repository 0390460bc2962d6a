//! `host plugin compile` and `adapter`: what a component is built with and from, without running any of it.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use host_plugin::{Cache, Precompiled, STUB_ADAPTER};
use serde::Serialize;

use super::{brief, read};
use crate::args::{AdapterArgs, CompileArgs, Format};
use crate::exit::{Code, Done, Failure};
use crate::output::{self, bytes};
use crate::printable::printable;

/// Compiled code for another machine, as `--format json` prints it.
#[derive(Debug, Serialize)]
struct Compiled {
    digest: String,
    target: &'static str,
    file: String,
    /// Of machine code.
    bytes: u64,
    /// Whether the folder has a key of its own, which the other machine needs as well.
    new_key: bool,
}

/// `host plugin compile`
pub(super) fn compile(args: &CompileArgs) -> Done {
    let stem = args.file.file_stem().unwrap_or_default().to_string_lossy();
    let component = read(&args.file)?;
    if let Some(key) = &args.key {
        lay_down(key, &args.out)?;
    }
    let new_key = args.key.is_none() && !args.out.join("key").exists();
    let cache = Cache::open(&args.out, u64::MAX)
        .map_err(|error| Failure::new(Code::Failed, error.to_string()).cured_by(error.cure()))?;
    let Precompiled { digest, target, path, bytes } = host_plugin::precompile(&component, &stem, &args.target, &cache)
        .map_err(|error| Failure::new(Code::Refused, error.to_string()).cured_by(error.cure))?;
    let file = printable(&path.to_string_lossy());
    let compiled = Compiled { digest: digest.to_string(), target, file, bytes, new_key };
    match args.format.format {
        Format::Json => output::print_json(&compiled),
        Format::Table => output::print(&compiled.sentence()),
    }
}

/// Puts the other machine's key where the code goes, for its owner alone. Another key that is there stays.
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

/// `host plugin adapter`
pub(super) fn adapter(args: &AdapterArgs) -> Done {
    let Some(file) = &args.output else {
        let mut stdout = io::stdout().lock();
        if stdout.is_terminal() {
            let failure = Failure::new(Code::Usage, "the adapter is no text, and standard output is a terminal");
            return Err(failure.cured_by("`host plugin adapter -o stub.wasm` writes it to a file"));
        }
        stdout.write_all(STUB_ADAPTER)?;
        return Ok(stdout.flush()?);
    };
    fs::write(file, STUB_ADAPTER).map_err(|error| Failure::new(Code::Failed, format!("{}: {error}", file.display())))?;
    let (file, size) = (printable(&file.to_string_lossy()), bytes(STUB_ADAPTER.len() as u64));
    output::print(&format!(
        "{file}, {size}: wasm-tools component new MODULE.wasm --adapt wasi_snapshot_preview1={file} -o PLUGIN.wasm\n"
    ))
}

// === impl Compiled ===

impl Compiled {
    fn sentence(&self) -> String {
        let key = if self.new_key { "; the key beside it is new: that machine's cache needs it as well" } else { "" };
        format!(
            "{}\n{} for {}, sha256 {}: copy it to `cache` in the state folder of that machine{key}\n",
            self.file,
            bytes(self.bytes),
            self.target,
            brief(&self.digest)
        )
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
        let mut compiled = Compiled {
            digest: format!("sha256:{}", "ab".repeat(32)),
            target: "aarch64-unknown-linux-gnu",
            file: "edge/x.code".into(),
            bytes: 49_152,
            new_key: false,
        };
        let expected = "edge/x.code\n48.0 KiB for aarch64-unknown-linux-gnu, sha256 abababababab: \
                        copy it to `cache` in the state folder of that machine\n";
        assert_eq!(compiled.sentence(), expected);
        compiled.new_key = true;
        assert!(compiled.sentence().contains("needs it as well"));
    }
}
