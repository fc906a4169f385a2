//! What is refused before DataFusion sees a statement. The text is hostile input.
//!
//! Everything here bounds what planning costs. A flat `1+1+…` makes a tree as deep as it is long, so operators are
//! counted on *tokens*, before there is a tree; CTEs are copied wherever they are named, so twenty of them can stand for a
//! million scans, and their expansion is counted on the syntax tree. Parsing and planning happen on a thread with a
//! large stack ([`on_big_stack`]).

mod expansion;
mod shape;

use datafusion::execution::context::SQLOptions;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::{QueryError, Result, functions, session};

/// Levels of parentheses, functions and subqueries.
const NESTING_MAX: usize = 50;

/// Operators in a statement: each may make the tree one level deeper. DataFusion's recursive passes over 500 levels
/// fit in a quarter of the planning stack in a debug build, and evaluation fits in the 2 MiB of a worker thread.
const OPERATORS_MAX: usize = 500;

/// `UNION`, `INTERSECT` and `EXCEPT` together, and `SELECT`s.
const SET_OPERATIONS_MAX: usize = 50;
const SELECTS_MAX: usize = 100;

/// Tokens of a statement.
const TOKENS_MAX: usize = 20_000;

/// 64 MiB: [`OPERATORS_MAX`] levels at the largest frames measured in debug builds need under 16.
const PLANNING_STACK_BYTES: usize = 64 << 20;

/// Runs `work` on a thread of its own with a large stack.
///
/// # Errors
/// [`QueryError::Internal`] when there is no thread to be had, or when `work` panicked.
pub(crate) async fn on_big_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let runtime = tokio::runtime::Handle::try_current().ok();
    let thread = std::thread::Builder::new().name("daytwo-plan".to_owned()).stack_size(PLANNING_STACK_BYTES);
    let run = move || {
        let _inside = runtime.as_ref().map(tokio::runtime::Handle::enter);
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        // The question was dropped meanwhile: nobody waits for the plan.
        drop(sender.send(done));
    };
    let started = thread.spawn(run);
    started.map_err(|source| QueryError::Io { action: "start", path: "a planning thread".to_owned(), source })?;
    match receiver.await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(panic)) => Err(QueryError::internal(crate::data_file::panic_text(panic.as_ref()))),
        Err(_) => Err(QueryError::internal("the planning thread ended early")),
    }
}

/// The statement in `text`, when it is one that is answered here.
///
/// # Errors
/// [`QueryError::TooLarge`], [`QueryError::Refused`] or [`QueryError::Invalid`], each with one clear sentence.
pub(crate) fn parse(text: &str, text_bytes_max: usize) -> Result<Statement> {
    if text.len() > text_bytes_max {
        let (size, limit) = (text.len() as u64, text_bytes_max as u64);
        return Err(QueryError::TooLarge { what: "the statement's text in bytes", size, limit });
    }
    count_tokens(text)?;
    let invalid = |error: datafusion::error::DataFusionError| QueryError::Invalid { reason: plain(&error) };
    let parser = DFParserBuilder::new(text).with_recursion_limit(NESTING_MAX).build().map_err(invalid)?;
    let mut parser = parser;
    let mut statements = parser.parse_statements().map_err(invalid)?;
    match (statements.pop_front(), statements.is_empty()) {
        (None, _) => Err(QueryError::refused("the statement is empty; write SELECT … FROM spans")),
        (Some(_), false) => Err(QueryError::refused("one statement at a time, please")),
        (Some(statement), true) => {
            shape::check(&statement)?;
            expansion::check(&statement)?;
            Ok(statement)
        }
    }
}

/// The plan of a checked statement.
///
/// # Errors
/// [`QueryError::Invalid`] when it does not fit the tables, [`QueryError::Refused`] when it would change anything.
pub(crate) async fn plan(session: &SessionState, statement: Statement) -> Result<LogicalPlan> {
    let plan = session.statement_to_plan(statement).await.map_err(|error| explain(&error))?;
    let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    options.verify_plan(&plan).map_err(|_| read_only())?;
    Ok(plan)
}

