//! Captures: written runs are read back, and a hostile file is refused with the reason.

use std::io::Cursor;
use std::time::{Duration, Instant};

use host_export::capture::{CaptureError, CapturedProbe, Conductor, Pace, Reader, Replay, Writer};
use host_model::{Layout, Member, MemberKind, Run, Source};

fn probes() -> Vec<CapturedProbe> {
    let member = Member { name: "pid".into(), offset: 0, size: 4, kind: MemberKind::Unsigned };
    let layout = Some(Layout { name: "file_record".into(), size: 16, members: vec![member] });
    vec![CapturedProbe { name: "file".into(), layout }, CapturedProbe { name: "tcp".into(), layout: None }]
}

fn run(records: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    records.iter().for_each(|record| Run::push(&mut bytes, record));
    bytes
}

/// A capture of two probes in turn; `file` has `runs` runs of three records.
fn capture(runs: u64) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), 99, &probes()).unwrap();
    for index in 0..runs {
        let number = index.to_le_bytes();
        let bytes = run(&[&number, b"twelve bytes", &[7; 100]]);
        writer.push(0, 1000 + index * 1_000_000, Run::parse(&bytes).unwrap()).unwrap();
        let other = run(&[b"other"]);
        writer.push(1, 1001 + index * 1_000_000, Run::parse(&other).unwrap()).unwrap();
    }
    writer.finish().unwrap()
}

fn open(bytes: Vec<u8>, probe: &str, pace: Pace) -> Result<Replay, CaptureError> {
    Replay::open(Box::new(Cursor::new(bytes)), probe, pace)
}

#[test]
fn what_was_written_comes_back() {
    let bytes = capture(10_000);
    assert!(bytes.len() < 10_000 * 160 / 4, "it is compressed: {} bytes", bytes.len());
    let mut reader = Reader::new(&bytes[..]).unwrap();
    assert_eq!((reader.probes(), reader.unix_offset_ns()), (&probes()[..], 99));
    let mut index = 0u64;
    while let Some(runs) = reader.read().unwrap() {
        for captured in runs.iter() {
            let records: Vec<&[u8]> = captured.run.iter().collect();
            match captured.probe {
                0 => {
                    assert_eq!(captured.time_ns, 1000 + index * 1_000_000);
                    assert_eq!(records, [&index.to_le_bytes()[..], b"twelve bytes", &[7; 100]]);
                }
                _ => {
                    assert_eq!(records, [b"other"]);
                    index += 1;
                }
            }
        }
    }
    assert_eq!(index, 10_000);
}

#[test]
fn a_replay_hands_out_every_record_of_its_probe_once_and_balances() {
    let mut replay = open(capture(5000), "file", Pace::Fast).unwrap();
    assert_eq!((replay.unix_offset_ns(), replay.probe().unwrap().name.as_str()), (99, "file"));
    let (mut received, mut expected) = (0, 0u64);
    while !replay.ended() {
        replay.wait(1, Duration::from_secs(1));
        let again = replay.run(100, 4096).bytes.to_vec();
        let taken = replay.run(1, 1);
        assert_eq!(taken.bytes, again, "the same run until it is released");
        assert!(taken.records <= 100 && taken.bytes.len() <= 4096);
        assert_eq!(Run::parse(taken.bytes).unwrap().records, taken.records);
        for record in taken.iter().filter(|record| record.len() == 8) {
            assert_eq!(record, expected.to_le_bytes());
            expected += 1;
        }
        received += u64::from(taken.records);
        replay.release();
        assert_eq!(replay.counters().produced, received + replay.waiting_records());
    }
    assert_eq!((received, expected, replay.waiting_bytes()), (15_000, 5000, 0));
}

#[test]
fn one_record_is_handed_out_even_if_it_is_over_the_limit() {
    let mut replay = open(capture(1), "file", Pace::Fast).unwrap();
    assert_eq!(replay.run(1000, 1).records, 1);
}

#[test]
fn at_real_pace_runs_come_when_they_came() {
    let mut replay = open(capture(31), "file", Pace::Real).unwrap();
    let start = Instant::now();
    let mut records = 0;
    while !replay.ended() {
        replay.wait(1, Duration::from_millis(100));
        records += replay.run(1000, 1 << 20).records;
        replay.release();
    }
    assert_eq!(records, 93);
    assert!(start.elapsed() >= Duration::from_millis(30), "{:?}", start.elapsed());
}

