//! Reading OpenSLO v1: SLO and SLI documents whose metric sources are of type `daytwo`.
//!
//! A problem names file, line and reason, and keeps only its own objective out.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::{Objective, ObjectiveKind, SloFile, SloProblem};

/// The only `apiVersion` that is read.
const API_VERSION: &str = "openslo/v1";
/// Objectives beyond this many are refused.
const OBJECTIVES_MAX: usize = 1_000;

type Text = Spanned<String>;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    api_version: Option<Text>,
    kind: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: Text,
    display_name: Option<String>,
}

#[derive(Debug, Deserialize)]
struct SliDocument {
    metadata: Metadata,
    spec: Spanned<SliSpec>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SliSpec {
    ratio_metric: Option<Spanned<RatioMetric>>,
}

#[derive(Debug, Clone, Deserialize)]
struct RatioMetric {
    good: Option<Spanned<Metric>>,
    total: Option<Spanned<Metric>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metric {
    metric_source: MetricSource,
}

#[derive(Debug, Clone, Deserialize)]
struct MetricSource {
    #[serde(rename = "type")]
    kind: Option<Text>,
    spec: Spanned<SourceSpec>,
}

#[derive(Debug, Clone, Deserialize)]
struct SourceSpec {
    signal: Option<Text>,
    service: Option<Text>,
    operation: Option<Text>,
    environment: Option<Text>,
    threshold: Option<Text>,
}

#[derive(Debug, Deserialize)]
struct SloDocument {
    metadata: Metadata,
    spec: Spanned<SloSpec>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SloSpec {
    service: Option<Text>,
    indicator: Option<Indicator>,
    indicator_ref: Option<Text>,
    time_window: Option<Vec<TimeWindow>>,
    budgeting_method: Option<Text>,
    objectives: Option<Spanned<Vec<ObjectiveSpec>>>,
}

#[derive(Debug, Deserialize)]
struct Indicator {
    spec: Spanned<SliSpec>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TimeWindow {
    duration: Text,
    is_rolling: Option<Spanned<bool>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ObjectiveSpec {
    display_name: Option<String>,
    target: Option<Spanned<f64>>,
    target_percent: Option<Spanned<f64>>,
}

/// A document's text and the number of lines above it.
struct Document<'a> {
    file: &'a str,
    text: String,
    offset: u64,
}

/// What keeps a document out: a line within it, if known, and the reason.
type Refusal = (Option<u64>, String);

impl Document<'_> {
    fn problem(&self, (line, message): Refusal) -> SloProblem {
        let line = line.map(|line| line.saturating_add(self.offset));
        SloProblem { file: self.file.to_owned(), line, message }
    }

