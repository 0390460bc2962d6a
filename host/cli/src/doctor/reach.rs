//! Files and peers of the host: its configuration, its state folder, its control socket, its collector.

use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use host_api::{Client, ClientError, GetStatus, default_socket};
use host_daemon::config::Config;

use super::{Finding, state};
use crate::args::DoctorArgs;
use crate::output::since;

/// Maximum time to connect: a slower collector would delay every request.
const PATIENCE: Duration = Duration::from_secs(2);

/// Checks the configuration, the state folder, the socket and the collector.
pub(super) async fn findings(args: &DoctorArgs) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut configured = None;
    if let Some(file) = &args.config {
        match Config::load(file) {
            Ok(config) => {
                findings.push(Finding::ok("config", file.display().to_string()));
                configured = Some(config);
            }
            Err(error) => {
                findings.push(Finding::fault("config", error.to_string(), "`host config schema` prints what it may say"))
            }
        }
    }
    findings.extend(state::findings(args.state_dir.clone(), configured.as_ref()));
    let socket = args.socket.socket.clone();
    let socket = socket.or_else(|| configured.as_ref()?.socket.clone()).unwrap_or_else(default_socket);
    findings.push(daemon(&Client::new(socket)).await);
    let endpoint = args.otlp_endpoint.clone();
    let endpoint = endpoint
        .or_else(|| configured.as_ref()?.export.endpoint.clone())
        .or_else(|| std::env::var("OTEL_EXPORTER_OTLP_ENDPOINT").ok().filter(|url| !url.is_empty()));
    findings.push(match endpoint {
        Some(endpoint) => tokio::task::spawn_blocking(move || collector(&endpoint)).await.unwrap_or_else(|error| {
            Finding::note("collector", format!("the check ended early: {error}"), "run `host doctor` again")
        }),
        None => Finding::note(
            "collector",
            "none configured: events go to the screen",
            "--otlp-endpoint URL, OTEL_EXPORTER_OTLP_ENDPOINT, or `endpoint` under [export]",
        ),
    });
    findings
}

async fn daemon(client: &Client) -> Finding {
    let place = client.socket().display();
    match client.call(&GetStatus).await {
        Ok(status) if status.balanced => {
            Finding::ok("running host", format!("{} at {place}, up {}, balanced", status.version, since(status.uptime_ms)))
        }
        Ok(status) => Finding::fault(
            "running host",
            format!("{} at {place}: a ledger does not balance", status.version),
            "`host status` says where; please report it",
        ),
        Err(error @ ClientError::NoDaemon { .. }) => no_daemon(client.socket(), &error),
        Err(error) => Finding::fault("running host", error.to_string(), error.cure()),
    }
}

/// No fault if no daemon runs; a fault if one runs and cannot be reached.
fn no_daemon(socket: &Path, error: &ClientError) -> Finding {
    match error {
        ClientError::NoDaemon { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
            Finding::fault("running host", error.to_string(), error.cure())
        }
        _ => Finding::note("running host", format!("none at {}", socket.display()), "`host run` starts one"),
    }
}

/// Checks whether the collector's address accepts connections.
fn collector(endpoint: &str) -> Finding {
    let Some(address) = address(endpoint) else {
        return Finding::fault(
            "collector",
            format!("{endpoint:?} is not a URL"),
            "write scheme, host and port, such as http://localhost:4317",
        );
    };
    let addresses = match address.to_socket_addrs() {
        Ok(addresses) => addresses,
        Err(error) => {
            return Finding::fault(
                "collector",
                format!("{endpoint}: {error}"),
                "check the name; `getent hosts NAME` should know it",
            );
        }
    };
    let mut refusal = "the name has no address".to_owned();
    for address in addresses {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(_) => return Finding::ok("collector", format!("{endpoint} accepts connections at {address}")),
            Err(error) => refusal = format!("{address}: {error}"),
        }
    }
    Finding::fault(
        "collector",
        format!("{endpoint} cannot be reached: {refusal}"),
        "start it, or open the port; OTLP listens on 4317 (grpc) and 4318 (http/protobuf)",
    )
}

/// Returns `host:port` of a URL; the default port is that of the scheme, for plain http that of OTLP over gRPC.
fn address(endpoint: &str) -> Option<String> {
    let (scheme, rest) = endpoint.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next().filter(|authority| !authority.is_empty())?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let has_port = host.rsplit_once(':').is_some_and(|(name, port)| !name.is_empty() && port.parse::<u16>().is_ok());
    match scheme {
        _ if has_port => Some(host.to_owned()),
        "https" => Some(format!("{host}:443")),
        "http" => Some(format!("{host}:80")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn the_address_of_a_collector_is_read_from_its_url() {
        assert_eq!(address("http://localhost:4317").as_deref(), Some("localhost:4317"));
        assert_eq!(address("https://user:key@otel.example/v1/traces").as_deref(), Some("otel.example:443"));
        assert_eq!(address("http://[::1]:4318/").as_deref(), Some("[::1]:4318"));
        assert_eq!(address("localhost:4317"), None);
    }

    #[test]
    fn a_collector_that_listens_is_found_and_one_that_does_not_is_a_fault() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        assert_eq!(collector(&endpoint).verdict, Verdict::Ok);
        drop(listener);
        assert_eq!(collector(&endpoint).verdict, Verdict::Fault);
        assert_eq!(collector("nonsense").verdict, Verdict::Fault);
    }
}
