//! Guests that are refused by their bytes, before any of their code runs.

use host_plugin::{Grants, Step};

use crate::rig::{compile, refused, sampler};

conformance! {
    empty => "says that the file is empty" {
        refused(compile::<It>(), Step::Inspect, "the file is empty", "build the plugin again");
    }
    a_script => "says what the file is instead of WebAssembly" {
        refused(compile::<It>(), Step::Inspect, "this is not WebAssembly but", "NAME.wasm");
    }
    a_core_module => "says that it is a core module, and which command makes a component of it" {
        refused(compile::<It>(), Step::Inspect, "core WebAssembly module", "wasm-tools component new");
    }
    cut_in_half => "names the byte at which it ends early" {
        refused(compile::<It>(), Step::Inspect, "ends early or is damaged at byte", "SHA-256");
    }
    cut_at_the_last_byte => "names the byte at which it ends early" {
        refused(compile::<It>(), Step::Inspect, "ends early or is damaged at byte", "SHA-256");
    }
    a_section_of_four_gigabytes => "believes no length that the file does not have" {
        refused(compile::<It>(), Step::Inspect, "ends early or is damaged at byte", "SHA-256");
    }
    a_hundred_megabytes => "does not look at more than 64 MiB" {
        refused(compile::<It>(), Step::Inspect, "more than 64 MiB", "wasm-tools strip");
    }
    a_contract_from_the_future => "names the version that it asks for and the one that is spoken" {
        refused(compile::<It>(), Step::Inspect, "@0.9.0", "wit/v0.1");
    }
    without_a_role => "says that it exports nothing" {
        refused(compile::<It>(), Step::Inspect, "no known role: it exports nothing", "`decoder`, `sampler` or `enricher`");
    }
    ten_thousand_exports => "reads a bounded number of names, and refuses what does not fit the contract" {
        let inspection = host_plugin::inspect(&<It as host_tests::guests::conformance::Guest>::bytes()).unwrap();
        assert!(inspection.exports.len() <= 256, "{} names are kept", inspection.exports.len());
        refused(sampler::<It>(), Step::Instantiate, "", "wit/v0.1");
    }
    ten_thousand_imports => "looks at no more than 256 imports" {
        refused(sampler::<It>(), Step::Inspect, "more than 256 imports", "");
    }
    ten_thousand_nested_components => "refuses it without a stack overflow" {
        refused(compile::<It>(), Step::Inspect, "", "");
    }
    escapes_in_its_name => "shows the name with its control characters replaced, and shortened" {
        let component = compile::<It>().unwrap();
        let label = component.inspection().label();
        assert!(label.starts_with("\u{fffd}[31mred\u{fffd}[0m and a name"), "{label:?}");
        assert!(!label.chars().any(char::is_control) && label.len() < 140, "{label:?}");
        assert!(sampler::<It>().unwrap().decide(&crate::rig::batch(1)).is_ok());
    }
    imports_a_file_system => "links the names and nothing behind them; the load goes on to the next thing that is wrong" {
        refused(sampler::<It>(), Step::Instantiate, "does not have export `bind`", "wit/v0.1");
    }
    imports_a_socket => "links the names and nothing behind them; the load goes on to the next thing that is wrong" {
        refused(sampler::<It>(), Step::Instantiate, "does not have export `bind`", "wit/v0.1");
    }
    imports_what_nobody_offers => "names the import, whatever was granted" {
        refused(sampler::<It>(), Step::Grant, "`evil:plan/world-domination@6.6.6`", "probe:plugin");
        assert!(Grants::parse(&["evil"]).is_err());
    }
}
