//! The vendors: schemas, and sessions that read and write.

pub mod kubernetes;
