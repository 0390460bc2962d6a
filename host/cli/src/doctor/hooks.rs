//! The hooks of each built-in probe on this kernel, found by attaching it briefly, since no list of features is complete.

use std::path::PathBuf;

use host_kernel::{KernelError, LoadOptions, LoadedProbe, capabilities, catalog};

use super::Finding;

/// Attaches every probe in the binary; `btf` replaces the kernel's BTF.
pub(super) async fn findings(btf: Option<PathBuf>) -> Vec<Finding> {
    if !capabilities::missing().is_empty() {
        return vec![Finding::note(
            "hooks",
            "unknown: trying them takes the capabilities",
            "run `host doctor` as `host run` will run",
        )];
    }
    let tried = tokio::task::spawn_blocking(move || {
        let options = LoadOptions { btf, ..LoadOptions::default() };
        catalog::catalog().iter().map(|probe| finding(probe.name, tried(probe, &options))).collect()
    });
    tried.await.unwrap_or_else(|error| {
        vec![Finding::note("hooks", format!("the check ended early: {error}"), "run `host doctor` again")]
    })
}

/// Returns a probe that stays attached until dropped.
fn tried(probe: &catalog::BuiltIn, options: &LoadOptions) -> Result<LoadedProbe, KernelError> {
    let mut loaded = host_kernel::load(probe.name, probe.object, options)?;
    loaded.try_attach()?;
    Ok(loaded)
}

fn finding(probe: &'static str, tried: Result<LoadedProbe, KernelError>) -> Finding {
    match tried {
        Ok(loaded) => told(probe, &loaded.hooks(), loaded.passed_over()),
        Err(KernelError::NoKernelBtf { .. }) => Finding::fault(probe, "cannot be had without BTF", "see `btf` above"),
        Err(error) => Finding::fault(probe, error.to_string(), "`host run` goes on without it, unless it is asked for by name"),
    }
}

/// Returns the hooks of a probe, and the better ones that it could not use. The check has the probe's name.
fn told(probe: &'static str, hooks: &[String], passed_over: &[String]) -> Finding {
    let hooks = hooks.join(", ");
    if passed_over.is_empty() {
        return Finding::ok(probe, hooks);
    }
    Finding::note(probe, hooks, passed_over.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_lesser_hook_is_a_note_that_says_why_it_is_not_the_better_one() {
        let better = told("exec", &["tp_btf/a".into(), "tp_btf/b".into()], &[]);
        assert_eq!((better.verdict, better.detail.as_str()), (Verdict::Ok, "tp_btf/a, tp_btf/b"));
        let lesser = told("l7", &["raw_tp/sys_exit".into()], &["fexit/f: this kernel has no such hook".into()]);
        assert_eq!(lesser.verdict, Verdict::Note);
        assert_eq!(lesser.cure.unwrap(), "fexit/f: this kernel has no such hook");
    }
}
