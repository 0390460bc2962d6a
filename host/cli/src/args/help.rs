//! The long help texts: each command with examples.

use crate::exit;

/// `host`
pub(super) const ABOUT: &str = "\
See what the kernel does, through plugins that you can replace while events flow.

Probes in the kernel write records into rings. A decoder makes rows of them, a sampler decides which are kept, \
enrichers add to those, and they leave as OpenTelemetry. Decoders, samplers and enrichers are sandboxed WebAssembly \
components. Every record is counted at every stage, and the sums balance.";

/// Printed after `host -h`.
pub(super) const AFTER_SHORT: &str = "Start with `host run`. `host --help` has examples, exit codes, variables and files.";

/// Printed after `host --help`.
pub(super) fn after() -> String {
    format!("{EXAMPLES}{}{PLACES}", exit::meanings())
}

/// Its first part.
const EXAMPLES: &str = "\
Examples:
  host run                              see this machine: requests, programs, files, connections
  host run --probe file --comm nginx    only files that nginx opens
  host run --otlp-endpoint http://localhost:4317
  host requests                         what was asked of the services here, and how they answered
  host status                           where the events went
  host plugin load ./my_sampler.wasm    replace the sampler while events flow
  host plugin rollback sampler          and take that back
  host plugin shadow ./my_sampler.wasm  try another beside it, before it decides anything
  host doctor                           what this machine lacks, and the cure

Exit codes:
";

/// Its last part.
const PLACES: &str = "
Environment variables:
  HOST_SOCKET, HOST_CONFIG      as --socket and --config
  OTEL_EXPORTER_OTLP_*          the collector: ENDPOINT, PROTOCOL, HEADERS and so on; a flag wins
                                over the configuration, and that over these
  OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES
                                what every event says of its origin
  RUST_LOG                      which log lines are written, such as debug or host_plugin=debug
  NO_COLOR                      no colours

Files:
  /run/host.sock                the control socket as root, of the service /run/host/host.sock; else
                                $XDG_RUNTIME_DIR/host.sock, or host-UID.sock in the folder for
                                temporary files
  host.toml                     the configuration, named by --config; `host config schema`
                                prints what it may say
  /var/lib/host                 as root, compiled code and calls that failed; else
                                ~/.local/state/host; --state-dir names another

Data goes to standard output, talk to standard error.";

/// `host run`
pub(super) const RUN: &str = "\
Attach the probes and send what the plugins keep.

Needs no configuration. On a terminal it draws a live table with the last events below it; elsewhere it writes log \
lines to standard error and events to standard output. SIGINT, SIGTERM and SIGQUIT stop the probes, drain what is on the way, \
print the ledger and end with 0, or with 1 if a sum of it does not hold or something hung: at the latest two seconds after the \
time that `export.drain` gives the collector. A second one ends at once. SIGHUP does the same as the first where it comes from a \
terminal that goes away; elsewhere, as SIGUSR1 and SIGUSR2, it ends nothing.

Attaching takes CAP_BPF and CAP_PERFMON, and for some probes more: `host doctor --caps` says what for. Without them the \
capture in this binary is replayed through the same path, clearly marked, so that plugins can be tried anywhere.";

/// Printed after `host run --help`.
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

/// `host requests`
pub(super) const REQUESTS: &str = "\
Show the requests that were made on this node, counted exactly, before anything is sampled: since the start, or since the decoder \
of their protocol was last unloaded or replaced by one whose rows mean something else.

A heading for each process at one end of its connections, and below it a line for each method, route and status: how many, how \
many of them failed, and the time that half of them and 99 of 100 took no longer than. What was over `metrics.cardinality` is \
in one line, (others).";

/// Printed after `host requests --help`.
pub(super) const REQUESTS_AFTER: &str = "\
Examples:
  host requests --watch
  host requests --protocol http --role server --limit 20
  host requests --format json | jq '.[] | select(.errors > 0) | {comm, route, errors}'

The JSON is a list of objects with protocol, role, comm, server_port, method, route, status, count, errors, p50_ns and \
p99_ns, the most frequent first; with --watch a list per line.";

/// `host record`
pub(super) const RECORD: &str = "\
Write what probes see to a capture: an Arrow IPC stream, compressed, that `host replay` plays and any Arrow library reads.

No plugin sees the records, so a connection whose protocol nobody knows is recorded as whole as the rest. A capture holds what \
programs sent: only its owner may read it.";

