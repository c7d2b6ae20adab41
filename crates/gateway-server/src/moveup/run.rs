//! The steps of a move.

use super::mark::{Mark, Stage};
use super::tell::Teller;
use crate::Failure;
use crate::cli::{InstallationOptions, MigrateToOptions};
use crate::config::{self, ConfigMistake, GatewayConfig, mistake};
use crate::lock::DirectoryLock;
use crate::role::node_name;
use crate::secrets;
use crate::store::StoreEngine;
use gateway_bus::{Bus, Engine, TopicName, TopicSpec};
use gateway_model::{ChannelId, Clock as _, SystemClock, Timestamp};
use gateway_pipeline::ContentKey;
use gateway_store::carry::{Begun, Carried, Moving, PageSize};
use gateway_store::{NodeRow, NodeStore as _, Store as _, StoreError};
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

pub(super) async fn run(options: MigrateToOptions) -> Result<ExitCode, Failure> {
    let dir = options.dir.as_path();
    if !dir.is_dir() {
        return Err(Failure::told(
            format!("目录 {} 不存在：请用 --dir 指定要迁移的网关目录", dir.display()),
            format!("{} does not exist: name the directory of the gateway that moves with --dir", dir.display()),
        ));
    }
    let (from, to) = configurations(&options)?;
    if !from.store.sqlite.path.exists() {
        let path = from.store.sqlite.path.display();
        return Err(Failure::told(
            format!("没有可迁移的内置存储 {path}：请用 --dir 和 --from 指定原网关"),
            format!("there is no embedded store to move, {path}: name the gateway that moves with --dir and --from"),
        ));
    }
    let leaves_bus = to.bus.engine != Engine::Embedded;
    let Some(_lock) = DirectoryLock::take(dir)? else {
        return Err(Failure::told(
            "该目录中的网关正在运行：请先停止，再迁移",
            "a gateway runs in this directory: stop it, then move it",
        ));
    };
    let mark = Mark::read(dir)?;
    let place = to.store.place()?;
    let bus_place = leaves_bus.then(|| to.bus.kafka.bootstrap_servers.clone());
    if let Some(mark) = &mark
        && (mark.store != place || mark.bus != bus_place)
    {
        return Err(other_target(mark));
    }
    let mut teller = Teller::new(options.json);
    let target = to.store.open_to_move().await?;
    if leaves_bus && mark.as_ref().is_none_or(|mark| mark.stage == Stage::Moving) {
        look_at_bus(&to).await?;
    }
    if leaves_bus && mark.is_none() {
        let worked_off = crate::serve::drain(dir, &from, &mut |left| {
            teller.step("drain", &format!("work off 处理总线剩余: {left}"), json!({ "left": left }));
        })
        .await?;
        let text = format!("the bus is worked off 总线已处理完毕: {worked_off} record(s)");
        teller.step("drained", &text, json!({ "records": worked_off }));
    }
    let source = from.store.open_embedded().await?;
    let id = mark.as_ref().map_or_else(uuid::Uuid::new_v4, |mark| mark.id);
    let page = PageSize { rows: options.page_rows.unwrap_or(PageSize::default().rows).max(1), ..PageSize::default() };
    let told = |error| to.store.failure(error);
    let moving = Moving::prepare(&source, &target, id, leaves_bus, page).await.map_err(told)?;
    let begin = Mark { id, stage: Stage::Moving, since: second(SystemClock.now()), store: place, bus: bus_place };
    if mark.is_none() {
        let found =
            moving.check_source(&mut |progress| teller.progress(progress)).await.map_err(|e| from.store.failure(e))?;
        if !found.is_empty() {
            teller.differences(&found);
            return Err(Failure::told(
                "原账簿的合计与明细不符：请先启动原网关，待自查（audit）修复后再迁移",
                "the sums of the old book are not those of its items: start the old gateway, let its audit mend them (see `gaps list`), then move",
            ));
        }
        begin.write(dir)?;
    }
    let begun = match moving.begin(SystemClock.now()).await {
        // Nothing was done yet: the directory may go on as it was.
        Err(error @ StoreError::Refused { .. }) if mark.is_none() => {
            std::fs::remove_file(dir.join("moved.json"))?;
            return Err(told(error));
        }
        other => other.map_err(told)?,
    };
    if begun != Begun::Complete {
        let text = match begun {
            Begun::Unfinished => "the move goes on where it ended 继续上次迁移",
            _ => "the move begins 开始迁移",
        };
        teller.step("begin", text, json!({ "resumed": begun == Begun::Unfinished }));
        let carried = moving.carry(&mut |progress| teller.progress(progress)).await.map_err(told)?;
        let found = moving.verify(&mut |progress| teller.progress(progress)).await.map_err(told)?;
        if !found.is_empty() {
            teller.differences(&found);
            return Err(Failure::told(
                "迁移后的数据与原数据不一致（见上），目标库保持不可用：请清空目标库、删除 moved.json 后重新迁移，并附上述内容报告",
                "what was carried is not what was there (see above), and the target stays unusable: empty it, take moved.json away, move again, and report this",
            ));
        }
        target.tell_node(&first_node(dir, &to)?).await.map_err(told)?;
        moving.complete(SystemClock.now()).await.map_err(told)?;
        summary(&teller, &carried);
    }
    Mark { stage: Stage::Moved, ..mark.unwrap_or(begin) }.write(dir)?;
    source.close().await;
    target.close().await;
    closing(&teller, dir, &options.config, leaves_bus);
    Ok(ExitCode::SUCCESS)
}

