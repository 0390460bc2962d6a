//! OTLP over HTTP with protobuf bodies.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use reqwest::{Client, redirect};

use super::USER_AGENT;
use crate::deliver::body::{self, Frames};
use crate::deliver::error::{TransportError, read};
use crate::deliver::outcome::{Outcome, causes};
use crate::otlp::answer;
use crate::settings::{Compression, Endpoint};

/// The HTTP transport of one signal.
#[derive(Debug)]
pub(crate) struct Http {
    client: Client,
    url: String,
}

// === impl Http ===

impl Http {
    pub(crate) fn new(endpoint: &Endpoint) -> Result<Self, TransportError> {
        let mut headers = HeaderMap::new();
        for (name, value) in &endpoint.headers {
            let name = HeaderName::try_from(name).map_err(|_| TransportError::Header(name.clone()))?;
            let mut value = HeaderValue::try_from(value).map_err(|_| TransportError::Header(name.to_string()))?;
            value.set_sensitive(true);
            headers.append(name, value);
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        if endpoint.compression == Compression::Gzip {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let mut client = Client::builder()
            .default_headers(headers)
            .user_agent(USER_AGENT)
            .timeout(endpoint.timeout)
            // A redirect would send the rows, and the keys in the headers, to a host that the operator did not name.
            .redirect(redirect::Policy::none())
            .tcp_nodelay(true);
        if let Some(path) = &endpoint.certificate {
            let bundle = reqwest::Certificate::from_pem_bundle(&read(path)?);
            client = client.tls_certs_only(bundle.map_err(|error| TransportError::tls(path, &error))?);
        } else if endpoint.url.starts_with("http://") {
            // No TLS: the system's certificates are not needed.
            client = client.tls_certs_only([]);
        }
        if let Some((certificate, key)) = &endpoint.client {
            let mut pem = read(certificate)?;
            pem.push(b'\n');
            pem.extend_from_slice(&read(key)?);
            let identity = reqwest::Identity::from_pem(&pem);
            client = client.identity(identity.map_err(|error| TransportError::tls(certificate, &error))?);
        }
        let client = client.build().map_err(|error| TransportError::Client(causes(&error)))?;
        Ok(Self { client, url: endpoint.url.clone() })
    }

    pub(crate) async fn attempt(&self, frames: &[Bytes]) -> Outcome {
        let body = reqwest::Body::wrap(Frames::new(frames.iter().cloned()));
        let response = match self.client.post(&self.url).body(body).send().await {
            Ok(response) => response,
            Err(error) if error.is_builder() => return Outcome::Refused(causes(&error.without_url())),
            Err(error) if error.is_timeout() && !error.is_connect() => {
                return Outcome::Later { reason: "no answer in time".to_owned(), after: None };
            }
            Err(error) => return Outcome::Unreachable(explained(&error.without_url())),
        };
        let (status, after) = (response.status(), retry_after(response.headers()));
        let content_type = content_type(response.headers());
        let response: http::Response<reqwest::Body> = response.into();
        let read = body::read(response.into_body()).await;
        if status.is_success() {
            return match read {
                Ok((data, _)) => judge(status, &content_type, data.as_deref()),
                // The collector has accepted the request, even if its answer is incomplete.
                Err(_) => Outcome::Taken(answer::Partial::default()),
            };
        }
        let message = read.ok().and_then(|(data, _)| data).and_then(|data| answer::status_message(&data));
        let reason = match message.filter(|message| !message.is_empty()) {
            Some(message) => format!("{status}: {message}"),
            None => format!("{status}{}", hint(status)),
        };
        match status {
            StatusCode::PAYLOAD_TOO_LARGE => Outcome::TooLarge(reason),
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Outcome::Later { reason, after },
            _ => Outcome::Refused(reason),
        }
    }
}

/// Judges an answer with a success status; `data` is None if it is longer than the cap, so that its content type decides. A proxy that
/// wants a sign-in, or a web server on the collector's port, answers 200 as well, without accepting anything.
fn judge(status: StatusCode, content_type: &str, data: Option<&[u8]>) -> Outcome {
    let partial = match (content_type, data) {
        ("" | "application/x-protobuf" | "application/protobuf" | "application/octet-stream", Some(data)) => {
            answer::partial_success(data)
        }
        // An empty answer, of any content type.
        (other, Some([])) if !other.starts_with("text/html") => Some(answer::Partial::default()),
        ("application/x-protobuf" | "application/protobuf" | "application/json", None) => Some(answer::Partial::default()),
        ("application/json", Some(data)) => answer::partial_success_json(data),
        _ => None,
    };
    let Some(partial) = partial else {
        let what = if content_type.is_empty() { "something" } else { content_type };
        return Outcome::Refused(format!(
            "{status} with {what} that is not an answer of OTLP: this is not a collector, or a proxy before it; check the endpoint"
        ));
    };
    Outcome::Taken(partial)
}

/// Returns the media type of an answer, without its parameters, in lower case.
fn content_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn explained(error: &reqwest::Error) -> String {
    let text = causes(error);
    if text.contains("invalid HTTP version")
        || text.contains("http2 error")
        || text.contains("connection closed before message completed")
    {
        return format!("{text}; does this port speak gRPC? Then set the protocol to grpc");
    }
    text
}

fn hint(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "; check the headers: the collector wants a key",
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            "; check the endpoint's path: collectors listen on /v1/traces"
        }
        StatusCode::PAYLOAD_TOO_LARGE => "; raise the collector's limit on request bodies",
        status if status.is_redirection() => "; redirects are not followed: name the place it points to as the endpoint",
        _ => "",
    }
}

/// Parses `Retry-After`: seconds, or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    match value.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => Some(httpdate::parse_http_date(value).ok()?.duration_since(SystemTime::now()).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::RETRY_AFTER, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn retry_after_may_be_seconds_or_a_date() {
        assert_eq!(retry_after(&headers("17")), Some(Duration::from_secs(17)));
        assert_eq!(retry_after(&headers("Sun, 06 Nov 1994 08:49:37 GMT")), Some(Duration::ZERO));
        let wait = retry_after(&headers("Fri, 06 Nov 2189 08:49:37 GMT")).unwrap();
        assert!(wait > Duration::from_secs(86_400));
        for value in ["soon", "Sun, 06 Nov 1994 18446744073709551615:49:37 GMT", "Sun, 99 Nov 1994 08:49:37 GMT", ""] {
            assert_eq!(retry_after(&headers(value)), None, "{value}");
        }
    }

    #[test]
    fn a_success_is_one_only_with_an_answer_of_the_protocol() {
        let taken =
            |content_type: &str, data: &[u8]| matches!(judge(StatusCode::OK, content_type, Some(data)), Outcome::Taken(_));
        for content_type in ["", "application/x-protobuf", "application/json", "text/plain", "application/octet-stream"] {
            assert!(taken(content_type, b""), "{content_type}");
            assert!(!taken(content_type, b"<html>Sign in</html>"), "{content_type}");
        }
        assert!(taken("application/json", b"{}") && taken("application/x-protobuf", &[0x0a, 0]));
        assert!(!taken("text/html", b"") && !taken("text/plain", b"ok") && !taken("image/png", b"x"));
        let endless = |content_type: &str| matches!(judge(StatusCode::OK, content_type, None), Outcome::Taken(_));
        assert!(endless("application/x-protobuf") && !endless("text/html") && !endless(""));
        let Outcome::Refused(reason) = judge(StatusCode::ACCEPTED, "text/html", Some(b"x")) else { panic!() };
        assert!(reason.starts_with("202 Accepted with text/html"), "{reason}");
    }
}
