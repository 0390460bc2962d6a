//! The step at which a request was refused.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Makes the enumeration, and the names of its variants in JSON.
macro_rules! steps {
    ($($(#[$doc:meta])+ $step:ident = $name:literal,)+) => {
        /// The step at which a request was refused. In JSON it is its name.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum Step {
            $($(#[$doc])+ $step,)+
            /// A step that this program does not know, of a newer host.
            Other(String),
        }

        impl Step {
            /// Returns the name, as in JSON.
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
    /// Reading the settings: flags and configuration.
    Configure = "configure",
    /// Opening the exporter.
    Export = "export",
    /// Comparing the capabilities that a run needs with those it has.
    Privilege = "privilege",
    /// Creating the control socket.
    Socket = "socket",
    /// Opening a capture to replay.
    Replay = "replay",
    /// Writing a capture.
    Record = "record",
    /// All other parts of a start: threads, signals, the ready file.
    Start = "start",
    /// A signal before anything was attached: nothing has been read, and nothing is lost.
    Signal = "signal",
    /// Reading a component or an object.
    Read = "read",
    /// Reading role, contract and imports from the bytes.
    Inspect = "inspect",
    /// Comparing the imports with the operator's grants.
    Grant = "grant",
    /// Compiling Wasm to machine code.
    Compile = "compile",
    /// Laying out memory and running start functions.
    Instantiate = "instantiate",
    /// Comparing the record that a plugin expects with the probe's.
    Expects = "expects",
    /// Binding a plugin to a path.
    Bind = "bind",
    /// Comparing the digest with the pinned one.
    Pin = "pin",
    /// Choosing the slot.
    Slot = "slot",
    /// Choosing an earlier generation.
    Rollback = "rollback",
    /// Changing the plugins of a path.
    Switch = "switch",
    /// Changing the protocols of the router.
    Route = "route",
    /// Putting a candidate into the shadow, or finding it there.
    Shadow = "shadow",
    /// Reading the condition of a promotion.
    PromoteIf = "promote-if",
    /// Loading or unloading a probe.
    Probe = "probe",
    /// Finding a failed call, or repeating it.
    Repro = "repro",
    /// Collecting the counted requests.
    Requests = "requests",
    /// Reading the request.
    Request = "request",
    /// Checking the peer's credentials.
    Credentials = "credentials",
    /// Waiting for a permit to begin a change.
    Busy = "busy",
    /// A change while the host ends.
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
