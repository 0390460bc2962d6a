//! As much of an executable as a uprobe needs. The file is somebody else's and may be made to hurt: nothing is mapped (who truncates a
//! mapped file kills its readers), every read has a bound, and no loop is longer than what was read.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// The most sections and segments that are believed: an executable has some forty and some ten.
const HEADERS_MAX: usize = 1024;
/// The most of one section: four times the symbols of a large browser.
const SECTION_BYTES_MAX: u64 = 64 << 20;
/// The most of one file in all.
const FILE_BYTES_MAX: u64 = 192 << 20;
/// A name of a section that is compared with ours.
const NAME_MAX: usize = 32;
/// `Elf64_Sym`.
const SYMBOL: usize = 24;
/// Symbols read at once: 1.5 MiB.
const SYMBOLS_AT_ONCE: usize = 64 << 10;

#[cfg(target_arch = "x86_64")]
const MACHINE: u16 = 62;
#[cfg(target_arch = "aarch64")]
const MACHINE: u16 = 183;

const SHT_SYMTAB: u32 = 2;
const SHT_NOBITS: u32 = 8;
const SHT_DYNSYM: u32 = 11;
const PT_LOAD: u32 = 1;
const PF_X: u32 = 1;
const STT_FUNC: u8 = 2;

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ElfError {
    #[error("not a 64-bit executable for this machine")]
    Foreign,
    #[error("malformed: {0}")]
    Malformed(&'static str),
    #[error("{what} has {bytes} bytes, which is more than a sane file has")]
    TooLarge { what: &'static str, bytes: u64 },
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
}

/// An ELF file, its headers read.
pub(crate) struct Elf<'file> {
    file: &'file File,
    length: u64,
    /// Bytes that may still be read.
    budget: Cell<u64>,
    sections: Vec<Section>,
    segments: Vec<Segment>,
}

/// A section. Its content is not read yet.
#[derive(Debug, Clone)]
pub(crate) struct Section {
    pub(crate) name: String,
    pub(crate) address: u64,
    kind: u32,
    offset: u64,
    size: u64,
    link: u32,
}

/// An executable stretch of the file.
#[derive(Debug, Clone, Copy)]
struct Segment {
    address: u64,
    offset: u64,
    size: u64,
}

/// A function, by its address before relocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) address: u64,
    /// 0 if the symbol does not say.
    pub(crate) size: u64,
}

// === impl Elf ===

impl<'file> Elf<'file> {
    pub(crate) fn open(file: &'file File) -> Result<Self, ElfError> {
        let length = file.metadata()?.len();
        let mut elf = Self { file, length, budget: Cell::new(FILE_BYTES_MAX), sections: Vec::new(), segments: Vec::new() };
        let head = elf.read(0, 64, "the header").map_err(|_| ElfError::Foreign)?;
        let (class, order, machine) = (head.get(4), head.get(5), u16_at(&head, 18));
        if !head.starts_with(b"\x7fELF") || class != Some(&2) || order != Some(&1) || machine != Some(MACHINE) {
            return Err(ElfError::Foreign);
        }
        let cut = || ElfError::Malformed("the header is cut off");
        let table = |offset, size, count| {
            Some((u64_at(&head, offset)?, usize::from(u16_at(&head, size)?), usize::from(u16_at(&head, count)?)))
        };
        elf.segments = elf.read_segments(table(32, 54, 56).ok_or_else(cut)?)?;
        elf.sections = elf.read_sections(table(40, 58, 60).ok_or_else(cut)?, u16_at(&head, 62).ok_or_else(cut)?)?;
        Ok(elf)
    }

    pub(crate) fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// The content of a section; empty for one that has none in the file.
    pub(crate) fn content(&self, section: &Section) -> Result<Vec<u8>, ElfError> {
        if section.kind == SHT_NOBITS { Ok(Vec::new()) } else { self.read(section.offset, section.size, "a section") }
    }

    /// Functions of these names, in their order; the dynamic symbols first, which are few.
    pub(crate) fn functions(&self, names: &[&str]) -> Result<Vec<Option<Function>>, ElfError> {
        let mut found = vec![None; names.len()];
        for kind in [SHT_DYNSYM, SHT_SYMTAB] {
            if let Some(table) = self.sections.iter().find(|section| section.kind == kind)
                && found.contains(&None)
            {
                self.find_in(table, names, &mut found)?;
            }
        }
        Ok(found)
    }

    /// What will stand at this address once the program is loaded, before its own address is added; None if nothing is put there.
    pub(crate) fn relocated(&self, address: u64) -> Result<Option<u64>, ElfError> {
        /// `Elf64_Rela`.
        const RELOCATION: usize = 24;
        let Some(table) = self.section(".rela.dyn") else { return Ok(None) };
        let table = self.content(table)?;
        let found = table.chunks_exact(RELOCATION).find(|entry| u64_at(entry, 0) == Some(address));
        Ok(found.and_then(|entry| u64_at(entry, 16)).filter(|value| *value != 0))
    }

    /// Where in the file the instruction at this address is.
    pub(crate) fn offset_of(&self, address: u64) -> Option<u64> {
        let segment = self.segment(address)?;
        (address - segment.address).checked_add(segment.offset)
    }

