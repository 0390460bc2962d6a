//! The layout of a record: the C struct that a BPF program wrote, from its BTF.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The encoding of a member's bytes. Integers are little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MemberKind {
    /// Unsigned integer of 1, 2, 4 or 8 bytes.
    Unsigned,
    /// Signed integer of 1, 2, 4 or 8 bytes.
    Signed,
    /// `char` array: text up to the first NUL.
    Chars,
    /// Any other array or nested struct.
    Bytes,
}

/// One member of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Member {
    /// The name in the C struct.
    pub name: String,
    /// Bytes from the start of the record.
    pub offset: u32,
    /// Bytes; 0 for a flexible array at the end.
    pub size: u32,
    /// Its encoding.
    pub kind: MemberKind,
}

/// The layout of one record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Layout {
    /// The name of the struct: `file_record`.
    pub name: String,
    /// `sizeof` the struct, without a flexible array.
    pub size: u32,
    /// Members in order of offset.
    pub members: Vec<Member>,
}

/// The reasons why a decoder cannot read the records of a probe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// The decoder was written for a different record.
    #[error("it reads `struct {expected}`, the probe writes `struct {found}`")]
    Record {
        /// The struct that the decoder names.
        expected: String,
        /// The struct in the object's BTF.
        found: String,
    },
    /// The probe's record lacks a member.
    #[error("it reads `{record}.{member}`, which the probe's record does not have")]
    Missing {
        /// The struct.
        record: String,
        /// The member.
        member: String,
    },
    /// A member has another offset, size or kind.
    #[error(
        "`{record}.{member}` is {found_kind:?} of {found_size} bytes at offset {found_offset} in the probe's record, but it reads {kind:?} of {size} bytes at offset {offset}"
    )]
    Member {
        /// The struct.
        record: String,
        /// The member.
        member: String,
        /// The kind that the decoder expects.
        kind: MemberKind,
        /// The size that the decoder expects, bytes.
        size: u32,
        /// The offset that the decoder expects, bytes.
        offset: u32,
        /// The kind in the object.
        found_kind: MemberKind,
        /// The size in the object, bytes.
        found_size: u32,
        /// The offset in the object, bytes.
        found_offset: u32,
    },
}

// === impl Layout ===

impl Layout {
    /// Whether a decoder that expects `expected` can read records of this layout: every member it names must be here, at the same offset,
    /// with the same size and kind. Other members may come and go.
    ///
    /// # Errors
    /// The first member that differs, by name.
    pub fn satisfies(&self, expected: &Layout) -> Result<(), Mismatch> {
        if self.name != expected.name {
            return Err(Mismatch::Record { expected: expected.name.clone(), found: self.name.clone() });
        }
        for want in &expected.members {
            let Some(have) = self.members.iter().find(|member| member.name == want.name) else {
                return Err(Mismatch::Missing { record: self.name.clone(), member: want.name.clone() });
            };
            if have != want {
                return Err(Mismatch::Member {
                    record: self.name.clone(),
                    member: want.name.clone(),
                    kind: want.kind,
                    size: want.size,
                    offset: want.offset,
                    found_kind: have.kind,
                    found_size: have.size,
                    found_offset: have.offset,
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(members: &[(&str, u32, u32)]) -> Layout {
        let members = members
            .iter()
            .map(|&(name, offset, size)| Member { name: name.into(), offset, size, kind: MemberKind::Unsigned })
            .collect();
        Layout { name: "file_record".into(), size: 16, members }
    }

    #[test]
    fn members_the_decoder_does_not_name_may_come_and_go() {
        assert_eq!(layout(&[("a", 0, 8), ("b", 8, 4)]).satisfies(&layout(&[("a", 0, 8)])), Ok(()));
    }

    #[test]
    fn a_member_that_moved_is_refused_by_name() {
        let error = layout(&[("a", 8, 8)]).satisfies(&layout(&[("a", 0, 8)])).unwrap_err();
        assert!(error.to_string().contains("`file_record.a`"), "{error}");
    }

    #[test]
    fn a_member_that_is_gone_is_refused_by_name() {
        let error = layout(&[("a", 0, 8)]).satisfies(&layout(&[("b", 0, 8)])).unwrap_err();
        assert_eq!(error, Mismatch::Missing { record: "file_record".into(), member: "b".into() });
    }
}
