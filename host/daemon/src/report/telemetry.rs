//! The host's own telemetry: its ledger, its plugins and its process as OTLP metrics.

use host_api::{PathStatus, PluginState, PluginStatus, ShadowStatus, Status};
use host_model::{AttributeValue, Ledger, MetricData, MetricPoint, PointValue, UnknownPort};

/// Returns the status as metrics. Sums count since `start_unix_ns`.
pub(crate) fn metrics(status: &Status, shadows: &[ShadowStatus], start_unix_ns: u64, unix_ns: u64) -> Vec<MetricData> {
    let metric = |name: &str, unit: &str, description: &str, points: Vec<MetricPoint>| MetricData {
        name: name.into(),
        description: description.into(),
        unit: unit.into(),
        start_unix_ns,
        unix_ns,
        points,
    };
    let whole = |value| vec![MetricPoint { attributes: [].into(), value }];
    let of_paths = |points: fn(&PathStatus) -> Vec<MetricPoint>| status.paths.iter().flat_map(points).collect();
    let of_plugins = |value: &dyn Fn(&PluginStatus) -> PointValue| {
        let plugins = status.paths.iter().flat_map(|path| path.plugins.iter().map(move |plugin| (path, plugin)));
        plugins.map(|(path, plugin)| MetricPoint { attributes: who(path, plugin).into(), value: value(plugin) }).collect()
    };
    let mut metrics = vec![
        metric("host.records", "{record}", "Records by the stage that counted them.", of_paths(records)),
        metric("host.rows", "{row}", "Rows by the stage that counted them.", of_paths(rows)),
        metric("host.waiting", "{record}", "Records in the ring and rows on the way out.", of_paths(waiting)),
        metric(
            "host.connections.unknown",
            "{connection}",
            "Connections whose protocol nobody knew, by the port of the server; 0 for all ports over 256.",
            of_paths(unknown),
        ),
        metric("host.metric.series", "{series}", "Metric series counted before sampling.", of_paths(series)),
        metric("host.plugin.calls", "{call}", "Calls into plugins.", of_plugins(&|plugin| PointValue::Sum(plugin.calls))),
        metric("host.plugin.rows", "{row}", "Rows that went into plugins.", of_plugins(&|plugin| PointValue::Sum(plugin.rows))),
        metric("host.plugin.faults", "{call}", "Calls that failed, and calls left out for it.", of_paths(faults)),
        metric("host.plugin.quarantined", "1", "Whether it is not called any more.", of_plugins(&quarantined)),
        metric(
            "host.plugin.recycled",
            "{instance}",
            "Instances replaced.",
            of_plugins(&|plugin| PointValue::Sum(plugin.recycled)),
        ),
        metric("host.shadow.rows", "{row}", "Rows compared.", of_shadows(shadows, |shadow| shadow.comparison.rows)),
        metric(
            "host.shadow.differing",
            "{row}",
            "Rows that differ.",
            of_shadows(shadows, |shadow| shadow.comparison.differing),
        ),
        metric("host.shadow.dropped", "{batch}", "Batches dropped.", of_shadows(shadows, |shadow| shadow.comparison.dropped)),
        metric("host.plugin.time", "ns", "Time spent in plugins.", of_plugins(&|plugin| PointValue::Sum(plugin.total_ns))),
        metric(
            "host.plugin.work",
            "ns",
            "Time of the host's own work on what plugins returned.",
            of_plugins(&|plugin| PointValue::Sum(plugin.work_ns)),
        ),
        metric("host.plugin.call.p50", "s", "Half of the calls took no longer.", of_plugins(&|plugin| seconds(plugin.p50_ns))),
        metric("host.plugin.call.p99", "s", "99 of 100 calls took no longer.", of_plugins(&|plugin| seconds(plugin.p99_ns))),
        metric("host.plugin.memory", "By", "Memory of plugins.", of_plugins(&|plugin| gauge(plugin.memory_bytes))),
        metric("host.export.queue", "By", "Bytes that wait for the collector.", whole(gauge(status.export.queue_bytes))),
        metric("host.export.retries", "{request}", "Requests sent again.", whole(PointValue::Sum(status.export.retries))),
        metric("process.memory.usage", "By", "Resident memory of the host.", whole(gauge(status.process.rss_bytes))),
        metric("process.cpu.time", "s", "CPU time of the host.", whole(PointValue::Sum(status.process.cpu_seconds))),
    ];
    metrics.retain(|metric| !metric.points.is_empty());
    metrics
}

fn records(path: &PathStatus) -> Vec<MetricPoint> {
    let Ledger { produced, filtered_in_kernel, missed_in_kernel, unread_in_kernel, lost_in_ring, received, .. } = path.ledger;
    let Ledger { decoded, undecodable, routed, unrouted, taken_back, lost_in_change, .. } = path.ledger;
    stages(
        path,
        &[
            ("produced", produced),
            ("filtered_in_kernel", filtered_in_kernel),
            ("missed_in_kernel", missed_in_kernel),
            ("unread_in_kernel", unread_in_kernel),
            ("lost_in_ring", lost_in_ring),
            ("received", received),
            ("decoded", decoded),
            ("undecodable", undecodable),
            ("routed", routed),
            ("unrouted", unrouted),
            ("taken_back", taken_back),
            ("lost_in_change", lost_in_change),
        ],
        PointValue::Sum,
    )
}

fn rows(path: &PathStatus) -> Vec<MetricPoint> {
    let Ledger { rows, raw, sampled_out, kept, exported, dropped_at_export, .. } = path.ledger;
    stages(
        path,
        &[
            ("rows", rows),
            ("raw", raw),
            ("sampled_out", sampled_out),
            ("kept", kept),
            ("exported", exported),
            ("dropped_at_export", dropped_at_export),
        ],
        PointValue::Sum,
    )
}