/// Printed after `host record --help`.
pub(super) const RECORD_AFTER: &str = "\
Examples:
  host record -o my.capture --probe l7 --port 6379 --capture-bytes 4096 --duration 10s
  host record -o exec.capture --probe exec --comm bash";

/// `host replay`
pub(super) const REPLAY: &str = "\
Play a capture through the same path as the kernel's events, without privilege.

The same capture with the same plugins gives the same bytes each time, however fast: runs come one by one in their order, ids \
and what is sampled are derived from the capture, the time is that of the records, and what has no room waits. Only a plugin \
that is granted `random`, or whose call runs out of time, may answer otherwise.";

/// Printed after `host replay --help`.
pub(super) const REPLAY_AFTER: &str = "\
Examples:
  host replay my.capture --output jsonl
  host replay my.capture --plugin decoder.mine=./mine.wasm --output requests
  host replay my.capture --plugin sampler=./my_sampler.wasm --speed real
  host replay my.capture --otlp-endpoint http://localhost:4317

A plugin that is named here may import `clock` and `tables`; all else is granted by the configuration. If one fails on a batch the \
replay ends with 1, whatever became of the batch; one that no path of the capture has a use for ends it with 2.";

/// `host status`
pub(super) const STATUS: &str = "\
Show where the events of a running host went.

For each path the ledger: records produced in the kernel, lost for want of room in the ring, rows decoded, sampled out, \
kept, exported, dropped. Each stage's sum equals what came in; if one does not, the word UNBALANCED says so.";

/// Printed after `host status --help`.
pub(super) const STATUS_AFTER: &str = "\
Examples:
  host status
  host status --format json | jq '.paths[] | {probe, lost: .ledger.lost_in_ring}'
  curl --unix-socket /run/host.sock http://host/v1/status";

/// Printed after `host plugin --help`.
pub(super) const PLUGIN_AFTER: &str = "\
Slots are named places on the path: `decoder.PROBE`, `sampler` (all paths) or `sampler.PROBE` (one), `enricher.NAME`.

Examples:
  host plugin list
  host plugin inspect ./my_sampler.wasm
  host plugin load ./my_sampler.wasm --config '{\"ratio\": 0.1}'
  host plugin rollback sampler
  host plugin shadow ./my_sampler.wasm --share 10%     try it beside the live one
  host plugin compare                                  and see where the two differ
  host plugin promote
  host plugin repro list                               calls that failed";

/// `host plugin load`
pub(super) const PLUGIN_LOAD: &str = "\
Put a component into a slot of the running host; the old one stays live until the new one is.

The component is inspected, its imports are granted, it is compiled, instantiated and bound, all while the old one works. \
Then the paths switch between two batches, and only then does this command end with 0. If any step fails, the step, the \
reason and the cure are printed, the exit code is 3, and the old one stays.

The state of the old one goes over to the new one where both can and the new one accepts it; if not, the new one starts \
cold, and the answer says so and why. Loading what is live already does nothing and says so.";

/// Printed after `host plugin load --help`.
pub(super) const PLUGIN_LOAD_AFTER: &str = "\
Examples:
  host plugin load ./my_sampler.wasm
  host plugin load ./my_sampler.wasm --slot sampler.file --config '{\"ratio\": 0.01}'
  host plugin load ./enricher_pod.wasm --slot enricher.pod
  host plugin load ./my_sampler.wasm --pin sha256:0123...        exactly these bytes, or nothing";

/// `host plugin list`
pub(super) const PLUGIN_LIST: &str = "\
Show the slots: who is live, and what its calls cost.

A line per slot, and beneath it one per path: what the plugin is doing there, its calls, what a row costs, half of its calls \
and 99 of 100, the memory it has of what it may have. Faults by kind follow where there were any. FAULTING: it failed within \
the last minute; BACKING OFF: it is left alone for a while; QUARANTINED: it is left alone for good.";

/// Printed after `host plugin list --help`.
pub(super) const PLUGIN_LIST_AFTER: &str = "\
Examples:
  host plugin list
  host plugin list --format json | jq '.[] | {slot, path, state, faults}'";

/// `host plugin inspect`
pub(super) const PLUGIN_INSPECT: &str = "\
Say what a component is and asks for, without running any of it; or all that is known of a slot.

