//! The functions of WASI that are not answered: they link, because standard libraries import them, and trap when called.

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, LinkerInstance, ResourceType, Val};

use crate::imports::{Forbidden, Imports};

/// Interfaces that are answered, without their versions: those that `link` adds.
const ANSWERED: [&str; 18] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/terminal-stderr",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:random/random",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
];

/// Maximum number of resources that a component may import. All of WASI has about forty.
const RESOURCES: usize = 1_000;

/// Type of every resource that no function ever creates.
struct Absent;

/// Returns the linker for one component: every function of WASI that it imports and that is not answered is a trap.
pub(crate) fn complete(linker: &Linker<Imports>, component: &Component) -> wasmtime::Result<Linker<Imports>> {
    let mut linker = linker.clone();
    let engine = component.engine();
    let kind = component.component_type();
    // An interface either defines a resource, the first time it appears, or uses it.
    let mut defined: Vec<ResourceType> = Vec::new();
    for (name, import) in kind.imports(engine) {
        let ComponentItem::ComponentInstance(interface) = import.ty else { continue };
        let bare = name.split_once('@').map_or(name, |(bare, _)| bare);
        if !bare.starts_with("wasi:") || ANSWERED.contains(&bare) {
            defined.extend(interface.exports(engine).filter_map(|(_, item)| resource(&item.ty)).take(RESOURCES));
            continue;
        }
        let mut instance = linker.instance(name)?;
        for (item_name, item) in interface.exports(engine) {
            match &item.ty {
                ComponentItem::ComponentFunc(_) if bare == "wasi:filesystem/preopens" => no_folders(&mut instance, item_name)?,
                ComponentItem::ComponentFunc(_) => trap(&mut instance, item_name, bare)?,
                ComponentItem::Resource(resource) if !defined.contains(resource) => {
                    if defined.len() == RESOURCES {
                        wasmtime::bail!("it imports more than {RESOURCES} resources");
                    }
                    defined.push(*resource);
                    instance.resource(item_name, ResourceType::host::<Absent>(), |_, _| Ok(()))?;
                }
                _ => {}
            }
        }
    }
    Ok(linker)
}

fn resource(item: &ComponentItem) -> Option<ResourceType> {
    match item {
        ComponentItem::Resource(resource) => Some(*resource),
        _ => None,
    }
}

/// `get-directories`: returns an empty list.
fn no_folders(instance: &mut LinkerInstance<'_, Imports>, name: &str) -> wasmtime::Result<()> {
    instance.func_new(name, |mut store, _, _, results| {
        store.data_mut().crossed()?;
        results.fill(Val::List(Vec::new()));
        Ok(())
    })
}

fn trap(instance: &mut LinkerInstance<'_, Imports>, name: &str, interface: &str) -> wasmtime::Result<()> {
    let function = format!("`{interface}` `{name}`, which no plugin gets");
    instance.func_new(name, move |_, _, _, _| Err(Forbidden::error(function.clone())))
}

#[cfg(test)]
mod tests {
    use super::ANSWERED;

    #[test]
    fn what_is_answered_is_what_the_world_imports() {
        let world = include_str!("../../../../../wit/wasi/world.wit");
        let imports = world.lines().filter_map(|line| line.trim().strip_prefix("import "));
        let bare: Vec<&str> = imports.filter_map(|import| Some(import.split_once('@')?.0)).collect();
        assert_eq!(bare, ANSWERED);
    }
}
