//! Every endpoint, and the description of all of them: `docs/api.json`.

use hyper::Method;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

use crate::endpoint::Endpoint;
use crate::error::Refused;
use crate::generation::GetSlots;
use crate::plugin::{LoadPlugin, RollbackPlugin, UnloadPlugin};
use crate::probe::{GetProbes, LoadProbe, UnloadProbe};
use crate::repro::{GetRepro, GetRepros};
use crate::requests::GetRequests;
use crate::shadow::{ComparePlugin, DiscardPlugin, GetShadows, PromotePlugin, ShadowPlugin};
use crate::status::{GetPlugins, GetStatus, Stop};

/// An endpoint without its types.
#[derive(Debug, Clone)]
pub struct Described {
    /// `GET` or `POST`.
    pub method: Method,
    /// The path.
    pub path: &'static str,
    /// Schemas of the request and of the answer.
    schemas: fn(&mut SchemaGenerator) -> (Schema, Schema),
}

/// Every endpoint: first those that only read, then those that change the host.
pub const ENDPOINTS: &[Described] = &[
    of::<GetStatus>(),
    of::<GetRequests>(),
    of::<GetPlugins>(),
    of::<GetSlots>(),
    of::<GetShadows>(),
    of::<ComparePlugin>(),
    of::<GetRepros>(),
    of::<GetRepro>(),
    of::<GetProbes>(),
    of::<LoadPlugin>(),
    of::<UnloadPlugin>(),
    of::<RollbackPlugin>(),
    of::<ShadowPlugin>(),
    of::<PromotePlugin>(),
    of::<DiscardPlugin>(),
    of::<LoadProbe>(),
    of::<UnloadProbe>(),
    of::<Stop>(),
];

const fn of<E: Endpoint + JsonSchema>() -> Described
where
    E::Answer: JsonSchema,
{
    Described {
        method: E::METHOD,
        path: E::PATH,
        schemas: |schemas| (E::json_schema(schemas), schemas.subschema_for::<E::Answer>()),
    }
}

/// Returns the requests and answers of all endpoints as JSON schemas: the content of `docs/api.json`.
#[must_use]
pub fn description() -> Value {
    let mut schemas = SchemaSettings::draft2020_12().into_generator();
    let endpoints: Vec<Value> = ENDPOINTS.iter().map(|endpoint| endpoint.described(&mut schemas)).collect();
    let refused = schemas.subschema_for::<Refused>();
    json!({ "endpoints": endpoints, "refused": refused, "$defs": schemas.take_definitions(true) })
}

// === impl Described ===

impl Described {
    fn described(&self, schemas: &mut SchemaGenerator) -> Value {
        let (request, answer) = (self.schemas)(schemas);
        json!({ "method": self.method.as_str(), "path": self.path, "request": request, "answer": answer })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// `HOST_EXPECT=write` writes it anew, for a person to read the difference.
    #[test]
    fn the_description_in_docs_is_that_of_the_types() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/api.json");
        let described = serde_json::to_string_pretty(&description()).unwrap() + "\n";
        if std::env::var_os("HOST_EXPECT").is_some_and(|value| value == "write") {
            std::fs::write(&file, &described).unwrap();
        }
        let written = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(written == described, "docs/api.json is not what the types say; write it with HOST_EXPECT=write");
    }
}
