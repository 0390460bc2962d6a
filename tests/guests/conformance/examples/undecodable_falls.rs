//! Names undecodable records in falling order, and twice.

conformance::guest! {
    fn lie(decoded: &mut Decoded) {
        decoded.undecodable = vec![1, 1, 0];
    }
}
