//! The text of a `host.toml`.

use std::path::Path;

use host_daemon::Config;
use host_daemon::config::{Size, Span};
use host_plugin::Grants;

use crate::is_printable;

/// Checks that an error is printable and has a place; that an accepted configuration can be used.
///
/// # Panics
/// The check fails.
pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    // A short text is also tried as a quantity and as a grant.
    if text.len() < 64 {
        let _ = (text.parse::<Size>(), text.parse::<Span>());
        match Grants::parse(&[text.as_ref()]) {
            Ok(grants) => drop(format!("{grants:?}")),
            Err(error) => assert!(is_printable(&error.to_string()), "{error:?}"),
        }
    }
    match Config::parse(Path::new("host.toml"), &text) {
        Err(error) => {
            let message = error.to_string();
            // The message quotes a line of the file, with a mark below.
            assert!(message.lines().all(is_printable), "{message:?}");
        }
        Ok(mut config) => {
            config.resolve(Path::new("/etc/host"));
            assert!(config.check().is_ok(), "it was checked when it was read");
            for (slot, plugin) in config.plugins.iter() {
                assert!(is_printable(&slot.to_string()));
                assert_eq!(slot.to_string().parse().as_ref(), Ok(slot));
                let words: Vec<&str> = plugin.grants.iter().flatten().map(String::as_str).collect();
                let _ = Grants::parse(&words);
            }
        }
    }
}
