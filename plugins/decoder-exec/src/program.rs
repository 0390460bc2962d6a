//! The executed program and its arguments.

use plugin_sdk::Text;

use crate::record::ExecRecord;

/// Whether the file name is within the record.
pub(crate) fn is_whole(process: ExecRecord<'_>) -> bool {
    process.filename_len() as usize <= process.data().len()
}

/// Whether the arguments exceed the captured bytes.
pub(crate) fn is_cut(process: ExecRecord<'_>) -> bool {
    process.args_len() as usize > process.args().len()
}

/// Returns the last part of a path.
pub(crate) fn file_name(path: &[u8]) -> &[u8] {
    path.rsplit(|&byte| byte == b'/').next().unwrap_or_default()
}

/// Writes the arguments, separated by spaces.
pub(crate) fn command_line(process: ExecRecord<'_>, text: &mut Text) {
    let args = process.args();
    let args = args.strip_suffix(b"\0").unwrap_or(args);
    for (place, arg) in args.split(|&byte| byte == 0).enumerate() {
        if place > 0 {
            text.str(" ");
        }
        text.chars(arg);
    }
}
