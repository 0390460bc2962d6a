//! Reads those parts of an executable that a uprobe needs. The file belongs to others and may be malicious: it is not mapped (truncating a
//! mapped file kills its readers), every read has a maximum size, and no loop is longer than the data that was read.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use object::LittleEndian as Le;
use object::elf::{self, FileHeader64, ProgramHeader64, Rela64, SectionHeader64, Sym64};
use object::pod::{self, Pod};
use object::read::elf::{FileHeader as _, SectionHeader as _};

/// Maximum number of sections, and of segments, that are accepted: an executable has some forty and some ten.
const HEADERS_MAX: usize = 1024;
/// Maximum number of bytes of one section: four times the symbols of a large browser.
const SECTION_BYTES_MAX: u64 = 64 << 20;
/// Maximum number of bytes read of one file in all.
const FILE_BYTES_MAX: u64 = 192 << 20;
/// Maximum length of a section name that is compared.
const NAME_MAX: usize = 32;
/// Number of symbols read at once: 1.5 MiB.
const SYMBOLS_AT_ONCE: u64 = 64 << 10;
const SYMBOL: u64 = size_of::<Sym64<Le>>() as u64;

#[cfg(target_arch = "x86_64")]
const MACHINE: u16 = elf::EM_X86_64;
#[cfg(target_arch = "aarch64")]
const MACHINE: u16 = elf::EM_AARCH64;

/// Why a file cannot be read.
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

/// An ELF file whose headers have been read.
pub(crate) struct Elf<'file> {
    file: &'file File,
    length: u64,
    /// Number of bytes that may still be read.
    budget: Cell<u64>,
    sections: Vec<Section>,
    /// The segments with code.
    segments: Vec<ProgramHeader64<Le>>,
}

/// A section, whose content is not read yet.
#[derive(Debug, Clone)]
pub(crate) struct Section {
    pub(crate) name: String,
    pub(crate) address: u64,
    header: SectionHeader64<Le>,
}

/// A function; its address is the one before relocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) address: u64,
    /// Size in bytes; 0 if the symbol does not state it.
    pub(crate) size: u64,
}

// === impl Elf ===

impl<'file> Elf<'file> {
    pub(crate) fn open(file: &'file File) -> Result<Self, ElfError> {
        let length = file.metadata()?.len();
        let mut elf = Self { file, length, budget: Cell::new(FILE_BYTES_MAX), sections: Vec::new(), segments: Vec::new() };
        let head = elf.read(0, 64, "the header").map_err(|_| ElfError::Foreign)?;
        let Some(head) = structs::<FileHeader64<Le>>(&head).first() else { return Err(ElfError::Foreign) };
        if !head.is_supported() || !head.is_little_endian() || head.e_machine.get(Le) != MACHINE {
            return Err(ElfError::Foreign);
        }
        elf.segments = elf.read_headers(head.e_phoff.get(Le), head.e_phnum.get(Le), head.e_phentsize.get(Le))?;
        elf.segments.retain(|it| it.p_type.get(Le) == elf::PT_LOAD && it.p_flags.get(Le) & elf::PF_X != 0);
        let headers = elf.read_headers(head.e_shoff.get(Le), head.e_shnum.get(Le), head.e_shentsize.get(Le))?;
        elf.sections = elf.with_names(headers, head.e_shstrndx.get(Le))?;
        Ok(elf)
    }

    pub(crate) fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// Returns the content of a section; empty if it has none in the file.
    pub(crate) fn content(&self, section: &Section) -> Result<Vec<u8>, ElfError> {
        self.content_of(&section.header)
    }

    /// Finds functions by these names, in their order; the dynamic symbols are searched first, as they are few.
    pub(crate) fn functions(&self, names: &[&str]) -> Result<Vec<Option<Function>>, ElfError> {
        let mut found = vec![None; names.len()];
        for kind in [elf::SHT_DYNSYM, elf::SHT_SYMTAB] {
            if let Some(table) = self.sections.iter().find(|section| section.header.sh_type.get(Le) == kind)
                && found.contains(&None)
            {
                self.find_in(&table.header, names, &mut found)?;
            }
        }
        Ok(found)
    }

    /// Returns the value that relocation will store at this address, without the load address; None if no relocation stores any.
    pub(crate) fn relocated(&self, address: u64) -> Result<Option<u64>, ElfError> {
        let Some(Section { header: table, .. }) = self.section(".rela.dyn") else { return Ok(None) };
        let table = self.content_of(table)?;
        let found = structs::<Rela64<Le>>(&table).iter().find(|entry| entry.r_offset.get(Le) == address);
        Ok(found.map(|entry| entry.r_addend.get(Le).cast_unsigned()).filter(|value| *value != 0))
    }

