//! Entries of the Delta log, as JSON lines: the ones we write, and those of others as far as we follow them.

use arrow::datatypes::DataType;
use deltalake_core::kernel::Add;
use serde_json::{Map, Value, json};

use super::commit::{Purpose, Transaction};
use crate::parquet::writer::{NewFile, Range};
use crate::schema::{SCHEMA_VERSION, SCHEMA_VERSION_KEY, col, table_schema};
use crate::{DataFile, Result, UnixNanos};

/// Tag of an Add action: the content hash in hexadecimal.
const HASH_TAG: &str = "daytwo.xxh3_128";

/// What another writer's commit changes for us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// A file counts from now on.
    Add(DataFile),
    /// The file of this path counts no more, since this time.
    Remove(String, UnixNanos),
    /// An application, say a writer of ours, has got this far.
    Progress(String, u64),
    /// Schema, partitioning or protocol.
    Table,
}

/// The first entry: protocol and metadata.
pub(super) fn create(now: UnixNanos) -> String {
    let protocol = json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}});
    let metadata = json!({"metaData": {
        "id": random_uuid(),
        "name": "spans",
        "format": {"provider": "parquet", "options": {}},
        "schemaString": schema_string(),
        "partitionColumns": [col::RECEIVED_HOUR],
        "configuration": {
            "delta.checkpointInterval": super::CHECKPOINT_EVERY.to_string(),
            "delta.logRetentionDuration": "interval 1 days",
            "delta.deletedFileRetentionDuration": "interval 1 days",
            SCHEMA_VERSION_KEY: SCHEMA_VERSION.to_string(),
        },
        "createdTime": millis(now),
    }});
    lines(&[commit_info("CREATE TABLE", false, now), protocol, metadata])
}

/// The entry by which a server says that the table in a store is its own from now on. The name is random: an entry that is
/// found under the version that was written is ours only if it is ours byte for byte.
pub(super) fn claim(epoch: u64, now: UnixNanos) -> String {
    let mut info = commit_info("CLAIM", false, now);
    if let Some(Value::Object(info)) = info.get_mut("commitInfo") {
        info.insert("writer".to_owned(), random_uuid().into());
    }
    let epoch = i64::try_from(epoch).unwrap_or(i64::MAX);
    let claim = json!({"txn": {"appId": super::WRITER_APP_ID, "version": epoch, "lastUpdated": millis(now)}});
    lines(&[info, claim])
}

/// The entry of a transaction; `epoch` is that of a server whose requests are acknowledged in the store.
pub(super) fn entry(transaction: &Transaction, app_id: &str, epoch: Option<u64>, now: UnixNanos) -> String {
    let purpose = transaction.purpose;
    let mut actions = vec![commit_info(purpose.operation(), transaction.removes.is_empty(), now)];
    if let Some(watermark) = transaction.watermark {
        let watermark = i64::try_from(watermark).unwrap_or(i64::MAX);
        actions.push(json!({"txn": {"appId": app_id, "version": watermark, "lastUpdated": millis(now)}}));
        if let Some(epoch) = epoch.and_then(|epoch| i64::try_from(epoch).ok()) {
            let app_id = super::EPOCH_APP_ID;
            actions.push(json!({"txn": {"appId": app_id, "version": epoch, "lastUpdated": millis(now)}}));
        }
    }
    actions.extend(transaction.removes.iter().map(|file| remove(file, purpose, now)));
    actions.extend(transaction.adds.iter().map(|new| add(new, purpose, now)));
    lines(&actions)
}

fn add(new: &NewFile, purpose: Purpose, now: UnixNanos) -> Value {
    json!({"add": {
        "path": new.file.path,
        "partitionValues": {col::RECEIVED_HOUR: new.file.received_hour},
        "size": new.file.size_bytes,
        "modificationTime": millis(now),
        "dataChange": purpose.changes_data(),
        "stats": stats(new).to_string(),
        "tags": {HASH_TAG: format!("{:032x}", new.content_hash)},
    }})
}

fn remove(file: &DataFile, purpose: Purpose, now: UnixNanos) -> Value {
    json!({"remove": {
        "path": file.path,
        "deletionTimestamp": millis(now),
        "dataChange": purpose.changes_data(),
        "extendedFileMetadata": true,
        "partitionValues": {col::RECEIVED_HOUR: file.received_hour},
        "size": file.size_bytes,
    }})
}

fn commit_info(operation: &str, blind: bool, now: UnixNanos) -> Value {
    json!({"commitInfo": {
        "timestamp": millis(now),
        "operation": operation,
        "operationParameters": {"mode": "Append"},
        "isBlindAppend": blind,
        "engineInfo": concat!("daytwo/", env!("CARGO_PKG_VERSION")),
    }})
}

fn lines(actions: &[Value]) -> String {
    actions.iter().map(Value::to_string).collect::<Vec<_>>().join("\n")
}

