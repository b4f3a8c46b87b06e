//! `[state.encryption]`: whom the state is sealed for, and where the key that opens it comes from.

use std::str::FromStr;

use age::x25519;

use super::state::Place;
use crate::diag::{Code, Draft};
use crate::project::Encryption;
use crate::tree::{Item, Loc, Tree};

impl Place<'_, '_, '_> {
    /// The table, with every mistake in it reported.
    pub(super) fn encryption(&self) -> Option<Encryption> {
        self.table?;
        self.known(&["recipients", "identity", "passphrase", "require", "seal"]);
        let seal = self.flag("seal").unwrap_or(true);
        let require = self.flag("require").unwrap_or(false);
        if !seal && require {
            let at = self.entry("require").map_or(self.at, |tree| tree.at);
            let message = "what is written in the clear cannot be required to be sealed";
            let draft = Draft::new(Code::StateEncryption, message)
                .label(at, "not with `seal = false`")
                .help("take one of the two out");
            self.root.ctx.report(draft);
        }
        // All of them are looked at before the first mistake ends it.
        let recipients = self.recipients(seal);
        let identity = self.credential("identity");
        let passphrase = self
            .has("passphrase")
            .then(|| self.credential("passphrase"))
            .flatten();
        Some(Encryption {
            recipients: recipients?,
            identity: identity?,
            passphrase,
            require,
            seal,
        })
    }

    fn entry(&self, name: &str) -> Option<&Tree> {
        Some(&self.table?.get(name)?.value)
    }

    fn flag(&self, name: &str) -> Option<bool> {
        let tree = self.entry(name)?;
        match &tree.node {
            Item::Bool(on) => Some(*on),
            _ => {
                self.root.wrong(tree, name, "true or false");
                None
            }
        }
    }

    /// Public keys, each once. Without any there is nobody to seal for.
    fn recipients(&self, seal: bool) -> Option<Vec<String>> {
        let example = "recipients = [\"age1…\"]";
        let Some(tree) = self.entry("recipients") else {
            if seal {
                self.root.missing(self.at, "recipients", example);
            }
            return (!seal).then(Vec::new);
        };
        let Item::List(items) = &tree.node else {
            self.root.wrong(tree, "recipients", "a list of public keys");
            return None;
        };
        if items.is_empty() && seal {
            let message = "there is nobody to seal the state for";
            let draft = Draft::new(Code::StateEncryption, message)
                .label(tree.at, "no recipient")
                .help("write the public keys of those who may open it; `zonewright state keygen` makes a key");
            self.root.ctx.report(draft);
            return None;
        }
        let mut out: Vec<String> = Vec::new();
        let mut good = true;
        for item in items {
            let Some(text) = item.str() else {
                self.root.wrong(item, "recipients", "public keys as text");
                good = false;
                continue;
            };
            match x25519::Recipient::from_str(text) {
                Ok(key) if out.contains(&key.to_string()) => {
                    self.no_recipient(
                        item.at,
                        "this recipient is listed twice",
                        "take one of them out",
                    );
                    good = false;
                }
                Ok(key) => out.push(key.to_string()),
                // Reported where it was found, for it is nowhere in place in a spec.
                Err(_) if crate::secretlike::what(text).is_some() => good = false,
                Err(_) => {
                    let (what, help) = why_not(text);
                    self.no_recipient(item.at, what, help);
                    good = false;
                }
            }
        }
        good.then_some(out)
    }

    fn no_recipient(&self, at: Loc, what: &str, help: &str) {
        let draft = Draft::new(Code::StateEncryption, what)
            .label(at, "here")
            .help(help);
        self.root.ctx.report(draft);
    }
}

/// Why a text is no recipient, and what to write.
fn why_not(text: &str) -> (&'static str, &'static str) {
    let begins = |with: &str| text.starts_with(with);
    if begins("ssh-") || begins("ecdsa-") {
        return (
            "an SSH key is no recipient of a state",
            "write an age key (`age1…`); `zonewright state keygen` or `age-keygen` makes one",
        );
    }
    if begins("age1") && text.matches('1').count() > 1 {
        return (
            "a key of an age plugin, or one that this version does not know, is no recipient of a state",
            "write a plain age key (`age1…`); `zonewright state keygen` or `age-keygen` makes one",
        );
    }
    if begins("age1") {
        return (
            "this recipient is not whole: its checksum does not fit",
            "copy the key again, from the line `# public key:` of its identity file",
        );
    }
    (
        "this is no recipient",
        "write a public age key, which begins with `age1`; `zonewright state keygen` or `age-keygen` makes one",
    )
}
