//! Decisions and plans that break the contract.

use host_model::{FaultKind, NEVER, Stats};

use crate::rig::{batch, faults, sampler};

conformance! {
    drops_one_in_a_hundred => "drops what it says" {
        let mut sampler = sampler::<It>().unwrap();
        let mut dropped = || sampler.decide(&batch(150)).unwrap().thresholds.iter().filter(|&&threshold| threshold != 0).count();
        assert_eq!([dropped(), dropped()], [2, 1]);
    }
    thresholds_of_another_length => "wants one threshold, or one for each row" {
        let mut sampler = sampler::<It>().unwrap();
        faults(sampler.decide(&batch(5)), FaultKind::Contract, "3 thresholds for 5 rows");
        assert!(sampler.decide(&batch(3)).is_ok());
    }
    randomness_is_short => "wants no randomness, or a value for each row" {
        let mut sampler = sampler::<It>().unwrap();
        faults(sampler.decide(&batch(5)), FaultKind::Contract, "4 values of randomness for 5 rows");
    }
    extreme_thresholds => "takes what is over 2^56 as never, and 56 bits of randomness" {
        let decisions = sampler::<It>().unwrap().decide(&batch(3)).unwrap();
        assert_eq!((decisions.thresholds, decisions.randomness), (vec![u64::MAX; 3], vec![(1 << 56) - 1; 3]));
    }
    plans_a_hundred_thousand_rules => "writes no plan of more than 1024 rules; the one before stays" {
        let mut sampler = sampler::<It>().unwrap();
        let roomy = host_plugin::Limits { output_bytes: 16 << 20, ..crate::rig::limits() };
        faults(sampler.tune(&Stats::default()), FaultKind::Output, "`output_bytes`");
        let setup = host_plugin::Setup { limits: roomy, ..crate::rig::setup() };
        let mut sampler = crate::rig::sampler_with::<It>(setup).unwrap();
        faults(sampler.tune(&Stats::default()), FaultKind::Contract, "100000 rules");
        assert!(sampler.decide(&batch(3)).is_ok());
    }
    plans_for_a_name_with_escapes => "writes no plan for a name that no command can have" {
        let mut sampler = sampler::<It>().unwrap();
        faults(sampler.tune(&Stats::default()), FaultKind::Contract, "its plan cannot be written");
    }
    denies_everything_then_traps => "hands its plan to the kernel, and counts the traps that follow" {
        let mut sampler = sampler::<It>().unwrap();
        let plan = sampler.tune(&Stats::default()).unwrap().unwrap();
        assert_eq!((plan.default_threshold, plan.min_duration_ns), (NEVER, u64::MAX));
        faults(sampler.decide(&batch(3)), FaultKind::Trap, "unreachable");
        assert!(sampler.tune(&Stats::default()).unwrap().is_some(), "it was built again, and forgot that it was to trap");
    }
}
