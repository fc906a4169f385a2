//! The forms that answers come in.

use arrow::array::AsArray;
use arrow::datatypes::DataType;
use arrow::ipc::reader::StreamReader;
use daytwo_query::answer::{Format, encode, text_table};
use daytwo_storage::testing::TestSpan;
use futures::StreamExt;
use serde_json::json;

use crate::harness::World;

async fn bytes(world: &World, sql: &str, format: Format) -> Vec<u8> {
    let mut pieces = encode(world.engine.sql(sql).await.unwrap(), format);
    let mut all = Vec::new();
    while let Some(piece) = pieces.next().await {
        all.extend_from_slice(&piece.unwrap());
    }
    all
}

/// Scenario: numbers at the edges of their types, bytes, a map, a list, null, NaN.
/// Guarantees: JSON holds each as documented: 64 bits as text, bytes as lower-case hexadecimal, NaN as text.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_keeps_every_value() {
    let world = World::new().await;
    let sql = "SELECT 9223372036854775807, arrow_cast(5, 'Int32'), X'00FFAB', NULL, TRUE, 1.5, 'NaN'::DOUBLE, \
               [1, 2], 'é\"\n'";
    let document = world.document(sql).await;
    let expected = json!(["9223372036854775807", 5, "00ffab", null, true, 1.5, "NaN", ["1", "2"], "é\"\n"]);
    assert_eq!(document["rows"][0], expected);
    let types: Vec<&str> =
        document["columns"].as_array().unwrap().iter().map(|c| c["type"].as_str().unwrap()).collect();
    assert_eq!(&types[..6], ["BIGINT", "INT", "BINARY", "NULL", "BOOLEAN", "DOUBLE"]);
    assert_eq!(document["partial"], json!([]));
    assert!(document["elapsed_ms"].is_number());
    world.seed(1, 1).await;
    assert!(world.document("SELECT attributes FROM spans").await["rows"][0][0].is_object());
}

/// Scenario: an answer without rows, in each form.
/// Guarantees: each is a whole document with its columns.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_answer_is_whole() {
    let world = World::new().await;
    let sql = "SELECT name, kind FROM spans";
    assert_eq!(world.document(sql).await["rows"], json!([]));
    assert_eq!(bytes(&world, sql, Format::Csv).await, b"name,kind\r\n");
    let arrow = bytes(&world, sql, Format::Arrow).await;
    let reader = StreamReader::try_new(arrow.as_slice(), None).unwrap();
    assert_eq!(reader.schema().field(0).data_type(), &DataType::Utf8);
    assert_eq!(reader.count(), 0);
}

/// Scenario: span names that a spreadsheet would run or that break a line, and a negative number.
/// Guarantees: the names come with a quote before them and quoted; the number stays a number.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn csv_disarms_formulas() {
    let world = World::new().await;
    let sql = "SELECT * FROM (VALUES ('=1+1', -3), ('a,\"b\"', 2), (E'@x\ny', 1), ('plain', NULL)) t(name, n)";
    let text = String::from_utf8(bytes(&world, sql, Format::Csv).await).unwrap();
    assert_eq!(text, "name,n\r\n'=1+1,-3\r\n\"a,\"\"b\"\"\",2\r\n\"'@x\ny\",1\r\nplain,\r\n");
}

/// Scenario: an answer cut by the row limit, as CSV and as Arrow.
/// Guarantees: both say so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_answers_say_so() {
    let world = World::with(|config| config.answer_rows_max = 2).await;
    let sql = "SELECT * FROM (VALUES (1), (2), (3)) t(n)";
    let csv = String::from_utf8(bytes(&world, sql, Format::Csv).await).unwrap();
    assert_eq!(csv, "n\r\n1\r\n2\r\n# truncated after 2 rows\r\n");
    let arrow = bytes(&world, sql, Format::Arrow).await;
    let reader = StreamReader::try_new(arrow.as_slice(), None).unwrap();
    assert_eq!(reader.schema().metadata()["daytwo.truncated"], "true");
}

/// Scenario: all columns of spans as an Arrow stream.
/// Guarantees: no views and no dictionaries, so that any Arrow reader takes it; ids are the bytes stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arrow_has_plain_types() {
    let world = World::new().await;
    world.add(&[TestSpan::new(0xAB, 1)]).await;
    let arrow = bytes(&world, "SELECT * FROM spans", Format::Arrow).await;
    let mut reader = StreamReader::try_new(arrow.as_slice(), None).unwrap();
    for field in reader.schema().fields() {
        let kind = field.data_type();
        let plain =
            matches!(kind, DataType::Utf8 | DataType::Binary | DataType::Int32 | DataType::Int64 | DataType::Map(..));
        assert!(plain, "{field}");
    }
    let batch = reader.next().unwrap().unwrap();
    assert_eq!(batch.column(0).as_binary::<i32>().value(0)[15], 0xAB);
}

/// Scenario: a name that would drive a terminal.
/// Guarantees: the table shows it escaped, with rows aligned and counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_is_safe_to_print() {
    let world = World::new().await;
    let mut answer = world.engine.sql("SELECT E'\u{1b}[31mred' AS name, 1 AS n").await.unwrap();
    let table = text_table(&mut answer).await.unwrap();
    assert!(table.starts_with("name           n\n-------------  -\n\\u{1b}[31mred  1\n(1 row, "), "{table}");
}
