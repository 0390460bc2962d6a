//! OTLP over gRPC. The messages are encoded already, so a call is one framed body over tonic's channel: nothing is encoded again or copied.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, header};
use tonic::body::Body;
use tonic::client::GrpcService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};
use tonic::{Code, Status};

use super::USER_AGENT;
use crate::deliver::body::{self, Frames};
use crate::deliver::error::{TransportError, read};
use crate::deliver::outcome::{Outcome, causes};
use crate::deliver::signal::Signal;
use crate::otlp::answer::{self, Partial};
use crate::settings::{Compression, Endpoint};

/// Number of bytes before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// The gRPC transport of one signal.
#[derive(Debug)]
pub(crate) struct Grpc {
    channel: Channel,
    uri: Uri,
    headers: HeaderMap,
    timeout: Duration,
    gzip: bool,
}

// === impl Grpc ===

impl Grpc {
    /// Creates a transport that connects at first use. Must be called within a tokio runtime.
    pub(crate) fn new(endpoint: &Endpoint, signal: Signal) -> Result<Self, TransportError> {
        let failed = |error: tonic::transport::Error| TransportError::Client(causes(&error));
        let mut target = Channel::from_shared(endpoint.url.clone())
            .map_err(|error| TransportError::Client(error.to_string()))?
            .user_agent(USER_AGENT)
            .map_err(failed)?
            .connect_timeout(endpoint.timeout)
            .tcp_nodelay(true);
        if endpoint.url.starts_with("https://") {
            let mut tls = ClientTlsConfig::new();
            tls = match &endpoint.certificate {
                Some(path) => tls.ca_certificate(Certificate::from_pem(read(path)?)),
                None => tls.with_native_roots(),
            };
            if let Some((certificate, key)) = &endpoint.client {
                tls = tls.identity(Identity::from_pem(read(certificate)?, read(key)?));
            }
            target = target.tls_config(tls).map_err(failed)?;
        }
        let path = signal.grpc_path();
        let uri = Uri::try_from(path).map_err(|error| TransportError::Client(error.to_string()))?;
        let gzip = endpoint.compression == Compression::Gzip;
        Ok(Self { channel: target.connect_lazy(), uri, headers: headers(endpoint, gzip)?, timeout: endpoint.timeout, gzip })
    }

    pub(crate) async fn attempt(&self, frames: &[Bytes]) -> Outcome {
        match tokio::time::timeout(self.timeout, self.call(frames)).await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::Later { reason: "no answer in time".to_owned(), after: None },
        }
    }

    async fn call(&self, frames: &[Bytes]) -> Outcome {
        let length = frames.iter().map(Bytes::len).sum::<usize>();
        let mut prefix = BytesMut::with_capacity(PREFIX);
        prefix.put_u8(u8::from(self.gzip));
        prefix.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
        let body = Frames::new(std::iter::once(prefix.freeze()).chain(frames.iter().cloned()));
        let mut request = Request::new(Body::new(body));
        *request.method_mut() = http::Method::POST;
        *request.version_mut() = http::Version::HTTP_2;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();

        let mut channel = self.channel.clone();
        if let Err(error) = std::future::poll_fn(|context| channel.poll_ready(context)).await {
            return Outcome::Unreachable(causes(&error));
        }
        let response = match channel.call(request).await {
            Ok(response) => response,
            Err(error) => return Outcome::Unreachable(causes(&error)),
        };
        if let Some(status) = Status::from_header_map(response.headers()) {
            return judge(&status, &[]);
        }
        let content_type =
            response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !response.status().is_success() || !content_type.starts_with("application/grpc") {
            let what = if content_type.is_empty() { String::new() } else { format!(" with {content_type}") };
            return Outcome::Refused(format!(
                "{}{what}; does this port speak gRPC? Else set the protocol to http/protobuf",
                response.status()
            ));
        }
        match body::read(response.into_body()).await {
            // The answer is longer than any may be: the trailers after it are not waited for.
            Ok((None, _)) => Outcome::Taken(Partial::default()),
            Ok((Some(data), trailers)) => match trailers.as_ref().and_then(Status::from_header_map) {
                Some(status) => judge(&status, data.get(PREFIX..).unwrap_or_default()),
                None => Outcome::Unreachable("the answer ended without a status".to_owned()),
            },
            Err(status) => judge(&status, &[]),
        }
    }
}

