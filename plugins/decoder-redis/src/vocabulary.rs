//! Names of commands and errors. All others become `OTHER`, because a name comes from the wire and is a dimension.

use std::fmt;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A known command, by its index in [`NAMES`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Name(u16);

/// The effect of a command on the conversation itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// One command, one reply.
    #[default]
    Plain,
    /// Its first argument is a subcommand, and part of its name.
    Container,
    /// Waits on purpose: no timeout applies.
    Blocks,
    /// Selects the database.
    Select,
    /// Gets one confirmation per channel.
    Subscribe,
    /// As `Subscribe`, but without arguments it applies to all channels.
    Unsubscribe,
    /// `CLIENT REPLY`: turns replies off and on.
    Reply,
    /// Commands behind it are queued.
    Multi,
    /// Runs the queued commands.
    Exec,
    /// Drops the queued commands.
    Discard,
    /// Resets the connection to its initial state.
    Reset,
    /// Allowed while subscribed.
    Ping,
    /// The server's bytes behind the reply are not replies.
    Monitor,
    /// A stream of another kind follows.
    Replicate,
    /// Ends the connection.
    Ends,
}

/// Finds names, without an allocation.
#[derive(Debug, Clone)]
pub(crate) struct Vocabulary {
    /// Indices in [`NAMES`] by hash, 0 for an empty slot; the length is a power of two.
    slots: Vec<u16>,
    kinds: Vec<Kind>,
}

/// The first word of an error. The rest of its text is written by the server, may hold keys and values, and is not exported.
///
/// `ERR`, `WRONGTYPE`, `MOVED`: one of [`ERRORS`]; anything else is `_OTHER`, because a script can make any word an error.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Code {
    /// The word, filled with zeros. No length field: a single number is copied as one.
    bytes: [u8; CODE_BYTES],
}

/// Number of slots: more than twice the number of names, so nearly all are found at the first probe.
const SLOTS: usize = 1024;
/// Length of a [`Code`] in bytes.
const CODE_BYTES: usize = 16;
/// Stands for an error that does not begin with one of [`ERRORS`].
const OTHER_ERROR: &[u8] = b"_OTHER";

// === impl Name ===

impl Name {
    /// Returns the name in capitals.
    pub(crate) fn text(self) -> &'static str {
        NAMES.get(usize::from(self.0)).copied().unwrap_or_default()
    }

    fn known(text: &str) -> Option<Self> {
        NAMES.iter().position(|name| *name == text).and_then(|place| u16::try_from(place).ok()).map(Self)
    }
}

/// Serialised as text: the index may differ in another version.
impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text())
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&str>::deserialize(deserializer).map_err(D::Error::custom)?;
        Ok(Self::known(text).unwrap_or_default())
    }
}

// === impl Vocabulary ===

impl Vocabulary {
    /// Returns a vocabulary of all names.
    pub(crate) fn new() -> Self {
        let mut words = Self { slots: vec![0; SLOTS], kinds: NAMES.iter().map(|name| kind_of(name)).collect() };
        for (place, name) in (0..).zip(NAMES).filter(|(_, name)| !name.contains(' ')) {
            let free = words.probe(name.as_bytes()).find(|slot| words.slots.get(*slot) == Some(&0));
            if let Some(slot) = free.and_then(|slot| words.slots.get_mut(slot)) {
                *slot = place;
            }
        }
        words
    }

    /// Returns the command of this name in any case; `OTHER` if it is unknown.
    #[inline]
    pub(crate) fn command(&self, name: &[u8]) -> Name {
        for slot in self.probe(name) {
            match self.slots.get(slot) {
                None | Some(0) => break,
                Some(&place) if is_named(Name(place), name) => return Name(place),
                Some(_) => {}
            }
        }
        Name::default()
    }

