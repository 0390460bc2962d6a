use super::*;

fn field(name: &str, column_type: ColumnType, field_use: FieldUse) -> Field {
    Field { name: name.into(), column_type, unit: String::new(), field_use, sensitivity: Sensitivity::Public, omit_zero: false }
}

fn schema(fields: Vec<Field>) -> Schema {
    Schema { event: "file.open".into(), signal: Signal::Span, fields, metrics: Vec::new() }
}

#[test]
fn a_schema_without_time_is_refused() {
    let error = schema(vec![field("a", ColumnType::U32, FieldUse::Plain)]).check().unwrap_err();
    assert!(matches!(error, SchemaError::Count { field_use: FieldUse::Time, count: 0, .. }));
}

#[test]
fn two_fields_of_one_name_are_refused() {
    let time = field("time", ColumnType::U64, FieldUse::Time);
    assert_eq!(schema(vec![time.clone(), time]).check(), Err(SchemaError::Twice("time".into())));
}

#[test]
fn a_name_with_a_terminal_escape_is_refused() {
    let error = schema(vec![field("a\x1b[31m", ColumnType::U64, FieldUse::Time)]).check().unwrap_err();
    assert!(!error.to_string().contains('\x1b'), "{error}");
}

#[test]
fn a_metric_that_measures_text_is_refused() {
    let mut schema =
        schema(vec![field("time", ColumnType::U64, FieldUse::Time), field("path", ColumnType::Text, FieldUse::Plain)]);
    let metric = |value| Metric {
        name: "m".into(),
        description: String::new(),
        instrument: Instrument::Histogram,
        value,
        only: Vec::new(),
    };
    schema.metrics = vec![metric(0)];
    assert_eq!(schema.check(), Ok(()));
    schema.metrics = vec![metric(1)];
    assert!(matches!(schema.check(), Err(SchemaError::Measures { .. })));
}

#[test]
fn metrics_times_dimensions_times_names_are_bounded_and_told_in_figures() {
    let weigh = |dimensions: usize, metrics: usize| {
        let named = |number: usize| field(&format!("{number:0>100}"), ColumnType::U32, FieldUse::Dimension);
        let time = field("time", ColumnType::U64, FieldUse::Time);
        let mut schema = schema((0..dimensions).map(named).chain([time]).collect());
        let metric = |number| Metric {
            name: format!("m{number}"),
            description: String::new(),
            instrument: Instrument::Counter,
            value: 0,
            only: Vec::new(),
        };
        schema.metrics = (0..metrics).map(metric).collect();
        schema.check()
    };
    assert_eq!(weigh(40, 16), Ok(()));
    assert_eq!(weigh(200, 0), Ok(()), "without metrics there is no series");
    let heavy = SchemaError::Heavy { metrics: 64, dimensions: 200, bytes: 20_000, all: 1_280_000 };
    assert_eq!(weigh(200, 64), Err(heavy));
    assert!(weigh(11, 64).is_err() && weigh(41, 16).is_err());
}

#[test]
fn two_metrics_of_one_name_are_refused_whatever_they_count() {
    let mut schema = schema(vec![field("time", ColumnType::U64, FieldUse::Time)]);
    let metric = |instrument| Metric { name: "m".into(), description: String::new(), instrument, value: 0, only: Vec::new() };
    for instrument in [Instrument::Counter, Instrument::Sum, Instrument::Histogram] {
        schema.metrics = vec![metric(Instrument::Histogram), metric(instrument)];
        assert_eq!(schema.check(), Err(SchemaError::MetricTwice("m".into())));
    }
}

#[test]
fn a_metric_may_have_four_conditions_on_small_numbers_and_flags() {
    let mut schema = schema(vec![
        field("time", ColumnType::U64, FieldUse::Time),
        field("kind", ColumnType::U32, FieldUse::Kind),
        field("failed", ColumnType::Boolean, FieldUse::Plain),
    ]);
    let mut counted = |only: &[usize]| {
        schema.metrics = vec![Metric {
            name: "m".into(),
            description: String::new(),
            instrument: Instrument::Counter,
            value: 0,
            only: only.iter().map(|&field| Condition { field, equals: 1 }).collect(),
        }];
        schema.check()
    };
    assert_eq!(counted(&[1, 2, 1, 2]), Ok(()));
    assert_eq!(counted(&[1, 2, 1, 2, 1]), Err(SchemaError::Conditions { metric: "m".into(), count: 5 }));
    assert_eq!(counted(&[1, 0]), Err(SchemaError::Tests { metric: "m".into(), field: 0 }));
    assert_eq!(counted(&[3]), Err(SchemaError::Tests { metric: "m".into(), field: 3 }));
}

#[test]
fn a_dimension_that_reveals_something_is_refused() {
    let mut user = field("user.name", ColumnType::Text, FieldUse::Dimension);
    let time = field("time", ColumnType::U64, FieldUse::Time);
    assert_eq!(schema(vec![time.clone(), user.clone()]).check(), Ok(()));
    user.sensitivity = Sensitivity::Identity;
    assert_eq!(schema(vec![time, user]).check(), Err(SchemaError::Reveals("user.name".into())));
}

#[test]
fn an_enricher_cannot_replace_a_field() {
    let base = schema(vec![field("time", ColumnType::U64, FieldUse::Time)]);
    assert!(base.extend(&[field("time", ColumnType::U64, FieldUse::Plain)]).is_err());
    assert!(base.extend(&[field("user.name", ColumnType::Text, FieldUse::Plain)]).is_ok());
}
