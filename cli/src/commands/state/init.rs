//! `zonewright state init`: finds out whether the store is fit to keep a state, and makes one in it.

use zonewright_sandbox::control::Client;
use zonewright_state::StateHome;
use zonewright_zones::Backend;

use super::AtRest;
use crate::Context;
use crate::exit::Exit;
use crate::proven;
use crate::report::Failure;
use crate::world::World;

/// Runs the command.
pub(super) async fn run(ctx: &Context) -> Result<Exit, Failure> {
    let mut at_rest = AtRest::of(ctx).await?;
    if matches!(at_rest.world, World::Sandbox { .. }) {
        at_rest.world = World::open(ctx, &at_rest.project).await?;
        emulated_bucket(&at_rest).await?;
    }
    let remote = match at_rest.home()? {
        StateHome::Remote(remote) => remote,
        home @ StateHome::Dir(_) => {
            ctx.term.say(&format!(
                "The state is in files in {}; the first apply makes them.",
                home.place()
            ));
            return Ok(Exit::DONE);
        }
    };
    let (fit, new) = remote.init()?;
    proven::proven(&remote.place(), &at_rest.world.private(&at_rest.project))?;
    ctx.term.say(&format!(
        "{} is fit: of 8 writers at once exactly one made an object, and nothing replaced it{}.",
        remote.place(),
        match fit.removes {
            true => "",
            false => "; these credentials cannot remove objects, which is as it should be",
        }
    ));
    ctx.term.say(match new {
        true => "Made the state. It is empty.",
        false => "There was a state already; it stays as it is.",
    });
    Ok(Exit::DONE)
}

/// Nobody has made a bucket in an emulated account.
pub(super) async fn emulated_bucket(at_rest: &AtRest) -> Result<(), Failure> {
    if let (Backend::S3 { bucket, .. }, Some(ready)) =
        (&at_rest.facts.state.backend, at_rest.world.ready())
    {
        Client::new(&ready.control_url())?
            .add_bucket(bucket)
            .await?;
    }
    Ok(())
}