/// The refusal of everything that is no question.
fn read_only() -> QueryError {
    QueryError::refused("only SELECT, EXPLAIN and DESCRIBE are answered here; nothing can be changed by SQL")
}

/// Counts what makes trees deep or plans large, without building either.
fn count_tokens(text: &str) -> Result<()> {
    let tokens = Tokenizer::new(&GenericDialect {}, text).tokenize();
    let tokens = tokens.map_err(|error| QueryError::Invalid { reason: error.to_string() })?;
    let tokens: Vec<&Token> = tokens.iter().filter(|token| !matches!(token, Token::Whitespace(_))).collect();
    let count = |is: fn(&Token) -> bool| tokens.iter().filter(|token| is(token)).count();
    let within = |what: &'static str, size: usize, limit: usize| {
        let (size, limit) = (size as u64, limit as u64);
        if size > limit { Err(QueryError::TooLarge { what, size, limit }) } else { Ok(()) }
    };
    within("the number of tokens", tokens.len(), TOKENS_MAX)?;
    within("the number of operators", count(is_operator), OPERATORS_MAX)?;
    within("the number of UNION, INTERSECT and EXCEPT", count(is_set_operation), SET_OPERATIONS_MAX)?;
    within("the number of SELECTs", count(|token| is_word(token, &[Keyword::SELECT])), SELECTS_MAX)
}

fn is_word(token: &Token, keywords: &[Keyword]) -> bool {
    matches!(token, Token::Word(word) if keywords.contains(&word.keyword))
}

fn is_set_operation(token: &Token) -> bool {
    is_word(token, &[Keyword::UNION, Keyword::INTERSECT, Keyword::EXCEPT, Keyword::MINUS])
}

/// Whether a token may put a node on top of the expression before it.
fn is_operator(token: &Token) -> bool {
    match token {
        Token::Word(_) => is_word(
            token,
            &[
                Keyword::AND,
                Keyword::OR,
                Keyword::XOR,
                Keyword::NOT,
                Keyword::IS,
                Keyword::IN,
                Keyword::LIKE,
                Keyword::ILIKE,
                Keyword::SIMILAR,
                Keyword::RLIKE,
                Keyword::REGEXP,
                Keyword::BETWEEN,
                Keyword::COLLATE,
                Keyword::AT,
                Keyword::DIV,
                Keyword::OVERLAPS,
                Keyword::ESCAPE,
                Keyword::JOIN,
                Keyword::PIVOT,
                Keyword::UNPIVOT,
            ],
        ),
        Token::Number(..)
        | Token::Char(_)
        | Token::Comma
        | Token::LParen
        | Token::RParen
        | Token::Period
        | Token::SemiColon
        | Token::EOF
        | Token::SingleQuotedString(_)
        | Token::DoubleQuotedString(_)
        | Token::HexStringLiteral(_)
        | Token::NationalStringLiteral(_)
        | Token::EscapedStringLiteral(_) => false,
        _ => true,
    }
}

/// A planning error in words for whoever wrote the statement.
pub(crate) fn explain(error: &datafusion::error::DataFusionError) -> QueryError {
    let text = plain(error);
    if let Some(name) = between(&text, "Invalid function '", "'").filter(|name| functions::is_left_out(name)) {
        return QueryError::refused(format!("the function {name} is not available here"));
    }
    if let Some(name) = between(&text, "table '", "' not found").or_else(|| between(&text, "table ", " not found")) {
        let name = name.rsplit('.').next().unwrap_or(name).trim_matches('\'');
        let tables = session::table_names().join(", ");
        return QueryError::Invalid { reason: format!("there is no table {name}; the tables are {tables}") };
    }
    QueryError::Invalid { reason: text }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let rest = text.split_once(before)?.1;
    Some(rest.split_once(after)?.0)
}

/// DataFusion's message without the name of the stage that found it, on one line.
pub(crate) fn plain(error: &datafusion::error::DataFusionError) -> String {
    let text = error.find_root().message().to_string();
    let text = text.lines().next().unwrap_or_default().trim();
    if text.is_empty() { error.strip_backtrace() } else { text.to_owned() }
}

#[cfg(test)]
mod tests;
