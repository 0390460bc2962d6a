//! Values that must not be exported, in every way in which servers read them.

#![allow(clippy::indexing_slicing, reason = "a test may stop at the first wrong answer")]

use sql::{Backslash, Dialect, Library};

use Backslash::{Escapes, Plain, Unknown};

/// The secret in each statement.
const SECRET: &str = "hunter2";

/// Sessions whose modes are all known, and one in which none is.
const PG: Dialect = Dialect::PostgreSql { backslash: Plain, is_wide: false };
const PG_OFF: Dialect = Dialect::PostgreSql { backslash: Escapes, is_wide: false };
const PG_SJIS: Dialect = Dialect::PostgreSql { backslash: Plain, is_wide: true };
const PG_OLD: Dialect = Dialect::PostgreSql { backslash: Unknown, is_wide: true };
const MY: Dialect = Dialect::MySql { backslash: Escapes, is_wide: false };
const MY_PLAIN: Dialect = Dialect::MySql { backslash: Plain, is_wide: false };
const MY_GBK: Dialect = Dialect::MySql { backslash: Escapes, is_wide: true };
const MY_OLD: Dialect = Dialect::MySql { backslash: Unknown, is_wide: true };

/// Statements in sessions whose modes are known.
const KNOWN: &[(Dialect, &[u8])] = &[
    // PostgreSQL: strings with a letter before them continue behind the end of the line in the same way.
    (PG, b"SELECT E'a'\n'b\\' hunter2', c"),
    (PG, b"SELECT e'a' \t\r\n  'b\\' hunter2', c"),
    (PG, b"SELECT E'a' -- why\n'b\\' hunter2', c"),
    (PG, b"SELECT E'a' -- it's\r-- why\n 'b\\' hunter2', c"),
    (PG, b"SELECT E'a'\n'b'\n'c\\' hunter2', d"),
    (PG, b"SELECT 'a'\n'b\\', 'hunter2'"),
    (PG, b"SELECT E'a\\\\', 'hunter2'"),
    (PG, b"SELECT E'a\\'hunter2'"),
    (PG, b"SELECT E'\\\\\\' hunter2'"),
    (PG, b"SELECT E'a' 'b\\' hunter2', c'"),
    (PG_OFF, b"SELECT 'a\\' hunter2', c"),
    (PG_OFF, b"SELECT 'a'\n'b\\' hunter2', c"),
    (PG_OFF, b"SELECT N'a\\' hunter2'"),
    (PG_OFF, b"SELECT U&'a\\' , ' hunter2'"),
    (PG_OFF, b"SELECT B'1\\' , ' hunter2'"),
    (PG, b"SELECT U&'d\\0061t\\+000061 hunter2' UESCAPE '!'"),
    (PG, b"SELECT u&'a\\', 'hunter2'"),
    (PG, b"SELECT U&'a'\n'b\\', 'hunter2'"),
    (PG, b"SELECT x'1F'\n'2\\', 'hunter2'"),
    (PG, b"SELECT X'1\\', 'hunter2'"),
    (PG, b"SELECT N'hunter2', n'it''s hunter2'"),
    // Comments: a carriage return ends a line, and comments nest.
    (PG, b"SELECT 1 -- it's\r, 'hunter2'"),
    (PG, b"SELECT 1 -- '\r\n, 'hunter2' -- '"),
    (PG, b"SELECT 1 /* a /* b */ ' */, 'hunter2'"),
    (PG, b"SELECT 1 /* hunter2 */ -- hunter2"),
    (PG, b"SELECT 1 --hunter2"),
    (PG, b"SELECT 1 /*! hunter2 */, /*+ hunter2 */ 2"),
    (PG, b"SELECT 1 /* open hunter2"),
    (PG, b"SELECT a #- 'hunter2', b"),
    // Dollars.
    (PG, b"SELECT $$it's hunter2$$"),
    (PG, b"SELECT $a$ $b$ hunter2 $b$ ' $a$, c"),
    (
        PG,
        b"SELECT $a_tag_of_more_than_sixty_three_bytes_is_a_tag_as_well_as_all_the_others$ it's hunter2 \
           $a_tag_of_more_than_sixty_three_bytes_is_a_tag_as_well_as_all_the_others$",
    ),
    (PG, "SELECT $é$ hunter2 $é$".as_bytes()),
    (PG, b"SELECT 1$a$ hunter2 $a$"),
    (PG, b"DO $do$ BEGIN PERFORM 'hunter2'; END $do$"),
    (PG, b"CREATE FUNCTION f() RETURNS text AS $$ SELECT 'hunter2' $$ LANGUAGE sql"),
    // Strings between the quotes of names, and quoted text that is not a name.
    (PG, b"SELECT a FROM t WHERE b = \"hunter2\""),
    (PG, b"SELECT a FROM t WHERE b LIKE \"hunter2%\""),
    (PG, b"INSERT INTO t (a) VALUES (\"hunter2\", 1)"),
    (PG, b"UPDATE t SET a = \"hunter2\" WHERE b = 1"),
    (PG, b"SELECT a AS \"user@host: hunter2\" FROM t"),
    (MY, b"SELECT a AS `pw=hunter2` FROM t"),
    (PG, b"SELECT 1 AS \"/etc/hunter2\""),
    // Settings are words.
    (PG, b"SET app.token = hunter2"),
    (PG, b"SET app.token TO hunter2"),
    (PG, b"set local app.token to a, hunter2, b"),
    (PG, b"SET SESSION AUTHORIZATION hunter2"),
    (PG, b"SET ROLE hunter2"),
    (PG, b"SET app.token hunter2"),
    (PG, b"SET app.\"token\" = hunter2; SET b = hunter2"),
    (PG, b"SELECT 1; SET app.token = hunter2"),
    (PG, b"SELECT set_config('app.token', 'hunter2', false)"),
    (MY, b"SET @token := hunter2, @@session.b = hunter2"),
    (MY, b"SET GLOBAL a = 1, b = hunter2"),
    (MY, b"SET a = f(1, hunter2), b = (hunter2)"),
    (MY, b"SET a = 1, hunter2"),
    (MY, b"SET PASSWORD FOR app@localhost = PASSWORD(\"hunter2\")"),
    (MY, b"SET PASSWORD = hunter2"),
    (MY, b"SET NAMES hunter2"),
    (MY, b"SET STATEMENT a = hunter2 FOR SELECT b FROM t WHERE c = 'hunter2'"),
    // Users.
    (PG, b"ALTER ROLE app PASSWORD 'hunter2'"),
    (PG, b"ALTER USER app WITH PASSWORD \"hunter2\""),
    (PG, b"ALTER USER app PASSWORD hunter2"),
    (PG, b"ALTER ROLE app SET app.token = hunter2"),
    (PG, b"ALTER DATABASE shop SET app.token TO hunter2"),
    (PG, b"ALTER SYSTEM SET app.token = hunter2"),
    (PG, b"ALTER FUNCTION f() SET app.token = hunter2"),
    (PG, b"CREATE USER MAPPING FOR app SERVER s OPTIONS (password 'hunter2')"),
    (PG, b"CREATE SUBSCRIPTION s CONNECTION 'password=hunter2' PUBLICATION p"),
    (MY, b"CREATE USER app IDENTIFIED BY 'hunter2'"),
    (MY, b"CREATE OR REPLACE USER app IDENTIFIED BY hunter2"),
    (MY, b"GRANT ALL ON shop.* TO app IDENTIFIED BY hunter2"),
    (MY, b"CHANGE MASTER TO MASTER_HOST='h', MASTER_PASSWORD=hunter2"),
    (MY, b"START SLAVE USER='app' PASSWORD=hunter2"),
    // Channels, copies, files.
    (PG, b"NOTIFY news, 'hunter2'"),
    (PG, b"NOTIFY news, hunter2"),
    (PG, b"COPY t FROM STDIN;\n1\thunter2\n\\.\n"),
    (PG, b"COPY t FROM PROGRAM 'curl hunter2'"),
    (PG, b"COPY t FROM '/hunter2' WITH (FORMAT csv, NULL 'hunter2')"),
    (MY, b"LOAD DATA LOCAL INFILE '/hunter2' INTO TABLE t FIELDS TERMINATED BY 'hunter2'"),
    // MySQL: strings.
    (MY, b"SELECT 'a\\' hunter2', b"),
    (MY, b"SELECT \"a hunter2\", b"),
    (MY, b"SELECT \"a'\", 'hunter2'"),
    (MY, b"SELECT \"a\\\" hunter2\", b"),
    (MY, b"SELECT \"a\\\", 'hunter2', \""),
    (MY, b"SELECT N'hunter2', n'\\'hunter2', _utf8'\\' hunter2', _latin1 'hunter2', x'6875', 0xhunter2"),
    (MY, b"SELECT 'a' 'b' \"hunter2\""),
    (MY_PLAIN, b"SELECT 'a\\', 'hunter2'"),
    (MY_PLAIN, b"SELECT \"a\\\", 'hunter2'"),
    (MY_PLAIN, b"SELECT x'1\\', 'hunter2'"),
    (MY, b"SELECT b'1\\', 'hunter2'"),
    // MySQL: comments, some of which are executed.
    (MY, b"SELECT 1 /*! 'x*/ hunter2' */"),
    (MY, b"SELECT 1 /*!50000 \"x*/ hunter2\" */"),
    (MY, b"SELECT 1 /*M!100100 'x*/ hunter2' */"),
    (MY, b"SELECT /*+ SET_VAR(a='*/ hunter2') */ 1"),
    (MY, b"SELECT /*+ QB_NAME(`*/ hunter2`) */ 1"),
    (MY, b"SELECT 1 /*! -- */ hunter2\n 'x' */"),
    (MY, b"SELECT 1 /*! # */ hunter2\n 'x' */"),
    (MY, b"SELECT 1 /*! /* */ ' */ hunter2'"),
    (MY, b"SELECT 1 /*! , 'hunter2' */"),
    (MY, b"SELECT 1 # hunter2\n, 2"),
    (MY, b"SELECT 1 -- hunter2\n, 2"),
    (MY, b"SELECT 1 --\x7f it's hunter2\n, 2"),
    (MY, b"SELECT 1 --\xa0 it's\n, 'hunter2' -- '"),
    (MY, b"SELECT 1 # it's \0 , 'a\n hunter2'"),
    (MY, b"SELECT $$it's hunter2$$"),
    // One text, several statements: the modes that the first sets apply to the second.
    (MY, b"SET sql_mode = 'NO_BACKSLASH_ESCAPES'; SELECT 'a\\', 'hunter2'"),
    (MY_PLAIN, b"SET sql_mode = ''; SELECT 'a\\', ' hunter2'"),
    (MY, b"SET NAMES gbk; SELECT '\xbf\\' , ' hunter2'"),
    (MY, b"/*!40101 SET NAMES gbk */; SELECT '\xbf\\', ' hunter2'"),
    (MY, b"EXECUTE s; SELECT 'a\\', 'hunter2'"),
    (MY, b"DELETE FROM t; INSERT INTO t VALUES ('it\\'s hunter2')"),
    // Characters that end in an ASCII byte.
    (MY_GBK, b"SELECT '\x95\\', 'hunter2'"),
    (MY_GBK, b"SELECT '\x95\\\\', ' hunter2', b"),
    (MY_GBK, b"SELECT '\xbf\\'hunter2'"),
    (MY_GBK, b"SELECT `a\x95`, `hunter2 `"),
    (MY_GBK, b"SELECT a\x95` = 'x', ` hunter2"),
    (PG_SJIS, b"SELECT E'\x95\\', 'hunter2'"),
    (PG_SJIS, b"SELECT E'\xb1\\' hunter2'"),
    // Text that is not SQL.
    (PG, b"hunter2"),
    (MY, b"1\thunter2\n2\thunter2"),
    (MY, b"'hunter2' x"),
    (PG, b"frobnicate hunter2"),
    (MY, b"SELECT 1; hunter2 x"),
];

