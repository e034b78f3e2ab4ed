//! Error numbers: those of the system, and `libzmq`'s own. This module never has code.

pub use libc::{
    EACCES, EADDRINUSE, EADDRNOTAVAIL, EAGAIN, EBUSY, ECONNREFUSED, EFAULT, EHOSTUNREACH, EINPROGRESS, EINTR,
    EINVAL, EMFILE, EMSGSIZE, ENAMETOOLONG, ENETDOWN, ENOBUFS, ENODEV, ENOENT, ENOMEM, ENOTCONN, ENOTSOCK,
    ENOTSUP, EPROTO, EPROTONOSUPPORT,
};

/// Where `libzmq`'s own numbers begin (`ZMQ_HAUSNUMERO`).
const FIRST: i32 = 156_384_712;

// States of libzmq.
pub const EFSM: i32 = FIRST + 51;
pub const ENOCOMPATPROTO: i32 = FIRST + 52;
pub const ETERM: i32 = FIRST + 53;
pub const EMTHREAD: i32 = FIRST + 54;

// What libzmq uses where the system lacks the number.
pub const ENOTSUP_ALT: i32 = FIRST + 1;
pub const EPROTONOSUPPORT_ALT: i32 = FIRST + 2;
pub const ENOBUFS_ALT: i32 = FIRST + 3;
pub const ENETDOWN_ALT: i32 = FIRST + 4;
pub const EADDRINUSE_ALT: i32 = FIRST + 5;
pub const EADDRNOTAVAIL_ALT: i32 = FIRST + 6;
pub const ECONNREFUSED_ALT: i32 = FIRST + 7;
pub const EINPROGRESS_ALT: i32 = FIRST + 8;
pub const ENOTSOCK_ALT: i32 = FIRST + 9;
pub const EMSGSIZE_ALT: i32 = FIRST + 10;
pub const EAFNOSUPPORT_ALT: i32 = FIRST + 11;
pub const ENETUNREACH_ALT: i32 = FIRST + 12;
pub const ECONNABORTED_ALT: i32 = FIRST + 13;
pub const ECONNRESET_ALT: i32 = FIRST + 14;
pub const ENOTCONN_ALT: i32 = FIRST + 15;
pub const ETIMEDOUT_ALT: i32 = FIRST + 16;
pub const EHOSTUNREACH_ALT: i32 = FIRST + 17;
pub const ENETRESET_ALT: i32 = FIRST + 18;
