//! From files to a configuration, never stopping at the first mistake.
//!
//! Order of the passes: root file, zone files with inheritance, settings, declarations with their
//! objects, provider instances, bodies with references, then what concerns all of them (cycles,
//! overlapping networks, contradictions). Every pass works on what the one before could make out.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use zonewright_engine::canon::Digest;
use zonewright_engine::config::Config;
use zonewright_engine::expr::Origin;
use zonewright_engine::schema::Registry;

use crate::charts::lock::{self, Placed};
use crate::charts::{ChartSpec, Charts, LOCK_FILE, Lock};
use crate::diag::{self, Code, Diagnostic, Draft, Severity};
use crate::project::Facts;
use crate::secretlike;
use crate::source::{FileError, Files, Sources};
use crate::tree::{self, Loc, Table};

mod body;
mod chart;
mod cycle;
mod database;
mod declare;
mod fields;
mod hygiene;
mod instance;
mod job;
mod lint;
mod media;
mod meta;
mod moved;
mod network;
mod object;
mod posture;
mod realm;
mod root;
mod scope;
mod settings;
mod template;
mod types;
mod value;
pub(crate) mod yaml;

pub use job::job;
pub(crate) use root::BACKENDS;

/// At most this many diagnostics are shown: what comes after mostly follows from them.
pub const MAX_SHOWN: usize = 50;

/// What loading a project gave.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration; `None` when any diagnostic is an error.
    pub config: Option<Config>,
    /// All mistakes, by file and place; at most [`MAX_SHOWN`].
    pub diagnostics: Vec<Diagnostic>,
    /// How many more there are.
    pub hidden: usize,
    /// What the command line needs even when there is no configuration.
    pub facts: Facts,
    /// The declared charts, enabled ones only, with or without a rendering.
    pub charts: Vec<ChartSpec>,
    /// What is locked of them; `None` when there is no lock, or none that can be read.
    pub lock: Option<Lock>,
    /// The texts that were read, by file, secrets blanked out.
    pub sources: BTreeMap<Arc<str>, String>,
}

/// Loads a project: `zonewright.toml`, its zone files and the files that they name.
pub fn load(files: &dyn Files, charts: &dyn Charts, registry: &Registry) -> Loaded {
    loaded(files, charts, registry, true)
}

/// The same without a look for contradictions, which takes as long again: for readings that nobody is told
/// the diagnostics of.
pub fn read(files: &dyn Files, charts: &dyn Charts, registry: &Registry) -> Loaded {
    loaded(files, charts, registry, false)
}

fn loaded(files: &dyn Files, charts: &dyn Charts, registry: &Registry, lints: bool) -> Loaded {
    let ctx = Ctx {
        files,
        charts,
        registry,
        sources: RefCell::default(),
        drafts: RefCell::default(),
        texts: RefCell::default(),
        lock: OnceCell::new(),
        digests: RefCell::default(),
    };
    let project = root::read(&ctx);
    let files = realm::files(&ctx, &project);
    let realms = realm::all(&ctx, &project, &files);
    network::zones(&ctx, &realms);
    let (decls, chart_specs) = declare::all(&ctx, &project, &realms);
    let world = scope::World {
        ctx: &ctx,
        project: &project,
        realms: &realms,
        decls: &decls,
    };
    database::sources(&world);
    media::agree(&world);
    let instances = instance::all(&world);
    let resources = body::all(&world);
    network::resources(&world, &resources);
    cycle::check(&ctx, &instances, &resources);
    if lints {
        settings::check(&world);
        lint::all(&world, &instances, &resources);
        other_roles(&ctx, &project, &files);
    }
    let config = root::config(&ctx, &project, &realms, &decls, instances, resources);
    ctx.finish(config, project.facts, chart_specs)
}

/// Looks for what contradicts itself only once another zone serves: records that do not follow. Mistakes
/// that come up with other roles are those of the day on which the roles are swapped.
fn other_roles(ctx: &Ctx<'_>, project: &root::Project, files: &realm::ZoneFiles<'_>) {
    if ctx.errors() > 0 {
        return;
    }
    let others = project.zones.iter().map(|(zone, _)| zone);
    for zone in others.filter(|z| project.active.as_ref() != Some(z)) {
        let mut swapped = project.clone();
        swapped.active = Some(zone.clone());
        let known = ctx.drafts.take();
        let realms = realm::all(ctx, &swapped, files);
        let (decls, _) = declare::all(ctx, &swapped, &realms);
        let world = scope::World {
            ctx,
            project: &swapped,
            realms: &realms,
            decls: &decls,
        };
        let (instances, resources) = (instance::all(&world), body::all(&world));
        lint::records(&world, &instances, &resources);
        let found = ctx.drafts.replace(known);
        for mut draft in found.into_iter().filter(|d| d.code == Code::RecordFixed) {
            let same = |d: &Draft| (d.at(), &d.message) == (draft.at(), &draft.message);
            if !ctx.drafts.borrow().iter().any(same) {
                draft.message = format!("{}, once `{zone}` serves", draft.message);
                ctx.report(draft);
            }
        }
    }
}

