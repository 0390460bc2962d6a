//! The attributes of an exec or exit, and its metrics.

use plugin_sdk::{FieldUse, Sensitivity, Signal, Table};

use crate::record::{EXEC, EXIT, ExecRecord};
use crate::{exit, program};

/// Returns the attributes and metrics of a row.
pub(crate) fn table() -> Table<ExecRecord<'static>> {
    Table::<ExecRecord<'static>>::new("process", Signal::Log)
        .valid_if(|process| matches!(process.kind(), EXEC | EXIT) && program::is_whole(process))
        .u64("time", |process| process.time_ns())
        .used(FieldUse::Time)
        .label("event", |process| if process.is_exec() { "process.exec" } else { "process.exit" })
        .used(FieldUse::Name)
        .text("body", |process, text| match process.is_exec() {
            true => drop(text.chars(process.filename())),
            false => exit::describe(process, text),
        })
        .used(FieldUse::Body)
        .text("error.type", exit::error_type)
        .used(FieldUse::Error)
        .label("process.event", |process| if process.is_exec() { "exec" } else { "exit" })
        .used(FieldUse::Dimension)
        .u64("kernel.threshold", |process| process.threshold())
        .used(FieldUse::Threshold)
        .u32("process.pid", |process| process.pid())
        .u32("process.parent_pid", |process| process.parent_pid())
        .chars("thread.name", |process| process.comm())
        .u32("process.real_user.id", |process| process.uid())
        .u64("linux.cgroup.id", |process| process.cgroup_id())
        .omit_zero()
        .chars("process.executable.path", |process| process.filename())
        .omit_zero()
        .chars("process.executable.name", |process| program::file_name(process.filename()))
        .omit_zero()
        .text("process.command_line", program::command_line)
        .reveals(Sensitivity::Payload)
        .omit_zero()
        .boolean("process.args_truncated", |process| u8::from(program::is_cut(process)))
        .omit_zero()
        .i64("process.exit.code", |process| i64::from(process.exit_code()))
        .omit_zero()
        .label("process.exit.signal", |process| exit::signal_name(process.exit_signal()))
        .omit_zero()
        .u64("process.lifetime", |process| process.lifetime_ns())
        .unit("ns")
        .omit_zero()
        .counter("process.events", "Programs executed and processes ended.")
        .histogram("process.lifetime", "How long processes live, measured when they exit.", "process.lifetime")
}