A FILE is read from disk; no host has to run. It says who signed it, the limits that it would have by default, and the lines \
of a configuration that would grant what it imports. A SLOT is asked of the running host: the live plugin, its configuration, \
grants and limits, what is done about its faults, and what its calls cost path by path.";

/// Printed after `host plugin inspect --help`.
pub(super) const PLUGIN_INSPECT_AFTER: &str = "\
Examples:
  host plugin inspect ./my_sampler.wasm
  host plugin inspect sampler
  host plugin inspect sampler --format json | jq .live.limits";

/// Printed after `host plugin history --help`.
pub(super) const HISTORY_AFTER: &str = "\
Examples:
  host plugin history
  host plugin history sampler
  host plugin rollback sampler --to 3     put generation 3 back";

/// `host plugin rollback`
pub(super) const ROLLBACK: &str = "\
Put an earlier generation back into its slot.

The old bytes with the old configuration become live again, as a load does it: state goes over where it can, and the exit \
code is 0 only once they are live.";

/// Printed after `host plugin rollback --help`.
pub(super) const ROLLBACK_AFTER: &str = "\
Examples:
  host plugin rollback sampler            what was live before
  host plugin rollback sampler --to 3     one that `host plugin history` shows";

/// `host plugin shadow`
pub(super) const SHADOW: &str = "\
Run a candidate beside what is live, on the same batches; its results are thrown away.

The candidate is loaded as any plugin is, but it decides nothing: both results are compared, row by row, and counted. It \
never holds the live path up: what it has no time for is dropped, and counted. `host plugin compare` shows the result, \
`promote` makes the candidate live, `discard` ends it. With --promote-if and --after the host decides by itself.

A condition is made of `disagreement` (the share of rows, judged by the bound of its 95 % confidence interval), `faults`, \
`cost` (its time over that of the live one), `rows` and `dropped`, compared by < <= > >= == and joined by `and`.";

/// Printed after `host plugin shadow --help`.
pub(super) const SHADOW_AFTER: &str = "\
Examples:
  host plugin shadow ./my_sampler.wasm
  host plugin shadow sampler-ratio --slot sampler.file --share 10% --config '{\"ratio\": 0.01}'
  host plugin shadow ./my_sampler.wasm --after 10m \\
      --promote-if 'disagreement < 0.1% and faults == 0 and cost < 1.2'";

/// `host plugin compare`
pub(super) const COMPARE: &str = "\
Show how a candidate compares with what is live.

On how many rows the two agree, with the 95 % confidence interval; how many rows each made or kept; columns that only one of \
them has; what the candidate costs beside the live one; its faults; the batches that it did not see; and up to ten rows on \
which the two differ.";

/// Printed after `host plugin compare --help`.
pub(super) const COMPARE_AFTER: &str = "\
Examples:
  host plugin compare
  host plugin compare sampler --watch
  host plugin compare sampler --format json | jq '{disagreement, interval}'";

/// Printed after `host plugin promote --help`.
pub(super) const PROMOTE_AFTER: &str = "\
Examples:
  host plugin promote              the only candidate there is
  host plugin promote sampler
  host plugin rollback sampler     and take that back";

/// Printed after `host plugin discard --help`.
pub(super) const DISCARD_AFTER: &str = "\
Examples:
  host plugin discard              the only candidate there is
  host plugin discard sampler";

/// `host plugin repro`
pub(super) const REPRO: &str = "\
Look at calls that failed, and make them again.

Whenever a plugin traps, takes too long or breaks the contract, the host keeps what it takes to make it fail again: the \
component, its configuration and the batch. They are bounded in number and bytes ([repro] in the configuration). A batch is \
what programs did and sent: only the host's user can read it.";

/// Printed after `host plugin repro --help`.
pub(super) const REPRO_AFTER: &str = "\
Examples:
  host plugin repro list
  host plugin repro show 1767323045000-sampler-file-trap
  host plugin repro run  1767323045000-sampler-file-trap
  host plugin repro run  1767323045000-sampler-file-trap --component ./fixed.wasm";

/// `host plugin repro run`
pub(super) const REPRO_RUN: &str = "\
Make one of these calls again, here and alone, and say whether it fails again.

No host has to run, but the files must be readable: they are its user's. The component is compiled and bound as it was, \
with the same limits and grants, and called once with the same batch. The host's tables and maps are empty here, and the \
calls before it are not made.";

