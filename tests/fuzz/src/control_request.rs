//! The body of a request to the control socket, and the words in it that are read once more.

use std::fmt::Debug;

use host_daemon::control::message::{
    LoadPlugin, LoadProbe, RollbackPlugin, ShadowOf, ShadowPlugin, UnloadPlugin, UnloadProbe,
};
use host_daemon::shadow::Condition;
use host_daemon::slot::Slot;
use host_model::Comparison;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::is_printable;

/// A request that is read is written and read again as the same; so are a slot and a condition, and a condition can be judged.
///
/// # Panics
/// That does not hold.
pub fn check(data: &[u8]) {
    request::<LoadPlugin>(data);
    request::<UnloadPlugin>(data);
    request::<RollbackPlugin>(data);
    request::<ShadowOf>(data);
    request::<LoadProbe>(data);
    request::<UnloadProbe>(data);
    if let Some(promote_if) = request::<ShadowPlugin>(data).and_then(|shadow| shadow.promote_if) {
        condition(&promote_if);
    }
    if let Ok(text) = std::str::from_utf8(data) {
        slot(text);
        condition(text);
    }
}

fn request<T: Serialize + DeserializeOwned + PartialEq + Debug>(data: &[u8]) -> Option<T> {
    let request = serde_json::from_slice::<T>(data).ok()?;
    let written = serde_json::to_vec(&request).unwrap();
    assert_eq!(serde_json::from_slice::<T>(&written).unwrap(), request);
    Some(request)
}

fn slot(text: &str) {
    match text.parse::<Slot>() {
        Ok(slot) => assert_eq!(slot.to_string(), text),
        Err(error) => assert!(is_printable(&error.to_string()), "{error:?}"),
    }
}

fn condition(text: &str) {
    match text.parse::<Condition>() {
        Err(error) => assert!(is_printable(&error.to_string()), "{error:?}"),
        Ok(condition) => {
            let written = condition.to_string();
            assert_eq!(written.parse().as_ref(), Ok(&condition), "{text:?} is written as {written:?}");
            let none = condition.judge(&Comparison::default());
            assert!(none.is_err(), "nothing was compared, yet {none:?}");
        }
    }
}
