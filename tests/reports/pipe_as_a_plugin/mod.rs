//! See README.md.

use std::process::Command;
use std::time::{Duration, Instant};

use host_tests::daemon::{Host, stderr};
use host_tests::repository;
use rustix::process::Signal;

/// Maximum time of the end: the default of `drain`, and two seconds.
const END: Duration = Duration::from_secs(7);

#[test]
fn a_pipe_a_device_and_a_folder_are_refused_and_the_host_lives_on_and_ends() {
    let mut host = Host::run(&["--probe", "exec", "--output", "none"]);
    let pipe = host.path("pipe.wasm");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let pipe = pipe.to_str().unwrap();
    for (path, kind) in [(pipe, "a pipe"), ("/dev/zero", "a device"), ("/", "a directory")] {
        for command in
            [&["plugin", "load", path][..], &["plugin", "shadow", path, "--slot", "sampler"], &["probe", "load", path]]
        {
            let refused = host.ask(command);
            assert_eq!(refused.status.code(), Some(3), "{command:?}: {}", stderr(&refused));
            assert!(stderr(&refused).contains(&format!("this is {kind}, not a file")), "{command:?}: {}", stderr(&refused));
        }
        // In these requests the host itself reads the file.
        let requests = [
            ("/v1/plugins/load", serde_json::json!({ "path": path })),
            ("/v1/probes/load", serde_json::json!({ "path": path, "name": "mine" })),
        ];
        for (request, body) in requests {
            let began = Instant::now();
            let refused = host.control().post(request, &body).unwrap_err();
            assert!(refused.to_string().contains(kind), "{request} {path}: {refused}");
            assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        }
    }
    let sound = repository().join("tests/reports/pipe_as_a_plugin/mod.rs");
    assert_eq!(host.load(&sound, "sampler", None).status.code(), Some(3), "a file that is no plugin");
    let loaded = host.ask(&["plugin", "load", "sampler-rate", "--config", "{\"per_second\": 100}"]);
    assert!(loaded.status.success(), "{}", stderr(&loaded));
    let began = Instant::now();
    host.signal(Signal::TERM);
    assert!(host.wait().success(), "{}", host.stderr());
    assert!(began.elapsed() < END, "{:?}", began.elapsed());
}

#[test]
fn a_pipe_that_the_configuration_names_ends_the_start() {
    let started = Host::start(&["--probe", "exec", "--output", "none"], |command, folder| {
        assert!(Command::new("mkfifo").arg(folder.join("pipe.wasm")).status().unwrap().success());
        let config = folder.join("host.toml");
        std::fs::write(&config, "[plugins.sampler]\ncomponent = \"pipe.wasm\"\n").unwrap();
        command.arg("--config").arg(config);
    });
    let Err(said) = started else { panic!("it started") };
    assert!(said.contains("this is a pipe, not a file"), "{said}");
}