    fn read<T: serde::de::DeserializeOwned>(&self) -> Result<T, Refusal> {
        serde_saphyr::from_str(&self.text).map_err(|error| {
            let line = error.location().map(|location| location.line());
            let text = error.without_snippet().to_string();
            (line, text.lines().next().unwrap_or("is not valid YAML").to_owned())
        })
    }
}

fn documents(file: &SloFile) -> Vec<Document<'_>> {
    let mut found = Vec::new();
    let mut text = String::new();
    let mut offset = 0;
    for (number, line) in (1_u64..).zip(file.text.lines()) {
        if line.trim_end() == "---" {
            found.push(Document { file: &file.name, text: std::mem::take(&mut text), offset });
            offset = number;
        } else {
            text.push_str(line);
            text.push('\n');
        }
    }
    found.push(Document { file: &file.name, text, offset });
    let blank = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    found.retain(|document| !document.text.lines().all(blank));
    found
}

fn line<T>(value: &Spanned<T>) -> Option<u64> {
    Some(value.referenced.line()).filter(|line| *line > 0)
}

/// Reads every file; what is wrong with one objective does not keep the others out.
pub fn parse(files: &[SloFile]) -> (Vec<Objective>, Vec<SloProblem>) {
    let documents: Vec<Document<'_>> = files.iter().flat_map(documents).collect();
    let mut problems = Vec::new();
    let mut indicators: BTreeMap<String, SliSpec> = BTreeMap::new();
    let mut slos = Vec::new();
    for document in &documents {
        match kind_of(document) {
            Ok(Kind::Sli) => match document.read::<SliDocument>() {
                Ok(sli) => {
                    indicators.insert(sli.metadata.name.value, sli.spec.value);
                }
                Err(refusal) => problems.push(document.problem(refusal)),
            },
            Ok(Kind::Slo) => slos.push(document),
            Ok(Kind::Other) => {}
            Err(refusal) => problems.push(document.problem(refusal)),
        }
    }
    let mut objectives: Vec<Objective> = Vec::new();
    for document in slos {
        match document.read::<SloDocument>().and_then(|slo| read_slo(document, &slo, &indicators)) {
            Ok(read) => admit(document, read, &mut objectives, &mut problems),
            Err(refusal) => problems.push(document.problem(refusal)),
        }
    }
    problems.sort();
    (objectives, problems)
}

enum Kind {
    Slo,
    Sli,
    /// Other OpenSLO kinds carry nothing that is needed here.
    Other,
}

fn kind_of(document: &Document<'_>) -> Result<Kind, Refusal> {
    let head: Head = document.read()?;
    let version =
        head.api_version.ok_or((Some(1), format!("apiVersion is missing; write `apiVersion: {API_VERSION}`")))?;
    if version.value != API_VERSION {
        return Err((line(&version), format!("apiVersion {} is not read; write {API_VERSION}", version.value)));
    }
    let kind = head.kind.ok_or((Some(1), "kind is missing; write `kind: SLO` or `kind: SLI`".to_owned()))?;
    match kind.value.as_str() {
        "SLO" => Ok(Kind::Slo),
        "SLI" => Ok(Kind::Sli),
        "DataSource" | "Service" | "AlertPolicy" | "AlertCondition" | "AlertNotificationTarget" => Ok(Kind::Other),
        other => Err((line(&kind), format!("kind {other} is not one of OpenSLO v1"))),
    }
}

fn admit(document: &Document<'_>, read: Vec<Objective>, all: &mut Vec<Objective>, problems: &mut Vec<SloProblem>) {
    for objective in read {
        if all.iter().any(|other| other.id == objective.id) {
            let message = format!("a second SLO is named {}; the first one stays", objective.id);
            problems.push(document.problem((Some(1), message)));
        } else if all.len() >= OBJECTIVES_MAX {
            let message = format!("more than {OBJECTIVES_MAX} objectives; {} is left out", objective.id);
            problems.push(document.problem((Some(1), message)));
        } else {
            all.push(objective);
        }
    }
}

fn read_slo(
    document: &Document<'_>,
    slo: &SloDocument,
    indicators: &BTreeMap<String, SliSpec>,
) -> Result<Vec<Objective>, Refusal> {
    let spec = &slo.spec.value;
    if let Some(method) = spec.budgeting_method.as_ref().filter(|method| method.value != "Occurrences") {
        return Err((line(method), format!("budgetingMethod {} is not supported; use Occurrences", method.value)));
    }
    let base = Objective {
        id: slo.metadata.name.value.clone(),
        name: slo.metadata.name.value.clone(),
        display_name: slo.metadata.display_name.clone().unwrap_or_else(|| slo.metadata.name.value.clone()),
        yaml: document.text.clone(),
        ..read_indicator(slo, indicators)?
    };
    let base = with_window(base, slo)?;
    let here = line(&slo.spec);
    let listed = spec.objectives.as_ref().ok_or((here, "spec.objectives is missing".to_owned()))?;
    if listed.value.is_empty() {
        return Err((line(listed), "spec.objectives is empty".to_owned()));
    }
    let several = listed.value.len() > 1;
    let one = |(number, objective): (usize, &ObjectiveSpec)| {
        let mut read = base.clone();
        read.target = target(objective, line(listed))?;
        if several {
            read.id = format!("{}-{}", base.id, number + 1);
            read.display_name = objective.display_name.clone().unwrap_or_else(|| base.display_name.clone());
        }
        Ok(read)
    };
    listed.value.iter().enumerate().map(one).collect()
}

fn target(objective: &ObjectiveSpec, here: Option<u64>) -> Result<f64, Refusal> {
    let (value, at) = match (&objective.target, &objective.target_percent) {
        (Some(target), None) => (target.value, line(target)),
        (None, Some(percent)) => (percent.value / 100.0, line(percent)),
        (Some(target), Some(_)) => {
            return Err((line(target), "target and targetPercent exclude each other; keep one".to_owned()));
        }
        (None, None) => return Err((here, "an objective needs target or targetPercent".to_owned())),
    };
    if value > 0.0 && value < 1.0 {
        return Ok(value);
    }
    Err((at, format!("target {value} must lie between 0 and 1, both excluded")))
}

fn with_window(base: Objective, slo: &SloDocument) -> Result<Objective, Refusal> {
    let spec = &slo.spec.value;
    let Some(window) = spec.time_window.as_ref().and_then(|windows| windows.first()) else {
        return Err((
            line(&slo.spec),
            "spec.timeWindow is missing; write `timeWindow: [{duration: 28d, isRolling: true}]`".to_owned(),
        ));
    };
    if let Some(rolling) = window.is_rolling.as_ref().filter(|rolling| !rolling.value) {
        return Err((line(rolling), "calendar windows are not supported; write `isRolling: true`".to_owned()));
    }
    let length =
        read_duration(&window.duration.value).filter(|length| (3600..=90 * 86_400).contains(&length.as_secs()));
    let length = length.ok_or_else(|| {
        (line(&window.duration), format!("duration {} must be like 28d or 4w, from 1h to 90d", window.duration.value))
    })?;
    Ok(Objective { window: length, window_text: window.duration.value.clone(), ..base })
}

fn read_indicator(slo: &SloDocument, indicators: &BTreeMap<String, SliSpec>) -> Result<Objective, Refusal> {
    let spec = &slo.spec.value;
    let here = line(&slo.spec);
    let (sli, foreign) = match (&spec.indicator, &spec.indicator_ref) {
        (Some(indicator), None) => (&indicator.spec.value, None),
        (None, Some(name)) => {
            let found = indicators.get(&name.value);
            let found = found.ok_or_else(|| (line(name), format!("no SLI document is named {}", name.value)))?;
            // Lines of another document would mislead; problems point at the reference.
            (found, line(name))
        }
        (Some(_), Some(name)) => {
            return Err((line(name), "indicator and indicatorRef exclude each other; keep one".to_owned()));
        }
        (None, None) => return Err((here, "spec needs indicator or indicatorRef".to_owned())),
    };
    read_ratio(sli, spec.service.as_ref(), here).map_err(|(at, message)| (foreign.or(at), message))
}

fn read_ratio(sli: &SliSpec, slo_service: Option<&Text>, here: Option<u64>) -> Result<Objective, Refusal> {
    let ratio = sli.ratio_metric.as_ref().ok_or((here, "the indicator needs ratioMetric".to_owned()))?;
    let missing = |what: &str| (line(ratio), format!("ratioMetric.{what} is missing"));
    let good = ratio.value.good.as_ref().ok_or_else(|| missing("good"))?;
    let total = ratio.value.total.as_ref().ok_or_else(|| missing("total"))?;
    for kind in [good, total].iter().filter_map(|metric| metric.value.metric_source.kind.as_ref()) {
        if kind.value != "daytwo" {
            return Err((line(kind), format!("metricSource.type {} is not read; write daytwo", kind.value)));
        }
    }
    let (good, total) = (&good.value.metric_source.spec, &total.value.metric_source.spec);
    same("service", good.value.service.as_ref(), total.value.service.as_ref())?;
    same("operation", good.value.operation.as_ref(), total.value.operation.as_ref())?;
    same("environment", good.value.environment.as_ref(), total.value.environment.as_ref())?;
    let service = good.value.service.as_ref().or(total.value.service.as_ref()).or(slo_service);
    let service = service.ok_or_else(|| (line(good), "metricSource.spec.service is missing".to_owned()))?;
    let operation = good.value.operation.as_ref().or(total.value.operation.as_ref());
    let environment = good.value.environment.as_ref().or(total.value.environment.as_ref());
    Ok(Objective {
        id: String::new(),
        name: String::new(),
        display_name: String::new(),
        service: service.value.as_str().into(),
        operation: operation.map(|text| text.value.as_str().into()),
        environment: environment.map(|text| text.value.as_str().into()),
        kind: read_signal(good)?,
        target: 0.0,
        window: Duration::ZERO,
        window_text: String::new(),
        yaml: String::new(),
    })
}

/// Good and total must count the same calls, else their ratio means nothing.
fn same(what: &str, good: Option<&Text>, total: Option<&Text>) -> Result<(), Refusal> {
    match (good, total) {
        (Some(good), Some(total)) if good.value != total.value => {
            Err((line(good), format!("{what} differs: good counts {}, total counts {}", good.value, total.value)))
        }
        (Some(good), None) if what == "operation" => {
            Err((line(good), "good counts one operation and total counts all; name it in both".to_owned()))
        }
        _ => Ok(()),
    }
}

fn read_signal(spec: &Spanned<SourceSpec>) -> Result<ObjectiveKind, Refusal> {
    let signal = spec.value.signal.as_ref();
    let signal = signal.ok_or((line(spec), "good needs signal: availability or latency".to_owned()))?;
    match (signal.value.as_str(), &spec.value.threshold) {
        ("availability", None) => Ok(ObjectiveKind::Availability),
        ("availability", Some(threshold)) => Err((line(threshold), "availability takes no threshold".to_owned())),
        ("latency", Some(threshold)) => {
            let read = read_duration(&threshold.value).filter(|length| !length.is_zero());
            let length = read.ok_or_else(|| {
                (line(threshold), format!("threshold {} must be a time like 300ms or 1.5s", threshold.value))
            })?;
            Ok(ObjectiveKind::Latency { threshold_ns: i64::try_from(length.as_nanos()).unwrap_or(i64::MAX) })
        }
        ("latency", None) => Err((line(signal), "latency needs a threshold such as \"300ms\"".to_owned())),
        (other, _) => Err((line(signal), format!("signal {other} is not known; use availability or latency"))),
    }
}

/// Reads `250ms`, `1.5s`, `30m`, `1h`, `28d`, `4w`.
fn read_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let split = text.find(|letter: char| letter.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at_checked(split)?;
    let number: f64 = number.trim().parse().ok()?;
    let seconds = match unit {
        "ns" => 1e-9,
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        "w" => 604_800.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number * seconds).ok()
}

#[cfg(test)]
mod tests;
