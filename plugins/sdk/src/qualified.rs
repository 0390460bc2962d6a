//! Methods that qualify a field or a metric after its declaration, for every type with a `schema`.

/// Gives a type with a field `schema: EventSchema` the methods that qualify its last field, and those that declare metrics.
macro_rules! qualified {
    (impl<$param:ident $(: $bound:path)?> $of:ty) => {
        impl<$param $(: $bound)?> $of {
            /// What the host does with the field before. Without it: an attribute.
            #[must_use]
            pub fn used(self, field_use: $crate::FieldUse) -> Self {
                self.last(|field| field.use_ = field_use)
            }

            /// The UCUM unit of the field before.
            #[must_use]
            pub fn unit(self, unit: &str) -> Self {
                self.last(|field| field.unit = unit.into())
            }

            /// What the field before may reveal. Without it: nothing.
            #[must_use]
            pub fn reveals(self, sensitivity: $crate::Sensitivity) -> Self {
                self.last(|field| field.sensitivity = sensitivity)
            }

            /// In the field before, 0 or empty means "not known".
            #[must_use]
            pub fn omit_zero(self) -> Self {
                self.last(|field| field.omit_zero = true)
            }

            /// A metric that counts rows.
            #[must_use]
            pub fn counter(self, name: &str, description: &str) -> Self {
                self.metric(name, description, $crate::wit::Instrument::Counter, "")
            }

            /// A metric that adds up a field.
            #[must_use]
            pub fn sum(self, name: &str, description: &str, field: &str) -> Self {
                self.metric(name, description, $crate::wit::Instrument::Sum, field)
            }

            /// A metric of how a field is distributed.
            #[must_use]
            pub fn histogram(self, name: &str, description: &str, field: &str) -> Self {
                self.metric(name, description, $crate::wit::Instrument::Histogram, field)
            }

            /// The metric before counts only rows in which this field, a u32 or boolean, has this value. At most four hold
            /// together.
            #[must_use]
            pub fn only(mut self, field: &str, equals: u32) -> Self {
                let field = self.place(field);
                if let Some(metric) = self.schema.metrics.last_mut() {
                    metric.only.push($crate::wit::Condition { field, equals });
                }
                self
            }

            /// What the rows mean.
            #[must_use]
            pub const fn schema(&self) -> &$crate::EventSchema {
                &self.schema
            }

            fn last(mut self, change: impl FnOnce(&mut $crate::wit::Field)) -> Self {
                self.schema.fields.last_mut().map(change);
                self
            }

            fn metric(mut self, name: &str, description: &str, instrument: $crate::wit::Instrument, field: &str) -> Self {
                let value = if field.is_empty() { 0 } else { self.place(field) };
                let (name, description) = (name.into(), description.into());
                self.schema.metrics.push($crate::wit::Metric { name, description, instrument, value, only: Vec::new() });
                self
            }

            /// The index of a field; one that the host refuses if there is none of this name.
            fn place(&self, field: &str) -> u32 {
                self.schema.named(field).unwrap_or(u32::MAX)
            }
        }
    };
}

pub(crate) use qualified;
