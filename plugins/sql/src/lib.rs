//! The public parts of an SQL statement: its operation, its tables, and its text without the values in it; and the rows that decoders of
//! SQL databases make of these.
//!
//! A [`Library`] reads statements as they were sent, complete or cut, and returns a shared [`Statement`]. The original text is not stored.
//! The lexer handles the differences between the two families of servers, because a misread quote swaps strings with the text between them,
//! and values would be exported as if they were names.

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