    /// Returns the subcommand of a container; the container if it is unknown.
    pub(crate) fn subcommand(&self, container: Name, name: &[u8]) -> Name {
        let behind = usize::from(container.0) + 1;
        let of_it = NAMES.iter().enumerate().skip(behind);
        let of_it = of_it.map_while(|(place, full)| Some((place, full.strip_prefix(container.text())?.strip_prefix(' ')?)));
        let found = of_it.into_iter().find(|(_, own)| own.as_bytes().eq_ignore_ascii_case(name));
        found.and_then(|(place, _)| u16::try_from(place).ok()).map_or(container, Name)
    }

    /// Returns the effect of a command on the conversation.
    #[inline]
    pub(crate) fn kind(&self, name: Name) -> Kind {
        self.kinds.get(usize::from(name.0)).copied().unwrap_or_default()
    }

    /// Returns the slots in which a name may be, the most likely first.
    #[inline]
    fn probe(&self, name: &[u8]) -> impl Iterator<Item = usize> + use<> {
        let first = hash(name);
        (0..SLOTS).map(move |step| (first + step) % SLOTS)
    }
}

fn is_named(known: Name, name: &[u8]) -> bool {
    known.text().as_bytes().eq_ignore_ascii_case(name)
}

/// Hashes a name. Upper and lower case of a letter differ in one bit, which is ignored.
#[inline]
fn hash(name: &[u8]) -> usize {
    const CAPITALS: u64 = 0xdfdf_dfdf_dfdf_dfdf;
    let (first, last) = match (name.first_chunk::<8>(), name.last_chunk::<8>()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => (name.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)), 0),
    };
    let word = (first & CAPITALS) ^ (last & CAPITALS).rotate_left(23) ^ name.len() as u64;
    (word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54) as usize
}

fn kind_of(name: &str) -> Kind {
    match name {
        "ACL" | "CLIENT" | "CLUSTER" | "COMMAND" | "CONFIG" | "FUNCTION" | "LATENCY" | "MEMORY" | "MODULE" | "OBJECT"
        | "PUBSUB" | "SCRIPT" | "SLOWLOG" | "XGROUP" | "XINFO" => Kind::Container,
        "BLMOVE" | "BLMPOP" | "BLPOP" | "BRPOP" | "BRPOPLPUSH" | "BZMPOP" | "BZPOPMAX" | "BZPOPMIN" | "WAIT" | "WAITAOF"
        | "XREAD" | "XREADGROUP" => Kind::Blocks,
        "SELECT" => Kind::Select,
        "SUBSCRIBE" | "PSUBSCRIBE" | "SSUBSCRIBE" => Kind::Subscribe,
        "UNSUBSCRIBE" | "PUNSUBSCRIBE" | "SUNSUBSCRIBE" => Kind::Unsubscribe,
        "CLIENT REPLY" => Kind::Reply,
        "MULTI" => Kind::Multi,
        "EXEC" => Kind::Exec,
        "DISCARD" => Kind::Discard,
        "RESET" => Kind::Reset,
        "PING" => Kind::Ping,
        "MONITOR" => Kind::Monitor,
        "SYNC" | "PSYNC" => Kind::Replicate,
        "QUIT" | "SHUTDOWN" => Kind::Ends,
        _ => Kind::Plain,
    }
}

// === impl Code ===

impl Code {
    /// The code of a reply that is not an error.
    pub(crate) const NONE: Self = Self { bytes: [0; CODE_BYTES] };

    /// Returns the code of an error's text.
    pub(crate) fn of(text: &[u8]) -> Self {
        let end = text.iter().position(|byte| !byte.is_ascii_uppercase()).unwrap_or(text.len());
        let ends = text.get(end).is_none_or(u8::is_ascii_whitespace);
        let word = match text.get(..end) {
            Some(word) if ends && ERRORS.iter().any(|known| known.as_bytes() == word) => word,
            _ => OTHER_ERROR,
        };
        let mut bytes = [0; CODE_BYTES];
        bytes.iter_mut().zip(word).for_each(|(place, &byte)| *place = byte);
        Self { bytes }
    }

