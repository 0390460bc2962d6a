//! Errors of loading a plugin: which plugin, at which step, why, and the cure.

use std::fmt;

use host_model::printable;

/// The steps of a load, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Reading the file.
    Read,
    /// Reading role, contract and imports from the bytes.
    Inspect,
    /// Comparing the imports with the operator's grants.
    Grant,
    /// Compiling Wasm to machine code.
    Compile,
    /// Laying out memory and running start functions.
    Instantiate,
    /// Comparing the record layout that it expects with the probe's.
    Expects,
    /// Calling its `bind`.
    Bind,
}

/// A load that failed. The plugin that was live before stays live.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("plugin {plugin}: {step} failed: {problem}")]
pub struct PluginError {
    /// Which plugin: `name@version` if the bytes state it, else the digest or the file.
    pub plugin: String,
    /// The step that failed.
    pub step: Step,
    /// The problem; printable.
    pub problem: String,
    /// The cure; printable.
    pub cure: String,
}

/// Why bytes are not a plugin that this host can run. It is found before anything is compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The file is empty.
    #[error("the file is empty")]
    Empty,
    /// The file is larger than the maximum.
    #[error("the file has {0} bytes, more than {max} MiB", max = crate::limits::LARGEST_COMPONENT >> 20)]
    TooLarge(usize),
    /// The bytes are not WebAssembly.
    #[error("this is not WebAssembly but {0}")]
    NotWasm(&'static str),
    /// The bytes are a core module, not a component.
    #[error("this is a core WebAssembly module, not a component")]
    CoreModule,
    /// The component is cut or damaged.
    #[error("the component ends early or is damaged at byte {offset}: {problem}")]
    Damaged {
        /// Position in the bytes.
        offset: u64,
        /// The parser's error.
        problem: String,
    },
    /// It exports no role.
    #[error("it has no known role: it exports {}", list(.0))]
    NoRole(Vec<String>),
    /// It does not have the role of the slot.
    #[error("its role is not {wanted}: it exports {}", list(.exports))]
    OtherRole {
        /// The role of the slot.
        wanted: host_model::Role,
        /// Its exports.
        exports: Vec<String>,
    },
    /// It is a decoder, but not of a protocol.
    #[error("it decodes no protocol: it exports {}", list(.0))]
    NoProtocol(Vec<String>),
    /// It uses another version of the contract.
    #[error("`{name}` is of a contract that this host does not speak; it speaks probe:plugin {speaks}")]
    Contract {
        /// The import or export.
        name: String,
        /// The version that this host supports.
        speaks: &'static str,
    },
    /// Its signature is malformed or not valid for these bytes.
    #[error("its section `probe:signature` {0}")]
    Signature(String),
    /// It is a compiled plugin without a valid label, or not a compiled plugin although one is required.
    #[error("its section `probe:compiled` {0}")]
    Compiled(String),
    /// It has more imports than the maximum.
    #[error("it has more than {0} imports")]
    TooManyImports(usize),
    /// It imports another version of WASI.
    #[error("it imports `{0}`; of WASI this host has 0.2, empty")]
    Wasi(String),
    /// It imports an interface that no host of this contract offers.
    #[error("it imports `{0}`, which this host does not offer")]
    UnknownImport(String),
    /// It imports interfaces that the operator has not granted.
    #[error("it imports {}, and that is not granted", list(.imports))]
    NotGranted {
        /// The interfaces.
        imports: Vec<String>,
        /// The simplest grant for each, to be added to `grants`.
        grants: Vec<&'static str>,
    },
}

/// The cure if the compiler refuses the code of a component.
#[cfg(feature = "compiler")]
pub(crate) const NOT_TAKEN: &str =
    "look what `wasm-tools validate` says; threads, garbage collection and exceptions are not taken";

// === impl Refusal ===

impl Refusal {
    /// Returns the step at which it was found.
    #[must_use]
    pub const fn step(&self) -> Step {
        match self {
            Self::Wasi(_) | Self::UnknownImport(_) | Self::NotGranted { .. } => Step::Grant,
            _ => Step::Inspect,
        }
    }

    /// Returns the cure.
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

    /// Adds the name of the plugin.
    #[must_use]
    pub fn of(self, plugin: &str) -> PluginError {
        PluginError::new(plugin, self.step(), &self.to_string(), &self.cure())
    }
}

// === impl PluginError ===

impl PluginError {
    /// Creates an error whose texts are made printable.
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