/// Statements in sessions older than the host: servers in different modes read each of them in two ways.
const UNKNOWN: &[(Dialect, &[u8])] = &[
    (PG_OLD, b"SELECT 'a\\', 'hunter2'"),
    (PG_OLD, b"SELECT 'a\\' hunter2', b"),
    (PG_OLD, b"SELECT 'a\\'', hunter2', b"),
    (PG_OLD, b"SELECT 'a'\n'b\\', 'hunter2'"),
    (PG_OLD, b"SELECT N'a\\' hunter2', b"),
    (PG_OLD, b"SELECT U&'a\\', 'hunter2'"),
    (PG_OLD, b"SELECT E'\x95\\', 'hunter2'"),
    (PG_OLD, b"SELECT E'\x95\\' hunter2'"),
    (MY_OLD, b"SELECT 'a\\', 'hunter2'"),
    (MY_OLD, b"SELECT 'a\\' hunter2', b"),
    (MY_OLD, b"SELECT \"a\\\", 'hunter2'"),
    (MY_OLD, b"SELECT \"a\\\" hunter2\""),
    (MY_OLD, b"SELECT _utf8'a\\', 'hunter2'"),
    (MY_OLD, b"SELECT '\xbf\\'hunter2'"),
    (MY_OLD, b"SELECT '\xbf\\\\', ' hunter2'"),
    (MY_OLD, b"SELECT `\xbf`, `hunter2 `"),
];

