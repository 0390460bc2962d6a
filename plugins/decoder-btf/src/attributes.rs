//! The attributes of a record, one for each member of its struct, and its metrics.

use plugin_sdk::{FieldUse, Raw, RecordLayout, Sensitivity, Signal, Table};

use crate::member::{self, Reading};
use crate::roles::Roles;
use crate::settings::Settings;

/// Maximum number of members: the host accepts 256 fields, and up to two are added here.
const MAX_MEMBERS: usize = 254;

/// The attributes and metrics of a row.
///
/// # Errors
/// The struct has too many members, or a setting names a member that does not exist.
pub(crate) fn table(probe: &str, layout: &RecordLayout, settings: Settings) -> Result<Table<Raw>, String> {
    if layout.members.len() > MAX_MEMBERS {
        let has = layout.members.len();
        return Err(format!("`struct {}` has {has} members; at most {MAX_MEMBERS} can become fields", layout.name));
    }
    let roles = Roles::of(layout, &settings)?;
    let event = settings.event.unwrap_or_else(|| member::name(probe));
    let by_duration = if roles.duration.is_some() { Signal::Span } else { Signal::Log };
    let mut table = Table::<Raw>::new(&event, settings.signal.map_or(by_duration, Signal::from));
    for (place, (member, name)) in layout.members.iter().zip(member::names(layout)).enumerate() {
        table = Reading::of(member).add_field(table, &name).used(roles.field_use(place));
        if settings.sensitive.contains(&member.name) {
            table = table.reveals(Sensitivity::Payload);
        }
        if roles.duration == Some(place) {
            table = table.unit("ns").histogram(&format!("{event}.duration"), "How long it took.", &name);
        }
    }
    if roles.time.is_none() {
        table = table.u64("event.time", |_| 0).used(FieldUse::Time);
    }
    if let Some(failure) = roles.error {
        table = table.label("error.type", move |record| failure.error_name(record)).used(FieldUse::Error);
    }
    Ok(table.at_least(least(layout)).counter(&format!("{event}.count"), "Records of the probe."))
}

/// Returns the minimum length of a record: a flexible array may start within the padding at the end of the struct.
fn least(layout: &RecordLayout) -> usize {
    let flexible = layout.members.iter().find(|member| member.size == 0);
    flexible.map_or(layout.size, |member| member.offset) as usize
}