/// Plays all seats, each on a thread of its own; returns the processed runs in order.
fn play(bytes: Vec<u8>, pace: Pace, probes: &[&'static str]) -> Vec<(&'static str, Option<u64>, Vec<u8>)> {
    let conductor = Conductor::open(Box::new(Cursor::new(bytes)), pace).unwrap();
    let seats: Vec<_> = probes.iter().map(|probe| (*probe, conductor.seat(probe).unwrap())).collect();
    let worked = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for (probe, mut seat) in seats {
            let worked = &worked;
            scope.spawn(move || {
                while !seat.ended() {
                    seat.wait(1 << 20, Duration::from_millis(5));
                    while seat.waiting_bytes() > 0 {
                        let taken = seat.run(2, 1 << 20).bytes.to_vec();
                        worked.lock().unwrap().push((probe, seat.time_ns(), taken));
                        seat.release();
                    }
                }
            });
        }
    });
    worked.into_inner().unwrap()
}

#[test]
fn a_capture_is_played_run_by_run_in_its_order_however_fast_and_to_how_many() {
    let played = play(capture(50), Pace::Fast, &["tcp", "file"]);
    assert_eq!(played.len(), 150, "three records are two parts, of at most two");
    for (index, runs) in played.chunks(3).enumerate() {
        let number = (index as u64).to_le_bytes();
        let time = 1000 + index as u64 * 1_000_000;
        assert_eq!(runs[0], ("file", Some(time), run(&[&number, b"twelve bytes"])));
        assert_eq!(runs[1], ("file", Some(time), run(&[&[7; 100]])));
        assert_eq!(runs[2], ("tcp", Some(time + 1), run(&[b"other"])));
    }
    assert_eq!(play(capture(50), Pace::Real, &["file", "tcp"]), played);
}

#[test]
fn a_seat_that_is_empty_or_left_holds_nobody_up() {
    assert_eq!(play(capture(50), Pace::Fast, &["tcp"]).len(), 50);
    let conductor = Conductor::open(Box::new(Cursor::new(capture(2))), Pace::Fast).unwrap();
    let (mut file, mut tcp) = (conductor.seat("file").unwrap(), conductor.seat("tcp").unwrap());
    assert!(conductor.seat("file").is_none() && conductor.seat("dns").is_none());
    file.wait(1, Duration::from_secs(1));
    assert_eq!((file.counters().produced, file.waiting_records()), (3, 3));
    tcp.wait(1, Duration::from_millis(1));
    assert_eq!(tcp.waiting_bytes(), 0, "it is not its turn");
    drop(file);
    tcp.wait(1, Duration::from_secs(1));
    assert_eq!(tcp.run(10, 1000).records, 1);
}

#[test]
fn a_wait_ends_when_it_is_woken() {
    let mut writer = Writer::new(Vec::new(), 0, &probes()).unwrap();
    let bytes = run(&[b"one"]);
    for time in [0, u64::MAX / 2] {
        writer.push(0, time, Run::parse(&bytes).unwrap()).unwrap();
    }
    let mut replay = open(writer.finish().unwrap(), "file", Pace::Real).unwrap();
    assert_eq!(replay.run(10, 1 << 20).records, 1);
    replay.release();
    let waker = replay.waker();
    let thread = std::thread::spawn(move || waker.wake());
    replay.wait(1, Duration::from_secs(60));
    thread.join().unwrap();
    assert!(!replay.ended());
}

#[test]
fn a_probe_that_is_not_there_is_named_with_those_that_are() {
    let error = open(capture(1), "exec", Pace::Fast).err().unwrap().to_string();
    assert!(error.contains("`exec`") && error.contains("file, tcp"), "{error}");
}

#[test]
fn a_run_of_a_probe_that_was_not_named_is_not_written() {
    let mut writer = Writer::new(Vec::new(), 0, &probes()).unwrap();
    assert!(writer.push(2, 0, Run::default()).is_err());
}

/// Reads a file to its end, or to its first error.
fn read(bytes: &[u8]) -> Result<(), CaptureError> {
    let mut reader = Reader::new(bytes)?;
    while reader.read()?.is_some() {}
    Ok(())
}

