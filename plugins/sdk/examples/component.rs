//! Makes a component of a core module: `component CORE.wasm COMPONENT.wasm`.
//!
//! The custom sections of the module define its world; `export!` wrote them.

use std::error::Error;
use std::{env, fs};

use wit_component::ComponentEncoder;

fn main() -> Result<(), Box<dyn Error>> {
    let paths: Vec<_> = env::args_os().skip(1).collect();
    let [core, component] = &paths[..] else {
        return Err("usage: component CORE.wasm COMPONENT.wasm".into());
    };
    let module = fs::read(core).map_err(|error| format!("{}: {error}", core.display()))?;
    let encoded = ComponentEncoder::default().validate(true).module(&module)?.encode()?;
    fs::write(component, encoded).map_err(|error| format!("{}: {error}", component.display()))?;
    Ok(())
}
