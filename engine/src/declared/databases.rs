//! Database servers, their users, and the Secrets by which programs reach them: from a server, through the
//! users that are its own or its source's, to the Secrets of one namespace.

use std::collections::BTreeSet;

use super::{Declared, Entry, Object, Source, target};
use crate::address::Address;
use crate::config::Resource;
use crate::plan::roles::is_promoted;
use crate::schema::Part;

/// A database server of a zone.
pub(crate) struct Server<'a> {
    pub(crate) resource: &'a Resource,
    /// Whether it follows another one. One that was promoted does not.
    pub(crate) follows: bool,
    /// Whether it must take no writes: one that follows, in a zone that stands by, and the writer of a zone that
    /// served before. One that was promoted is about to serve.
    pub(crate) read_only: bool,
}

/// The entries of one namespace's Secrets by which its programs reach a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Access {
    /// The user's name.
    pub(crate) user: Entry,
    /// The password.
    pub(crate) password: Entry,
    /// The CA certificate.
    pub(crate) ca: Entry,
    /// Host and port, if they are there.
    pub(crate) host: Option<Entry>,
}

impl<'a> Declared<'a> {
    /// The zone's database servers.
    pub(crate) fn servers(&self) -> Vec<Server<'a>> {
        let replicas = self.parts(Part::Replica).map(|resource| Server {
            resource,
            follows: !is_promoted(resource),
            read_only: self.standby() && !is_promoted(resource),
        });
        let writers = self.parts(Part::Writer).map(|resource| Server {
            resource,
            follows: false,
            read_only: self.standby(),
        });
        replicas.chain(writers).collect()
    }

    /// The users of a server; a replica has those of its source.
    fn users(&self, server: &Resource) -> Vec<&'a Address> {
        let source = target(server, "source");
        let own = |r: &&Resource| {
            let of = target(r, "cluster");
            of.is_some() && (of == Some(&server.address) || of == source)
        };
        let inputs = self.inputs;
        let all = inputs.config.resources.values();
        let users =
            all.filter(|r| inputs.registry.part(&r.address.kind) == Some(Part::DatabaseUser));
        users.filter(own).map(|r| &r.address).collect()
    }

    /// How programs of the zone reach a server: all entries are of one user, one server and one namespace.
    /// A namespace that also has the host comes first.
    pub(crate) fn access(&self, server: &Resource) -> Result<Access, String> {
        let sources = self.sources();
        let users = self.users(server);
        if users.is_empty() {
            return Err(format!("the spec has no user of {}", server.address));
        }
        let namespaces: BTreeSet<&str> =
            sources.iter().map(|s| s.entry.namespace.as_str()).collect();
        let mut found: Vec<Access> = Vec::new();
        for user in users {
            for namespace in &namespaces {
                let near = || sources.iter().filter(|s| s.entry.namespace == *namespace);
                found.extend(access(near, user, &server.address));
            }
        }
        // A stable order keeps the first.
        found.sort_by_key(|a| a.host.is_none());
        found.into_iter().next().ok_or_else(|| {
            format!(
                "no namespace of the zone has Secrets whose entries are the name and the password of a \
                 user of {0}, and the CA of {0}",
                server.address
            )
        })
    }

    /// The Secrets that hold a password of a server's users: namespace and name.
    pub(crate) fn passwords(&self, server: &Resource) -> BTreeSet<(String, String)> {
        let users = self.users(server);
        let holds = |s: &Source<'_>| users.iter().any(|user| s.holds(user, "password"));
        let found = self.sources().into_iter().filter(holds);
        found.map(|s| (s.entry.namespace, s.entry.secret)).collect()
    }

    /// Whether a workload's pods take one of these Secrets.
    pub(crate) fn takes(
        &self,
        workload: &Object<'_>,
        secrets: &BTreeSet<(String, String)>,
    ) -> bool {
        let provider = workload.resource.address.kind.provider();
        let provider = self.inputs.registry.provider(provider);
        let Some(rules) = provider.and_then(|p| p.objects) else {
            return false;
        };
        let needs = (rules.needs)(&workload.value);
        let mut taken = needs.into_iter().filter(|need| need.kind == "Secret");
        taken.any(|need| secrets.contains(&(workload.namespace().to_owned(), need.name)))
    }
}

fn access<'s, I: Iterator<Item = &'s Source<'s>>>(
    near: impl Fn() -> I,
    user: &Address,
    server: &Address,
) -> Option<Access> {
    let is = |of: &Address, output: &str| {
        let found = near().find(|s| s.is(of, output));
        found.map(|s| s.entry.clone())
    };
    // With its port it is no longer the output alone.
    let host = |output: &str| {
        let found = near().find(|s| s.holds(server, output));
        found.map(|s| s.entry.clone())
    };
    Some(Access {
        user: is(user, "name")?,
        password: is(user, "password")?,
        ca: is(server, "ca")?,
        host: host("private_host").or_else(|| host("host")),
    })
}