fn configurations(options: &MigrateToOptions) -> Result<(GatewayConfig, GatewayConfig), Failure> {
    let dir = &options.dir;
    let load = |file: Option<&Path>| {
        config::load(dir, file).map_err(|mistakes| {
            let name = file.map_or("the defaults".to_owned(), |file| file.display().to_string());
            let lines: Vec<String> = mistakes.iter().map(|mistake| format!("  {mistake}")).collect();
            Failure(format!("{name} has {} mistake(s):\n{}", lines.len(), lines.join("\n")))
        })
    };
    let old = InstallationOptions { dir: dir.clone(), config: options.from.clone() };
    let from = load(old.config_file().as_deref())?;
    let to = load(Some(&options.config))?;
    let mistakes = misfits(&from, &to);
    if mistakes.is_empty() {
        return Ok((from, to));
    }
    let lines: Vec<String> = mistakes.iter().map(|mistake| format!("  {mistake}")).collect();
    Err(Failure(format!(
        "an installation can't move from the one configuration to the other 两份配置不能衔接:\n{}",
        lines.join("\n")
    )))
}

/// What keeps an installation from moving between two configurations.
fn misfits(from: &GatewayConfig, to: &GatewayConfig) -> Vec<ConfigMistake> {
    let mut mistakes = Vec::new();
    if from.store.engine != StoreEngine::Sqlite || from.bus.engine != Engine::Embedded {
        mistakes.push(mistake(
            "--from",
            "must be the configuration with the embedded engines that the installation has run with so far",
        ));
    }
    if to.store.engine != StoreEngine::Postgres {
        mistakes.push(mistake(
            "store.engine",
            "must be \"postgres\" in --config: the store moves, and the bus alone can't, since it is for several gateways and a store in a file is for one",
        ));
    }
    if to.bus.engine == Engine::Embedded && to.bus.embedded.dir != from.bus.embedded.dir {
        mistakes.push(mistake("bus.embedded.dir", "must stay what it was while the bus stays embedded"));
    }
    if to.api.desk_channel != from.api.desk_channel {
        mistakes.push(mistake("api.desk_channel", format!("must stay `{}`", from.api.desk_channel)));
    }
    for channel in &from.channels {
        let known = to.channels.iter().any(|other| other.id == channel.id && other.kind == channel.kind);
        if !known {
            let text = format!(
                "lacks `{}` of kind `{}`: what is owed to it would wait for ever; take a channel out before the move or after it",
                channel.id, channel.kind
            );
            mistakes.push(mistake("channel", text));
        }
    }
    mistakes
}

fn other_target(mark: &Mark) -> Failure {
    let bus = mark.bus.iter().map(|bus| format!(" + {bus}")).collect::<String>();
    Failure::told(
        format!(
            "本目录正在（或已经）迁移至 {}{bus}，与 --config 所指不同：请用原目标的配置，或按 docs/operations.md 退回",
            mark.store
        ),
        format!(
            "this directory moves, or has moved, to {}{bus}, and --config names another place: use the configuration of that one, or go back as docs/operations.md says",
            mark.store
        ),
    )
}

/// The new bus must be empty: what is on it would be taken for records of this installation.
async fn look_at_bus(to: &GatewayConfig) -> Result<(), Failure> {
    let bus = to
        .bus
        .open(Arc::new(SystemClock))
        .await
        .map_err(|error| Failure(format!("bus.kafka: {}", Failure::from(error).0)))?;
    let looked = must_be_empty(&*bus, to).await;
    bus.close().await;
    looked
}

