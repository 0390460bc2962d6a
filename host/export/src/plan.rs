//! The plan of a schema: the OTLP member of each field, computed once per schema.

use std::sync::Arc;

use host_model::{Field, FieldUse, Schema, Sensitivity, Signal};

use crate::columns::{Columns, Value};
use crate::otlp::attribute::Attribute;

/// Room for all members of a row except its attributes, name and body: these take under 300 bytes.
const BARE_ROW: usize = 512;

/// The sensitive fields that may be exported: names, or `*` for all.
#[derive(Debug, Clone, Default)]
pub(crate) struct Allowed(Arc<[String]>);

/// The plan of one schema.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The schema; stored, so that no other schema gets its address.
    pub schema: Arc<Schema>,
    /// Indices of the fields that are more than an attribute.
    pub time: Option<usize>,
    pub duration: Option<usize>,
    pub body: Option<usize>,
    pub name: Option<usize>,
    pub kind: Option<usize>,
    pub error: Option<usize>,
    pub parent: Option<usize>,
    pub correlation: Option<usize>,
    /// The attributes, in the order of the fields.
    pub attributes: Vec<Attribute>,
    /// Indices of fields that must not be exported.
    pub withheld: Vec<usize>,
}

// === impl Allowed ===

impl Allowed {
    pub(crate) fn new(names: &[String]) -> Self {
        Self(names.into())
    }

    fn exports(&self, field: &Field) -> bool {
        field.sensitivity == Sensitivity::Public || self.0.iter().any(|name| name == "*" || *name == field.name)
    }
}

// === impl Plan ===

impl Plan {
    pub(crate) fn new(schema: &Arc<Schema>, allowed: &Allowed) -> Self {
        let mut plan = Self {
            schema: Arc::clone(schema),
            time: None,
            duration: None,
            body: None,
            name: None,
            kind: None,
            error: None,
            parent: None,
            correlation: None,
            attributes: Vec::new(),
            withheld: Vec::new(),
        };
        let is_log = schema.signal == Signal::Log;
        for (index, field) in schema.fields.iter().enumerate() {
            let attribute = || Attribute::new(index, field, schema.signal);
            // Times, kinds and thresholds reveal nothing about a person, and `error` decides the status even if its text is withheld.
            let exported = allowed.exports(field);
            match field.field_use {
                FieldUse::Time => plan.time = Some(index),
                FieldUse::Threshold => {}
                FieldUse::Correlation => plan.correlation = Some(index),
                FieldUse::Kind => plan.kind = Some(index),
                FieldUse::Duration if is_log => plan.attributes.push(attribute()),
                FieldUse::Duration => plan.duration = Some(index),
                FieldUse::Error => {
                    plan.error = Some(index);
                    match exported {
                        true => plan.attributes.push(Attribute::new(
                            index,
                            &Field { omit_zero: true, ..field.clone() },
                            schema.signal,
                        )),
                        false => plan.withheld.push(index),
                    }
                }
                _ if !exported => plan.withheld.push(index),
                FieldUse::Body if is_log && plan.body.is_none() => plan.body = Some(index),
                FieldUse::Name => plan.name = Some(index),
                FieldUse::TraceParent => plan.parent = Some(index),
                FieldUse::Plain | FieldUse::Dimension | FieldUse::Body => plan.attributes.push(attribute()),
            }
        }
        plan
    }

    /// Returns the maximum size of an encoded row.
    pub(crate) fn longest_row(&self, columns: &Columns<'_>) -> usize {
        let texts = [self.name, self.body].into_iter().flatten().map(|field| columns.longest(field));
        let attributes = self.attributes.iter().map(|attribute| attribute.longest(columns));
        BARE_ROW + self.schema.event.len() + texts.chain(attributes).sum::<usize>()
    }

    /// Returns the number of values of one row that must not be exported.
    #[inline]
    pub(crate) fn withheld_in(&self, columns: &Columns<'_>, row: usize) -> u64 {
        self.withheld.iter().filter(|&&field| !columns.value(field, row).is_none_or(Value::is_zero)).count() as u64
    }

    /// Returns the name of a row.
    #[inline]
    pub(crate) fn name_of<'a>(&'a self, columns: &Columns<'a>, row: usize) -> &'a [u8] {
        match self.name.map(|field| columns.text(field, row)) {
            Some(name) if !name.is_empty() => name,
            _ => self.schema.event.as_bytes(),
        }
    }

    /// Whether a row represents a failed operation.
    #[inline]
    pub(crate) fn failed(&self, columns: &Columns<'_>, row: usize) -> bool {
        self.error.is_some_and(|field| !columns.text(field, row).is_empty())
    }
}
