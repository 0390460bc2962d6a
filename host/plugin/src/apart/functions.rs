//! Limits on one function. Compilers need time and memory that grow faster than the size of a function; these limits cover the ways that
//! were found, and functions that are compiled from real source are far below each.

use wasmparser::{FunctionBody, Operator, Parser, Payload};

/// Maximum size of a function's body, in bytes. Two MiB: the loops of interpreters, the largest real functions, have a few hundred KiB.
const MOST_BYTES: usize = 2 << 20;
/// Maximum number of locals of a function. 20,000: the same loops have a few thousand.
const MOST_LOCALS: u64 = 20_000;
/// Maximum depth of nested loops. 64: real code has five.
const MOST_LOOPS: usize = 64;
/// Maximum number of functions of a component. A million: interpreters have some ten thousand.
const MOST_FUNCTIONS: u64 = 1_000_000;

/// A function or a component that exceeds a limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TooMuch {
    #[error("function {function} has {is} bytes; at most {MOST_BYTES} are compiled")]
    Bytes { function: u64, is: usize },
    #[error("function {function} has {is} locals; at most {MOST_LOCALS} are compiled")]
    Locals { function: u64, is: u64 },
    #[error("function {function} has more than {MOST_LOOPS} loops within each other")]
    Loops { function: u64 },
    #[error("it has more than {MOST_FUNCTIONS} functions")]
    Functions,
}

/// Checks every function of a component. Damaged bytes are left to the compiler, whose error is more precise.
pub(super) fn check(component: &[u8]) -> Result<(), TooMuch> {
    let mut function = 0;
    for payload in Parser::new(0).parse_all(component) {
        let Ok(payload) = payload else { return Ok(()) };
        if let Payload::CodeSectionEntry(body) = payload {
            function += 1;
            if function > MOST_FUNCTIONS {
                return Err(TooMuch::Functions);
            }
            look_at(function, &body)?;
        }
    }
    Ok(())
}

fn look_at(function: u64, body: &FunctionBody<'_>) -> Result<(), TooMuch> {
    let is = body.as_bytes().len();
    if is > MOST_BYTES {
        return Err(TooMuch::Bytes { function, is });
    }
    if let Ok(locals) = body.get_locals_reader() {
        let is = locals.into_iter().filter_map(Result::ok).map(|(count, _)| u64::from(count)).sum();
        if is > MOST_LOCALS {
            return Err(TooMuch::Locals { function, is });
        }
    }
    let Ok(operators) = body.get_operators_reader() else { return Ok(()) };
    // The kind of each open block: true for a loop.
    let (mut open, mut loops) = (Vec::new(), 0_usize);
    for operator in operators {
        match operator {
            Ok(Operator::Loop { .. }) => {
                open.push(true);
                loops += 1;
                if loops > MOST_LOOPS {
                    return Err(TooMuch::Loops { function });
                }
            }
            Ok(Operator::Block { .. } | Operator::If { .. } | Operator::TryTable { .. }) => open.push(false),
            Ok(Operator::End) => loops -= usize::from(open.pop().unwrap_or(false)),
            Ok(_) => {}
            Err(_) => return Ok(()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Builds a component with one function.
    fn component(locals: &str, body: &str) -> Vec<u8> {
        wat::parse_str(format!("(component (core module (func) (func {locals} {body})))")).unwrap()
    }

    fn loops(count: usize) -> Vec<u8> {
        component("", &format!("{}{}", "loop ".repeat(count), "end ".repeat(count)))
    }

    #[test]
    fn loops_within_loops_are_counted_and_loops_side_by_side_are_not() {
        assert_eq!(check(&loops(MOST_LOOPS)), Ok(()));
        assert_eq!(check(&loops(MOST_LOOPS + 1)), Err(TooMuch::Loops { function: 2 }));
        assert_eq!(check(&component("", &"loop block end end ".repeat(1_000))), Ok(()));
        let deep_blocks = format!("{}{}", "block ".repeat(2_000), "end ".repeat(2_000));
        assert_eq!(check(&component("", &deep_blocks)), Ok(()), "a switch of many cases is written so");
    }

    #[test]
    fn a_function_has_so_many_locals_and_bytes() {
        let locals = |count: usize| component(&format!("(local {})", "i32 ".repeat(count)), "");
        assert_eq!(check(&locals(20_000)), Ok(()));
        assert_eq!(check(&locals(20_001)), Err(TooMuch::Locals { function: 2, is: 20_001 }));
        assert!(matches!(check(&component("", &"nop ".repeat(MOST_BYTES))), Err(TooMuch::Bytes { function: 2, .. })));
    }

    #[test]
    fn what_is_damaged_is_left_to_the_compiler() {
        let whole = loops(3);
        (0..whole.len()).for_each(|end| assert_eq!(check(&whole[..end]), Ok(())));
        assert_eq!(check(b"not wasm at all"), Ok(()));
    }
}
