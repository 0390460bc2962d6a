//! What may be asked of a daemon while it runs: every `impl Core` that answers a request, a file for each family of them.

mod status;
mod requests;
mod probes;
mod plugins;
mod shadows;
mod quarantine;
mod repros;
