//! Names a record that is not in the run as undecodable.

conformance::guest! {
    fn lie(decoded: &mut Decoded) {
        decoded.undecodable.push(1 << 20);
    }
}
