//! Plugins bound to one path: from what is in the slots to the stages that its worker calls.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use host_model::{CallStats, Decoder, Enricher, Layout, MapAccess, Plugin, PluginId, Sampler, Schema, Tables};
use host_pipeline::{Change, Stages};
use host_plugin::{Clock, Host, PluginError, Setup};

use crate::control::message::Refusal;
use crate::slots::{Generation, Lineup};

/// What plugins are bound to.
pub(crate) struct Place {
    /// The probe, which is the path's name.
    pub(crate) probe: Arc<str>,
    /// The record it writes.
    pub(crate) layout: Layout,
    /// The maps of its object.
    pub(crate) maps: Arc<dyn MapAccess>,
    /// The system's clocks, or those of a replay.
    pub(crate) clock: Arc<dyn Clock>,
}

/// Binds plugins to places.
pub(crate) struct Binder {
    pub(crate) tables: Arc<dyn Tables>,
}

/// Who is on a path, and what its calls cost: all that remains known of a stage once the worker has it.
#[derive(Debug, Clone)]
pub(crate) struct Card {
    pub(crate) id: PluginId,
    pub(crate) stats: Arc<CallStats>,
    pub(crate) faults: Arc<Mutex<Faults>>,
}

/// The faults that somebody who looked has seen.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub(crate) seen: u64,
    pub(crate) last: Option<Instant>,
}

/// The cards of one path, in the order an event meets them.
#[derive(Debug, Clone)]
pub(crate) struct Cards {
    pub(crate) decoder: Card,
    pub(crate) sampler: Option<Card>,
    pub(crate) enrichers: Vec<Card>,
}

/// What a switch needs: the new stages and what is to be remembered of them.
pub(crate) struct Rebound {
    pub(crate) change: Change,
    pub(crate) cards: Cards,
    /// Schema of the decoder.
    pub(crate) schema: Arc<Schema>,
}

// === impl Binder ===

impl Binder {
    /// All the stages of a path.
    pub(crate) fn stages(&self, place: &Place, lineup: &Lineup) -> Result<Stages, Refusal> {
        let decoder = self.decoder(place, &lineup.decoder)?;
        let schema = Arc::clone(decoder.schema());
        let sampler = lineup.sampler.as_ref().map(|sampler| self.sampler(place, sampler, &schema)).transpose()?;
        let enrichers = self.enrichers(place, &lineup.enrichers, &schema)?;
        Ok(Stages { decoder, sampler, enrichers })
    }

    /// The stages that make `to` out of `from`; None if nothing differs. A decoder whose rows mean something else takes new
    /// instances of everything behind it along.
    pub(crate) fn change(
        &self,
        place: &Place,
        from: (&Lineup, &Cards, &Arc<Schema>),
        to: &Lineup,
    ) -> Result<Option<Rebound>, Refusal> {
        let (lineup, cards, schema) = from;
        let (new_decoder, new_sampler, new_enrichers) = lineup.differs(to);
        if !(new_decoder || new_sampler || new_enrichers) {
            return Ok(None);
        }
        let mut cards = cards.clone();
        let mut schema = Arc::clone(schema);
        let mut change = Change::default();
        let mut new_schema = false;
        if new_decoder {
            let decoder = self.decoder(place, &to.decoder)?;
            new_schema = *decoder.schema() != schema;
            schema = Arc::clone(decoder.schema());
            cards.decoder = Card::of(&*decoder);
            change.decoder = Some(decoder);
        }
        if new_sampler || new_schema {
            let sampler = to.sampler.as_ref().map(|sampler| self.sampler(place, sampler, &schema)).transpose()?;
            cards.sampler = sampler.as_deref().map(Card::of);
            change.sampler = Some(sampler);
        }
        if new_enrichers || new_schema {
            let enrichers = self.enrichers(place, &to.enrichers, &schema)?;
            cards.enrichers = enrichers.iter().map(|enricher| Card::of(&**enricher)).collect();
            change.enrichers = Some(enrichers);
        }
        Ok(Some(Rebound { change, cards, schema }))
    }

    fn decoder(&self, place: &Place, plugin: &Generation) -> Result<Box<dyn Decoder>, Refusal> {
        let bound = plugin.component.decoder(id(plugin), &place.probe, &place.layout, self.setup(place, plugin));
        bound.map_err(|error| refusal(place, error))
    }

    fn sampler(&self, place: &Place, plugin: &Generation, schema: &Arc<Schema>) -> Result<Box<dyn Sampler>, Refusal> {
        let bound = plugin.component.sampler(id(plugin), schema, self.setup(place, plugin));
        bound.map_err(|error| refusal(place, error))
    }

    /// Each is bound to the schema that the ones before it leave behind.
    fn enrichers(
        &self,
        place: &Place,
        plugins: &[Arc<Generation>],
        schema: &Arc<Schema>,
    ) -> Result<Vec<Box<dyn Enricher>>, Refusal> {
        let mut schema = Arc::clone(schema);
        let mut enrichers = Vec::new();
        for plugin in plugins {
            let bound = plugin.component.enricher(id(plugin), &schema, self.setup(place, plugin));
            let enricher = bound.map_err(|error| refusal(place, error))?;
            let extended = schema.extend(enricher.added()).map_err(|error| {
                let message = format!("plugin {}: on path {}: {error}", plugin.label(), place.probe);
                Refusal::new("bind", message, "let it add fields under names of its own, or unload the plugin that adds them")
            })?;
            schema = Arc::new(extended);
            enrichers.push(enricher);
        }
        Ok(enrichers)
    }

    fn setup(&self, place: &Place, plugin: &Generation) -> Setup {
        let host = Host { tables: Arc::clone(&self.tables), maps: Arc::clone(&place.maps), clock: Arc::clone(&place.clock) };
        let config = serde_json::Value::Object((*plugin.config).clone()).to_string();
        Setup { config, grants: plugin.grants.clone(), limits: plugin.limits.clone(), host, ..Setup::default() }
    }
}

// === impl Card ===

impl Card {
    fn of(plugin: &(impl Plugin + ?Sized)) -> Self {
        Self { id: plugin.id().clone(), stats: Arc::clone(plugin.stats()), faults: Arc::default() }
    }
}

// === impl Cards ===

impl Cards {
    pub(crate) fn of(stages: &Stages) -> Self {
        Self {
            decoder: Card::of(&*stages.decoder),
            sampler: stages.sampler.as_deref().map(Card::of),
            enrichers: stages.enrichers.iter().map(|enricher| Card::of(&**enricher)).collect(),
        }
    }

    /// In the order an event meets them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Card> {
        std::iter::once(&self.decoder).chain(&self.sampler).chain(&self.enrichers)
    }
}

fn id(plugin: &Generation) -> PluginId {
    let inspection = plugin.inspection();
    PluginId {
        slot: plugin.slot.to_string().into(),
        name: inspection.name.as_str().into(),
        version: inspection.version.as_str().into(),
        digest: inspection.digest,
        generation: plugin.number,
    }
}

fn refusal(place: &Place, error: PluginError) -> Refusal {
    let PluginError { plugin, step, problem, cure } = error;
    Refusal::new(&step.to_string(), format!("plugin {plugin}: {step} failed on path {}: {problem}", place.probe), cure)
}
