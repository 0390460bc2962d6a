//! Finds functions of a Go program: by symbol, or in a stripped program in the table that its runtime has for tracebacks (.gopclntab).

use super::elf::{Elf, ElfError, Function, u32_at, u64_at};

/// Minimum minor version: since then arguments are passed in registers on both architectures, and the table has the format below.
const LEAST_MINOR: u32 = 18;
const MAGIC_1_18: u32 = 0xffff_fff0;
const MAGIC_1_20: u32 = 0xffff_fff1;
/// Maximum length of a name that is compared: names of generic types are long, those we look for are not.
const NAME_MAX: usize = 64;

/// Why a Go program cannot be traced.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GoError {
    #[error(transparent)]
    Elf(#[from] ElfError),
    #[error("it is built with Go {0}, older than 1.18")]
    Old(String),
    #[error("its build information is unreadable")]
    NoVersion,
    #[error("its table of functions is malformed: {0}")]
    Table(&'static str),
    #[error("{0} is not what Go compiles")]
    Code(&'static str),
}

/// Whether it is a Go program; an error if its Go version is too old.
pub(crate) fn is_go(elf: &Elf<'_>) -> Result<bool, GoError> {
    let Some(section) = elf.section(".go.buildinfo") else { return Ok(false) };
    let info = elf.content(section)?;
    let version = version(&info).ok_or(GoError::NoVersion)?;
    let minor = version.strip_prefix("go1.").map(|rest| rest.split(|digit: char| !digit.is_ascii_digit()).next().unwrap_or(""));
    match minor.and_then(|minor| minor.parse::<u32>().ok()) {
        Some(minor) if minor < LEAST_MINOR => Err(GoError::Old(host_model::printable(version, 32))),
        // Development versions have no number.
        _ => Ok(true),
    }
}

/// Returns `go1.27.3`, from build information in the format since 1.18.
fn version(info: &[u8]) -> Option<&str> {
    let rest = info.strip_prefix(b"\xff Go buildinf:")?;
    // Pointer size, flags: flag 2 means that the version follows, without a pointer.
    let [_, flags, ..] = rest else { return None };
    if flags & 2 == 0 {
        return Some("go1.17 or before");
    }
    let length = usize::from(*info.get(32)?);
    std::str::from_utf8(info.get(33..)?.get(..length)?).ok()
}

/// Finds functions by these names, in their order.
pub(crate) fn functions(elf: &Elf<'_>, names: &[&str]) -> Result<Vec<Option<Function>>, GoError> {
    let found = elf.functions(names)?;
    if found.iter().any(Option::is_some) {
        return Ok(found);
    }
    let sections = [".gopclntab", ".data.rel.ro.gopclntab"];
    let Some(section) = sections.iter().find_map(|name| elf.section(name)) else {
        return Err(GoError::Table("it is not there"));
    };
    let table = elf.content(section)?;
    let text = text_start(elf, &table, section.address)?;
    in_table(&table, text, names)
}

/// Returns the start of the code: stated in the table until Go 1.25, in the runtime's description of the module since.
fn text_start(elf: &Elf<'_>, table: &[u8], address: u64) -> Result<u64, GoError> {
    /// Offset of `text` in `runtime.moduledata`.
    const TEXT: usize = 22 * 8;
    match u64_at(table, 24) {
        None => return Err(GoError::Table("it is cut off")),
        Some(0) => {}
        Some(start) => return Ok(start),
    }
    if let Some(section) = elf.section(".go.module") {
        let module = elf.content(section)?;
        if let (Some(first), Some(text)) = (u64_at(&module, 0), u64_at(&module, TEXT))
            && first == address
        {
            return Ok(text);
        }
    }
    // Not relocated yet in a position-independent program. The result is verified in any case.
    if let Some(start) = elf.relocated(address.saturating_add(24))? {
        return Ok(start);
    }
    // Only in a program with C code does another program's code come first.
    elf.section(".text").map(|section| section.address).ok_or(GoError::Table("it does not say where the code is"))
}

/// Searches the table of Go 1.18 and later: a header, names, and pairs of (distance from the start of the code, offset of a description).
fn in_table(table: &[u8], text: u64, names: &[&str]) -> Result<Vec<Option<Function>>, GoError> {
    /// Size of a pair of `ftab`.
    const PAIR: usize = 8;
    let cut = || GoError::Table("it is cut off");
    if !matches!(u32_at(table, 0), Some(MAGIC_1_18 | MAGIC_1_20)) || table.get(7) != Some(&8) {
        return Err(GoError::Table("of a version that is not known"));
    }
    let place = |at: usize| u64_at(table, at).and_then(|offset| table.get(usize::try_from(offset).ok()?..)).ok_or_else(cut);
    let (name_text, functions) = (place(32)?, place(64)?);
    let count = u64_at(table, 8).and_then(|count| usize::try_from(count).ok()).ok_or_else(cut)?;
    let pairs = count.checked_mul(PAIR).and_then(|bytes| functions.get(..bytes)).ok_or_else(cut)?;
    let mut found = vec![None; names.len()];
    for (index, pair) in pairs.chunks_exact(PAIR).enumerate() {
        let (Some(start), Some(description)) = (u32_at(pair, 0), u32_at(pair, 4)) else { continue };
        let name = functions.get(description as usize..).and_then(|it| u32_at(it, 4));
        let Some(name) = name.and_then(|name| name_text.get(name as usize..)) else { continue };
        let name = name.get(..NAME_MAX).unwrap_or(name);
        let is = |wanted: &str| name.strip_prefix(wanted.as_bytes()).is_some_and(|rest| rest.first() == Some(&0));
        let Some(at) = names.iter().position(|wanted| is(wanted)) else { continue };
        // The last pair is followed by the end of the code.
        let end = u32_at(functions, (index + 1) * PAIR).ok_or_else(cut)?;
        let address = text.checked_add(u64::from(start)).ok_or(GoError::Table("an address is out of range"))?;
        if let Some(slot) = found.get_mut(at) {
            *slot = Some(Function { address, size: u64::from(end.saturating_sub(start)) });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(names: &[(&str, u32)], count: u64) -> Vec<u8> {
        let mut text = Vec::new();
        let mut pairs = Vec::new();
        let mut descriptions = Vec::new();
        let pairs_bytes = (names.len() * 8 + 4) as u32;
        for (name, start) in names {
            pairs.extend(start.to_le_bytes());
            pairs.extend((pairs_bytes + descriptions.len() as u32).to_le_bytes());
            descriptions.extend(start.to_le_bytes());
            descriptions.extend((text.len() as u32).to_le_bytes());
            text.extend(name.as_bytes());
            text.push(0);
        }
        pairs.extend(0x900_u32.to_le_bytes());
        let mut table = vec![0; 72];
        table[..8].copy_from_slice(&[0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8]);
        table[8..16].copy_from_slice(&count.to_le_bytes());
        table[32..40].copy_from_slice(&72_u64.to_le_bytes());
        table[64..72].copy_from_slice(&(72 + text.len() as u64).to_le_bytes());
        [table, text, pairs, descriptions].concat()
    }

    #[test]
    fn functions_are_found_by_name_and_end_where_the_next_begins() {
        let table = table(&[("main.main", 0x10), ("crypto/tls.(*Conn).Read", 0x80), ("x", 0x200)], 3);
        let found = in_table(&table, 0x40_1000, &["crypto/tls.(*Conn).Read", "x", "crypto/tls"]).unwrap();
        assert_eq!(found[0], Some(Function { address: 0x40_1080, size: 0x180 }));
        assert_eq!(found[1], Some(Function { address: 0x40_1200, size: 0x700 }));
        assert_eq!(found[2], None, "a beginning of a name is not the name");
    }

    #[test]
    fn tables_that_lie_are_refused_and_never_followed_outside() {
        let good = table(&[("f", 0), ("g", 8)], 2);
        for count in [3, 1000, u64::MAX / 8, u64::MAX] {
            let mut lying = good.clone();
            lying[8..16].copy_from_slice(&count.to_le_bytes());
            let _ = in_table(&lying, 0, &["f"]);
        }
        assert!(in_table(&table(&[("f", 0)], u64::MAX), 0, &["f"]).is_err());
        // Each byte is inverted in turn: any result will do, as long as the call returns.
        for at in 0..good.len() {
            let mut lying = good.clone();
            lying[at] ^= 0xff;
            let _ = in_table(&lying, u64::MAX - 4, &["f", "g"]);
            let _ = in_table(&good[..at], 0, &["f", "g"]);
        }
    }

    #[test]
    fn the_version_is_read_from_the_build_information() {
        let mut info = b"\xff Go buildinf:\x08\x02".to_vec();
        info.resize(32, 0);
        info.extend(b"\x08go1.27.3\x30w");
        assert_eq!(version(&info), Some("go1.27.3"));
        assert_eq!(version(&info[..36]), None);
        info[15] = 0;
        assert_eq!(version(&info), Some("go1.17 or before"));
        assert_eq!(version(b""), None);
    }
}
