//! `zonewright metrics`: what is known of the zones, for Prometheus. Printed, put into a file, or served.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use zonewright_engine::observability::metrics::{COLLECT_SUCCESS, exposition};
use zonewright_engine::observability::samples;

use super::sandbox::ended;
use crate::Context;
use crate::args::MetricsArgs;
use crate::exit::Exit;
use crate::project::replace_with;
use crate::report::Failure;
use crate::{collect, listen, world};

/// Runs the command.
pub(crate) async fn run(ctx: &Context, args: MetricsArgs) -> Result<Exit, Failure> {
    if let Some(address) = args.listen {
        let listener = TcpListener::bind(address).await.map_err(|e| {
            Failure::error(format!("cannot listen on {address}"))
                .because(e)
                .help("name a free address of this host: `--listen 127.0.0.1:9469`")
        })?;
        return serve(ctx, &args, listener).await;
    }
    let collected = text(ctx, args.recorded).await;
    match &args.textfile {
        // A file that told of yesterday would look like today: what failed is told, too.
        Some(path) => {
            let whole = collected
                .as_deref()
                .map_or_else(|_| unknown(), str::to_owned);
            // The exporter is another user.
            replace_with(path, whole.as_bytes(), 0o644)
                .map_err(|e| Failure::file("write", path, e))?;
            collected?;
        }
        None => ctx.term.data(&collected?),
    }
    Ok(Exit::DONE)
}

async fn text(ctx: &Context, recorded: bool) -> Result<String, Failure> {
    let (config, known) = collect::collect(ctx, recorded).await?;
    Ok(exposition(&samples(&config, &world::registry()?, &known)))
}

/// What is told when nothing could be collected: that, and nothing else.
fn unknown() -> String {
    exposition(&[COLLECT_SUCCESS.sample(&[], 0.0)])
}

/// Collects again and again until the process is asked to end, and serves the newest.
async fn serve(ctx: &Context, args: &MetricsArgs, listener: TcpListener) -> Result<Exit, Failure> {
    let address = listener
        .local_addr()
        .map_err(|e| Failure::error("the address that is listened on is not known").because(e))?;
    let (tell, newest) = watch::channel::<Option<Arc<str>>>(None);
    ctx.term.data(&format!("http://{address}/metrics\n"));
    let collecting = async {
        loop {
            let whole = match text(ctx, args.recorded).await {
                Ok(whole) => whole,
                Err(failure) => {
                    ctx.term.say(&format!("not collected: {failure}"));
                    unknown()
                }
            };
            tell.send_replace(Some(whole.into()));
            tokio::time::sleep(args.every).await;
        }
    };
    tokio::select! {
        () = ended() => {}
        () = collecting => {}
        () = listen::run(listener, newest) => {}
    }
    Ok(Exit::DONE)
}
