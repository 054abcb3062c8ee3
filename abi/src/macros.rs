//! The three shapes that everything in this crate has: a group of constants, a set of flags, a struct of user memory.

/// A group of constants, and a table of their names and values (for tracing, and for the test that compares them with
/// the C headers).
macro_rules! consts {
    ($(#[$doc:meta])* $table:ident: $ty:ty { $($name:ident = $value:expr;)* }) => {
        $(#[doc = concat!("Linux's `", stringify!($name), "`, one of [`", stringify!($table), "`].")]
        pub const $name: $ty = $value;)*

        $(#[$doc])*
        pub const $table: &[(&str, $ty)] = &[$((stringify!($name), $name),)*];
    };
}

/// A set of flags that keeps bits it doesn't know, and each flag also as a plain constant for raw arguments.
macro_rules! flags {
    ($(#[$doc:meta])* pub struct $name:ident: $ty:ty { $(const $flag:ident = $value:expr;)* }) => {
        bitflags::bitflags! {
            $(#[$doc])*
            #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
            pub struct $name: $ty {
                $(#[doc = concat!("Linux's `", stringify!($flag), "`.")] const $flag = $value;)*
            }
        }

        $(#[doc = concat!("The bits of [`", stringify!($name), "::", stringify!($flag), "`].")]
        pub const $flag: $ty = $value;)*

        impl $name {
            /// The bits that no flag here names; a system call that must refuse those checks that it is zero.
            pub const fn unknown_bits(self) -> $ty {
                self.bits() & !Self::all().bits()
            }
        }
    };
}

/// A struct that crosses the user boundary: C layout without implicit padding, any bit pattern valid, of the size
/// (bytes) given in brackets.
macro_rules! abi_struct {
    ($($(#[$doc:meta])* pub struct $name:ident [$size:expr] { $($(#[$fdoc:meta])* pub $field:ident: $ty:ty,)* })*) => {$(
        $(#[$doc])*
        #[repr(C)]
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq,
            zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout,
        )]
        #[allow(missing_docs)]
        pub struct $name { $($(#[$fdoc])* pub $field: $ty,)* }

        impl Default for $name {
            /// All bytes zero.
            fn default() -> Self {
                zerocopy::FromZeros::new_zeroed()
            }
        }

        const _: () = assert!(core::mem::size_of::<$name>() == $size);
    )*};
}
