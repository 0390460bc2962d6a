//! `host plugin adapter`: writes the adapter that a component is built with.

use std::fs;
use std::io::{self, IsTerminal, Write};

use host_plugin::STUB_ADAPTER;

use crate::args::AdapterArgs;
use crate::exit::{Code, Done, Failure};
use crate::output::{self, bytes};
use crate::printable::printable;

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
