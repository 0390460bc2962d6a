//! The attributes of an opened file, and its metrics.

use plugin_sdk::{FieldUse, Signal, Table, Text, errno};

use crate::record::FileRecord;

/// The attributes and metrics of a row.
pub(crate) fn table() -> Table<FileRecord<'static>> {
    Table::<FileRecord<'static>>::new("file.open", Signal::Span)
        .u64("time", |open| open.time_ns())
        .used(FieldUse::Time)
        .u64("duration", |open| open.duration_ns())
        .unit("ns")
        .used(FieldUse::Duration)
        .label("error.type", |open| errno::name(open.ret().min(0).saturating_neg()))
        .used(FieldUse::Error)
        .u64("kernel.threshold", |open| open.threshold())
        .used(FieldUse::Threshold)
        // A line on a screen is short: the file and the process that opened it come first.
        .chars("file.path", |open| open.path())
        .omit_zero()
        .label("file.open.access", |open| access_name(open.flags()))
        .chars("thread.name", |open| open.comm())
        .u32("process.pid", |open| open.pid())
        .u32("thread.id", |open| open.tid())
        .u32("process.real_user.id", |open| open.uid())
        .u64("linux.cgroup.id", |open| open.cgroup_id())
        .omit_zero()
        .u32("file.open.flags", |open| open.flags())
        .text("file.mode", |open, text| write_mode(open.mode(), open.flags(), text))
        .omit_zero()
        .histogram("file.open.duration", "How long openat and openat2 take.", "duration")
}

/// Returns the access mode: the lowest two bits of the flags, the same on every architecture.
fn access_name(flags: u32) -> &'static str {
    match flags & 3 {
        0 => "read",
        1 => "write",
        _ => "read_write",
    }
}

/// Writes the requested permissions of a created file, `0644`; nothing if no file was to be created.
fn write_mode(mode: u32, flags: u32, text: &mut Text) {
    const CREATES: u32 = 0o100 | 0o20_000_000;
    if flags & CREATES != 0 {
        let digit = |place: u32| u64::from(mode >> (3 * place) & 7);
        text.number(digit(3)).number(digit(2)).number(digit(1)).number(digit(0));
    }
}
