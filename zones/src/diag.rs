//! Diagnostics: what is wrong in which places, what was expected, and the way out.
//!
//! Invariants: every mistake has its own stable code with a page of explanation; a diagnostic owns
//! the texts that it points into, with secrets blanked out.

use std::fmt;
use std::sync::Arc;

use miette::{LabeledSpan, NamedSource, SourceCode};

use crate::secretlike;
use crate::source::{Source, Sources};
use crate::tree::Loc;

mod code;
mod contradiction;
mod record;

pub use code::{Code, codes};
pub use record::{Place, Position, Record};

/// The page of a code, or of a contradiction (`X2`); any case.
pub fn explain(name: &str) -> Option<&'static str> {
    code::explain(name).or_else(|| contradiction::explain(name))
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// There is no configuration.
    Error,
    /// Most likely not what was meant.
    Warning,
}

/// A diagnostic that is being made, before the texts are final.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Draft {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) labels: Vec<(Loc, String)>,
    pub(crate) help: Option<String>,
}

impl Draft {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Draft {
        Draft {
            code,
            message: message.into(),
            labels: Vec::new(),
            help: None,
        }
    }

    pub(crate) fn label(mut self, at: Loc, text: impl Into<String>) -> Draft {
        self.labels.push((at, text.into()));
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Draft {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn maybe_help(mut self, help: Option<String>) -> Draft {
        self.help = help.or(self.help);
        self
    }

    /// The place that it is about.
    pub(crate) fn at(&self) -> Option<Loc> {
        self.labels.first().map(|(at, _)| *at)
    }
}

/// A place in a file and what is to say about it.
#[derive(Debug, Clone)]
pub struct Label {
    source: Arc<Source>,
    start: usize,
    end: usize,
    /// What is to say about the place.
    pub text: String,
}

impl Label {
    /// The file, as the user knows it.
    pub fn file(&self) -> &str {
        &self.source.name
    }

    /// The bytes.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.start..self.end
    }
}

/// One mistake. The first label is the place that it is about.
#[derive(Debug, Clone)]
pub struct Diagnostic {
    /// Which mistake.
    pub code: Code,
    /// What is wrong, as a fragment.
    pub message: String,
    /// Where; the places may be in several files.
    pub labels: Vec<Label>,
    /// The way out.
    pub help: Option<String>,
    named: Option<NamedSource<String>>,
    /// The labels in other files than the first one's.
    elsewhere: Vec<Elsewhere>,
}

/// Labels of a diagnostic in another file.
#[derive(Debug, Clone)]
struct Elsewhere {
    named: NamedSource<String>,
    labels: Vec<Label>,
}

impl Diagnostic {
    /// Error or warning.
    pub fn severity(&self) -> Severity {
        self.code.severity()
    }

    /// The form for `--json`.
    pub fn to_json(&self) -> Record {
        record::of(self)
    }

    pub(crate) fn standalone(draft: Draft, text: &str, name: &str) -> Diagnostic {
        let mut sources = Sources::default();
        sources.add(name, text);
        let mut made = finish(vec![draft], sources);
        made.remove(0)
    }
}

fn named(source: &Source) -> NamedSource<String> {
    NamedSource::new(&source.name, source.text.clone())
}

/// Gives drafts their texts.
pub(crate) fn finish(drafts: Vec<Draft>, sources: Sources) -> Vec<Diagnostic> {
    let files: Vec<Arc<Source>> = sources.into_files().into_iter().map(Arc::new).collect();
    drafts.into_iter().map(|d| diagnostic(d, &files)).collect()
}

fn diagnostic(mut draft: Draft, files: &[Arc<Source>]) -> Diagnostic {
    // Messages quote what was written; it may be a credential in the wrong place.
    secretlike::scrub(&mut draft.message);
    draft.help.iter_mut().for_each(secretlike::scrub);
    draft
        .labels
        .iter_mut()
        .for_each(|(_, text)| secretlike::scrub(text));
    let labels: Vec<Label> = draft
        .labels
        .into_iter()
        .map(|(at, text)| Label {
            source: files[at.file as usize].clone(),
            start: at.start as usize,
            end: at.end as usize,
            text,
        })
        .collect();
    let first = labels.first().map(|l| l.source.clone());
    let mut elsewhere: Vec<Elsewhere> = Vec::new();
    for label in &labels {
        if first.as_ref().is_some_and(|f| f.name == label.source.name) {
            continue;
        }
        match elsewhere
            .iter_mut()
            .find(|e| e.named.name() == &*label.source.name)
        {
            Some(known) => known.labels.push(label.clone()),
            None => elsewhere.push(Elsewhere {
                named: named(&label.source),
                labels: vec![label.clone()],
            }),
        }
    }
    Diagnostic {
        code: draft.code,
        message: draft.message,
        named: first.as_deref().map(named),
        labels,
        help: draft.help,
        elsewhere,
    }
}

fn spans(labels: &[Label], file: &str) -> Vec<LabeledSpan> {
    let here = labels.iter().filter(|l| l.file() == file);
    here.map(|l| LabeledSpan::new(Some(l.text.clone()), l.start, l.end - l.start))
        .collect()
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Diagnostic {}

impl miette::Diagnostic for Diagnostic {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.code.id()))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.code.severity() {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help
            .as_ref()
            .map(|h| Box::new(h) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.named.as_ref().map(|n| n as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let file = self.labels.first()?.file();
        Some(Box::new(spans(&self.labels, file).into_iter()))
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn miette::Diagnostic> + 'a>> {
        if self.elsewhere.is_empty() {
            return None;
        }
        Some(Box::new(
            self.elsewhere.iter().map(|e| e as &dyn miette::Diagnostic),
        ))
    }
}

impl fmt::Display for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "see also {}", self.named.name())
    }
}

impl std::error::Error for Elsewhere {}

impl miette::Diagnostic for Elsewhere {
    fn severity(&self) -> Option<miette::Severity> {
        Some(miette::Severity::Advice)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.named)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(spans(&self.labels, self.named.name()).into_iter()))
    }
}