fn stats(new: &NewFile) -> Value {
    let ranges =
        [(col::START, new.file.start_range), (col::DURATION, new.duration_range), (col::RECEIVED, new.received_range)];
    let bounds = |pick: fn((i64, i64)) -> i64| -> Map<String, Value> {
        let known = ranges.iter().filter_map(|(name, range): &(&str, Range)| Some((*name, (*range)?)));
        known.map(|(name, range)| (name.to_owned(), pick(range).into())).collect()
    };
    let nulls: Map<String, Value> = ranges.iter().map(|(name, _)| ((*name).to_owned(), 0.into())).collect();
    json!({
        "numRecords": new.file.rows,
        "minValues": bounds(|(least, _)| least),
        "maxValues": bounds(|(_, most)| most),
        "nullCount": nulls,
    })
}

/// A file that the log reader found.
pub(super) fn existing(add: &Add) -> DataFile {
    let tag = add.tags.as_ref().and_then(|tags| tags.get(HASH_TAG)).cloned().flatten();
    let hour = add.partition_values.get(col::RECEIVED_HOUR).cloned().flatten();
    of_log(add.path.clone(), add.size, add.stats.as_deref(), hour, tag.as_deref())
}

fn of_log(path: String, size: i64, stats: Option<&str>, hour: Option<String>, tag: Option<&str>) -> DataFile {
    let stats: Value = stats.and_then(|stats| serde_json::from_str(stats).ok()).unwrap_or_default();
    let bound = |name: &str| stats.get(name)?.get(col::START)?.as_i64();
    DataFile {
        path: decode_path(&path),
        size_bytes: u64::try_from(size).unwrap_or(0),
        rows: stats.get("numRecords").and_then(Value::as_u64).unwrap_or(0),
        start_range: bound("minValues").zip(bound("maxValues")),
        received_hour: hour.unwrap_or_default(),
        content_hash: tag.and_then(|tag| u128::from_str_radix(tag, 16).ok()),
    }
}

/// The changes in another writer's entry.
///
/// # Errors
/// [`crate::StorageError::Table`] when a line is not JSON.
pub(super) fn parse(entry: &[u8]) -> Result<Vec<Change>> {
    let lines = entry.split(|&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let actions = lines.map(|line| serde_json::from_slice::<Value>(line).map_err(super::cannot("follow")));
    let changes = actions.filter_map(|action| action.map(|action| change(&action)).transpose());
    changes.collect()
}

fn change(action: &Value) -> Option<Change> {
    if action.get("metaData").is_some() || action.get("protocol").is_some() {
        return Some(Change::Table);
    }
    if let Some(remove) = action.get("remove") {
        let removed = remove.get("deletionTimestamp").and_then(Value::as_i64).unwrap_or(0);
        return Some(Change::Remove(decode_path(remove.get("path")?.as_str()?), from_millis(removed)));
    }
    if let Some(progress) = action.get("txn") {
        let version =
            progress.get("version").and_then(Value::as_i64).and_then(|version| u64::try_from(version).ok())?;
        return Some(Change::Progress(progress.get("appId")?.as_str()?.to_owned(), version));
    }
    let add = action.get("add")?;
    let text = |name: &str| add.get(name).and_then(Value::as_str);
    let inner = |outer: &str, name: &str| add.get(outer)?.get(name)?.as_str();
    let size = add.get("size").and_then(Value::as_i64).unwrap_or(0);
    let hour = inner("partitionValues", col::RECEIVED_HOUR).map(str::to_owned);
    Some(Change::Add(of_log(text("path")?.to_owned(), size, text("stats"), hour, inner("tags", HASH_TAG))))
}

/// Paths in the log are percent-encoded.
fn decode_path(path: &str) -> String {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let code = digits.filter(|_| byte == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.push(code.unwrap_or(byte));
        rest = if code.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The table's schema in Delta's own notation, made from the one that is written down.
fn schema_string() -> String {
    let schema = table_schema();
    let fields = schema.fields().iter().map(|field| {
        json!({"name": field.name(), "type": delta_type(field.data_type()), "nullable": field.is_nullable(), "metadata": {}})
    });
    json!({"type": "struct", "fields": fields.collect::<Vec<_>>()}).to_string()
}

fn delta_type(kind: &DataType) -> Value {
    match kind {
        DataType::Int32 => "integer".into(),
        DataType::Int64 => "long".into(),
        DataType::Binary => "binary".into(),
        DataType::Map(..) => {
            json!({"type": "map", "keyType": "string", "valueType": "string", "valueContainsNull": true})
        }
        _ => "string".into(),
    }
}

fn millis(now: UnixNanos) -> i64 {
    now.0 / 1_000_000
}

/// An instant of the log.
pub(super) fn from_millis(millis: i64) -> UnixNanos {
    UnixNanos(millis.saturating_mul(1_000_000))
}

/// A random (version 4) UUID as text.
fn random_uuid() -> String {
    let bits = (rand::random::<u128>() & !(0xF << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let digits = format!("{bits:032x}");
    let part = |range: std::ops::Range<usize>| digits.get(range).unwrap_or_default().to_owned();
    [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-")
}
