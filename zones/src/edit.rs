//! Edits of zone files that keep comments and layout.

use toml_edit::{DocumentMut, Item, Table, value};
use zonewright_engine::address::ZoneName;
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
