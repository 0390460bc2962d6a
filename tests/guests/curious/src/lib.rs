//! An enricher that calls the host as its configuration says, and writes the answer into `guest.answer` of every row.

use exports::probe::plugin::enricher::{Binding, Column, EventSchema, Field, Guest};
use probe::plugin::columns::{ColumnType, Values};
use probe::plugin::schema::{FieldUse, Sensitivity};
use probe::plugin::{clock, config, maps, tables};

wit_bindgen::generate!({
    path: "../../../wit/v0.1",
    world: "enricher-plugin",
    generate_all,
});

export!(Curious);

struct Curious;

#[unsafe(link_section = "probe:plugin")]
#[used]
static IDENTITY: [u8; 13] = *b"curious\x001.2.3";

impl Guest for Curious {
    fn bind(_schema: EventSchema, _config: String) -> Result<Binding, String> {
        let name =
            if config::get("drift").is_some() { format!("guest.answer{}", clock::monotonic()) } else { "guest.answer".into() };
        let added = Field {
            name,
            column_type: ColumnType::Text,
            unit: String::new(),
            use_: FieldUse::Plain,
            sensitivity: Sensitivity::Public,
            omit_zero: true,
        };
        Ok(Binding { wanted: vec![0], added: vec![added] })
    }

    fn enrich(rows: u32, columns: Vec<Column>) -> Result<Vec<Column>, String> {
        let Some(Column::U64(keys)) = columns.first() else { return Err("a u64 column is wanted".into()) };
        let word = |key: &str| config::get(key).unwrap_or_default().trim_matches('"').to_owned();
        let name = word("name");
        let answers: Vec<String> = match word("ask").as_str() {
            "too-much" => {
                let keys = vec![0; 1 << 17];
                let columns = [word("column"), word("column"), word("column")];
                vec![format!("{:?}", tables::lookup(&name, &keys, &columns).map(|_| ())); rows as usize]
            }
            "table" => match tables::lookup(&name, keys, &[word("column")]) {
                Ok(columns) => texts(&columns),
                Err(error) => vec![format!("{error:?}"); keys.len()],
            },
            "map" => keys.iter().map(|key| format!("{:?}", maps::lookup(&name, &key.to_le_bytes()))).collect(),
            "write" => keys.iter().map(|key| format!("{:?}", maps::update(&name, &key.to_le_bytes(), b"v"))).collect(),
            "delete" => keys.iter().map(|key| format!("{:?}", maps::delete(&name, &key.to_le_bytes()))).collect(),
            "nothing" => core::arch::wasm32::unreachable(),
            _ => vec![format!("{} {}", clock::monotonic(), clock::realtime()); keys.len()],
        };
        assert_eq!(answers.len(), rows as usize);
        let (mut offsets, mut bytes) = (vec![0], Vec::new());
        for answer in &answers {
            bytes.extend_from_slice(answer.as_bytes());
            offsets.push(bytes.len() as u32);
        }
        Ok(vec![Column::Text(Values { offsets, bytes })])
    }
}

fn texts(columns: &[Column]) -> Vec<String> {
    match columns {
        [Column::Text(values)] => {
            let text = |ends: &[u32]| String::from_utf8_lossy(&values.bytes[ends[0] as usize..ends[1] as usize]).into_owned();
            values.offsets.windows(2).map(text).collect()
        }
        [Column::U32(values)] => values.iter().map(ToString::to_string).collect(),
        other => vec![format!("{other:?}")],
    }
}
