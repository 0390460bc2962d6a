//! Why a plugin was not loaded: who, at which step, what is wrong, and the cure.

use std::fmt;

use host_model::printable;

/// The steps of a load, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// The file was read.
    Read,
    /// Role, contract and imports were read from the bytes.
    Inspect,
    /// The imports were compared with what the operator granted.
    Grant,
    /// Wasm became machine code.
    Compile,
    /// Memory was laid out and start functions ran.
    Instantiate,
    /// The record it expects was compared with the probe's.
    Expects,
    /// Its `bind` was called.
    Bind,
}

/// A load that failed. The plugin that was there before stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("plugin {plugin}: {step} failed: {problem}")]
pub struct PluginError {
    /// Who: `name@version` where the bytes tell, else the digest or the file.
    pub plugin: String,
    /// The step that failed.
    pub step: Step,
    /// The problem; printable.
    pub problem: String,
    /// The cure; printable.
    pub cure: String,
}

/// Why bytes are not a plugin that this host can run. All of it is read before anything is compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No bytes.
    #[error("the file is empty")]
    Empty,
    /// More bytes than are looked at.
    #[error("the file has {0} bytes, more than {max} MiB", max = crate::limits::LARGEST_COMPONENT >> 20)]
    TooLarge(usize),
    /// Something else.
    #[error("this is not WebAssembly but {0}")]
    NotWasm(&'static str),
    /// A module without the component around it.
    #[error("this is a core WebAssembly module, not a component")]
    CoreModule,
    /// Cut or damaged.
    #[error("the component ends early or is damaged at byte {offset}: {problem}")]
    Damaged {
        /// Where.
        offset: u64,
        /// The parser's words.
        problem: String,
    },
    /// It exports no role.
    #[error("it has no known role: it exports {}", list(.0))]
    NoRole(Vec<String>),
    /// It does not have the role that is asked for.
    #[error("its role is not {wanted}: it exports {}", list(.exports))]
    OtherRole {
        /// The role of the slot.
        wanted: host_model::Role,
        /// Its exports.
        exports: Vec<String>,
    },
    /// It is a decoder, but of no protocol.
    #[error("it decodes no protocol: it exports {}", list(.0))]
    NoProtocol(Vec<String>),
    /// It speaks another version of the contract.
    #[error("`{name}` is of a contract that this host does not speak; it speaks probe:plugin {speaks}")]
    Contract {
        /// The import or export.
        name: String,
        /// The version that this host speaks.
        speaks: &'static str,
    },
    /// It carries a signature that is none of it.
    #[error("its section `probe:signature` {0}")]
    Signature(String),
    /// It is a compiled plugin that does not say what it is, or none where one is wanted.
    #[error("its section `probe:compiled` {0}")]
    Compiled(String),
    /// It imports more than anything needs.
    #[error("it has more than {0} imports")]
    TooManyImports(usize),
    /// It imports a WASI of another version.
    #[error("it imports `{0}`; of WASI this host has 0.2, empty")]
    Wasi(String),
    /// It imports what no host of this contract offers.
    #[error("it imports `{0}`, which this host does not offer")]
    UnknownImport(String),
    /// It imports what the operator has not granted.
    #[error("it imports {}, and that is not granted", list(.imports))]
    NotGranted {
        /// The interfaces.
        imports: Vec<String>,
        /// The simplest grant for each: what is to be added to `grants`.
        grants: Vec<&'static str>,
    },
}

/// The cure where the compiler refuses the code of a component.
#[cfg(feature = "compiler")]
pub(crate) const NOT_TAKEN: &str =
    "look what `wasm-tools validate` says; threads, garbage collection and exceptions are not taken";

// === impl Refusal ===

impl Refusal {
    /// The step at which it was found.
    #[must_use]
    pub const fn step(&self) -> Step {
        match self {
            Self::Wasi(_) | Self::UnknownImport(_) | Self::NotGranted { .. } => Step::Grant,
            _ => Step::Inspect,
        }
    }

    /// The cure.
    #[must_use]
    pub fn cure(&self) -> String {
        match self {
            Self::Empty => "build the plugin again and look whether the build failed".into(),
            Self::TooLarge(_) => "strip debug information: `wasm-tools strip`".into(),
            Self::NotWasm(_) => "give the file that the build wrote as a component, usually NAME.wasm".into(),
            Self::CoreModule => {
                "make a component of it: `wasm-tools component new MODULE.wasm -o PLUGIN.wasm` (its bindings must come from wit/v0.1)"
                    .into()
            }
            Self::Damaged { .. } => {
                "copy the file again and compare its SHA-256 with the original's; `wasm-tools validate` tells more".into()
            }
            Self::Signature(_) => {
                "take the file from its maker again; who builds it signs it as the last step: `host plugin sign`".into()
            }
            Self::Compiled(_) => "make it again: `host plugin compile FILE --target TARGET -o FILE.cwasm`".into(),
            Self::TooManyImports(_) => "import each interface once, as a whole".into(),
            Self::NoRole(_) => {
                "export `decoder`, `sampler` or `enricher` of probe:plugin: build against a world of wit/v0.1/world.wit".into()
            }
            Self::NoProtocol(_) => {
                "export `protocol` beside `decoder`: build against world `protocol-plugin` of wit/v0.1/world.wit".into()
            }
            Self::OtherRole { exports, .. } => {
                format!("load it into a slot of its own role ({}), or export the wanted interface", list(exports))
            }
            Self::Contract { speaks, .. } => {
                format!("build the plugin against probe:plugin {speaks} (wit/v0.1), or take a host that speaks its version")
            }
            Self::Wasi(_) => {
                "build for wasm32-unknown-unknown, or for wasm32-wasip2 with a toolchain of WASI 0.2; modules of WASI preview 1 become \
                 components with the stub adapter in adapters/"
                    .into()
            }
            Self::UnknownImport(_) => {
                "import only log, config, maps, tables, clock and random of probe:plugin (wit/v0.1/host.wit)".into()
            }
            Self::NotGranted { grants, .. } => {
                let words: Vec<String> = grants.iter().map(|word| format!("`{word}`")).collect();
                format!("add {} to `grants` of its slot in the configuration, or load a plugin that does without", words.join(", "))
            }
        }
    }

    /// With a name.
    #[must_use]
    pub fn of(self, plugin: &str) -> PluginError {
        PluginError::new(plugin, self.step(), &self.to_string(), &self.cure())
    }
}

// === impl PluginError ===

impl PluginError {
    /// An error whose words are made printable.
    #[must_use]
    pub fn new(plugin: &str, step: Step, problem: &str, cure: &str) -> Self {
        Self { plugin: printable(plugin, 160), step, problem: printable(problem, 1024), cure: printable(cure, 512) }
    }
}

// === impl Step ===

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Inspect => "inspect",
            Self::Grant => "grant",
            Self::Compile => "compile",
            Self::Instantiate => "instantiate",
            Self::Expects => "expects",
            Self::Bind => "bind",
        })
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "nothing".into();
    }
    let shown: Vec<String> = names.iter().take(8).map(|name| format!("`{}`", printable(name, 80))).collect();
    let rest = names.len().saturating_sub(shown.len());
    if rest == 0 { shown.join(", ") } else { format!("{} and {rest} more", shown.join(", ")) }
}