    /// Returns the file offset of the instruction at this address.
    pub(crate) fn offset_of(&self, address: u64) -> Option<u64> {
        let segment = self.segment(address)?;
        (address - segment.p_vaddr.get(Le)).checked_add(segment.p_offset.get(Le))
    }

    /// Returns at most `size` bytes of code from an address on.
    pub(crate) fn code(&self, address: u64, size: u64) -> Result<Vec<u8>, ElfError> {
        let outside = || ElfError::Malformed("a function lies outside of the code");
        let segment = self.segment(address).ok_or_else(outside)?;
        let rest = segment.p_filesz.get(Le) - (address - segment.p_vaddr.get(Le));
        self.read(self.offset_of(address).ok_or_else(outside)?, size.min(rest), "a function")
    }

    fn segment(&self, address: u64) -> Option<&ProgramHeader64<Le>> {
        let has = |segment: &&ProgramHeader64<Le>| {
            address.checked_sub(segment.p_vaddr.get(Le)).is_some_and(|into| into < segment.p_filesz.get(Le))
        };
        self.segments.iter().find(has)
    }

    fn content_of(&self, header: &SectionHeader64<Le>) -> Result<Vec<u8>, ElfError> {
        let (offset, size) = header.file_range(Le).unwrap_or_default();
        self.read(offset, size, "a section")
    }

    /// Reads exactly `size` bytes, if the file has them and the budget allows it.
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

    /// Reads a table of headers.
    fn read_headers<T: Pod>(&self, offset: u64, count: u16, size: u16) -> Result<Vec<T>, ElfError> {
        if count == 0 {
            return Ok(Vec::new());
        }
        if usize::from(count) > HEADERS_MAX || usize::from(size) != size_of::<T>() {
            return Err(ElfError::Malformed("its tables of headers are out of proportion"));
        }
        Ok(structs(&self.read(offset, u64::from(count) * u64::from(size), "a table of headers")?).to_vec())
    }

    fn with_names(&self, headers: Vec<SectionHeader64<Le>>, names: u16) -> Result<Vec<Section>, ElfError> {
        let text = headers.get(usize::from(names)).map(|table| self.content_of(table)).transpose()?.unwrap_or_default();
        let section = |header: SectionHeader64<Le>| {
            let name = text.get(header.sh_name.get(Le) as usize..).unwrap_or_default();
            let name = name.get(..NAME_MAX).unwrap_or(name).split(|byte| *byte == 0).next().unwrap_or_default();
            Section { name: String::from_utf8_lossy(name).into_owned(), address: header.sh_addr.get(Le), header }
        };
        Ok(headers.into_iter().map(section).collect())
    }

    fn find_in(&self, table: &SectionHeader64<Le>, names: &[&str], found: &mut [Option<Function>]) -> Result<(), ElfError> {
        let Some(strings) = self.sections.get(table.sh_link.get(Le) as usize) else {
            return Err(ElfError::Malformed("its symbols have no names"));
        };
        let strings = self.content(strings)?;
        let mut offset = table.sh_offset.get(Le);
        let mut left = table.sh_size.get(Le);
        while left >= SYMBOL {
            let size = left.min(SYMBOL * SYMBOLS_AT_ONCE);
            for symbol in structs::<Sym64<Le>>(&self.read(offset, size, "the symbols")?).iter().filter(is_function) {
                let Some(name) = strings.get(symbol.st_name.get(Le) as usize..) else { continue };
                for (wanted, slot) in names.iter().zip(found.iter_mut()).filter(|(_, slot)| slot.is_none()) {
                    if name.strip_prefix(wanted.as_bytes()).is_some_and(|rest| rest.first() == Some(&0)) {
                        *slot = Some(Function { address: symbol.st_value.get(Le), size: symbol.st_size.get(Le) });
                    }
                }
            }
            offset += size;
            left -= size;
        }
        Ok(())
    }
}

/// Casts bytes to as many structs as they hold. Bytes need no alignment: numbers in the structs are byte arrays (feature `unaligned`).
fn structs<T: Pod>(bytes: &[u8]) -> &[T] {
    pod::slice_from_bytes(bytes, bytes.len() / size_of::<T>()).map_or(&[], |(structs, _)| structs)
}

/// Whether the symbol is a function that is defined in this file.
fn is_function(symbol: &&Sym64<Le>) -> bool {
    symbol.st_type() == elf::STT_FUNC && symbol.st_shndx.get(Le) != elf::SHN_UNDEF && symbol.st_value.get(Le) != 0
}

// === numbers in bytes ===

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    number(bytes, at).map(u32::from_le_bytes)
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    number(bytes, at).map(u64::from_le_bytes)
}

#[cfg(test)]
mod hostile;
