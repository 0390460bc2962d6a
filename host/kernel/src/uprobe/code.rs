//! The offsets in a function where a breakpoint may be set. It overwrites an instruction: at a wrong offset it crashes the program.

/// Maximum number of bytes of a function that are read. Go's `(*Conn).Read` has 900.
pub(crate) const FUNCTION_MAX: u64 = 16 << 10;

/// Offsets in a function, from its start.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct GoPlaces {
    /// Entry, behind the stack check, which may restart the function: reached once per call, with arguments still in registers.
    pub(crate) entry: u64,
    /// Every return instruction. Go moves stacks and walks them, so that a changed return address (a uretprobe) would crash the program.
    pub(crate) returns: Vec<u64>,
}

/// Returns the offset for a breakpoint at the beginning of a C function, where arguments and return address are as the ABI says.
///
/// The kernel emulates some instructions and has to single-step others, at ten times the cost. `endbr64` is single-stepped; the instruction
/// after it serves as well.
pub(crate) fn c_entry(code: &[u8]) -> u64 {
    const ENDBR64: [u8; 4] = [0xf3, 0x0f, 0x1e, 0xfa];
    match code.strip_prefix(&ENDBR64) {
        Some(rest) if cfg!(target_arch = "x86_64") && is_push(rest) => ENDBR64.len() as u64,
        _ => 0,
    }
}

fn is_push(code: &[u8]) -> bool {
    matches!(code, [0x50..=0x57, ..] | [0x41, 0x50..=0x57, ..])
}

/// Returns the offsets for a Go function with the register ABI; None if the code is not what Go compiles.
#[cfg(target_arch = "x86_64")]
pub(crate) fn go_places(code: &[u8]) -> Option<GoPlaces> {
    use iced_x86::{Code, Decoder, DecoderOptions, FlowControl, Instruction, Register};

    /// Maximum number of instructions up to the stack check: two, and four more if the frame is large.
    const PROLOGUE: usize = 8;
    let mut decoder = Decoder::with_ip(64, code, 0, DecoderOptions::NONE);
    let mut instruction = Instruction::default();
    let (mut checked, mut entry, mut returns) = (false, None, Vec::new());
    let mut count = 0;
    while decoder.can_decode() {
        decoder.decode_out(&mut instruction);
        if instruction.is_invalid() {
            return None;
        }
        count += 1;
        // R14 is the goroutine; the limit of its stack is its third word.
        if instruction.memory_base() == Register::R14 && instruction.memory_displacement64() == 0x10 && count <= PROLOGUE {
            checked = true;
        }
        // Jumps to where the stack grows. The code after it builds the frame: `push rbp` since Go 1.21, `sub rsp, N` before.
        let grows = matches!(instruction.code(), Code::Jbe_rel8_64 | Code::Jbe_rel32_64);
        if entry.is_none() && checked && grows && instruction.near_branch_target() > instruction.ip() {
            entry = Some(instruction.next_ip()).filter(|_| decoder.can_decode());
        }
        if instruction.flow_control() == FlowControl::Return {
            returns.push(instruction.ip());
        }
        if entry.is_none() && count > PROLOGUE {
            return None;
        }
    }
    Some(GoPlaces { entry: entry?, returns })
}

/// Returns the offsets for a Go function with the register ABI; None if the code is not what Go compiles.
#[cfg(target_arch = "aarch64")]
pub(crate) fn go_places(code: &[u8]) -> Option<GoPlaces> {
    arm64::go_places(code)
}

/// Same, on instruction words, so that it is tested on any machine.
#[cfg(any(target_arch = "aarch64", test))]
mod arm64 {
    use super::GoPlaces;

    /// `ldr xN, [x28, #16]` with any N; since Go 1.17 arguments take 16 of the integer registers.
    const LOAD_STACK_BOUND: (u32, u32) = (0xffff_ffe0, 0xf940_0b80);
    const RETURN: u32 = 0xd65f_03c0;
    /// `b.ls` with any target.
    const IF_LOWER: (u32, u32) = (0xff00_001f, 0x5400_0009);
    const PROLOGUE: usize = 8;

