//! Requests that the paths of protocols have counted.

use host_api::{Request, Step};

use crate::daemon::Core;
use crate::error::DaemonError;
use crate::report::requests::{Table, is_of_protocol};

// === impl Core ===

impl Core {
    /// Returns the requests of all paths, the most frequent first.
    pub(crate) async fn requests(&self) -> Result<Vec<Request>, DaemonError> {
        let paths = self.paths();
        let asked = tokio::task::spawn_blocking(move || {
            let mut table = Table::default();
            for path in paths {
                if !is_of_protocol(&path.made_of().schema) {
                    continue;
                }
                let counted = path.counted().ok_or_else(|| {
                    let message = format!("path {} did not answer in time", path.name());
                    DaemonError::new(Step::Requests, message, "ask again; `host status` shows whether it is stuck")
                })?;
                table.add(path.name(), &counted);
            }
            Ok(table.requests())
        });
        asked.await?
    }
}
