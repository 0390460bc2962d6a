//! OTLP over TLS: a private authority, and certificates on both sides.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use host_export::{Endpoint, ExportSettings, OtlpSettings, Protocol};
use host_model::DeliveryCounters;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

use crate::collector::{exporter, until};
use crate::rows::spans;

/// Certificates of one authority, in files as an operator has them.
struct Papers {
    folder: tempfile::TempDir,
}

impl Papers {
    fn new() -> Self {
        let papers = Self { folder: tempfile::tempdir().unwrap() };
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        papers.write("ca.pem", &authority.pem());
        for (name, of) in [("server", "localhost"), ("client", "host")] {
            let key = KeyPair::generate().unwrap();
            let certificate = CertificateParams::new(vec![of.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
            papers.write(&format!("{name}.pem"), &certificate.pem());
            papers.write(&format!("{name}.key"), &key.serialize_pem());
        }
        papers
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    fn settings(&self, port: u16, protocol: Protocol) -> ExportSettings {
        let mut traces = Endpoint::new(format!("https://localhost:{port}"), protocol);
        traces.certificate = Some(self.path("ca.pem"));
        traces.client = Some((self.path("client.pem"), self.path("client.key")));
        let otlp = OtlpSettings { traces: Some(traces), ..OtlpSettings::default() };
        ExportSettings { otlp: Some(otlp), ..ExportSettings::default() }
    }

    /// Starts a collector that accepts every request of a client that the authority knows.
    async fn http_collector(&self) -> u16 {
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&self.read("ca.pem")).unwrap()).unwrap();
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
        let certificate = CertificateDer::from_pem_slice(&self.read("server.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_slice(&self.read("server.key")).unwrap();
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_client_cert_verifier(clients).with_single_cert(vec![certificate], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(stream) = acceptor.accept(stream).await else { continue };
                let mut stream = BufReader::new(stream);
                let (mut line, mut length) = (String::new(), 0);
                while stream.read_line(&mut line).await.unwrap_or(0) > 2 {
                    let header = std::mem::take(&mut line).to_lowercase();
                    length = header.strip_prefix("content-length:").map_or(length, |value| value.trim().parse().unwrap());
                }
                stream.read_exact(&mut vec![0; length]).await.unwrap();
                stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").await.unwrap();
                stream.shutdown().await.unwrap_or_default();
            }
        });
        port
    }

    async fn grpc_collector(&self) -> u16 {
        let identity = Identity::from_pem(self.read("server.pem"), self.read("server.key"));
        let tls = ServerTlsConfig::new().identity(identity).client_ca_root(Certificate::from_pem(self.read("ca.pem")));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Server::builder().tls_config(tls).unwrap().add_service(TraceServiceServer::new(Takes));
        tokio::spawn(server.serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener)));
        port
    }
}

struct Takes;

#[tonic::async_trait]
impl TraceService for Takes {
    async fn export(&self, _: Request<ExportTraceServiceRequest>) -> Result<Response<ExportTraceServiceResponse>, Status> {
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tokio::test]
async fn with_certificates_on_both_sides_rows_arrive() {
    let papers = Papers::new();
    let ports = [(papers.http_collector().await, Protocol::Http), (papers.grpc_collector().await, Protocol::Grpc)];
    for (port, protocol) in ports {
        let exporter = exporter(papers.settings(port, protocol));
        let counters = Arc::<DeliveryCounters>::default();
        exporter.sink("file", Arc::clone(&counters)).write(&spans(10));
        exporter.drain(Duration::from_secs(10)).await;
        assert_eq!(counters.exported.load(Relaxed), 10, "{protocol:?}: {:?}", exporter.status().last_error);
    }
}

#[tokio::test]
async fn a_collector_of_another_authority_gets_nothing_and_the_reason_is_told() {
    let (papers, others) = (Papers::new(), Papers::new());
    let ports = [(papers.http_collector().await, Protocol::Http), (papers.grpc_collector().await, Protocol::Grpc)];
    for (port, protocol) in ports {
        let exporter = exporter(others.settings(port, protocol));
        let counters = Arc::<DeliveryCounters>::default();
        exporter.sink("file", Arc::clone(&counters)).write(&spans(10));
        until("an attempt fails", || exporter.status().last_error.is_some()).await;
        let error = exporter.status().last_error.unwrap();
        assert!(error.contains("certificate"), "{protocol:?}: {error}");
        exporter.drain(Duration::from_millis(1)).await;
        assert_eq!(counters.exported.load(Relaxed), 0);
    }
}

#[tokio::test]
async fn a_file_that_holds_no_certificate_is_refused_at_start() {
    let papers = Papers::new();
    papers.write("ca.pem", "-----BEGIN CERTIFICATE-----\nnot base64\n-----END CERTIFICATE-----\n");
    for protocol in [Protocol::Http, Protocol::Grpc] {
        let runtime = tokio::runtime::Handle::current();
        let started = host_export::Exporter::start(papers.settings(1, protocol), host_export::Output::None, &runtime);
        assert!(started.is_err(), "{protocol:?}");
    }
}
