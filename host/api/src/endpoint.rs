//! Endpoints: the method, path and answer of a request type.

use hyper::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A request that a running host answers. Client and server both take the path from here, so that it cannot differ.
pub trait Endpoint: Serialize + DeserializeOwned {
    /// `GET`, which changes nothing and has no body; or `POST`, which has the request as its body, in JSON.
    const METHOD: Method;
    /// The path. A part `{id}` is the member `id` of the request.
    const PATH: &'static str;
    /// The answer.
    type Answer: Serialize + DeserializeOwned;

    /// Returns path and query of this request.
    fn target(&self) -> String {
        Self::PATH.to_owned()
    }
}
