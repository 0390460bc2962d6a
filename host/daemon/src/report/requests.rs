//! The table of requests, from the metrics that the paths of protocols count: exact, because they are counted before sampling.

use std::collections::BTreeMap;

use host_api::{OTHERS, Request};
use host_model::{AttributeValue, FieldUse, Histogram, MetricPoint, PointValue, Schema, SpanKind};
use host_pipeline::Counted;

/// The fields that distinguish requests, in the order of [`Request`].
type Key = (String, String, String, u16, String, String, String);

/// Sums of requests.
#[derive(Debug, Default)]
pub(crate) struct Table(BTreeMap<Key, Sums>);

#[derive(Debug, Default)]
struct Sums {
    errors: u64,
    durations: Histogram,
    /// Nanoseconds per unit of `durations`.
    nanos: f64,
}

/// Attributes by meaning, the more specific first: a gRPC call is an HTTP request as well.
const PROTOCOL: [&str; 2] = ["rpc.system.name", "db.system.name"];
const METHOD: [&str; 5] = ["rpc.method", "http.request.method", "db.operation.name", "dns.question.type", "request.method"];
const ROUTE: [&str; 6] =
    ["rpc.service", "http.route", "db.collection.name", "db.namespace", "dns.question.name", "request.route"];
const STATUS: [&str; 5] = [
    "rpc.response.status_code",
    "http.response.status_code",
    "db.response.status_code",
    "dns.response_code",
    "response.status",
];
const COMM: [&str; 1] = ["process.executable.name"];
const PORT: [&str; 1] = ["server.port"];
const ERROR: &str = "error.type";
const OVERFLOW: &str = "otel.metric.overflow";

/// Whether the rows of a schema are exchanges of a protocol, with two ends.
pub(crate) fn is_of_protocol(schema: &Schema) -> bool {
    schema.position(FieldUse::Correlation).is_some()
}

// === impl Table ===

impl Table {
    /// Adds the metrics of a path: every distribution of its durations.
    pub(crate) fn add(&mut self, path: &str, counted: &Counted) {
        let Counted { schema, metrics } = counted;
        let (duration, kind) = (schema.position(FieldUse::Duration), schema.position(FieldUse::Kind));
        for (metric, data) in schema.metrics.iter().zip(metrics) {
            if Some(metric.value) != duration {
                continue;
            }
            let of_kind = metric.only.iter().find(|only| Some(only.field) == kind).map(|only| only.equals);
            let role = match of_kind.map(|number| SpanKind::of(number.into())) {
                Some(kind @ (SpanKind::Server | SpanKind::Client)) => kind.name(),
                _ => "",
            };
            let nanos = if data.unit == "s" { 1e9 } else { 1.0 };
            for point in &data.points {
                let PointValue::Histogram(durations) = &point.value else { continue };
                let sums = self.0.entry(key(path, role, point)).or_default();
                sums.nanos = nanos;
                sums.durations.merge(durations);
                if failed(point) {
                    sums.errors += durations.count;
                }
            }
        }
    }

    /// Returns the requests, the most frequent first.
    pub(crate) fn requests(self) -> Vec<Request> {
        let mut requests: Vec<Request> = self.0.into_iter().map(|(key, sums)| sums.request(key)).collect();
        // Stable: requests of equal frequency stay in the order of their keys.
        requests.sort_by_key(|request| std::cmp::Reverse(request.count));
        requests
    }
}

// === impl Sums ===

impl Sums {
    fn request(self, key: Key) -> Request {
        let (protocol, role, comm, server_port, method, route, status) = key;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of a float saturates")]
        let quantile = |share| self.durations.quantile(share).map_or(0, |value| (value * self.nanos).round() as u64);
        let (p50_ns, p99_ns) = (quantile(0.5), quantile(0.99));
        let (count, errors) = (self.durations.count, self.errors);
        Request { protocol, role, comm, server_port, method, route, status, count, errors, p50_ns, p99_ns }
    }
}

fn key(path: &str, role: &str, point: &MetricPoint) -> Key {
    let others = point.attributes.iter().any(|(name, _)| name == OVERFLOW);
    let told = |names: &[&str]| match others {
        true => OTHERS.to_owned(),
        false => first(point, names),
    };
    let protocol = first(point, &PROTOCOL);
    let protocol = if protocol.is_empty() { path.to_owned() } else { protocol };
    let port = first(point, &PORT).parse().unwrap_or(0);
    (protocol, role.to_owned(), told(&COMM), port, told(&METHOD), told(&ROUTE), told(&STATUS))
}

/// Returns the first of these attributes that is present; empty if none is.
fn first(point: &MetricPoint, names: &[&str]) -> String {
    let value = |name: &&str| point.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| text(value));
    names.iter().filter_map(value).find(|text| !text.is_empty()).unwrap_or_default()
}

