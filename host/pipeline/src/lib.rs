//! The path of an event, on a thread of its own: source, decoder, metrics, sampler, enrichers, sink.
#![forbid(unsafe_code)]
