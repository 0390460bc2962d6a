//! Plugins bound to one path: from the plugins in the slots to the stages that its worker calls.

use std::sync::Arc;
use std::time::Instant;

use host_api::{Slot, Step};
use host_model::{
    CallStats, Decoder, Enricher, Layout, Lock, MapAccess, MapError, Plugin, PluginId, Recogniser, Role, Sampler, Schema,
    Tables,
};
use host_pipeline::{Candidate, Change, Stages};
use host_plugin::{Clock, Host, PluginError, Setup};

use crate::error::DaemonError;
use crate::plugins::known::Known;
use crate::plugins::rules::Rules;
use crate::plugins::slots::{Generation, Lineup};

/// The properties of a path to which plugins are bound.
pub(crate) struct Place {
    /// The probe, which is the path's name.
    pub(crate) probe: Arc<str>,
    /// The record it writes.
    pub(crate) layout: Arc<Layout>,
    /// The maps of its object.
    pub(crate) maps: Arc<dyn MapAccess>,
    /// The system's clocks, or those of a replay.
    pub(crate) clock: Arc<dyn Clock>,
}

/// Binds plugins to places.
pub(crate) struct Binder {
    pub(crate) tables: Arc<dyn Tables>,
    /// Records every generation before its first call.
    pub(crate) known: Arc<Known>,
}

/// The identity and call statistics of a stage: the only data the daemon has of it once the worker owns it.
#[derive(Clone)]
pub(crate) struct Card {
    pub(crate) id: PluginId,
    pub(crate) stats: Arc<CallStats>,
    pub(crate) generation: Arc<Generation>,
    /// The schema that a sampler or an enricher is bound to; of a decoder, the schema that it produces.
    pub(crate) schema: Arc<Schema>,
    pub(crate) faults: Arc<Lock<Faults>>,
}

/// The identity and call statistics of an instance that the router calls.
pub(crate) type Asked = (PluginId, Arc<CallStats>);

/// Number of faults at the last status query, and the time of the last new one.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub(crate) seen: u64,
    pub(crate) last: Option<Instant>,
}

/// The cards of one path, in the order an event meets them.
#[derive(Clone)]
pub(crate) struct Cards {
    pub(crate) decoder: Card,
    pub(crate) sampler: Option<Card>,
    pub(crate) enrichers: Vec<Card>,
}

/// The input of a switch: the new stages, and their cards and schema.
pub(crate) struct Rebound {
    pub(crate) change: Change,
    pub(crate) cards: Cards,
    /// Schema of the decoder.
    pub(crate) schema: Arc<Schema>,
}

/// The maps that a candidate gets.
struct ReadOnly(Arc<dyn MapAccess>);

// === impl Binder ===

impl Binder {
    /// Binds all the stages of a path.
    pub(crate) fn stages(&self, place: &Place, lineup: &Lineup) -> Result<Stages, DaemonError> {
        let decoder = self.decoder(place, &lineup.decoder)?;
        let schema = Arc::clone(decoder.schema());
        let sampler = lineup.sampler.as_ref().map(|sampler| self.sampler(place, sampler, &schema)).transpose()?;
        let enrichers = self.enrichers(place, &lineup.enrichers, &schema)?;
        Ok(Stages { decoder, sampler, enrichers })
    }

