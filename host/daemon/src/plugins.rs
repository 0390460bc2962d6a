//! Plugins: from the bytes of a component to a generation of a slot, and from there to the stages of a path.

pub(crate) mod fill;
pub(crate) mod protocols;
pub(crate) mod load;
pub(crate) mod rules;
pub(crate) mod limits;
pub(crate) mod compiler;
pub(crate) mod slots;
pub(crate) mod known;
pub(crate) mod bind;
pub(crate) mod shadow;