    pub(super) fn go_places(code: &[u8]) -> Option<GoPlaces> {
        let words: Vec<u32> = code.chunks_exact(4).filter_map(|word| word.try_into().ok()).map(u32::from_le_bytes).collect();
        let is = |(mask, wanted): (u32, u32)| move |word: &u32| word & mask == wanted;
        let prologue = words.get(..words.len().min(PROLOGUE))?;
        let bound = prologue.iter().position(is(LOAD_STACK_BOUND))?;
        let branch = bound + prologue.get(bound..)?.iter().position(is(IF_LOWER))?;
        let at = |index: usize| (index * 4) as u64;
        let returns = words.iter().enumerate().filter(|(_, word)| **word == RETURN).map(|(index, _)| at(index)).collect();
        words.get(branch + 1).map(|_| GoPlaces { entry: at(branch + 1), returns })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Beginning and end of `(*Conn).Read` of Go 1.27.
    #[cfg(target_arch = "x86_64")]
    const GO: &[u8] = b"\x49\x3b\x66\x10\x76\x0c\x55\x48\x89\xe5\x48\x83\xc4\x58\x5d\xc3\xcc\xcc\xe8\x00\x00\x00\x00\xeb\xe7";

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn a_go_function_is_entered_behind_its_check_and_left_where_it_returns() {
        assert_eq!(go_places(GO), Some(GoPlaces { entry: 6, returns: vec![15] }));
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn every_way_in_which_go_has_made_frames_is_known() {
        let places = |code: &[u8]| go_places(code).map(|places| (places.entry, places.returns));
        // Until 1.20: cmp rsp,[r14+16]; jbe; sub rsp,0x70; mov [rsp+0x68],rbp; lea rbp,[rsp+0x68]; ...; add rsp,0x70; ret
        let before = b"\x49\x3b\x66\x10\x76\x20\x48\x83\xec\x70\x48\x89\x6c\x24\x68\x48\x8d\x6c\x24\x68\x48\x83\xc4\x70\xc3\
            \xe8\x00\x00\x00\x00\xeb\xe0\x90\x90\x90\x90\x90\x90\x90";
        assert_eq!(places(before), Some((6, vec![24])));
        // A frame over 128 bytes: lea r12,[rsp-0x98]; cmp r12,[r14+16]; jbe rel32; sub rsp,0x118; ret
        let large = b"\x4c\x8d\xa4\x24\x68\xff\xff\xff\x4d\x3b\x66\x10\x0f\x86\x10\x00\x00\x00\x48\x81\xec\x18\x01\x00\x00\xc3";
        assert_eq!(places(large), Some((18, vec![25])));
        // Over a page: mov r12,rsp; sub r12,0x2000; jb; cmp r12,[r14+16]; jbe; push rbp; ret
        let huge = b"\x49\x89\xe4\x49\x81\xec\x00\x20\x00\x00\x72\x0a\x4d\x3b\x66\x10\x76\x04\x55\xc3\x90\x90\x90\x90";
        assert_eq!(places(huge), Some((18, vec![19])));
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn code_that_go_did_not_make_gets_no_breakpoint() {
        assert_eq!(go_places(b"\x55\x48\x89\xe5\xc3"), None, "no check");
        assert_eq!(go_places(&GO[..6]), None, "cut off");
        assert_eq!(go_places(b"\x49\x3b\x66\x10\x76\xfa\x55\xc3"), None, "the stack grows behind the function");
        assert_eq!(go_places(&[0x06; 64]), None, "no instruction");
        assert_eq!(go_places(&[0x90; 64]), None);
        assert_eq!(go_places(b""), None);
    }

    #[test]
    fn on_arm64_the_entry_is_behind_the_branch() {
        let places = |words: &[u32]| {
            let code: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            arm64::go_places(&code).map(|places| (places.entry, places.returns))
        };
        // ldr x16,[x28,#16]; sub x17,sp,#0x50; cmp x17,x16; b.ls; str x30,[sp,#-0xd0]!; ret
        let medium = [0xf940_0b90, 0xd101_43f1, 0xeb10_023f, 0x5400_3429, 0xf813_0ffe, 0xd65f_03c0];
        assert_eq!(places(&medium), Some((16, vec![20])));
        assert_eq!(places(&medium[1..]), None, "no check");
        assert_eq!(places(&medium[..4]), None, "cut off");
        // ldr x16,[x28,#16]; cmp sp,x16; b.ls; str x30,[sp,#-0x70]!; ret
        assert_eq!(places(&[0xf940_0b90, 0xeb30_63ff, 0x5400_0269, 0xf819_0ffe, 0xd65f_03c0]), Some((12, vec![16])));
        // The same with x1, and a large frame: subs x17,sp,x27; b.lo; cmp x17,x1; b.ls; nop; ret
        let large = [0xf940_0b81, 0xeb3b_63f1, 0x5400_0163, 0xeb01_023f, 0x5400_0129, 0xd503_201f, 0xd65f_03c0];
        assert_eq!(places(&large), Some((20, vec![24])));
    }

    #[test]
    fn endbr64_is_passed_over_only_for_something_cheaper() {
        assert_eq!(c_entry(b"\xf3\x0f\x1e\xfa\x41\x54"), if cfg!(target_arch = "x86_64") { 4 } else { 0 });
        assert_eq!(c_entry(b"\xf3\x0f\x1e\xfa\x48\x83\xec\x18"), 0);
        assert_eq!(c_entry(b""), 0);
    }
}
