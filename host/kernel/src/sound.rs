//! Checks that an object's type information (.BTF) has no cycles and is not nested too deeply: libbpf verifies that every referenced type
//! exists, and then follows references until they end. In a cycle they never do, and the thread that follows them hangs.

/// Maximum depth to which types contain each other; the kernel's own limit is 32.
const DEPTH_MAX: usize = 64;
/// Sizes of `Elf64_Ehdr`, `Elf64_Shdr`, `struct btf_header`, `struct btf_type`.
const ELF_HEADER: usize = 64;
const SECTION: usize = 64;
const BTF_HEADER: usize = 24;
const TYPE: usize = 12;
const MAGIC: u16 = 0xeb9f;

/// `BTF_KIND_...` of types that contain other types.
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const TYPEDEF: u32 = 8;
const RESTRICT: u32 = 11;
const VAR: u32 = 14;
const TYPE_TAG: u32 = 18;

/// Why an object's type information is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unsound {
    #[error("its table of sections is malformed")]
    Sections,
    #[error("its type information (.BTF) is cut off")]
    Cut,
    #[error("its type information (.BTF) has another byte order or format")]
    Format,
    #[error("its type information (.BTF) is corrupt: type {0} is of no known kind")]
    Kind(u32),
    #[error("its type information (.BTF) is corrupt: type {0} is part of itself")]
    Circle(u32),
    #[error("its type information (.BTF) is corrupt: type {0} is nested more than {DEPTH_MAX} deep")]
    Depth(u32),
}

/// Checks the type information of an ELF file, if it has any, or of a file of raw BTF.
pub(crate) fn check(file: &[u8]) -> Result<(), Unsound> {
    if !file.starts_with(b"\x7fELF") {
        return Types::read(file)?.check();
    }
    // Only 64-bit little-endian files have the layout that is read below.
    if file.get(4..6) != Some(&[2, 1]) {
        return Err(Unsound::Format);
    }
    let header = file.get(..ELF_HEADER).ok_or(Unsound::Sections)?;
    let table = u64_at(header, 40).and_then(|at| usize::try_from(at).ok());
    let table = table.and_then(|at| file.get(at..)).ok_or(Unsound::Sections)?;
    let numbers = (u16_at(header, 58), u16_at(header, 60), u16_at(header, 62));
    // A count of 0 means that it is stored elsewhere, for more sections than any object has.
    let (Some(64), Some(count @ 1..), Some(names)) = numbers else { return Err(Unsound::Sections) };
    let content = |section: &[u8]| {
        let (at, size) = (usize::try_from(u64_at(section, 24)?).ok()?, usize::try_from(u64_at(section, 32)?).ok()?);
        file.get(at..)?.get(..size)
    };
    let sections = table.chunks_exact(SECTION).take(usize::from(count));
    let names = sections.clone().nth(usize::from(names)).and_then(content).ok_or(Unsound::Sections)?;
    let is_btf = |section: &&[u8]| {
        let name = u32_at(section, 0).and_then(|at| names.get(at as usize..));
        name.is_some_and(|name| name.starts_with(b".BTF\0"))
    };
    // libbpf takes the last of several sections.
    sections.filter(is_btf).try_for_each(|section| Types::read(content(section).ok_or(Unsound::Cut)?)?.check())
}

/// The types of one .BTF section; the first is number 1.
struct Types<'a> {
    all: Vec<&'a [u8]>,
}

// === impl Types ===

impl<'a> Types<'a> {
    fn read(btf: &'a [u8]) -> Result<Self, Unsound> {
        if u16_at(btf, 0) != Some(MAGIC) {
            return Err(Unsound::Format);
        }
        let word = |at| u32_at(btf, at).map(|word| word as usize).ok_or(Unsound::Cut);
        let (header, offset, size) = (word(4)?, word(8)?, word(12)?);
        if header < BTF_HEADER {
            return Err(Unsound::Cut);
        }
        let mut rest = btf.get(header..).and_then(|it| it.get(offset..)).and_then(|it| it.get(..size)).ok_or(Unsound::Cut)?;
        let mut all = Vec::new();
        while !rest.is_empty() {
            let info = u32_at(rest, 4).ok_or(Unsound::Cut)?;
            let entries = (info & 0xffff) as usize;
            let more = match kind(info) {
                2 | 7..=12 | 16 | TYPE_TAG => 0,
                1 | VAR | 17 => 4,
                ARRAY => 12,
                STRUCT | UNION | 15 | 19 => entries * 12,
                6 | 13 => entries * 8,
                _ => return Err(Unsound::Kind(number(all.len()))),
            };
            let (this, behind) = rest.split_at_checked(TYPE + more).ok_or(Unsound::Cut)?;
            all.push(this);
            rest = behind;
        }
        Ok(Self { all })
    }