#[test]
fn what_is_not_a_capture_is_refused_in_words() {
    let other = {
        let schema = arrow_schema::Schema::new(vec![arrow_schema::Field::new("a", arrow_schema::DataType::Int8, false)]);
        arrow_ipc::writer::StreamWriter::try_new(Vec::new(), &schema).unwrap().into_inner().unwrap()
    };
    let claims_much = [&[0xff; 4][..], &u32::MAX.to_le_bytes()].concat();
    for bytes in [&b""[..], b"\x7fELF\x02\x01\x01", &[0xff; 64], &claims_much, &other] {
        let error = read(bytes).unwrap_err();
        assert!(matches!(error, CaptureError::Not(_)), "{error}");
        assert!(error.to_string().contains("`host record`"), "{error}");
    }
}

/// Replaces text in a file by other text of the same length.
fn replaced(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let at = bytes.windows(old.len()).position(|window| window == old).unwrap();
    let mut bytes = bytes.to_vec();
    bytes[at..at + new.len()].copy_from_slice(new);
    bytes
}

#[test]
fn another_version_is_refused_by_its_number() {
    let bytes = capture(1);
    let key = bytes.windows(15).position(|window| window == b"capture.version").unwrap();
    let value = (0..bytes.len() - 4).rev().filter(|&at| at.abs_diff(key) < 64);
    let found = value.map(|at| {
        let mut other = bytes.clone();
        if other[at] == b'1' {
            other[at] = b'9';
        }
        read(&other)
    });
    let version = found.filter_map(Result::err).find(|error| matches!(error, CaptureError::Version(_))).unwrap();
    assert!(version.to_string().contains("format version 9, this host reads 1"), "{version}");
}

#[test]
fn a_file_that_ends_early_says_where_and_gives_what_came_before() {
    let bytes = capture(20_000);
    let cut = &bytes[..bytes.len() - 100];
    let mut reader = Reader::new(cut).unwrap();
    let mut whole = 0;
    let error = loop {
        match reader.read() {
            Ok(Some(_)) => whole += 1,
            Ok(None) => panic!("it was cut"),
            Err(error) => break error,
        }
    };
    assert!(whole > 0);
    assert!(error.to_string().contains("ends early"), "{error}");
}

#[test]
fn a_run_whose_framing_does_not_hold_is_refused() {
    let mut writer = Writer::new(Vec::new(), 0, &probes()).unwrap();
    writer.push(0, 0, Run { bytes: &[1, 2, 3], records: 1 }).unwrap();
    let error = read(&writer.finish().unwrap()).unwrap_err().to_string();
    assert!(error.contains("run 0: its framing does not hold"), "{error}");
    let bytes = run(&[b"one"]);
    let mut writer = Writer::new(Vec::new(), 0, &probes()).unwrap();
    writer.push(0, 0, Run { bytes: &bytes, records: 5 }).unwrap();
    let error = read(&writer.finish().unwrap()).unwrap_err().to_string();
    assert!(error.contains("it holds 1 records, 5 are claimed"), "{error}");
}

#[test]
fn a_probe_index_that_is_not_named_is_refused() {
    let one = |count: usize| {
        let names = probes().into_iter().cycle().take(count).collect::<Vec<_>>();
        let mut writer = Writer::new(Vec::new(), 0, &names).unwrap();
        let bytes = run(&[b"one"]);
        writer.push(count - 1, 0, Run::parse(&bytes).unwrap()).unwrap();
        writer.finish().unwrap()
    };
    let (small, large) = (one(1), one(3));
    // The head of one capture, with one probe, and the rows of the other, of the third probe.
    let head = |bytes: &[u8]| {
        let length = u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
        8 + length
    };
    let mixed = [&small[..head(&small)], &large[head(&large)..]].concat();
    let error = read(&mixed).unwrap_err().to_string();
    assert!(error.contains("of probe 2, which is not named"), "{error}");
}

#[test]
fn no_single_wrong_byte_makes_a_reader_panic_or_take_much_memory() {
    let bytes = capture(40);
    for at in 0..bytes.len() {
        for value in [0, 0x7f, 0x80, 0xff, bytes[at] ^ 1] {
            let mut hostile = bytes.clone();
            hostile[at] = value;
            let _ = read(&hostile);
        }
    }
    let size = replaced(&bytes, b"twelve bytes", b"twelve bytez");
    let _ = read(&size);
}
