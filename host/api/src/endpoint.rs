//! What makes a type a request: where it goes, and what is answered.

use hyper::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A request that a running host answers. Client and server take the path from here, so that neither can be wrong about it.
pub trait Endpoint: Serialize + DeserializeOwned {
    /// `GET`, which changes nothing and has no body; or `POST`, which has the request as its body, in JSON.
    const METHOD: Method;
    /// The path. A part `{id}` is the member `id` of the request.
    const PATH: &'static str;
    /// What is answered.
    type Answer: Serialize + DeserializeOwned;

    /// Path and query of this very request.
    fn target(&self) -> String {
        Self::PATH.to_owned()
    }
}
