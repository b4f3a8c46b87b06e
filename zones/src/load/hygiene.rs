//! What no text may hold wherever it stands: control characters and credentials.

use super::Ctx;
use crate::diag::{Code, Draft};
use crate::secretlike;
use crate::tree::{Item, Loc, Table, Tree};

pub(super) fn check(ctx: &Ctx<'_>, table: &Table) {
    for (key, entry) in table {
        control(ctx, key, entry.key);
        walk(ctx, &entry.value, key == "cloudflare");
    }
}

fn walk(ctx: &Ctx<'_>, tree: &Tree, cloudflare: bool) {
    match &tree.node {
        Item::String(text) => string(ctx, text, tree.at, cloudflare),
        Item::List(items) => items.iter().for_each(|t| walk(ctx, t, cloudflare)),
        Item::Table(table) => {
            for (key, entry) in table {
                control(ctx, key, entry.key);
                walk(ctx, &entry.value, cloudflare || key == "cloudflare");
            }
        }
        Item::Bool(_) | Item::Number(_) => {}
    }
}

fn control(ctx: &Ctx<'_>, text: &str, at: Loc) {
    if let Some(c) = bad_char(text) {
        let message = format!("this text holds the control character U+{:04X}", c as u32);
        let draft = Draft::new(Code::ControlCharacter, message)
            .label(at, "in here")
            .help("remove it; only tabs and line ends are allowed");
        ctx.report(draft);
    }
}

fn string(ctx: &Ctx<'_>, text: &str, at: Loc, cloudflare: bool) {
    control(ctx, text, at);
    let found = secretlike::what(text);
    let token = cloudflare && secretlike::cloudflare_token(text);
    if let Some(what) = found.or(token.then_some("a Cloudflare token")) {
        literal(ctx, what, at);
    }
}

/// The first control character that is no white space.
pub(super) fn bad_char(text: &str) -> Option<char> {
    text.chars()
        .find(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
}

/// Reports a credential without showing it.
pub(super) fn literal(ctx: &Ctx<'_>, what: &str, at: Loc) {
    ctx.blank(at);
    let draft = Draft::new(Code::SecretLiteral, format!("{what} is written here"))
        .label(at, "not shown")
        .help("declare `[secret] name = { env = \"NAME\" }`, write `${secret.name}` here, and replace the exposed value");
    ctx.report(draft);
}
