//! `zonewright sandbox …`: runs and controls the emulators.

use zonewright_sandbox::fault;

use crate::args::BadArgument;

/// Parses the kind of a fault: `status:503`, `drop-after`, `delay:250`.
pub fn fault_kind(text: &str) -> Result<fault::Kind, BadArgument> {
    let bad = |what: &str| BadArgument(format!("`{text}`: {what}"));
    let (name, rest) = match text.split_once(':') {
        Some((name, rest)) => (name, Some(rest)),
        None => (text, None),
    };
    let status = || {
        let code = rest.and_then(|r| r.parse().ok());
        code.filter(|c| (100..=599).contains(c))
            .ok_or_else(|| bad("expected a status from 100 to 599 after the colon"))
    };
    match (name, rest) {
        ("status", _) => Ok(fault::Kind::Status {
            code: status()?,
            body: None,
            headers: std::collections::BTreeMap::new(),
        }),
        ("status-after", _) => Ok(fault::Kind::StatusAfter { code: status()? }),
        ("delay", _) => {
            let ms = rest.and_then(|r| r.parse().ok());
            let ms = ms.ok_or_else(|| bad("expected milliseconds after the colon"))?;
            Ok(fault::Kind::Delay { ms })
        }
        ("drop-before", None) => Ok(fault::Kind::DropBefore),
        ("drop-after", None) => Ok(fault::Kind::DropAfter),
        ("hold-before", None) => Ok(fault::Kind::HoldBefore),
        ("hold-after", None) => Ok(fault::Kind::HoldAfter),
        _ => Err(bad(
            "expected status:CODE, status-after:CODE, drop-before, drop-after, delay:MS, hold-before or hold-after",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_faults_are_read() {
        assert_eq!(fault_kind("delay:250"), Ok(fault::Kind::Delay { ms: 250 }));
        assert_eq!(
            fault_kind("status-after:502"),
            Ok(fault::Kind::StatusAfter { code: 502 })
        );
        for bad in ["status", "status:9", "delay:x", "drop-after:1", "explode"] {
            assert!(fault_kind(bad).is_err(), "{bad}");
        }
    }
}
