//! Compiled code, from one start to the next.

use std::fs;
use std::path::PathBuf;

use crate::house::House;
use host_api::Step;
use host_daemon::{Daemon, Input};

/// Returns names and contents of the entries, without the key.
fn entries(house: &House) -> Vec<(PathBuf, Vec<u8>)> {
    let files = fs::read_dir(house.state.path().join("cache")).unwrap().map(|entry| entry.unwrap().path());
    let mut entries: Vec<_> =
        files.map(|file| (file.clone(), fs::read(&file).unwrap())).filter(|(_, bytes)| bytes.len() > 1000).collect();
    entries.sort();
    entries
}

async fn once(house: &House) {
    let daemon = house.playing("").await;
    assert!(daemon.stop().await.balanced);
}

#[tokio::test(flavor = "multi_thread")]
async fn code_is_kept_used_again_and_mended() {
    let house = House::new();
    once(&house).await;
    let first = entries(&house);
    // Three decoders, a sampler, an enricher.
    assert_eq!(first.len(), 5);
    once(&house).await;
    assert!(entries(&house) == first, "nothing was compiled");
    let (broken, code) = &first[0];
    let mut damaged = code.clone();
    *damaged.last_mut().unwrap() ^= 1;
    fs::write(broken, &damaged).unwrap();
    once(&house).await;
    assert!(fs::read(broken).unwrap() != damaged, "what was damaged was compiled anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_folder_that_was_named_must_be_one() {
    let house = House::new();
    let file = house.folder.path().join("file");
    fs::write(&file, "").unwrap();
    let mut settings = house.settings(Input::Embedded { looping: false });
    settings.state_dir = Some(file.join("state"));
    let refusal = Daemon::start(settings).await.err().unwrap();
    assert!(refusal.step() == Step::Configure && refusal.to_string().contains("state_dir"), "{refusal:?}");
}