fn text(value: &AttributeValue) -> String {
    match value {
        AttributeValue::Text(text) => text.clone(),
        AttributeValue::Int(number) => number.to_string(),
        AttributeValue::Bool(flag) => flag.to_string(),
        AttributeValue::Float(number) => f64::from(*number).to_string(),
        AttributeValue::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

fn failed(point: &MetricPoint) -> bool {
    point.attributes.iter().any(|(name, value)| name == ERROR && !text(value).is_empty())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use host_model::{ColumnType, Condition, Field, Instrument, Metric, MetricData, Sensitivity, Signal};

    use super::*;

    fn schema() -> Schema {
        let field = |name: &str, column_type, field_use| Field {
            name: name.into(),
            column_type,
            unit: String::new(),
            field_use,
            sensitivity: Sensitivity::Public,
            omit_zero: false,
        };
        let metric = |name: &str, value, kind| Metric {
            name: name.into(),
            description: String::new(),
            instrument: Instrument::Histogram,
            value,
            only: vec![Condition { field: 2, equals: kind }],
        };
        Schema {
            event: "http".into(),
            signal: Signal::Span,
            fields: vec![
                field("time", ColumnType::U64, FieldUse::Time),
                field("duration", ColumnType::U64, FieldUse::Duration),
                field("kind", ColumnType::U32, FieldUse::Kind),
                field("size", ColumnType::U32, FieldUse::Plain),
                field("correlation", ColumnType::U64, FieldUse::Correlation),
            ],
            metrics: vec![metric("server", 1, 2), metric("client", 1, 3), metric("size", 3, 2)],
        }
    }

    /// A series with `count` values in the bucket that ends at two milliseconds.
    fn point(attributes: &[(&str, &str)], count: u64) -> MetricPoint {
        let attribute = |(name, value): &(&str, &str)| {
            let value = value.parse().map_or_else(|_| AttributeValue::Text((*value).into()), AttributeValue::Int);
            ((*name).to_owned(), value)
        };
        let durations = Histogram { buckets: vec![count], offset: -10, count, min: 0.001, max: 0.002, ..Histogram::default() };
        MetricPoint { attributes: attributes.iter().map(attribute).collect(), value: PointValue::Histogram(durations) }
    }

    fn table(server: Vec<MetricPoint>, client: Vec<MetricPoint>) -> Vec<Request> {
        let data = |points| MetricData {
            name: String::new(),
            description: String::new(),
            unit: "s".into(),
            start_unix_ns: 0,
            unix_ns: 0,
            points,
        };
        let sizes = vec![point(&[], 1_000)];
        let counted = Counted { schema: Arc::new(schema()), metrics: vec![data(server), data(client), data(sizes)] };
        let mut table = Table::default();
        table.add("http", &counted);
        table.requests()
    }

    #[test]
    fn series_become_requests_by_what_tells_them_apart_and_the_most_frequent_stand_first() {
        let get = [
            ("process.executable.name", "nginx"),
            ("server.port", "80"),
            ("http.request.method", "GET"),
            ("http.route", "/users/{id}"),
            ("http.response.status_code", "200"),
        ];
        let failed = [&get[..4], &[("http.response.status_code", "500"), ("error.type", "500")]].concat();
        let cut = [&get[..], &[("error.type", "timeout")]].concat();
        let requests = table(vec![point(&failed, 3), point(&get, 10), point(&cut, 2)], vec![point(&get, 5)]);
        let told: Vec<_> = requests.iter().map(|r| (r.role.as_str(), r.status.as_str(), r.count, r.errors)).collect();
        assert_eq!(told, [("server", "200", 12, 2), ("client", "200", 5, 0), ("server", "500", 3, 3)]);
        let Request { protocol, comm, server_port, method, route, p50_ns, p99_ns, .. } = &requests[0];
        assert_eq!((protocol.as_str(), comm.as_str(), server_port), ("http", "nginx", &80));
        assert_eq!((method.as_str(), route.as_str()), ("GET", "/users/{id}"));
        assert!((1_000_000..=2_000_000).contains(p50_ns) && p50_ns < p99_ns, "{p50_ns} {p99_ns}");
    }

    #[test]
    fn a_call_is_told_by_its_service_and_a_query_by_its_database() {
        let call =
            [("rpc.system.name", "grpc"), ("http.request.method", "POST"), ("rpc.method", "Get"), ("rpc.service", "a.B")];
        let query = [("db.system.name", "postgresql"), ("db.operation.name", "SELECT"), ("db.namespace", "shop")];
        let requests = table(vec![point(&call, 2)], vec![point(&query, 1)]);
        let told: Vec<_> = requests.iter().map(|r| [&r.protocol, &r.method, &r.route].map(String::as_str)).collect();
        assert_eq!(told, [["grpc", "Get", "a.B"], ["postgresql", "SELECT", "shop"]]);
    }

    #[test]
    fn what_is_over_the_cardinality_is_marked_and_counted() {
        let mut others = point(&[], 7);
        others.attributes = [(OVERFLOW.into(), AttributeValue::Bool(true))].into();
        let requests = table(vec![others], Vec::new());
        let [Request { comm, method, route, status, count: 7, .. }] = &requests[..] else { panic!("{requests:?}") };
        assert!([comm, method, route, status].iter().all(|text| *text == OTHERS));
    }

    #[test]
    fn the_names_of_the_answer_are_those_that_scripts_rely_on() {
        let requests = table(vec![point(&[], 1)], Vec::new());
        let json = serde_json::to_string(&requests).unwrap();
        let names =
            ["protocol", "role", "comm", "server_port", "method", "route", "status", "count", "errors", "p50_ns", "p99_ns"];
        let object = serde_json::from_str::<serde_json::Value>(&json).unwrap()[0].as_object().unwrap().clone();
        assert_eq!(object.len(), names.len());
        assert!(names.iter().all(|name| object.contains_key(*name)), "{json}");
    }
}
