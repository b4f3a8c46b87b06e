//! What `${…}` means in a text: settings become literals, everything else a reference with its
//! zone resolved and its target checked.

use std::collections::BTreeMap;

use zonewright_engine::address::{
    Address, AttrPath, Kind, Name, RefText, Segment, ZoneName, ZoneSelector,
};
use zonewright_engine::expr::{Expr, Node, Part, Reference};
use zonewright_engine::schema::Type;
use zonewright_engine::value::{Sorted, Value};

use super::Ctx;
use super::declare::Decl;
use super::realm::{self, Realm};
use super::root::Project;
use super::template::{self, Piece};
use super::types;
use crate::diag::{Code, Draft};
use crate::suggest;
use crate::tree::Loc;

/// What all bodies are lowered against.
#[derive(Clone, Copy)]
pub(crate) struct World<'w, 'a> {
    pub(super) ctx: &'w Ctx<'a>,
    pub(super) project: &'w Project,
    pub(super) realms: &'w BTreeMap<ZoneName, Realm>,
    pub(super) decls: &'w BTreeMap<Address, Decl<'a>>,
}

/// Where a text stands: the place to name, and the range in which to look for a reference.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) at: Loc,
    pub(super) within: Loc,
}

impl From<Loc> for Place {
    fn from(at: Loc) -> Place {
        Place { at, within: at }
    }
}

/// A text with its references worked out.
pub(super) struct Lowered {
    pub(super) expr: Expr,
    /// The type of what exactly one reference names, when it is known.
    pub(super) ty: Option<Type>,
}

/// How texts of one realm are read.
#[derive(Clone)]
pub(super) struct Scope<'w, 'a> {
    pub(super) ctx: &'w Ctx<'a>,
    pub(super) project: &'w Project,
    pub(super) realms: &'w BTreeMap<ZoneName, Realm>,
    pub(super) realm: &'w Realm,
    /// `None` while declarations are still collected: targets are not checked then.
    pub(super) decls: Option<&'w BTreeMap<Address, Decl<'a>>>,
    /// References of disabled resources are not reported.
    pub(super) quiet: bool,
    /// `${with.…}` of a template file.
    pub(super) with: Sorted<Expr>,
}

impl<'w, 'a> World<'w, 'a> {
    pub(super) fn scope(&self, realm: &'w Realm) -> Scope<'w, 'a> {
        Scope {
            ctx: self.ctx,
            project: self.project,
            realms: self.realms,
            realm,
            decls: Some(self.decls),
            quiet: false,
            with: Sorted::new(),
        }
    }
}

