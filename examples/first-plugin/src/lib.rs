//! A sampler that keeps all rows of one program, and every failed row.

use plugin_sdk::{ALWAYS, Columns, Config, Decisions, EventSchema, FieldUse, NEVER, Sampler};

/// `{"program": "nginx"}`. Unknown keys are refused.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    program: String,
}

/// The sampler.
pub struct OneProgram {
    program: String,
    /// The columns that `decide` reads: the name, and the error.
    wanted: Vec<u32>,
}

impl Sampler for OneProgram {
    fn bind(schema: &EventSchema, config: Config<'_>) -> Result<Self, String> {
        let settings: Settings = config.parse()?;
        let name = schema.named("thread.name").ok_or("this probe's events have no `thread.name`")?;
        let error = schema.used(FieldUse::Error).ok_or("this probe's events do not tell whether they failed")?;
        Ok(Self { program: settings.program, wanted: vec![name, error] })
    }

    fn wanted(&self) -> Vec<u32> {
        self.wanted.clone()
    }

    fn decide(&mut self, columns: &Columns) -> Result<Decisions, String> {
        let (names, errors) = (columns.text(0)?, columns.text(1)?);
        let keep = |(name, error): (&str, &str)| if name == self.program || !error.is_empty() { ALWAYS } else { NEVER };
        Ok(Decisions::each(names.strs().zip(errors.strs()).map(keep).collect()))
    }
}

plugin_sdk::export!(sampler: OneProgram);

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_sdk::{ColumnType, Field, Signal, Text};

    fn schema() -> EventSchema {
        let name = Field::new("thread.name", ColumnType::Text);
        let error = Field { use_: FieldUse::Error, ..Field::new("error.type", ColumnType::Text) };
        EventSchema { event: "file.open".into(), signal: Signal::Span, fields: vec![name, error], metrics: vec![] }
    }

    fn text(rows: &[&str]) -> plugin_sdk::Column {
        let mut text = Text::with_capacity(rows.len(), 0);
        rows.iter().for_each(|row| text.push(row));
        text.finish()
    }

    #[test]
    fn the_program_and_every_failure_are_kept() {
        let mut sampler = OneProgram::bind(&schema(), Config::new(r#"{"program": "nginx"}"#)).unwrap();
        let columns = Columns::new(3, vec![text(&["nginx", "bash", "bash"]), text(&["", "", "ENOENT"])]);
        assert_eq!(sampler.decide(&columns), Ok(Decisions::each(vec![ALWAYS, NEVER, ALWAYS])));
    }

    #[test]
    fn a_misspelt_setting_is_refused() {
        assert!(OneProgram::bind(&schema(), Config::new(r#"{"programme": "nginx"}"#)).is_err());
    }
}
