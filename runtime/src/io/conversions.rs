//! Conversions from and to std's types and bare descriptors, for types with `from_std` and `into_std`.

/// The conversions that std's type has, but by `TryFrom` where the system may refuse: it is asked for another mode, or for a
/// duplicate. Only [`IntoRawFd`](std::os::fd::IntoRawFd) has no way to say so.
macro_rules! conversions {
    ($($type:ty, $std:ty;)+) => {
        $(
            impl TryFrom<$std> for $type {
                type Error = std::io::Error;

                /// As [`from_std`](Self::from_std).
                fn try_from(descriptor: $std) -> std::io::Result<Self> {
                    Self::from_std(descriptor)
                }
            }

            impl TryFrom<std::os::fd::OwnedFd> for $type {
                type Error = std::io::Error;

                /// As [`from_std`](Self::from_std).
                fn try_from(descriptor: std::os::fd::OwnedFd) -> std::io::Result<Self> {
                    Self::from_std(descriptor.into())
                }
            }

            $crate::io::conversions_to_std!($type, $std);
        )+
    };
}

/// Those of [`conversions`] that lead out.
macro_rules! conversions_to_std {
    ($type:ty, $std:ty) => {
        impl TryFrom<$type> for $std {
            type Error = std::io::Error;

            #[doc = concat!("As [`into_std`](", stringify!($type), "::into_std).")]
            fn try_from(ours: $type) -> std::io::Result<Self> {
                ours.into_std()
            }
        }

        impl TryFrom<$type> for std::os::fd::OwnedFd {
            type Error = std::io::Error;

            #[doc = concat!("As [`into_std`](", stringify!($type), "::into_std).")]
            fn try_from(ours: $type) -> std::io::Result<Self> {
                ours.into_std().map(Self::from)
            }
        }

        impl std::os::fd::IntoRawFd for $type {
            /// As [`into_std`](Self::into_std): the descriptor is blocking, and a duplicate if others share it.
            ///
            /// # Panics
            ///
            /// If the descriptor is shared and the system has none for a duplicate; [`OwnedFd`](std::os::fd::OwnedFd)'s `try_from`
            /// says so by an error.
            fn into_raw_fd(self) -> std::os::fd::RawFd {
                let descriptor = self.into_std();
                descriptor
                    .expect("the system has a descriptor for a duplicate of a shared one")
                    .into_raw_fd()
            }
        }
    };
}

pub(crate) use {conversions, conversions_to_std};
