//! Breaches of the contract: every way in which an answer can be invalid.

use host_model::ColumnType;

/// The first breach found in an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Breach {
    #[error("it returned {is} columns where {must} were asked for")]
    Columns { is: usize, must: usize },
    #[error("column `{field}` is of type {is:?}, its field says {must:?}")]
    Type { field: String, is: ColumnType, must: ColumnType },
    #[error("column `{field}` has {is} values, there are {must} rows")]
    Rows { field: String, is: usize, must: usize },
    #[error("column `{field}` has {is} offsets for {rows} rows; there must be one more than rows")]
    Offsets { field: String, is: usize, rows: usize },
    #[error("the first offset of column `{field}` is {is}; it must be 0")]
    FirstOffset { field: String, is: u32 },
    #[error("the offsets of column `{field}` fall")]
    Falling { field: String },
    #[error("the last offset of column `{field}` is {is}, its bytes are {must}")]
    LastOffset { field: String, is: u32, must: usize },
    #[error("a value of column `{field}` is neither 0 nor 1")]
    Boolean { field: String },
    #[error("a value of column `{field}` is not UTF-8")]
    Utf8 { field: String },
    #[error("{rows} rows are more than a run may become (`output_rows`)")]
    TooManyRows { rows: usize },
    #[error(
        "{rows} rows of {fields} fields are more than a run may become: {most} of them (`output_rows`, which holds for {of} fields)",
        of = crate::limits::FIELDS_OF_A_ROW
    )]
    TooManyFields { rows: usize, fields: usize, most: usize },
    #[error("`undecodable` does not rise, or names a record that is not among the {records} of the run")]
    Undecodable { records: u32 },
    #[error("{is} thresholds for {rows} rows; there must be one, or one per row")]
    Thresholds { is: usize, rows: usize },
    #[error("{is} values of randomness for {rows} rows; there must be none, or one per row")]
    Randomness { is: usize, rows: usize },
    #[error("field {index} is wanted, but the schema has {fields} fields")]
    Wanted { index: u32, fields: usize },
    #[error("field {index} is wanted twice")]
    WantedTwice { index: u32 },
    #[error("{0} metrics; at most {max} are allowed", max = crate::limits::MAX_METRICS)]
    Metrics(usize),
    #[error("{0}")]
    Schema(#[from] host_model::schema::SchemaError),
    #[error("its plan cannot be written: {0}")]
    Plan(#[from] host_model::PlanError),
    #[error("its state is larger than the {most} bytes that it may hand over (`state_bytes`)")]
    State { most: usize },
    #[error("its description: {0}")]
    Description(#[from] host_model::protocol::DescriptionError),
    #[error("{is} opinions on {must} beginnings")]
    Opinions { is: usize, must: usize },
    #[error("invalid opinion {0}: expected 0 to 4")]
    Opinion(u8),
    #[error("it disowns {is} conversations at once; at most {max} are taken back", max = crate::limits::MOST_DISOWNED)]
    Disowned { is: usize },
    #[error("it disowns {must} conversations, with {tls} values of `tls`, {records} of `records` and {bytes} of `bytes`")]
    DisownedColumns { tls: usize, records: usize, bytes: usize, must: usize },
    #[error("`tls` of a conversation that it disowns is {0}; it is 0 or 1")]
    DisownedHalf(u8),
    #[error("built again, it answered `bind` differently")]
    Rebound,
}
