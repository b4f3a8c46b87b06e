//! The keys of `[state.encryption]`: read when the state is opened, and used for saved plans, too.

use std::path::Path;

use zeroize::Zeroizing;
use zonewright_engine::secret::Purpose;
use zonewright_state::seal::keys::{KeyError, Keys, Source};
use zonewright_state::seal::{Binding, Kind, Seal, open_file, own};
use zonewright_state::{OsRng, StateError};
use zonewright_zones::{Credential, Encryption, StateSettings};

use crate::Context;
use crate::exit::Exit;
use crate::project::Project;
use crate::report::Failure;
use crate::report::code::Code;
use crate::secrets;
use crate::world::{self, World};

/// The key of a rehearsal whose spec names one that is not at hand.
const OWN_KEY: &str = "seal.agekey";

/// What seals and opens the state of a project.
pub(crate) fn keys(
    project: &Project,
    world: &World,
    settings: &StateSettings,
) -> Result<Seal, Failure> {
    let Some(encryption) = &settings.encryption else {
        return Ok(Seal::default());
    };
    let root = project.root();
    let identity = value(&encryption.identity, root);
    if world.is_live() {
        return read(encryption, root, &identity?, &encryption.recipients);
    }
    let path = world.private(project).join(OWN_KEY);
    let Ok(identity) = identity else {
        let own = own::load_or_create(&path, &mut OsRng)?;
        let recipients = recipients_of(&own)?;
        return read(encryption, root, &own, &recipients);
    };
    // What was sealed while the key was not at hand opens with the other one.
    let Some(own) = own::load(&path)? else {
        return read(encryption, root, &identity, &encryption.recipients);
    };
    let both = Source {
        recipients: &encryption.recipients,
        identity: Some(&identity),
        also: Some(&own),
        ..Source::default()
    };
    with(encryption, root, both)
}

fn recipients_of(own: &str) -> Result<Vec<String>, Failure> {
    let source = Source {
        identity: Some(own),
        plain: true,
        ..Source::default()
    };
    let keys = Keys::read(&source).map_err(|why| Failure::error(why.to_string()))?;
    Ok(keys.ours())
}

fn read(
    encryption: &Encryption,
    root: &Path,
    identity: &str,
    recipients: &[String],
) -> Result<Seal, Failure> {
    let source = Source {
        recipients,
        identity: Some(identity),
        ..Source::default()
    };
    with(encryption, root, source)
}

fn with(encryption: &Encryption, root: &Path, source: Source<'_>) -> Result<Seal, Failure> {
    let passphrase = match &encryption.passphrase {
        Some(passphrase) if source.is_protected() => Some(value(passphrase, root)?),
        _ => None,
    };
    let keys = Keys::read(&Source {
        passphrase: passphrase.as_deref().map(String::as_str),
        plain: !encryption.seal,
        require: encryption.require,
        ..source
    });
    match keys {
        Ok(keys) => Ok(Seal::new(keys)),
        Err(why) => Err(unusable(encryption, &why)),
    }
}

fn value(credential: &Credential, root: &Path) -> Result<Zeroizing<String>, Failure> {
    let secret = secrets::credential(credential, root)?;
    let text = secret.expose(Purpose::Open).unwrap_or_default();
    Ok(Zeroizing::new(text.to_owned()))
}

/// Which of the two secrets it is, and what is wrong with it. Never what it holds.
fn unusable(encryption: &Encryption, why: &KeyError) -> Failure {
    let blamed = match (why, &encryption.passphrase) {
        (KeyError::Passphrase, Some(passphrase)) => passphrase,
        _ => &encryption.identity,
    };
    let message = format!(
        "secret.{} ({}) cannot be used for the state: {why}",
        blamed.secret,
        secrets::source_words(&blamed.source)
    );
    let help = match why {
        KeyError::NotARecipient(ours) => format!(
            "add `{ours}` to `recipients` in `[state.encryption]`, or use the key of one who is there"
        ),
        KeyError::Protected => {
            "write `passphrase = \"${secret.NAME}\"` into `[state.encryption]`".to_owned()
        }
        _ => "`zonewright explain ZW5017`; `zonewright state keygen` makes a key".to_owned(),
    };
    Failure::new(Exit::CREDENTIALS, message)
        .code(Code::StateKey)
        .help(help)
}

/// The keys of the project that the command is in; the state is not opened.
pub(crate) fn of_project(ctx: &Context) -> Result<Seal, Failure> {
    let project = Project::find(ctx)?;
    let facts = project.facts(ctx, &world::registry()?)?;
    let world = World::at_rest(ctx, &project);
    keys(&project, &world, &facts.state)
}

/// The bytes of a plan as they are saved.
pub(crate) fn plan(seal: &Seal, lineage: &str, bytes: &[u8]) -> Vec<u8> {
    let binding = Binding {
        kind: Kind::Plan,
        lineage: lineage.to_owned(),
        shard: None,
        seq: 0,
        serial: 0,
    };
    seal.seal(&binding, bytes)
}

/// The bytes of a saved plan in the clear. One that was saved in the clear needs no keys; what it says is
/// compared with a new plan in any case.
pub(crate) fn plan_in_the_clear(
    ctx: &Context,
    path: &Path,
    bytes: Vec<u8>,
) -> Result<Vec<u8>, Failure> {
    if zonewright_state::seal::sealed_for(&bytes).is_none() {
        return Ok(bytes);
    }
    let seal = of_project(ctx)?;
    match open_file(&seal, Kind::Plan, path, &bytes) {
        // A plan is made again; the state has nothing to do with it.
        Err(StateError::Damaged { what, .. }) => Err(not_as_saved(path, &what)),
        opened => Ok(opened?),
    }
}

/// What is said of a file that is not, byte for byte, what `plan -o` wrote.
pub(crate) fn not_as_saved(path: &Path, what: &str) -> Failure {
    let message = format!("{} is no plan as it was saved: {what}", path.display());
    Failure::new(Exit::STALE, message).help("make a new one with `zonewright plan -o FILE`")
}
