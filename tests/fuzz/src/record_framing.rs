//! The framing of records from the kernel or a capture; and the decoders that come with the host, which run natively here.

use host_export::capture::Reader;
use host_model::Run;
use plugin_sdk::testing::header_layout;
use plugin_sdk::{Column, Config, Decoder, Record, RecordLayout};

/// Checks that an accepted run holds exactly the counted records, and that decoders make as many rows. The same bytes as a capture must
/// give valid runs as well, or an error.
///
/// # Panics
/// The check fails.
pub fn check(data: &[u8]) {
    capture(data);
    let Some(run) = Run::parse(data) else { return };
    assert_eq!(run.iter().count(), run.records as usize);
    let mut framed = Vec::new();
    run.iter().for_each(|record| Run::push(&mut framed, record));
    let again = Run::parse(&framed).unwrap();
    assert!(again.iter().eq(run.iter()) && framed.len() <= data.len());

    decoded::<decoder_exec::Decoder>("exec", &decoder_exec::ExecRecord::layout().unwrap(), run);
    decoded::<decoder_file::Decoder>("file", &decoder_file::FileRecord::layout().unwrap(), run);
    decoded::<decoder_tcp::Decoder>("tcp", &decoder_tcp::TcpRecord::layout().unwrap(), run);
    let any = header_layout(include_str!("../../../bpf/exec/record.h"), "exec_record").unwrap();
    decoded::<decoder_btf::Decoder>("any", &any, run);
}

/// Checks that each record gives one row or is undecodable; and that every column has a value per row.
fn decoded<D: Decoder>(probe: &str, layout: &RecordLayout, run: Run<'_>) {
    let mut decoder = D::bind(probe, layout, Config::new("{}")).unwrap();
    let fields: Vec<u32> = (0..).zip(&decoder.schema().fields).map(|(index, _)| index).collect();
    let decoded = decoder.decode(run.bytes, &fields).unwrap();
    let rows = decoded.rows as usize;
    assert_eq!(rows + decoded.undecodable.len(), run.records as usize, "{probe}");
    assert!(decoded.undecodable.is_sorted_by(|before, after| before < after));
    assert!(decoded.undecodable.last().is_none_or(|&last| last < run.records));
    assert_eq!(decoded.columns.len(), fields.len());
    decoded.columns.iter().for_each(|column| assert_eq!(length(column), rows, "{probe}"));

    let every_other: Vec<u32> = (0..decoded.rows).step_by(2).collect();
    let completed = decoder.complete(run.bytes, &every_other, &fields).unwrap();
    completed.iter().for_each(|column| assert_eq!(length(column), every_other.len(), "{probe}"));
}

fn length(column: &Column) -> usize {
    match column {
        Column::Boolean(values) => values.len(),
        Column::U32(values) => values.len(),
        Column::U64(values) => values.len(),
        Column::I64(values) => values.len(),
        Column::F64(values) => values.len(),
        Column::Text(values) | Column::Bytes(values) => {
            assert_eq!(values.offsets.last().copied(), u32::try_from(values.bytes.len()).ok());
            values.offsets.len() - 1
        }
    }
}

fn capture(data: &[u8]) {
    let Ok(mut reader) = Reader::new(data) else { return };
    let probes = reader.probes().len();
    while let Ok(Some(runs)) = reader.read() {
        for captured in runs.iter() {
            assert!(captured.probe < probes);
            assert_eq!(captured.run.iter().count(), captured.run.records as usize);
        }
    }
}