impl<'a> Scope<'_, 'a> {
    /// Reports a mistake, with the line that inherited it.
    pub(super) fn report(&self, draft: Draft) {
        self.ctx.report(self.realm.inherited(draft));
    }

    /// Reports a mistake in a reference, unless the resource is disabled.
    fn refuse<T>(&self, draft: Draft) -> Option<T> {
        if !self.quiet {
            self.report(draft);
        }
        None
    }

    /// An expression that was written at a place.
    pub(super) fn placed(&self, node: Node, at: Loc) -> Expr {
        Expr {
            node,
            at: Some(self.ctx.origin(at)),
        }
    }

    /// Reads a text.
    pub(super) fn text(&self, text: &str, place: Place) -> Option<Lowered> {
        if template::is_plain(text) {
            let node = Node::Literal(Value::text(text));
            return Some(Lowered {
                expr: self.placed(node, place.at),
                ty: None,
            });
        }
        let Ok(pieces) = template::scan(text) else {
            let draft = Draft::new(Code::BadReference, "this `${` is never closed")
                .label(place.at, "in this text")
                .help("close it with `}`, or write `$${` for the characters themselves");
            return self.refuse(draft);
        };
        if let [Piece::Reference(inner)] = pieces[..] {
            let at = self.find(inner, place);
            let mut lowered = self.reference(inner, at)?;
            lowered.expr.at = Some(self.ctx.origin(at));
            return Some(lowered);
        }
        // All references are looked at, so that each mistake shows.
        let parts: Vec<Option<Vec<Part>>> =
            pieces.into_iter().map(|p| self.part(p, place)).collect();
        let parts: Vec<Part> = parts.into_iter().collect::<Option<Vec<_>>>()?.concat();
        Some(Lowered {
            expr: self.placed(join(parts), place.at),
            ty: None,
        })
    }

    fn part(&self, piece: Piece<'_>, place: Place) -> Option<Vec<Part>> {
        let inner = match piece {
            Piece::Text(text) => return Some(vec![Part::Text(text)]),
            Piece::Reference(inner) => inner,
        };
        let at = self.find(inner, place);
        let lowered = self.reference(inner, at)?;
        let composite = matches!(
            lowered.ty,
            Some(Type::List(_) | Type::Map(_) | Type::Object(_))
        );
        match lowered.expr.node {
            Node::List(_) | Node::Map(_) | Node::Fingerprint(_) => {
                self.refuse(realm::not_text(inner, at))
            }
            Node::Ref(_) if composite => self.refuse(realm::not_text(inner, at)),
            Node::Ref(reference) => Some(vec![Part::Ref(reference)]),
            Node::Template(parts) => Some(parts),
            Node::Literal(Value::String(text)) => Some(vec![Part::Text(text.into())]),
            Node::Literal(Value::Bool(b)) => Some(vec![Part::Text(b.to_string())]),
            Node::Literal(Value::Number(n)) => Some(vec![Part::Text(n.to_string())]),
            Node::Literal(_) => Some(Vec::new()),
        }
    }

    /// The place of a reference inside a text, when it can be found there; texts with escapes have
    /// other bytes than their source.
    fn find(&self, inner: &str, place: Place) -> Loc {
        let sources = self.ctx.sources.borrow();
        let wanted = format!("${{{inner}}}");
        let found = sources.slice(place.within).find(&wanted);
        found.map_or(place.at, |i| {
            let start = place.within.start as usize + i;
            Loc::new(place.within.file, start, start + wanted.len())
        })
    }

    fn reference(&self, inner: &str, at: Loc) -> Option<Lowered> {
        if let Some(path) = inner.strip_prefix("with.") {
            return self.with(path, inner, at);
        }
        let parsed = match RefText::parse(inner) {
            Ok(parsed) => parsed,
            Err(error) => {
                let draft = Draft::new(Code::BadReference, format!("`{inner}` is not a reference"))
                    .label(at, error.message)
                    .help("references look like `${provider.kind.name.attribute}`, `${zone.setting}` or `${secret.name}`");
                return self.refuse(draft);
            }
        };
        match parsed {
            RefText::Setting(path) => self.setting(&path, at),
            RefText::Secret(name) => self.secret(name, at),
            RefText::Resource {
                zone,
                kind,
                name,
                key,
                path,
            } => {
                let zone = self.zone(zone.as_ref(), at)?;
                let target = Target {
                    address: Address::new(zone, kind, name, key),
                    path,
                };
                self.resource(target, at)
            }
        }
    }

    fn with(&self, path: &str, inner: &str, at: Loc) -> Option<Lowered> {
        let parsed: Option<AttrPath> = path.parse().ok();
        let (first, rest) = parsed.as_ref()?.segments().split_first()?;
        let Segment::Key(first) = first else {
            return None;
        };
        let start = self.with.get(first);
        let found = rest
            .iter()
            .fold(start, |expr, segment| match (&expr?.node, segment) {
                (Node::Map(map), Segment::Key(key)) => map.get(key),
                (Node::List(items), Segment::Index(i)) => items.get(*i),
                _ => None,
            });
        let Some(found) = found else {
            let draft = Draft::new(Code::UnknownSetting, format!("`{inner}` is not given"))
                .label(at, "not in the `with` table of the declaration")
                .maybe_help(suggest::help(
                    first,
                    self.with.keys().map(|key| key.as_str()),
                ));
            return self.refuse(draft);
        };
        Some(Lowered {
            expr: found.clone(),
            ty: None,
        })
    }

    fn setting(&self, path: &AttrPath, at: Loc) -> Option<Lowered> {
        let realm = self.realm;
        match realm::find(&realm.settings, path) {
            Some(tree) if realm.is_open(tree) => None,
            Some(tree) => Some(Lowered {
                expr: Expr::literal(realm::value(tree)),
                ty: None,
            }),
            None if realm.role.is_none() => self.refuse(relative(at, "setting")),
            None if realm.is_follow_up(path) => None,
            None => self.refuse(realm::unknown(&realm.settings, path, at, &realm.name)),
        }
    }

    /// Where the value of a text is written: at the setting, when the text is nothing but one.
    pub(super) fn written(&self, text: &str) -> Option<Loc> {
        let inner = text.strip_prefix("${zone.")?.strip_suffix('}')?;
        let path: AttrPath = inner.parse().ok()?;
        Some(realm::find(&self.realm.settings, &path)?.at)
    }

    fn secret(&self, name: String, at: Loc) -> Option<Lowered> {
        if !self.project.secrets.contains_key(&name) {
            let names = self.project.secrets.keys().map(String::as_str);
            let draft = Draft::new(
                Code::UnknownSecret,
                format!("the secret `{name}` is not declared"),
            )
            .label(at, "not in `[secret]`")
            .help(format!(
                "declare `[secret] {name} = {{ env = \"NAME\" }}` in zonewright.toml"
            ))
            .maybe_help(
                suggest::nearest(&name, names).map(|n| format!("did you mean `secret.{n}`?")),
            );
            return self.refuse(draft);
        }
        Some(Lowered {
            expr: Expr::from(Node::Ref(Reference::Secret(name))),
            ty: Some(Type::String),
        })
    }

    /// The zone that a reference means.
    pub(super) fn zone(&self, selector: Option<&ZoneSelector>, at: Loc) -> Option<ZoneName> {
        match selector {
            None if self.realm.role.is_none() => self.refuse(relative(at, "resource")),
            None => Some(self.realm.name.clone()),
            Some(ZoneSelector::Active) => self.project.active.clone(),
            Some(ZoneSelector::Standby) => self.standby(at),
            Some(ZoneSelector::Named(zone)) if self.realms.contains_key(zone) => Some(zone.clone()),
            Some(ZoneSelector::Named(zone)) => {
                if self.project.zones.iter().any(|(z, _)| z == zone) {
                    return None; // Its file is missing, which is reported there.
                }
                let names = self.realms.keys().map(ZoneName::as_str);
                let draft = Draft::new(Code::UnknownZone, format!("there is no zone `{zone}`"))
                    .label(at, "pinned here")
                    .maybe_help(suggest::help(zone.as_str(), names));
                self.refuse(draft)
            }
        }
    }

    fn standby(&self, at: Loc) -> Option<ZoneName> {
        let active = self.project.active.as_ref()?;
        let mut others = self
            .project
            .zones
            .iter()
            .map(|(z, _)| z)
            .filter(|z| *z != active);
        if let (Some(one), None) = (others.next(), others.next()) {
            return Some(one.clone());
        }
        let count = self.project.zones.len() - 1;
        let message = format!("{count} zones stand by, so `standby/` does not say which");
        self.refuse(
            Draft::new(Code::AmbiguousRole, message)
                .label(at, "which one?")
                .help("pin a zone by its name"),
        )
    }

    fn resource(&self, mut target: Target, at: Loc) -> Option<Lowered> {
        let mut ty = None;
        if self.decls.is_some() {
            let decl = self.target(&target.address, at)?;
            if decl.schema.is_object() {
                target.address = self.object(decl, target.address, at)?;
            } else {
                ty = self.part_type(decl, &target.path, at)?;
            }
        }
        Some(Lowered {
            expr: Expr::from(Node::Ref(Reference::Resource {
                address: target.address,
                path: target.path,
            })),
            ty,
        })
    }

    /// The enabled declaration that an address names, its object key checked.
    pub(super) fn target(&self, address: &Address, at: Loc) -> Option<&Decl<'a>> {
        let Some(decl) = self.decls?.get(&address.declaration()) else {
            return self.refuse(self.dangling(address, at));
        };
        if !decl.enabled {
            let draft = Draft::new(Code::Disabled, format!("`{}` is disabled", decl.address))
                .label(at, "refers to it")
                .label(decl.enabled_at.unwrap_or(decl.key), "disabled here")
                .help("disable the referrer too, pin another zone, or take the reference out with `unset`");
            return self.refuse(draft);
        }
        let Some(key) = &address.key else {
            return Some(decl);
        };
        if decl.keys.contains(key) {
            return Some(decl);
        }
        if decl.broken {
            return None;
        }
        let keys = decl.keys.iter().map(String::as_str);
        let draft = Draft::new(
            Code::Dangling,
            format!("`{}` brings no object `{key}`", decl.address),
        )
        .label(at, "no such object")
        .maybe_help(suggest::help(key, keys));
        self.refuse(draft)
    }

    /// The one object that is meant.
    fn object(&self, decl: &Decl<'_>, address: Address, at: Loc) -> Option<Address> {
        if address.key.is_some() {
            return Some(address);
        }
        if let [one] = &decl.objects[..] {
            return Some(decl.object_address(one));
        }
        if decl.broken {
            return None;
        }
        let first = decl.keys.first().map_or("", String::as_str);
        let message = format!("`{}` brings {} objects", decl.address, decl.objects.len());
        let say = format!(
            "say which: `${{{}.{}[\"{first}\"]…}}`",
            decl.address.kind, decl.address.name
        );
        self.refuse(
            Draft::new(Code::NeedsKey, message)
                .label(at, "which one?")
                .help(say),
        )
    }

    #[expect(
        clippy::option_option,
        reason = "the inner one: a part whose type is not known"
    )]
    fn part_type(&self, decl: &Decl<'_>, path: &AttrPath, at: Loc) -> Option<Option<Type>> {
        let Some((first, rest)) = path.segments().split_first() else {
            return Some(Some(Type::String));
        };
        let schema = decl.schema;
        let key = match first {
            Segment::Key(key) => key.as_str(),
            Segment::Index(_) => "",
        };
        let output = schema.output(key).map(|o| &o.ty);
        let found = output.or(schema.attr(key).map(|a| &a.ty));
        let names = match found.map(|ty| types::below(ty, rest)) {
            _ if key == "id" && rest.is_empty() => return Some(Some(Type::String)),
            Some(Ok(ty)) => return Some(ty.cloned()),
            Some(Err(names)) => names,
            None => {
                let outputs = schema.outputs.iter().map(|o| o.name);
                outputs.chain(schema.attrs.iter().map(|a| a.name)).collect()
            }
        };
        let message = format!("`{}` has no `{path}`", schema.kind);
        let word = if found.is_none() {
            key.to_owned()
        } else {
            path.to_string()
        };
        self.refuse(
            Draft::new(Code::NoSuchOutput, message)
                .label(at, "neither an attribute nor an output")
                .maybe_help(suggest::help(&word, names)),
        )
    }

    fn dangling(&self, address: &Address, at: Loc) -> Draft {
        let declared: Vec<&Decl<'_>> = self.decls.into_iter().flat_map(|d| d.values()).collect();
        let word = format!("{}.{}", address.kind, address.name);
        let here: Vec<String> = declared
            .iter()
            .filter(|d| d.address.zone == address.zone)
            .map(|d| format!("{}.{}", d.address.kind, d.address.name))
            .collect();
        let same = |kind: &Kind, name: &Name| *kind == address.kind && *name == address.name;
        let other = declared
            .iter()
            .find(|d| same(&d.address.kind, &d.address.name))
            .map(|d| format!("it exists in another zone: `${{{}}}`", d.address));
        let near = suggest::nearest(&word, here.iter().map(String::as_str));
        let declare = format!("declare it: `[{word}]`");
        Draft::new(
            Code::Dangling,
            format!("there is no `{word}` in `{}`", address.zone),
        )
        .label(at, "not declared")
        .help(declare)
        .maybe_help(other)
        .maybe_help(near.map(|n| format!("did you mean `{n}`?")))
    }

    /// What the text of an attribute that must be known while loading comes to.
    pub(super) fn known(&self, text: &str, place: impl Into<Place>) -> Option<Value> {
        match self.text(text, place.into())?.expr.node {
            Node::Literal(value) => Some(value),
            _ => None,
        }
    }
}

struct Target {
    address: Address,
    path: AttrPath,
}

fn relative(at: Loc, what: &str) -> Draft {
    Draft::new(
        Code::RelativeInEdge,
        format!("a shared resource must say whose {what} it means"),
    )
    .label(at, "relative to no zone")
    .help("pin it: `${active/…}`, `${standby/…}`, `${edge/…}` or a zone's name")
}

/// Neighbouring texts as one; a template of nothing but text is a literal.
fn join(parts: Vec<Part>) -> Node {
    let mut out: Vec<Part> = Vec::new();
    for part in parts {
        match (out.last_mut(), part) {
            (Some(Part::Text(last)), Part::Text(text)) => last.push_str(&text),
            (_, part) => out.push(part),
        }
    }
    match &out[..] {
        [] => Node::Literal(Value::text("")),
        [Part::Text(text)] => Node::Literal(Value::text(text.clone())),
        _ => Node::Template(out),
    }
}
