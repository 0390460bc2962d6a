//! BPF maps, limited by the grants.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use super::Imports;
use crate::version::v0_1::probe::plugin::maps::{Host, MapError};

impl Host for Imports {
    fn lookup(&mut self, map: String, key: Vec<u8>) -> wasmtime::Result<Result<Option<Vec<u8>>, MapError>> {
        self.crossed()?;
        Ok(self.waiting(|imports| imports.read(&map, &key)).0)
    }

    fn update(&mut self, map: String, key: Vec<u8>, value: Vec<u8>) -> wasmtime::Result<Result<(), MapError>> {
        self.crossed()?;
        let update = |imports: &mut Self| {
            imports.may_write(&map, &key).and_then(|()| Ok(imports.host.maps.update(&map, &key, &value)?))
        };
        Ok(self.waiting(update).0)
    }

    fn delete(&mut self, map: String, key: Vec<u8>) -> wasmtime::Result<Result<(), MapError>> {
        self.crossed()?;
        let delete =
            |imports: &mut Self| imports.may_write(&map, &key).and_then(|()| Ok(imports.host.maps.delete(&map, &key)?));
        Ok(self.waiting(delete).0)
    }
}

impl Imports {
    fn read(&self, map: &str, key: &[u8]) -> Result<Option<Vec<u8>>, MapError> {
        self.grants.map(map, key, false).map_err(MapError::NotGranted)?;
        Ok(self.host.maps.lookup(map, key)?)
    }

    /// Checks that this key may be written now. Of several grants that allow it, the first with an update left is charged.
    fn may_write(&self, map: &str, key: &[u8]) -> Result<(), MapError> {
        let granted = self.grants.map(map, key, true).map_err(MapError::NotGranted)?;
        if self.rates.take_update(&granted, Instant::now()) {
            return Ok(());
        }
        self.stats.updates_left_out.fetch_add(1, Relaxed);
        let rate: u32 = granted.iter().filter_map(|&place| self.grants.maps.get(place)?.updates_per_second).sum();
        Err(MapError::NotGranted(format!(
            "its {rate} updates a second of this map are used up; `grants` of the slot has the rate"
        )))
    }
}

impl From<host_model::MapError> for MapError {
    fn from(error: host_model::MapError) -> Self {
        match error {
            host_model::MapError::NoMap => Self::NoSuchMap,
            host_model::MapError::Size(bytes) => Self::WrongSize(bytes),
            host_model::MapError::Kernel(errno) => Self::Kernel(errno),
        }
    }
}