    /// At most `size` bytes of code from an address on.
    pub(crate) fn code(&self, address: u64, size: u64) -> Result<Vec<u8>, ElfError> {
        let outside = || ElfError::Malformed("a function lies outside of the code");
        let segment = self.segment(address).ok_or_else(outside)?;
        let rest = segment.size - (address - segment.address);
        self.read(self.offset_of(address).ok_or_else(outside)?, size.min(rest), "a function")
    }

    fn segment(&self, address: u64) -> Option<&Segment> {
        self.segments.iter().find(|segment| address.checked_sub(segment.address).is_some_and(|into| into < segment.size))
    }

    /// Reads exactly this much, if it is there and in proportion.
    fn read(&self, offset: u64, size: u64, what: &'static str) -> Result<Vec<u8>, ElfError> {
        if offset.checked_add(size).is_none_or(|end| end > self.length) {
            return Err(ElfError::Malformed("something lies behind the end of the file"));
        }
        let left = self.budget.get().checked_sub(size);
        let (Some(left), true) = (left, size <= SECTION_BYTES_MAX) else {
            return Err(ElfError::TooLarge { what, bytes: size });
        };
        self.budget.set(left);
        let mut bytes = vec![0; usize::try_from(size).map_err(|_| ElfError::TooLarge { what, bytes: size })?];
        self.file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    /// A table of headers: offset, size of an entry, entries.
    fn read_table(&self, (offset, size, count): (u64, usize, usize), least: usize) -> Result<Vec<Vec<u8>>, ElfError> {
        if count == 0 {
            return Ok(Vec::new());
        }
        if count > HEADERS_MAX || !(least..=1024).contains(&size) {
            return Err(ElfError::Malformed("its tables of headers are out of proportion"));
        }
        let bytes = self.read(offset, (size * count) as u64, "a table of headers")?;
        Ok(bytes.chunks_exact(size).map(<[u8]>::to_vec).collect())
    }

    fn read_segments(&self, table: (u64, usize, usize)) -> Result<Vec<Segment>, ElfError> {
        let segments = self.read_table(table, 56)?;
        let read = |header: &Vec<u8>| {
            let executable = u32_at(header, 0)? == PT_LOAD && u32_at(header, 4)? & PF_X != 0;
            let segment = Segment { offset: u64_at(header, 8)?, address: u64_at(header, 16)?, size: u64_at(header, 32)? };
            executable.then_some(segment)
        };
        Ok(segments.iter().filter_map(read).collect())
    }

    fn read_sections(&self, table: (u64, usize, usize), names: u16) -> Result<Vec<Section>, ElfError> {
        let headers = self.read_table(table, 64)?;
        let read = |header: &Vec<u8>| {
            Some(Section {
                name: String::new(),
                kind: u32_at(header, 4)?,
                address: u64_at(header, 16)?,
                offset: u64_at(header, 24)?,
                size: u64_at(header, 32)?,
                link: u32_at(header, 40)?,
            })
        };
        let mut sections: Vec<Section> = headers.iter().filter_map(read).collect();
        let Some(table) = sections.get(usize::from(names)).cloned() else { return Ok(sections) };
        let text = self.content(&table)?;
        for (section, header) in sections.iter_mut().zip(&headers) {
            let name = u32_at(header, 0).and_then(|at| text.get(at as usize..)).unwrap_or_default();
            let name = name.get(..NAME_MAX).unwrap_or(name);
            let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
            section.name = String::from_utf8_lossy(name.get(..end).unwrap_or_default()).into_owned();
        }
        Ok(sections)
    }

    fn find_in(&self, table: &Section, names: &[&str], found: &mut [Option<Function>]) -> Result<(), ElfError> {
        let Some(strings) = self.sections.get(table.link as usize) else {
            return Err(ElfError::Malformed("its symbols have no names"));
        };
        let strings = self.content(strings)?;
        let mut offset = table.offset;
        let mut left = table.size;
        while left >= SYMBOL as u64 {
            let size = left.min((SYMBOL * SYMBOLS_AT_ONCE) as u64);
            for symbol in self.read(offset, size, "the symbols")?.chunks_exact(SYMBOL) {
                let Some((name, function)) = function_of(symbol) else { continue };
                let Some(name) = strings.get(name as usize..) else { continue };
                for (wanted, slot) in names.iter().zip(found.iter_mut()).filter(|(_, slot)| slot.is_none()) {
                    if name.strip_prefix(wanted.as_bytes()).is_some_and(|rest| rest.first() == Some(&0)) {
                        *slot = Some(function);
                    }
                }
            }
            offset += size;
            left -= size;
        }
        Ok(())
    }
}

/// Place of its name, and the function, of a symbol that is a function and defined here.
fn function_of(symbol: &[u8]) -> Option<(u32, Function)> {
    let function = Function { address: u64_at(symbol, 8)?, size: u64_at(symbol, 16)? };
    let is_function = symbol.get(4)? & 15 == STT_FUNC && u16_at(symbol, 6)? != 0 && function.address != 0;
    is_function.then_some((u32_at(symbol, 0)?, function))
}

// === numbers in bytes ===

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    number(bytes, at).map(u16::from_le_bytes)
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    number(bytes, at).map(u32::from_le_bytes)
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    number(bytes, at).map(u64::from_le_bytes)
}

#[cfg(test)]
mod hostile;
