//! Edits of zone files that keep comments and layout.

use std::ops::Range;

use serde_json::Value as Json;
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, TableLike, Value, value};
use zonewright_engine::address::{Address, ZoneName};
use zonewright_engine::config::Posture;

/// A zone file's text with `[zone] posture` set.
///
/// # Errors
/// The text is not TOML, or `zone` is no table.
pub fn set_posture(text: &str, posture: Posture) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|e| format!("not TOML: {e}"))?;
    let zone = document
        .entry("zone")
        .or_insert_with(|| Item::Table(Table::new()));
    let zone = zone.as_table_like_mut().ok_or("`zone` is no table")?;
    match zone.get_mut("posture").and_then(Item::as_value_mut) {
        Some(old) => {
            let decor = old.decor().clone();
            *old = posture.name().into();
            *old.decor_mut() = decor;
        }
        None => {
            zone.insert("posture", value(posture.name()));
        }
    }
    Ok(document.to_string())
}

/// The root file's text with another zone in `[project] active`.
///
/// # Errors
/// The text is not TOML, or `project` is no table with a value for `active`.
pub fn set_active(text: &str, zone: &ZoneName) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|e| format!("not TOML: {e}"))?;
    let project = document
        .get_mut("project")
        .and_then(Item::as_table_like_mut);
    let active = project.and_then(|p| p.get_mut("active")?.as_value_mut());
    let active = active.ok_or("`[project]` names no active zone")?;
    let decor = active.decor().clone();
    *active = zone.as_str().into();
    *active.decor_mut() = decor;
    Ok(document.to_string())
}

/// A text with the TOML value in a range of bytes replaced by another one.
///
/// # Errors
/// What stands there is no plain value: made of a reference, or something else by now.
pub fn replace_value(text: &str, range: Range<usize>, value: &Json) -> Result<String, String> {
    let there = text.get(range.clone()).unwrap_or_default();
    let parsed: Result<Value, _> = there.parse();
    // `{ file = … }` is a value from elsewhere.
    let from_elsewhere = matches!(&parsed, Ok(Value::InlineTable(_))) && !value.is_object();
    if parsed.is_err() || from_elsewhere || there.contains("${") {
        return Err(format!("`{there}` is no plain value"));
    }
    let mut out = text.to_owned();
    out.replace_range(range, literal(value)?.to_string().trim());
    Ok(out)
}

/// A zone file's text (or the root file's, for what is shared) with an attribute of a resource set in the
/// resource's own table.
///
/// # Errors
/// The text is not TOML, or something on the way is no table.
pub fn set_attribute(
    text: &str,
    address: &Address,
    keys: &[&str],
    value: &Json,
) -> Result<String, String> {
    let (last, inner) = keys.split_last().ok_or("no attribute is named")?;
    let value = literal(value)?;
    in_table(text, address, inner, |table| {
        match table.get_mut(last).and_then(Item::as_value_mut) {
            Some(old) => {
                let decor = old.decor().clone();
                *old = value;
                *old.decor_mut() = decor;
            }
            None => {
                table.insert(last, Item::Value(value));
            }
        }
        Ok(())
    })
}

/// What an attribute of a new resource is set to.
#[derive(Debug, Clone, PartialEq)]
pub enum Written {
    /// A value, as it is: nothing in it is a reference.
    Plain(Json),
    /// A text of the spec, in which `${…}` is a reference.
    Text(String),
    /// A value as TOML writes it: `300`, `true`, `["a"]`.
    Toml(String),
}

/// A zone file's text (or the root file's) with a new resource at its end.
///
/// # Errors
/// The text is not TOML, the resource is in it, or something on the way is no table.
pub fn add_resource(
    text: &str,
    address: &Address,
    attributes: &[(String, Written)],
) -> Result<String, String> {
    in_table(text, address, &[], |table| {
        if !table.is_empty() {
            return Err("the resource is there already".to_owned());
        }
        for (key, written) in attributes {
            let value = match written {
                Written::Plain(json) => literal(json)?,
                Written::Text(text) => Value::from(text.as_str()),
                Written::Toml(text) => text
                    .parse()
                    .map_err(|_| format!("`{text}` is no value for `{key}`"))?,
            };
            table.insert(key, Item::Value(value));
        }
        Ok(())
    })
}

