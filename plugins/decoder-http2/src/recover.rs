//! Header blocks after a gap: determines by how many positions the entries of the table have moved.
//!
//! Most gaps hide only bodies, and the entries have not moved. A block proves that: it has one method and one path, pseudo-headers come
//! first, a response has one content type. Read with entries at wrong positions it would not, because the neighbours of a path in a table
//! are not paths. A block that is well-formed is accepted; the others stay unknown.

use plugin_sdk::conversation::Sender;

use crate::fields::Fields;
use crate::hpack::table::Table;
use crate::hpack::{self, Block, Scratch};

/// Maximum number of hidden entries that are tried: about as many as one request adds.
const MAX_HIDDEN: usize = 8;
/// Minimum number of fields of a request that must become known at once, to exclude chance.
const MIN_RECOVERED: u32 = 2;

/// Reads a block with the known entries of the table, and if they are not enough, with assumed ones.
#[inline(always)]
pub(crate) fn read_block(block: &[u8], table: &mut Table, is_broken: bool, sender: Sender, scratch: &mut Scratch) -> Fields {
    if !table.is_sure() {
        return guess_block(block, table, is_broken, sender, scratch);
    }
    try_block(block, table, scratch).0
}

/// Reads a block with a table that is only partly known.
#[cold]
fn guess_block(block: &[u8], table: &mut Table, is_broken: bool, sender: Sender, scratch: &mut Scratch) -> Fields {
    let before = table.clone();
    let (fields, end) = try_block(block, table, scratch);
    if fields.unknown == 0 || end != Block::Whole || is_broken {
        return fields;
    }
    let most = if sender == Sender::Client { MAX_HIDDEN } else { 0 };
    for hidden in 0..=most {
        let mut assumed = before.assuming(hidden);
        let (recovered, end) = try_block(block, &mut assumed, scratch);
        let makes_sense = match sender {
            Sender::Client => recovered.is_request() && recovered.unknown + MIN_RECOVERED <= fields.unknown,
            Sender::Server => recovered.is_response() && recovered.unknown == 0,
        };
        if makes_sense && end == Block::Whole {
            *table = assumed;
            return recovered;
        }
    }
    // No assumed position makes the request readable, so it does not refer to these entries.
    if sender == Sender::Client && fields.unknown >= MIN_RECOVERED {
        table.forget_unsure();
    }
    fields
}

/// Reads a block with this table.
#[inline(always)]
fn try_block(block: &[u8], table: &mut Table, scratch: &mut Scratch) -> (Fields, Block) {
    let mut fields = Fields::default();
    let end = hpack::read(block, table, scratch, |name, value| fields.add(name, value));
    fields.unknown += u32::from(end == Block::Broken);
    (fields, end)
}

#[cfg(test)]
mod tests {
    use plugin_sdk::conversation::Sender;

    use super::read_block;
    use crate::fields::Fields;
    use crate::hpack::Scratch;
    use crate::hpack::table::Table;

    fn of(sender: Sender, block: &[u8], table: &mut Table) -> Fields {
        read_block(block, table, false, sender, &mut Scratch::default())
    }

    /// A request has added `:authority`, `:path: /a`, `te` and the content type to the table, in this order; then bytes are missing.
    fn lost() -> Table {
        let mut table = Table::initial();
        let fields = of(Sender::Client, b"\x83\x86\x41\x04host\x44\x02/a\x40\x02te\x01x\x5f\x10application/grpc", &mut table);
        assert_eq!((&*fields.target, fields.is_grpc), ("/a", Some(true)));
        table.lose_position();
        table
    }

    #[test]
    fn where_nothing_was_hidden_all_is_known_again() {
        let mut table = lost();
        let fields = of(Sender::Client, b"\x83\x86\xc0\xc1\xbf\xbe", &mut table);
        assert_eq!((&*fields.target, fields.is_grpc, fields.unknown), ("/a", Some(true), 0));
        assert!(table.is_sure());
    }

    #[test]
    fn a_path_that_was_hidden_is_not_taken_for_another() {
        // `:path: /b` was added: all others have moved by one.
        let fields = of(Sender::Client, b"\x83\x86\xbe\xc2\xc0\xbf", &mut lost());
        assert_eq!((&*fields.target, fields.is_grpc), ("", None));
        let fields = of(Sender::Client, b"\x83\x86\xc1\xc2\xc0\xbf", &mut lost());
        assert_eq!((&*fields.target, fields.is_grpc), ("/a", Some(true)), "and that one is still found");
    }

    #[test]
    fn what_was_added_since_counts_in_between() {
        let mut table = lost();
        let fields = of(Sender::Client, b"\x83\x86\xc0\xc1\xbf\xbe\x40\x01k\x01v", &mut table);
        assert_eq!(&*fields.target, "/a");
        let mut table = lost();
        of(Sender::Client, b"\x40\x01k\x01v", &mut table);
        assert_eq!(&*of(Sender::Client, b"\x83\x86\xc1\xc2\xc0\xbf", &mut table).target, "/a");
    }

    #[test]
    fn one_field_alone_proves_nothing() {
        let fields = of(Sender::Client, b"\x83\x86\xc0\x01\x04host", &mut lost());
        assert_eq!((&*fields.target, fields.unknown), ("", 1));
    }

    #[test]
    fn a_response_is_known_by_its_content_type_and_trailers_by_their_status() {
        let mut table = Table::initial();
        of(Sender::Server, b"\x88\x5f\x10application/grpc\x40\x0bgrpc-status\x015", &mut table);
        table.lose_position();
        let trailers = of(Sender::Server, b"\xbe", &mut table.clone());
        assert_eq!(trailers.grpc_status, Some(5));
        assert_eq!(of(Sender::Server, b"\x88\xbf", &mut table).is_grpc, Some(true));
        table.lose_position();
        assert_eq!(of(Sender::Server, b"\x88\xbf\xbf", &mut table).is_grpc, None, "twice is none");
    }
}
