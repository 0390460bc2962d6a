//! Was written for another record, whose name would colour the terminal.

conformance::guest! {
    fn expects() -> Option<RecordLayout> {
        let time = Member { name: "time".into(), offset: 4096, size: 8, kind: MemberKind::Unsigned };
        Some(RecordLayout { name: "\x1b[31mred".into(), size: u32::MAX, members: vec![time] })
    }
}