    /// Binds the stages that differ between `from` and `to`; None if none does. A decoder with another schema needs new instances of every
    /// stage behind it.
    pub(crate) fn change(
        &self,
        place: &Place,
        from: (&Lineup, &Cards, &Arc<Schema>),
        to: &Lineup,
    ) -> Result<Option<Rebound>, DaemonError> {
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
            cards.decoder = Card::of(&*decoder, &to.decoder, &schema);
            change.decoder = Some(decoder);
        }
        if new_sampler || new_schema {
            let sampler = to.sampler.as_ref().map(|sampler| self.sampler(place, sampler, &schema)).transpose()?;
            cards.sampler =
                sampler.as_deref().zip(to.sampler.as_ref()).map(|(stage, made_of)| Card::of(stage, made_of, &schema));
            change.sampler = Some(sampler);
        }
        if new_enrichers || new_schema {
            let enrichers = self.enrichers(place, &to.enrichers, &schema)?;
            cards.enrichers = Cards::of_enrichers(&enrichers, &to.enrichers, &schema);
            change.enrichers = Some(enrichers);
        }
        Ok(Some(Rebound { change, cards, schema }))
    }

    /// Binds the instance that a router asks about connections.
    pub(crate) fn recogniser(
        &self,
        place: &Place,
        plugin: &Arc<Generation>,
    ) -> Result<(Box<dyn Recogniser>, Asked), DaemonError> {
        let bound = plugin.component.recogniser(id(plugin), &place.probe, &place.layout, self.live(place, plugin));
        let recogniser = bound.map_err(|error| refusal(place, error))?;
        let asked = (recogniser.id().clone(), Arc::clone(recogniser.stats()));
        Ok((recogniser, asked))
    }

    fn decoder(&self, place: &Place, plugin: &Arc<Generation>) -> Result<Box<dyn Decoder>, DaemonError> {
        let bound = plugin.component.decoder(id(plugin), &place.probe, &place.layout, self.live(place, plugin));
        bound.map_err(|error| refusal(place, error))
    }

    fn sampler(&self, place: &Place, plugin: &Arc<Generation>, schema: &Arc<Schema>) -> Result<Box<dyn Sampler>, DaemonError> {
        let bound = plugin.component.sampler(id(plugin), schema, self.live(place, plugin));
        bound.map_err(|error| refusal(place, error))
    }

    /// Each enricher is bound to the schema that the ones before it produce.
    fn enrichers(
        &self,
        place: &Place,
        plugins: &[Arc<Generation>],
        schema: &Arc<Schema>,
    ) -> Result<Vec<Box<dyn Enricher>>, DaemonError> {
        let mut schema = Arc::clone(schema);
        let mut enrichers = Vec::new();
        for plugin in plugins {
            let bound = plugin.component.enricher(id(plugin), &schema, self.live(place, plugin));
            let enricher = bound.map_err(|error| refusal(place, error))?;
            let extended = schema.extend(enricher.added()).map_err(|error| {
                let message = format!("plugin {}: on path {}: {error}", plugin.label(), place.probe);
                DaemonError::new(
                    Step::Bind,
                    message,
                    "let it add fields under names of its own, or unload the plugin that adds them",
                )
            })?;
            schema = Arc::new(extended);
            enrichers.push(enricher);
        }
        Ok(enrichers)
    }

    /// Binds a candidate for the shadow of the live plugin of its slot, which is bound to `schema`. Its writes to maps are discarded: it
    /// must not act on the node. `beside` is the slot of the live plugin.
    pub(crate) fn candidate(
        &self,
        place: &Place,
        plugin: &Generation,
        beside: &Slot,
        schema: &Arc<Schema>,
    ) -> Result<Candidate, DaemonError> {
        let id = PluginId { slot: beside.to_string().into(), ..id(plugin) };
        let component = &plugin.component;
        let setup = self.setup(place, plugin, Arc::new(ReadOnly(Arc::clone(&place.maps))));
        let bound = match plugin.slot.role() {
            Role::Decoder => component.decoder(id, &place.probe, &place.layout, setup).map(Candidate::Decoder),
            Role::Sampler => component.sampler(id, schema, setup).map(Candidate::Sampler),
            Role::Enricher => component.enricher(id, schema, setup).map(Candidate::Enricher),
        };
        bound.map_err(|error| refusal(place, error))
    }

    /// Returns the setup of a plugin that is to go live, and records its generation.
    fn live(&self, place: &Place, plugin: &Arc<Generation>) -> Setup {
        self.known.add(plugin);
        self.setup(place, plugin, Arc::clone(&place.maps))
    }

    fn setup(&self, place: &Place, plugin: &Generation, maps: Arc<dyn MapAccess>) -> Setup {
        let host = Host { tables: Arc::clone(&self.tables), maps, clock: Arc::clone(&place.clock) };
        let config = serde_json::Value::Object((*plugin.config).clone()).to_string();
        let Rules { grants, limits, fallback, .. } = plugin.rules.clone();
        Setup { config, grants, limits, fallback, host }
    }
}

// === impl ReadOnly ===

impl MapAccess for ReadOnly {
    fn lookup(&self, map: &str, key: &[u8]) -> Result<Option<Vec<u8>>, MapError> {
        self.0.lookup(map, key)
    }

    /// Discards the write without an error, which would make the candidate behave differently than when live.
    fn update(&self, _map: &str, _key: &[u8], _value: &[u8]) -> Result<(), MapError> {
        Ok(())
    }

    fn delete(&self, _map: &str, _key: &[u8]) -> Result<(), MapError> {
        Ok(())
    }
}

// === impl Card ===

impl Card {
    fn of(stage: &(impl Plugin + ?Sized), made_of: &Arc<Generation>, schema: &Arc<Schema>) -> Self {
        Self {
            id: stage.id().clone(),
            stats: Arc::clone(stage.stats()),
            generation: Arc::clone(made_of),
            schema: Arc::clone(schema),
            faults: Arc::default(),
        }
    }

    /// The card of an instance that a router calls.
    pub(crate) fn asked((id, stats): Asked, made_of: &Arc<Generation>, schema: &Arc<Schema>) -> Self {
        Self { id, stats, generation: Arc::clone(made_of), schema: Arc::clone(schema), faults: Arc::default() }
    }
}

// === impl Cards ===

impl Cards {
    pub(crate) fn of(stages: &Stages, lineup: &Lineup) -> Self {
        let schema = stages.decoder.schema();
        let sampler = stages.sampler.as_deref().zip(lineup.sampler.as_ref());
        Self {
            decoder: Card::of(&*stages.decoder, &lineup.decoder, schema),
            sampler: sampler.map(|(stage, made_of)| Card::of(stage, made_of, schema)),
            enrichers: Self::of_enrichers(&stages.enrichers, &lineup.enrichers, schema),
        }
    }

    fn of_enrichers(stages: &[Box<dyn Enricher>], made_of: &[Arc<Generation>], schema: &Arc<Schema>) -> Vec<Card> {
        let mut before = Arc::clone(schema);
        let mut cards = Vec::new();
        for (stage, made_of) in stages.iter().zip(made_of) {
            cards.push(Card::of(&**stage, made_of, &before));
            // They were bound in this order, so the schema can be extended.
            if let Ok(extended) = before.extend(stage.added()) {
                before = Arc::new(extended);
            }
        }
        cards
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

fn refusal(place: &Place, error: PluginError) -> DaemonError {
    DaemonError::Bind { path: Arc::clone(&place.probe), error }
}
