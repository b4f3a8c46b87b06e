//! A plain HTTP client, one connection per request; over TLS for clusters.

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A connection over TLS to who is vouched for by this authority.
pub(crate) async fn encrypted(address: &str, authority: &str) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_slice(authority.as_bytes()).unwrap();
    roots.add(authority).unwrap();
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let host = address.rsplit_once(':').unwrap().0.to_owned();
    let stream = TcpStream::connect(address).await.unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from(host).unwrap();
    connector.connect(name, stream).await.unwrap()
}

/// Like `send`, to `https://HOST:PORT/path`, which this authority has to vouch for.
pub(crate) async fn send_encrypted(
    authority: &str,
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> (u16, Vec<u8>) {
    let (address, path) = split(url.strip_prefix("https://").unwrap());
    let stream = encrypted(address, authority).await;
    let (status, _, body) = talk(stream, method, (address, path), headers, body).await;
    (status, body)
}

fn split(rest: &str) -> (&str, &str) {
    rest.split_at(rest.find('/').unwrap())
}

/// Sends one request to `http://HOST:PORT/path`; gives status and body.
pub(crate) async fn send(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> (u16, Vec<u8>) {
    let (status, _, body) = exchange(method, url, headers, body).await;
    (status, body)
}

/// Like `send`, with the head of the answer.
pub(crate) async fn exchange(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> (u16, String, Vec<u8>) {
    let (address, path) = split(url.strip_prefix("http://").unwrap());
    let stream = TcpStream::connect(address).await.unwrap();
    talk(stream, method, (address, path), headers, body).await
}

async fn talk(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    method: &str,
    (address, path): (&str, &str),
    headers: &[(&str, &str)],
    body: &[u8],
) -> (u16, String, Vec<u8>) {
    let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
    if !headers.iter().any(|(name, _)| *name == "host") {
        head += &format!("host: {address}\r\n");
    }
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("content-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut reply = Vec::new();
    // TLS may end without a farewell; what is missing then is missed below.
    let _ = stream.read_to_end(&mut reply).await;
    let end = reply.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(reply[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let head = head.to_lowercase();
    let body = match head.contains("transfer-encoding: chunked") {
        true => joined(&reply[end + 4..]),
        false => reply[end + 4..].to_vec(),
    };
    (status, head, body)
}

/// The text of chunks.
fn joined(mut rest: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(end) = rest.windows(2).position(|w| w == b"\r\n") {
        let size = std::str::from_utf8(&rest[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        out.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 2 + size + 2..];
        if size == 0 {
            break;
        }
    }
    out
}
