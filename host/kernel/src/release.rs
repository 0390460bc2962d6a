//! Parses the version of a kernel.

/// Returns major and minor number of a release such as `6.12.0-1-amd64`; None if it does not begin with two numbers.
#[must_use]
pub fn parse(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit()).map_while(|number| number.parse().ok());
    Some((numbers.next()?, numbers.next()?))
}

/// Returns those of the running kernel; None where `/proc` is not mounted.
#[must_use]
pub fn running() -> Option<(u32, u32)> {
    parse(&std::fs::read_to_string("/proc/sys/kernel/osrelease").ok()?)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_release_begins_with_two_numbers_or_is_none() {
        assert_eq!(parse("6.12.117+deb13-amd64"), Some((6, 12)));
        assert_eq!(parse("5.10-rc1"), Some((5, 10)));
        for none in ["", "6", "linux-6.1"] {
            assert_eq!(parse(none), None, "{none}");
        }
    }
}
