//! The zones of a world, answered over UDP and TCP by two servers on loopback, as their authoritative
//! name servers answer. The second one may have fallen behind.

mod answer;

use std::io;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use hickory_proto::op::{Edns, Message, OpCode, ResponseCode};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

use crate::fault::Kind;
use crate::journal::Service;
use crate::sandbox::Sandbox;

/// What a client takes over UDP that does not say more.
const PLAIN: u16 = 512;
/// What this server takes over UDP.
const MOST: u16 = 1232;
const QUIET: Duration = Duration::from_secs(30);

/// Which of the servers of a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    First,
    /// What it still says of some names is a switch.
    Second,
}

/// Takes questions, until it is dropped.
pub(crate) async fn run(sandbox: Arc<Sandbox>, place: Place, udp: UdpSocket, tcp: TcpListener) {
    let udp = Arc::new(udp);
    let mut tasks = JoinSet::new();
    let mut buffer = [0u8; 4096];
    loop {
        tokio::select! {
            received = udp.recv_from(&mut buffer) => {
                // A peer that has closed its port is reported here and is no trouble of ours.
                let Ok((length, peer)) = received else { continue };
                let (sandbox, udp) = (sandbox.clone(), udp.clone());
                let question = buffer[..length].to_vec();
                tasks.spawn(async move {
                    if let Some(reply) = reply(&sandbox, place, &question, true).await {
                        // Who asked may have gone.
                        let _ = udp.send_to(&reply, peer).await;
                    }
                });
            }
            accepted = tcp.accept() => match accepted {
                Ok((stream, _)) => {
                    let sandbox = sandbox.clone();
                    tasks.spawn(async move {
                        if let Err(error) = connection(&sandbox, place, stream).await {
                            tracing::debug!(%error, "a DNS connection ended early");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection cannot be accepted");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            },
            Some(_) = tasks.join_next() => {}
        }
    }
}

async fn connection(sandbox: &Sandbox, place: Place, mut stream: TcpStream) -> io::Result<()> {
    loop {
        let mut length = [0u8; 2];
        match tokio::time::timeout(QUIET, stream.read_exact(&mut length)).await {
            Ok(Ok(_)) => {}
            // Gone, or silent for too long.
            Ok(Err(_)) | Err(_) => return Ok(()),
        }
        let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut question).await?;
        let Some(reply) = reply(sandbox, place, &question, false).await else {
            return Ok(());
        };
        let length = u16::try_from(reply.len()).unwrap_or(u16::MAX);
        stream.write_all(&length.to_be_bytes()).await?;
        stream.write_all(&reply).await?;
    }
}

/// The reply to a question; none to what is no question, and where a fault keeps it back.
async fn reply(sandbox: &Sandbox, place: Place, bytes: &[u8], short: bool) -> Option<Vec<u8>> {
    let _busy = sandbox.busy();
    let question = Message::from_vec(bytes).ok()?;
    let query = question.queries.first()?;
    let path = format!("/{}/{}", query.name().to_lowercase(), query.query_type());
    let seq = sandbox.journal.note(Service::Dns, "QUERY", &path, false);
    let fault = sandbox.board.strike(Service::Dns.name(), "QUERY", &path);
    let mut failing = false;
    if let Some(kind) = fault {
        sandbox.journal.fault(seq, kind.name());
        match kind {
            Kind::Delay { ms } => tokio::time::sleep(Duration::from_millis(ms)).await,
            Kind::HoldBefore | Kind::HoldAfter => {
                let held = json!({"seq": seq, "kind": kind.name(), "service": "dns",
                    "method": "QUERY", "path": path});
                sandbox.board.hold(seq, held).await;
            }
            Kind::DropBefore | Kind::DropAfter => return None,
            Kind::Status { .. } | Kind::StatusAfter { .. } => failing = true,
        }
    }
    let mut reply = Message::response(question.metadata.id, question.metadata.op_code);
    reply.metadata.recursion_desired = question.metadata.recursion_desired;
    reply.queries.push(query.clone());
    if failing {
        reply.metadata.response_code = ResponseCode::ServFail;
    } else if question.metadata.op_code != OpCode::Query || question.queries.len() != 1 {
        reply.metadata.response_code = ResponseCode::NotImp;
    } else {
        let answered = sandbox.stage(|scene| {
            let tables = scene.txn.tables();
            answer::fill(tables, query, &mut reply);
        });
        if answered.is_err() {
            reply.metadata.response_code = ResponseCode::ServFail;
        } else if place == Place::Second {
            let switches = sandbox
                .switches
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            answer::outdate(&switches.stale_answers, &mut reply);
        }
    }
    sandbox
        .journal
        .replied(seq, u16::from(reply.metadata.response_code));
    let limit = question.edns.as_ref().map_or(PLAIN, |edns| {
        let mut own = Edns::new();
        own.set_max_payload(MOST);
        reply.edns = Some(own);
        edns.max_payload().clamp(PLAIN, MOST)
    });
    let bytes = reply.to_vec().ok()?;
    if short && bytes.len() > usize::from(limit) {
        return reply.truncate().to_vec().ok();
    }
    Some(bytes)
}
