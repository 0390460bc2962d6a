//! What may leave of an SQL statement: its operation, its tables, and its text without the values in it; and the rows that
//! decoders of SQL databases make of that.
//!
//! A [`Library`] reads statements as they were sent, whole or cut, and gives back a shared [`Statement`]. Nothing of the
//! original text is kept. The lexer knows where the two families of servers differ, because a quote that is read wrongly turns
//! text inside out, and values would leave as if they were names.

#![forbid(unsafe_code)]

mod name;
mod lexer;
mod operation;
mod guard;
mod sanitise;
mod statement;
mod library;
mod attributes;

pub use attributes::{Exchange, sheet};
pub use lexer::{Backslash, Dialect};
pub use library::{Library, Reading};
pub use operation::Operation;
pub use sanitise::TEXT_BYTES;
pub use statement::Statement;
