//! The step at which something was refused.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Makes the enumeration, and the names of its variants in JSON.
macro_rules! steps {
    ($($(#[$doc:meta])+ $step:ident = $name:literal,)+) => {
        /// The step at which something was refused. In JSON it is its name.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum Step {
            $($(#[$doc])+ $step,)+
            /// Another, of a host that is newer than this program.
            Other(String),
        }

        impl Step {
            /// The name, as JSON has it.
            #[must_use]
            pub fn name(&self) -> &str {
                match self {
                    $(Self::$step => $name,)+
                    Self::Other(name) => name,
                }
            }
        }

        impl From<&str> for Step {
            fn from(name: &str) -> Self {
                match name {
                    $($name => Self::$step,)+
                    other => Self::Other(other.to_owned()),
                }
            }
        }
    };
}

steps! {
    /// The settings were read: flags and configuration.
    Configure = "configure",
    /// The way out was opened.
    Export = "export",
    /// The capabilities that a run takes were compared with those it has.
    Privilege = "privilege",
    /// The control socket was made.
    Socket = "socket",
    /// A capture was opened to be played.
    Replay = "replay",
    /// A capture was written.
    Record = "record",
    /// Everything else that a start takes: threads, signals, the ready file.
    Start = "start",
    /// A signal came before anything was attached: nothing has been read, and nothing is lost.
    Signal = "signal",
    /// A component or an object was read.
    Read = "read",
    /// Role, contract and imports were read from the bytes.
    Inspect = "inspect",
    /// The imports were compared with what the operator granted.
    Grant = "grant",
    /// Wasm became machine code.
    Compile = "compile",
    /// Memory was laid out and start functions ran.
    Instantiate = "instantiate",
    /// The record that a plugin expects was compared with the probe's.
    Expects = "expects",
    /// A plugin was bound to a path.
    Bind = "bind",
    /// The digest was compared with the pinned one.
    Pin = "pin",
    /// The slot was chosen.
    Slot = "slot",
    /// An earlier generation was chosen.
    Rollback = "rollback",
    /// A path changed its plugins.
    Switch = "switch",
    /// The router changed its protocols.
    Route = "route",
    /// A candidate was put into the shadow, or looked for there.
    Shadow = "shadow",
    /// The condition of a promotion was read.
    PromoteIf = "promote-if",
    /// A probe was loaded or unloaded.
    Probe = "probe",
    /// A call that failed was looked for, or made again.
    Repro = "repro",
    /// The requests that were counted were collected.
    Requests = "requests",
    /// The request was read.
    Request = "request",
    /// It was looked at who asks.
    Credentials = "credentials",
    /// A change waited for its turn.
    Busy = "busy",
    /// A change came while the host ends.
    Stop = "stop",
    /// A fault of the host.
    Internal = "internal",
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Step {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|name| Self::from(name.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Step {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_step_is_its_name_in_json() {
        assert_eq!(serde_json::to_string(&Step::PromoteIf).unwrap(), "\"promote-if\"");
        assert_eq!(read("\"promote-if\""), Step::PromoteIf);
    }

    #[test]
    fn a_step_that_only_a_newer_host_knows_can_be_read_and_told() {
        let newer = read("\"teleport\"");
        assert_eq!((&newer, newer.to_string().as_str()), (&Step::Other("teleport".into()), "teleport"));
        assert_eq!(serde_json::to_string(&newer).unwrap(), "\"teleport\"");
    }
}
