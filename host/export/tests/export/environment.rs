//! `OTEL_*` variables: the resulting endpoint, protocol, headers and limits.

use std::time::Duration;

use host_export::{Compression, Endpoint, Explicit, ExportSettings, Protocol, SettingsError};

fn merge(variables: &[(&str, &str)], explicit: &Explicit) -> Result<ExportSettings, SettingsError> {
    let find = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    ExportSettings::merge(&find, explicit)
}

fn endpoints(variables: &[(&str, &str)]) -> [Option<Endpoint>; 3] {
    let otlp = merge(variables, &Explicit::default()).unwrap().otlp.unwrap();
    [otlp.traces, otlp.metrics, otlp.logs]
}

fn urls(variables: &[(&str, &str)]) -> [String; 3] {
    endpoints(variables).map(|endpoint| endpoint.map_or_else(String::new, |endpoint| endpoint.url))
}

#[test]
fn without_a_word_there_is_no_collector() {
    assert_eq!(merge(&[], &Explicit::default()).unwrap().otlp, None);
    assert_eq!(merge(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "  ")], &Explicit::default()).unwrap().otlp, None);
}

#[test]
fn a_general_endpoint_gets_each_signals_path_and_an_own_one_is_used_as_it_is() {
    let general = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/base/");
    let expected =
        ["http://collector:4318/base/v1/traces", "http://collector:4318/base/v1/metrics", "http://collector:4318/base/v1/logs"];
    assert_eq!(urls(&[general]), expected);
    let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://traces.example/ingest");
    assert_eq!(urls(&[general, own]), ["https://traces.example/ingest", expected[1], expected[2]]);
    assert_eq!(
        urls(&[own]),
        ["https://traces.example/ingest", "http://localhost:4318/v1/metrics", "http://localhost:4318/v1/logs"]
    );
}

#[test]
fn over_grpc_no_path_is_added() {
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:9000"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")];
    assert_eq!(urls(&variables), ["http://collector:9000"; 3]);
    assert_eq!(
        urls(&[("OTEL_TRACES_EXPORTER", "otlp"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]),
        ["http://localhost:4317"; 3]
    );
}

#[test]
fn the_port_of_grpc_means_grpc_unless_the_protocol_is_named() {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317");
    let [traces, ..] = endpoints(&[endpoint]);
    assert_eq!(traces.unwrap().protocol, Protocol::Grpc);
    let [traces, ..] = endpoints(&[endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")]);
    assert_eq!(traces.unwrap().url, "http://collector:4317/v1/traces");
}

#[test]
fn an_endpoint_without_a_scheme_is_secure_unless_it_is_said_not_to_be() {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317");
    assert_eq!(urls(&[endpoint])[0], "https://collector:4317");
    assert_eq!(urls(&[endpoint, ("OTEL_EXPORTER_OTLP_INSECURE", "true")])[0], "http://collector:4317");
}

#[test]
fn a_signals_own_variable_goes_before_the_general_one() {
    let table = [
        ("PROTOCOL", "http/protobuf", "grpc"),
        ("HEADERS", "a=1", "a=2,b=%20x%20"),
        ("TIMEOUT", "1000", "2000"),
        ("COMPRESSION", "none", "gzip"),
        ("CERTIFICATE", "/general.pem", "/own.pem"),
        ("CLIENT_CERTIFICATE", "/general.crt", "/own.crt"),
        ("CLIENT_KEY", "/general.key", "/own.key"),
    ];
    let mut variables = vec![("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), "http://c:1")];
    for (name, general, own) in table {
        variables.push((format!("OTEL_EXPORTER_OTLP_{name}"), general));
        variables.push((format!("OTEL_EXPORTER_OTLP_LOGS_{name}"), own));
    }
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let [traces, metrics, logs] = endpoints(&variables).map(Option::unwrap);
    assert_eq!(Endpoint { url: metrics.url.clone(), ..traces.clone() }, metrics);
    let expected = Endpoint {
        headers: vec![("a".into(), "1".into())],
        timeout: Duration::from_secs(1),
        certificate: Some("/general.pem".into()),
        client: Some(("/general.crt".into(), "/general.key".into())),
        ..Endpoint::new("http://c:1/v1/traces", Protocol::Http)
    };
    assert_eq!(traces, expected);
    let expected = Endpoint {
        headers: vec![("a".into(), "2".into()), ("b".into(), " x ".into())],
        timeout: Duration::from_secs(2),
        compression: Compression::Gzip,
        certificate: Some("/own.pem".into()),
        client: Some(("/own.crt".into(), "/own.key".into())),
        ..Endpoint::new("http://c:1", Protocol::Grpc)
    };
    assert_eq!(logs, expected);
}

#[test]
fn what_the_operator_says_goes_before_the_environment() {
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://env:4318"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://env-traces:4318"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "from=env"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1"),
        ("OTEL_SDK_DISABLED", "true"),
    ];
    let explicit = Explicit {
        endpoint: Some("http://flag:4318".into()),
        headers: vec![("from".into(), "flag".into())],
        timeout_ms: Some(7),
        compression: Some("gzip".into()),
        queue_bytes: Some(1),
        sensitive: vec!["*".into()],
        ..Explicit::default()
    };
    let settings = merge(&variables, &explicit).unwrap();
    let traces = settings.otlp.unwrap().traces.unwrap();
    let expected = Endpoint {
        headers: vec![("from".into(), "flag".into())],
        timeout: Duration::from_millis(7),
        compression: Compression::Gzip,
        ..Endpoint::new("http://flag:4318/v1/traces", Protocol::Http)
    };
    assert_eq!((traces, settings.queue_bytes, settings.sensitive), (expected, 1, vec!["*".to_owned()]));
}

#[test]
fn signals_and_the_whole_can_be_switched_off() {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318");
    assert_eq!(urls(&[endpoint, ("OTEL_METRICS_EXPORTER", "none")])[1], "");
    assert_eq!(merge(&[endpoint, ("OTEL_SDK_DISABLED", "true")], &Explicit::default()).unwrap().otlp, None);
}

#[test]
fn what_cannot_be_read_is_named_with_its_cure() {
    let table = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://c", "http://host:port"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://", "http://host:port"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "`grpc` or `http/protobuf`"),
        ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "smoke", "`grpc` or `http/protobuf`"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "milliseconds"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "0", "milliseconds"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "`gzip` or `none`"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "secret", "key=value"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a b=secret", "key=value"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=secret%0d%0a", "key=value"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/k", "set both"),
        ("OTEL_TRACES_EXPORTER", "zipkin", "`otlp` or `none`"),
    ];
    for (name, value, cure) in table {
        let variables = [(name, value), ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://c:1")];
        let error = merge(&variables, &Explicit::default()).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(cure), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn the_resource_is_named_by_the_variables_and_filled_up_with_what_is_known() {
    let variables = [
        ("OTEL_SERVICE_NAME", "mine"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=other,deployment.environment.name=a%2Cb, k = v ,broken"),
    ];
    let resource = merge(&variables, &Explicit::default()).unwrap().resource;
    let value = |name: &str| resource.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    assert_eq!(
        (value("service.name"), value("deployment.environment.name"), value("k")),
        (Some("mine"), Some("a,b"), Some("v"))
    );
    assert_eq!((value("os.type"), value("broken")), (Some("linux"), None));
    assert!(value("host.name").is_some());
    let plain = merge(&[], &Explicit::default()).unwrap().resource;
    assert_eq!(plain[0], ("service.name".to_owned(), "host".to_owned()));
}
