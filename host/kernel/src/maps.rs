//! The maps of one object, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use host_model::{MapAccess, MapError};
use libbpf_rs::{ErrorKind, MapCore, MapFlags, MapHandle, MapType, Object};

use crate::privileged;

/// Maps that only the host accesses: filter, plan, ring and its counters.
const PRIVATE: [&str; 6] = [".data.ring", ".data.record", ".data.plan", ".rodata.filter", "filter_rules", "ring"];

/// Handles of maps, which stay valid after the object is dropped.
#[derive(Debug)]
pub(crate) struct Maps {
    by_name: BTreeMap<String, Arc<MapHandle>>,
}

// === impl Maps ===

impl Maps {
    pub(crate) fn new(object: &Object) -> Result<Self, libbpf_rs::Error> {
        let mut by_name = BTreeMap::new();
        for map in object.maps() {
            let name = map.name().to_string_lossy().into_owned();
            if map.map_type() != MapType::RingBuf && !PRIVATE.contains(&name.as_str()) {
                by_name.insert(name, Arc::new(MapHandle::try_from(&map)?));
            }
        }
        Ok(Self { by_name })
    }

    fn get(&self, map: &str, key: &[u8]) -> Result<Arc<MapHandle>, MapError> {
        let handle = self.by_name.get(map).ok_or(MapError::NoMap)?;
        if key.len() == handle.key_size() as usize { Ok(Arc::clone(handle)) } else { Err(MapError::Size(handle.key_size())) }
    }
}

impl MapAccess for Maps {
    /// Returns a value; for a per-CPU map the values of all CPUs, concatenated.
    fn lookup(&self, map: &str, key: &[u8]) -> Result<Option<Vec<u8>>, MapError> {
        let (handle, key) = (self.get(map, key)?, key.to_vec());
        ask(move || {
            if handle.map_type().is_percpu() {
                handle.lookup_percpu(&key, MapFlags::ANY).map(|found| found.map(|values| values.concat()))
            } else {
                handle.lookup(&key, MapFlags::ANY)
            }
        })
    }

    fn update(&self, map: &str, key: &[u8], value: &[u8]) -> Result<(), MapError> {
        let handle = self.get(map, key)?;
        if value.len() != handle.value_size() as usize {
            return Err(MapError::Size(handle.value_size()));
        }
        if handle.map_type().is_percpu() {
            return Err(MapError::Kernel(libc::EOPNOTSUPP));
        }
        let (key, value) = (key.to_vec(), value.to_vec());
        ask(move || handle.update(&key, &value, MapFlags::ANY))
    }

    fn delete(&self, map: &str, key: &[u8]) -> Result<(), MapError> {
        let (handle, key) = (self.get(map, key)?, key.to_vec());
        ask(move || handle.delete(&key))
    }
}

fn ask<T: Send + 'static>(work: impl Fn() -> libbpf_rs::Result<T> + Send + 'static) -> Result<T, MapError> {
    privileged::ask(is_denied, work).map_err(|error| MapError::Kernel(errno(&error)))
}

pub(crate) fn is_denied(error: &libbpf_rs::Error) -> bool {
    error.kind() == ErrorKind::PermissionDenied
}

/// Returns the errno of a libbpf-rs error, which exposes only its kind.
fn errno(error: &libbpf_rs::Error) -> i32 {
    match error.kind() {
        ErrorKind::NotFound => libc::ENOENT,
        ErrorKind::PermissionDenied => libc::EPERM,
        ErrorKind::AlreadyExists => libc::EEXIST,
        ErrorKind::InvalidInput => libc::EINVAL,
        ErrorKind::OutOfMemory => libc::ENOMEM,
        ErrorKind::TooBig => libc::E2BIG,
        ErrorKind::WouldBlock => libc::EAGAIN,
        _ => libc::EIO,
    }
}
