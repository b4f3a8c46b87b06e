//! The type facts that merging, ownership and unknown-field checks need.
//!
//! Built-in types come from the trimmed tables, custom ones from the `openAPIV3Schema` of their
//! definition. Types live in an arena because some of them contain themselves.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::{Map, Value};

/// A type of one arena.
pub(crate) type TypeId = usize;

/// The type that takes anything: its maps are granular and its lists atomic.
pub(crate) const ANY: TypeId = 0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scalar {
    Text,
    Number,
    Bool,
    Any,
}

#[derive(Debug, Clone)]
pub(crate) enum Listing {
    Atomic,
    Set,
    /// Items are told apart by these fields; the value is what an absent field counts as.
    Keyed(Vec<(String, Option<Value>)>),
}

#[derive(Debug, Clone)]
pub(crate) enum Type {
    Any,
    Scalar(Scalar),
    List {
        of: TypeId,
        how: Listing,
    },
    Map {
        fields: BTreeMap<String, TypeId>,
        rest: Option<TypeId>,
        atomic: bool,
    },
}

/// How a place of an object behaves, once its value is known.
#[derive(Debug)]
pub(crate) enum Shape<'a> {
    Leaf,
    Items(&'a Listing, TypeId),
    Fields(&'a BTreeMap<String, TypeId>, Option<TypeId>),
}

/// An arena of types.
#[derive(Debug, Clone)]
pub(crate) struct Schema {
    types: Vec<Type>,
}

static NO_FIELDS: BTreeMap<String, TypeId> = BTreeMap::new();

impl Schema {
    pub(crate) fn new() -> Schema {
        Schema {
            types: vec![Type::Any],
        }
    }

    pub(crate) fn get(&self, id: TypeId) -> &Type {
        &self.types[id]
    }

    fn add(&mut self, ty: Type) -> TypeId {
        self.types.push(ty);
        self.types.len() - 1
    }

    /// The shape of a place whose value is `value`.
    pub(crate) fn shape(&self, id: TypeId, value: &Value) -> Shape<'_> {
        match (self.get(id), value) {
            (Type::Any, Value::Object(_)) => Shape::Fields(&NO_FIELDS, Some(ANY)),
            (
                Type::List {
                    how: Listing::Atomic,
                    ..
                },
                _,
            )
            | (Type::Map { atomic: true, .. }, _) => Shape::Leaf,
            (Type::List { of, how }, Value::Array(_) | Value::Null) => Shape::Items(how, *of),
            (Type::Map { fields, rest, .. }, Value::Object(_) | Value::Null) => {
                Shape::Fields(fields, *rest)
            }
            _ => Shape::Leaf,
        }
    }

    /// The schema of a custom kind and its root type.
    pub(crate) fn of_custom(open_api: &Value) -> (Schema, TypeId) {
        let mut schema = Schema::new();
        let root = schema.custom(open_api, true);
        (schema, root)
    }

    fn custom(&mut self, node: &Value, object: bool) -> TypeId {
        let object = object || node["x-kubernetes-embedded-resource"] == true;
        let open = node["x-kubernetes-preserve-unknown-fields"] == true;
        if node["x-kubernetes-int-or-string"] == true {
            return self.add(Type::Scalar(Scalar::Any));
        }
        match node["type"].as_str() {
            Some("object") => self.custom_map(node, object, open),
            Some("array") => self.custom_list(node),
            Some("string") => self.add(Type::Scalar(Scalar::Text)),
            Some("integer" | "number") => self.add(Type::Scalar(Scalar::Number)),
            Some("boolean") => self.add(Type::Scalar(Scalar::Bool)),
            _ if object => self.custom_map(node, true, true),
            _ => ANY,
        }
    }

    fn custom_map(&mut self, node: &Value, object: bool, open: bool) -> TypeId {
        let atomic = node["x-kubernetes-map-type"] == "atomic";
        let mut fields = BTreeMap::new();
        for (name, of) in node["properties"].as_object().into_iter().flatten() {
            fields.insert(name.clone(), self.custom(of, false));
        }
        if object {
            let text = self.add(Type::Scalar(Scalar::Text));
            fields.insert("apiVersion".to_owned(), text);
            fields.insert("kind".to_owned(), text);
            fields.insert("metadata".to_owned(), self.object_meta());
        }
        let more = &node["additionalProperties"];
        let rest = if more.is_object() {
            Some(self.custom(more, false))
        } else if open || more == true || fields.is_empty() {
            Some(ANY)
        } else {
            None
        };
        self.add(Type::Map {
            fields,
            rest,
            atomic,
        })
    }

    fn custom_list(&mut self, node: &Value) -> TypeId {
        let items = &node["items"];
        let of = self.custom(items, false);
        let how = match node["x-kubernetes-list-type"].as_str() {
            Some("set") => Listing::Set,
            Some("map") => {
                let keys = node["x-kubernetes-list-map-keys"].as_array();
                let keyed = keys
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .map(|key| {
                        let default = &items["properties"][key]["default"];
                        (
                            key.to_owned(),
                            Some(default.clone()).filter(|d| !d.is_null()),
                        )
                    });
                Listing::Keyed(keyed.collect())
            }
            _ => Listing::Atomic,
        };
        self.add(Type::List { of, how })
    }

    fn object_meta(&mut self) -> TypeId {
        let known = builtin();
        match known.roots.get("meta.v1.ObjectMeta") {
            Some(id) => self.copy(&known.schema, *id),
            None => ANY,
        }
    }

    /// Copies a type that does not contain itself.
    fn copy(&mut self, from: &Schema, id: TypeId) -> TypeId {
        let ty = match from.get(id) {
            Type::Any => return ANY,
            Type::Scalar(scalar) => Type::Scalar(*scalar),
            Type::List { of, how } => Type::List {
                of: self.copy(from, *of),
                how: how.clone(),
            },
            Type::Map {
                fields,
                rest,
                atomic,
            } => Type::Map {
                fields: fields
                    .iter()
                    .map(|(n, of)| (n.clone(), self.copy(from, *of)))
                    .collect(),
                rest: rest.map(|of| self.copy(from, of)),
                atomic: *atomic,
            },
        };
        self.add(ty)
    }
}

