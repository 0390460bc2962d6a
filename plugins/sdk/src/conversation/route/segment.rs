//! Segments of paths: distinguishes words of a program from values that differ from request to request.
//!
//! A route is public, and a path may hold anything: keys, tokens, names of people. So a segment is a value unless it looks like the words
//! of a program. A word mistaken for a value costs some detail; a value mistaken for a word exposes a secret.

/// Maximum length of a segment that may be a word. `validatingwebhookconfigurations` has 31.
const LONGEST: usize = 32;
/// Maximum number of words in one segment, separated by `-` or `_`: more are a sentence, a title or a pass phrase.
const WORDS: usize = 3;
/// Maximum number of capital letters that may be a word alone: `METADATA`. More are a key.
const CAPITALS: usize = 8;
/// Number of consecutive consonants that words rarely have: `lengths` has five.
const CONSONANTS: usize = 6;

/// Words with digits that occur in programs.
const TECHNICAL: [&[u8]; 44] = [
    b"2fa", b"3d", b"a11y", b"argon2", b"b2b", b"b2c", b"base32", b"base58", b"base64", b"crc32", b"ec2", b"ed25519", b"es256",
    b"h2", b"h264", b"h265", b"hs256", b"http2", b"http3", b"i18n", b"ipv4", b"ipv6", b"k8s", b"l10n", b"log4j", b"md5",
    b"mp3", b"mp4", b"o365", b"oauth1", b"oauth2", b"p2p", b"pkcs12", b"pkcs8", b"rs256", b"s3", b"sha1", b"sha256", b"sha512",
    b"utf8", b"web3", b"x509", b"xmlrpc", b"html5",
];

/// Words that are followed by a value, whatever it looks like.
const SECRETS: [&[u8]; 22] = [
    b"apikey",
    b"apikeys",
    b"code",
    b"codes",
    b"credential",
    b"credentials",
    b"invitation",
    b"invitations",
    b"invite",
    b"invites",
    b"jwt",
    b"magic",
    b"otp",
    b"passwd",
    b"password",
    b"passwords",
    b"pin",
    b"reset",
    b"secret",
    b"secrets",
    b"token",
    b"tokens",
];

/// Words for operations on a value, which are not values themselves.
const VERBS: [&[u8]; 28] = [
    b"accept",
    b"change",
    b"check",
    b"complete",
    b"confirm",
    b"create",
    b"current",
    b"delete",
    b"edit",
    b"forgot",
    b"forgotten",
    b"generate",
    b"introspect",
    b"list",
    b"login",
    b"new",
    b"password",
    b"refresh",
    b"request",
    b"resend",
    b"reset",
    b"revoke",
    b"rotate",
    b"send",
    b"token",
    b"update",
    b"validate",
    b"verify",
];

/// Whether a segment may be public, given the segment before it.
pub(super) fn is_public(segment: &[u8], before: &[u8]) -> bool {
    is_word(segment) && (segment.is_empty() || !is_one_of(&SECRETS, before) || is_one_of(&VERBS, segment))
}

/// Whether a segment consists of words of a program.
pub(super) fn is_word(segment: &[u8]) -> bool {
    if segment.len() > LONGEST {
        return false;
    }
    let (mut separators, mut digits) = (0, 0);
    for byte in segment {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'.' => {}
            b'-' | b'_' => separators += 1,
            b'0'..=b'9' => digits += 1,
            // Percent signs, mail addresses, other user input.
            _ => return false,
        }
    }
    if digits == 0 && separators == 0 && !segment.contains(&b'.') {
        return is_letters(segment, is_camel) || is_one_of(&TECHNICAL, segment);
    }
    // Most values are numbers.
    if digits == segment.len() {
        return false;
    }
    let pieces = || segment.split(|byte| matches!(byte, b'-' | b'_' | b'.')).filter(|piece| !piece.is_empty());
    let words = segment.split(|byte| matches!(byte, b'-' | b'_')).filter(|piece| !piece.is_empty()).count();
    let is_number = |piece: &[u8]| piece.iter().all(u8::is_ascii_digit);
    // `jquery-3.6.0.js`: a version has dots, and not many digits.
    let has_version = digits <= 4 && segment.contains(&b'.') && pieces().next().is_some_and(|piece| !is_number(piece));
    let is_piece = |piece: &[u8]| match piece.iter().filter(|byte| byte.is_ascii_digit()).count() {
        0 => is_letters(piece, is_camel) || is_one_of(&TECHNICAL, piece),
        all if all == piece.len() => has_version && all <= 2,
        _ => is_version(piece) || is_one_of(&TECHNICAL, piece),
    };
    words <= WORDS && pieces().all(is_piece)
}