/// Printed after `host plugin repro run --help`.
pub(super) const REPRO_RUN_AFTER: &str = "\
Exit codes:
  0  it failed again with the same kind of fault; with --component: it did not fail
  1  it did not, or it failed in another way; with --component: it failed
  3  there is no such call, or the component was refused before it could be called

Examples:
  host plugin repro run 1767323045000-sampler-file-trap
  host plugin repro run 1767323045000-sampler-file-trap --component ./fixed.wasm && echo fixed";

/// `host plugin compile`
pub(super) const COMPILE: &str = "\
Compile a component ahead of time, for a machine that has no compiler, is slow or of another kind.

With --output it becomes a compiled plugin, one file, which `host plugin load` takes on a host of the same version. It is code that \
no sandbox holds back, so such a host runs it only if its configuration grants `native-code` to its digest or to its signer. With \
--out it becomes an entry for the cache of a host that has a compiler, sealed with the key of that cache.";

/// Printed after `host plugin compile --help`.
pub(super) const COMPILE_AFTER: &str = "\
Examples:
  host plugin compile ./my_sampler.wasm --target aarch64-unknown-linux-gnu -o ./my_sampler.cwasm
  host plugin sign ./my_sampler.cwasm --key ./us.key -o ./my_sampler.cwasm
  scp ./my_sampler.cwasm edge: && ssh edge host plugin load ./my_sampler.cwasm

In the configuration of that host:
  [signers]
  us = \"...\"             # what `host plugin keygen` printed

  [[grants]]
  signer = \"us\"
  allow = [\"native-code\"]

For the cache of a host with a compiler:
  scp edge:/var/lib/host/cache/key ./edge.key
  host plugin compile ./my_sampler.wasm --target aarch64-unknown-linux-gnu --key ./edge.key --out ./edge
  scp ./edge/* edge:/var/lib/host/cache/";

/// `host plugin keygen`
pub(super) const KEYGEN: &str = "\
Make a pair of keys for signing components.

The private key is written to a file that only you can read; the public key is printed, as it stands under [signers] in the \
configuration.";

/// Printed after `host plugin keygen --help`.
pub(super) const KEYGEN_AFTER: &str = "\
Examples:
  host plugin keygen ./acme.key
  host plugin sign ./my_sampler.wasm --key ./acme.key -o ./my_sampler.signed.wasm

In the configuration:
  [signers]
  acme = \"...\"           # what keygen printed

  [[grants]]
  signer = \"acme\"
  allow = [\"clock\"]";

/// `host plugin sign`
pub(super) const SIGN: &str = "\
Sign a component.

The signature becomes a part of the file, whose digest changes with it. A signature that was there is replaced.";

/// Printed after `host plugin sign --help`.
pub(super) const SIGN_AFTER: &str = "\
Examples:
  host plugin sign ./my_sampler.wasm --key ./acme.key -o ./my_sampler.signed.wasm";

/// `host plugin verify`
pub(super) const VERIFY: &str = "\
Check the signature in a component.

Says whose it is and ends with 0; ends with 3 if there is none, if it is not valid, or if it is not that of --signer.";

/// Printed after `host plugin verify --help`.
pub(super) const VERIFY_AFTER: &str = "\
Examples:
  host plugin verify ./my_sampler.signed.wasm
  host plugin verify ./my_sampler.signed.wasm --signer \"$(cat ./acme.pub)\"";

/// `host plugin adapter`
pub(super) const ADAPTER: &str = "\
Write the adapter that toolchains need which insist on WASI preview 1.

Go and C libraries import WASI whether they use it or not. Adapted with this, a module becomes a component that imports \
nothing of it: there are no files, no environment and no sockets, and the clock stands still.";

/// Printed after `host plugin adapter --help`.
pub(super) const ADAPTER_AFTER: &str = "\
Examples:
  host plugin adapter -o stub.wasm
  wasm-tools component new module.wasm --adapt wasi_snapshot_preview1=stub.wasm -o plugin.wasm";

/// Printed after `host probe --help`.
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

Checks the kernel and its BTF, tracefs, which hooks each probe gets here and why not better ones, capabilities per probe, locked memory, cgroup v2, the clock, the control socket, \
the folder of the host's state with its cache, and the collector, if one is configured. Exits with 1 if anything is at fault; notes \
do not count.

With --caps it prints which capabilities a run takes instead, for which probe and for what, and the lines that grant them, for \
systemd, setpriv, capsh and containers. Those that are required are exact: without any of them the start fails, and says which.";

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
