//! See README.md.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use host_tests::daemon::{Host, host_binary, stderr};
use host_tests::guests::slow_to_compile;
use host_tests::wait_for;
use rustix::process::Signal;

/// Maximum time of the end: the default of `drain`, and two seconds.
const END: Duration = Duration::from_secs(7);

/// A sampler with this many functions added, each with every local changed within this many loops.
fn sampler(functions: usize, locals: usize, loops: usize) -> Vec<u8> {
    slow_to_compile(plugins::component("sampler-ratio").unwrap().bytes, functions, locals, loops)
}

fn file(host: &Host, name: &str, component: &[u8]) -> PathBuf {
    let file = host.path(name);
    fs::write(&file, component).unwrap();
    file
}

fn host(engine: &str) -> Host {
    Host::run_with(&["--probe", "exec", "--output", "none"], |command, folder| {
        let config = folder.join("host.toml");
        fs::write(&config, format!("[engine]\n{engine}")).unwrap();
        command.arg("--config").arg(config);
    })
}

/// Returns the processes that a host has started to compile.
fn compilers(of: u32) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let is_child = |pid: &String| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_ascii_whitespace().nth(1)?.parse::<u32>().ok());
        let name = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        parent == Some(of) && name.starts_with(b"host-compile")
    };
    processes.filter(is_child).collect()
}

#[test]
fn a_function_a_time_and_a_memory_that_are_too_much_are_refused_with_the_limit_and_the_rest_goes_on() {
    let mut hosts = [host("compile_time = \"3s\"\n"), host("compile_memory = \"256MiB\"\n")];
    let slow = file(&hosts[0], "slow.wasm", &sampler(40, 19_000, 60));
    let bomb = file(&hosts[0], "bomb.wasm", &sampler(1, 49_000, 400));
    for (host, limit) in
        hosts.iter().zip(["not compiled within 3 s (`engine.compile_time`)", "256 MiB of memory (`engine.compile_memory`)"])
    {
        for (component, words) in [(&slow, limit), (&bomb, "has 49000 locals; at most 20000 are compiled")] {
            let refused = host.load(component, "sampler", None);
            assert_eq!(refused.status.code(), Some(3), "{}", stderr(&refused));
            assert!(stderr(&refused).contains(words), "{}", stderr(&refused));
        }
        // A new component of ordinary size is compiled in the same way.
        let sound = file(host, "sound.wasm", &sampler(1, 100, 3));
        let loaded = host.load(&sound, "sampler", Some("{\"ratio\": 0.5}"));
        assert!(loaded.status.success(), "{}", stderr(&loaded));
        assert_eq!(compilers(host.pid()), [""; 0], "none is left");
    }
    hosts.iter_mut().for_each(|host| drop(host.stop()));
}

#[test]
fn a_host_ends_in_time_though_a_component_is_compiled_and_leaves_no_process_behind() {
    let mut host = host("");
    let slow = file(&host, "slow.wasm", &sampler(40, 19_000, 60));
    let socket = host.path("socket");
    let load = |slow: &Path| {
        let mut command = Command::new(host_binary());
        command.args(["plugin", "load"]).arg(slow).args(["--slot", "sampler", "--socket"]).arg(&socket);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let mut loading = load(&slow);
    let pid = host.pid();
    let compiler = wait_for("a compiler", Duration::from_secs(30), || compilers(pid).pop());
    // Bundled plugins are not delayed.
    assert!(host.ask(&["plugin", "load", "sampler-rate", "--config", "{\"per_second\": 100}"]).status.success());
    let began = Instant::now();
    host.signal(Signal::TERM);
    assert!(host.wait().success(), "{}", host.stderr());
    assert!(began.elapsed() < END, "{:?}", began.elapsed());
    wait_for("the end of the compiler", Duration::from_secs(10), || {
        (!Path::new("/proc").join(&compiler).exists()).then_some(())
    });
    assert!(!loading.wait().unwrap().success(), "it did not go live");
}
