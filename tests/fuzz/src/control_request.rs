//! The body of a request to the control socket, and the texts in it that are parsed again.

use std::fmt::Debug;

use host_api::{
    ComparePlugin, Condition, DiscardPlugin, LoadPlugin, LoadProbe, PromotePlugin, RollbackPlugin, ShadowPlugin, Slot,
    UnloadPlugin, UnloadProbe,
};
use host_model::Comparison;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::is_printable;

/// Checks that a parsed request is equal after writing and parsing it again; so are a slot and a condition, and a condition can be judged.
///
/// # Panics
/// The check fails.
pub fn check(data: &[u8]) {
    request::<LoadPlugin>(data);
    request::<UnloadPlugin>(data);
    request::<RollbackPlugin>(data);
    request::<ComparePlugin>(data);
    request::<PromotePlugin>(data);
    request::<DiscardPlugin>(data);
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
    let written = serde_json::to_value(&request).unwrap();
    let again = serde_json::from_slice::<T>(&serde_json::to_vec(&request).unwrap()).unwrap();
    assert!(alike(&serde_json::to_value(&again).unwrap(), &written), "{again:?} was {request:?}");
    Some(request)
}

/// Whether two values are equal, except for the last bit of numbers with more digits than a double: serde_json rounds those to a neighbour.
fn alike(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => match (one.as_f64(), other.as_f64()) {
            (Some(one), Some(other)) => (one - other).abs() <= one.abs() * 4.0 * f64::EPSILON,
            _ => one == other,
        },
        (Value::Array(one), Value::Array(other)) => one.len() == other.len() && one.iter().zip(other).all(|(a, b)| alike(a, b)),
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|((a, one), (b, other))| a == b && alike(one, other))
        }
        _ => one == other,
    }
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