    /// Returns the word; empty for no error.
    pub(crate) fn text(&self) -> &str {
        let length = CODE_BYTES - u128::from_le_bytes(self.bytes).leading_zeros() as usize / 8;
        let word = self.bytes.get(..length).unwrap_or_default();
        std::str::from_utf8(word).unwrap_or_default()
    }
}

impl Default for Code {
    fn default() -> Self {
        Self::NONE
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text().fmt(f)
    }
}

/// The first words of errors of Redis, Valkey and Sentinel.
#[rustfmt::skip]
const ERRORS: [&str; 36] = [
    "ERR", "WRONGTYPE", "NOAUTH", "NOPERM", "WRONGPASS", "MOVED", "ASK", "REDIRECT", "CROSSSLOT", "CLUSTERDOWN", "TRYAGAIN",
    "LOADING", "BUSY", "NOSCRIPT", "NOTBUSY", "UNKILLABLE", "READONLY", "OOM", "MISCONF", "MASTERDOWN", "NOREPLICAS",
    "NOMASTERLINK", "NOGOODSLAVE", "NOGOODREPLICA", "NOQUORUM", "INPROG", "EXECABORT", "BUSYKEY", "BUSYGROUP", "NOGROUP",
    "UNBLOCKED", "DENIED", "NOPROTO", "IOERR", "INVALIDOBJ", "SYNTAX",
];

