//! Records: C structs of a BPF program, read without a copy.

use crate::wit::{Member, MemberKind, RecordLayout};

/// A record of known layout; [`record!`](crate::record!) implements it.
pub trait Record: 'static {
    /// A view of the bytes of one record.
    type View<'a>: Copy;

    /// Minimum length of a record: `sizeof` the struct, or the offset of its flexible array.
    const SIZE: usize;

    /// Returns a view of these bytes; None if there are too few.
    fn view(bytes: &[u8]) -> Option<Self::View<'_>>;

    /// Returns the layout that the host compares with the object's BTF; None if any record is accepted.
    fn layout() -> Option<RecordLayout>;
}

/// A record whose layout is only known when a decoder is bound: a view is its bytes.
#[derive(Debug, Clone, Copy)]
pub struct Raw;

/// A member `char name[N]`: text up to the first NUL.
#[derive(Debug, Clone, Copy)]
pub struct Chars<const N: usize>;

/// A member that is an array of bytes, or a struct.
#[derive(Debug, Clone, Copy)]
pub struct Bytes<const N: usize>;

/// A member `char name[]` at the end: the rest of the record.
#[derive(Debug, Clone, Copy)]
pub struct Rest;

/// A member `__u8 name[]` at the end: the rest of the record.
#[derive(Debug, Clone, Copy)]
pub struct Tail;

/// A type of a member: integers, [`Chars`], [`Bytes`], [`Rest`] and [`Tail`].
#[doc(hidden)]
pub trait Read {
    /// The type of the value that is read.
    type Value<'a>;
    /// Size, alignment and kind in C.
    const SHAPE: Shape;
    /// Reads the member at `offset` of a record whose sized part is `head` and whose end is `rest`.
    fn read<'a>(head: &'a [u8], rest: &'a [u8], offset: usize) -> Self::Value<'a>;
}

/// Size, alignment and kind of a member.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// The name in the struct.
    pub name: &'static str,
    /// Size in bytes.
    pub size: usize,
    /// Alignment in bytes.
    pub align: usize,
    /// How it is read.
    pub kind: MemberKind,
}

/// Declares a record like its C struct: members in order, with C's alignment. Integers are read as little-endian, at any address; bytes
/// that are too short are not a record, so that reading cannot panic.
///
/// ```
/// use plugin_sdk::Rest;
///
/// plugin_sdk::record! {
///     /// One greeting.
///     pub struct Greeting = "greeting_record" {
///         /// When.
///         time_ns: u64,
///         /// Who, a thread group.
///         pid: u32,
///         /// The words.
///         words: Rest,
///     }
/// }
///
/// let bytes = [7, 0, 0, 0, 0, 0, 0, 0, 42, 0, 0, 0, b'h', b'i', 0];
/// let greeting = Greeting::new(&bytes).unwrap();
/// assert_eq!((greeting.time_ns(), greeting.pid(), greeting.words()), (7, 42, b"hi\0".as_slice()));
/// assert!(Greeting::new(&bytes[..11]).is_none());
/// ```
#[macro_export]
macro_rules! record {
    ($(#[$about:meta])* $vis:vis struct $record:ident = $name:literal { $($(#[$doc:meta])* $member:ident : $type:ty),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy)]
        $vis struct $record<'a> {
            head: &'a [u8; $record::SIZE],
            rest: &'a [u8],
        }

        impl<'a> $record<'a> {
            const SHAPES: &'static [$crate::Shape] = &[$(<$type as $crate::Read>::SHAPE.named(stringify!($member))),+];
            const SIZE: usize = $crate::Shape::least(Self::SHAPES);

            /// A view of these bytes; none if they are fewer than the struct has.
            #[must_use]
            #[inline(always)]
            $vis fn new(bytes: &'a [u8]) -> Option<Self> {
                let (head, rest) = bytes.split_first_chunk()?;
                Some(Self { head, rest })
            }

            $(
                $(#[$doc])*
                #[must_use]
                #[inline(always)]
                $vis fn $member(self) -> <$type as $crate::Read>::Value<'a> {
                    const OFFSET: usize = $crate::Shape::offset($record::SHAPES, stringify!($member));
                    <$type as $crate::Read>::read(self.head, self.rest, OFFSET)
                }
            )+
        }

        impl $crate::Record for $record<'static> {
            type View<'a> = $record<'a>;
            const SIZE: usize = $record::SIZE;

            #[inline(always)]
            fn view(bytes: &[u8]) -> Option<$record<'_>> {
                $record::new(bytes)
            }

            fn layout() -> Option<$crate::RecordLayout> {
                Some($crate::Shape::layout($name, $record::SHAPES))
            }
        }
    };
}

// === impl Raw ===

impl Record for Raw {
    type View<'a> = &'a [u8];
    const SIZE: usize = 0;

    #[inline(always)]
    fn view(bytes: &[u8]) -> Option<&[u8]> {
        Some(bytes)
    }

    fn layout() -> Option<RecordLayout> {
        None
    }
}

// === impl Shape ===