/// Returns the outcome of a request by its status: the codes that may be retried are those of the specification.
fn judge(status: &Status, response: &[u8]) -> Outcome {
    let reason = match status.message() {
        "" => format!("{:?}", status.code()),
        message => format!("{:?}: {message}", status.code()),
    };
    let after = answer::retry_delay(status.details());
    match status.code() {
        // The server's method has answered OK: no other content of the answer is a reason to send the rows again.
        Code::Ok => Outcome::Taken(answer::partial_success(response).unwrap_or_default()),
        Code::ResourceExhausted | Code::OutOfRange | Code::InvalidArgument if is_too_large(status.message()) => {
            Outcome::TooLarge(reason)
        }
        Code::ResourceExhausted if after.is_none() => Outcome::Refused(reason),
        Code::ResourceExhausted
        | Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => Outcome::Later { reason, after },
        _ => Outcome::Refused(reason),
    }
}

/// Whether a server rejected a message for its length; there is no code for it. Matches the messages of grpc-go, grpc-java, C++ and tonic.
fn is_too_large(message: &str) -> bool {
    ["larger than max", "exceeds maximum size", "message length too large", "Max message size"]
        .iter()
        .any(|words| message.contains(words))
}

fn headers(endpoint: &Endpoint, gzip: bool) -> Result<HeaderMap, TransportError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &endpoint.headers {
        let name = HeaderName::try_from(name).map_err(|_| TransportError::Header(name.clone()))?;
        let mut value = HeaderValue::try_from(value).map_err(|_| TransportError::Header(name.to_string()))?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    let milliseconds = format!("{}m", endpoint.timeout.as_millis().min(99_999_999));
    headers.insert("grpc-timeout", HeaderValue::try_from(milliseconds).unwrap_or(HeaderValue::from_static("10S")));
    if gzip {
        headers.insert("grpc-encoding", HeaderValue::from_static("gzip"));
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_that_is_full_is_asked_again_only_if_it_says_when() {
        assert!(matches!(judge(&Status::resource_exhausted("full"), &[]), Outcome::Refused(_)));
        let retry_info =
            [&[0x1a, 48, 0x0a, 40][..], b"type.googleapis.com/google.rpc.RetryInfo", &[0x12, 4, 0x0a, 2, 0x08, 9]].concat();
        let status = Status::with_details(Code::ResourceExhausted, "full", retry_info.into());
        let after = Some(Duration::from_secs(9));
        assert_eq!(judge(&status, &[]), Outcome::Later { reason: "ResourceExhausted: full".into(), after });
    }

    #[test]
    fn a_message_that_is_too_long_is_told_from_a_collector_that_is_full() {
        for (code, message) in [
            (Code::ResourceExhausted, "grpc: received message larger than max (5000000 vs. 4194304)"),
            (Code::ResourceExhausted, "gRPC message exceeds maximum size 4194304: 5000000"),
            (Code::OutOfRange, "Error, decoded message length too large: found 5000000 bytes, the limit is: 4194304 bytes"),
        ] {
            assert!(matches!(judge(&Status::new(code, message), &[]), Outcome::TooLarge(_)), "{message}");
        }
    }

    #[test]
    fn the_codes_of_the_specification_are_tried_again_and_no_others() {
        for code in (0..=16).map(Code::from_i32) {
            let again = matches!(judge(&Status::new(code, ""), &[]), Outcome::Later { .. });
            let expected = matches!(
                code,
                Code::Cancelled
                    | Code::DeadlineExceeded
                    | Code::Aborted
                    | Code::OutOfRange
                    | Code::Unavailable
                    | Code::DataLoss
            );
            assert_eq!(again, expected, "{code:?}");
        }
    }
}
