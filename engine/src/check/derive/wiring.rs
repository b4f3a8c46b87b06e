//! How the application is wired to the zone's database servers.

use std::collections::BTreeSet;

use super::{List, check, several};
use crate::check::{Check, Probe, WiringProbe};
use crate::declared::Server;

impl List<'_> {
    /// A line for each server.
    pub(super) fn wiring(&self) -> Vec<Check> {
        let servers = self.zone.servers();
        let line = |id, read_only, probe| check(id, title(read_only), &["BZ-22"], probe);
        if servers.is_empty() {
            let id = "wiring".to_owned();
            return vec![line(id, self.zone.standby(), self.no_database())];
        }
        let of = |server: &Server<'_>| {
            let name = server.resource.address.name.as_str();
            let id = several("wiring", name, servers.len() > 1);
            let probe = self.wired(server).unwrap_or_else(Probe::Missing);
            line(id, server.read_only, probe)
        };
        servers.iter().map(of).collect()
    }

    fn wired(&self, server: &Server<'_>) -> Result<Probe, String> {
        let address = &server.resource.address;
        let access = self.zone.access(server.resource)?;
        let host = access.host.ok_or_else(|| {
            format!("no Secret beside the password of {address} says where the server is")
        })?;
        let record = self.zone.inputs.state.record(address);
        let record = record.ok_or_else(|| format!("{address} is not recorded yet: apply first"))?;
        let names = ["private_host", "host"];
        let names = names.map(|output| record.outputs.get(output).and_then(|h| h.as_str()));
        let port = record.outputs.get("port").and_then(|p| p.as_i64());
        let mut hosts = BTreeSet::new();
        for name in names.into_iter().flatten() {
            hosts.insert(name.to_owned());
            hosts.extend(port.map(|port| format!("{name}:{port}")));
        }
        let app = self.application(&self.zone.passwords(server.resource));
        let runs = app.filter(|app| app.body["spec"]["replicas"].as_u64() != Some(0));
        let service = runs.and_then(|app| self.zone.service_of(app));
        Ok(Probe::Wiring(WiringProbe {
            server: address.to_string(),
            host,
            hosts,
            app: service.map(|service| (service, self.public_name())),
            read_only: server.read_only,
        }))
    }
}

fn title(read_only: bool) -> &'static str {
    match read_only {
        true => "the application is wired to the zone's own database and stops writes",
        false => "the application is wired to the zone's own database and takes writes",
    }
}
