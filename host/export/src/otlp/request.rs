//! The envelope around encoded items. It has the same shape and the same field numbers for spans, logs and metrics:
//! `request { 1: of resource { 1: resource, 2: of scope { 1: scope, 2: items... } } }`.

use std::sync::Arc;

use bytes::Bytes;

use crate::otlp::attribute;
use crate::otlp::vec_writer;
use crate::otlp::wire::{self, BYTES, tag};

const OF_RESOURCE: u8 = tag(1, BYTES);
const OF_SCOPE: u8 = tag(2, BYTES);
/// The resource, and the scope within the scope's message.
const WHOSE: u8 = tag(1, BYTES);
const ATTRIBUTES: u8 = tag(1, BYTES);
const NAME: u8 = tag(1, BYTES);
const VERSION: u8 = tag(2, BYTES);

/// An instrumentation scope, encoded once.
#[derive(Debug)]
pub(crate) struct Scope(Vec<u8>);

/// The resource, encoded once.
#[derive(Debug)]
pub(crate) struct Resource(Vec<u8>);

// === impl Scope ===

impl Scope {
    pub(crate) fn new(name: &str, version: &str) -> Self {
        let mut buf = Vec::new();
        let at = vec_writer::open(&mut buf, WHOSE);
        vec_writer::bytes(&mut buf, NAME, name.as_bytes());
        vec_writer::bytes(&mut buf, VERSION, version.as_bytes());
        vec_writer::close(&mut buf, at);
        Self(buf)
    }
}

// === impl Resource ===

impl Resource {
    pub(crate) fn new(attributes: &[(String, String)]) -> Self {
        let mut buf = Vec::new();
        let at = vec_writer::open(&mut buf, WHOSE);
        for (name, value) in attributes {
            attribute::text(&mut buf, ATTRIBUTES, name, value.as_bytes());
        }
        vec_writer::close(&mut buf, at);
        Self(buf)
    }
}

/// Assembles a request from encoded items and the scopes they belong to. The items are not copied: the result is the frames of a body.
pub(crate) fn assemble(resource: &Resource, items: &[(Arc<Scope>, Bytes)]) -> Vec<Bytes> {
    let mut groups: Vec<(&Arc<Scope>, Vec<&Bytes>)> = Vec::new();
    for (scope, bytes) in items {
        match groups.iter_mut().find(|(known, _)| Arc::ptr_eq(known, scope)) {
            Some((_, group)) => group.push(bytes),
            None => groups.push((scope, vec![bytes])),
        }
    }
    let length = |group: &(&Arc<Scope>, Vec<&Bytes>)| group.0.0.len() + group.1.iter().map(|bytes| bytes.len()).sum::<usize>();
    let field = |length: usize| 1 + wire::varint_len(length as u64) + length;
    let of_resource = resource.0.len() + groups.iter().map(|group| field(length(group))).sum::<usize>();

    let mut head = vec![OF_RESOURCE];
    vec_writer::varint(&mut head, of_resource as u64);
    head.extend_from_slice(&resource.0);
    let mut frames = Vec::with_capacity(items.len() + groups.len());
    for group in &groups {
        head.push(OF_SCOPE);
        vec_writer::varint(&mut head, length(group) as u64);
        head.extend_from_slice(&group.0.0);
        frames.push(Bytes::from(std::mem::take(&mut head)));
        frames.extend(group.1.iter().copied().cloned());
    }
    frames
}
