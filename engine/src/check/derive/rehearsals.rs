//! What is done rather than read: a certificate is issued, an object stored, the application started.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{DAY, List, WEEK, check, several, writing};
use crate::check::{Check, Container, Probe, SmokeProbe};
use crate::declared::{Object, record, text};

const MONTH: Duration = Duration::from_secs(30 * 86_400);

impl<'a> List<'a> {
    pub(super) fn rehearsals(&self) -> Vec<Check> {
        let title = "a certificate is issued by the staging issuer";
        let certificate = check("certificate", title, &["BZ-11"], self.certificate());
        let mut out = vec![writing(certificate, MONTH), self.media()];
        out.extend(self.smoke());
        out
    }

    fn certificate(&self) -> Probe {
        let staging = |o: &&Object<'a>| text(&o.body["spec"]["acme"]["server"]).contains("staging");
        let mut issuers = self.zone.of_kind("ClusterIssuer").peekable();
        if issuers.peek().is_none() {
            let there = self.serving.of_kind("ClusterIssuer").next().is_some();
            return self.absent("ClusterIssuer", there);
        }
        let Some(issuer) = issuers.find(staging) else {
            let why = "no ClusterIssuer of the zone has the address of an ACME staging server";
            return Probe::Missing(why.to_owned());
        };
        let inputs = self.zone.inputs;
        let domain = inputs.config.resources.values().find_map(|r| {
            let near = r.address.zone == *self.zone.zone || r.address.zone.is_edge();
            let known = record(inputs, r).filter(|_| near)?;
            known.ok().map(|r| r.zone)
        });
        let namespaces = self.zone.references("Namespace");
        match (domain, namespaces.first()) {
            (Some(domain), Some(namespace)) => Probe::Certificate {
                issuer: issuer.name().to_owned(),
                namespace: namespace.name.clone(),
                name: format!("zonewright-probe-{}.{domain}", self.zone.zone),
            },
            _ => Probe::Missing("the spec has no DNS record or no namespace".to_owned()),
        }
    }

    /// A line for each application: the workload that takes the password of a server and answers requests.
    fn smoke(&self) -> Vec<Check> {
        let servers = self.zone.servers();
        let mut apps: Vec<&Object<'a>> = Vec::new();
        let mut out = Vec::new();
        for server in &servers {
            let secrets = self.zone.passwords(server.resource);
            match self.application(&secrets) {
                Some(app) if apps.iter().any(|known| std::ptr::eq(*known, app)) => {}
                Some(app) => apps.push(app),
                None => {
                    let address = &server.resource.address;
                    let id = several("smoke", address.name.as_str(), servers.len() > 1);
                    let why = format!(
                        "no workload of the zone takes a Secret with the password of a user of {address}: \
                         the application is not known"
                    );
                    out.push(smoke(id, Probe::Missing(why)));
                }
            }
        }
        if servers.is_empty() {
            let probe = match self.no_database() {
                Probe::NotApplicable(why) => Probe::NotApplicable(format!(
                    "{why}; the application is known by the database that it takes"
                )),
                other => other,
            };
            out.push(smoke("smoke".to_owned(), probe));
        }
        let many = apps.len() + out.len() > 1;
        for app in apps {
            out.push(smoke(several("smoke", app.name(), many), self.run(app)));
        }
        out
    }

    pub(super) fn application(&self, secrets: &BTreeSet<(String, String)>) -> Option<&Object<'a>> {
        let runs = |o: &&Object<'a>| o.is("Deployment") || o.is("StatefulSet");
        let takes = || {
            let all = self.zone.objects().iter().filter(runs);
            all.filter(|o| self.zone.takes(o, secrets))
        };
        // What answers nobody, like the writer of the heartbeat, only helps the application.
        let answering = |o: &&Object<'a>| self.zone.service_of(o).is_some();
        takes().find(answering).or_else(|| takes().next())
    }

    /// Warm through its Service, cold by a Job.
    fn run(&self, app: &Object<'a>) -> Probe {
        let spec = &app.body["spec"];
        if spec["replicas"].as_u64() == Some(0) {
            return Probe::Smoke(SmokeProbe::Job(Container {
                namespace: app.namespace().to_owned(),
                pod: spec["template"]["spec"].clone(),
            }));
        }
        match self.zone.service_of(app) {
            Some(service) => Probe::Smoke(SmokeProbe::Service {
                service,
                host: self.public_name(),
            }),
            None => Probe::Missing(format!(
                "{} {}/{} runs, and no Service leads to it",
                app.kind(),
                app.namespace(),
                app.name()
            )),
        }
    }
}

fn smoke(id: String, probe: Probe) -> Check {
    let cold = matches!(probe, Probe::Smoke(SmokeProbe::Job(_)));
    let title = match cold {
        true => "a Job with the application's image, Secrets and CA reaches the database",
        false => "the application answers inside the cluster",
    };
    let rows: &[&str] = match cold {
        true => &["BZ-22", "BZ-24"],
        false => &["BZ-24"],
    };
    writing(check(id, title, rows, probe), if cold { WEEK } else { DAY })
}
