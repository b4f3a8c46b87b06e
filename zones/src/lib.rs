//! The zone language: TOML in, a [`Config`](zonewright_engine::config::Config) or diagnostics out.
//!
//! [`load`] never stops at the first mistake. It reads through the ports [`Files`] and [`Charts`]
//! only, and knows kinds from the engine's schemas only.

mod charts;
mod diag;
mod edit;
mod format;
mod jsonschema;
mod load;
mod project;
mod reference;
mod secretlike;
mod source;
pub mod suggest;
mod tree;

pub use charts::{
    ChartSpec, Charts, DirError, Document, Hooks, LOCK_FILE, Lock, LockedChart, LockedRendering,
    Pin, Rendered, Rendering, Source, Subchart, Unfit, VendoredCharts, contents, directory, images,
    objects, pin, rendered, rendering_path, same, without,
};
pub use diag::{Code, Diagnostic, Label, Place, Position, Record, Severity, codes, explain};
pub use edit::{Written, add_resource, replace_value, set_active, set_attribute, set_posture};
pub use format::fmt;
pub use jsonschema::json_schema;
pub use load::{Loaded, MAX_SHOWN, job, load, read};
pub use project::{Backend, Credential, Encryption, Facts, Objectives, StateSettings};
pub use reference::reference_markdown;
pub use source::{DiskFiles, FileError, Files, MAX_FILE, MemoryFiles};
