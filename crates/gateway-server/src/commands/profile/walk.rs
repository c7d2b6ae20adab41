//! `profile try FILE --base-url URL`: walks the read-only operations of a profile against a live endpoint and tells of each what came and what to do.
//!
//! It asks only what a running gateway asks too — listing, window, numbers, account, a file that a record refers to, receipt — and never sends a command or an upload. Each step goes on from
//! what the one before brought; a step that has nothing to go on is left out, and says so.

use super::{Loaded, check, load, said};
use crate::cli::ProfileTryOptions;
use crate::commands::say;
use crate::{Failure, secrets};
use gateway_connector::wire;
use gateway_connector::{AttachmentError, Connector, Credentials, OutboundDelivery, Page, RequestError, Secret};
use gateway_model::{
    AskBy, Change, ChannelId, Clock as _, Dataset, DeliveryId, Digest, Field, FieldValue, Fields, Grain, ItemKey,
    Manifest, ManifestBody, Moment, Oddity, OrderId, OrderNumber, Part, SourceNumber, SystemClock, Timestamp, Window,
    attachment_references,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// A number that no platform gives.
const NOBODY: &str = "PROFILE-TRY-0";
/// Pages that are read at most in one listing.
const MOST_PAGES: usize = 20;
/// A clock further from ours than this is told of.
const CLOCK_TOLERANCE_MS: u64 = 30_000;
/// A file larger than this is not read to its end.
const LARGEST_FILE: usize = 20 * 1024 * 1024;
/// A file that no counterparty has.
const NO_FILE: &str = "profile-try-0.jpg";

pub(super) async fn walk(options: ProfileTryOptions) -> Result<ExitCode, Failure> {
    let loaded = match load(&options.file)? {
        Ok(loaded) => loaded,
        Err(errors) => {
            check::tell_mistakes(&errors);
            return Ok(ExitCode::FAILURE);
        }
    };
    let secret = secrets::read(&options.secret_file)?;
    // Pushes are not tried: any secret does for them.
    let credentials = Credentials {
        app_id: options.app_id.clone(),
        request_secret: Secret::new(secret.clone()),
        webhook_secrets: vec![Secret::new(secret)],
    };
    let channel = ChannelId::new("profile-try")?;
    let connected = wire::connect(
        loaded.kind,
        channel.clone(),
        &loaded.source(),
        &options.base_url,
        credentials,
        Arc::new(SystemClock),
    );
    let connector = match connected {
        Ok(connector) => connector,
        Err(errors) => {
            check::tell_mistakes(&errors);
            return Ok(ExitCode::FAILURE);
        }
    };
    let now = SystemClock.now();
    let since = now.checked_sub(Duration::from_secs(u64::from(options.days) * 86_400)).unwrap_or(Timestamp::UNIX_EPOCH);
    let mut walk = Walk {
        loaded,
        connector,
        channel,
        window: Window::new(since, now),
        page_size: options.page_size,
        json: options.json,
        steps: Vec::new(),
        numbers: options.number.iter().map(|number| SourceNumber::new(number.clone())).collect::<Result<_, _>>()?,
        changes: BTreeMap::new(),
        reference: None,
    };
    walk.all().await;
    Ok(walk.end())
}

/// How a step went.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Went {
    Well,
    Badly,
    LeftOut,
}

impl Went {
    fn as_str(self) -> &'static str {
        match self {
            Self::Well => "ok",
            Self::Badly => "failed",
            Self::LeftOut => "left_out",
        }
    }

    fn shown(self) -> &'static str {
        match self {
            Self::Well => "ok 正常",
            Self::Badly => "FAILED 失败",
            Self::LeftOut => "left out 未试",
        }
    }
}

struct Walk {
    loaded: Loaded,
    connector: Arc<dyn Connector>,
    channel: ChannelId,
    window: Window,
    page_size: u32,
    json: bool,
    steps: Vec<Value>,
    /// Numbers to ask for.
    numbers: Vec<SourceNumber>,
    /// What the records said, by item.
    changes: BTreeMap<ItemKey, Digest>,
    /// The file that the newest record with one refers to.
    reference: Option<String>,
}

impl Walk {
    async fn all(&mut self) {
        if !self.listing().await {
            // Everything after it would fail for the same reason.
            self.step("window", Went::LeftOut, "先解决上一步 · mend the step before first", None);
            return;
        }
        self.clock();
        self.windows().await;
        self.by_number().await;
        self.accounts().await;
        self.attachments().await;
        self.receipts().await;
    }

