//! The longer texts of help: what a command does, by example.

/// `host`
pub(super) const ABOUT: &str = "\
See what the kernel does, through plugins that you can replace while events flow.

Probes in the kernel write records into rings. A decoder makes rows of them, a sampler decides which are kept, \
enrichers add to those, and they leave as OpenTelemetry. Decoders, samplers and enrichers are sandboxed WebAssembly \
components. Every record is counted at every stage, and the sums balance.";

/// After `host -h`.
pub(super) const AFTER_SHORT: &str = "Start with `host run`. `host --help` has examples, exit codes, variables and files.";

/// After `host --help`.
pub(super) const AFTER: &str = "\
Examples:
  host run                              see this machine: exec, file and tcp
  host run --probe file --comm nginx    only files that nginx opens
  host run --otlp-endpoint http://localhost:4317
  host status                           where the events went
  host plugin load ./my_sampler.wasm    replace the sampler while events flow
  host plugin rollback sampler          and take that back
  host doctor                           what this machine lacks, and the cure

Exit codes:
  0  done; also when the reader of standard output went away
  1  failed, or `host doctor` found a fault
  2  the command line or the configuration is wrong
  3  a plugin or a probe was refused; what ran before still runs
  4  no running host answers at the socket
  5  a privilege for BPF is missing, and replaying was forbidden

Environment variables:
  HOST_SOCKET, HOST_CONFIG      as --socket and --config
  OTEL_EXPORTER_OTLP_*          the collector: ENDPOINT, PROTOCOL, HEADERS and so on; a flag wins
                                over the configuration, and that over these
  OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES
                                what every event says of its origin
  RUST_LOG                      which log lines are written, such as debug or host_plugin=debug
  NO_COLOR                      no colours

Files:
  /run/host.sock                the control socket as root; else $XDG_RUNTIME_DIR/host.sock, or
                                host-UID.sock in the folder for temporary files
  host.toml                     the configuration, named by --config; `host config schema`
                                prints what it may say

Data goes to standard output, talk to standard error.";

/// `host run`
pub(super) const RUN: &str = "\
Attach the probes and send what the plugins keep.

Needs no configuration. On a terminal it draws a live table with the last events below it; elsewhere it writes log \
lines to standard error and events to standard output. SIGINT and SIGTERM stop the probes, drain what is on the way, \
print the ledger and end with 0.

Attaching takes CAP_BPF and CAP_PERFMON, and for some probes more: `host doctor` says what is missing. Without them the \
capture in this binary is replayed through the same path, clearly marked, so that plugins can be tried anywhere.";

/// After `host run --help`.
pub(super) const RUN_AFTER: &str = "\
Examples:
  host run                                   everything, on the screen
  host run --probe exec --duration 10s       ten seconds of program starts
  host run --cgroup /sys/fs/cgroup/system.slice/nginx.service
  host run --output jsonl | jq .             events for a program
  host run --output none --format json --duration 10s
                                             only the ledger, for a program
  host run --otlp-endpoint http://localhost:4317 --ready-file /run/host.ready

The ledger is printed at the end: to standard output with --output none, else to standard error.";

/// `host status`
pub(super) const STATUS: &str = "\
Show where the events of a running host went.

For each path the ledger: records produced in the kernel, lost for want of room in the ring, rows decoded, sampled out, \
kept, exported, dropped. Each stage's sum equals what came in; if one does not, the word UNBALANCED says so.";

/// After `host status --help`.
pub(super) const STATUS_AFTER: &str = "\
Examples:
  host status
  host status --format json | jq '.paths[] | {probe, lost: .ledger.lost_in_ring}'
  curl --unix-socket /run/host.sock http://host/v1/status";

/// After `host plugin --help`.
pub(super) const PLUGIN_AFTER: &str = "\
Slots are named places on the path: `decoder.PROBE`, `sampler` (all paths) or `sampler.PROBE` (one), `enricher.NAME`.

Examples:
  host plugin list
  host plugin inspect ./my_sampler.wasm
  host plugin load ./my_sampler.wasm --config '{\"ratio\": 0.1}'
  host plugin rollback sampler";

/// `host plugin load`
pub(super) const PLUGIN_LOAD: &str = "\
Put a component into a slot of the running host; the old one stays live until the new one is.

The component is inspected, its imports are granted, it is compiled, instantiated and bound, all while the old one works. \
Then the paths switch between two batches, and only then does this command end with 0. If any step fails, the step, the \
reason and the cure are printed, the exit code is 3, and the old one stays.";

/// After `host plugin load --help`.
pub(super) const PLUGIN_LOAD_AFTER: &str = "\
Examples:
  host plugin load ./my_sampler.wasm
  host plugin load ./my_sampler.wasm --slot sampler.file --config '{\"ratio\": 0.01}'
  host plugin load ./enricher_pod.wasm --slot enricher.pod";

/// `host plugin inspect`
pub(super) const PLUGIN_INSPECT: &str = "\
Say what a component is and what it asks for, without running any of it.

A FILE is read from disk; no host has to run. A SLOT is asked of the running host.";

/// After `host probe --help`.
pub(super) const PROBE_AFTER: &str = "\
Examples:
  host probe list
  host probe load ./mine.bpf.o --map events.max_entries=1048576
  host probe unload mine";

/// `host probe load`
pub(super) const PROBE_LOAD: &str = "\
Attach an object of your own to the running host.

The probe is named after its file: mine.bpf.o is `mine`. Its records are read by the plugin in the slot `decoder.mine`, at \
first the built-in decoder-btf, which makes a field of every member of the record's C struct.";

/// `host doctor`
pub(super) const DOCTOR: &str = "\
Say what this machine lacks, and the cure.

Checks the kernel and its BTF, tracefs, capabilities per probe, locked memory, cgroup v2, the clock, the control socket \
and the collector, if one is configured. Exits with 1 if anything is at fault; notes do not count.";

/// `host completions`
pub(super) const COMPLETIONS: &str = "\
Print the completions of a shell.

  bash  host completions bash > /etc/bash_completion.d/host
  zsh   host completions zsh  > \"${fpath[1]}/_host\"
  fish  host completions fish > ~/.config/fish/completions/host.fish";

/// `host man`
pub(super) const MAN: &str = "\
Print the manual page of a command, or write all of them to a folder.

  host man plugin load | man -l -
  host man --all /usr/local/share/man/man1";
