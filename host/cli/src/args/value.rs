//! Parsers of flag values; an error names a valid form.

use std::time::Duration;

use host_api::{Condition, Slot};

/// Reads `500ms`, `10s`, `2m`, `1h30m`; a bare number is seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    const SHAPE: &str = "write a number and a unit, such as 500ms, 10s, 2m or 1h30m";
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|letter: char| letter.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let number: u64 = number.parse().map_err(|_| SHAPE.to_owned())?;
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "" if number.to_string() == text => 1_000,
            _ => return Err(SHAPE.to_owned()),
        };
        total += Duration::from_millis(number.checked_mul(millis).ok_or("that is too long")?);
        rest = after;
    }
    if total.is_zero() { Err(SHAPE.to_owned()) } else { Ok(total) }
}

/// Reads `SLOT=FILE`.
pub(crate) fn plugin(text: &str) -> Result<(Slot, String), String> {
    const SHAPE: &str = "write SLOT=FILE, such as decoder.http=./http.wasm";
    let (slot, file) = text.split_once('=').filter(|(_, file)| !file.is_empty()).ok_or(SHAPE)?;
    Ok((slot.parse().map_err(|error| format!("{error}"))?, file.to_owned()))
}

/// Reads `NAME.max_entries=N`.
pub(crate) fn max_entries(text: &str) -> Result<(String, u32), String> {
    const SHAPE: &str = "write NAME.max_entries=N, such as events.max_entries=4096";
    let (map, number) = text.split_once('=').ok_or(SHAPE)?;
    let name = map.strip_suffix(".max_entries").filter(|name| !name.is_empty()).ok_or(SHAPE)?;
    Ok((name.to_owned(), number.parse().map_err(|_| SHAPE)?))
}

/// Reads a share, `10%` or `0.1`, above 0 and at most 1.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    const SHAPE: &str = "write a share above 0% up to 100%, such as 10% or 0.1";
    let share = match text.strip_suffix('%') {
        Some(percent) => percent.trim_end().parse::<f64>().map(|percent| percent / 100.0),
        None => text.parse(),
    };
    share.ok().filter(|share| *share > 0.0 && *share <= 1.0).ok_or_else(|| SHAPE.to_owned())
}

/// Checks a condition; the host gets its text unchanged.
pub(crate) fn condition(text: &str) -> Result<String, String> {
    text.parse::<Condition>().map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// Reads a digest; its prefix may be left out.
pub(crate) fn digest(text: &str) -> Result<String, String> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    if digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Ok(format!("sha256:{}", digits.to_ascii_lowercase()));
    }
    Err("write sha256: and 64 hexadecimal digits, as `host plugin inspect FILE` shows them".to_owned())
}

/// Reads a JSON object.
pub(crate) fn json_object(text: &str) -> Result<serde_json::Value, String> {
    let value: serde_json::Value = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    if value.is_object() { Ok(value) } else { Err(r#"write a JSON object, such as '{"ratio": 0.1}'"#.to_owned()) }
}

/// Reads a process id.
pub(crate) fn pid(text: &str) -> Result<u32, String> {
    text.parse().ok().filter(|pid| *pid > 0).ok_or_else(|| "write the number of a process".to_owned())
}

/// Reads a command name, at most as long as the kernel stores it.
pub(crate) fn comm(text: &str) -> Result<String, String> {
    match text.len() {
        0 => Err("write the name of a command".to_owned()),
        1..=15 => Ok(text.to_owned()),
        _ => Err(format!("the kernel keeps 15 bytes of a command's name: {:?}", text.get(..15).unwrap_or("shorten it"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_carry_their_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5_400)));
        assert_eq!(duration("10"), Ok(Duration::from_secs(10)));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "s", "10x", "1m10", "-1s", "0s", "99999999999999999999s", "18446744073709551615h"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_map_size_names_the_map() {
        assert_eq!(max_entries("events.max_entries=4096"), Ok(("events".to_owned(), 4096)));
        for text in ["events=1", ".max_entries=1", "events.max_entries", "events.max_entries=x", "events.size=1"] {
            assert!(max_entries(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_name_the_kernel_would_cut_is_refused_with_what_it_keeps() {
        assert_eq!(
            comm("a-name-of-sixteen"),
            Err("the kernel keeps 15 bytes of a command's name: \"a-name-of-sixte\"".to_owned())
        );
        assert_eq!(comm("curl"), Ok("curl".to_owned()));
    }

    #[test]
    fn a_share_is_a_part_of_all() {
        assert_eq!([share("10%"), share("0.1"), share("100 %"), share("1")], [Ok(0.1), Ok(0.1), Ok(1.0), Ok(1.0)]);
        for text in ["", "0", "0%", "-5%", "101%", "1.5", "ten", "NaN", "inf%"] {
            assert!(share(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_condition_is_kept_as_it_was_written_or_refused_with_its_column() {
        assert_eq!(condition("faults==0 and cost < 1.2"), Ok("faults==0 and cost < 1.2".to_owned()));
        assert!(condition("faults = 0").unwrap_err().contains("column"));
    }

    #[test]
    fn a_digest_is_read_with_and_without_its_kind_and_in_any_case() {
        let expected = format!("sha256:{}", "ab".repeat(32));
        assert_eq!(digest(&"AB".repeat(32)), Ok(expected.clone()));
        assert_eq!(digest(&expected), Ok(expected.clone()));
        for text in ["sha256:ab", &format!("md5:{}", "ab".repeat(32)), &"xy".repeat(32)] {
            assert!(digest(text).unwrap_err().contains("64 hexadecimal digits"), "{text}");
        }
    }

    #[test]
    fn a_plugin_is_configured_with_an_object() {
        assert!(json_object(r#"{"ratio":0.5}"#).is_ok());
        assert!(json_object("0.5").is_err());
        assert!(json_object("{").is_err());
    }
}
