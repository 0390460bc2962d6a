//! Decoder of any flat record: its fields are the members of the C struct, by the layout that the host read from the object's
//! BTF. It serves probes of the user's own without a line of code.

mod member;
mod roles;
mod settings;

pub use settings::{Becomes, Settings};

use plugin_sdk::{Config, FieldUse, Flat, Raw, RecordLayout, Rows, Sensitivity, Signal, Table};

use member::Reading;
use roles::Roles;

/// The fields of a struct.
pub struct Struct;

/// The decoder.
pub type Decoder = Rows<Struct>;

/// Most members: the host takes 256 fields, and up to two are added here.
const MAX_MEMBERS: usize = 254;

impl Flat for Struct {
    type Record = Raw;

    fn table(probe: &str, layout: &RecordLayout, config: Config<'_>) -> Result<Table<Raw>, String> {
        let settings: Settings = config.parse()?;
        if layout.members.len() > MAX_MEMBERS {
            let has = layout.members.len();
            return Err(format!("`struct {}` has {has} members; at most {MAX_MEMBERS} can become fields", layout.name));
        }
        let roles = Roles::of(layout, &settings)?;
        let event = settings.event.unwrap_or_else(|| member::name(probe));
        let by_duration = if roles.duration.is_some() { Signal::Span } else { Signal::Log };
        let mut table = Table::<Raw>::new(&event, settings.signal.map_or(by_duration, Signal::from));
        for (place, (member, name)) in layout.members.iter().zip(member::names(layout)).enumerate() {
            table = Reading::of(member).field(table, &name).used(roles.field_use(place));
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
            table = table.label("error.type", move |record| failure.name(record)).used(FieldUse::Error);
        }
        Ok(table.at_least(least(layout)).counter(&format!("{event}.count"), "Records of the probe."))
    }
}

/// The least bytes of a record: a flexible array may start within the padding at the end of the struct.
fn least(layout: &RecordLayout) -> usize {
    let flexible = layout.members.iter().find(|member| member.size == 0);
    flexible.map_or(layout.size, |member| member.offset) as usize
}

plugin_sdk::export!(decoder: Decoder);
