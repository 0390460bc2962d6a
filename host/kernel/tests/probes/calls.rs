//! System calls on sockets that std does not make.
#![allow(unsafe_code, reason = "system calls")]

use std::io::{Seek, Write};
use std::mem::zeroed;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

fn vector(segments: &[&[u8]]) -> Vec<libc::iovec> {
    segments.iter().map(|segment| libc::iovec { iov_base: segment.as_ptr() as *mut _, iov_len: segment.len() }).collect()
}

/// Allocates buffers of these sizes, and the vector over them.
fn room(sizes: &[usize]) -> (Vec<Vec<u8>>, Vec<libc::iovec>) {
    let mut room: Vec<Vec<u8>> = sizes.iter().map(|size| vec![0; *size]).collect();
    let vector = room.iter_mut().map(|part| libc::iovec { iov_base: part.as_mut_ptr().cast(), iov_len: part.len() }).collect();
    (room, vector)
}

fn message(vector: &mut [libc::iovec]) -> libc::msghdr {
    // SAFETY: a header without name and control data is all zero.
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_iov = vector.as_mut_ptr();
    header.msg_iovlen = vector.len() as _;
    header
}

pub(crate) fn writev(socket: &impl AsRawFd, segments: &[&[u8]]) -> isize {
    let vector = vector(segments);
    // SAFETY: the segments live until the call returns.
    unsafe { libc::writev(socket.as_raw_fd(), vector.as_ptr(), vector.len() as i32) }
}

pub(crate) fn readv(socket: &impl AsRawFd, sizes: &[usize]) -> isize {
    let (_room, vector) = room(sizes);
    // SAFETY: the room lives until the call returns.
    unsafe { libc::readv(socket.as_raw_fd(), vector.as_ptr(), vector.len() as i32) }
}

pub(crate) fn sendmsg(socket: &impl AsRawFd, segments: &[&[u8]], flags: Option<i32>) -> isize {
    let mut vector = vector(segments);
    let header = message(&mut vector);
    // SAFETY: the segments live until the call returns.
    unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const header, flags.unwrap_or(0)) }
}

pub(crate) fn recvmsg(socket: &impl AsRawFd, sizes: &[usize]) -> isize {
    let (_room, mut vector) = room(sizes);
    let mut header = message(&mut vector);
    // SAFETY: the room lives until the call returns.
    unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, 0) }
}

pub(crate) fn send(socket: &impl AsRawFd, bytes: &[u8], flags: i32) -> isize {
    // SAFETY: the bytes live until the call returns.
    unsafe { libc::send(socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags) }
}

pub(crate) fn recv(socket: &impl AsRawFd, size: usize, flags: i32) -> isize {
    let mut room = vec![0_u8; size];
    // SAFETY: the room lives until the call returns.
    unsafe { libc::recv(socket.as_raw_fd(), room.as_mut_ptr().cast(), size, flags) }
}

/// Sends `size` bytes of a file.
pub(crate) fn sendfile(socket: &impl AsRawFd, size: usize) -> isize {
    let path = std::env::temp_dir().join(format!("host-kernel-sendfile-{}", std::process::id()));
    let mut file = std::fs::File::options().create(true).truncate(true).read(true).write(true).open(&path).unwrap();
    file.write_all(&vec![b'f'; size]).unwrap();
    file.rewind().unwrap();
    std::fs::remove_file(path).unwrap();
    // SAFETY: two descriptors and a number.
    unsafe { libc::sendfile(socket.as_raw_fd(), file.as_raw_fd(), std::ptr::null_mut(), size) }
}

/// Receives up to `size` bytes into a pipe.
pub(crate) fn splice(socket: &impl AsRawFd, size: usize) -> isize {
    let (_reader, writer) = std::io::pipe().unwrap();
    let (none, socket, pipe) = (std::ptr::null_mut(), socket.as_raw_fd(), writer.as_raw_fd());
    // SAFETY: two descriptors that live until the call returns, and no offsets.
    unsafe { libc::splice(socket, none, pipe, none, size, 0) }
}

thread_local! {
    /// The headers of messages, always at the same address, as in a program that reuses its vector.
    static MESSAGES: std::cell::RefCell<[libc::mmsghdr; 2]> = const {
        // SAFETY: headers without anything are all zero.
        std::cell::RefCell::new(unsafe { zeroed() })
    };
}

fn with_messages(mut vectors: Vec<Vec<libc::iovec>>, call: impl FnOnce(*mut libc::mmsghdr) -> i32) -> i32 {
    MESSAGES.with_borrow_mut(|messages| {
        for (place, vector) in messages.iter_mut().zip(&mut vectors) {
            // The values that the kernel wrote last time stay, as in careless programs.
            place.msg_hdr = message(vector);
        }
        call(messages.as_mut_ptr())
    })
}

pub(crate) fn sendmmsg(socket: RawFd, words: &[&str]) -> i32 {
    let vectors = words.iter().map(|word| vector(&[word.as_bytes()])).collect();
    // SAFETY: the words live until the call returns, and there are as many messages as words.
    with_messages(vectors, |messages| unsafe { libc::sendmmsg(socket, messages, words.len() as u32, 0) })
}

/// Receives up to `count` messages, without waiting for more than there are.
pub(crate) fn recvmmsg(socket: RawFd, count: u32) -> i32 {
    let (_room, vector) = room(&vec![100; count as usize]);
    let vectors = vector.into_iter().map(|segment| vec![segment]).collect();
    with_messages(vectors, |messages| {
        // SAFETY: the room lives until the call returns, and there are `count` messages.
        unsafe { libc::recvmmsg(socket, messages, count, libc::MSG_DONTWAIT, std::ptr::null_mut()) }
    })
}

/// A TCP socket that can connect twice.
pub(crate) struct Socket(OwnedFd);

impl Socket {
    pub(crate) fn tcp() -> Self {
        // SAFETY: a new descriptor, or -1, which the assertion refuses.
        let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) };
        assert!(fd >= 0);
        // SAFETY: it is ours alone.
        Self(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    pub(crate) fn connect(&self, address: SocketAddr) {
        let SocketAddr::V4(address) = address else { panic!("IPv4 only") };
        // SAFETY: an address of IPv4 whose rest is padding.
        let mut to: libc::sockaddr_in = unsafe { zeroed() };
        to.sin_family = libc::AF_INET as u16;
        to.sin_port = address.port().to_be();
        to.sin_addr.s_addr = u32::from_ne_bytes(address.ip().octets());
        // SAFETY: the address lives until the call returns and is as long as is said.
        let result = unsafe { libc::connect(self.0.as_raw_fd(), (&raw const to).cast(), size_of_val(&to) as u32) };
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    }

    pub(crate) fn disconnect(&self) {
        // SAFETY: an address of no family is all zero.
        let to: libc::sockaddr = unsafe { zeroed() };
        // SAFETY: the address lives until the call returns and is as long as is said.
        let result = unsafe { libc::connect(self.0.as_raw_fd(), &raw const to, size_of_val(&to) as u32) };
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