    /// Walks all that a type contains, without recursion: the file determines the depth.
    fn check(&self) -> Result<(), Unsound> {
        /// State of a type: 0 if not visited, this while its parts are visited, else one more than its depth.
        const ON_THE_WAY: u8 = u8::MAX;
        let mut depths = vec![0_u8; self.all.len()];
        let mut way: Vec<(u32, usize, u8)> = Vec::new();
        for first in 0..self.all.len() {
            way.push((number(first), 0, 0));
            while let Some((current, next, deepest)) = way.last_mut() {
                let Some(depth) = depths.get_mut(*current as usize - 1) else {
                    // The type does not exist: libbpf reports that.
                    way.pop();
                    continue;
                };
                match (*depth, *next) {
                    (0, 0) => *depth = ON_THE_WAY,
                    (ON_THE_WAY, 0) => return Err(Unsound::Circle(*current)),
                    (known, 0) => {
                        way.pop();
                        if let Some((_, _, deepest)) = way.last_mut() {
                            *deepest = known.max(*deepest);
                        }
                        continue;
                    }
                    _ => {}
                }
                if let Some(part) = self.part(*current, *next) {
                    *next += 1;
                    // 0 is void.
                    if part != 0 {
                        way.push((part, 0, 0));
                    }
                    continue;
                }
                let reached = *deepest + 1;
                if usize::from(reached) > DEPTH_MAX {
                    return Err(Unsound::Depth(*current));
                }
                *depth = reached;
                way.pop();
                if let Some((_, _, deepest)) = way.last_mut() {
                    *deepest = reached.max(*deepest);
                }
            }
        }
        Ok(())
    }

    /// Returns the type of part `index` of a type, if it has one; the target of a pointer is not a part.
    fn part(&self, number: u32, index: usize) -> Option<u32> {
        let this = self.all.get(number as usize - 1)?;
        let of_one = || if index == 0 { u32_at(this, 8) } else { None };
        match kind(u32_at(this, 4)?) {
            ARRAY if index == 0 => u32_at(this, TYPE),
            // A member has three words: name, type, offset.
            STRUCT | UNION => u32_at(this, TYPE + index * 12 + 4),
            TYPEDEF..=RESTRICT | VAR | TYPE_TAG => of_one(),
            _ => None,
        }
    }
}

fn kind(info: u32) -> u32 {
    info >> 24 & 0x1f
}

fn number(index: usize) -> u32 {
    u32::try_from(index + 1).unwrap_or(u32::MAX)
}

fn at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn u16_at(bytes: &[u8], place: usize) -> Option<u16> {
    at(bytes, place).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], place: usize) -> Option<u32> {
    at(bytes, place).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], place: usize) -> Option<u64> {
    at(bytes, place).map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INT: [u32; 4] = [0, 1 << 24, 4, 32];

    fn btf(types: &[&[u32]]) -> Vec<u8> {
        let words: Vec<u32> = types.iter().flat_map(|words| words.iter().copied()).collect();
        let size = words.len() as u32 * 4;
        let header = [u32::from(MAGIC) | 1 << 16, BTF_HEADER as u32, 0, size, size, 1];
        let bytes = header.into_iter().chain(words).flat_map(u32::to_le_bytes);
        bytes.chain([0]).collect()
    }

    fn typedef(of: u32) -> [u32; 3] {
        [0, TYPEDEF << 24, of]
    }

    fn structure(members: &[u32]) -> Vec<u32> {
        let members = members.iter().flat_map(|of| [0, *of, 0]);
        [0, (STRUCT << 24) | (members.clone().count() as u32 / 3), 8].into_iter().chain(members).collect()
    }

    #[test]
    fn types_that_are_part_of_themselves_are_refused_whatever_they_go_through() {
        assert_eq!(check(&btf(&[&INT, &typedef(2)])), Err(Unsound::Circle(2)));
        assert_eq!(check(&btf(&[&typedef(2), &[0, 10 << 24, 3], &[0, 9 << 24, 1]])), Err(Unsound::Circle(1)));
        assert_eq!(check(&btf(&[&INT, &[0, ARRAY << 24, 0, 2, 1, 4]])), Err(Unsound::Circle(2)));
        assert_eq!(check(&btf(&[&INT, &structure(&[1, 3]), &typedef(2)])), Err(Unsound::Circle(2)));
        assert_eq!(check(&btf(&[&[0, TYPE_TAG << 24, 1]])), Err(Unsound::Circle(1)));
    }

    #[test]
    fn what_points_to_itself_or_shares_a_part_is_no_circle() {
        // struct list { struct list *next; int a, b; }
        assert_eq!(check(&btf(&[&INT, &structure(&[3, 1, 1]), &[0, 2 << 24, 2], &typedef(2), &typedef(2)])), Ok(()));
        assert_eq!(check(&btf(&[&[0, 2 << 24, 0], &[0, 10 << 24, 0]])), Ok(()), "void");
        assert_eq!(check(&btf(&[&typedef(9)])), Ok(()), "what is not there is libbpf's to refuse");
    }

    #[test]
    fn nesting_has_a_bound_and_long_chains_take_no_stack() {
        let chain = |length: u32| -> Vec<u8> {
            let types: Vec<[u32; 3]> =
                (0..length).map(|index| typedef(if index + 1 < length { index + 2 } else { 0 })).collect();
            btf(&types.iter().map(<[u32; 3]>::as_slice).collect::<Vec<_>>())
        };
        assert_eq!(check(&chain(DEPTH_MAX as u32)), Ok(()));
        assert!(matches!(check(&chain(DEPTH_MAX as u32 + 1)), Err(Unsound::Depth(_))));
        assert!(matches!(check(&chain(1_000_000)), Err(Unsound::Depth(_))));
    }

    #[test]
    fn the_probes_of_this_host_are_sound_and_every_byte_of_one_may_lie() {
        for object in bpf::PROBES {
            assert_eq!(check(object.bytes), Ok(()), "{}", object.name);
        }
        let honest = bpf::PROBES.iter().min_by_key(|object| object.bytes.len()).unwrap().bytes;
        for at in (0..honest.len()).step_by(7) {
            let mut lying = honest.to_vec();
            lying[at] ^= 0xff;
            let _ = check(&lying);
            let _ = check(&honest[..at]);
        }
        assert!(check(b"").is_err() && check(b"\x7fELF\x02\x01").is_err());
    }
}