async fn must_be_empty(bus: &dyn Bus, to: &GatewayConfig) -> Result<(), Failure> {
    let desk = to.api.desk()?;
    let mut channels = vec![desk];
    for channel in &to.channels {
        channels.push(ChannelId::new(channel.id.clone())?);
    }
    let retention = Duration::from_secs(86_400) * to.topics.retention_days;
    for channel in &channels {
        for name in [TopicName::raw(channel), TopicName::raw_backfill(channel), TopicName::outbound(channel)] {
            let spec = TopicSpec { name: name.clone(), partitions: to.topics.partitions, retention };
            bus.ensure_topic(&spec).await.map_err(|error| Failure(format!("bus.kafka: {}", Failure::from(error).0)))?;
            let filled: u64 = bus.end_positions(&name).await?.iter().map(|end| end.offset).sum();
            if filled > 0 {
                return Err(Failure::told(
                    format!(
                        "Kafka 主题 {name} 中已有 {filled} 条消息：请为本安装实例另设 bus.kafka.prefix，或删除这些主题"
                    ),
                    format!(
                        "topic {name} on the brokers has had {filled} message(s): an installation moves to topics of its own; set another bus.kafka.prefix, or delete them"
                    ),
                ));
            }
        }
    }
    Ok(())
}

/// Without what is smaller than a second, for people.
fn second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// What this directory's node is known as from now on: so a node with another content key is told before it does any harm, the first one too.
fn first_node(dir: &Path, to: &GatewayConfig) -> Result<NodeRow, Failure> {
    let now = SystemClock.now();
    Ok(NodeRow {
        name: node_name(dir, &to.node.name)?,
        holder: "migrate-to".into(),
        roles: Vec::new(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        key_print: ContentKey::new(&secrets::key_bytes(&dir.join("secrets/content.key"))?).print(),
        started_at: now,
        seen_at: now,
        stopped_at: Some(now),
        spool_messages: 0,
        spool_oldest_at: None,
        spool: Vec::new(),
        findings: "[]".into(),
    })
}

fn summary(teller: &Teller, carried: &Carried) {
    let rows: serde_json::Map<String, serde_json::Value> =
        carried.tables.iter().map(|(table, rows)| ((*table).to_owned(), json!(rows))).collect();
    let text = format!(
        "nothing differs 全部一致: {} rows 行 ({} orders 工单, {} records 原始记录, {} deliveries 投递, {} gaps 缺口, {} book items 账目, {} sums 合计)",
        carried.total(),
        carried.rows("work_order"),
        carried.rows("raw_record"),
        carried.rows("delivery"),
        carried.rows("gap"),
        carried.rows("book_item"),
        carried.rows("book_bucket"),
    );
    teller.step("verified", &text, json!({ "rows": carried.total(), "tables": rows }));
}

/// What is left for a person to do.
fn closing(teller: &Teller, dir: &Path, config: &Path, leaves_bus: bool) {
    let (dir, config) = (dir.display(), config.display());
    let nonces = if leaves_bus {
        "\n4. 迁移不带走推送随机串的记忆：对端在迁移前后重发的同一推送会再次受理，并在处理时记为重复，不影响数据。\n   \
         The memory of nonces does not move: a push repeated across the move is taken again and ends as a duplicate; nothing is harmed."
    } else {
        ""
    };
    let text = format!(
        "the installation has moved 迁移完成。接下来 what to do now:\n\
         1. 在本机启动 start it here: hotline-gateway serve --dir {dir} --config {config}\n   \
            （或将该配置存为 {dir}/gateway.toml or make that file {dir}/gateway.toml）\n\
         2. 其他节点：将 {dir}/secrets 与 {dir}/tokens 复制到各节点目录（仅属主可读）；content.key 必须处处相同。\n   \
            On other nodes: copy {dir}/secrets and {dir}/tokens into their directories, for their owner's eyes only; content.key must be the same everywhere.\n\
         3. 旧数据（{dir}/store.db{bus}）原样保留、含个人信息：确认无误后删除。退回办法见 docs/operations.md。\n   \
            The old data is as it was and holds personal data: delete it when you are sure. The way back is in docs/operations.md.{nonces}",
        bus = if leaves_bus { format!("、{dir}/bus") } else { String::new() },
    );
    teller.step("done", &text, json!({ "dir": dir.to_string(), "config": config.to_string(), "left_bus": leaves_bus }));
}
