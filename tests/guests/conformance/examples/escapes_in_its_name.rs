//! Its name and version would colour the terminal, and are longer than any.

conformance::guest! {
    named "\x1b[31mred\x1b[0m and a name that goes on and on and on and on and on and on and on and on and on";
}
