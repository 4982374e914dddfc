//! Settings that are one of a few words.
//!
//! Invariant: a word and the value that it stands for are declared together.

/// A set of words, each with the value that it stands for.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $value:ident $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$of])* $value,)* }

        impl $name {
            /// Every word.
            pub const WORDS: &'static [&'static str] = &[$($word,)*];
            /// Every word with its value.
            pub const ALL: &'static [(&'static str, $name)] = &[$(($word, $name::$value),)*];

            /// Its word.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$value => $word,)* }
            }

            /// The value of a word.
            pub fn parse(word: &str) -> Option<$name> {
                Self::ALL.iter().find(|(known, _)| *known == word).map(|(_, value)| *value)
            }
        }
    };
}

pub(super) use words;