fn waiting(path: &PathStatus) -> Vec<MetricPoint> {
    let Ledger { in_ring, held, in_flight, .. } = path.ledger;
    stages(path, &[("in_ring", in_ring), ("held", held), ("in_flight", in_flight)], gauge)
}

fn series(path: &PathStatus) -> Vec<MetricPoint> {
    vec![MetricPoint { attributes: [text("host.probe", &path.probe)].into(), value: gauge(path.metrics_series) }]
}

fn unknown(path: &PathStatus) -> Vec<MetricPoint> {
    let point = |stranger: &UnknownPort| {
        let transport = match stranger.transport {
            6 => "tcp",
            17 => "udp",
            _ => "other",
        };
        let port = ("server.port".into(), AttributeValue::Int(stranger.port.into()));
        let attributes = [text("host.probe", &path.probe), text("network.transport", transport), port].into();
        MetricPoint { attributes, value: PointValue::Sum(stranger.connections) }
    };
    path.unknown.iter().map(point).collect()
}

fn faults(path: &PathStatus) -> Vec<MetricPoint> {
    let of = |plugin: &PluginStatus| -> Vec<MetricPoint> {
        let point = |(kind, count): (&host_model::FaultKind, &u64)| {
            let mut attributes = who(path, plugin);
            attributes.push(text("host.fault.kind", &kind.to_string()));
            MetricPoint { attributes: attributes.into(), value: PointValue::Sum(*count) }
        };
        plugin.faults.iter().map(point).collect()
    };
    path.plugins.iter().flat_map(of).collect()
}

fn quarantined(plugin: &PluginStatus) -> PointValue {
    gauge(u64::from(plugin.state == PluginState::Quarantined))
}

/// Gauges, because the counts are those of the current shadow run, and begin anew with the next.
fn of_shadows(shadows: &[ShadowStatus], count: fn(&ShadowStatus) -> u64) -> Vec<MetricPoint> {
    let point = |shadow: &ShadowStatus| MetricPoint {
        attributes: [
            text("host.plugin.slot", &shadow.slot.to_string()),
            text("host.plugin.name", &shadow.name),
            text("host.plugin.version", &shadow.version),
            text("host.plugin.digest", &shadow.digest),
        ]
        .into(),
        value: gauge(count(shadow)),
    };
    shadows.iter().map(point).collect()
}

fn stages(path: &PathStatus, counts: &[(&str, u64)], value: fn(u64) -> PointValue) -> Vec<MetricPoint> {
    let point = |&(stage, count): &(&str, u64)| MetricPoint {
        attributes: [text("host.probe", &path.probe), text("host.stage", stage)].into(),
        value: value(count),
    };
    counts.iter().map(point).collect()
}

fn who(path: &PathStatus, plugin: &PluginStatus) -> Vec<(String, AttributeValue)> {
    vec![
        text("host.probe", &path.probe),
        text("host.plugin.slot", &plugin.slot),
        text("host.plugin.name", &plugin.name),
        text("host.plugin.version", &plugin.version),
        ("host.plugin.generation".into(), AttributeValue::Int(i64::try_from(plugin.generation).unwrap_or(i64::MAX))),
    ]
}

fn text(name: &str, value: &str) -> (String, AttributeValue) {
    (name.into(), AttributeValue::Text(value.into()))
}

#[allow(clippy::cast_precision_loss, reason = "OTLP has gauges as f64; 2^53 bytes are out of reach")]
fn gauge(value: u64) -> PointValue {
    PointValue::Gauge(value as f64)
}

#[allow(clippy::cast_precision_loss, reason = "a duration in seconds needs no more than 53 bits")]
fn seconds(nanos: u64) -> PointValue {
    PointValue::Gauge(nanos as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use host_api::{ExportStatus, Origin, ProcessStatus};

    use super::*;

    #[test]
    fn every_sum_of_the_ledger_goes_out_with_its_probe_and_stage() {
        let path = |probe: &str| PathStatus {
            ledger_age_ms: 0,
            probe: probe.into(),
            ledger: Ledger { produced: 7, exported: 5, in_flight: 2, ..Ledger::default() },
            plugins: Vec::new(),
            metrics_series: 3,
            trunk: None,
            connections: 0,
            unknown: Vec::new(),
        };
        let status = Status {
            balanced: true,
            version: "0".into(),
            uptime_ms: 1,
            mode: Origin::Live,
            paths: vec![path("file"), path("tcp")],
            probes: Vec::new(),
            swaps: Vec::new(),
            export: ExportStatus { endpoint: None, queue_bytes: 9, queue_cap_bytes: 10, last_error: None, retries: 0 },
            process: ProcessStatus::default(),
        };
        let metrics = metrics(&status, &[], 1, 2);
        let value = |name: &str, probe: &str, stage: &str| {
            let metric = metrics.iter().find(|metric| metric.name == name).unwrap();
            let wanted = [text("host.probe", probe), text("host.stage", stage)];
            metric.points.iter().find(|point| *point.attributes == wanted).unwrap().value.clone()
        };
        assert_eq!(value("host.records", "tcp", "produced"), PointValue::Sum(7));
        assert_eq!(value("host.rows", "file", "exported"), PointValue::Sum(5));
        assert_eq!(value("host.waiting", "file", "in_flight"), PointValue::Gauge(2.0));
        assert!(metrics.iter().all(|metric| metric.name != "host.plugin.calls"), "no plugin, no points");
        let counted = |path: &PathStatus| records(path).len() + rows(path).len() + waiting(path).len();
        // The reasons of dropped rows are parts of one sum.
        assert_eq!(counted(&status.paths[0]), 21, "as many as the ledger has sums");
    }
}
