//! The databases themselves: MySQL's protocol over TLS on one loopback port for a whole world.
//!
//! [`handshake`] finds the database that a client means, [`statement`] carries out what it says,
//! [`rows`] holds the data with its history, [`replication`] derives a replica from its source.

pub(crate) mod authority;
mod change;
mod evaluate;
mod handshake;
pub(crate) mod heartbeat;
pub(crate) mod inside;
mod outcome;
mod prepared;
mod query;
mod replication;
mod rows;
mod statement;
mod variables;
mod wire;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::call::Scene;
use crate::fault::Kind;
use crate::journal::Service;
use crate::sandbox::Sandbox;

use handshake::Encrypted;
use outcome::{SqlError, Status};
use prepared::Prepared;
use statement::Session;

/// Takes connections, until it is dropped with all of them.
pub(crate) async fn run(sandbox: Arc<Sandbox>, listener: TcpListener) {
    let next = AtomicU32::new(1);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    connections.spawn(connection(sandbox.clone(), stream, number));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection cannot be accepted");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(sandbox: Arc<Sandbox>, stream: TcpStream, number: u32) {
    // Small replies must not wait for the peer's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let opened = match handshake::open(&sandbox, stream, number).await {
        Ok(opened) => opened,
        Err(error) => {
            tracing::debug!(%error, "a database connection ended in its handshake");
            return;
        }
    };
    let Some((wire, session)) = opened else {
        return;
    };
    let mut served = Served {
        sandbox: &sandbox,
        wire,
        session,
        prepared: BTreeMap::new(),
        next: 1,
    };
    if let Err(error) = served.run().await {
        tracing::debug!(%error, "a database connection ended early");
    }
    let session = &mut served.session;
    // What was not committed when the client went is taken back.
    if let Err(error) = sandbox.stage(|scene| statement::roll_back(scene, session)) {
        tracing::error!(%error, "the sandbox world cannot be written");
    }
}

/// A connection that is open.
struct Served<'a> {
    sandbox: &'a Sandbox,
    wire: Encrypted,
    session: Session,
    prepared: BTreeMap<u32, Prepared>,
    next: u32,
}

