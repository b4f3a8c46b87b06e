//! Charts: where they come from, what is in them, and what helm makes of them. Only `zonewright charts` comes
//! here: plans read what was vendored, without helm and without a network.

pub(crate) mod archive;
pub(crate) mod fetch;
pub(crate) mod helm;
mod oci;
pub(crate) mod random;
pub(crate) mod rendering;
pub(crate) mod vendored;
pub(crate) mod wanted;
