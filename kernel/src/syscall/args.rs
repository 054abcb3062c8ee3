//! Raw argument registers become types, and results become a register.

use super::Context;
use crate::error::Result;
use crate::user::UserPtr;

/// A descriptor argument.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fd(pub i32);

/// A type that an argument register converts to without failing.
pub trait FromArg {
    fn from_arg(raw: u64) -> Self;
}

macro_rules! from_arg {
    ($($t:ty),*) => { $(impl FromArg for $t { fn from_arg(raw: u64) -> $t { raw as $t } })* };
}
from_arg!(u8, u16, u32, u64, usize, i32, i64);

impl FromArg for Fd {
    fn from_arg(raw: u64) -> Fd {
        Fd(raw as i32)
    }
}

impl<T> FromArg for UserPtr<T> {
    fn from_arg(raw: u64) -> UserPtr<T> {
        UserPtr::new(raw)
    }
}

/// A result that goes to the guest's rax.
pub trait IntoRet {
    fn into_ret(self) -> u64;
}

impl IntoRet for () {
    fn into_ret(self) -> u64 {
        0
    }
}

macro_rules! into_ret {
    ($($t:ty),*) => { $(impl IntoRet for $t { fn into_ret(self) -> u64 { self as u64 } })* };
}
into_ret!(u32, u64, usize, i32, i64);

impl IntoRet for Fd {
    fn into_ret(self) -> u64 {
        self.0 as u64
    }
}

/// A system call's function: `fn(&mut Context, typed arguments...) -> Result<R>`.
pub trait Handler<Args> {
    fn call(&self, cx: &mut Context, args: &[u64; 6]) -> Result<u64>;
}

macro_rules! handler {
    ($($t:ident $i:tt),*) => {
        impl<F, R, $($t),*> Handler<($($t,)*)> for F
        where
            F: Fn(&mut Context, $($t),*) -> Result<R>,
            R: IntoRet,
            $($t: FromArg),*
        {
            fn call(&self, cx: &mut Context, _args: &[u64; 6]) -> Result<u64> {
                self(cx, $($t::from_arg(_args[$i])),*).map(IntoRet::into_ret)
            }
        }
    };
}
handler!();
handler!(A 0);
handler!(A 0, B 1);
handler!(A 0, B 1, C 2);
handler!(A 0, B 1, C 2, D 3);
handler!(A 0, B 1, C 2, D 3, E 4);
handler!(A 0, B 1, C 2, D 3, E 4, G 5);

macro_rules! flag_arg {
    ($($t:ty: $bits:ty),*) => {
        $(impl FromArg for $t {
            fn from_arg(raw: u64) -> $t {
                <$t>::from_bits_retain(raw as $bits)
            }
        })*
    };
}
flag_arg!(abi::fs::OpenFlags: u32, abi::fs::RenameFlags: u32);
flag_arg!(abi::mm::ProtFlags: u32, abi::mm::MapFlags: u32, abi::mm::MremapFlags: u32);
flag_arg!(abi::mm::MsyncFlags: u32, abi::mm::MlockFlags: u32);