impl Served<'_> {
    async fn run(&mut self) -> io::Result<()> {
        // Who has come so far is logged in.
        let status = self.status();
        if self.strike("CONNECT").await.is_break() {
            return Ok(());
        }
        self.wire.queue(&outcome::ok(0, 0, status));
        self.wire.flush().await?;
        while let Some(packet) = self.wire.read().await? {
            self.wire.restart();
            let Some((command, rest)) = packet.split_first() else {
                break;
            };
            match command {
                1 => break,
                2 => {
                    self.statement(&format!("USE {}", String::from_utf8_lossy(rest)), false)
                        .await?
                }
                3 => {
                    self.statement(&String::from_utf8_lossy(rest), false)
                        .await?
                }
                // The columns of a table, for completion: none.
                4 => self.wire.queue(&outcome::eof(self.status())),
                14 | 31 => self.wire.queue(&outcome::ok(0, 0, self.status())),
                22 => self.prepare(&String::from_utf8_lossy(rest)),
                23 => self.execute(rest).await?,
                25 => {
                    self.prepared.remove(&number(rest));
                }
                26 => self.wire.queue(&outcome::ok(0, 0, self.status())),
                27 => self.wire.queue(&outcome::eof(self.status())),
                other => {
                    let refused = SqlError::unsupported(&format!("command {other}"));
                    self.wire.queue(&refused.packet());
                }
            }
            self.wire.flush().await?;
        }
        self.wire.close().await;
        Ok(())
    }

    fn status(&self) -> Status {
        Status {
            in_transaction: self.session.open.is_some(),
            autocommit: !self.session.manual_commit,
        }
    }

    /// Lets a fault happen that names this database; breaks where the connection must end.
    async fn strike(&mut self, method: &str) -> std::ops::ControlFlow<()> {
        let path = format!("/{}", self.session.id);
        let Some(kind) = self
            .sandbox
            .board
            .strike(Service::Mysql.name(), method, &path)
        else {
            return std::ops::ControlFlow::Continue(());
        };
        let held = json!({"kind": kind.name(), "service": "mysql", "method": method, "path": path});
        match kind {
            Kind::Delay { ms } => tokio::time::sleep(Duration::from_millis(ms)).await,
            Kind::HoldBefore | Kind::HoldAfter => {
                let seq = self
                    .sandbox
                    .journal
                    .note(Service::Mysql, method, &path, false);
                self.sandbox.board.hold(seq, held).await;
            }
            Kind::DropBefore | Kind::DropAfter | Kind::Status { .. } | Kind::StatusAfter { .. } => {
                return std::ops::ControlFlow::Break(());
            }
        }
        std::ops::ControlFlow::Continue(())
    }

    async fn statement(&mut self, sql: &str, binary: bool) -> io::Result<()> {
        let _busy = self.sandbox.busy();
        if self.strike("QUERY").await.is_break() {
            return Err(io::Error::other("dropped on purpose"));
        }
        let verb = sql
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_uppercase();
        const HARMLESS: [&str; 8] = [
            "SELECT", "SHOW", "SET", "USE", "BEGIN", "START", "COMMIT", "ROLLBACK",
        ];
        let path = format!("/{}", self.session.id);
        let seq = self.sandbox.journal.note(
            Service::Mysql,
            &verb,
            &path,
            !HARMLESS.contains(&verb.as_str()),
        );
        let session = &mut self.session;
        let done = self
            .sandbox
            .stage(|scene| statement::run(scene, session, sql))?;
        let code = done.as_ref().err().map_or(0, |refused| refused.code);
        self.sandbox
            .journal
            .carried_out(seq, if code == 0 { 200 } else { 400 });
        self.sandbox.journal.replied(seq, code);
        let status = self.status();
        match done {
            Ok(outcome) => outcome::send(&mut self.wire, &outcome, status, binary),
            Err(refused) => self.wire.queue(&refused.packet()),
        }
        Ok(())
    }

    fn prepare(&mut self, sql: &str) {
        let prepared = Prepared::new(sql);
        let count = prepared.count();
        let id = self.next;
        self.next += 1;
        self.prepared.insert(id, prepared);
        let mut out = vec![0];
        out.extend_from_slice(&id.to_le_bytes());
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes());
        out.extend_from_slice(&[0, 0, 0]);
        self.wire.queue(&out);
        if count > 0 {
            for _ in 0..count {
                self.wire.queue(&outcome::place_holder());
            }
            let status = self.status();
            self.wire.queue(&outcome::eof(status));
        }
    }

    async fn execute(&mut self, rest: &[u8]) -> io::Result<()> {
        let id = number(rest);
        // The id, the cursor's flags and a constant come before the values.
        let values = rest.get(9..).unwrap_or_default();
        let filled = self.prepared.get_mut(&id).and_then(|p| p.filled(values));
        match filled {
            Some(sql) => self.statement(&sql, true).await,
            None => {
                let message = "Unknown prepared statement handler given to mysqld_stmt_execute";
                self.wire
                    .queue(&SqlError::new(1243, "HY000", message).packet());
                Ok(())
            }
        }
    }
}

fn number(bytes: &[u8]) -> u32 {
    let four = bytes.get(..4).and_then(|b| b.try_into().ok());
    four.map_or(0, u32::from_le_bytes)
}

/// Gives a new cluster what its source's backup of a time holds.
pub(crate) fn restore(scene: &mut Scene<'_, '_>, source: &Value, at: u64, id: &str) {
    let mut layers = replication::layers(source, scene.now);
    layers
        .iter_mut()
        .for_each(|layer| layer.until = layer.until.min(at));
    rows::copy(scene.txn, &layers, id);
}

/// Gives a replica that is promoted what has arrived from its source.
pub(crate) fn promote(scene: &mut Scene<'_, '_>, replica: &Value) {
    let layers = replication::layers(replica, scene.now);
    let id = crate::call::text(replica, "id").to_owned();
    rows::copy(scene.txn, &layers, &id);
}

/// Removes the data of a database.
pub(crate) fn forget(scene: &mut Scene<'_, '_>, id: &str) {
    rows::forget(scene.txn, id);
}
