//! Errors: an errno and the place it arose. Negated once, at the system call gate.

use abi::errno::Errno;
use std::panic::Location;

/// An errno with the source line that raised it.
#[derive(Clone, Copy)]
pub struct Error {
    errno: Errno,
    at: &'static Location<'static>,
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    #[track_caller]
    pub fn new(errno: Errno) -> Error {
        Error {
            errno,
            at: Location::caller(),
        }
    }

    pub fn errno(&self) -> Errno {
        self.errno
    }

    /// Where the error arose, for the log.
    pub fn place(&self) -> &'static Location<'static> {
        self.at
    }
}

impl From<Errno> for Error {
    #[track_caller]
    fn from(errno: Errno) -> Error {
        Error::new(errno)
    }
}

impl PartialEq<Errno> for Error {
    fn eq(&self, other: &Errno) -> bool {
        self.errno == *other
    }
}

impl std::fmt::Debug for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:?} at {}:{}",
            self.errno,
            self.at.file(),
            self.at.line()
        )
    }
}

/// `Err` with the caller's place.
#[track_caller]
pub fn err<T>(errno: Errno) -> Result<T> {
    Err(Error::new(errno))
}
