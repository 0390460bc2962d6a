//! Other kernels and another processor, in virtual machines: the same ground truth and the same ledger as on the machine itself.
//! `KERNELS="6.1/x86_64 6.12/aarch64"` chooses; `make test-kernels` takes all and writes docs/kernels.md.

mod guest;
mod swaps;
mod table;

use std::fs;

use host_tests::machine::Kernel;
use host_tests::repository;
use host_tests::turn::{measured, skip, turn};

use guest::Guest;
use table::{Row, Verdict};

/// One old kernel, one new, one of the other processor.
const FEW: &str = "6.1/x86_64 7.3/x86_64 6.12/aarch64";

#[test]
fn every_probe_counts_exactly_on_every_kernel() {
    let _turn = turn();
    let chosen = std::env::var("KERNELS").unwrap_or_else(|_| FEW.to_owned());
    let mut rows = Vec::new();
    for name in chosen.split_whitespace() {
        match Guest::find(name) {
            Ok(guest) => rows.extend(probes(&guest)),
            Err(reason) => skip(&reason),
        }
    }
    if std::env::var("KERNELS_TABLE").as_deref() == Ok("write") {
        assert_eq!(rows.len(), 4 * chosen.split_whitespace().count(), "a table is whole");
        fs::write(repository().join("docs/kernels.md"), table::markdown(&rows)).unwrap();
    }
    rows.iter().for_each(|row| measured(&row.to_string()));
    let wrong: Vec<String> =
        rows.iter().filter(|row| matches!(row.verdict(), Verdict::Wrong(_))).map(ToString::to_string).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Returns the rows of one machine, one for each probe.
fn probes(guest: &Guest) -> Vec<Row> {
    let Kernel { series, arch, .. } = &guest.kernel;
    let (said, console) = guest.boot(guest.disk(), "kernel-guest");
    let rows: Vec<Row> = said
        .into_iter()
        .map(|said| Row { series: series.clone(), version: guest.kernel.version(), arch: *arch, said })
        .collect();
    assert_eq!(rows.len(), 4, "a row for each probe on {series} {}:\n{console}", arch.name());
    rows
}
