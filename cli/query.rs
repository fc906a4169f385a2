//! `daytwo query`: one statement, to a running server or straight on a data folder.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use daytwo_query::QueryEngine;
use daytwo_query::answer::{Format as Encoding, encode, text_table};
use futures::StreamExt;
use http_body_util::BodyExt;
use hyper::Method;
use hyper::body::Bytes;
use serde_json::json;

use super::client::Client;
use super::folder::Folder;
use super::{Failure, Outcome, emit, runtime, say, table};
use crate::{FolderArgs, Format, QueryArgs};

/// `daytwo query …`.
pub(crate) fn query(args: QueryArgs) -> Outcome {
    runtime()?.block_on(async {
        match &args.data_dir {
            Some(data_dir) => from_folder(data_dir, &args).await,
            None => from_server(&args).await,
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Asks a running server and passes its answer on as it comes.
async fn from_server(args: &QueryArgs) -> Result<(), Failure> {
    let client = Client::new(&args.url)?;
    let accept = match args.format {
        Format::Table | Format::Json => "application/json",
        Format::Csv => "text/csv",
        Format::Arrow => "application/vnd.apache.arrow.stream",
    };
    let body = Bytes::from(json!({"query": args.sql}).to_string());
    let mut answer = client.send(Method::POST, "/api/v1/sql", accept, body).await?.into_body();
    if args.format == Format::Table {
        let whole = answer.collect().await.map_err(|error| client.unreachable(&error))?.to_bytes();
        let parsed = serde_json::from_slice(&whole).map_err(|error| client.unreachable(&error))?;
        return say(&table::render(&parsed));
    }
    while let Some(frame) = answer.frame().await {
        let frame = frame.map_err(|error| client.unreachable(&error))?;
        if let Ok(bytes) = frame.into_data() {
            emit(&bytes)?;
        }
    }
    Ok(())
}

/// Opens the folder for reading and answers from it.
async fn from_folder(data_dir: &Path, args: &QueryArgs) -> Result<(), Failure> {
    let place = FolderArgs { data_dir: data_dir.to_owned(), config: args.config.clone() };
    let folder = Folder::open(&place, |_| {}).await?;
    let answered = answer(&folder.engine, args).await;
    folder.close().await?;
    answered
}

async fn answer(engine: &Arc<QueryEngine>, args: &QueryArgs) -> Result<(), Failure> {
    let mut answer = engine.sql(&args.sql).await?;
    let encoding = match args.format {
        Format::Table => return say(&text_table(&mut answer).await?),
        Format::Json => Encoding::Json,
        Format::Csv => Encoding::Csv,
        Format::Arrow => Encoding::Arrow,
    };
    let mut pieces = encode(answer, encoding);
    while let Some(piece) = pieces.next().await {
        emit(&piece?)?;
    }
    Ok(())
}
