//! The layout of the record that an object writes, read from its BTF.

use std::ffi::OsStr;

use host_model::{Layout, Member, MemberKind};
use libbpf_rs::btf::types::{Array, Composite, Enum, Enum64, Float, Int, IntEncoding, MemberAttr, Ptr, Struct};
use libbpf_rs::btf::{Btf, BtfType, HasSize};

use crate::talk;

/// Maximum depth of nested structs without a name, which are flattened.
const MAX_DEPTH: u32 = 8;
/// Maximum number of members of a record, those of nested structs included. Kernels' own structs have some hundred.
const MAX_MEMBERS: u32 = 1024;

/// Why a record cannot be described.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// The object was compiled without type information.
    #[error("it has no BTF; compile it with `clang -g`")]
    NoBtf,
    /// No struct is named `<name>_record`.
    #[error("its BTF has no `struct <name>_record`; name it once with RING_RECORD(<name>_record)")]
    NoRecord,
    /// Several structs are named so.
    #[error("its BTF has more than one record ({0}); exactly one struct may be called <name>_record")]
    Records(String),
    /// A member has a type that columns cannot hold.
    #[error("`{record}.{member}` is a bit field; records have whole bytes")]
    BitField {
        /// The struct.
        record: String,
        /// The member.
        member: String,
    },
    /// The record has more than the maximum number of members.
    #[error("`{0}` has more than {MAX_MEMBERS} members")]
    Members(String),
}

/// Returns the layout of the one `struct <name>_record`. If there are more, the one named after the object is taken.
pub(crate) fn read(object: &str, btf: &Btf<'_>) -> Result<Layout, LayoutError> {
    let named = |record: &Struct<'_>| text(record.name()).ends_with("_record");
    let mut records: Vec<Struct<'_>> = btf.type_by_kind::<Struct<'_>>().filter(named).collect();
    if records.len() > 1 {
        let names: Vec<String> = records.iter().map(|record| text(record.name())).collect();
        records.retain(|record| text(record.name()) == format!("{object}_record"));
        if records.is_empty() {
            return Err(LayoutError::Records(talk::names(names.iter().map(String::as_str))));
        }
    }
    let record = records.first().ok_or(LayoutError::NoRecord)?;
    let size = u32::try_from(record.size()).unwrap_or(u32::MAX);
    let mut layout = Layout { name: text(record.name()), size, members: Vec::new() };
    let mut left = MAX_MEMBERS;
    flatten(btf, &mut layout, &mut left, (*record).into(), (0, 0))?;
    layout.members.sort_by_key(|member| member.offset);
    Ok(layout)
}

/// Adds the members of a struct that begins at `base` and is `depth` deep in the record; `left` is the number of members still allowed.
fn flatten(
    btf: &Btf<'_>,
    layout: &mut Layout,
    left: &mut u32,
    composite: Composite<'_>,
    (base, depth): (u32, u32),
) -> Result<(), LayoutError> {
    for index in 0..composite.len() {
        let Some(member) = composite.get(index) else { continue };
        *left = left.checked_sub(1).ok_or_else(|| LayoutError::Members(layout.name.clone()))?;
        let name = text(member.name);
        let bits = match member.attr {
            MemberAttr::Normal { offset } => offset,
            MemberAttr::BitField { .. } => return Err(LayoutError::BitField { record: layout.name.clone(), member: name }),
        };
        let offset = base.saturating_add(bits / 8);
        let Some(kind) = btf.type_by_id::<BtfType<'_>>(member.ty) else { continue };
        let kind = kind.skip_mods_and_typedefs();
        if name.is_empty() {
            if let (Ok(inner), true) = (Composite::try_from(kind), depth < MAX_DEPTH) {
                flatten(btf, layout, left, inner, (offset, depth + 1))?;
            }
            continue;
        }
        layout.members.push(Member { name, offset, size: size_of(kind), kind: kind_of(kind) });
    }
    Ok(())
}

fn kind_of(member: BtfType<'_>) -> MemberKind {
    if let Ok(int) = Int::try_from(member) {
        return match int.encoding {
            IntEncoding::Signed => MemberKind::Signed,
            _ => MemberKind::Unsigned,
        };
    }
    if let Ok(array) = Array::try_from(member) {
        let element = array.contained_type().skip_mods_and_typedefs();
        return if element.name() == Some(OsStr::new("char")) { MemberKind::Chars } else { MemberKind::Bytes };
    }
    let signed = Enum::try_from(member).map(|it| it.is_signed()).or_else(|it| Enum64::try_from(it).map(|it| it.is_signed()));
    match signed {
        Ok(true) => MemberKind::Signed,
        Ok(false) => MemberKind::Unsigned,
        Err(_) if Ptr::try_from(member).is_ok() => MemberKind::Unsigned,
        Err(_) => MemberKind::Bytes,
    }
}

/// Returns the size in bytes; 0 for a flexible array.
fn size_of(member: BtfType<'_>) -> u32 {
    let size = if let Ok(array) = Array::try_from(member) {
        array.capacity().saturating_mul(size_of(array.contained_type().skip_mods_and_typedefs()) as usize)
    } else if let Ok(int) = Int::try_from(member) {
        int.size()
    } else if let Ok(composite) = Composite::try_from(member) {
        composite.size()
    } else if let Ok(it) = Enum::try_from(member) {
        it.size()
    } else if let Ok(it) = Enum64::try_from(member) {
        it.size()
    } else if let Ok(it) = Float::try_from(member) {
        it.size()
    } else {
        // A pointer: the BPF machine has 64 bits.
        8
    };
    u32::try_from(size).unwrap_or(u32::MAX)
}

fn text(name: Option<&OsStr>) -> String {
    talk::name(name.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout_of(name: &str) -> Layout {
        let object = bpf::PROBES.iter().find(|object| object.name == name).unwrap();
        read(name, &Btf::from_raw(name, object.bytes).unwrap().unwrap()).unwrap()
    }

    fn member(layout: &Layout, name: &str) -> (u32, u32, MemberKind) {
        let member = layout.members.iter().find(|member| member.name == name).unwrap();
        (member.offset, member.size, member.kind)
    }

    #[test]
    fn the_layout_of_file_record_is_that_of_its_header() {
        let layout = layout_of("file");
        assert_eq!((layout.name.as_str(), layout.size, layout.members.len()), ("file_record", 72, 12));
        assert_eq!(member(&layout, "time_ns"), (0, 8, MemberKind::Unsigned));
        assert_eq!(member(&layout, "ret"), (44, 4, MemberKind::Signed));
        assert_eq!(member(&layout, "comm"), (56, 16, MemberKind::Chars));
        assert_eq!(member(&layout, "path"), (72, 0, MemberKind::Chars));
    }

    #[test]
    fn byte_arrays_are_bytes_and_not_text() {
        let layout = layout_of("tcp");
        assert_eq!(layout.size, 128);
        assert_eq!(member(&layout, "local_address"), (80, 16, MemberKind::Bytes));
        assert_eq!(member(&layout, "role"), (78, 1, MemberKind::Unsigned));
    }

    #[test]
    fn the_layout_of_exec_record_ends_with_its_data() {
        let layout = layout_of("exec");
        assert_eq!(layout.members.last().map(|member| (member.name.as_str(), member.size)), Some(("data", 0)));
        assert_eq!(member(&layout, "exit_code"), (48, 4, MemberKind::Signed));
    }
}