/// Returns all exported text of a statement, in lower case.
fn told(dialect: Dialect, sql: &[u8], is_cut: bool) -> String {
    let mut library = Library::new();
    let reading = library.read(sql, dialect, is_cut);
    let statement = reading.statement;
    let words = [&*statement.text, &statement.summary, &statement.collection, statement.operation.name()];
    words.join("\n").to_ascii_lowercase()
}

/// Returns the statements that leak a value, with the exported text.
fn leaks<'a>(of: impl Iterator<Item = (Dialect, &'a [u8], bool)>) -> Vec<String> {
    let of = of.map(|(dialect, sql, is_cut)| (dialect, sql, told(dialect, sql, is_cut)));
    let leaks = of.filter(|(_, _, all)| all.contains(SECRET) || all.contains("hunter"));
    leaks.map(|(dialect, sql, all)| format!("{dialect:?}: {:?} is told as {all:?}", String::from_utf8_lossy(sql))).collect()
}

#[test]
fn no_value_is_told_however_it_is_quoted() {
    assert!(KNOWN.len() + UNKNOWN.len() >= 120);
    let leaks = leaks(KNOWN.iter().chain(UNKNOWN).map(|(dialect, sql)| (*dialect, *sql, false)));
    assert!(leaks.is_empty(), "{leaks:#?}");
}

