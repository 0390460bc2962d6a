//! Where in a function a breakpoint may stand. It is written over an instruction: one in the wrong place is the end of the program.

/// The most of a function that is read. Go's `(*Conn).Read` has 900 bytes.
pub(crate) const FUNCTION_MAX: u64 = 16 << 10;

/// Places in a function, as distances from its start.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct GoPlaces {
    /// Behind the check of the stack, which may start the function again: reached once per call, arguments still in registers.
    pub(crate) entry: u64,
    /// Every instruction that returns. Go moves stacks and walks them, so a changed return address (a uretprobe) would end it.
    pub(crate) returns: Vec<u64>,
}

/// Where to stand at the beginning of a C function, so that arguments and return address are where the ABI says.
///
/// The kernel carries out some instructions itself and has to single-step others, at ten times the price. `endbr64` is one of those,
/// and what follows it is as good a place.
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

/// The places of a Go function with the register ABI; None if the code is not what Go compiles.
#[cfg(target_arch = "x86_64")]
pub(crate) fn go_places(code: &[u8]) -> Option<GoPlaces> {
    use iced_x86::{Code, Decoder, DecoderOptions, FlowControl, Instruction, Register};

    /// Instructions in which the check of the stack is done.
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
        // The goroutine is in R14; the bound of its stack is the third word there.
        if instruction.memory_base() == Register::R14 && instruction.memory_displacement64() == 0x10 && count <= PROLOGUE {
            checked = true;
        }
        if entry.is_none() && checked && instruction.code() == Code::Push_r64 && instruction.op0_register() == Register::RBP {
            entry = Some(instruction.ip());
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

/// The places of a Go function with the register ABI; None if the code is not what Go compiles.
#[cfg(target_arch = "aarch64")]
pub(crate) fn go_places(code: &[u8]) -> Option<GoPlaces> {
    arm64::go_places(code)
}

/// Its instructions are words, so it is tested on any machine.
#[cfg(any(target_arch = "aarch64", test))]
mod arm64 {
    use super::GoPlaces;

    const LOAD_STACK_BOUND: u32 = 0xf940_0b90; // ldr x16, [x28, #16]
    const RETURN: u32 = 0xd65f_03c0;
    /// `b.ls` to wherever.
    const IF_LOWER: (u32, u32) = (0xff00_001f, 0x5400_0009);
    const PROLOGUE: usize = 8;

    pub(super) fn go_places(code: &[u8]) -> Option<GoPlaces> {
        let words: Vec<u32> = code.chunks_exact(4).filter_map(|word| word.try_into().ok()).map(u32::from_le_bytes).collect();
        let checked = words.iter().take(2).any(|word| *word == LOAD_STACK_BOUND);
        let branch = words.iter().take(PROLOGUE).position(|word| word & IF_LOWER.0 == IF_LOWER.1)?;
        let at = |index: usize| (index * 4) as u64;
        let returns = words.iter().enumerate().filter(|(_, word)| **word == RETURN).map(|(index, _)| at(index)).collect();
        checked.then_some(GoPlaces { entry: at(branch + 1), returns })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `(*Conn).Read` of Go 1.27, its beginning and an end.
    #[cfg(target_arch = "x86_64")]
    const GO: &[u8] = b"\x49\x3b\x66\x10\x76\x0c\x55\x48\x89\xe5\x48\x83\xc4\x58\x5d\xc3\xcc\xcc\xe8\x00\x00\x00\x00\xeb\xe7";

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn a_go_function_is_entered_behind_its_check_and_left_where_it_returns() {
        assert_eq!(go_places(GO), Some(GoPlaces { entry: 6, returns: vec![15] }));
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn code_that_go_did_not_make_gets_no_breakpoint() {
        assert_eq!(go_places(b"\x55\x48\x89\xe5\xc3"), None, "no check");
        assert_eq!(go_places(&GO[..6]), None, "cut off");
        assert_eq!(go_places(&[0x06; 64]), None, "no instruction");
        assert_eq!(go_places(&[0x90; 64]), None);
        assert_eq!(go_places(b""), None);
    }

    #[test]
    fn on_arm64_the_entry_is_behind_the_branch() {
        let words: [u32; 6] = [0xf940_0b90, 0xd101_43f1, 0xeb10_023f, 0x5400_3429, 0xf813_0ffe, 0xd65f_03c0];
        let code: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        assert_eq!(arm64::go_places(&code), Some(GoPlaces { entry: 16, returns: vec![20] }));
        assert_eq!(arm64::go_places(&code[4..]), None);
    }

    #[test]
    fn endbr64_is_passed_over_only_for_something_cheaper() {
        assert_eq!(c_entry(b"\xf3\x0f\x1e\xfa\x41\x54"), if cfg!(target_arch = "x86_64") { 4 } else { 0 });
        assert_eq!(c_entry(b"\xf3\x0f\x1e\xfa\x48\x83\xec\x18"), 0);
        assert_eq!(c_entry(b""), 0);
    }
}
