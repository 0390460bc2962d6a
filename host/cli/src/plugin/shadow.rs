//! `host plugin shadow`, `promote` and `discard`: the start and the end of a candidate.

use host_api::{DiscardPlugin, PromotePlugin, ShadowPlugin, ShadowStatus};
use host_plugin::limits::LARGEST_COMPONENT;

use super::candidate::which;
use super::{compare, label, object, parts, sent, slot_named, went_live};
use crate::args::{CandidateArgs, Format, ShadowArgs};
use crate::ask;
use crate::exit::Done;
use crate::output::{self, grouped, portion, since};
use crate::printable::clipped;

/// `host plugin shadow`
pub(super) async fn shadow(args: ShadowArgs) -> Done {
    let (path, bytes_base64) = sent(&args.file, LARGEST_COMPONENT)?;
    let shadow = ShadowPlugin {
        path: Some(path),
        bytes_base64,
        slot: args.slot.as_deref().map(slot_named).transpose()?,
        config: args.config.and_then(object),
        share: args.share,
        pin: args.pin,
        promote_if: args.promote_if,
        after_ms: args.after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
    };
    let (client, format) = parts(args.data);
    let status = ask::answer(client.call(&shadow)).await?;
    match format {
        Format::Json => output::print_json(&status),
        Format::Table => output::print(&began(&status)),
    }
}

/// `host plugin promote`
pub(super) async fn promote(args: CandidateArgs) -> Done {
    let (client, format) = parts(args.data);
    let of = PromotePlugin { slot: which(&client, args.slot.as_deref()).await? };
    went_live(format, &ask::answer(client.call(&of)).await?)
}

/// `host plugin discard`
pub(super) async fn discard(args: CandidateArgs) -> Done {
    let (client, format) = parts(args.data);
    let of = DiscardPlugin { slot: which(&client, args.slot.as_deref()).await? };
    let status = ask::answer(client.call(&of)).await?;
    match format {
        Format::Json => output::print_json(&status),
        Format::Table => output::print(&discarded(&status)),
    }
}

/// Describes a candidate that has started, and the next step.
fn began(status: &ShadowStatus) -> String {
    let next = compare::plan(status).unwrap_or_else(|| {
        format!("`host plugin compare {0}` shows how they compare; `host plugin promote {0}` makes it live", status.slot)
    });
    let replaced = status
        .replaced
        .as_ref()
        .map(|run| format!("it took the place of a candidate, whose result is gone: {}\n", clipped(run, 200)));
    format!(
        "{}: {} is in the shadow of {}, on {} of batches\n{}{next}\n{}\n",
        status.slot,
        label(&status.name, &status.version),
        clipped(&status.live, 120),
        portion(status.share),
        replaced.unwrap_or_default(),
        clipped(&status.digest, 80)
    )
}

/// Describes the result of a discarded candidate.
fn discarded(status: &ShadowStatus) -> String {
    format!(
        "{}: {} is discarded after {}; it differed on {} of {} rows\n",
        status.slot,
        label(&status.name, &status.version),
        since(status.elapsed_ms),
        grouped(status.comparison.differing),
        grouped(status.comparison.rows)
    )
}

#[cfg(test)]
mod tests {
    use super::super::compare::tests::shadow;
    use super::*;

    #[test]
    fn a_candidate_that_came_is_said_with_what_happens_next() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        assert_eq!(
            began(&shadow()),
            format!(
                "sampler: sampler-tail@1.0.0 is in the shadow of sampler-ratio@0.1.0 (1), on 10 % of batches\n\
                 promoted after 10m00s if disagreement < 0.1% and faults == 0\n{digest}\n"
            )
        );
        let text = began(&ShadowStatus { promote_if: None, after_ms: None, ..shadow() });
        assert!(text.contains("`host plugin compare sampler` shows"), "{text}");
    }

    #[test]
    fn a_candidate_that_went_is_said_with_what_was_learnt() {
        assert_eq!(
            discarded(&shadow()),
            "sampler: sampler-tail@1.0.0 is discarded after 2m03s; it differed on 1,024 of 100,352 rows\n"
        );
    }
}