/// First `OTHER`, then the commands of Redis and of its usual modules. Subcommands stand behind their container.
#[rustfmt::skip]
const NAMES: &[&str] = &[
    "OTHER",
    // Strings and keys.
    "APPEND", "COPY", "DECR", "DECRBY", "DEL", "DELEX", "DIGEST", "DUMP", "EXISTS", "EXPIRE", "EXPIREAT", "EXPIRETIME", "GET",
    "GETDEL", "GETEX", "GETRANGE", "GETSET", "INCR", "INCRBY", "INCRBYFLOAT", "KEYS", "LCS", "MGET", "MIGRATE", "MOVE", "MSET",
    "MSETEX", "MSETNX", "PERSIST", "PEXPIRE", "PEXPIREAT", "PEXPIRETIME", "PSETEX", "PTTL", "RANDOMKEY", "RENAME", "RENAMENX",
    "RESTORE", "RESTORE-ASKING", "SCAN", "SET", "SETEX", "SETNX", "SETRANGE", "SORT", "SORT_RO", "STRLEN", "SUBSTR", "TOUCH",
    "TTL", "TYPE", "UNLINK",
    "OBJECT", "OBJECT ENCODING", "OBJECT FREQ", "OBJECT HELP", "OBJECT IDLETIME", "OBJECT REFCOUNT",
    // Bits, counts, places.
    "BITCOUNT", "BITFIELD", "BITFIELD_RO", "BITOP", "BITPOS", "GETBIT", "SETBIT", "PFADD", "PFCOUNT", "PFDEBUG", "PFMERGE",
    "PFSELFTEST", "GEOADD", "GEODIST", "GEOHASH", "GEOPOS", "GEORADIUS", "GEORADIUSBYMEMBER", "GEORADIUSBYMEMBER_RO",
    "GEORADIUS_RO", "GEOSEARCH", "GEOSEARCHSTORE",
    // Hashes.
    "HDEL", "HEXISTS", "HEXPIRE", "HEXPIREAT", "HEXPIRETIME", "HGET", "HGETALL", "HGETDEL", "HGETEX", "HINCRBY",
    "HINCRBYFLOAT", "HKEYS", "HLEN", "HMGET", "HMSET", "HPERSIST", "HPEXPIRE", "HPEXPIREAT", "HPEXPIRETIME", "HPTTL",
    "HRANDFIELD", "HSCAN", "HSET", "HSETEX", "HSETNX", "HSTRLEN", "HTTL", "HVALS",
    // Lists.
    "BLMOVE", "BLMPOP", "BLPOP", "BRPOP", "BRPOPLPUSH", "LINDEX", "LINSERT", "LLEN", "LMOVE", "LMPOP", "LPOP", "LPOS",
    "LPUSH", "LPUSHX", "LRANGE", "LREM", "LSET", "LTRIM", "RPOP", "RPOPLPUSH", "RPUSH", "RPUSHX",
    // Sets.
    "SADD", "SCARD", "SDIFF", "SDIFFSTORE", "SINTER", "SINTERCARD", "SINTERSTORE", "SISMEMBER", "SMEMBERS", "SMISMEMBER",
    "SMOVE", "SPOP", "SRANDMEMBER", "SREM", "SSCAN", "SUNION", "SUNIONSTORE",
    // Sorted sets.
    "BZMPOP", "BZPOPMAX", "BZPOPMIN", "ZADD", "ZCARD", "ZCOUNT", "ZDIFF", "ZDIFFSTORE", "ZINCRBY", "ZINTER", "ZINTERCARD",
    "ZINTERSTORE", "ZLEXCOUNT", "ZMPOP", "ZMSCORE", "ZPOPMAX", "ZPOPMIN", "ZRANDMEMBER", "ZRANGE", "ZRANGEBYLEX",
    "ZRANGEBYSCORE", "ZRANGESTORE", "ZRANK", "ZREM", "ZREMRANGEBYLEX", "ZREMRANGEBYRANK", "ZREMRANGEBYSCORE", "ZREVRANGE",
    "ZREVRANGEBYLEX", "ZREVRANGEBYSCORE", "ZREVRANK", "ZSCAN", "ZSCORE", "ZUNION", "ZUNIONSTORE",
    // Streams.
    "XACK", "XACKDEL", "XADD", "XAUTOCLAIM", "XCLAIM", "XDEL", "XDELEX", "XLEN", "XPENDING", "XRANGE", "XREAD", "XREADGROUP",
    "XREVRANGE", "XSETID", "XTRIM",
    "XGROUP", "XGROUP CREATE", "XGROUP CREATECONSUMER", "XGROUP DELCONSUMER", "XGROUP DESTROY", "XGROUP HELP", "XGROUP SETID",
    "XINFO", "XINFO CONSUMERS", "XINFO GROUPS", "XINFO HELP", "XINFO STREAM",
    // Messages, transactions, scripts.
    "PSUBSCRIBE", "PUBLISH", "PUNSUBSCRIBE", "SPUBLISH", "SSUBSCRIBE", "SUBSCRIBE", "SUNSUBSCRIBE", "UNSUBSCRIBE",
    "PUBSUB", "PUBSUB CHANNELS", "PUBSUB HELP", "PUBSUB NUMPAT", "PUBSUB NUMSUB", "PUBSUB SHARDCHANNELS", "PUBSUB SHARDNUMSUB",
    "DISCARD", "EXEC", "MULTI", "UNWATCH", "WATCH",
    "EVAL", "EVALSHA", "EVALSHA_RO", "EVAL_RO", "FCALL", "FCALL_RO",
    "FUNCTION", "FUNCTION DELETE", "FUNCTION DUMP", "FUNCTION FLUSH", "FUNCTION HELP", "FUNCTION KILL", "FUNCTION LIST",
    "FUNCTION LOAD", "FUNCTION RESTORE", "FUNCTION STATS",
    "SCRIPT", "SCRIPT DEBUG", "SCRIPT EXISTS", "SCRIPT FLUSH", "SCRIPT HELP", "SCRIPT KILL", "SCRIPT LOAD", "SCRIPT SHOW",
    // The connection.
    "AUTH", "ECHO", "HELLO", "PING", "QUIT", "RESET", "SELECT",
    "CLIENT", "CLIENT CACHING", "CLIENT CAPA", "CLIENT GETNAME", "CLIENT GETREDIR", "CLIENT HELP", "CLIENT ID", "CLIENT INFO",
    "CLIENT KILL", "CLIENT LIST", "CLIENT NO-EVICT", "CLIENT NO-TOUCH", "CLIENT PAUSE", "CLIENT REPLY", "CLIENT SETINFO",
    "CLIENT SETNAME", "CLIENT TRACKING", "CLIENT TRACKINGINFO", "CLIENT UNBLOCK", "CLIENT UNPAUSE",
    // The server.
    "BGREWRITEAOF", "BGSAVE", "DBSIZE", "DEBUG", "FAILOVER", "FLUSHALL", "FLUSHDB", "INFO", "LASTSAVE", "LOLWUT", "MONITOR",
    "PSYNC", "READONLY", "READWRITE", "REPLCONF", "REPLICAOF", "ROLE", "SAVE", "SENTINEL", "SHUTDOWN", "SLAVEOF", "SWAPDB",
    "SYNC", "TIME", "WAIT", "WAITAOF", "ASKING",
    "ACL", "ACL CAT", "ACL DELUSER", "ACL DRYRUN", "ACL GENPASS", "ACL GETUSER", "ACL HELP", "ACL LIST", "ACL LOAD", "ACL LOG",
    "ACL SAVE", "ACL SETUSER", "ACL USERS", "ACL WHOAMI",
    "CLUSTER", "CLUSTER ADDSLOTS", "CLUSTER ADDSLOTSRANGE", "CLUSTER BUMPEPOCH", "CLUSTER COUNT-FAILURE-REPORTS",
    "CLUSTER COUNTKEYSINSLOT", "CLUSTER DELSLOTS", "CLUSTER DELSLOTSRANGE", "CLUSTER FAILOVER", "CLUSTER FLUSHSLOTS",
    "CLUSTER FORGET", "CLUSTER GETKEYSINSLOT", "CLUSTER HELP", "CLUSTER INFO", "CLUSTER KEYSLOT", "CLUSTER LINKS",
    "CLUSTER MEET", "CLUSTER MYID", "CLUSTER MYSHARDID", "CLUSTER NODES", "CLUSTER REPLICAS", "CLUSTER REPLICATE",
    "CLUSTER RESET", "CLUSTER SAVECONFIG", "CLUSTER SET-CONFIG-EPOCH", "CLUSTER SETSLOT", "CLUSTER SHARDS", "CLUSTER SLAVES",
    "CLUSTER SLOT-STATS", "CLUSTER SLOTS",
    "COMMAND", "COMMAND COUNT", "COMMAND DOCS", "COMMAND GETKEYS", "COMMAND GETKEYSANDFLAGS", "COMMAND HELP", "COMMAND INFO",
    "COMMAND LIST",
    "CONFIG", "CONFIG GET", "CONFIG HELP", "CONFIG RESETSTAT", "CONFIG REWRITE", "CONFIG SET",
    "LATENCY", "LATENCY DOCTOR", "LATENCY GRAPH", "LATENCY HELP", "LATENCY HISTOGRAM", "LATENCY HISTORY", "LATENCY LATEST",
    "LATENCY RESET",
    "MEMORY", "MEMORY DOCTOR", "MEMORY HELP", "MEMORY MALLOC-STATS", "MEMORY PURGE", "MEMORY STATS", "MEMORY USAGE",
    "MODULE", "MODULE HELP", "MODULE LIST", "MODULE LOAD", "MODULE LOADEX", "MODULE UNLOAD",
    "SLOWLOG", "SLOWLOG GET", "SLOWLOG HELP", "SLOWLOG LEN", "SLOWLOG RESET",
    // Modules.
    "BF.ADD", "BF.EXISTS", "BF.INSERT", "BF.MADD", "BF.MEXISTS", "BF.RESERVE", "CF.ADD", "CF.DEL", "CF.EXISTS", "CMS.INCRBY",
    "CMS.QUERY", "FT.AGGREGATE", "FT.CREATE", "FT.CURSOR", "FT.DROPINDEX", "FT.INFO", "FT.SEARCH", "GRAPH.QUERY",
    "GRAPH.RO_QUERY", "JSON.ARRAPPEND", "JSON.ARRLEN", "JSON.DEL", "JSON.GET", "JSON.MERGE", "JSON.MGET", "JSON.MSET",
    "JSON.NUMINCRBY", "JSON.OBJKEYS", "JSON.OBJLEN", "JSON.SET", "JSON.TYPE", "TDIGEST.ADD", "TDIGEST.QUANTILE", "TOPK.ADD",
    "TOPK.LIST", "TS.ADD", "TS.GET", "TS.INCRBY", "TS.MADD", "TS.MGET", "TS.MRANGE", "TS.RANGE", "VADD", "VSIM",
];

