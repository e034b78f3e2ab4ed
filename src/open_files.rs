//! The limit of open files of this process. It never raises the hard limit.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raise the soft limit to the hard limit; return the previous soft limit if it was lower. The usual one of 1,024 protects programs that
/// use `select`, so children should get that back.
///
/// # Errors
/// When the operating system refuses.
pub fn raise_limit() -> io::Result<Option<u64>> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return Ok(None);
    }
    set_limit(maximum)?;
    Ok(current)
}

/// Set the soft limit; `None` is unlimited.
///
/// # Errors
/// When it is higher than the hard limit.
pub fn set_limit(current: Option<u64>) -> io::Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    Ok(setrlimit(Resource::Nofile, Rlimit { current, maximum })?)
}