/// What all passes share.
pub(crate) struct Ctx<'a> {
    files: &'a dyn Files,
    charts: &'a dyn Charts,
    registry: &'a Registry,
    sources: RefCell<Sources>,
    drafts: RefCell<Vec<Draft>>,
    /// Files that were read already, so that each has one source however often it is named.
    texts: RefCell<BTreeMap<String, Option<Text>>>,
    lock: OnceCell<LockRead>,
    /// Of vendored files, which several zones and roles share.
    digests: RefCell<BTreeMap<String, Option<Digest>>>,
}

/// What became of reading the lock.
#[derive(Debug)]
pub(crate) enum LockRead {
    /// There is none.
    Absent,
    /// It cannot be read, which is reported.
    Broken,
    /// What it says.
    Whole(Box<Placed>),
}

/// The text of a file.
#[derive(Clone)]
pub(crate) struct Text {
    pub(crate) file: u32,
    pub(crate) text: Rc<str>,
}

impl Ctx<'_> {
    pub(crate) fn report(&self, draft: Draft) {
        self.drafts.borrow_mut().push(draft);
    }

    /// How many errors were found so far.
    pub(crate) fn errors(&self) -> usize {
        let drafts = self.drafts.borrow();
        let errors = drafts
            .iter()
            .filter(|d| d.code.severity() == Severity::Error);
        errors.count()
    }

    pub(crate) fn origin(&self, at: Loc) -> Origin {
        self.sources.borrow().origin(at)
    }

    /// Everything in a table was written in an overlay: `role.standby`.
    pub(crate) fn mark_overlay(&self, table: &Table, overlay: &str) {
        self.sources.borrow_mut().mark(table, &overlay.into());
    }

    /// The place of an origin that came from [`Ctx::origin`].
    pub(crate) fn loc(&self, at: &Origin) -> Loc {
        let file = self.sources.borrow().find(&at.file);
        Loc::new(file, at.start, at.end)
    }

    pub(crate) fn blank(&self, at: Loc) {
        self.sources.borrow_mut().blank(at);
    }

    pub(crate) fn add_source(&self, name: &str, text: &str) -> u32 {
        self.sources.borrow_mut().add(name, text)
    }

    /// Reads a file that `at` names.
    pub(crate) fn text(&self, path: &str, at: Loc) -> Option<Text> {
        if let Some(known) = self.texts.borrow().get(path)
            && known.is_some()
        {
            return known.clone();
        }
        let text = match self.files.read(path) {
            Ok(bytes) => self.decode(path, bytes),
            Err(error) => {
                self.report(unreadable(path, &error).label(at, "named here"));
                None
            }
        };
        self.texts
            .borrow_mut()
            .insert(path.to_owned(), text.clone());
        text
    }

    /// Reads a file that nothing names; a missing one is `None` without a report.
    fn top(&self, path: &str) -> Result<Option<(Text, Table)>, FileError> {
        let bytes = self.files.read(path)?;
        let Some(text) = self.decode(path, bytes) else {
            return Ok(None);
        };
        let (table, drafts) = tree::parse(text.file, &text.text);
        drafts.into_iter().for_each(|d| self.report(d));
        hygiene::check(self, &table);
        Ok(Some((text, table)))
    }

    /// The lock of the charts, read when the first chart asks for it.
    pub(crate) fn lock(&self) -> &LockRead {
        self.lock.get_or_init(|| {
            let bytes = match self.files.read(LOCK_FILE) {
                Ok(bytes) => bytes,
                Err(FileError::NotFound) => return LockRead::Absent,
                Err(error) => {
                    let at = Loc::new(self.add_source(LOCK_FILE, ""), 0, 0);
                    self.report(unreadable(LOCK_FILE, &error).label(at, "the lock of the charts"));
                    return LockRead::Broken;
                }
            };
            let Some(text) = self.decode(LOCK_FILE, bytes) else {
                return LockRead::Broken;
            };
            match lock::parse(text.file, &text.text) {
                Ok(placed) => LockRead::Whole(Box::new(placed)),
                Err(draft) => {
                    self.report(draft);
                    LockRead::Broken
                }
            }
        })
    }

    /// The digest of a vendored file, or of a directory of files; `None` when it cannot be read.
    pub(crate) fn digest(
        &self,
        path: &str,
        of: impl FnOnce(&dyn Files) -> Option<Digest>,
    ) -> Option<Digest> {
        if let Some(known) = self.digests.borrow().get(path) {
            return *known;
        }
        let digest = of(self.files);
        self.digests.borrow_mut().insert(path.to_owned(), digest);
        digest
    }

    fn decode(&self, path: &str, bytes: Vec<u8>) -> Option<Text> {
        match String::from_utf8(bytes) {
            Ok(text) => {
                let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
                let file = self.add_source(path, text);
                // Also where nothing can be parsed, a credential is not shown.
                for (start, end) in secretlike::ranges(text) {
                    self.blank(Loc::new(file, start, end));
                }
                Some(Text {
                    file,
                    text: text.into(),
                })
            }
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let lossy = String::from_utf8_lossy(&error.as_bytes()[..at]).into_owned();
                let file = self.add_source(path, &lossy);
                let draft = Draft::new(Code::NotUtf8, format!("{path} is not UTF-8: byte {at}"))
                    .label(Loc::new(file, at, at), "the first byte that is not")
                    .help("save the file as UTF-8");
                self.report(draft);
                None
            }
        }
    }

    fn finish(self, config: Option<Config>, facts: Facts, charts: Vec<ChartSpec>) -> Loaded {
        let lock = match self.lock.into_inner() {
            Some(LockRead::Whole(placed)) => Some(placed.lock),
            _ => None,
        };
        let sources = self.sources.into_inner();
        let drafts = distinct(self.drafts.into_inner(), &sources);
        let failed = drafts.iter().any(|d| d.code.severity() == Severity::Error);
        let hidden = drafts.len().saturating_sub(MAX_SHOWN);
        let shown = drafts.into_iter().take(MAX_SHOWN).collect();
        let texts = sources.texts();
        Loaded {
            config: config.filter(|_| !failed),
            diagnostics: diag::finish(shown, sources),
            hidden,
            facts,
            charts,
            lock,
            sources: texts,
        }
    }
}

