//! Daemons that play the embedded capture: the whole path with the plugins in the binary, without privilege.

mod house;

mod replay;

mod swaps;

mod control;
