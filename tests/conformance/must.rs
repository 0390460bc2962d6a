//! The rule: every guest has a test that states the host's reaction to it.

use std::collections::BTreeMap;
use std::fs;

use host_tests::guests::conformance;
use host_tests::repository;

/// A guest that has a test.
pub(crate) trait Tested {
    /// The host's reaction to it.
    const THE_HOST: &'static str;
}

/// One test per guest, which is `It` in the body. The sentence continues "the host".
macro_rules! conformance {
    ($($guest:ident => $the_host:literal $body:block)*) => {$(
        impl crate::must::Tested for host_tests::guests::conformance::$guest {
            const THE_HOST: &'static str = $the_host;
        }

        #[test]
        fn $guest() {
            #[allow(dead_code, reason = "some are told by their bytes alone")]
            type It = host_tests::guests::conformance::$guest;
            $body
            crate::rig::others_live_on();
        }
    )*};
}

/// The host's reaction to each guest; a guest without a test has no such sentence, and does not compile here.
macro_rules! sentences {
    ($($guest:ident)*) => {
        [$((stringify!($guest), <conformance::$guest as Tested>::THE_HOST)),*]
    };
}

#[test]
fn the_readme_of_the_guests_says_what_the_host_does_about_each() {
    let sentences: BTreeMap<&str, &str> = host_tests::each_conformance_guest!(sentences).into();
    let source = repository().join("tests/guests/conformance");
    let about = |name: &str| {
        let comment = |ending: &str, mark: &'static str| {
            let text =
                fs::read_to_string(source.join(ending).join(name).with_extension(if mark == "//! " { "rs" } else { "wat" }));
            let line = text.ok()?.lines().next()?.strip_prefix(mark)?.to_owned();
            Some(line)
        };
        comment("examples", "//! ").or_else(|| comment("wat", ";; ")).unwrap_or_else(|| "Made byte by byte.".into())
    };
    let row = |(name, sentence): (&&str, &&str)| format!("| `{name}` | {} | {sentence} |\n", about(name));
    let table: String = sentences.iter().map(row).collect();
    let path = source.join("README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let (before, _) = readme.split_once("| --- | --- | --- |\n").expect("the README has a table of three columns");
    let wanted = format!("{before}| --- | --- | --- |\n{table}");
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(&path, &wanted).unwrap();
    }
    assert!(readme == wanted, "the table of {} is not what the tests say: run with UPDATE_EXPECTED=1", path.display());
    assert_eq!(sentences.len(), conformance::names().count());
    assert!(sentences.len() >= 40);
}
