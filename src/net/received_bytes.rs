//! [`received_bytes`]: how much the TCP connections of a port have received, as the operating system counts it. It never reads a connection.

use std::collections::HashMap;
use std::io;
use std::os::fd::AsRawFd;

use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};

/// The inode of a socket, which identifies it while it is open.
pub type Inode = u32;

/// Of `linux/netlink.h`, `linux/sock_diag.h` and `linux/inet_diag.h`.
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST_DUMP: u16 = 0x301;
const NLMSG_DONE: u16 = 3;
const HEADER: usize = 16;
const REQUEST: usize = 56;
const AF_INET: u8 = 2;
const IPPROTO_TCP: u8 = 6;
/// The extension with `tcp_info`: its number, and its bit in a request.
const INET_DIAG_INFO: u16 = 2;
const INET_DIAG_INFO_BIT: u8 = 1 << (INET_DIAG_INFO - 1);
/// The states in which a connection can receive: established, and closed in one direction (`TCP_ESTABLISHED`, `TCP_FIN_WAIT1`,
/// `TCP_FIN_WAIT2`, `TCP_CLOSE_WAIT`).
const STATES: u32 = 1 << 1 | 1 << 4 | 1 << 5 | 1 << 8;

/// The places in a message: of the local port, of the inode, and of the attributes.
const LOCAL_PORT: usize = HEADER + 4;
const INODE: usize = HEADER + 68;
const ATTRIBUTES: usize = HEADER + 72;

/// The place of `tcpi_bytes_received` in `tcp_info` (Linux 4.1).
const BYTES_RECEIVED: usize = 128;

/// Room for many messages at once.
const BUFFER: usize = 1 << 16;

/// Return the bytes that each connection to this local port has received since it was made.
///
/// # Errors
/// The operating system does not tell, such as one without `tcp_diag`.
pub fn received_bytes(port: u16) -> io::Result<HashMap<Inode, u64>> {
    let protocol = SockProtocol::NetlinkSockDiag;
    let netlink = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
    send(netlink.as_raw_fd(), &request(port), MsgFlags::empty())?;
    let (mut buffer, mut found) = (vec![0; BUFFER], HashMap::new());
    loop {
        let length = recv(netlink.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        if take_messages(buffer.get(..length).unwrap_or_default(), port, &mut found)? {
            return Ok(found);
        }
    }
}

fn request(port: u16) -> Vec<u8> {
    let mut request = Vec::with_capacity(HEADER + REQUEST);
    request.extend(u32::try_from(HEADER + REQUEST).unwrap_or_default().to_ne_bytes());
    request.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    request.extend(NLM_F_REQUEST_DUMP.to_ne_bytes());
    request.extend([0; 8]);
    request.extend([AF_INET, IPPROTO_TCP, INET_DIAG_INFO_BIT, 0]);
    request.extend(STATES.to_ne_bytes());
    request.extend(port.to_be_bytes());
    request.resize(HEADER + REQUEST, 0);
    request
}

/// Take the connections of some messages. Return whether the last message has come.
fn take_messages(mut rest: &[u8], port: u16, found: &mut HashMap<Inode, u64>) -> io::Result<bool> {
    while let (Some(length), Some(kind)) = (number(rest, 0, 4), number(rest, 4, 2)) {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if kind == u64::from(NLMSG_DONE) {
            return Ok(true);
        }
        let Some(message) = rest.get(..length).filter(|_| length >= HEADER) else { break };
        if kind != u64::from(SOCK_DIAG_BY_FAMILY) {
            return Err(io::Error::other("the operating system does not tell what connections receive"));
        }
        let local_port = message.get(LOCAL_PORT..LOCAL_PORT + 2);
        if local_port == Some(&port.to_be_bytes()[..])
            && let (Some(inode), Some(received)) = (number(message, INODE, 4), bytes_received(message))
        {
            found.insert(Inode::try_from(inode).unwrap_or_default(), received);
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

fn bytes_received(message: &[u8]) -> Option<u64> {
    let mut rest = message.get(ATTRIBUTES..)?;
    loop {
        let (length, kind) = (usize::try_from(number(rest, 0, 2)?).ok()?, number(rest, 2, 2)?);
        if kind == u64::from(INET_DIAG_INFO) {
            return number(rest.get(4..length)?, BYTES_RECEIVED, 8);
        }
        rest = rest.get(length.max(4).next_multiple_of(4)..)?;
    }
}

/// Return a number of so many bytes at a place.
fn number(bytes: &[u8], at: usize, size: usize) -> Option<u64> {
    let mut number = [0; 8];
    let part = if cfg!(target_endian = "little") { 0..size } else { 8 - size..8 };
    number[part].copy_from_slice(bytes.get(at..at + size)?);
    Some(u64::from_ne_bytes(number))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn the_bytes_of_each_connection_to_the_port_are_known() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        for size in [0, 5_000, 123_456] {
            let mut client = TcpStream::connect(address).unwrap();
            let (mut accepted, _) = listener.accept().unwrap();
            client.write_all(&vec![0; size]).unwrap();
            accepted.read_exact(&mut vec![0; size]).unwrap();
            let inode = std::fs::metadata(format!("/proc/self/fd/{}", accepted.as_raw_fd())).unwrap().ino();
            let found = received_bytes(address.port()).unwrap();
            assert_eq!(found.get(&Inode::try_from(inode).unwrap()), Some(&(size as u64)));
            assert_eq!(found.len(), 1);
            drop((client, accepted));
        }
    }

    #[test]
    fn damaged_messages_are_no_danger() {
        let mut message = request(1);
        for length in 0..message.len() {
            let _ = take_messages(&message[..length], 1, &mut HashMap::new());
        }
        message[0] = 0;
        assert!(!take_messages(&message, 1, &mut HashMap::new()).unwrap());
        assert_eq!(bytes_received(&[0; 400]), None);
    }
}