#[test]
fn no_value_is_told_wherever_the_capture_ends() {
    let cut = |(dialect, sql): &(Dialect, &'static [u8])| {
        let (dialect, sql) = (*dialect, *sql);
        (0..=sql.len()).map(move |end| (dialect, &sql[..end], true))
    };
    let leaks = leaks(KNOWN.iter().chain(UNKNOWN).flat_map(cut));
    assert!(leaks.is_empty(), "{leaks:#?}");
}

#[test]
fn what_is_known_of_a_session_may_be_forgotten_and_no_value_is_told() {
    let leaks = leaks(KNOWN.iter().map(|(dialect, sql)| match dialect {
        Dialect::PostgreSql { .. } => (PG_OLD, *sql, false),
        Dialect::MySql { .. } => (MY_OLD, *sql, false),
    }));
    assert!(leaks.is_empty(), "{leaks:#?}");
}

#[test]
fn ordinary_statements_keep_their_text_where_nothing_is_known_of_the_session() {
    for (sql, text) in [
        (
            "SELECT a, b FROM t WHERE c = 'it''s' AND d = 'C:\\temp\\x' LIMIT 5",
            "SELECT a, b FROM t WHERE c = ? AND d = ? LIMIT ?",
        ),
        ("INSERT INTO t (a, b) VALUES ('x\\n', 'y\\\\'), ('é', '表')", "INSERT INTO t (a, b) VALUES (?)"),
        ("UPDATE t SET a = b + 1 WHERE c LIKE 'x%'", "UPDATE t SET a = b + ? WHERE c LIKE ?"),
        ("SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "SET TRANSACTION ISOLATION LEVEL READ COMMITTED"),
        ("SET a = 5", "SET a = ?"),
        ("CREATE TABLE users (id int, password text)", "CREATE TABLE users (id int, password text)"),
        ("SELECT password FROM users; DELETE FROM users", "SELECT password FROM users; DELETE FROM users"),
        ("GRANT SELECT ON t TO app WITH GRANT OPTION", "GRANT SELECT ON t TO app WITH GRANT OPTION"),
    ] {
        for dialect in [PG_OLD, MY_OLD] {
            assert_eq!(&*Library::new().read(sql.as_bytes(), dialect, false).statement.text, text, "{dialect:?}");
        }
    }
    for (dialect, sql, text) in [
        (
            PG_OLD,
            r#"SELECT "t"."a" FROM "t" JOIN "u" ON "t"."b" = "u"."b" WHERE "t"."c" = 'x'"#,
            r#"SELECT "t"."a" FROM "t" JOIN "u" ON "t"."b" = "u"."b" WHERE "t"."c" = ?"#,
        ),
        (
            PG_OLD,
            r#"INSERT INTO "t" ("a") VALUES ($1) ON CONFLICT ("a") DO NOTHING RETURNING "id""#,
            r#"INSERT INTO "t" ("a") VALUES ($1) ON CONFLICT ("a") DO NOTHING RETURNING "id""#,
        ),
        (PG, r"SELECT a FROM t WHERE b LIKE $1 ESCAPE '\' ORDER BY c", "SELECT a FROM t WHERE b LIKE $1 ESCAPE ? ORDER BY c"),
        (
            MY,
            r#"INSERT INTO `t` (`a`) VALUES ('{\"b\": \"it\'s\"}', 1) ON DUPLICATE KEY UPDATE a = VALUES(`a`)"#,
            "INSERT INTO `t` (`a`) VALUES (?) ON DUPLICATE KEY UPDATE a = VALUES(`a`)",
        ),
        (MY_OLD, "SELECT /*!40001 SQL_NO_CACHE */ a FROM `t` /* x */", "SELECT a FROM `t`"),
        (
            MY_OLD,
            "SET autocommit=0, SESSION wait_timeout = 5; SELECT 1",
            "SET autocommit=?, SESSION wait_timeout = ?; SELECT ?",
        ),
    ] {
        assert_eq!(&*Library::new().read(sql.as_bytes(), dialect, false).statement.text, text, "{dialect:?}");
    }
}

/// Strings as servers in each mode write them, with any content.
#[test]
fn a_string_of_any_bytes_is_a_value_to_whoever_knows_less_than_the_server() {
    /// Parts of the strings.
    const PARTS: [&[u8]; 20] = [
        b"'",
        b"''",
        b"\\",
        b"\\\\",
        b"\"",
        b"`",
        b"$$",
        b"$a$",
        b"*/",
        b"/*",
        b"--",
        b"#",
        b"\n",
        b"\r",
        b";",
        b" ",
        b"x",
        b"\xc3\xa9",
        b"\x95\\",
        b"hunter2",
    ];
    let mut seed = 11_u64;
    let mut below = |end: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % end
    };
    for round in 0..60_000 {
        let content: Vec<u8> = (0..1 + below(6)).flat_map(|_| PARTS[below(PARTS.len())]).copied().chain(*b"hunter2").collect();
        let (server, is_postgres) = [(PG, true), (PG_OFF, true), (MY, false), (MY_PLAIN, false), (MY_GBK, false)][round % 5];
        // In the server's own character set, bytes that end in an ASCII byte are one character.
        let is_escaping =
            matches!(server, Dialect::PostgreSql { backslash: Escapes, .. } | Dialect::MySql { backslash: Escapes, .. });
        let quoted = quoted(&content, is_escaping, server == MY_GBK);
        let (before, behind) = [("SELECT a, ", ", b"), ("SELECT a FROM t WHERE b = ", " AND c"), ("CALL f(", ")")][below(3)];
        let sql = [before.as_bytes(), &quoted, behind.as_bytes()].concat();
        let forgotten = if is_postgres { PG_OLD } else { MY_OLD };
        for reader in [server, forgotten] {
            let all = told(reader, &sql, false);
            assert!(!all.contains(SECRET), "{server:?} as {reader:?}: {} is told as {all}", String::from_utf8_lossy(&sql));
            assert!(all.starts_with("select") || all.starts_with("call"), "{all}");
        }
    }
}

/// Returns these bytes between quotes.
fn quoted(content: &[u8], is_escaping: bool, is_wide: bool) -> Vec<u8> {
    let mut quoted = vec![b'\''];
    let mut rest = content;
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        match byte {
            // One character.
            0x95 if is_wide && behind.first() == Some(&b'\\') => {
                quoted.extend_from_slice(b"\x95\\");
                rest = &behind[1..];
            }
            b'\'' if is_escaping && quoted.len() % 2 == 0 => quoted.extend_from_slice(b"\\'"),
            b'\'' => quoted.extend_from_slice(b"''"),
            b'\\' if is_escaping => quoted.extend_from_slice(b"\\\\"),
            byte => quoted.push(byte),
        }
    }
    quoted.push(b'\'');
    quoted
}