/// The built-in types, by the names of the table.
pub(crate) struct Builtin {
    pub(crate) schema: Schema,
    pub(crate) roots: BTreeMap<String, TypeId>,
}

/// The built-in types; parsed once.
pub(crate) fn builtin() -> &'static Builtin {
    static BUILTIN: OnceLock<Builtin> = OnceLock::new();
    BUILTIN.get_or_init(|| {
        let table: Map<String, Value> = serde_json::from_str(include_str!("tables/types.json"))
            .expect("invariant: the embedded table is JSON");
        let mut schema = Schema::new();
        let mut roots = BTreeMap::new();
        for name in table.keys() {
            roots.insert(name.clone(), schema.add(Type::Any));
        }
        for (name, ty) in &table {
            let fields = ty["f"].as_object().into_iter().flatten();
            let fields = fields.map(|(f, of)| (f.clone(), table_type(&mut schema, &roots, of)));
            let fields: BTreeMap<String, TypeId> = fields.collect();
            let rest = fields.is_empty().then_some(ANY);
            schema.types[roots[name]] = Type::Map {
                fields,
                rest,
                atomic: ty["a"] == 1,
            };
        }
        // An atomic reference to a granular type was reserved as a copy that is filled in now.
        for id in 0..schema.types.len() {
            if let Type::Map {
                fields,
                rest: Some(of),
                atomic: true,
            } = &schema.types[id]
                && fields.contains_key(ATOMIC_COPY)
                && let Type::Map { fields, rest, .. } = schema.types[*of].clone()
            {
                schema.types[id] = Type::Map {
                    fields,
                    rest,
                    atomic: true,
                };
            }
        }
        Builtin { schema, roots }
    })
}

/// Marks a type as a copy-to-be; no API field has an empty name.
const ATOMIC_COPY: &str = "";

fn table_type(schema: &mut Schema, roots: &BTreeMap<String, TypeId>, of: &Value) -> TypeId {
    match of {
        Value::String(text) => match text.as_str() {
            "s" => schema.add(Type::Scalar(Scalar::Text)),
            "i" | "n" => schema.add(Type::Scalar(Scalar::Number)),
            "b" => schema.add(Type::Scalar(Scalar::Bool)),
            "x" => schema.add(Type::Scalar(Scalar::Any)),
            named => {
                let target = named
                    .get(1..)
                    .and_then(|name| roots.get(name))
                    .copied()
                    .unwrap_or(ANY);
                if named.starts_with('@') {
                    let fields = BTreeMap::from([(ATOMIC_COPY.to_owned(), ANY)]);
                    return schema.add(Type::Map {
                        fields,
                        rest: Some(target),
                        atomic: true,
                    });
                }
                target
            }
        },
        Value::Array(parts) => {
            let item = table_type(schema, roots, &parts[1]);
            let how = match parts[0].as_str() {
                Some("s") => Listing::Set,
                Some("m") => {
                    let keys = parts[2].as_object().into_iter().flatten();
                    Listing::Keyed(keys.map(|(k, d)| (k.clone(), default_of_key(d))).collect())
                }
                _ => Listing::Atomic,
            };
            schema.add(Type::List { of: item, how })
        }
        Value::Object(map) => {
            let (marker, of) = map
                .iter()
                .next()
                .expect("invariant: a map type has one entry");
            let rest = Some(table_type(schema, roots, of));
            schema.add(Type::Map {
                fields: BTreeMap::new(),
                rest,
                atomic: marker == "@",
            })
        }
        _ => ANY,
    }
}

/// Zero values are no defaults of a key: a key that is left out is an error.
fn default_of_key(default: &Value) -> Option<Value> {
    match default {
        Value::Null => None,
        Value::String(s) if s.is_empty() => None,
        Value::Number(n) if n.as_i64() == Some(0) => None,
        other => Some(other.clone()),
    }
}
