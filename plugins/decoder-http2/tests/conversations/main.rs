//! What becomes of conversations.

// What they are made of.
mod calls;
mod frames;

mod golden;
mod hostile;
mod mutations;
mod streams;
