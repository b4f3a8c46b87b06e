//! The zone's database servers, and what a restore would start from.

use super::{List, check, several};
use crate::check::{Check, DatabaseAsk, DatabaseProbe, Probe};
use crate::config::{Resource, Strategy};
use crate::declared::Server;
use crate::restore;
use crate::schema::Part;

/// What is asked of a server: the line, the requirements that it proves, the question.
const ASKED: [(&str, &[&str], DatabaseAsk); 3] = [
    (
        "database-tls",
        &["BZ-16", "BZ-17", "BZ-22"],
        DatabaseAsk::Session,
    ),
    ("database-mode", &["BZ-15", "BZ-17"], DatabaseAsk::ReadOnly),
    ("replication-lag", &["BZ-17"], DatabaseAsk::Heartbeat),
];

impl List<'_> {
    /// A set of lines for each server.
    pub(super) fn databases(&self) -> Vec<Check> {
        let servers = self.zone.servers();
        let mut out = Vec::new();
        for server in &servers {
            let name = server.resource.address.name.as_str();
            for (id, rows, ask) in ASKED {
                let id = several(id, name, servers.len() > 1);
                let title = title(ask, server.read_only);
                out.push(check(id, title, rows, self.ask(server, ask)));
            }
        }
        if servers.is_empty() {
            for (id, rows, ask) in ASKED {
                let read_only = self.zone.standby();
                out.push(check(id, title(ask, read_only), rows, self.no_database()));
            }
        }
        out.push(self.backup());
        out
    }

    /// Whether the zone's data come from a backup once it takes over.
    pub(super) fn is_restored(&self) -> bool {
        let zone = self.zone.inputs.config.zone(self.zone.zone);
        let decision = zone.and_then(|z| z.database.as_ref());
        self.zone.standby() && decision.is_some_and(|d| d.strategy == Strategy::Restore)
    }

    /// Why a zone without a database server is not asked about one.
    pub(super) fn no_database(&self) -> Probe {
        if self.is_restored() {
            let why = "the zone has no database until a backup is restored: see `backup`";
            return Probe::NotApplicable(why.to_owned());
        }
        self.absent("database server", !self.serving.servers().is_empty())
    }

    fn ask(&self, server: &Server<'_>, ask: DatabaseAsk) -> Probe {
        if ask == DatabaseAsk::Heartbeat && !server.follows {
            let address = &server.resource.address;
            return Probe::NotApplicable(format!("{address} follows nobody"));
        }
        match self.database(server.resource, server.read_only, ask) {
            Ok(probe) => Probe::Database(probe),
            Err(why) => Probe::Missing(why),
        }
    }

    fn database(
        &self,
        server: &Resource,
        read_only: bool,
        ask: DatabaseAsk,
    ) -> Result<DatabaseProbe, String> {
        let address = &server.address;
        let access = self.zone.access(server)?;
        let record = self.zone.inputs.state.record(address);
        let record = record.ok_or_else(|| format!("{address} is not recorded yet: apply first"))?;
        let host = record.outputs.get("host").and_then(|h| h.as_str());
        let port = record.outputs.get("port").and_then(|p| p.as_i64());
        let port = port.and_then(|p| u16::try_from(p).ok());
        let (Some(host), Some(port)) = (host, port) else {
            return Err(format!("no host and port of {address} are recorded"));
        };
        Ok(DatabaseProbe {
            host: host.to_owned(),
            port,
            user: access.user,
            password: access.password,
            ca: access.ca,
            ask,
            read_only,
            inside: access.host,
        })
    }

    /// What a restore would start from.
    fn backup(&self) -> Check {
        let inputs = self.zone.inputs;
        let zone = self.zone.zone;
        let probe = if !self.zone.standby() {
            Probe::NotApplicable("the zone serves: nothing is restored into it".to_owned())
        } else if !self.is_restored() {
            match self.serving.parts(Part::Writer).next() {
                Some(_) => Probe::NotApplicable("its data come by replication".to_owned()),
                None => self.no_database(),
            }
        } else {
            let limit = restore::max_age(inputs, zone);
            match (restore::order(inputs, zone), limit) {
                (Ok(order), Some(max_age_s)) => Probe::Backups {
                    source: order.known,
                    max_age_s,
                },
                (Err(blocked), _) => Probe::Missing(blocked.to_string()),
                (Ok(_), None) => Probe::Missing(
                    "nothing says how old the newest backup may be: set `[database.restore] max_age`"
                        .to_owned(),
                ),
            }
        };
        let title = "the newest backup of what is restored is young enough";
        check("backup", title, &["BZ-18"], probe)
    }
}

fn title(ask: DatabaseAsk, read_only: bool) -> &'static str {
    match (ask, read_only) {
        (DatabaseAsk::Session, _) => {
            "the database accepts verified TLS only with its own authority and name"
        }
        (DatabaseAsk::ReadOnly, true) => "the database is read-only while another zone serves",
        (DatabaseAsk::ReadOnly, false) => "the writer takes writes",
        (DatabaseAsk::Heartbeat, _) => "replication lag by heartbeat is below a minute",
    }
}
