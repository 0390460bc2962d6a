//! An enricher that uses the whole standard library: it prints, reads the environment, opens files, looks at clocks,
//! sleeps and exits, as `ask` in its configuration says. Built for wasm32-wasip2, and for wasm32-wasip1 with the stub adapter.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use exports::probe::plugin::enricher::{Binding, Column, EventSchema, Field, Guest};
use probe::plugin::columns::{ColumnType, Values};
use probe::plugin::config;
use probe::plugin::schema::{FieldUse, Sensitivity};

wit_bindgen::generate!({
    path: "../../../wit/v0.1",
    world: "enricher-plugin",
    generate_all,
});

export!(Worldly);

struct Worldly;

#[unsafe(link_section = "probe:plugin")]
#[used]
static IDENTITY: [u8; 13] = *b"worldly\x001.2.3";

impl Guest for Worldly {
    fn bind(_schema: EventSchema, _config: String) -> Result<Binding, String> {
        println!("bound");
        let added = Field {
            name: "guest.answer".into(),
            column_type: ColumnType::Text,
            unit: String::new(),
            use_: FieldUse::Plain,
            sensitivity: Sensitivity::Public,
            omit_zero: true,
        };
        Ok(Binding { wanted: Vec::new(), added: vec![added] })
    }

    fn enrich(rows: u32, _columns: Vec<Column>) -> Result<Vec<Column>, String> {
        let ask = config::get("ask").unwrap_or_default();
        let answer = answer(ask.trim_matches('"'));
        let (mut offsets, mut bytes) = (vec![0], Vec::new());
        for _ in 0..rows {
            bytes.extend_from_slice(answer.as_bytes());
            offsets.push(bytes.len() as u32);
        }
        Ok(vec![Column::Text(Values { offsets, bytes })])
    }
}

fn answer(ask: &str) -> String {
    match ask {
        "print" => {
            print!("one ");
            println!("line\nand \x1b[2Janother");
            eprintln!("a warning");
            print!("without an end");
            std::io::Write::flush(&mut std::io::stdout()).map_err(|error| error.to_string()).err().unwrap_or_default()
        }
        "flood" => {
            (0..1_000).for_each(|line| println!("line {line}"));
            "poured".into()
        }
        "read" => format!("{:?}", std::io::stdin().lines().next().map(|line| line.ok())),
        "environment" => format!("{} {}", std::env::vars().count(), std::env::args().count()),
        "open" => format!("{:?}", std::fs::read("/etc/passwd").map_err(|error| error.kind())),
        "list" => format!("{:?}", std::fs::read_dir("/").map(|_| ()).map_err(|error| error.kind())),
        "connect" => format!("{:?}", std::net::TcpStream::connect("127.0.0.1:1").map(|_| ()).map_err(|error| error.kind())),
        "clock" => {
            let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            format!("{}", wall.as_nanos())
        }
        "elapsed" => {
            let start = Instant::now();
            let sum: u64 = (0..100_000_u64).map(std::hint::black_box).sum();
            format!("{} {}", sum > 0, start.elapsed() > Duration::ZERO)
        }
        "sleep" => {
            std::thread::sleep(Duration::from_secs(3_600));
            "slept".into()
        }
        "hash" => {
            let map: HashMap<u32, u32> = (0..10).map(|key| (key, key)).collect();
            format!("{} {}", map.len(), RandomState::new().hash_one(1))
        }
        "thread" => format!("{}", std::thread::Builder::new().spawn(|| ()).is_ok()),
        "exit" => std::process::exit(3),
        "panic" => panic!("the end of the world"),
        _ => "nothing was asked".into(),
    }
}
