//! The authoritative servers of a domain, asked directly: what caches still say is no evidence.

use std::net::{IpAddr, SocketAddr};

use futures::future::{join_all, try_join_all};
use hickory_resolver::TokioResolver;
use hickory_resolver::proto::op::{Message, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;
use zonewright_engine::check::{DnsAnswer, DnsAsk};
use zonewright_engine::provider::{ErrorClass, ProviderError};

use super::{CONNECT, failed};

/// The addresses of a server that are tried: more would take longer than a probe may.
const TRIED: usize = 2;

/// A name server and where it is.
#[derive(Debug, Clone)]
struct Server {
    name: String,
    addresses: Vec<SocketAddr>,
}

/// Asks for every name at every authoritative server: one that has fallen behind misleads whoever asks it.
pub(super) async fn ask(
    asks: &[DnsAsk],
    at: &[SocketAddr],
) -> Result<Vec<DnsAnswer>, ProviderError> {
    let answers = try_join_all(asks.iter().map(|ask| everywhere(ask, at))).await?;
    Ok(answers.into_iter().flatten().collect())
}

async fn everywhere(ask: &DnsAsk, at: &[SocketAddr]) -> Result<Vec<DnsAnswer>, ProviderError> {
    let given = |address: &SocketAddr| Server {
        name: address.to_string(),
        addresses: vec![*address],
    };
    let servers = match at {
        [] => servers(&ask.zone).await?,
        given_ones => given_ones.iter().map(given).collect(),
    };
    if servers.is_empty() {
        return Err(failed(format!("{} has no name servers", ask.zone)));
    }
    Ok(join_all(servers.into_iter().map(|server| one(ask, server))).await)
}

/// What a server says, under the first of its addresses that answers.
async fn one(ask: &DnsAsk, server: Server) -> DnsAnswer {
    let mut answers = Err("it has no address".to_owned());
    for address in server.addresses {
        answers = question(ask, address).await.map_err(|e| e.message);
        if answers.is_ok() {
            break;
        }
    }
    DnsAnswer {
        ask: ask.clone(),
        server: server.name,
        answers,
    }
}

/// The name servers of a domain and their addresses, from the system's resolver.
async fn servers(zone: &str) -> Result<Vec<Server>, ProviderError> {
    let no = |e: &dyn std::fmt::Display| failed(format!("the name servers of {zone}: {e}"));
    let builder = TokioResolver::builder_tokio().map_err(|e| no(&e))?;
    let resolver = builder.build().map_err(|e| no(&e))?;
    let found = resolver.lookup(format!("{zone}."), RecordType::NS).await;
    let found = found.map_err(|e| no(&e))?;
    let names = found.answers().iter().filter_map(|r| match &r.data {
        RData::NS(name) => Some(name.0.clone()),
        _ => None,
    });
    Ok(join_all(names.map(|name| located(&resolver, name))).await)
}

/// One that has no address is a server that does not answer, and not the end of all others.
async fn located(resolver: &TokioResolver, name: Name) -> Server {
    let found = resolver.lookup_ip(name.clone()).await;
    let mut addresses: Vec<IpAddr> = found.map(|f| f.iter().collect()).unwrap_or_default();
    // Not every place has the newer protocol.
    addresses.sort_by_key(|ip| ip.is_ipv6());
    addresses.truncate(TRIED);
    let at = |ip| SocketAddr::new(ip, 53);
    Server {
        name: name.to_string(),
        addresses: addresses.into_iter().map(at).collect(),
    }
}

async fn question(ask: &DnsAsk, server: SocketAddr) -> Result<Vec<String>, ProviderError> {
    let bad = |_| ProviderError::new(ErrorClass::Invalid, format!("{} is no name", ask.name));
    let name = Name::from_ascii(format!("{}.", ask.name.trim_end_matches('.'))).map_err(bad)?;
    let record: RecordType = ask
        .record
        .parse()
        .map_err(|_| failed("an unknown record type"))?;
    let mut message = Message::query();
    message.metadata.recursion_desired = false;
    message.add_query(Query::query(name.clone(), record));
    let bytes = message.to_vec().map_err(|e| failed(e.to_string()))?;
    let silent = |_| {
        let message = format!("{server} does not answer within {} s", CONNECT.as_secs());
        ProviderError::new(ErrorClass::Unreachable, message)
    };
    let lost = |e: std::io::Error| failed(format!("{server}: {e}"));
    let udp = timeout(CONNECT, over_udp(server, &bytes))
        .await
        .map_err(silent)?;
    let mut reply = parse(&udp.map_err(lost)?, &message)?;
    if reply.metadata.truncation {
        let tcp = timeout(CONNECT, over_tcp(server, &bytes))
            .await
            .map_err(silent)?;
        reply = parse(&tcp.map_err(lost)?, &message)?;
    }
    match reply.metadata.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain => {}
        code => return Err(failed(format!("{server} answers {code} for {}", ask.name))),
    }
    if !reply.metadata.authoritative {
        return Err(failed(format!("{server} is no authority for {}", ask.name)));
    }
    let own = reply
        .answers
        .iter()
        .filter(|r| r.name == name && r.record_type() == record);
    let mut answers: Vec<String> = own.map(|r| r.data.to_string()).collect();
    answers.sort();
    Ok(answers)
}

fn parse(bytes: &[u8], asked: &Message) -> Result<Message, ProviderError> {
    let reply = Message::from_vec(bytes).map_err(|e| failed(e.to_string()))?;
    if reply.metadata.id != asked.metadata.id || reply.queries != asked.queries {
        return Err(failed("an answer to another question"));
    }
    Ok(reply)
}

async fn over_udp(server: SocketAddr, question: &[u8]) -> std::io::Result<Vec<u8>> {
    let any: SocketAddr = if server.is_ipv4() {
        ([0, 0, 0, 0], 0).into()
    } else {
        ([0u16; 8], 0).into()
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut reply = vec![0; 4096];
    let length = socket.recv(&mut reply).await?;
    reply.truncate(length);
    Ok(reply)
}

async fn over_tcp(server: SocketAddr, question: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(question.len()).map_err(std::io::Error::other)?;
    stream.write_all(&length.to_be_bytes()).await?;
    stream.write_all(question).await?;
    let length = stream.read_u16().await?;
    let mut reply = vec![0; usize::from(length)];
    stream.read_exact(&mut reply).await?;
    Ok(reply)
}