#[cfg(test)]
mod tests {
    use super::{Code, Kind, NAMES, Name, Vocabulary};

    #[test]
    fn every_name_is_found_in_any_case_and_few_are_looked_for_twice() {
        let words = Vocabulary::new();
        let mut moved = 0;
        for name in NAMES.iter().skip(1) {
            let found = match name.split_once(' ') {
                None => words.command(name.to_lowercase().as_bytes()),
                Some((container, own)) => words.subcommand(words.command(container.as_bytes()), own.to_lowercase().as_bytes()),
            };
            assert_eq!(found.text(), *name);
            let first = words.probe(name.as_bytes()).next().and_then(|slot| words.slots.get(slot));
            moved += usize::from(!name.contains(' ') && first.is_none_or(|&place| Name(place) != found));
        }
        assert!(moved < NAMES.len() / 4, "{moved} of {} are not where they are looked for first", NAMES.len());
    }

    #[test]
    fn what_is_not_known_is_other_and_an_unknown_subcommand_is_its_container() {
        let words = Vocabulary::new();
        for name in [&b"GETT"[..], b"", b"GE", b"\xff\xfe", b"CLIENT SETINFO", &[b'A'; 500]] {
            assert_eq!(words.command(name).text(), "OTHER");
        }
        let client = words.command(b"client");
        assert_eq!(words.kind(client), Kind::Container);
        assert_eq!(words.subcommand(client, b"hunter2").text(), "CLIENT");
        assert_eq!(words.subcommand(client, b"Reply").text(), "CLIENT REPLY");
    }

