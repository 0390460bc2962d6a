//! Repeats a failed call.
//!
//! The component is compiled and bound as before, with the same configuration, limits and grants, but to a host without maps and with empty
//! tables, because the node's data of that time is not stored. Its first call is the one that failed; state that earlier calls left in the
//! instance is not stored either.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use host_api::{BoundTo, Repro, Rerun, RerunOutcome, Step};
use host_model::{Fault, PluginId, Role, Run};
use host_plugin::{Component, Engine, Grants, Host, INSTANCES, Limits, PluginError, Setup};

use super::{batch, store};
use crate::error::DaemonError;
use crate::plugins::compiler::execution;
use crate::plugins::limits::from_slot_limits;
use crate::plugins::load;
use crate::tables::Node;

/// Returns an engine to repeat calls with: it interprets plugins if this system forbids executable memory.
///
/// # Errors
/// The engine cannot start.
pub fn engine() -> Result<Engine, DaemonError> {
    Ok(Engine::with(execution(None), INSTANCES)?)
}

/// Repeats the call of a repro, with the component that failed or with another one. Blocks.
///
/// # Errors
/// The stored data cannot be read or is inconsistent. A component that cannot be bound is an outcome, not an error.
pub fn run(repro: &Repro, engine: &Engine, component: Option<&Path>) -> Result<Rerun, DaemonError> {
    let broken = |reason: String| {
        let message = format!("{}: {reason}", repro.summary.folder.display());
        DaemonError::new(Step::Repro, message, "it may have been cut while it was copied; take another")
    };
    let (given, kept) = store::contents(repro).map_err(|error| broken(error.to_string()))?;
    let file = component.unwrap_or(&kept);
    let bytes = load::read(file, engine.execution())?;
    let inspection = load::inspect(&bytes, &repro.summary.name)?;
    if component.is_none() && inspection.digest.to_string() != repro.summary.digest {
        return Err(broken(format!("the component has digest {}, not that of the one that failed", inspection.digest)));
    }
    let grants = Grants::parse(&repro.grants).map_err(|error| broken(error.to_string()))?;
    let setup = Setup {
        config: serde_json::Value::Object(repro.config.clone()).to_string(),
        grants,
        // One call does not justify a quarantine.
        limits: Limits { quarantine: None, ..from_slot_limits(&repro.limits) },
        fallback: repro.fallback,
        host: Host { tables: Arc::new(Node::unknown()), ..Host::default() },
    };
    let id = inspection.id(&repro.summary.slot, repro.summary.generation);
    let again = Again { repro, id, setup, given: &given };
    // The grants stored with a call do not permit its native code to run.
    let compiled = match inspection.compiled {
        Some(_) => Component::load_own(engine, &bytes, &repro.summary.name, plugins::digests()),
        None => Component::compile(engine, &bytes, &repro.summary.name),
    };
    let called = match compiled {
        Ok(component) => again.call(&component).map_err(broken)?,
        Err(error) => Called::Unbound(error),
    };
    Ok(called.judged(repro))
}

/// Everything needed for the call.
struct Again<'a> {
    repro: &'a Repro,
    id: PluginId,
    setup: Setup,
    given: &'a [u8],
}

/// The result of the call.
enum Called {
    Unbound(PluginError),
    Failed(Fault, Instant),
    Returned(String, Instant),
}

// === impl Again ===

impl Again<'_> {
    fn call(self, component: &Component) -> Result<Called, String> {
        let Self { repro, id, setup, given } = self;
        let (answer, began) = match &repro.bound_to {
            BoundTo::Layout(layout) => {
                let run = Run::parse(given).ok_or("its records are not a run")?;
                let mut decoder = match component.decoder(id, &repro.summary.probe, layout, setup) {
                    Ok(decoder) => decoder,
                    Err(error) => return Ok(Called::Unbound(error)),
                };
                let known = decoder.schema().fields.len();
                let fields: Vec<usize> = repro.fields.iter().copied().filter(|&field| field < known).collect();
                let began = Instant::now();
                let answer = decoder.decode(run, &fields);
                (answer.map(|decoded| format!("{} rows, {} undecodable", decoded.batch.rows, decoded.undecodable.len())), began)
            }
            BoundTo::Schema(schema) => {
                let schema = Arc::new(schema.clone());
                let rows = batch::read(given, &schema, &repro.fields)?;
                let role = if repro.summary.role == Role::Enricher {
                    component.enricher(id, &schema, setup).map(Err)
                } else {
                    component.sampler(id, &schema, setup).map(Ok)
                };
                let began = Instant::now();
                match role {
                    Err(error) => return Ok(Called::Unbound(error)),
                    Ok(Ok(mut sampler)) => {
                        // A sampler other than the one that failed may need columns that are not stored.
                        present(sampler.wanted(), &rows)?;
                        (sampler.decide(&rows).map(|decisions| format!("{} thresholds", decisions.thresholds.len())), began)
                    }
                    Ok(Err(mut enricher)) => {
                        present(enricher.wanted(), &rows)?;
                        (enricher.enrich(&rows).map(|added| format!("{} columns", added.len())), began)
                    }
                }
            }
        };
        Ok(match answer {
            Ok(returned) => Called::Returned(format!("it returned {returned}"), began),
            Err(fault) => Called::Failed(fault, began),
        })
    }
}

// === impl Called ===

impl Called {
    fn judged(self, repro: &Repro) -> Rerun {
        match self {
            Self::Unbound(error) => Rerun { outcome: RerunOutcome::Unbound, detail: error.to_string(), elapsed_ns: 0 },
            Self::Returned(detail, began) => Rerun { outcome: RerunOutcome::Succeeded, detail, elapsed_ns: since(began) },
            Self::Failed(fault, began) => {
                let again = fault.kind == repro.summary.kind;
                let outcome = if again { RerunOutcome::Again } else { RerunOutcome::Otherwise };
                Rerun { outcome, detail: format!("{} ({})", fault.detail, fault.kind), elapsed_ns: since(began) }
            }
        }
    }
}

fn present(wanted: &[usize], rows: &host_model::Batch) -> Result<(), String> {
    match wanted.iter().find(|&&field| rows.column(field).is_none()) {
        None => Ok(()),
        Some(&field) => {
            let name = rows.schema.fields.get(field).map_or("?", |field| &field.name);
            Err(format!("this component reads `{name}`, whose column was not kept"))
        }
    }
}

fn since(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
