//! The settings of this protocol.

use plugin_sdk::Config;
use plugin_sdk::conversation::Routes;
use serde::Deserialize;

/// The settings, beside those of all protocols.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// Routes in which `{x}` stands for a segment, and `*` at the end for the rest of the path.
    routes: Vec<String>,
}

/// Returns the routes of these settings.
///
/// # Errors
/// The invalid setting and its cure, for the operator.
pub(crate) fn routes(config: Config<'_>) -> Result<Routes, String> {
    let settings: Settings = config.parse()?;
    Routes::new(settings.routes)
}

#[cfg(test)]
mod tests {
    use plugin_sdk::Config;

    use super::routes;

    #[test]
    fn routes_are_all_that_can_be_set() {
        for right in ["{}", r#"{"routes": []}"#, r#"{"routes": ["/users/{name}", "/files/*"]}"#] {
            assert!(routes(Config::new(right)).is_ok(), "{right}");
        }
        for wrong in [r#"{"route": []}"#, r#"{"routes": "/users"}"#, r#"{"routes": [7]}"#] {
            assert!(routes(Config::new(wrong)).is_err(), "{wrong}");
        }
    }
}
