//! Maps with a quick hash, for what the engine looks up for every span. Like the standard one it has random keys, for clients choose
//! names and ids.

pub(crate) type HashMap<K, V> = std::collections::HashMap<K, V, ahash::RandomState>;
pub(crate) type HashSet<T> = std::collections::HashSet<T, ahash::RandomState>;