/// Whether text is an identifier of a program, which is compiled and not typed: digits and cases may be mixed. Certain keys are excluded.
pub(super) fn is_identifier(text: &[u8]) -> bool {
    /// Maximum number of digits in it.
    const DIGITS: usize = 4;
    let digits = text.iter().filter(|byte| byte.is_ascii_digit()).count();
    let is_identifier = text.iter().all(|&byte| byte.is_ascii_alphanumeric() || byte == b'_') && digits <= DIGITS;
    let words = || text.split(|byte| !byte.is_ascii_alphabetic()).filter(|word| !word.is_empty());
    is_identifier && text.len() <= 2 * LONGEST && words().next().is_some() && words().all(|word| is_letters(word, |_| true))
}

/// `v1`, `v2beta1`.
fn is_version(piece: &[u8]) -> bool {
    let Some(rest) = piece.strip_prefix(b"v").or_else(|| piece.strip_prefix(b"V")) else { return false };
    let number = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (major, rest) = rest.split_at_checked(number(rest)).unwrap_or_default();
    let minor = [b"alpha".as_slice(), b"beta", b"rc"].iter().find_map(|stage| rest.strip_prefix(*stage));
    let is_rest = rest.is_empty() || minor.is_some_and(|minor| minor.len() <= 2 && number(minor) == minor.len());
    (1..=3).contains(&major.len()) && is_rest
}

/// Whether letters are a word, or with letters of both cases several words by `as_words`: text that looks like a random key is not.
fn is_letters(letters: &[u8], as_words: fn(&[u8]) -> bool) -> bool {
    let (mut upper, mut hex, mut vowels, mut rare, mut row, mut longest) = (0, 0, 0, 0, 0, 0);
    for letter in letters {
        upper += usize::from(letter.is_ascii_uppercase());
        match letter.to_ascii_lowercase() {
            b'a' | b'e' => (hex, vowels, row) = (hex + 1, vowels + 1, 0),
            b'i' | b'o' | b'u' | b'y' => (vowels, row) = (vowels + 1, 0),
            b'b' | b'c' | b'd' | b'f' => (hex, row) = (hex + 1, row + 1),
            b'j' | b'q' | b'x' | b'z' => (rare, row) = (rare + 1, row + 1),
            _ => row += 1,
        }
        longest = longest.max(row);
    }
    let len = letters.len();
    let is_hex = hex == len && len >= 8;
    let is_noise = longest >= CONSONANTS || len >= 12 && vowels * 5 < len || len >= 10 && rare >= 3;
    let is_key = if upper == len { len > CAPITALS } else { upper > 0 && !as_words(letters) };
    !is_hex && !is_noise && !is_key
}

/// Whether letters of both cases are words with initial capitals: `getUserByID`, `HTMLParser`; not `dGhpcyBJcy`.
fn is_camel(letters: &[u8]) -> bool {
    let is_vowel = |letter: &u8| matches!(letter.to_ascii_lowercase(), b'a' | b'e' | b'i' | b'o' | b'u' | b'y');
    let (mut rest, mut groups, mut odd) = (letters, 0, 0);
    while !rest.is_empty() {
        let upper = rest.iter().take_while(|letter| letter.is_ascii_uppercase()).count();
        let lower = rest.iter().skip(upper).take_while(|letter| letter.is_ascii_lowercase()).count();
        let (group, behind) = rest.split_at_checked(upper + lower).unwrap_or((rest, b""));
        let is_odd = match (upper, lower) {
            // An abbreviation at the end.
            (_, 0) => upper > 4,
            // A first word without a capital.
            (0, _) => lower == 1,
            (1, _) => !group.iter().any(is_vowel),
            // An abbreviation, and the word behind it.
            _ => true,
        };
        (groups, odd, rest) = (groups + 1, odd + u32::from(is_odd), behind);
    }
    odd <= 1 && (groups < 3 || letters.len() * 2 >= groups * 5)
}

