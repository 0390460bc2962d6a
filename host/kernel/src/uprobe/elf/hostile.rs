//! Malicious files: whatever they claim, they are read in bounded time and space, and refused.

use std::fs::File;
use std::io::Write;
use std::time::Instant;

use super::{Elf, ElfError, Function, MACHINE, SECTION_BYTES_MAX};
use crate::uprobe::target;

const HEADER: usize = 64;
const SEGMENT: usize = 56;
const SECTION: usize = 64;
/// Offsets of the parts of `small()`.
const SEGMENTS: u64 = 64;
const CODE: u64 = 0x100;
const NAMES: u64 = 0x200;
const SYMBOLS: u64 = 0x300;
const SECTIONS: u64 = 0x400;

fn put(bytes: &mut [u8], at: u64, value: &[u8]) {
    bytes[at as usize..][..value.len()].copy_from_slice(value);
}

fn section(bytes: &mut [u8], index: u64, kind: u32, offset: u64, size: u64, link: u32) {
    let at = SECTIONS + index * SECTION as u64;
    put(bytes, at + 4, &kind.to_le_bytes());
    put(bytes, at + 24, &offset.to_le_bytes());
    put(bytes, at + 32, &size.to_le_bytes());
    put(bytes, at + 40, &link.to_le_bytes());
}

/// A library with only `SSL_read` and `SSL_write`, at 0x401000.
fn small() -> Vec<u8> {
    let mut bytes = vec![0; SECTIONS as usize + 3 * SECTION];
    put(&mut bytes, 0, b"\x7fELF\x02\x01\x01");
    for (at, value) in
        [(18, MACHINE), (52, HEADER as u16), (54, SEGMENT as u16), (56, 1), (58, SECTION as u16), (60, 3), (62, 1)]
    {
        put(&mut bytes, at, &value.to_le_bytes());
    }
    put(&mut bytes, 32, &SEGMENTS.to_le_bytes());
    put(&mut bytes, 40, &SECTIONS.to_le_bytes());
    put(&mut bytes, SEGMENTS, &[1, 0, 0, 0, 5]);
    for (at, value) in [(8, CODE), (16, 0x40_1000), (32, 0x80)] {
        put(&mut bytes, SEGMENTS + at, &value.to_le_bytes());
    }
    put(&mut bytes, CODE, &[0x90; 0x80]);
    put(&mut bytes, NAMES, b"\0SSL_read\0SSL_write\0");
    for (index, (name, address)) in [(1_u32, 0x40_1000_u64), (10, 0x40_1010)].into_iter().enumerate() {
        let at = SYMBOLS + index as u64 * 24;
        put(&mut bytes, at, &name.to_le_bytes());
        put(&mut bytes, at + 4, &[0x12, 0, 1, 0]);
        put(&mut bytes, at + 8, &address.to_le_bytes());
    }
    section(&mut bytes, 1, 3, NAMES, 20, 0);
    section(&mut bytes, 2, 11, SYMBOLS, 48, 1);
    bytes
}

fn file(bytes: &[u8]) -> File {
    let mut file = tempfile();
    file.write_all(bytes).unwrap();
    file
}

/// A file without a name.
fn tempfile() -> File {
    rustix::fs::memfd_create("elf", rustix::fs::MemfdFlags::empty()).unwrap().into()
}

#[test]
fn an_honest_file_is_understood() {
    let file = file(&small());
    let elf = Elf::open(&file).unwrap();
    let found = elf.functions(&["SSL_write", "SSL_writ", "SSL_read"]).unwrap();
    assert_eq!(found, [Some(Function { address: 0x40_1010, size: 0 }), None, Some(Function { address: 0x40_1000, size: 0 })]);
    assert_eq!((elf.offset_of(0x40_1010), elf.offset_of(0x40_1080)), (Some(CODE + 0x10), None));
    let target = target::find(&file).unwrap().unwrap();
    assert_eq!(target.functions, ["SSL_read", "SSL_write"]);
    assert_eq!(target.sites[1].offset, CODE + 0x10);
}

#[test]
fn every_byte_may_lie_and_every_end_may_be_missing() {
    let honest = small();
    let began = Instant::now();
    for at in 0..honest.len() {
        for flipped in [0xff, 0x80, 1] {
            let mut lying = honest.clone();
            lying[at] ^= flipped;
            let _ = target::find(&file(&lying));
        }
        let _ = target::find(&file(&honest[..at]));
    }
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
}

#[test]
fn sizes_that_are_out_of_proportion_are_refused_before_memory_is_asked_for() {
    let mut bytes = small();
    // As large as it claims, and sparse throughout.
    let huge = 1_u64 << 40;
    section(&mut bytes, 2, 11, SYMBOLS, huge, 1);
    section(&mut bytes, 1, 3, NAMES, huge, 0);
    let file = file(&bytes);
    file.set_len(huge * 2).unwrap();
    let refused = Elf::open(&file).err().unwrap();
    assert!(matches!(refused, ElfError::TooLarge { bytes, .. } if bytes == huge), "{refused}");
}

#[test]
fn a_table_of_symbols_without_end_costs_no_more_than_the_budget_of_a_file() {
    let mut bytes = small();
    section(&mut bytes, 2, 11, SYMBOLS, 1 << 40, 1);
    let file = file(&bytes);
    file.set_len(1 << 41).unwrap();
    let began = Instant::now();
    let refused = Elf::open(&file).unwrap().functions(&["SSL_shutdown"]).unwrap_err();
    assert!(matches!(refused, ElfError::TooLarge { .. }), "{refused}");
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
}

#[test]
fn names_without_an_end_are_not_followed() {
    let mut bytes = small();
    let size = SECTION_BYTES_MAX / 4;
    let (names, symbols) = (1_u64 << 20, 1_u64 << 30);
    section(&mut bytes, 1, 3, names, size, 0);
    section(&mut bytes, 2, 11, symbols, size, 1);
    let mut file = file(&bytes);
    file.set_len(symbols + size).unwrap();
    // 700,000 functions, the name of each of which is 16 MiB of `S`.
    let symbol = [&1_u32.to_le_bytes()[..], &[0x12, 0, 1, 0], &[1; 16]].concat();
    write_at(&mut file, names, &vec![b'S'; size as usize]);
    write_at(&mut file, symbols, &symbol.repeat(size as usize / 24));
    let began = Instant::now();
    assert!(target::find(&file).unwrap().is_none());
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
}

fn write_at(file: &mut File, offset: u64, bytes: &[u8]) {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset).unwrap();
}