    #[test]
    fn a_name_is_handed_over_by_its_text() {
        let words = Vocabulary::new();
        let name = words.command(b"hgetall");
        let state = postcard::to_allocvec(&name).unwrap();
        assert_eq!(state, b"\x07HGETALL");
        assert_eq!(postcard::from_bytes::<Name>(&state).unwrap(), name);
        assert_eq!(postcard::from_bytes::<Name>(b"\x07HGETNEW").unwrap().text(), "OTHER");
    }

    #[test]
    fn only_a_word_of_the_server_is_told_of_an_error() {
        let code = |text: &str| Code::of(text.as_bytes()).text().to_owned();
        assert_eq!(code("ERR unknown command 'hunter2'\r\n"), "ERR");
        assert_eq!(code("WRONGTYPE\r\n"), "WRONGTYPE");
        assert_eq!(code("MOVED 3999 127.0.0.1:6381"), "MOVED");
        assert_eq!(code("NOSCRIPT No matching script"), "NOSCRIPT");
        for text in [
            "HUNTER is no error of the server",
            "hunter2 is wrong",
            "Hunter",
            "HUNTER2",
            "",
            " ERR",
            "ERR\u{1b}[31m",
            "ABCDEFGHIJKLMNOPQ no",
            "ERR:x",
        ] {
            assert_eq!(code(text), "_OTHER", "{text:?}");
        }
    }
}
