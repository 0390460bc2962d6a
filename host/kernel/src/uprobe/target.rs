//! Finds where to trace a file: the offsets of OpenSSL's functions, or of Go's, each with the cookie that identifies the function.

use std::fs::File;

use super::code::{self, FUNCTION_MAX};
use super::elf::{Elf, ElfError, Function};
use super::golang::{self, GoError};

/// `enum tls_site` of bpf/l7/tls.bpf.h.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Role {
    Read = 1,
    Write = 2,
    ReadEx = 3,
    WriteEx = 4,
    Handshake = 5,
    Forget = 6,
    GoRead = 16,
    GoReadDone = 17,
    GoWrite = 18,
    GoHandshake = 19,
}

/// Functions that OpenSSL 1.1 and 3 export; `_ex` from 1.1.1 on.
const OPENSSL: [(&str, Role); 7] = [
    ("SSL_read", Role::Read),
    ("SSL_write", Role::Write),
    ("SSL_read_ex", Role::ReadEx),
    ("SSL_write_ex", Role::WriteEx),
    ("SSL_do_handshake", Role::Handshake),
    ("SSL_free", Role::Forget),
    ("SSL_clear", Role::Forget),
];

const GO: [(&str, Role); 3] = [
    ("crypto/tls.(*Conn).Read", Role::GoRead),
    ("crypto/tls.(*Conn).Write", Role::GoWrite),
    ("crypto/tls.(*Conn).handshakeContext", Role::GoHandshake),
];

/// A breakpoint: its offset in the file, and its role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Site {
    pub(crate) offset: u64,
    pub(crate) role: Role,
}

/// The kind of program or library to which the sites belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Library {
    OpenSsl,
    Go,
}

/// The sites of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) library: Library,
    pub(crate) sites: Vec<Site>,
    /// Names of the functions, for display.
    pub(crate) functions: Vec<&'static str>,
}

/// Why a file with functions to trace cannot be traced.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TargetError {
    #[error(transparent)]
    Elf(#[from] ElfError),
    #[error(transparent)]
    Go(#[from] GoError),
}

/// Returns the targets of a file; None if it has none.
pub(crate) fn find(file: &File) -> Result<Option<Target>, TargetError> {
    let elf = match Elf::open(file) {
        Err(ElfError::Foreign) => return Ok(None),
        opened => opened?,
    };
    if golang::is_go(&elf)? { go(&elf) } else { openssl(&elf) }
}

fn openssl(elf: &Elf<'_>) -> Result<Option<Target>, TargetError> {
    let found = elf.functions(&OPENSSL.map(|(name, _)| name))?;
    let mut target = Target { library: Library::OpenSsl, sites: Vec::new(), functions: Vec::new() };
    for ((name, role), function) in OPENSSL.into_iter().zip(found) {
        let Some(Function { address, .. }) = function else { continue };
        // Twice the length of the longest instruction.
        let entry = address.saturating_add(code::c_entry(&elf.code(address, 30)?));
        target.add(elf, entry, role)?;
        target.functions.push(name);
    }
    // A library that only frees (a wrapper) has no plaintext.
    Ok(target.sites.iter().any(|site| matches!(site.role, Role::Read | Role::ReadEx)).then_some(target))
}

fn go(elf: &Elf<'_>) -> Result<Option<Target>, TargetError> {
    let found = golang::functions(elf, &GO.map(|(name, _)| name))?;
    let mut target = Target { library: Library::Go, sites: Vec::new(), functions: Vec::new() };
    for ((name, role), function) in GO.into_iter().zip(found) {
        let Some(Function { address, size }) = function else { continue };
        // Code that was cut off would have returns that are not traced.
        if size == 0 || size > FUNCTION_MAX {
            return Err(GoError::Code(name).into());
        }
        let places = code::go_places(&elf.code(address, size)?).ok_or(GoError::Code(name))?;
        target.add(elf, address.saturating_add(places.entry), role)?;
        if role == Role::GoRead {
            for place in places.returns {
                target.add(elf, address.saturating_add(place), Role::GoReadDone)?;
            }
        }
        target.functions.push(name);
    }
    Ok((!target.sites.is_empty()).then_some(target))
}

// === impl Target ===

impl Target {
    fn add(&mut self, elf: &Elf<'_>, address: u64, role: Role) -> Result<(), ElfError> {
        let offset = elf.offset_of(address).ok_or(ElfError::Malformed("a function lies outside of the code"))?;
        // Two names for one function would make the breakpoint hit twice.
        if !self.sites.iter().any(|site| site.offset == offset) {
            self.sites.push(Site { offset, role });
        }
        Ok(())
    }
}