/// Whether a word is in the list, ignoring case. Mostly the first letter already excludes it.
fn is_one_of(words: &[&[u8]], word: &[u8]) -> bool {
    let Some(first) = word.first().map(u8::to_ascii_lowercase) else { return false };
    words.iter().any(|known| known.first() == Some(&first) && known.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::{is_public, is_word};

    #[test]
    fn what_a_programmer_writes_is_a_word() {
        for segment in [
            "",
            "users",
            "v1",
            "v2beta1",
            "V3",
            "oauth2",
            "s3",
            "base64",
            "jquery.min.js",
            "jquery-3.6.0.min.js",
            "index.php",
            "xmlrpc.php",
            ".well-known",
            "openid-configuration",
            "_next",
            "__debug__",
            "wp-admin",
            "admin-ajax.php",
            "getUserByID",
            "HTMLParser",
            "ServiceAccountTokens",
            "validatingwebhookconfigurations",
            "horizontalpodautoscalers",
            "GraphQL",
            "iPhone",
            "README.md",
            "WEB-INF",
            "facade",
            "decade",
            "rhythms",
            "strengths",
            "lengths",
            "grpc.health.v1.Health",
            "terms-and-conditions",
            "metrics",
            "healthz",
            "livez",
            "favicon.ico",
            "robots.txt",
            "kv",
            "etcdserverpb.KV",
            "..",
            "internationalization",
            "OrderHistory",
            "style.css",
            "main.wasm",
            "apple-touch-icon.png",
            "http2",
        ] {
            assert!(is_word(segment.as_bytes()), "{segment}");
        }
    }

    #[test]
    fn what_looks_like_a_value_is_none() {
        for segment in [
            "42",
            "1234",
            "item-42",
            "hunter2",
            "S3cr3tTok3n",
            "0F8FAD5B-D9CB-469F-A165-70867728950E",
            "deadbeef01",
            "feedfacecafe",
            "AKIAIOSFODNN7EXAMPLE",
            "ASIAQWERTYUIOPASDFGH",
            "eyJhbGciOiJIUzI1NiIsInR5cCI6",
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
            "xoxb-17653672481-19874698323",
            "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
            "AIzaSyDaGmWKa4JsXZHjGw7ISLn",
            "dQw4w9WgXcQ",
            "JBSWY3DPEHPK3PXP",
            "JBSWYEDPEHPKUPXP",
            "c2VjcmV0LXRva2Vu",
            "kQzBvTmWpLxR",
            "qjzkxvwtrplm",
            "bcdfghjk",
            "AbCdEfGh",
            "correct-horse-battery-staple",
            "someone@example.com",
            "a%20b",
            "+491701234567",
            "555-1234",
            "4111-1111-1111-1111",
            "10.0.0.1",
            "host-10.0.0.1",
            "2026-11-30",
            "~alice",
            "a,b",
            "a=b",
            "a:b",
            "gr\u{f6}\u{df}e",
            "x y",
            "report-2024",
            "7f3a9",
            "T00000000",
            "QQQQQQQQQQQQQQQQQQQQQQQQ",
            "Zm9vYmFyYmF6",
            "wJalrXUtnFEMI",
            "npm_aBcDeFgHiJkL",
            "TG9yZW1JcHN1bQ",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ] {
            assert!(!is_word(segment.as_bytes()), "{segment}");
        }
    }

    #[test]
    fn behind_a_word_for_a_secret_comes_a_value() {
        for (before, segment, public) in [
            ("reset", "swordfish", false),
            ("tokens", "abc", false),
            ("Secret", "database", false),
            ("password", "reset", true),
            ("token", "refresh", true),
            ("token", "", true),
            ("users", "swordfish", true),
        ] {
            assert_eq!(is_public(segment.as_bytes(), before.as_bytes()), public, "{before}/{segment}");
        }
    }
}
