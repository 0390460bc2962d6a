//! `host plugin compile`, `keygen`, `sign`, `verify`, `adapter`: commands on files that need no running host.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::FormatArgs;

/// `host plugin compile`
#[derive(Debug, Args)]
pub(crate) struct CompileArgs {
    /// The component, a .wasm file, or the name of one in the binary
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// What it is for: aarch64-unknown-linux-gnu, x86_64-unknown-linux-gnu, or pulley64, the interpreter of either
    #[arg(long, value_name = "TARGET")]
    pub(crate) target: String,
    /// Write a compiled plugin, which `host plugin load` takes where there is no compiler
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath, required_unless_present = "out", conflicts_with = "out")]
    pub(crate) output: Option<PathBuf>,
    /// Write an entry for the cache of a host with a compiler into this folder
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub(crate) out: Option<PathBuf>,
    /// The key of that cache: the file `key` in it [default: that of --out, which is made if there is none]
    #[arg(long, value_name = "KEYFILE", value_hint = ValueHint::FilePath, requires = "out")]
    pub(crate) key: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

/// `host plugin keygen`
#[derive(Debug, Args)]
pub(crate) struct KeygenArgs {
    /// The file that the private key is written to; it must not exist
    #[arg(value_name = "KEYFILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

/// `host plugin sign`
#[derive(Debug, Args)]
pub(crate) struct SignArgs {
    /// The component, a .wasm file, or a compiled plugin
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// The private key, as `host plugin keygen` wrote it
    #[arg(long, value_name = "KEYFILE", value_hint = ValueHint::FilePath)]
    pub(crate) key: PathBuf,
    /// The file that the signed component is written to
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

/// `host plugin verify`
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The component, a .wasm file
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// Whose signature it must be: a public key, as `host plugin keygen` printed it [default: anybody's]
    #[arg(long, value_name = "PUBLIC-KEY")]
    pub(crate) signer: Option<String>,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

/// `host plugin adapter`
#[derive(Debug, Args)]
pub(crate) struct AdapterArgs {
    /// The file that it is written to [default: standard output]
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
}
