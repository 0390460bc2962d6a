//! The candidate that a command refers to.

use host_api::{Client, GetShadows, ShadowStatus, Slot};

use super::slot_named;
use crate::ask;
use crate::exit::{Code, Failure};

/// Returns the slot named, or the only one with a candidate.
pub(super) async fn which(client: &Client, name: Option<&str>) -> Result<Slot, Failure> {
    match name {
        Some(name) => slot_named(name),
        None => only(&ask::answer(client.call(&GetShadows)).await?),
    }
}

fn only(shadows: &[ShadowStatus]) -> Result<Slot, Failure> {
    match shadows {
        [shadow] => Ok(shadow.slot.clone()),
        [] => Err(Failure::new(Code::Failed, "no slot has a candidate").cured_by("`host plugin shadow FILE` brings one")),
        several => {
            let slots: Vec<String> = several.iter().map(|shadow| shadow.slot.to_string()).collect();
            Err(Failure::new(Code::Usage, "several slots have a candidate")
                .cured_by(format!("name one of: {}", slots.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::compare::tests::shadow;
    use super::*;

    #[test]
    fn without_a_name_the_only_candidate_is_meant() {
        let other = ShadowStatus { slot: Slot::Decoder("file".into()), ..shadow() };
        assert_eq!(only(&[shadow()]).unwrap(), Slot::Sampler);
        assert!(matches!(only(&[]), Err(Failure::Error { code: Code::Failed, .. })));
        let Err(Failure::Error { code, cure, .. }) = only(&[shadow(), other]) else { panic!("several are one too many") };
        assert_eq!((code, cure.as_deref()), (Code::Usage, Some("name one of: sampler, decoder.file")));
    }
}
