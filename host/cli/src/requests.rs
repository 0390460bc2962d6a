//! `host requests`: the requests to the services of this node, and their outcome.

use std::collections::BTreeMap;
use std::time::Duration;

use host_api::{GetRequests, Request};

use crate::args::{Format, RequestsArgs, RoleArg};
use crate::ask;
use crate::exit::Done;
use crate::output::{self, nanos};
use crate::printable::clipped;
use crate::redraw;

/// Interval of `--watch`.
const EVERY: Duration = Duration::from_secs(1);
/// Columns of the table if there is no terminal.
const WIDTH: usize = 80;

/// The requests of one process in one role.
#[derive(Debug)]
pub(crate) struct Service<'a> {
    /// The heading: `nginx:80  http server`.
    pub(crate) name: String,
    pub(crate) count: u64,
    /// Its requests, the most frequent first.
    pub(crate) requests: Vec<&'a Request>,
}

/// `host requests`
pub(crate) async fn requests(args: RequestsArgs) -> Done {
    let RequestsArgs { watch, protocol, role, limit, data } = args;
    let client = ask::client(data.socket);
    let role = role.map(|role| match role {
        RoleArg::Server => "server",
        RoleArg::Client => "client",
    });
    let mut drawn = 0;
    loop {
        let mut requests = ask::answer(client.call(&GetRequests)).await?;
        requests.retain(|request| {
            let of_protocol = protocol.as_ref().is_none_or(|protocol| request.protocol == *protocol);
            of_protocol && role.is_none_or(|role| request.role == role)
        });
        requests.truncate(limit.unwrap_or(usize::MAX));
        match (data.format.format, watch) {
            (Format::Json, false) => output::print_json(&requests)?,
            // One line per interval, so that a program can parse them as a stream.
            (Format::Json, true) => output::print(&output::json_line(&requests)?)?,
            (Format::Table, watch) => {
                drawn = redraw::draw(&table(&requests, redraw::width().unwrap_or(WIDTH)), drawn, !watch)?;
            }
        }
        if !watch {
            return Ok(());
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Groups the requests by service, the busiest first.
pub(crate) fn services(requests: &[Request]) -> Vec<Service<'_>> {
    let mut services: BTreeMap<_, Vec<&Request>> = BTreeMap::new();
    for request in requests {
        let key = (&request.comm, request.server_port, &request.protocol, &request.role);
        services.entry(key).or_default().push(request);
    }
    let mut services: Vec<_> = services.into_values().map(Service::of).collect();
    services.sort_by_key(|service| std::cmp::Reverse(service.count));
    services
}

// === impl Service ===

impl<'a> Service<'a> {
    fn of(requests: Vec<&'a Request>) -> Self {
        let name = requests.first().map_or_else(String::new, |of| {
            let comm = if of.comm.is_empty() { "-" } else { &of.comm };
            format!("{}:{}  {} {}", clipped(comm, 24), of.server_port, clipped(&of.protocol, 24), of.role)
        });
        let count = requests.iter().map(|request| request.count).sum();
        Self { name: name.trim_end().to_owned(), count, requests }
    }
}

/// Formats all requests: a heading for each service, and a line for each kind of request below it.
pub(crate) fn table(requests: &[Request], width: usize) -> String {
    if requests.is_empty() {
        return "no requests yet\n".to_owned();
    }
    let mut text = line(&["METHOD", "ROUTE", "STATUS", "COUNT", "ERRORS", "P50", "P99"].map(str::to_owned), width);
    for service in services(requests) {
        text.push_str(&service.name);
        text.push('\n');
        for request in service.requests {
            let numbers = [request.count.to_string(), request.errors.to_string(), nanos(request.p50_ns), nanos(request.p99_ns)];
            text.push_str(&line(&told(request, numbers), width));
        }
    }
    text
}

/// Returns the cells of a request: the fields that distinguish it within its service, then the numbers.
pub(crate) fn told(request: &Request, numbers: [String; 4]) -> [String; 7] {
    let [count, errors, p50, p99] = numbers;
    let word = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    [word(&request.method), word(&request.route), word(&request.status), count, errors, p50, p99]
}

/// Formats one line; the route gets the rest of the width, within bounds.
pub(crate) fn line(cells: &[String; 7], width: usize) -> String {
    /// Columns of all cells but the route, with the spaces between them.
    const REST: usize = 2 + 10 + 11 + 10 + 8 + 9 + 9;
    let [method, route, status, count, errors, p50, p99] = cells;
    let room = width.saturating_sub(REST).clamp(8, 60);
    let (method, route, status) = (clipped(method, 9), clipped(route, room), clipped(status, 10));
    let text = format!("  {method:<9} {route:<room$} {status:<10}{count:>10}{errors:>8}{p50:>9}{p99:>9}");
    text.trim_end().to_owned() + "\n"
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn request(comm: &str, role: &str, method: &str, route: &str, status: &str, count: u64) -> Request {
        Request {
            protocol: "http".into(),
            role: role.into(),
            comm: comm.into(),
            server_port: 80,
            method: method.into(),
            route: route.into(),
            status: status.into(),
            count,
            errors: if status == "500" { count } else { 0 },
            p50_ns: 412_300,
            p99_ns: 9_000_000,
        }
    }

    #[test]
    fn requests_stand_below_their_service_in_80_columns() {
        let requests = [
            request("nginx", "server", "GET", "/users/{id}", "200", 1_234_567_890),
            request("curl", "client", "GET", "/", "200", 40),
            request("nginx", "server", "GET", "/a/route/that/is/longer/than/its/room", "500", 30),
            request("ng\x1b[2J", "server", "", "", "DEADLINE_EXCEEDED", 3),
        ];
        let expected = "  METHOD    ROUTE                 STATUS         COUNT  ERRORS      P50      P99
nginx:80  http server
  GET       /users/{id}           200       1234567890       0 412.3 us   9.0 ms
  GET       /a/route/that/is/lon… 500               30      30 412.3 us   9.0 ms
curl:80  http client
  GET       /                     200               40       0 412.3 us   9.0 ms
ng\u{fffd}[2J:80  http server
  -         -                     DEADLINE_…         3       0 412.3 us   9.0 ms
";
        assert_eq!(table(&requests, 80), expected);
        assert!(table(&requests, 80).lines().all(|line| line.chars().count() <= 80));
        assert!(table(&requests, 120).contains("/a/route/that/is/longer/than/its/room"));
        assert_eq!(table(&[], 80), "no requests yet\n");
    }
}