impl Shape {
    /// Returns this shape with a name.
    #[must_use]
    pub const fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// Returns the offset of a member, by the rules of C. An unknown name, or a member behind the flexible one, does not compile: this runs
    /// in constants only.
    #[must_use]
    #[allow(clippy::panic, clippy::indexing_slicing, reason = "evaluated by the compiler, where a panic is an error message")]
    pub const fn offset(shapes: &[Self], name: &str) -> usize {
        let mut offset = 0;
        let mut index = 0;
        while index < shapes.len() {
            let shape = shapes[index];
            assert!(shape.size != 0 || index + 1 == shapes.len(), "only the last member may be flexible");
            offset = shape.aligned(offset);
            if same(shape.name, name) {
                return offset;
            }
            offset += shape.size;
            index += 1;
        }
        panic!("no member of this name")
    }

    /// Returns `sizeof` the struct.
    #[must_use]
    #[allow(clippy::indexing_slicing, reason = "evaluated by the compiler, where a panic is an error message")]
    pub const fn end(shapes: &[Self]) -> usize {
        let mut end = 0;
        let mut align = 1;
        let mut index = 0;
        while index < shapes.len() {
            let shape = shapes[index];
            end = shape.aligned(end) + shape.size;
            if shape.align > align {
                align = shape.align;
            }
            index += 1;
        }
        end.next_multiple_of(align)
    }

    /// Returns the minimum length of a record: a flexible array may start within the padding at the end of the struct.
    #[must_use]
    #[allow(clippy::indexing_slicing, reason = "evaluated by the compiler, where a panic is an error message")]
    pub const fn least(shapes: &[Self]) -> usize {
        let last = shapes[shapes.len() - 1];
        if last.size == 0 { Self::offset(shapes, last.name) } else { Self::end(shapes) }
    }

    /// Returns the layout of a struct of these members.
    #[must_use]
    pub fn layout(name: &str, shapes: &[Self]) -> RecordLayout {
        let member = |shape: &Self| Member {
            name: shape.name.into(),
            offset: Self::offset(shapes, shape.name) as u32,
            size: shape.size as u32,
            kind: shape.kind,
        };
        RecordLayout { name: name.into(), size: Self::end(shapes) as u32, members: shapes.iter().map(member).collect() }
    }

    const fn aligned(self, offset: usize) -> usize {
        offset.next_multiple_of(self.align)
    }
}

#[allow(clippy::indexing_slicing, reason = "both indices are below the common length")]
const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut index = 0;
    while index < a.len() && index < b.len() && a[index] == b[index] {
        index += 1;
    }
    a.len() == b.len() && index == a.len()
}

// === impl Read ===

macro_rules! integers {
    ($($type:ty: $kind:ident),+) => {$(
        impl Read for $type {
            type Value<'a> = $type;
            const SHAPE: Shape = Shape { name: "", size: size_of::<$type>(), align: size_of::<$type>(), kind: MemberKind::$kind };

            #[inline(always)]
            fn read(head: &[u8], _: &[u8], offset: usize) -> $type {
                head.get(offset..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| <$type>::from_le_bytes(*bytes))
            }
        }
    )+};
}

integers!(u8: Unsigned, u16: Unsigned, u32: Unsigned, u64: Unsigned, i8: Signed, i16: Signed, i32: Signed, i64: Signed);

/// Returns the value of an absent array; a constant size excludes this case.
const fn zeros<const N: usize>() -> &'static [u8; N] {
    const { &[0; N] }
}

impl<const N: usize> Read for Chars<N> {
    type Value<'a> = &'a [u8; N];
    const SHAPE: Shape = Shape { name: "", size: N, align: 1, kind: MemberKind::Chars };

    #[inline(always)]
    fn read<'a>(head: &'a [u8], _: &'a [u8], offset: usize) -> &'a [u8; N] {
        head.get(offset..).and_then(<[u8]>::first_chunk).unwrap_or(zeros())
    }
}

impl<const N: usize> Read for Bytes<N> {
    type Value<'a> = &'a [u8; N];
    const SHAPE: Shape = Shape { name: "", size: N, align: 1, kind: MemberKind::Bytes };

    #[inline(always)]
    fn read<'a>(head: &'a [u8], _: &'a [u8], offset: usize) -> &'a [u8; N] {
        head.get(offset..).and_then(<[u8]>::first_chunk).unwrap_or(zeros())
    }
}

impl Read for Rest {
    type Value<'a> = &'a [u8];
    const SHAPE: Shape = Shape { name: "", size: 0, align: 1, kind: MemberKind::Chars };

    #[inline(always)]
    fn read<'a>(_: &'a [u8], rest: &'a [u8], _: usize) -> &'a [u8] {
        rest
    }
}

impl Read for Tail {
    type Value<'a> = &'a [u8];
    const SHAPE: Shape = Shape { name: "", size: 0, align: 1, kind: MemberKind::Bytes };

    #[inline(always)]
    fn read<'a>(_: &'a [u8], rest: &'a [u8], _: usize) -> &'a [u8] {
        rest
    }
}
