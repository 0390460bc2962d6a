//! Requests to a running daemon: each `impl Core` that answers one, a file for each group of requests.

mod status;
mod requests;
mod probes;
mod plugins;
mod shadows;
mod quarantine;
mod repros;
