//! The slot's configuration, by key.

use super::Imports;
use crate::version::v0_1::probe::plugin::config::Host;

impl Host for Imports {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        self.crossed()?;
        Ok(self.config.get(&key).map(serde_json::Value::to_string))
    }
}
