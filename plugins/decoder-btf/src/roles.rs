//! Determines which member is the time, the duration, the error.

use plugin_sdk::{FieldUse, Member, MemberKind, RecordLayout, errno};

use crate::member::Reading;
use crate::settings::Settings;

const TIMES: [&str; 7] = ["time_ns", "timestamp_ns", "ktime_ns", "start_ns", "ts_ns", "timestamp", "ts"];
const DURATIONS: [&str; 5] = ["duration_ns", "latency_ns", "delta_ns", "elapsed_ns", "lifetime_ns"];
const ERRORS: [&str; 5] = ["error", "err", "errno", "ret", "retval"];
/// Members of `ERRORS` that hold a return value: only negative values are errors.
const RETURNS: [&str; 2] = ["ret", "retval"];
const THRESHOLD: &str = "threshold";

/// The roles of members, by their index in the layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Roles {
    pub time: Option<usize>,
    pub duration: Option<usize>,
    pub error: Option<Failure>,
    threshold: Option<usize>,
    dimensions: Vec<usize>,
}

/// How failure is distinguished from success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failure {
    reading: Reading,
    negative_only: bool,
}

// === impl Roles ===

impl Roles {
    /// Returns the roles by the settings, else by the names.
    ///
    /// # Errors
    /// A setting names a member that does not exist, or cannot have this role.
    pub(crate) fn of(layout: &RecordLayout, settings: &Settings) -> Result<Self, String> {
        let find_member = |setting: &str, member: &String| find_member(layout, setting, member);
        settings.sensitive.iter().try_for_each(|member| find_member("sensitive", member).map(drop))?;
        Ok(Self {
            time: find_nanoseconds(layout, "time", settings.time.as_ref(), &TIMES)?,
            duration: find_nanoseconds(layout, "duration", settings.duration.as_ref(), &DURATIONS)?,
            error: match &settings.error {
                Some(member) => Some(find_failure(layout, find_member("error", member)?)?),
                None => find_by_name(layout, &ERRORS, is_number).map(|place| find_failure(layout, place)).transpose()?,
            },
            threshold: find_by_name(layout, &[THRESHOLD], is_u64),
            dimensions: settings.dimensions.iter().map(|member| find_member("dimensions", member)).collect::<Result<_, _>>()?,
        })
    }

    /// Returns the use of the member with this index.
    pub(crate) fn field_use(&self, place: usize) -> FieldUse {
        let place = Some(place);
        if place == self.time {
            FieldUse::Time
        } else if place == self.duration {
            FieldUse::Duration
        } else if place == self.threshold {
            FieldUse::Threshold
        } else if place.is_some_and(|place| self.dimensions.contains(&place)) {
            FieldUse::Dimension
        } else {
            FieldUse::Plain
        }
    }
}

// === impl Failure ===

impl Failure {
    /// Returns the name of a record's errno; empty for success.
    pub(crate) fn error_name(self, record: &[u8]) -> &'static str {
        let value = self.reading.number(record);
        if self.negative_only && value >= 0 {
            return "";
        }
        errno::name(i32::try_from(value.unsigned_abs()).unwrap_or(i32::MAX))
    }
}

fn find_nanoseconds(
    layout: &RecordLayout,
    setting: &str,
    member: Option<&String>,
    known: &[&str],
) -> Result<Option<usize>, String> {
    let Some(member) = member else { return Ok(find_by_name(layout, known, is_u64)) };
    let place = find_member(layout, setting, member)?;
    match layout.members.get(place) {
        Some(found) if is_u64(found) => Ok(Some(place)),
        _ => Err(format!("configuration: `{setting}` names `{member}`, which is not an unsigned 64-bit number of nanoseconds")),
    }
}

fn find_failure(layout: &RecordLayout, place: usize) -> Result<Failure, String> {
    let member = layout.members.get(place).filter(|member| is_number(member));
    let member = member.ok_or("configuration: `error` names a member that is not a number")?;
    let says_error = ERRORS.contains(&&*member.name) && !RETURNS.contains(&&*member.name);
    Ok(Failure { reading: Reading::of(member), negative_only: member.kind == MemberKind::Signed && !says_error })
}

fn find_member(layout: &RecordLayout, setting: &str, member: &String) -> Result<usize, String> {
    let place = layout.members.iter().position(|known| known.name == *member);
    place.ok_or_else(|| {
        let known: Vec<&str> = layout.members.iter().map(|member| &*member.name).collect();
        let known = known.join("`, `");
        format!("configuration: `{setting}` names `{member}`, which `struct {}` does not have; it has `{known}`", layout.name)
    })
}

fn find_by_name(layout: &RecordLayout, known: &[&str], fits: fn(&Member) -> bool) -> Option<usize> {
    known.iter().find_map(|name| layout.members.iter().position(|member| member.name == *name && fits(member)))
}

fn is_u64(member: &Member) -> bool {
    matches!(Reading::of(member), Reading::U64(_))
}

fn is_number(member: &Member) -> bool {
    !matches!(Reading::of(member), Reading::Chars(..) | Reading::Bytes(..))
}