/// Changes the table of a resource, or one within, in the text of a file. What is not there yet is made.
fn in_table(
    text: &str,
    address: &Address,
    inner: &[&str],
    change: impl FnOnce(&mut dyn TableLike) -> Result<(), String>,
) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|e| format!("not TOML: {e}"))?;
    let shared = address.zone.is_edge().then_some("shared");
    let (provider, kind) = (address.kind.provider(), address.kind.name());
    let table = shared
        .into_iter()
        .chain([provider, kind, address.name.as_str()]);
    let mut here: &mut dyn TableLike = document.as_table_mut();
    for key in table.chain(inner.iter().copied()) {
        let made = || {
            // A table without values of its own gets no header.
            let mut made = Table::new();
            made.set_implicit(true);
            Item::Table(made)
        };
        here = here
            .entry(key)
            .or_insert_with(made)
            .as_table_like_mut()
            .ok_or_else(|| format!("`{key}` is no table"))?;
    }
    change(here)?;
    Ok(document.to_string())
}

fn literal(json: &Json) -> Result<Value, String> {
    Ok(match json {
        Json::Null => return Err("there is no null in TOML".to_owned()),
        Json::Bool(on) => Value::from(*on),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Value::from(whole),
            None => Value::from(number.as_f64().ok_or("a number that TOML does not have")?),
        },
        Json::String(text) => Value::from(text.replace("${", "$${")),
        Json::Array(items) => {
            let items: Result<Array, String> = items.iter().map(literal).collect();
            Value::Array(items?)
        }
        Json::Object(map) => {
            let mut table = InlineTable::new();
            for (key, value) in map {
                table.insert(key, literal(value)?);
            }
            Value::InlineTable(table)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_word_changes() {
        let text = "# mine\n[zone]\nextends = \"pz\"\nposture = \"cold\" # why\n\n[posture.warm.zone]\nreplicas = 2\n";
        let edited = set_posture(text, Posture::Warm).unwrap();
        assert_eq!(edited, text.replace("\"cold\"", "\"warm\""));
    }

    #[test]
    fn what_is_missing_is_added() {
        let edited = set_posture("[zone]\nextends = \"pz\"\n", Posture::Off).unwrap();
        assert_eq!(edited, "[zone]\nextends = \"pz\"\nposture = \"off\"\n");
        assert_eq!(
            set_posture("", Posture::Off).unwrap(),
            "[zone]\nposture = \"off\"\n"
        );
    }

    #[test]
    fn a_value_is_replaced_where_it_stands_and_set_where_it_is_inherited() {
        let text = "[digitalocean.vpc.main] # net\nname = \"a\" # why\n";
        let at = text.find("\"a\"").unwrap();
        let edited = replace_value(text, at..at + 3, &serde_json::json!("b")).unwrap();
        assert_eq!(edited, text.replace("\"a\"", "\"b\""));
        assert!(replace_value("x = \"${zone.a}\"", 4..15, &serde_json::json!(1)).is_err());
        let address: Address = "bz/digitalocean.vpc.main".parse().unwrap();
        let set =
            |text: &str, keys: &[&str], value| set_attribute(text, &address, keys, &value).unwrap();
        assert_eq!(set(text, &["name"], serde_json::json!("b")), edited);
        assert_eq!(
            set(
                "[zone]\nextends = \"pz\"\n",
                &["pool", "max"],
                serde_json::json!(4)
            ),
            "[zone]\nextends = \"pz\"\n\n[digitalocean.vpc.main.pool]\nmax = 4\n"
        );
    }

    #[test]
    fn a_resource_is_added_at_the_end() {
        let address: Address = "pz/digitalocean.vpc.main".parse().unwrap();
        let written = [
            (
                "name".to_owned(),
                Written::Plain(serde_json::json!("a ${b}")),
            ),
            (
                "region".to_owned(),
                Written::Text("${zone.region}".to_owned()),
            ),
        ];
        let text = "# mine\n[zone]\nregion = \"nyc3\"\n";
        let added = add_resource(text, &address, &written).unwrap();
        let block = "\n[digitalocean.vpc.main]\nname = \"a $${b}\"\nregion = \"${zone.region}\"\n";
        assert_eq!(added, format!("{text}{block}"));
        assert!(add_resource(&added, &address, &written).is_err());
    }

    #[test]
    fn the_active_zone_is_renamed_in_place() {
        let bz: ZoneName = "bz".parse().unwrap();
        let text = "[project]\nactive = \"pz\" # serves\nname = \"wp\"\n";
        let edited = set_active(text, &bz).unwrap();
        assert_eq!(edited, text.replace("\"pz\"", "\"bz\""));
        let inline = set_active("project = { active = \"pz\" }\n", &bz).unwrap();
        assert_eq!(inline, "project = { active = \"bz\" }\n");
        assert!(set_active("[project]\n", &bz).is_err());
    }
}