/// A bad network is reported where it is written, not again wherever it is referred to.
fn drop_repeats(drafts: &mut Vec<Draft>, sources: &Sources) {
    let refers = |d: &Draft| {
        d.labels
            .first()
            .is_some_and(|(at, _)| sources.slice(*at).contains("${"))
    };
    let written: BTreeSet<String> = drafts
        .iter()
        .filter(|d| d.code == Code::BadCidr && !refers(d))
        .map(|d| d.message.clone())
        .collect();
    drafts.retain(|d| d.code != Code::BadCidr || !refers(d) || !written.contains(&d.message));
}

/// By file name and place. A mistake that zones inherit shows once, at best where it is not
/// inherited.
fn distinct(mut drafts: Vec<Draft>, sources: &Sources) -> Vec<Draft> {
    let key = |d: &Draft| {
        let at = d.at();
        let name = at.map(|at| sources.get(at.file).name.clone());
        (
            name,
            at.map(|at| (at.start, at.end)),
            d.code,
            // Several rules may find the same secret.
            (d.code != Code::SecretLiteral).then(|| d.message.clone()),
        )
    };
    drop_repeats(&mut drafts, sources);
    drafts.sort_by_cached_key(|d| (key(d), d.labels.len()));
    let mut seen = BTreeSet::new();
    drafts.retain(|d| seen.insert(key(d)));
    // Errors first matter most when the list is cut.
    if drafts.len() > MAX_SHOWN {
        drafts.sort_by_key(|d| d.code.severity());
    }
    drafts
}

pub(crate) fn unreadable(path: &str, error: &FileError) -> Draft {
    let (code, help) = match error {
        FileError::NotFound => (
            Code::MissingFile,
            "paths are relative to the directory of zonewright.toml",
        ),
        FileError::OutsideRoot => (
            Code::OutsideRoot,
            "keep the file in the project and name it relative to zonewright.toml",
        ),
        FileError::TooLarge { .. } => (Code::TooLarge, "split it, or declare a chart"),
        FileError::NotAFile | FileError::Io(_) => (Code::Unreadable, "check what is there"),
    };
    Draft::new(code, format!("cannot read `{path}`: {error}")).help(help)
}
