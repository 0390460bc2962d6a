//! BPF maps, within what was granted.

use super::Imports;
use crate::version::v0_1::probe::plugin::maps::{Host, MapError};

impl Host for Imports {
    fn lookup(&mut self, map: String, key: Vec<u8>) -> Result<Option<Vec<u8>>, MapError> {
        self.grants.map(&map, &key, false).map_err(MapError::NotGranted)?;
        Ok(self.host.maps.lookup(&map, &key)?)
    }

    fn update(&mut self, map: String, key: Vec<u8>, value: Vec<u8>) -> Result<(), MapError> {
        self.grants.map(&map, &key, true).map_err(MapError::NotGranted)?;
        Ok(self.host.maps.update(&map, &key, &value)?)
    }

    fn delete(&mut self, map: String, key: Vec<u8>) -> Result<(), MapError> {
        self.grants.map(&map, &key, true).map_err(MapError::NotGranted)?;
        Ok(self.host.maps.delete(&map, &key)?)
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