    fn end(self) -> ExitCode {
        let badly = self.steps.iter().filter(|step| step["result"] == "failed").count();
        if self.json {
            say(json!({ "ok": badly == 0, "steps": self.steps }));
        } else if badly == 0 {
            say("只读操作全部正常，未写入任何内容 · every read-only operation works; nothing was written");
        } else {
            say(format_args!("{badly} 步失败，未写入任何内容 · {badly} failed; nothing was written"));
        }
        if badly == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn step(&mut self, name: &str, went: Went, text: &str, remedy: Option<&str>) {
        if !self.json {
            say(format_args!("{name}: {} · {text}", went.shown()));
            if let Some(remedy) = remedy {
                say(format_args!("  → {remedy}"));
            }
        }
        self.steps.push(json!({ "step": name, "result": went.as_str(), "text": text, "remedy": remedy }));
    }

    fn failed(&mut self, name: &str, error: &RequestError) {
        let text = Failure::from(error).0;
        self.step(name, Went::Badly, &text, Some(said::remedy(error)));
    }

    /// Whether the rest can be tried.
    async fn listing(&mut self) -> bool {
        let connector = Arc::clone(&self.connector);
        let Some(source) = connector.source() else {
            self.step("listing", Went::LeftOut, "配置没有列表查询 · the profile reads no listing", None);
            return true;
        };
        let (mut cursor, mut pages, mut records) = (None, 0, 0);
        loop {
            let page = match source.poll(Some(self.window.start), cursor.as_ref(), self.page_size).await {
                Ok(page) => page,
                Err(error) => {
                    self.failed("listing", &error);
                    return false;
                }
            };
            pages += 1;
            records += page.records.len();
            self.read(&page);
            if page.next.is_some() && page.next == cursor {
                let remedy = "翻页没有前进：核对 read.paging、page_param、next 或 after · compare read.paging, page_param, next or after";
                self.step("listing", Went::Badly, "the next page is the same one again", Some(remedy));
                return true;
            }
            cursor = page.next;
            if cursor.is_none() || pages >= MOST_PAGES {
                break;
            }
        }
        let rest = if cursor.is_some() { ", and there are more" } else { "" };
        let text = format!("{pages} 页 {records} 条记录 · {records} records on {pages} pages{rest}");
        let remedy = (records == 0).then_some("近期没有记录：用 --days 放宽 · nothing lately: widen by --days");
        self.step("listing", Went::Well, &text, remedy);
        true
    }

    /// Reads the records of a page and tells what can't be read of them.
    fn read(&mut self, page: &Page) {
        let (mut odd, mut bad) = (BTreeSet::new(), None);
        for record in &page.records {
            match self.connector.normalizer().normalize(&record.body, page.read_at) {
                Ok(changes) => {
                    for change in &changes {
                        odd.extend(change.oddities.iter().map(told));
                        self.keep(change);
                    }
                }
                Err(error) => bad = Some(error.to_string()),
            }
            if let Some(number) = record.number.clone().filter(|_| self.numbers.len() < 5)
                && !self.numbers.contains(&number)
            {
                self.numbers.push(number);
            }
        }
        if let Some(error) = bad {
            let remedy = "用 map 试一条原始记录 · try one raw record by `map`";
            self.step("record", Went::Badly, &error, Some(remedy));
        }
        let told = self.steps.iter().any(|step| step["step"] == "mapping");
        if !odd.is_empty() && !told {
            let text = odd.into_iter().take(10).collect::<Vec<_>>().join(", ");
            let remedy = "有未识别的字段或代码：补进 items.*.fields、record.ignored 或 codes · name them in items.*.fields, record.ignored or codes";
            self.step("mapping", Went::Well, &text, Some(remedy));
        }
    }

    fn keep(&mut self, change: &Change) {
        if let Some(FieldValue::Text(pictures)) = change.fields.get(Field::Pictures)
            && let Some(first) = attachment_references(pictures).first()
        {
            self.reference = Some((*first).to_owned());
        }
        if let Some(day) = change.day {
            let item = change.book_item(day);
            self.changes.insert(item.key, item.digest);
        }
    }

    fn clock(&mut self) {
        let Some(clock) = self.connector.peer_clock() else {
            self.step("clock", Went::LeftOut, "应答没有 Date · the answers have no Date", None);
            return;
        };
        let text =
            format!("对端时钟差 {} ms · the counterparty's clock is {} ms from ours", clock.offset_ms, clock.offset_ms);
        let far = clock.offset_ms.unsigned_abs() > CLOCK_TOLERANCE_MS;
        let remedy = far.then_some("双方都要对时（NTP）· set both clocks by NTP");
        self.step("clock", if far { Went::Badly } else { Went::Well }, &text, remedy);
    }

    async fn windows(&mut self) {
        let connector = Arc::clone(&self.connector);
        let Some(source) = connector.source() else { return };
        let datasets = connector.descriptor().datasets.clone();
        for dataset in datasets {
            let name = format!("window {dataset}");
            match source.fetch_window(dataset, self.window, None).await {
                Ok(page) => {
                    self.read(&page);
                    let more = if page.next.is_some() { " (first page 首页)" } else { "" };
                    let text = format!("{} 条记录 · {} records{more}", page.records.len(), page.records.len());
                    self.step(&name, Went::Well, &text, None);
                }
                Err(error) => self.failed(&name, &error),
            }
        }
    }

    async fn by_number(&mut self) {
        let connector = Arc::clone(&self.connector);
        let Some(source) = connector.source() else { return };
        let asked: Vec<_> = self.numbers.iter().take(source.ids_per_fetch()).cloned().collect();
        if asked.is_empty() {
            self.step(
                "number",
                Went::LeftOut,
                "没有已知的编号：用 --number 指定 · no number is known: give one by --number",
                None,
            );
        } else {
            match source.fetch_ids(&asked).await {
                Ok(page) => {
                    self.read(&page);
                    let found: BTreeSet<_> = page.records.iter().filter_map(|record| record.number.clone()).collect();
                    let got = asked.iter().filter(|number| found.contains(*number)).count();
                    let text = format!("问 {} 得 {got} · {got} of {} numbers came back", asked.len(), asked.len());
                    let whole = got == asked.len();
                    let remedy = "核对 read.ids 的 numbers、joined 和 read.records · compare numbers, joined and records of [read]";
                    self.step(
                        "number",
                        if whole { Went::Well } else { Went::Badly },
                        &text,
                        (!whole).then_some(remedy),
                    );
                }
                Err(error) => self.failed("number", &error),
            }
        }
        let Ok(nobody) = SourceNumber::new(NOBODY) else { return };
        match source.fetch_ids(&[nobody]).await {
            Ok(page) if page.records.is_empty() => {
                self.step(
                    "unknown number",
                    Went::Well,
                    "查无此单时没有记录 · a number that there is not gives no record",
                    None,
                );
            }
            Ok(page) => {
                let text = format!("{} records for a number that there is not", page.records.len());
                let remedy =
                    "编号参数没有起作用：核对 read.ids.numbers · the parameter is not heeded: compare read.ids.numbers";
                self.step("unknown number", Went::Badly, &text, Some(remedy));
            }
            Err(error) => self.failed("unknown number", &error),
        }
    }

    async fn accounts(&mut self) {
        let connector = Arc::clone(&self.connector);
        let Some(account) = connector.manifest_source() else {
            let text = "配置没有对账接口，渠道将显示为不可核对 · the profile has no [manifest]: the channel will be unverifiable";
            self.step("account", Went::LeftOut, text, None);
            return;
        };
        for dataset in account.datasets().to_vec() {
            // The window ends in the past, so that grains asked one after another tell of the same.
            let mut counts: Vec<(Grain, u64)> = Vec::new();
            for grain in account.grains().to_vec() {
                let name = format!("account {dataset} {grain}");
                match account.manifest(dataset, self.window, grain).await {
                    Ok(manifest) => {
                        let count = count(&manifest);
                        counts.push((grain, count));
                        let digests = self.digests(&manifest);
                        self.told_account(&name, count, digests);
                    }
                    Err(error) => self.failed(&name, &error),
                }
            }
            self.compare(dataset, &counts);
        }
    }

    /// How many items of an account we have read, and how many of them have our digest.
    fn digests(&self, manifest: &Manifest) -> Option<(usize, usize)> {
        let ManifestBody::Items(items) = &manifest.body else { return None };
        let known: Vec<_> =
            items.iter().filter_map(|item| self.changes.get(&item.key).map(|ours| *ours == item.digest)).collect();
        Some((known.iter().filter(|same| **same).count(), known.len()))
    }

    fn told_account(&mut self, name: &str, count: u64, digests: Option<(usize, usize)>) {
        match digests {
            Some((same, known)) if known > 0 && same * 2 < known => {
                let text =
                    format!("{count} 项，摘要相同 {same}/{known} · {count} items; {same} of {known} digests are ours");
                let remedy = "摘要算法不一致：核对 items.*.compared 的字段与顺序，以及值的写法 · the digests differ: compare the fields and their order in items.*.compared, and how values are written";
                self.step(name, Went::Badly, &text, Some(remedy));
            }
            Some((same, known)) => {
                let text =
                    format!("{count} 项，摘要相同 {same}/{known} · {count} items; {same} of {known} digests are ours");
                self.step(name, Went::Well, &text, None);
            }
            None => self.step(name, Went::Well, &format!("{count} 项 · {count} items"), None),
        }
    }

    fn compare(&mut self, dataset: Dataset, counts: &[(Grain, u64)]) {
        let (Some(least), Some(most)) =
            (counts.iter().map(|(_, count)| count).min(), counts.iter().map(|(_, count)| count).max())
        else {
            return;
        };
        if least == most {
            return;
        }
        let text = counts.iter().map(|(grain, count)| format!("{grain} {count}")).collect::<Vec<_>>().join(", ");
        // An endpoint that lives changes meanwhile.
        let remedy = "各粒度合计不一致：若对端此刻没有新增，核对 manifest.grains 和 to_inclusive · the grains' counts differ: unless it grew meanwhile, compare manifest.grains and to_inclusive";
        self.step(&format!("account {dataset}"), Went::Well, &text, Some(remedy));
    }

    /// A file that a record refers to, and one that there is not. References are not shown: they may name a person.
    async fn attachments(&mut self) {
        let connector = Arc::clone(&self.connector);
        let Some(files) = connector.attachments() else {
            let text = "配置没有 [attachments]，不取附件 · the profile has no [attachments]: files are not fetched";
            self.step("file", Went::LeftOut, text, None);
            return;
        };
        match &self.reference {
            None => {
                let text = "读到的记录没有附件 · no record that was read refers to a file";
                self.step("file", Went::LeftOut, text, Some("用 --days 放宽 · widen by --days"));
            }
            Some(reference) => match files.fetch(reference, LARGEST_FILE).await {
                Ok(bytes) => {
                    self.step("file", Went::Well, &format!("{} 字节 · {} bytes", bytes.len(), bytes.len()), None);
                }
                Err(error) => self.not_fetched("file", &error),
            },
        }
        match files.fetch(NO_FILE, LARGEST_FILE).await {
            Err(AttachmentError::NotThere { code }) => {
                let text = format!("没有的文件答 {code} · a file that there is not is told by {code}");
                self.step("unknown file", Went::Well, &text, None);
            }
            Ok(_) => {
                let remedy =
                    "引用没有起作用：核对 attachments.path · the reference is not heeded: compare attachments.path";
                self.step("unknown file", Went::Badly, "a file came that there is not", Some(remedy));
            }
            Err(error) => self.not_fetched("unknown file", &error),
        }
    }

    fn not_fetched(&mut self, name: &str, error: &AttachmentError) {
        let (text, remedy) = (Failure::from(error).0, said::file_remedy(error));
        self.step(name, Went::Badly, &text, Some(remedy));
    }

    async fn receipts(&mut self) {
        let connector = Arc::clone(&self.connector);
        let rule = self
            .loaded
            .profile
            .write
            .as_ref()
            .and_then(|write| write.operations.iter().find(|operation| operation.ask_by == AskBy::Receipt));
        let (Some(sink), Some(rule)) = (connector.sink(), rule) else {
            self.step(
                "receipt",
                Went::LeftOut,
                "配置没有按回执查询的操作 · no operation is asked for by receipt",
                None,
            );
            return;
        };
        let (Ok(number), today) = (SourceNumber::new(NOBODY), Moment::At(self.window.end)) else { return };
        // Only asked about, never sent.
        let never_sent = OutboundDelivery {
            id: DeliveryId(0),
            order_id: OrderId::new(self.window.end),
            number: OrderNumber { channel: self.channel.clone(), number, day: today.day() },
            from: self.channel.clone(),
            operation: rule.operation,
            dataset: Dataset::Handling,
            part: Part::Cycle(0),
            round: 0,
            event_time: today,
            fields: Fields::default(),
            generation: 0,
            idempotency_key: NOBODY.to_owned(),
        };
        match sink.find_outcome(&never_sent).await {
            Ok(None) => self.step("receipt", Went::Well, "未知请求没有回执 · an unknown request has no receipt", None),
            Ok(Some(_)) => {
                let remedy = "核对 write.receipts.request_id · compare write.receipts.request_id";
                self.step("receipt", Went::Badly, "a receipt for a request that was never sent", Some(remedy));
            }
            Err(error) => self.failed("receipt", &error),
        }
    }
}

fn told(oddity: &Oddity) -> String {
    match oddity {
        Oddity::UnknownCode { wire_field } => format!("unknown code 未识别代码 {wire_field}"),
        Oddity::UnknownField { wire_field } => format!("unknown field 未识别字段 {wire_field}"),
        Oddity::UnreadableValue { wire_field } => format!("unreadable 读不懂 {wire_field}"),
        Oddity::FutureTime { wire_field } => format!("in the future 未来时间 {wire_field}"),
        Oddity::CompletedBeforeAccepted => "completed before accepted 办结早于受理".to_owned(),
    }
}

fn count(manifest: &Manifest) -> u64 {
    match &manifest.body {
        ManifestBody::Count(count) => *count,
        ManifestBody::Buckets(buckets) => buckets.iter().map(|bucket| bucket.count).sum(),
        ManifestBody::Items(items) => items.len() as u64,
    }
}
